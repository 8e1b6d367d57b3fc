"""Writes grants as an SROS2 policy, version 0.2.0 (policy/schemas/policy.xsd of sros2 e349fcf2)."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from grasp_bringup.security.access import Names
from grasp_bringup.security.grants import Grant, grants
from grasp_bringup.system import SystemOptions

VERSION = "0.2.0"
FOLDER = Path("config/security/policies")
# The systems whose policies ship, by the name of the file.
SHIPPED = {
    "sim": SystemOptions(),
    "gazebo": SystemOptions(system="gazebo"),
    **{
        name: SystemOptions(system="robot", robot=Path(f"config/robots/{name}.yaml"))
        for name in ("fr3", "panda", "ur5e_robotiq")
    },
}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!-- What each process of a system may say and hear, for `ros2 security` (docs/security.md).
     system: {system}, robot: {robot}, arm: {arm}, camera: {camera}, dead-man switch: {dead_man},
     namespace: {namespace}
     Written by `qtopt security` out of grasp_bringup/security; for other options run it again. -->
"""


def policy_text(options: SystemOptions) -> str:
    """Return the policy of a system as XML."""
    head = _HEAD.format(
        system=options.system,
        robot=options.robot,
        arm=options.executor,
        camera=options.camera,
        dead_man=options.dead_man,
        namespace="/" + options.namespace.strip("/"),
    )
    root = policy(grants(options))
    ElementTree.indent(root)
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def policy(listed: tuple[Grant, ...]) -> ElementTree.Element:
    """Return the element `policy` with one enclave per grant."""
    root = ElementTree.Element("policy", version=VERSION)
    enclaves = ElementTree.SubElement(root, "enclaves")
    for grant in sorted(listed, key=lambda grant: grant.enclave):
        enclave = ElementTree.SubElement(enclaves, "enclave", path=grant.enclave)
        profiles = ElementTree.SubElement(enclave, "profiles")
        namespace = "/" + grant.namespace.strip("/")
        profile = ElementTree.SubElement(profiles, "profile", ns=namespace, node=grant.node)
        access = grant.access
        _add(profile, "action", {"call": "ALLOW"}, access.call)
        _add(profile, "service", {"reply": "ALLOW"}, access.reply)
        _add(profile, "service", {"request": "ALLOW"}, access.request)
        _add(profile, "service", {"reply": "DENY", "request": "DENY"}, access.deny_services)
        _add(profile, "topic", {"publish": "ALLOW"}, access.publish)
        _add(profile, "topic", {"publish": "DENY"}, access.deny_publish)
        _add(profile, "topic", {"subscribe": "ALLOW"}, access.subscribe)
    return root


def _add(profile: ElementTree.Element, kind: str, rules: dict[str, str], names: Names) -> None:
    if not names:
        return
    listed = ElementTree.SubElement(profile, f"{kind}s", rules)
    for name in sorted(names):
        ElementTree.SubElement(listed, kind).text = name

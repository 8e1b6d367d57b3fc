"""The shipped policies: current, of SROS2's form, and what they allow as the middleware decides it."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from grasp_bringup.security.grants import Grant, grants
from grasp_bringup.security.policy import FOLDER, SHIPPED, policy, policy_text
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_policy import topics
from qtopt_policy.share import share_directory

ROOT = Path(__file__).resolve().parents[3]
POLICIES = sorted((ROOT / FOLDER).iterdir())
# policy.xsd of sros2 e349fcf2: the lists of a profile, what each holds, and the verbs of its rules.
LISTS = {
    "topics": ("topic", {"publish", "subscribe"}),
    "services": ("service", {"reply", "request"}),
    "actions": ("action", {"call", "execute"}),
}
NAME = re.compile(r"(/|~/)?[a-zA-Z_*][a-zA-Z0-9_/*]*|/\*")


def only(element: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    """Return the children, all of which have the tag; there is at least one."""
    assert len(element) > 0
    assert {child.tag for child in element} == {tag}
    return list(element)


def profiles(path: Path) -> dict[str, ElementTree.Element]:
    """Return each enclave's profile; fail where the file is not of the schema's form."""
    root = ElementTree.parse(path).getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    (enclaves,) = only(root, "enclaves")
    found = {}
    for enclave in only(enclaves, "enclave"):
        assert set(enclave.attrib) == {"path"}
        (listed,) = only(enclave, "profiles")
        (profile,) = only(listed, "profile")
        assert set(profile.attrib) == {"ns", "node"}
        assert enclave.attrib["path"] not in found
        found[enclave.attrib["path"]] = profile
    return found


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_a_shipped_policy_has_the_form_of_the_schema(path: Path) -> None:
    for enclave, profile in profiles(path).items():
        assert re.fullmatch(r"(/[a-z][a-z0-9_]*)+", enclave)
        for listed in profile:
            kind, verbs = LISTS[listed.tag]
            assert listed.attrib
            assert set(listed.attrib) <= verbs
            assert set(listed.attrib.values()) <= {"ALLOW", "DENY"}
            names = [element.text or "" for element in only(listed, kind)]
            assert all(NAME.fullmatch(name) for name in names), names
            assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_is_current(name: str) -> None:
    told = "run tools/make_policies.py"
    assert (ROOT / FOLDER / f"{name}.xml").read_text() == policy_text(SHIPPED[name]), told


def test_nothing_else_ships_and_every_robot_file_has_a_policy() -> None:
    assert {path.stem for path in POLICIES} == set(SHIPPED)
    assert {path.stem for path in (ROOT / "config" / "robots").iterdir()} <= set(SHIPPED)
    assert share_directory() / FOLDER == ROOT / FOLDER


def full(name: str, profile: ElementTree.Element) -> str:
    """Return a name as sros2 makes it (policy/templates/dds/permissions.xsl)."""
    space = profile.attrib["ns"].rstrip("/") + "/"
    if name.startswith("~"):
        return space + profile.attrib["node"] + name[1:]
    return name if name.startswith("/") else space + name


def allowed(profile: ElementTree.Element, kind: str, verb: str, name: str) -> bool:
    """Return what the middleware decides: sros2 puts denials first, the first rule that fits counts."""
    for rule in ("DENY", "ALLOW"):
        for listed in profile.findall(f"{kind}s"):
            fits = [fnmatchcase(name, full(element.text or "", profile)) for element in listed]
            if listed.get(verb) == rule and any(fits):
                return rule == "ALLOW"
    return False


def who(path: Path, kind: str, verb: str, name: str) -> set[str]:
    """Return the last parts of the enclaves that may do something."""
    found = profiles(path).items()
    return {enclave.split("/", 2)[2] for enclave, profile in found if allowed(profile, kind, verb, name)}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_the_guard_alone_moves_the_target(path: Path) -> None:
    assert who(path, "topic", "publish", "/arm/target_pose") == {"guard_node"}
    assert who(path, "topic", "publish", "/gripper/close") == {"guard_node"}
    assert who(path, "topic", "publish", "/arm/state") == {"guard_node"}
    assert who(path, "topic", "publish", "/policy/target_pose") == {"policy_node"}
    assert who(path, "topic", "publish", "/collector/target_pose") == {"collector_node"}
    for node in ("guard_node", "policy_node", "collector_node"):
        assert who(path, "topic", "publish", f"/heartbeat/{node}") == {node}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_the_operator_alone_arms_and_nobody_answers_for_the_guard(path: Path) -> None:
    assert who(path, "service", "request", "/arm/arm") == {"operator"}
    assert who(path, "service", "request", "/arm/resume") == {"operator", "collector_node"}
    assert who(path, "service", "request", "/guard_node/set_parameters_atomically") == {
        "operator",
        "collector_node",
    }
    assert who(path, "service", "request", "/guard_node/set_parameters") == {"operator"}
    for service in ("/arm/stop", "/arm/arm", "/guard_node/get_parameters"):
        assert who(path, "service", "reply", service) == {"guard_node"}
    assert not who(path, "topic", "publish", "/arm/target_pose") & {"operator"}


@pytest.mark.parametrize(("name", "topic"), [("sim", "/sim/truth"), ("gazebo", "/policy/step")])
def test_who_listens_is_listed_too(name: str, topic: str) -> None:
    path = ROOT / FOLDER / f"{name}.xml"
    listeners = who(path, "topic", "subscribe", topic)
    assert {"collector_node", "operator"} <= listeners
    assert not listeners & {"guard_node", "policy_node", "gripper_node"}


def topic_table() -> Iterator[tuple[str, bool]]:
    """Yield each name of docs/reference.md, and whether it is a service."""
    text = (ROOT / "docs" / "reference.md").read_text().split("\n## ")[1]
    for name, meaning in re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, flags=re.MULTILINE):
        yield name, "std_srvs/" in meaning


def test_every_topic_and_service_of_the_reference_has_a_node_that_may_open_it() -> None:
    ours = [grant.access for grant in grants(SystemOptions(dead_man="keyboard")) if not grant.foreign]
    spoken = frozenset[str]().union(*(access.publish for access in ours))
    heard = frozenset[str]().union(*(access.subscribe for access in ours))
    offered = frozenset[str]().union(*(access.reply for access in ours))
    asked = frozenset[str]().union(*(access.request for access in ours))
    table = dict(topic_table())
    assert len(table) > 30
    for name, service in table.items():
        if name.startswith(topics.HEARTBEAT):
            name = f"{topics.HEARTBEAT}/guard_node"
        assert name in (offered if service else spoken), name
    of_ours = {name for name in spoken | heard if not name.startswith(("~", topics.HEARTBEAT))}
    standard = {"/rosout", "/parameter_events", "/clock", f"{topics.DEBUG_IMAGE}/compressed"}
    assert of_ours - standard <= set(table)
    assert {name for name in offered | asked if name[0] != "~" and "_node/" not in name} <= set(table)


@pytest.mark.parametrize("arm", ["embedded", "moveit", "moveit_servo"])
def test_every_node_has_a_grant_for_the_enclave_that_it_is_started_with(arm: str) -> None:
    options = SystemOptions(arm=arm, headless=False, namespace="left", security=True, keystore=Path("/keys"))
    listed = {grant.enclave: grant for grant in grants(options)}
    specs = system_nodes(options)
    enclaves = [spec.enclave.name for spec in specs if spec.enclave]
    assert len(set(enclaves)) == len(specs)
    assert set(enclaves) | {"/qtopt_grasping/left/operator"} == set(listed)
    for spec, enclave in zip(specs, enclaves, strict=True):
        assert (listed[enclave].node, listed[enclave].namespace) == (spec.name, "left")


def by_node(options: SystemOptions) -> dict[str, Grant]:
    return {grant.enclave.split("/", 2)[2]: grant for grant in grants(options)}


def test_moveit_servo_is_not_taken_for_our_servo() -> None:
    found = by_node(SystemOptions(arm="moveit_servo"))
    assert found["moveit_servo/servo_node"].foreign
    assert "servo_node" not in found
    assert topics.TARGET_POSE in found["moveit_servo/servo_node"].access.deny_publish


def test_moveit_inside_our_node_may_do_what_both_need() -> None:
    grant = by_node(SystemOptions(arm="moveit"))["moveit_node"]
    assert grant.foreign
    assert topics.TARGET_POSE in grant.access.deny_publish
    assert "heartbeat/moveit_node" not in grant.access.deny_publish
    assert "moveit_node/*" not in grant.access.deny_services
    assert "guard_node/*" in grant.access.deny_services


@pytest.mark.parametrize(("dead_man", "node"), [("joy", "joy_node"), ("keyboard", "dead_man_node")])
def test_the_dead_man_switch_alone_is_heard_as_such(dead_man: str, node: str) -> None:
    options = SystemOptions(system="robot", robot=SHIPPED["fr3"].robot, dead_man=dead_man)
    root = policy(grants(options))
    may = {
        enclave.attrib["path"]: allowed(profile, "topic", "publish", "/joy")
        for enclave in root.iter("enclave")
        for profile in enclave.iter("profile")
    }
    assert [path for path, allowed_to in may.items() if allowed_to] == [f"/qtopt_grasping/{node}"]
    guard = root.find(".//enclave[@path='/qtopt_grasping/guard_node']//profile")
    assert guard is not None
    assert allowed(guard, "topic", "subscribe", "/joy")


def test_a_namespace_is_a_part_of_every_name() -> None:
    root = policy(grants(SystemOptions(namespace="left")))
    for enclave in root.iter("enclave"):
        assert enclave.attrib["path"].startswith("/qtopt_grasping/left/")
    guard = root.find(".//enclave[@path='/qtopt_grasping/left/guard_node']//profile")
    assert guard is not None
    assert guard.attrib == {"ns": "/left", "node": "guard_node"}
    assert allowed(guard, "topic", "publish", "/left/arm/target_pose")
    assert not allowed(guard, "topic", "publish", "/arm/target_pose")

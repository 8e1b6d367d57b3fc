"""The list of what our nodes may say and hear is what they open, no more and no less."""

import importlib
import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from conformance.executors import DOUBLE
from grasp_bringup.run import command, executable
from grasp_bringup.security.access import OWN, Access, Facts, Names, own_access
from grasp_bringup.security.grants import beside
from grasp_bringup.system import EXECUTORS, NodeSpec, SystemOptions, system_nodes
from qtopt_policy.robot import load_robot
from qtopt_policy.share import PACKAGE, resolve
from support.graph import isolate

# Files of their own, so that no name is a default by chance.
DRIVER = """
arm_topic: my_arm/trajectory
gripper_topic: my_hand/command
"""
CAMERA = "  cameras: {shoulder: {image: cam/image, info: cam/info, transport: compressed}}\n"
LEFT_ARM = {"namespace": "left", "camera": "shoulder"}


def case(name: str, **options: Any) -> Any:
    return pytest.param(options, name, id="-".join((name, *map(str, options.values()))))


CASES = (
    *(
        case(name, **options)
        for options in ({}, LEFT_ARM)
        for name in ("sim_node", "guard_node", "servo_node", "gripper_node", "policy_node", "collector_node")
    ),
    case("collector_node", system="robot"),
    case("guard_node", system="robot", arm="embedded"),
    case("sim_node", system="gazebo"),
    case("guard_node", dead_man="joy"),
    case("dead_man_node", dead_man="keyboard"),
    case("moveit_node", arm="moveit"),
    case("moveit_servo_node", arm="moveit_servo"),
)


DOMAINS = cycle(range(201, 233))  # `isolate` takes lower ones


def own_spec(options: SystemOptions, name: str) -> NodeSpec:
    """Return the node of ours with that name."""
    specs = (*system_nodes(options), *beside(options))
    return next(spec for spec in specs if spec.name == name and spec.package == PACKAGE)


def robot_file(folder: Path) -> Path:
    """Write a robot whose drivers have names of their own; return its file."""
    text = resolve(Path("config/robots/sim.yaml")).read_text()
    text = re.sub(r"^(arm|gripper)_topic:.*\n", "", text, flags=re.MULTILINE)
    assert "\ndriver:\n" in text
    path = folder / "my_arm.yaml"
    path.write_text(text.replace("\ndriver:\n", f"{DRIVER}driver:\n{CAMERA}"))
    return path


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep to a domain of its own; put back what the doubles and `isolate` change."""
    before, modules = dict(os.environ), set(sys.modules)
    isolate(tmp_path)
    # Not that of the case before: in its domain, the graph at times lacked a new node's first topics for
    # good. It may take late word of the end of the old participant's topics for theirs.
    os.environ["ROS_DOMAIN_ID"] = str(next(DOMAINS))
    monkeypatch.syspath_prepend(str(DOUBLE))
    yield
    os.environ.clear()
    os.environ.update(before)
    for name in set(sys.modules) - modules:
        if name.startswith(("moveit", "shape_msgs", "grasp_bringup.moveit")):
            del sys.modules[name]


def node_class(spec: NodeSpec, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the class of the node that an executable starts."""
    from qtopt_policy.base_node import BaseNode

    script = Path(executable(spec)[1]).read_text()
    found = re.search(r"from (\S+) import main", script)
    assert found is not None
    module = importlib.import_module(found[1])
    if spec.executable == EXECUTORS["moveit_servo"]:  # types of MoveIt that are not on the package index
        from std_msgs.msg import Header
        from std_srvs.srv import SetBool

        monkeypatch.setattr(module, "ServoStatus", Header)
        monkeypatch.setattr(module, "PlanningScene", Header)
        monkeypatch.setattr(module, "ServoCommandType", SetBool)
    if spec.executable == EXECUTORS["moveit"]:  # its start waits for a joint state, and nobody sends one
        planning: Any = importlib.import_module("moveit.planning")
        monkeypatch.setattr(planning.Driver, "wait_newer", lambda *arguments: True)
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == found[1]]
    (cls,) = [cls for cls in classes if issubclass(cls, BaseNode)]
    return cls


VERBS = ("publish", "subscribe", "reply", "request")


def opened(spec: NodeSpec, listed: Access, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """Start a node as run.py does, as far as it opens topics; return their full names."""
    import rclpy

    line = command(spec, folder / "parameters.yaml")
    rclpy.init(args=line[line.index("--ros-args") :])
    try:
        node = node_class(spec, monkeypatch)()
        assert node.get_name() == spec.name
        assert node.trigger_configure().name == "SUCCESS"
        access = seen_of(node)
        end = time.monotonic() + 10.0  # the graph learns of what is opened a little later
        while not complete(access, node, listed) and time.monotonic() < end:
            time.sleep(0.05)
            access = seen_of(node)
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return access


def seen_of(node: Any) -> Access:
    """Return what the graph knows of a node's own."""

    def names(ask: Callable[[str, str], Any]) -> Names:
        return frozenset(name for name, _ in ask(node.get_name(), node.get_namespace()))

    return Access(
        publish=names(node.get_publisher_names_and_types_by_node),
        subscribe=names(node.get_subscriber_names_and_types_by_node),
        reply=names(node.get_service_names_and_types_by_node),
        request=names(node.get_client_names_and_types_by_node),
    )


def complete(seen: Access, node: Any, listed: Access) -> bool:
    """Return whether the graph knows all that was listed, and all that the node knows it has opened."""
    made = {
        "publish": {publisher.topic_name for publisher in node.publishers},
        "subscribe": {subscription.topic_name for subscription in node.subscriptions},
        "reply": {service.service_name for service in node.services},
        "request": {client.service_name for client in node.clients},
    }
    return all(getattr(seen, verb) >= made[verb] | getattr(listed, verb) for verb in VERBS)


def full(names: Names, spec: NodeSpec) -> Names:
    """Return names as the graph has them."""
    space = "/" + f"{spec.namespace}/".lstrip("/")
    private = f"{space}{spec.name}/"
    return frozenset(
        name if name[0] == "/" else private + name[2:] if name[0] == "~" else space + name for name in names
    )


@pytest.mark.graph
@pytest.mark.parametrize(("options", "name"), CASES)
def test_a_node_opens_what_the_list_allows_and_nothing_else(
    options: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "arm" not in options and "system" not in options:
        options = {**options, "robot": robot_file(tmp_path)}
    system = SystemOptions(**options)
    robot = load_robot(resolve(system.robot))
    spec = own_spec(system, name)
    allowed = own_access(Facts(spec, robot, robot.camera_topics(system.camera)))
    listed = replace(allowed, **{verb: full(getattr(allowed, verb), spec) for verb in VERBS})
    found = opened(spec, listed, tmp_path, monkeypatch)
    for verb in VERBS:
        assert getattr(found, verb) == getattr(listed, verb), verb


def test_every_executable_is_compared() -> None:
    listed = [(SystemOptions(**entry.values[0]), entry.values[1]) for entry in CASES]
    compared = {own_spec(options, name).executable for options, name in listed}
    assert compared == set(OWN)


def test_a_gripper_that_is_an_action_is_called_and_not_published_to() -> None:
    system = SystemOptions(system="robot", robot=Path("config/robots/fr3.yaml"))
    robot = load_robot(resolve(system.robot))
    spec = next(spec for spec in system_nodes(system) if spec.name == "gripper_node")
    access = own_access(Facts(spec, robot, robot.camera_topics("wrist")))
    assert access.call == {"franka_gripper/gripper_action"}
    assert not access.publish & access.call

"""A ROS parameter file for the nodes of a system."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grasp_bringup.system import NodeSpec, SystemOptions, cell_nodes, system_nodes
from qtopt_policy.errors import ConfigError, UnknownNameError

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes a parameter file and returns its path."""

    def to_file(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return to_file


def by_name(**options: Any) -> dict[str, NodeSpec]:
    return {spec.name: spec for spec in system_nodes(SystemOptions(**options))}


def test_a_node_gets_what_the_file_holds_for_it(write: Write) -> None:
    path = write(
        "moveit_node:\n  ros__parameters:\n    planner: ik\n"
        "/collector_node:\n  ros__parameters: {deadline: 60.0, record_debug_image: false}\n"
    )
    specs, plain = by_name(arm="moveit", params=path), by_name(arm="moveit")
    assert specs["moveit_node"].parameters["planner"] == "ik"
    added = {"deadline": 60.0, "record_debug_image": False}
    assert specs["collector_node"].parameters == {**plain["collector_node"].parameters, **added}
    assert specs["guard_node"] == plain["guard_node"]


def test_the_file_wins_over_what_the_system_sets_and_in_it_the_later_entry(write: Write) -> None:
    path = write(
        "/**:\n  ros__parameters: {heartbeat_timeout: 2.0, overspeed: 1.1}\n"
        "guard_node:\n  ros__parameters: {overspeed: 1.2}\n"
    )
    specs = by_name(params=path)
    assert {spec.parameters["heartbeat_timeout"] for spec in specs.values()} == {2.0}
    overspeeds = {name: spec.parameters["overspeed"] for name, spec in specs.items()}
    assert overspeeds.pop("guard_node") == 1.2
    assert set(overspeeds.values()) == {1.1}


def test_nested_names_have_dots(write: Write) -> None:
    path = write("policy_node:\n  ros__parameters:\n    search: {samples: 64, elites: 6}\n")
    parameters = by_name(params=path)["policy_node"].parameters
    assert (parameters["search.samples"], parameters["search.elites"]) == (64, 6)


@pytest.mark.parametrize(
    ("name", "concerned"),
    [
        ("guard_node", {"", "left", "right"}),
        ("/left/guard_node", {"left"}),
        ("left: {guard_node", {"left"}),
        ("/**/guard_node", {"", "left", "right"}),
    ],
)
def test_a_name_may_have_a_namespace(write: Write, name: str, concerned: set[str]) -> None:
    end = "}" if "{" in name else ""
    path = write(f"{name}: {{ros__parameters: {{overspeed: 1.2}}}}{end}\n")
    found = {space for space in ("", "left", "right") if _overspeed(path, space)}
    assert found == concerned


def _overspeed(path: Path, namespace: str) -> bool:
    return "overspeed" in by_name(params=path, namespace=namespace)["guard_node"].parameters


def test_one_file_serves_several_systems(write: Write) -> None:
    path = write(
        "moveit_node:\n  ros__parameters: {planner: ik}\n"
        "policy_node:\n  ros__parameters: {debug_image: false}\n"
    )
    assert cell_nodes(SystemOptions(params=path)) == cell_nodes(SystemOptions())


def test_a_node_that_no_system_has_is_refused_with_the_valid_names(write: Write) -> None:
    path = write("gaurd_node:\n  ros__parameters: {overspeed: 1.2}\n")
    with pytest.raises(UnknownNameError, match=r"mine\.yaml 'gaurd_node'.*gripper_node, guard_node"):
        system_nodes(SystemOptions(params=path))


@pytest.mark.parametrize(
    ("node", "name"), [("guard_node", "robot"), ("/**", "camera"), ("collector_node", "episodes")]
)
def test_what_is_a_launch_argument_has_one_place(write: Write, node: str, name: str) -> None:
    path = write(f"{node}:\n  ros__parameters: {{{name}: other}}\n")
    with pytest.raises(ConfigError, match=f"{name}: say it by the launch argument {name}:="):
        system_nodes(SystemOptions(params=path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "cannot be read"),
        ("", "expected names of nodes over ros__parameters, found None"),
        ("guard_node: {overspeed: 1.2}", "guard_node: overspeed: expected names of nodes"),
        ("ros__parameters: {overspeed: 1.2}", "overspeed: expected names of nodes"),
        ("guard_node: {ros__parameters: 3}", "expected names and values of parameters, found 3"),
        ("guard_node: {ros__parameters: {overspeed: }}", "overspeed: None is no value"),
        ("guard_node: {ros__parameters: {overspeed: [1, 2.0]}}", r"overspeed: \[1, 2.0\] is no value"),
    ],
)
def test_a_file_of_another_form_is_refused_by_its_place(write: Write, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"mine.yaml.*{told}"):
        system_nodes(SystemOptions(params=write(text)))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"params nope\.yaml: there is no such file"):
        SystemOptions(params=Path("nope.yaml"))

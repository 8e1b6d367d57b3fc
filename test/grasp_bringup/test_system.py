import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grasp_bringup.system import NodeSpec, SystemOptions, cell_nodes, system_nodes
from qtopt_policy.errors import ConfigError, UnknownNameError

PLACES = {
    "sim_node": ("grasp_bringup.sim.sim_node", "SimNode"),
    "guard_node": ("grasp_bringup.guard_node", "GuardNode"),
    "servo_node": ("grasp_bringup.servo_node", "ServoNode"),
    "gripper_node": ("grasp_bringup.gripper_node", "GripperNode"),
    "policy_node": ("qtopt_policy.policy_node", "PolicyNode"),
    "collector_node": ("qtopt_collector.collector_node", "CollectorNode"),
}


def by_name(options: SystemOptions) -> dict[str, NodeSpec]:
    return {spec.name: spec for spec in system_nodes(options)}


def test_no_node_is_listed_twice() -> None:
    names = [spec.name for spec in system_nodes(SystemOptions(headless=False))]
    assert len(names) == len(set(names))


def test_the_system_is_the_cell_with_policy_and_collector() -> None:
    cell = {spec.name for spec in cell_nodes(SystemOptions())}
    assert set(by_name(SystemOptions())) == cell | {"policy_node", "collector_node"}


def test_everything_runs_on_simulated_time_but_what_makes_it() -> None:
    specs = by_name(SystemOptions())
    assert {name for name, spec in specs.items() if not spec.parameters["use_sim_time"]} == {"sim_node"}


def test_simulated_time_waits_for_every_node_that_is_there() -> None:
    specs = by_name(SystemOptions())
    assert specs["sim_node"].parameters["lockstep_consumers"] == [
        name for name in specs if name != "sim_node"
    ]
    cell = cell_nodes(SystemOptions())
    assert cell[0].parameters["lockstep_consumers"] == [spec.name for spec in cell[1:]]


@pytest.mark.parametrize(("rtf", "counted_on"), [(1.0, 0.25), (0.5, 0.125), (8.0, 0.25), (0.0, 0.25)])
def test_watchdogs_count_on_a_quarter_of_what_is_surely_reached(rtf: float, counted_on: float) -> None:
    specs = by_name(SystemOptions(rtf=rtf))
    assert {spec.parameters["real_time_factor"] for spec in specs.values()} == {counted_on}
    assert specs["sim_node"].parameters["rtf"] == rtf


def test_whole_numbers_become_what_ros_takes_for_a_double() -> None:
    specs = by_name(SystemOptions(rtf=4, epsilon=0))
    assert isinstance(specs["sim_node"].parameters["rtf"], float)
    assert isinstance(specs["policy_node"].parameters["policy.epsilon"], float)
    assert isinstance(specs["collector_node"].parameters["epsilon"], float)


def test_the_simulated_arm_needs_no_arming() -> None:
    assert by_name(SystemOptions())["guard_node"].parameters["require_arming"] is False


def test_all_nodes_share_robot_and_namespace() -> None:
    options = SystemOptions(robot=Path("/my/arm.yaml"), namespace="left")
    assert {spec.parameters["robot"] for spec in system_nodes(options)} == {"/my/arm.yaml"}
    assert {spec.namespace for spec in system_nodes(options)} == {"left"}


def test_paths_do_not_depend_on_where_a_node_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    specs = by_name(SystemOptions(bags=Path("bags"), checkpoint=Path("v1")))
    assert specs["collector_node"].parameters["bags"] == str(tmp_path / "bags")
    assert specs["policy_node"].parameters["checkpoint"] == str(tmp_path / "v1")


@pytest.mark.parametrize(
    ("field", "value", "choices"),
    [("system", "gazebo", "sim"), ("arm", "moveit", "embedded"), ("camera", "head", "shoulder, wrist")],
)
def test_an_unknown_choice_is_refused_with_the_valid_ones(field: str, value: str, choices: str) -> None:
    with pytest.raises(UnknownNameError, match=f"{field} '{value}'.*{choices}"):
        SystemOptions(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("field", "value"), [("episodes", 0), ("seed", -1), ("rtf", -1.0), ("epsilon", 1.5)])
def test_a_value_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        SystemOptions(**{field: value})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ros() -> Iterator[None]:
    """A ROS context that nobody else sees."""
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 200)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    import rclpy

    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.mark.graph
@pytest.mark.parametrize("name", PLACES)
def test_a_node_declares_every_parameter_that_it_is_given(ros: None, name: str) -> None:
    # An override that no node declares is ignored without a word.
    module, cls = PLACES[name]
    node: Any = getattr(importlib.import_module(module), cls)()
    try:
        assert node.get_name() == name
        unknown = {key for key in by_name(SystemOptions())[name].parameters if not node.has_parameter(key)}
        assert not unknown
        for key, value in by_name(SystemOptions())[name].parameters.items():
            assert type(node.get_parameter(key).value) is type(value), key
    finally:
        node.destroy_node()


def test_every_node_is_checked() -> None:
    assert set(PLACES) == set(by_name(SystemOptions()))

"""What stands for the drivers, by system, and what Gazebo changes in the nodes that run on a robot."""

from pathlib import Path

import pytest

from grasp_bringup.node_spec import NodeSpec
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import SystemOptions, cell_nodes, driver_nodes, system_nodes
from qtopt_policy.errors import ConfigError

GAZEBO = SystemOptions(system="gazebo")


def by_name(nodes: tuple[NodeSpec, ...]) -> dict[str, NodeSpec]:
    return {spec.name: spec for spec in nodes}


def test_the_embedded_simulator_alone_waits_for_nobody() -> None:
    (sim,) = driver_nodes(SystemOptions())
    assert sim.name == "sim_node"
    assert sim.parameters["lockstep"] is False


def test_a_robot_brings_its_own_drivers() -> None:
    assert driver_nodes(SystemOptions(system="robot")) == ()


@pytest.mark.parametrize("options", [GAZEBO, SystemOptions()])
def test_the_cell_begins_with_the_drivers(options: SystemOptions) -> None:
    names = [spec.name for spec in driver_nodes(options)]
    assert [spec.name for spec in cell_nodes(options)][: len(names)] == names


def test_gazebo_moves_the_arm_as_a_robot_does_unless_told_otherwise() -> None:
    assert "moveit_node" in by_name(system_nodes(GAZEBO))
    assert "servo_node" in by_name(system_nodes(SystemOptions(system="gazebo", arm="embedded")))


def test_in_gazebo_scenes_are_reset_and_nothing_need_be_armed() -> None:
    specs = by_name(system_nodes(GAZEBO))
    assert specs["collector_node"].parameters["reset"] == "sim"
    assert specs["guard_node"].parameters["require_arming"] is False
    assert (specs["sim_node"].executable, specs["sim_node"].parameters["seed"]) == ("gazebo_node", 10_000)


def test_without_launch_gazebo_is_refused_with_the_command_that_starts_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"spawn_arm, .*ros2 launch qtopt_grasping gazebo\.launch\.py"):
        RunningSystem(system_nodes(GAZEBO), tmp_path)


def test_watchdogs_are_as_patient_as_with_the_embedded_simulator() -> None:
    factors = {
        spec.parameters["real_time_factor"]
        for spec in system_nodes(GAZEBO)
        if spec.package == "qtopt_grasping"
    }
    assert factors == {0.25}

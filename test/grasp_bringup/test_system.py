import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.executors import DOUBLE
from grasp_bringup.sim.scene import load_scene_config
from grasp_bringup.system import EXECUTORS, OURS, NodeSpec, SystemOptions, cell_nodes, system_nodes
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

PLACES = {
    "sim_node": ("grasp_bringup.sim.sim_node", "SimNode"),
    "guard_node": ("grasp_bringup.guard_node", "GuardNode"),
    "servo_node": ("grasp_bringup.servo_node", "ServoNode"),
    "moveit_node": ("grasp_bringup.moveit_node", "MoveItNode"),
    "moveit_servo_node": ("grasp_bringup.moveit_servo_node", "MoveItServoNode"),
    "gripper_node": ("grasp_bringup.gripper_node", "GripperNode"),
    "policy_node": ("qtopt_policy.policy_node", "PolicyNode"),
    "collector_node": ("qtopt_collector.collector_node", "CollectorNode"),
}


FR3 = Path("config/robots/fr3.yaml")
WEIGHTS = Path("models/compact_wrist/policy.safetensors")


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
    specs = by_name(SystemOptions(rtf=4, epsilon=0, noise=0, explore=1))
    assert isinstance(specs["sim_node"].parameters["rtf"], float)
    assert isinstance(specs["policy_node"].parameters["policy.epsilon"], float)
    for name in ("epsilon", "noise", "explore"):
        assert isinstance(specs["collector_node"].parameters[name], float)


def test_the_simulated_arm_needs_no_arming() -> None:
    assert by_name(SystemOptions())["guard_node"].parameters["require_arming"] is False


def test_the_guard_alone_is_told_of_the_dead_man_switch() -> None:
    specs = by_name(SystemOptions(dead_man="joy", dead_man_button=4))
    told = {
        name: spec.parameters["dead_man"] for name, spec in specs.items() if "dead_man" in spec.parameters
    }
    assert told == {"guard_node": "joy"}
    assert specs["guard_node"].parameters["dead_man_button"] == 4
    assert by_name(SystemOptions())["guard_node"].parameters["dead_man"] == "none"


def test_all_nodes_share_robot_and_namespace() -> None:
    options = SystemOptions(robot=FR3, namespace="left")
    assert {spec.parameters["robot"] for spec in system_nodes(options)} == {str(FR3)}
    assert {spec.namespace for spec in system_nodes(options)} == {"left"}


@pytest.mark.parametrize("arm", ["embedded", "moveit", "moveit_servo"])
def test_a_simulated_graph_under_a_namespace_has_a_clock_of_its_own(arm: str) -> None:
    alone, left = SystemOptions(arm=arm), SystemOptions(arm=arm, namespace="left")
    assert not [spec.name for spec in system_nodes(alone) if "/clock" in dict(spec.remappings)]
    assert {dict(spec.remappings).get("/clock") for spec in system_nodes(left)} == {"clock"}


def test_a_robot_under_a_namespace_has_the_time_of_all() -> None:
    specs = system_nodes(SystemOptions(robot=FR3, namespace="left"))
    assert not [spec.name for spec in specs if spec.remappings]


@pytest.mark.parametrize("namespace", ["", "/", "left", "/left/", "cell_1/arm2"])
def test_a_namespace_is_what_ros_takes(namespace: str) -> None:
    assert SystemOptions(namespace=namespace).namespace == namespace


@pytest.mark.parametrize("namespace", ["a-b", "1a", "a//b", "a b", "~a"])
def test_a_namespace_that_ros_does_not_take_is_refused(namespace: str) -> None:
    with pytest.raises(ConfigError, match=f"namespace '{namespace}': must be a name of letters"):
        SystemOptions(namespace=namespace)


def test_paths_do_not_depend_on_where_a_node_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("v1").touch()
    specs = by_name(SystemOptions(bags=Path("bags"), checkpoint=Path("v1")))
    assert specs["collector_node"].parameters["bags"] == str(tmp_path / "bags")
    assert specs["policy_node"].parameters["checkpoint"] == str(tmp_path / "v1")


@pytest.mark.parametrize(
    ("field", "value", "choices"),
    [
        ("system", "hall", "sim"),
        ("arm", "left", "embedded, moveit"),
        ("camera", "head", "shoulder, wrist"),
        ("policy", "scriptd", "auto, cem, random, scripted, scripted_exact, turns"),
        ("dead_man", "pedal", "joy, keyboard, none"),
        ("hot_reload", "always", "better, never, newest"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_valid_ones(field: str, value: str, choices: str) -> None:
    with pytest.raises(UnknownNameError, match=f"{field} '{value}'.*{choices}"):
        SystemOptions(**{field: value})  # type: ignore[arg-type]


def test_a_robots_file_and_a_checkpoint_are_enough_to_grasp_with_it() -> None:
    options = SystemOptions(robot=FR3, checkpoint=WEIGHTS)
    assert (options.system, options.executor, options.policy) == ("robot", "moveit", "cem")
    specs = by_name(options)
    assert "sim_node" not in specs
    assert specs["policy_node"].parameters["policy.name"] == "cem"
    assert specs["policy_node"].parameters["checkpoint"] == str(WEIGHTS.absolute())
    assert specs["collector_node"].parameters["policy"] == "cem"
    assert specs["guard_node"].parameters["require_arming"] is True


def test_seeds_go_on_where_the_bags_end_behind_those_kept_for_evaluation(tmp_path: Path) -> None:
    first = load_scene_config().evaluation_seeds
    for system in ("sim", "robot"):
        bags = tmp_path / system
        options = SystemOptions(system=system, bags=bags)
        for count in range(3):
            for name in ("policy_node", "collector_node"):
                assert by_name(options)[name].parameters["seed"] == first + count
            (bags / f"episode_{count:06d}").mkdir(parents=True)
    assert by_name(options)["policy_node"].parameters["seed"] == first + 3


def test_a_seed_that_is_given_counts_whatever_bags_there_are(tmp_path: Path) -> None:
    (tmp_path / "episode_000001").mkdir()
    specs = by_name(SystemOptions(bags=tmp_path, seed=7))
    assert {specs[name].parameters["seed"] for name in ("sim_node", "policy_node", "collector_node")} == {7}


def test_the_scene_of_a_cell_alone_depends_on_no_bags(tmp_path: Path) -> None:
    (tmp_path / "episode_000001").mkdir()
    sim = cell_nodes(SystemOptions(bags=tmp_path))[0]
    assert sim.parameters["seed"] == load_scene_config().evaluation_seeds


def test_weights_are_exchanged_only_if_asked_for() -> None:
    assert by_name(SystemOptions())["policy_node"].parameters["hot_reload"] == "never"
    specs = by_name(SystemOptions(robot=FR3, checkpoint=WEIGHTS, hot_reload="newest"))
    assert specs["policy_node"].parameters["hot_reload"] == "newest"


@pytest.mark.parametrize(
    ("hot_reload", "advice"), [("never", "file$"), ("newest", "file; start once the learner")]
)
def test_weights_that_are_not_there_are_refused_before_anything_starts(hot_reload: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=f"checkpoint nope.safetensors: there is no such {advice}"):
        SystemOptions(robot=FR3, checkpoint=Path("nope.safetensors"), hot_reload=hot_reload)


def test_a_camera_may_have_any_name_that_the_robots_file_gives_it(tmp_path: Path) -> None:
    robot = tmp_path / "mine.yaml"
    robot.write_text(resolve(FR3).read_text().replace("  wrist:", "  palm:"))
    specs = by_name(SystemOptions(robot=robot, camera="palm"))
    assert specs["policy_node"].parameters["camera"] == "palm"
    with pytest.raises(UnknownNameError, match=r"unknown camera 'wrist'\. Valid choices: .*palm"):
        SystemOptions(robot=robot)


def test_the_simulators_file_is_simulated_wherever_it_lies(tmp_path: Path) -> None:
    options = SystemOptions()
    assert (options.system, options.executor, options.policy) == ("sim", "embedded", "scripted")
    copy = tmp_path / "my_sim.yaml"
    copy.write_text(resolve(options.robot).read_text())
    assert SystemOptions(robot=copy).system == "sim"
    assert SystemOptions(system="robot", robot=copy).system == "robot"


def test_a_robot_that_is_none_of_the_simulators_is_not_simulated() -> None:
    with pytest.raises(ConfigError, match=r"system sim with robot .*fr3\.yaml.*Valid choices.*robot"):
        SystemOptions(system="sim", robot=FR3)


def test_a_robots_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"/my/arm\.yaml"):
        SystemOptions(robot=Path("/my/arm.yaml"))


@pytest.mark.parametrize("policy", ["scripted", "scripted_exact", "random"])
def test_a_checkpoint_that_would_not_drive_is_refused(policy: str) -> None:
    with pytest.raises(ConfigError, match=f"policy {policy} with checkpoint v1: .*: cem, auto, turns"):
        SystemOptions(policy=policy, checkpoint=Path("v1"))


@pytest.mark.parametrize("policy", ["cem", "auto", "turns"])
def test_a_checkpoint_leaves_the_choice_among_what_it_drives(policy: str) -> None:
    options = SystemOptions(policy=policy, checkpoint=WEIGHTS)
    assert by_name(options)["collector_node"].parameters["policy"] == policy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("episodes", 0),
        ("seed", -1),
        ("rtf", -1.0),
        ("epsilon", 1.5),
        ("noise", -0.1),
        ("explore", 2.0),
        ("dead_man_button", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        SystemOptions(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("system", "arm", "nodes"),
    [
        ("sim", "auto", {"servo_node"}),
        ("sim", "moveit", {"moveit_node"}),
        ("robot", "auto", {"moveit_node"}),
        ("robot", "embedded", {"servo_node"}),
        ("robot", "moveit_servo", {"servo_node", "moveit_servo_node"}),
    ],
)
def test_the_executor_is_the_one_asked_for(system: str, arm: str, nodes: set[str]) -> None:
    specs = by_name(SystemOptions(system=system, arm=arm))
    assert set(specs) & {"servo_node", "moveit_node", "moveit_servo_node"} == nodes
    ours = next(name for name in nodes if specs[name].package == "qtopt_grasping")
    assert ours in specs["collector_node"].parameters["watched"]  # type: ignore[operator]


def test_a_robot_has_its_own_time_drivers_and_arming() -> None:
    specs = by_name(SystemOptions(system="robot"))
    assert "sim_node" not in specs
    assert {spec.parameters["use_sim_time"] for spec in specs.values()} == {False}
    assert {spec.parameters["real_time_factor"] for spec in specs.values()} == {1.0}
    assert specs["guard_node"].parameters["require_arming"] is True
    assert specs["collector_node"].parameters["reset"] == "none"


def test_moveit_servo_gets_the_guards_targets_and_the_robots_names_and_speeds() -> None:
    options = SystemOptions(arm="moveit_servo")
    servo = by_name(options)["servo_node"]
    robot = load_robot(resolve(options.robot))
    assert servo.package == "moveit_servo"
    assert servo.remappings == (("~/pose_target_cmds", "arm/target_pose"),)
    assert servo.parameters["moveit_servo.scale.linear"] == robot.limits.max_tool_speed
    assert servo.parameters["moveit_servo.command_out_topic"] == robot.arm_topic
    assert servo.parameters["moveit_servo.move_group_name"] == "arm"
    assert str(servo.parameters["robot_description"]).startswith("<?xml")
    assert servo.parameters["robot_description_kinematics.arm.kinematics_solver"]


@pytest.mark.parametrize("rtf", [0.0, 0.5, 2.0])
def test_moveit_servo_refuses_a_simulation_at_another_speed(rtf: float) -> None:
    with pytest.raises(ConfigError, match="must be 1 with arm moveit_servo"):
        SystemOptions(arm="moveit_servo", rtf=rtf)


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
def test_a_node_declares_every_parameter_that_it_is_given(
    ros: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An override that no node declares is ignored without a word.
    module, cls = PLACES[name]
    arm = {"moveit_node": "moveit", "moveit_servo_node": "moveit_servo"}.get(name, "embedded")
    if arm != "embedded":
        monkeypatch.syspath_prepend(str(DOUBLE))
    given = by_name(SystemOptions(arm=arm))[name].parameters
    node: Any = getattr(importlib.import_module(module), cls)()
    try:
        assert node.get_name() == name
        unknown = {key for key in given if not node.has_parameter(key)}
        assert not unknown
        for key, value in given.items():
            assert type(node.get_parameter(key).value) is type(value), key
    finally:
        node.destroy_node()


def test_every_node_is_checked() -> None:
    listed = [by_name(SystemOptions(arm=arm)) for arm in EXECUTORS]
    ours = {name for specs in listed for name, spec in specs.items() if spec.package == "qtopt_grasping"}
    assert set(PLACES) == set(OURS) == ours


def test_only_nodes_that_wait_for_a_resume_are_started_again() -> None:
    restarts = {spec.name: spec.restarts for spec in system_nodes(SystemOptions(restarts=3))}
    assert {name for name, count in restarts.items() if count == 3} == {
        "guard_node",
        "servo_node",
        "gripper_node",
        "policy_node",
    }
    assert restarts["sim_node"] == restarts["collector_node"] == 0


@pytest.mark.parametrize("arm", ["embedded", "moveit", "moveit_servo"])
def test_the_guard_watches_the_node_that_moves_the_arm(arm: str) -> None:
    specs = {spec.name: spec for spec in system_nodes(SystemOptions(arm=arm))}
    assert specs["guard_node"].parameters["executor"] in specs

"""gazebo.launch.py, executed: Gazebo's server with its arguments, and the nodes in their order."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest

from grasp_bringup.gazebo.nodes import gazebo_nodes
from grasp_bringup.system import NodeSpec, SystemOptions, driver_nodes, system_nodes
from integration.worlds import DRIVERS_FILE
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.launch_harness import LAUNCH_FILES, Launched, execute

GAZEBO, GRASP = LAUNCH_FILES / "gazebo.launch.py", LAUNCH_FILES / "grasp.launch.py"
# Arguments that gz_sim.launch.py declares (ros_gz a4d00a9, ros_gz_sim/launch/gz_sim.launch.py.in).
DECLARED = {"gz_args", "gz_version", "ign_args", "ign_version", "debugger", "on_exit_shutdown"}
WORLD = LAUNCH_FILES.parent / "worlds" / "bin.sdf"


@pytest.fixture(autouse=True)
def ros_gz_sim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ament_index find a package ros_gz_sim; return its launch file."""
    marker = tmp_path / "share/ament_index/resource_index/packages/ros_gz_sim"
    marker.parent.mkdir(parents=True)
    marker.touch()
    share = tmp_path / "share" / "ros_gz_sim"
    share.mkdir()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return share / "launch" / "gz_sim.launch.py"


def by_name(launched: Launched) -> dict[str, NodeSpec]:
    return {spec.name: spec for spec in launched.nodes}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({}, SystemOptions(system="gazebo")),
        (
            {"camera": "shoulder", "arm": "embedded", "policy": "random", "headless": "false"},
            SystemOptions(
                system="gazebo", camera="shoulder", arm="embedded", policy="random", headless=False
            ),
        ),
        (
            {"seed": "7", "split": "test", "episodes": "2"},
            SystemOptions(system="gazebo", seed=7, split="test", episodes=2),
        ),
    ],
)
def test_it_starts_the_nodes_of_the_system(arguments: dict[str, str], options: SystemOptions) -> None:
    launched = execute(GAZEBO, arguments)
    assert launched.nodes == list(system_nodes(options))
    assert execute(GRASP, {**arguments, "system": "gazebo"}).nodes == launched.nodes


def test_it_takes_every_option_but_the_system() -> None:
    names = {entry.name for entry in fields(SystemOptions)}
    arguments = execute(GAZEBO, {}).arguments
    assert set(arguments) == names - {"system"}
    for name, (_, description, _) in arguments.items():
        assert len(description.split()) >= 3, name


@pytest.mark.parametrize(
    ("headless", "flags"), [("true", ["-r", "-s", "--headless-rendering"]), ("false", ["-r"])]
)
def test_the_server_runs_our_world_and_its_end_is_the_end(
    headless: str, flags: list[str], ros_gz_sim: Path
) -> None:
    (path, arguments), *others = execute(GAZEBO, {"headless": headless}).included.items()
    assert not others
    assert path == ros_gz_sim
    assert set(arguments) <= DECLARED
    assert shlex.split(arguments["gz_args"]) == [*flags, str(WORLD)]
    assert WORLD.is_file()
    assert arguments["on_exit_shutdown"] == "true"


def test_without_ros_gz_sim_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "none"))
    with pytest.raises(MissingDependencyError, match="'ros_gz_sim' is not installed: apt install"):
        execute(GAZEBO, {})


def test_nothing_of_gazebo_starts_with_another_system() -> None:
    for arguments in ({}, {"system": "robot"}):
        launched = execute(GRASP, arguments)
        assert not launched.included
        assert not [spec for spec in launched.nodes if spec.task or spec.package.startswith("ros_gz")]


def test_controllers_start_one_after_the_other_once_the_arm_is_there() -> None:
    specs = by_name(execute(GAZEBO, {}))
    tasks = [name for name, spec in specs.items() if spec.task]
    assert tasks == [
        "spawn_arm",
        "spawn_joint_state_broadcaster",
        "spawn_arm_controller",
        "spawn_gripper_controller",
    ]
    assert [specs[name].after for name in tasks] == ["", *tasks[:-1]]
    assert not [name for name, spec in specs.items() if spec.after and not spec.task]


def test_a_spawner_gets_its_controller_and_the_file_that_configures_it() -> None:
    specs = by_name(execute(GAZEBO, {}))
    name, flag, file = specs["spawn_arm_controller"].arguments
    assert (name, flag) == ("arm_controller", "--param-file")
    assert Path(file).is_file()
    assert f"<parameters>{file}</parameters>" in str(
        specs["robot_state_publisher"].parameters["robot_description"]
    )


def test_the_arm_is_spawned_out_of_its_description_into_our_world() -> None:
    spec = by_name(execute(GAZEBO, {}))["spawn_arm"]
    assert (spec.package, spec.executable) == ("ros_gz_sim", "create")
    assert spec.parameters == {"world": "bin", "topic": "robot_description", "name": "sim"}
    assert f'<world name="{spec.parameters["world"]}">' in WORLD.read_text()


@pytest.mark.parametrize("camera", ["wrist", "shoulder"])
def test_the_bridge_puts_the_active_camera_where_the_nodes_look(camera: str) -> None:
    spec = by_name(execute(GAZEBO, {"camera": camera}))["gazebo_bridge"]
    assert (spec.package, spec.executable) == ("ros_gz_bridge", "parameter_bridge")
    assert dict(spec.remappings) == {
        f"{camera}_camera/image_raw": "camera/image_raw",
        f"{camera}_camera/camera_info": "camera/camera_info",
    }
    file = Path(str(spec.parameters["config_file"]))
    assert all(f"ros_topic_name: {name}\n" in file.read_text() for name, _ in spec.remappings)


def test_our_nodes_are_those_of_a_robot_with_resets() -> None:
    ours = {spec.name for spec in execute(GAZEBO, {}).nodes if spec.package == "qtopt_grasping"}
    robot = {spec.name for spec in execute(GRASP, {"system": "robot"}).nodes}
    assert ours == robot | {"sim_node"}


def test_with_security_gazebos_server_has_an_enclave_that_nobody_inherits(
    ros_gz_sim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    check = "grasp_bringup.launching.require_security"
    monkeypatch.setattr(check, lambda *arguments: checked.append(arguments[2]))
    launched = execute(GAZEBO, {"security": "true", "keystore": "/keys"})
    server = "/qtopt_grasping/gazebo_server"
    assert launched.enclaves == {ros_gz_sim: server}
    assert checked == [[server]]
    assert "ROS_SECURITY_ENCLAVE_OVERRIDE" not in launched.environment
    names = [spec.enclave.name for spec in launched.nodes if spec.enclave]
    assert len(set(names)) == len(launched.nodes)
    assert "/qtopt_grasping/ros_gz_bridge/gazebo_bridge" in names
    assert not execute(GAZEBO, {}).enclaves


def test_the_integration_suite_starts_the_drivers_alone() -> None:
    launched = execute(DRIVERS_FILE, {})
    assert launched.nodes == list(driver_nodes(SystemOptions(system="gazebo")))
    assert len(launched.included) == 1


def test_they_stay_on_this_machine_and_on_gazebo_s_time() -> None:
    launched = execute(GAZEBO, {})
    assert Path(launched.environment["FASTDDS_DEFAULT_PROFILES_FILE"]).name == "fastdds_local.xml"
    ours = [spec for spec in launched.nodes if spec.package == "qtopt_grasping"]
    assert {spec.parameters["use_sim_time"] for spec in ours} == {True}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rtf": "4"}, r"rtf 4\.0: must be 1 with system gazebo"),
        ({"namespace": "left"}, "namespace 'left': must be empty with system gazebo"),
    ],
)
def test_what_gazebo_cannot_do_is_refused_by_name(arguments: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        execute(GAZEBO, arguments)


def test_a_description_that_gazebo_cannot_control_is_refused(tmp_path: Path) -> None:
    urdf = tmp_path / "bare.urdf"
    urdf.write_text("<robot name='bare'><link name='base_link'/></robot>")
    robot = load_robot(resolve(Path("config/robots/sim.yaml")))
    with pytest.raises(ConfigError, match=r"bare\.urdf: .*it does not load gz_ros2_control"):
        gazebo_nodes(replace(robot, urdf=urdf), "wrist")

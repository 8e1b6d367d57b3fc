"""Every launch file is executed, with the real `launch` or its double; its nodes are those of run.py too."""

import ast
import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from grasp_bringup import run
from grasp_bringup.node_spec import Enclave
from grasp_bringup.system import CELL_OPTIONS, NodeSpec, SystemOptions, cell_nodes, system_nodes
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.share import share_directory
from support.launch_harness import DOUBLE, LAUNCH_FILES, REAL, execute

GRASP, SIM, GAZEBO = (LAUNCH_FILES / f"{name}.launch.py" for name in ("grasp", "sim", "gazebo"))

ROBOT = share_directory() / "config/robots/fr3.yaml"
WEIGHTS = share_directory() / "models/compact_wrist/policy.safetensors"

# Launch arguments (text), and the options that they must become.
GRASP_SETS: list[tuple[dict[str, str], SystemOptions]] = [
    ({}, SystemOptions()),
    (
        {"policy": "random", "episodes": "3", "rtf": "4", "seed": "7", "bags": "/data/bags"},
        SystemOptions(policy="random", episodes=3, rtf=4.0, seed=7, bags=Path("/data/bags")),
    ),
    (
        {
            "policy": "cem",
            "checkpoint": str(WEIGHTS),
            "epsilon": "0.25",
            "noise": "0.1",
            "explore": "0.5",
            "camera": "shoulder",
            "split": "test",
        },
        SystemOptions(
            policy="cem",
            checkpoint=WEIGHTS,
            epsilon=0.25,
            noise=0.1,
            explore=0.5,
            camera="shoulder",
            split="test",
        ),
    ),
    (
        {"robot": "config/robots/fr3.yaml", "checkpoint": str(WEIGHTS)},
        SystemOptions(
            system="robot",
            robot=Path("config/robots/fr3.yaml"),
            policy="cem",
            checkpoint=WEIGHTS,
        ),
    ),
    ({"namespace": "cell1", "system": "auto"}, SystemOptions(namespace="cell1", system="sim")),
    ({"headless": "false", "rtf": "0.5"}, SystemOptions(headless=False, rtf=0.5)),
    ({"bags": "1e3"}, SystemOptions(bags=Path("1e3"))),
    ({"restarts": "3"}, SystemOptions(restarts=3)),
    ({"dead_man": "joy", "dead_man_button": "4"}, SystemOptions(dead_man="joy", dead_man_button=4)),
    ({"arm": "moveit"}, SystemOptions(arm="moveit")),
    ({"arm": "moveit_servo"}, SystemOptions(arm="moveit_servo")),
    ({"system": "robot", "robot": str(ROBOT)}, SystemOptions(system="robot", robot=ROBOT)),
    (
        {"security": "true", "keystore": "/keys", "namespace": "left", "headless": "false"},
        SystemOptions(security=True, keystore=Path("/keys"), namespace="left", headless=False),
    ),
]
SIM_SETS: list[tuple[dict[str, str], SystemOptions]] = [
    ({}, SystemOptions()),
    ({"rtf": "8.0", "seed": "3", "camera": "shoulder"}, SystemOptions(rtf=8.0, seed=3, camera="shoulder")),
    ({"split": "test", "namespace": "b"}, SystemOptions(split="test", namespace="b")),
    ({"security": "true", "keystore": "/keys"}, SystemOptions(security=True, keystore=Path("/keys"))),
]


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Let any middleware pass for secure; return the nodes with an enclave of each check."""
    calls: list[tuple[str, ...]] = []

    def check(nodes: Sequence[NodeSpec], environ: object, others: Sequence[str] = ()) -> None:
        calls.append((*(spec.name for spec in nodes if spec.enclave), *others))

    monkeypatch.setattr("grasp_bringup.launching.require_security", check)
    return calls


def started_by_run(spec: NodeSpec, folder: Path) -> NodeSpec:
    """Read back what a node is told on the command line that run.py gives it."""
    line = run.command(spec, folder / f"{spec.name}.yaml")
    options = line[line.index("--ros-args") + 1 :]
    rules: dict[str, str] = {}
    parameters: dict[str, object] = {}
    enclave = None
    for flag, value in zip(options[::2], options[1::2], strict=True):
        if flag == "--params-file":
            parameters = yaml.safe_load(Path(value).read_text())["/**"]["ros__parameters"]
        elif flag == "--enclave":
            assert spec.enclave is not None
            enclave = Enclave(value, spec.enclave.keystore)
        else:
            assert flag == "-r"
            source, _, target = value.partition(":=")
            rules[source] = target
    name, namespace = rules.pop("__node"), rules.pop("__ns", "").strip("/")
    return dataclasses.replace(
        spec,
        executable=Path(line[line.index("--ros-args") - 1]).name,
        name=name,
        namespace=namespace,
        parameters=parameters,  # type: ignore[arg-type]
        remappings=tuple(rules.items()),
        enclave=enclave,
    )


@pytest.mark.parametrize(("arguments", "options"), GRASP_SETS)
def test_grasp_launch_starts_the_nodes_of_the_system(
    arguments: dict[str, str], options: SystemOptions
) -> None:
    assert execute(GRASP, arguments).nodes == list(system_nodes(options))


@pytest.mark.parametrize(("arguments", "options"), SIM_SETS)
def test_sim_launch_starts_the_nodes_of_the_cell(arguments: dict[str, str], options: SystemOptions) -> None:
    assert execute(SIM, arguments).nodes == list(cell_nodes(options))


@pytest.mark.parametrize(("arguments", "options"), GRASP_SETS)
def test_run_starts_what_launch_starts(
    arguments: dict[str, str],
    options: SystemOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package, name in (("image_view", "image_view"), ("moveit_servo", "servo_node")):
        executable = tmp_path / "lib" / package / name
        executable.parent.mkdir(parents=True)
        executable.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    started = [started_by_run(spec, tmp_path) for spec in system_nodes(options)]
    assert started == execute(GRASP, arguments).nodes


def test_every_launch_file_is_tested() -> None:
    assert set(LAUNCH_FILES.glob("*.launch.py")) == {GRASP, SIM, GAZEBO}


def test_every_option_is_an_argument_of_grasp_launch() -> None:
    arguments = execute(GRASP, {}).arguments
    assert list(arguments) == [entry.name for entry in dataclasses.fields(SystemOptions)]
    assert set(execute(SIM, {}).arguments) == set(CELL_OPTIONS)


@pytest.mark.parametrize("path", [GRASP, SIM], ids=lambda path: path.name)
def test_every_argument_has_a_description(path: Path) -> None:
    for name, (_, description, _) in execute(path, {}).arguments.items():
        assert len(description.split()) >= 3, name


def test_nodes_start_under_our_fast_dds_profile() -> None:
    environment = execute(GRASP, {}).environment
    assert Path(environment["FASTDDS_DEFAULT_PROFILES_FILE"]).name == "fastdds_local.xml"
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"


def test_with_security_every_node_has_an_enclave_and_the_environment_enforces_it(
    checked: list[tuple[str, ...]],
) -> None:
    launched = execute(GRASP, {"security": "true", "keystore": "/keys"})
    enclaves = [spec.enclave.name for spec in launched.nodes if spec.enclave]
    assert enclaves == [f"/qtopt_grasping/{spec.name}" for spec in launched.nodes]
    security = {name: value for name, value in launched.environment.items() if "SECURITY" in name}
    assert security == {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": "/keys",
    }
    assert checked == [tuple(spec.name for spec in launched.nodes)]


def test_without_security_nothing_is_set() -> None:
    launched = execute(GRASP, {})
    assert not [spec for spec in launched.nodes if spec.enclave]
    assert not [name for name in launched.environment if "SECURITY" in name]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"security": "true"}, "needs a keystore"), ({"keystore": "/keys"}, "not be used without security")],
)
def test_security_and_keystore_go_together(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        execute(GRASP, arguments)


def test_an_unknown_system_is_refused_with_the_valid_choices() -> None:
    with pytest.raises(RuntimeError, match=r"system.*hall.*sim"):
        execute(GRASP, {"system": "hall"})
    with pytest.raises(UnknownNameError, match=r"unknown system 'hall'\. Valid choices: .*robot, sim"):
        SystemOptions(system="hall")


def test_sim_launch_simulates_and_refuses_the_file_of_a_robot() -> None:
    assert "sim_node" in [spec.name for spec in execute(SIM, {}).nodes]
    with pytest.raises(ConfigError, match=r"system sim with robot config/robots/fr3\.yaml"):
        execute(SIM, {"robot": "config/robots/fr3.yaml"})


@pytest.mark.parametrize(
    ("name", "text"),
    [("episodes", "many"), ("rtf", "-1"), ("seed", "1.5"), ("headless", "2")],
)
def test_a_bad_argument_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        execute(GRASP, {name: text})


@pytest.mark.parametrize("path", [GRASP, SIM], ids=lambda path: path.name)
def test_a_parameter_file_reaches_the_nodes(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("guard_node:\n  ros__parameters:\n    overspeed: 1.2\n")
    nodes = {spec.name: spec for spec in execute(path, {"params": str(file)}).nodes}
    plain = {spec.name: spec for spec in execute(path, {}).nodes}
    assert nodes["guard_node"].parameters == {**plain["guard_node"].parameters, "overspeed": 1.2}
    assert nodes["gripper_node"] == plain["gripper_node"]
    started = started_by_run(nodes["guard_node"], tmp_path)
    assert started.parameters == nodes["guard_node"].parameters


def test_moveit_servo_refuses_any_other_speed_than_the_wall_clocks() -> None:
    with pytest.raises(ConfigError, match=r"rtf 4\.0: must be 1 with arm moveit_servo"):
        execute(GRASP, {"arm": "moveit_servo", "rtf": "4"})


def test_a_robots_nodes_may_lie_on_several_machines() -> None:
    environment = execute(GRASP, {"system": "robot", "robot": str(ROBOT)}).environment
    assert Path(environment["FASTDDS_DEFAULT_PROFILES_FILE"]).name == "fastdds.xml"


def test_the_end_of_any_node_but_the_window_ends_the_system() -> None:
    nodes = execute(GRASP, {"headless": "false"}).nodes
    assert [spec.name for spec in nodes if not spec.required] == ["debug_view"]


def test_launch_files_refuse_what_launch_refuses() -> None:
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch_ros.actions import Node

    with pytest.raises(TypeError):
        Node(package="a", node_executable="b")
    with pytest.raises(TypeError):
        Node(package="a", executable="b", parameter=[])
    with pytest.raises(TypeError):
        DeclareLaunchArgument("a", default="b")
    with pytest.raises(TypeError):
        OpaqueFunction(lambda context: None)


def _double_signatures() -> list[tuple[str, str, set[str]]]:
    found = []
    for path in sorted(DOUBLE.rglob("*.py")):
        module = ".".join(path.relative_to(DOUBLE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        names = {argument.arg for argument in (*method.args.args, *method.args.kwonlyargs)}
                        found.append((module, node.name, names))
    return found


@pytest.mark.skipif(not REAL, reason="compares the double with the real launch, which is not installed")
@pytest.mark.parametrize(("module", "name", "parameters"), _double_signatures())
def test_the_double_takes_nothing_that_launch_does_not_take(
    module: str, name: str, parameters: set[str]
) -> None:
    home = {"Action": "launch.action", "ExecuteLocal": "launch.actions.execute_local"}.get(name, module)
    real = getattr(__import__(home, fromlist=[name]), name)
    assert parameters <= set(inspect.signature(real.__init__).parameters) | {"condition"}

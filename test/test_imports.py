"""Imports go one way, heavy libraries stay where they belong, and every library used is declared."""

import ast
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"

# Each package may import itself and those before it.
PACKAGES = ("qtopt_policy", "qtopt_collector", "grasp_bringup", "qtopt_learner")

ROS = re.compile(
    r"rclpy|rosgraph_msgs|rcl_interfaces|builtin_interfaces|\w+_msgs|std_srvs|launch(_ros)?|moveit\w*"
)
# Which files, relative to src, may import which libraries.
HOMES = {
    r"rclpy|\w+_msgs|std_srvs|rcl_interfaces|builtin_interfaces": r".*_node\.py|.*/ros_client\.py",
    r"torch": r"qtopt_policy/(networks/.*|cem\.py|sampling\.py|checkpoint\.py)|qtopt_learner/.*",
    r"mujoco": r"grasp_bringup/(kinematics\.py|sim/.*)",
    r"launch|launch_ros": r"grasp_bringup/launching\.py",
    r"moveit": r"grasp_bringup/moveit_node\.py",
    r"moveit_configs_utils": r"grasp_bringup/moveit_package\.py",
}

# Distribution on the package index, where its name differs from the module's.
DISTRIBUTIONS = {
    "stable_baselines3": "stable-baselines3",
    "ament_index_python": "ros-ament-index-python",
    "catkin_pkg": "catkin-pkg",
    "builtin_interfaces": "ros-builtin-interfaces",
    "cv2": "opencv-python-headless",
    "cv_bridge": "cv-bridge",
    "diagnostic_msgs": "ros-diagnostic-msgs",
    "geometry_msgs": "ros-geometry-msgs",
    "rcl_interfaces": "ros-rcl-interfaces",
    "rclpy": "ros-rclpy",
    "rosgraph_msgs": "ros-rosgraph-msgs",
    "sensor_msgs": "ros-sensor-msgs",
    "std_msgs": "ros-std-msgs",
    "std_srvs": "ros-std-srvs",
    "trajectory_msgs": "ros-trajectory-msgs",
    "visualization_msgs": "ros-visualization-msgs",
    "yaml": "PyYAML",
}
NOT_ON_THE_INDEX = {
    "controller_manager_msgs",
    "control_msgs",
    "launch",
    "launch_ros",
    "moveit",
    "moveit_configs_utils",
    "moveit_msgs",
    "shape_msgs",
}
# ROS packages whose name differs from the module's.
ROS_PACKAGES = {"moveit": "moveit_py"}
# Not imported by name: the middleware that rclpy loads, and what torch.utils.tensorboard writes with.
LOADED_AT_RUN_TIME = {"ros-rmw-fastrtps-cpp", "tensorboard"}


@dataclass(frozen=True)
class Import:
    """One import statement: the file relative to its folder (src), its line, and the top-level module."""

    file: str
    line: int
    module: str

    def __str__(self) -> str:
        return f"src/{self.file}:{self.line}: imports {self.module}"


@cache
def imports(folder: Path = SOURCE) -> tuple[Import, ...]:
    """Return every import under a folder, wherever it stands; not those for type checking alone."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        tree = ast.parse(path.read_text())
        skipped = {
            id(node) for block in ast.walk(tree) if _for_type_checking(block) for node in ast.walk(block)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import) and id(node) not in skipped:
                found += [Import(name, node.lineno, alias.name.split(".")[0]) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and id(node) not in skipped:
                assert node.level == 0, f"src/{name}:{node.lineno}: relative import"
                found.append(Import(name, node.lineno, (node.module or "").split(".")[0]))
    return tuple(found)


def _for_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def third_party(folder: Path = SOURCE) -> set[str]:
    """Return the top-level modules that come from neither this project nor the standard library."""
    helpers = {path.name for path in (ROOT / "test").iterdir()}
    found = {entry.module for entry in imports(folder)}
    return found - set(PACKAGES) - helpers - set(sys.stdlib_module_names)


def declared(*lists: str) -> set[str]:
    """Return the names of the distributions in requirements.txt and in `lists` of setup.py."""
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    requirements = [line for line in lines if line]
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in lists:
            requirements += ast.literal_eval(node.value)
    return {re.split(r"[<>=!~\[;]", text)[0] for text in requirements}


def test_packages_import_one_way_only() -> None:
    wrong = []
    for entry in imports():
        home = entry.file.split("/")[0]
        if entry.module in PACKAGES and PACKAGES.index(entry.module) > PACKAGES.index(home):
            wrong.append(str(entry))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("modules", "files"), HOMES.items())
def test_a_heavy_library_is_imported_only_where_it_belongs(modules: str, files: str) -> None:
    wrong = [
        str(entry)
        for entry in imports()
        if re.fullmatch(modules, entry.module) and not re.fullmatch(files, entry.file)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_library_used_is_declared() -> None:
    needed = {DISTRIBUTIONS.get(module, module) for module in third_party() - NOT_ON_THE_INDEX}
    missing = needed - declared("WHEELS")
    assert not missing, f"neither requirements.txt nor setup.py requires {sorted(missing)}"


@pytest.mark.parametrize("folder", ["test", "bench"])
def test_every_library_used_in_tests_and_benches_is_declared(folder: str) -> None:
    modules = third_party(ROOT / folder) - NOT_ON_THE_INDEX
    missing = {DISTRIBUTIONS.get(module, module) for module in modules} - declared("WHEELS", "DEV", "BENCH")
    assert not missing, f"neither requirements.txt nor setup.py requires {sorted(missing)}"


def test_every_library_declared_is_used() -> None:
    used = {DISTRIBUTIONS.get(module, module) for module in third_party()}
    unused = declared("WHEELS") - used - LOADED_AT_RUN_TIME
    assert not unused, f"requirements.txt or setup.py requires {sorted(unused)}, which nothing imports"


def test_every_ros_package_used_is_in_package_xml() -> None:
    manifest = (ROOT / "package.xml").read_text()
    modules = {entry.module for entry in imports() if ROS.fullmatch(entry.module)}
    used = {ROS_PACKAGES.get(name, name) for name in modules}
    missing = {name for name in used if f"<exec_depend>{name}</exec_depend>" not in manifest}
    assert not missing, f"package.xml does not name {sorted(missing)}"


def test_no_module_is_imported_in_a_circle() -> None:
    graph = _module_graph()
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def _module_graph() -> dict[str, set[str]]:
    """Return which module imports which at its top level, within this project."""
    paths = {_module_name(path): path for path in SOURCE.rglob("*.py")}
    graph: dict[str, set[str]] = {name: set() for name in paths}
    for name, path in paths.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                candidates = [f"{node.module}.{alias.name}" for alias in node.names]
                graph[name] |= {found if found in paths else node.module for found in candidates} & set(paths)
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & set(paths)
    return graph


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")

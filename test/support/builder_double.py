"""A double of moveit_configs_utils.MoveItConfigsBuilder (moveit2 8fcb5d23): opens the files that it opens.

It looks packages up in ament's index. A file that it is not given has the usual name, a relative path is the
package's own. It raises what the real one raises: a KeyError for a file that is missing, whatever YAML and
xacro raise for one that is broken.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import xacro
import yaml
from ament_index_python.packages import get_package_share_directory

# Shipped with moveit_configs_utils for packages without these files.
DEFAULTS: dict[str, dict[str, Any]] = {
    "ompl": {"planning_plugins": ["ompl_interface/OMPLPlanner"], "planner_configs": {}},
    "pilz_industrial_motion_planner": {
        "planning_plugins": ["pilz_industrial_motion_planner/CommandPlanner"],
        "default_planner_config": "PTP",
    },
}
PLANNING = "robot_description_planning"


class FileMissingError(KeyError):
    """launch_param_builder's ParameterBuilderFileNotFoundError."""


def opened(path: Path) -> Path:
    """Return a path that exists."""
    if not path.exists():
        raise FileMissingError(f"File {path} doesn't exist")
    return path


def load(path: Path) -> Any:
    """Read YAML; an empty file is None."""
    return yaml.safe_load(opened(path).read_text())


class MoveItConfigsBuilder:
    """The builder, and the configs that it returns."""

    def __init__(
        self, robot_name: str, robot_description: str = "robot_description", package_name: str | None = None
    ) -> None:
        self._name = robot_name
        self._path = Path(get_package_share_directory(package_name or f"{robot_name}_moveit_config"))
        self._parts: dict[str, dict[str, Any]] = {}

    def _file(self, given: str | None, usual: str) -> Path:
        return self._path / (given or f"config/{usual}")

    def _xacro(self, name: str, path: Path, mappings: dict[str, str] | None) -> "MoveItConfigsBuilder":
        self._parts[name] = {name: xacro.process_file(str(opened(path)), mappings=mappings).toxml()}
        return self

    def robot_description(
        self, file_path: str | None = None, mappings: dict[str, str] | None = None
    ) -> "MoveItConfigsBuilder":
        path = self._file(file_path, f"{self._name}.urdf")
        # The real one warns that it will wait for the topic, and goes on without.
        return self._xacro("robot_description", path, mappings) if path.exists() else self

    def robot_description_semantic(
        self, file_path: str | None = None, mappings: dict[str, str] | None = None
    ) -> "MoveItConfigsBuilder":
        path = self._file(file_path, f"{self._name}.srdf")
        return self._xacro("robot_description_semantic", path, mappings)

    def robot_description_kinematics(self, file_path: str | None = None) -> "MoveItConfigsBuilder":
        found = load(self._file(file_path, "kinematics.yaml"))
        self._parts["kinematics"] = {"robot_description_kinematics": found}
        return self

    def joint_limits(self, file_path: str | None = None) -> "MoveItConfigsBuilder":
        self._parts["joint_limits"] = {PLANNING: load(self._file(file_path, "joint_limits.yaml"))}
        return self

    def moveit_cpp(self, file_path: str | None = None) -> "MoveItConfigsBuilder":
        self._parts["moveit_cpp"] = load(self._file(file_path, "moveit_cpp.yaml"))
        return self

    def trajectory_execution(
        self, file_path: str | None = None, moveit_manage_controllers: bool = True
    ) -> "MoveItConfigsBuilder":
        found: dict[str, Any] = {"moveit_manage_controllers": moveit_manage_controllers}
        if file_path is None:
            names = [path.name for path in (self._path / "config").glob("*_controllers.yaml")]
            usual = [f"{name}_controllers.yaml" for name in ("moveit", "moveit2", self._name)]
            chosen = names if len(names) == 1 else [name for name in usual if name in names][:1]
            if names and not chosen:
                raise RuntimeError("trajectory_execution: Unable to guess which parameter file to load")
            file_path = f"config/{chosen[0]}" if chosen else None
        if file_path is not None:
            found.update(load(self._path / file_path))
        self._parts["trajectory_execution"] = found
        return self

    def planning_pipelines(
        self,
        default_planning_pipeline: str | None = None,
        pipelines: list[str] | None = None,
        load_all: bool = True,
    ) -> "MoveItConfigsBuilder":
        names = pipelines or list(DEFAULTS)
        found: dict[str, Any] = {"planning_pipelines": names, "default_planning_pipeline": "ompl"}
        for name in names:
            path = self._path / "config" / f"{name}_planning.yaml"
            found[name] = load(path) if path.exists() else dict(DEFAULTS[name])
        self._parts["planning_pipelines"] = found
        return self

    def pilz_cartesian_limits(self, file_path: str | None = None) -> "MoveItConfigsBuilder":
        self._parts["pilz"] = load(self._file(file_path, "pilz_cartesian_limits.yaml"))
        return self

    def to_moveit_configs(self) -> "MoveItConfigsBuilder":
        missing: dict[str, Callable[[], object]] = {
            "robot_description": self.robot_description,
            "robot_description_semantic": self.robot_description_semantic,
            "kinematics": self.robot_description_kinematics,
            "planning_pipelines": self.planning_pipelines,
            "trajectory_execution": self.trajectory_execution,
            "joint_limits": self.joint_limits,
            "pilz": self.pilz_cartesian_limits,
        }
        for part, read in missing.items():
            if part not in self._parts:
                read()
        return self

    def to_dict(self) -> dict[str, Any]:
        pilz = self._parts.pop("pilz")
        monitor = ("planning_scene", "geometry_updates", "state_updates", "transforms_updates")
        found: dict[str, Any] = {f"publish_{name}": True for name in monitor}
        found |= {f"publish_{name}": False for name in ("robot_description", "robot_description_semantic")}
        for part in self._parts.values():  # moveit_cpp's planning_pipelines come last, in the real one too
            found.update(part)
        found.update(self._parts.get("moveit_cpp", {}))
        found[PLANNING].update(pilz)
        return found

"""Executes launch files as far as the start of processes: with the real `launch`, or its double."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import yaml

from grasp_bringup.environment import PROFILE, RANGE
from grasp_bringup.node_spec import Enclave
from grasp_bringup.security.enclaves import KEYSTORE, OVERRIDE
from grasp_bringup.system import NodeSpec

DOUBLE = Path(__file__).parent / "launch_double"
LAUNCH_FILES = Path(__file__).resolve().parents[2] / "launch"


def _is_installed(name: str) -> bool:
    # The folder launch/ of the repository looks like a namespace package, which has no origin.
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


REAL = _is_installed("launch") and _is_installed("launch_ros")
if not REAL:
    sys.path.append(str(DOUBLE))


class _Loader(yaml.SafeLoader):
    """Reads lists as launch_ros writes them: as !!python/tuple, a tag that rcl ignores."""


def _construct_list(loader: _Loader, node: yaml.Node) -> list[Any]:
    assert isinstance(node, yaml.SequenceNode)
    return list(loader.construct_sequence(node))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_list)


@dataclass(frozen=True)
class Launched:
    """What a launch file does with given arguments.

    Attributes:
        arguments: declared ones, name to (default, description, choices).
        nodes: in the order in which they start; each task has ended well when its followers do.
        environment: variables that it changed.
        included: other launch files, path to arguments.
        enclaves: the enclave of what included files start, path to name, where one is set.
    """

    arguments: dict[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    nodes: list[NodeSpec] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    included: dict[Path, dict[str, str]] = field(default_factory=dict)
    enclaves: dict[Path, str] = field(default_factory=dict)


def load(path: Path) -> Any:
    """Return the launch description of a launch file."""
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def execute(path: Path, arguments: dict[str, str]) -> Launched:
    """Execute a launch file with arguments, up to its nodes."""
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    launched = Launched()
    with patch.dict(os.environ):  # which is context.environment
        for name in (PROFILE, RANGE):  # another test may have set them for good
            os.environ.pop(name, None)
        before = dict(os.environ)
        _visit(load(path), context, launched)
        changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
    launched.environment.update(changed)
    return launched


def _visit(entity: Any, context: Any, launched: Launched, after: str = "") -> None:
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
    from launch_ros.actions import Node

    if isinstance(entity, Node):
        spec = replace(_real_spec(entity, context) if REAL else _recorded_spec(entity), after=after)
        launched.nodes.append(spec)
        for follower in _at_end(entity, context, 0) if spec.task else ():
            _visit(follower, context, launched, spec.name)
        return
    if isinstance(entity, IncludeLaunchDescription):
        source = entity.launch_description_source
        path = source.location
        if REAL:
            path = "".join(part.perform(context) for part in source._LaunchDescriptionSource__location)
        launched.included[Path(path)] = dict(entity.launch_arguments)
        if OVERRIDE in context.environment:
            launched.enclaves[Path(path)] = context.environment[OVERRIDE]
        return
    if isinstance(entity, DeclareLaunchArgument):
        default = entity.default_value
        text = (
            default if isinstance(default, str) else "".join(part.perform(context) for part in default or ())
        )
        launched.arguments[entity.name] = (text, entity.description, tuple(entity.choices or ()))
    for sub_entity in entity.visit(context) or ():
        _visit(sub_entity, context, launched)


def _recorded_spec(node: Any) -> NodeSpec:
    return NodeSpec(
        node.package,
        node.executable,
        node.name,
        node.parameters,
        tuple(node.remappings),
        node.namespace or "",
        arguments=tuple(node.arguments),
        enclave=_enclave(node.ros_arguments),
        **_ending(node),
    )


def _real_spec(node: Any, context: Any) -> NodeSpec:
    node._perform_substitutions(context)
    parameters: dict[str, Any] = {}
    for file, _ in node._Node__expanded_parameter_arguments or ():
        for section in yaml.load(Path(file).read_text(), _Loader).values():
            parameters.update(section["ros__parameters"])
        Path(file).unlink()
    name = node._Node__expanded_node_name
    rules = tuple(node.expanded_remapping_rules or ())
    namespace = node.expanded_node_namespace.strip("/")
    return NodeSpec(
        node.node_package,
        node.node_executable,
        name,
        parameters,
        rules,
        namespace,
        arguments=_words(node, context)[0],
        enclave=_enclave(_words(node, context)[1]),
        **_ending(node),
    )


def _words(node: Any, context: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stands between the executable and the arguments of ROS, and those."""
    words = ["".join(part.perform(context) for part in word) for word in node.cmd[1:]]
    first = words.index("--ros-args")
    return tuple(words[:first]), tuple(words[first + 1 :])


def _enclave(ros_arguments: Sequence[str]) -> Enclave | None:
    """Return the enclave that a node is given, in the keystore of its environment."""
    if "--enclave" not in ros_arguments:
        return None
    name = ros_arguments[ros_arguments.index("--enclave") + 1]
    return Enclave(name, Path(os.environ[KEYSTORE]))


def _on_exit(node: Any) -> Any:
    return node._ExecuteLocal__on_exit if REAL else node.on_exit


def _ending(node: Any) -> dict[str, Any]:
    """Return whether the end of a node ends everything, and whether only its failure does."""
    from launch import LaunchContext

    if restarts := _restarts(node):
        return {"required": True, "restarts": restarts}
    if callable(_on_exit(node)):
        context = LaunchContext()
        return {"task": _shuts_down(_at_end(node, context, 1)) and not _shuts_down(_at_end(node, context, 0))}
    return {"required": _shuts_down(_on_exit(node))}


def _restarts(node: Any) -> int:
    """Return how often launch starts a node again; only the end after that must count."""
    from launch import LaunchContext

    if not (node._ExecuteLocal__respawn if REAL else node.respawn):
        return 0
    count: int = node._ExecuteLocal__respawn_max_retries if REAL else node.respawn_max_retries
    ends = [_shuts_down(_at_end(node, LaunchContext(), 1)) for _ in range(count + 1)]
    assert ends == [False] * count + [True]
    return count


def _at_end(node: Any, context: Any, status: int) -> Any:
    """Return what launch does when a task ends with a status, as launch's OnProcessExit asks it."""
    return _on_exit(node)(SimpleNamespace(returncode=status), context)


def _shuts_down(actions: Any) -> bool:
    from launch.actions import Shutdown

    listed = actions if isinstance(actions, list) else [actions]
    return any(isinstance(action, Shutdown) for action in listed)

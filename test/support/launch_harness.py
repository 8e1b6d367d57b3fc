"""Executes launch files as far as the start of processes: with the real `launch`, or its double."""

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from grasp_bringup.environment import PROFILE, RANGE
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
        nodes: in the order in which they start.
        environment: variables that it changed.
    """

    arguments: dict[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    nodes: list[NodeSpec] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


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


def _visit(entity: Any, context: Any, launched: Launched) -> None:
    from launch.actions import DeclareLaunchArgument
    from launch_ros.actions import Node

    if isinstance(entity, Node):
        launched.nodes.append(_real_spec(entity, context) if REAL else _recorded_spec(entity))
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
    rules = tuple(node.remappings)
    namespace, required = node.namespace or "", _ends_everything(node.on_exit)
    return NodeSpec(node.package, node.executable, node.name, node.parameters, rules, namespace, required)


def _real_spec(node: Any, context: Any) -> NodeSpec:
    node._perform_substitutions(context)
    parameters: dict[str, Any] = {}
    for file, _ in node._Node__expanded_parameter_arguments or ():
        for section in yaml.load(Path(file).read_text(), _Loader).values():
            parameters.update(section["ros__parameters"])
        Path(file).unlink()
    name = node._Node__expanded_node_name
    rules = tuple(node.expanded_remapping_rules or ())
    required = _ends_everything(node._ExecuteLocal__on_exit)
    namespace = node.expanded_node_namespace.strip("/")
    return NodeSpec(node.node_package, node.node_executable, name, parameters, rules, namespace, required)


def _ends_everything(on_exit: Any) -> bool:
    from launch.actions import Shutdown

    actions = on_exit if isinstance(on_exit, list) else [on_exit]
    return any(isinstance(action, Shutdown) for action in actions)

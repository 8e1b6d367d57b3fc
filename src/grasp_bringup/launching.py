"""Turns the list of nodes into what `ros2 launch` executes: the launch files are two lines on top of this."""

import dataclasses
import os
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from grasp_bringup.environment import ros_environment
from grasp_bringup.system import NodeSpec, SystemOptions
from qtopt_policy.config import from_mapping
from qtopt_policy.errors import ConfigError

Nodes = Callable[[SystemOptions], Sequence[NodeSpec]]


def launch_description(nodes: Nodes, arguments: Sequence[str] = ()) -> LaunchDescription:
    """Return the launch description of a system.

    Args:
        nodes: gives the nodes for the options.
        arguments: names of the fields of SystemOptions that are launch arguments; empty means all.
    """
    fields = [
        entry for entry in dataclasses.fields(SystemOptions) if not arguments or entry.name in arguments
    ]
    names = [entry.name for entry in fields]

    def start(context: LaunchContext) -> list[Any]:
        given = {name: LaunchConfiguration(name).perform(context) for name in names}
        return _actions(nodes, options_from(given))

    return LaunchDescription([*map(_declaration, fields), OpaqueFunction(function=start)])


def options_from(arguments: Mapping[str, str]) -> SystemOptions:
    """Return the options of launch arguments, which are text; an empty one means the default.

    Raises:
        ConfigError: a value has the wrong type, is out of range or not one of its choices.
    """
    hints = typing.get_type_hints(SystemOptions)
    values = {name: _typed(name, text, hints[name]) for name, text in arguments.items() if text}
    return from_mapping(values, SystemOptions, "launch arguments")


def _typed(name: str, text: str, hint: Any) -> Any:
    if hint not in (bool, int, float):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"launch arguments: {name}: {text!r} is not a {hint.__name__}") from error


def _declaration(entry: "dataclasses.Field[Any]") -> DeclareLaunchArgument:
    default = "" if entry.default is None else str(entry.default)
    return DeclareLaunchArgument(
        entry.name,
        default_value=default.lower() if isinstance(entry.default, bool) else default,
        description=entry.metadata["description"],
        choices=list(entry.metadata["choices"]) or None,
    )


def _actions(nodes: Nodes, options: SystemOptions) -> list[Any]:
    environment = ros_environment(os.environ, options.one_machine)
    return [
        *(SetEnvironmentVariable(name, value) for name, value in environment.items()),
        *map(_node, nodes(options)),
    ]


def _node(spec: NodeSpec) -> Node:
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[dict(spec.parameters)],
        remappings=list(spec.remappings),
        output="screen",
        on_exit=Shutdown(reason=f"{spec.name} has ended") if spec.required else None,
    )

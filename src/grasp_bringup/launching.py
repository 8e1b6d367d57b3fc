"""Turns the list of nodes into what `ros2 launch` executes: the launch files are two lines on top of this."""

import dataclasses
import os
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    UnsetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from grasp_bringup.environment import ros_environment
from grasp_bringup.gazebo.nodes import server_arguments
from grasp_bringup.node_spec import RESTART_DELAY
from grasp_bringup.security.check import require_security
from grasp_bringup.security.enclaves import (
    GAZEBO_SERVER,
    OVERRIDE,
    enclave_path,
    keystore_of,
    security_environment,
)
from grasp_bringup.system import NodeSpec, SystemOptions
from qtopt_policy.config import from_mapping
from qtopt_policy.errors import ConfigError
from qtopt_policy.share import package_share

Nodes = Callable[[SystemOptions], Sequence[NodeSpec]]


def launch_description(
    nodes: Nodes, arguments: Sequence[str] = (), fixed: Mapping[str, str] | None = None
) -> LaunchDescription:
    """Return the launch description of a system.

    Args:
        nodes: gives the nodes for the options.
        arguments: names of the fields of SystemOptions that are launch arguments; empty means all.
        fixed: values of fields that are no arguments.
    """
    settled = dict(fixed or {})
    fields = [
        entry
        for entry in dataclasses.fields(SystemOptions)
        if (not arguments or entry.name in arguments) and entry.name not in settled
    ]
    names = [entry.name for entry in fields]

    def start(context: LaunchContext) -> list[Any]:
        given = {name: LaunchConfiguration(name).perform(context) for name in names}
        return _actions(nodes, options_from(given | settled))

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
    (kind,) = set(typing.get_args(hint) or (hint,)) - {type(None)}
    if kind not in (bool, int, float):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"launch arguments: {name}: {text!r} is not a {kind.__name__}") from error


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
    specs = nodes(options)
    gazebo = options.system == "gazebo"
    server = enclave_path(GAZEBO_SERVER)
    require_security(specs, {**os.environ, **environment}, [server] if gazebo else [])
    if keystore := keystore_of(specs):
        environment |= security_environment(keystore)
    return [
        *(SetEnvironmentVariable(name, value) for name, value in environment.items()),
        *(_in_enclave(server if keystore else "", _gazebo(options)) if gazebo else []),
        *(_node(spec, specs) for spec in specs if not spec.after),
    ]


def _in_enclave(enclave: str, action: Any) -> list[Any]:
    """Return what starts a process that takes no `--enclave` with an enclave; "" gives it none.

    launch takes a copy of its environment when it visits what starts a process, one action after the other.
    """
    if not enclave:
        return [action]
    return [SetEnvironmentVariable(OVERRIDE, enclave), action, UnsetEnvironmentVariable(OVERRIDE)]


def _gazebo(options: SystemOptions) -> IncludeLaunchDescription:
    """Return what starts Gazebo's server, and its window where one is wanted.

    Raises:
        MissingDependencyError: ros_gz_sim is not installed.
    """
    path = package_share("ros_gz_sim") / "launch" / "gz_sim.launch.py"
    arguments = {"gz_args": server_arguments(options.headless), "on_exit_shutdown": "true"}
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=list(arguments.items())
    )


def _node(spec: NodeSpec, specs: Sequence[NodeSpec]) -> Node:
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[dict(spec.parameters)] if spec.parameters else [],
        remappings=list(spec.remappings),
        arguments=list(spec.arguments),
        ros_arguments=["--enclave", spec.enclave.name] if spec.enclave else None,
        output="screen",
        respawn=spec.restarts > 0,
        respawn_delay=RESTART_DELAY,
        respawn_max_retries=spec.restarts,
        on_exit=_on_exit(spec, [_node(other, specs) for other in specs if other.after == spec.name]),
    )


def _on_exit(spec: NodeSpec, followers: list[Node]) -> Any:
    """Return what launch does when a node has ended: a task that has done its work starts its followers."""
    if spec.restarts:
        return _after_restarts(spec)
    if not spec.task:
        return Shutdown(reason=f"{spec.name} has ended") if spec.required else None

    def ended(event: Any, context: LaunchContext) -> list[Any]:
        if event.returncode == 0:
            return followers
        return [Shutdown(reason=f"{spec.name} ended with status {event.returncode}")]

    return ended


def _after_restarts(spec: NodeSpec) -> Callable[[Any, LaunchContext], list[Any]]:
    """Return what launch does at each end of a node that it starts again: nothing but at the last."""
    left = spec.restarts

    def ended(event: Any, context: LaunchContext) -> list[Any]:
        nonlocal left
        left -= 1
        return [] if left >= 0 else [Shutdown(reason=f"{spec.name} has ended once too often")]

    return ended

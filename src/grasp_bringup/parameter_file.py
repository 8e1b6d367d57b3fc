"""A ROS parameter file for the nodes of a system: sets what the launch arguments leave alone."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from grasp_bringup.node_spec import NodeSpec, Parameter
from qtopt_policy.errors import ConfigError, UnknownNameError

VALUES = "ros__parameters"
ANY = "**"  # stands for any names: /** is every node, /**/guard_node that one under any namespace


def with_parameters(
    nodes: Sequence[NodeSpec], path: Path, known: Collection[str], arguments: Collection[str]
) -> tuple[NodeSpec, ...]:
    """Return the nodes with the parameters of a file, which win over those that they have.

    A name without a namespace is that node's under any. A file may serve several systems: what it holds for
    nodes that are known but not among these is left alone.

    Args:
        nodes: of the system.
        path: the file: names of nodes, as ROS writes them, over `ros__parameters`; later entries win.
        known: names of nodes that a system may have.
        arguments: names that are launch arguments: each has one place, so that all nodes agree.

    Raises:
        ConfigError: the file is not of that form, or sets what a launch argument sets.
        UnknownNameError: it names a node that no system has.
    """
    entries = list(_entries(_read(path), "", str(path)))
    valid = sorted({*known, *(spec.name for spec in nodes)})
    for name, _ in entries:
        if name.rpartition("/")[2] not in (*valid, ANY):
            raise UnknownNameError(f"node in {path}", name, [*valid, f"/{ANY}"])
    return tuple(_with_entries(spec, entries, path, arguments) for spec in nodes)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"params {path}: cannot be read: {error}") from error


def _entries(data: Any, name: str, where: str) -> Iterator[tuple[str, dict[str, Parameter]]]:
    """Yield the full name of each node, without a slash in front, and its parameters."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected names of nodes over {VALUES}, found {data!r}")
    for key, value in data.items():
        if key == VALUES and name:
            yield name, dict(_flat(value, "", f"{where}: {VALUES}"))
        else:
            inner = f"{name}/{str(key).strip('/')}".strip("/")
            yield from _entries(value, inner, f"{where}: {key}")


def _flat(values: Any, prefix: str, where: str) -> Iterator[tuple[str, Parameter]]:
    """Yield each parameter; the names of nested ones have dots."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected names and values of parameters, found {values!r}")
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.", where)
        elif _is_parameter(value):
            yield f"{prefix}{key}", value
        else:
            raise ConfigError(f"{where}: {prefix}{key}: {value!r} is no value of a parameter")


def _is_parameter(value: Any) -> bool:
    kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
    return len(kinds) == 1 and kinds <= {bool, int, float, str}


def _with_entries(
    spec: NodeSpec,
    entries: Sequence[tuple[str, Mapping[str, Parameter]]],
    path: Path,
    arguments: Collection[str],
) -> NodeSpec:
    own = f"{spec.namespace.strip('/')}/{spec.name}".strip("/")
    parameters = dict(spec.parameters)
    for name, values in entries:
        if name not in (ANY, spec.name, own, f"{ANY}/{spec.name}"):
            continue
        if taken := sorted(values.keys() & spec.parameters.keys() & set(arguments)):
            raise ConfigError(f"{path}: {name}: {taken[0]}: say it by the launch argument {taken[0]}:=")
        parameters |= values
    return replace(spec, parameters=parameters)

"""Doubles of launch_ros.actions."""

from collections.abc import Iterable, Mapping
from typing import Any

from launch import expect
from launch.actions import ExecuteProcess


class Node(ExecuteProcess):
    """A ROS node; keeps what it was given."""

    def __init__(
        self,
        *,
        executable: str,
        package: str | None = None,
        name: str | None = None,
        namespace: str | None = None,
        exec_name: str | None = None,
        parameters: list[Any] | None = None,
        remappings: Iterable[tuple[str, str]] | None = None,
        ros_arguments: list[str] | None = None,
        arguments: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cmd=[executable], name=exec_name, **kwargs)
        expect(executable, str, "executable")
        for what, text in (("package", package), ("name", name), ("namespace", namespace)):
            expect(text, (str, type(None)), what)
        expect(parameters, (list, type(None)), "parameters")
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters = _merged(parameters or [])
        self.remappings = [_pair(rule) for rule in remappings or ()]
        self.arguments, self.ros_arguments = list(arguments or ()), list(ros_arguments or ())
        expect(ros_arguments, (list, type(None)), "ros_arguments (launch_ros adds a list to it)")
        for argument in (*self.arguments, *self.ros_arguments):
            expect(argument, str, "arguments")


def _merged(parameters: list[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for group in parameters:
        expect(group, Mapping, "parameters (the double takes dictionaries only)")
        for name, value in group.items():
            expect(name, str, "parameter name")
            items = value if isinstance(value, list) else [value]
            if not items or len({type(item) for item in items}) > 1:
                raise TypeError(f"parameter {name}: expected a non-empty list of one type, got {value!r}")
            expect(items[0], (bool, int, float, str), f"parameter {name}")
            merged[name] = value
    return merged


def _pair(rule: tuple[str, str]) -> tuple[str, str]:
    source, target = rule
    expect(source, str, "remapping")
    expect(target, str, "remapping")
    return source, target

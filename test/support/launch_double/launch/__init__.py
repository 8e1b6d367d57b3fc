"""A recording double of the classes of `launch` that this project uses; `launch` is not on PyPI.

Signatures are those of ros2/launch 3.7.1 (commit 02595baf); a test compares them where `launch` is installed.
Everything that the real classes refuse at once is refused here too: unknown keywords, wrong types, arguments
without a default. Nothing is executed but OpaqueFunction and DeclareLaunchArgument.
"""

import os
from collections.abc import Iterable


class LaunchContext:
    """What has been declared and set so far."""

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.launch_configurations: dict[str, str] = {}
        self.environment = os.environ


class LaunchDescriptionEntity:
    """Anything that a launch description may hold."""

    def visit(self, context: LaunchContext) -> "list[LaunchDescriptionEntity] | None":
        raise NotImplementedError


class LaunchDescription(LaunchDescriptionEntity):
    """A list of entities."""

    def __init__(
        self,
        initial_entities: Iterable[LaunchDescriptionEntity] | None = None,
        *,
        deprecated_reason: str | None = None,
    ) -> None:
        self.entities = list(initial_entities or [])
        self.deprecated_reason = deprecated_reason

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return self.entities


def expect(value: object, kinds: type | tuple[type, ...], what: str) -> None:
    """Raise TypeError as launch.utilities.ensure_argument_type does."""
    if not isinstance(value, kinds):
        raise TypeError(f"{what}: expected {kinds}, got {value!r}")

"""Doubles of launch.substitutions."""

from launch import LaunchContext, expect


class LaunchConfiguration:
    """The value of a launch argument."""

    def __init__(self, variable_name: str, *, default: str | None = None) -> None:
        expect(variable_name, str, "variable_name")
        self.variable_name, self.default = variable_name, default

    def perform(self, context: LaunchContext) -> str:
        if self.variable_name in context.launch_configurations:
            return str(context.launch_configurations[self.variable_name])
        if self.default is None:
            raise RuntimeError(f"launch configuration '{self.variable_name}' does not exist")
        return self.default

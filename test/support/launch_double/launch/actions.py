"""Doubles of launch.actions."""

from collections.abc import Callable, Iterable
from typing import Any

from launch import LaunchContext, LaunchDescriptionEntity, expect
from launch.launch_description_sources import PythonLaunchDescriptionSource


class Action(LaunchDescriptionEntity):
    """Something to do; conditions are not supported by the double."""

    def __init__(self, *, condition: None = None) -> None:
        if condition is not None:
            raise NotImplementedError("the double knows no conditions")

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return None


class DeclareLaunchArgument(Action):
    """Declares an argument; visited, it sets the default and checks the choices."""

    def __init__(
        self,
        name: str,
        *,
        default_value: str | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        expect(name, str, "name")
        expect(default_value, (str, type(None)), "default_value")
        if choices is not None:
            if len(choices) == 0:
                raise RuntimeError("Provided choices arg is empty.")
            if default_value is not None and default_value not in choices:
                raise RuntimeError(f"default_value {default_value!r} is not in choices {choices}")
        self.name = name
        self.default_value = default_value
        self.description = description or ""
        self.choices = choices

    def visit(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(f'Required launch argument "{self.name}" was not provided.')
            context.launch_configurations[self.name] = self.default_value
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(
                f'Argument "{self.name}" provided value "{value}" is not valid. '
                f"Valid options are: {self.choices}"
            )


class OpaqueFunction(Action):
    """Calls a Python function with the context; it may return more entities."""

    def __init__(
        self,
        *,
        function: Callable[..., list[LaunchDescriptionEntity] | None],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        **left_over_kwargs: Any,
    ) -> None:
        super().__init__(**left_over_kwargs)
        if not callable(function):
            raise TypeError(f"OpaqueFunction expected a callable for 'function', got {type(function)}")
        self.function, self.args, self.kwargs = function, list(args or ()), dict(kwargs or {})

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return self.function(context, *self.args, **self.kwargs)


class SetEnvironmentVariable(Action):
    """Sets an environment variable of what is started after it."""

    def __init__(self, name: str, value: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        expect(name, str, "name")
        expect(value, str, "value")
        self.name, self.value = name, value

    def visit(self, context: LaunchContext) -> None:
        context.environment[self.name] = self.value


class UnsetEnvironmentVariable(Action):
    """Takes an environment variable away from what is started after it."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        expect(name, str, "name")
        self.name = name

    def visit(self, context: LaunchContext) -> None:
        context.environment.pop(self.name, None)


class IncludeLaunchDescription(Action):
    """Includes another launch file with arguments; the double keeps both and executes nothing."""

    def __init__(
        self,
        launch_description_source: PythonLaunchDescriptionSource,
        *,
        launch_arguments: Iterable[tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        expect(launch_description_source, PythonLaunchDescriptionSource, "launch_description_source")
        self.launch_description_source = launch_description_source
        self.launch_arguments = tuple(launch_arguments or ())
        for name, value in self.launch_arguments:
            expect(name, str, "launch argument")
            expect(value, str, f"launch argument {name}")


class Shutdown(Action):
    """Ends everything when executed."""

    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        expect(reason, str, "reason")
        self.reason = reason


class ExecuteLocal(Action):
    """What can be said about any process."""

    def __init__(
        self,
        *,
        shell: bool = False,
        sigterm_timeout: str = "5",
        sigkill_timeout: str = "5",
        emulate_tty: bool = False,
        output: str = "log",
        output_format: str = "",
        cached_output: bool = False,
        log_cmd: bool = False,
        on_exit: Action | list[Action] | Callable[..., Any] | None = None,
        respawn: bool = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if output not in ("log", "screen", "both", "own_log", "full"):
            raise ValueError(f"output {output!r}")
        self.output, self.on_exit = output, on_exit
        expect(respawn, bool, "respawn")
        expect(respawn_delay, (float, type(None)), "respawn_delay")
        expect(respawn_max_retries, int, "respawn_max_retries")
        self.respawn, self.respawn_delay, self.respawn_max_retries = (
            respawn,
            respawn_delay,
            respawn_max_retries,
        )


class ExecuteProcess(ExecuteLocal):
    """A command with its working directory and environment."""

    def __init__(
        self,
        *,
        cmd: Iterable[str],
        prefix: str | None = None,
        name: str | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        additional_env: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cmd = list(cmd)

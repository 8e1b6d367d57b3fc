"""The exceptions that this project raises. Each names what was found and what would have been valid."""

from collections.abc import Iterable
from typing import Any


class QtoptError(Exception):
    """Root of all errors raised by qtopt_grasping. Their messages survive pickling (worker processes)."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args)


def _restore(kind: type[QtoptError], arguments: tuple[Any, ...]) -> QtoptError:
    """Rebuild an error from its message; `__init__` may take other arguments than that."""
    return kind.__new__(kind, *arguments)


class ConfigError(QtoptError):
    """A configuration file, parameter or argument is not usable."""


class UnknownKeyError(ConfigError):
    """A configuration holds a key that no field takes."""

    def __init__(self, source: str, key: str, valid: Iterable[str]) -> None:
        super().__init__(f"{source}: unknown key '{key}'. Valid keys: {', '.join(sorted(valid))}")


class UnknownNameError(ConfigError):
    """A registry was asked for a name that it does not hold."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} '{name}'. Valid choices: {', '.join(sorted(valid))}")


class ShapeError(QtoptError):
    """An array does not have the shape or type that it must have."""


class ImageError(QtoptError):
    """A camera image cannot be used: wrong encoding, zero size, truncated or not finite."""


class BagError(QtoptError):
    """A bag cannot be read or written. The message names the file and the reason."""


class CheckpointError(QtoptError):
    """A checkpoint does not match what it is to be used with. The message names the field."""


class MissingDependencyError(QtoptError):
    """Something that must be installed is not. The message says how to install it."""

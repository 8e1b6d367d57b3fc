"""YAML files into frozen dataclasses; an unknown key is refused by name."""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from qtopt_policy.errors import ConfigError, UnknownKeyError

T = TypeVar("T")


def load_config(path: Path, cls: type[T]) -> T:
    """Read a YAML file into the dataclass `cls`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a value has the wrong type.
        UnknownKeyError: a key is not a field; the message lists the valid ones.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return from_mapping(data, cls, str(path))


def from_mapping(data: object, cls: type[T], source: str) -> T:
    """Build the dataclass `cls` from a mapping; `source` names where it came from in errors."""
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected a mapping, found {type(data).__name__}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
    for key in data:
        if key not in fields:
            raise UnknownKeyError(source, str(key), fields)
    for name, field in fields.items():
        if name not in data and _is_required(field):
            raise ConfigError(f"{source}: missing key '{name}'")
    values = {key: convert(value, hints[key], f"{source}: {key}") for key, value in data.items()}
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def convert(value: object, hint: Any, where: str) -> Any:
    """Check `value` against a type hint and convert it (int to float, list to tuple, str to Path)."""
    if hint is Any:
        return value
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return convert(value, next(arg for arg in args if arg is not type(None)), where)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(repr, args))}")
        return value
    if dataclasses.is_dataclass(hint):
        return from_mapping(value, cast(type[Any], hint), where)
    if origin is tuple:
        return _convert_tuple(value, args, where)
    if origin is dict:
        return _convert_dict(value, args, where)
    return _convert_scalar(value, hint, where)


def _convert_tuple(value: object, args: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list, found {value!r}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(convert(item, args[0], f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        raise ConfigError(f"{where}: expected {len(args)} values, found {len(value)}")
    return tuple(convert(v, a, f"{where}[{i}]") for i, (v, a) in enumerate(zip(value, args, strict=True)))


def _convert_dict(value: object, args: tuple[Any, ...], where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a mapping, found {value!r}")
    return {str(key): convert(item, args[1], f"{where}.{key}") for key, item in value.items()}


def _convert_scalar(value: object, hint: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a dataclass as plain YAML and JSON types (tuples as lists, paths as strings)."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value

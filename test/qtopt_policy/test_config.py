from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from qtopt_policy.config import from_mapping, load_config, to_mapping
from qtopt_policy.errors import ConfigError, UnknownKeyError


@dataclass(frozen=True)
class Inner:
    size: tuple[float, float] = (1.0, 2.0)


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 1
    speed: float = 0.5
    on: bool = False
    mode: Literal["a", "b"] = "a"
    inner: Inner = field(default_factory=Inner)
    names: tuple[str, ...] = ()
    path: Path | None = None
    table: dict[str, Inner] = field(default_factory=dict)


def test_values_are_converted_to_their_fields() -> None:
    data = {
        "name": "x",
        "speed": 1,
        "inner": {"size": [3, 4]},
        "names": ["p", "q"],
        "path": "f.yaml",
        "table": {"k": {"size": [5, 6]}},
    }
    config = from_mapping(data, Outer, "test")
    assert config.speed == 1.0
    assert isinstance(config.speed, float)
    assert config.inner == Inner((3.0, 4.0))
    assert config.names == ("p", "q")
    assert config.path == Path("f.yaml")
    assert config.table["k"].size == (5.0, 6.0)


def test_a_round_trip_changes_nothing() -> None:
    config = Outer("x", table={"k": Inner((0.0, 1.0))}, path=Path("y"))
    assert from_mapping(to_mapping(config), Outer, "test") == config


def test_an_unknown_key_is_named_with_the_valid_ones() -> None:
    with pytest.raises(UnknownKeyError, match=r"robot\.yaml: unknown key 'sped'\. Valid keys: .*speed"):
        from_mapping({"name": "x", "sped": 1.0}, Outer, "robot.yaml")


def test_an_unknown_nested_key_is_named_with_its_place() -> None:
    with pytest.raises(UnknownKeyError, match=r"robot\.yaml: inner: unknown key 'sise'"):
        from_mapping({"name": "x", "inner": {"sise": 1}}, Outer, "robot.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "missing key 'name'"),
        ({"name": 3}, "name: expected str, found 3"),
        ({"name": "x", "count": 1.5}, "count: expected int, found 1.5"),
        ({"name": "x", "count": True}, "count: expected int, found True"),
        ({"name": "x", "mode": "c"}, "mode: 'c' is not one of 'a', 'b'"),
        ({"name": "x", "inner": {"size": [1]}}, "size: expected 2 values, found 1"),
        ({"name": "x", "names": "abc"}, "names: expected a list"),
        ({"name": "x", "table": []}, "table: expected a mapping"),
        ([1], "expected a mapping, found list"),
    ],
)
def test_bad_values_are_named(data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(data, Outer, "test")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        load_config(tmp_path / "absent.yaml", Outer)


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match=r"bad\.yaml: cannot be read"):
        load_config(tmp_path / "bad.yaml", Outer)

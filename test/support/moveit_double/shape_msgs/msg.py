"""Doubles of messages: fields as in common_interfaces, unknown ones refused as rosidl's do."""

from typing import Any


class Message:
    """Refuses unknown fields; `DEFAULTS` makes each value afresh."""

    DEFAULTS: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, **fields: Any) -> None:
        unknown = set(fields) - set(self.DEFAULTS)
        assert not unknown, f"{type(self).__name__} has no fields {sorted(unknown)}"
        for name, make in self.DEFAULTS.items():
            object.__setattr__(self, name, fields[name] if name in fields else make())

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.DEFAULTS:
            raise AttributeError(f"{type(self).__name__} has no field {name}")
        object.__setattr__(self, name, value)


class SolidPrimitive(Message):
    BOX = 1
    DEFAULTS = {"type": int, "dimensions": list}  # noqa: RUF012

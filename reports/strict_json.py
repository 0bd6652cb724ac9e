"""JSON that comes from other machines, read without trust."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from harness.store.atomic import read_bounded
from reports.errors import ResultError

__all__ = ["Fields", "not_finite_as_text", "read_object"]

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_LONGEST_WHOLE_NUMBER = 19  # characters: what 64 bits hold

T = TypeVar("T")


def not_finite_as_text(value: float | None) -> float | str | None:
    """A float as strict JSON can hold it: NaN and the infinities become ``"nan"``, ``"inf"`` and ``"-inf"``."""
    if value is None or math.isfinite(value):
        return None if value is None else float(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


class Fields:
    """The fields of one JSON object, each read as the type that it must have.

    Every reader raises ResultError where the field is missing or of another type.

    Args:
        values: the object.
        where: the file and the path inside it, for messages.
    """

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        self._values = values
        self._where = where

    def error(self, name: str, what: str, observed: object, allowed: object) -> ResultError:
        """The error that says what is wrong with a field."""
        return ResultError(what, where=f"{self._where}: {name}", observed=_short(observed), allowed=allowed)

    def text(self, name: str) -> str:
        """A string."""
        return cast("str", self._typed(name, str, "a string"))

    def flag(self, name: str) -> bool:
        """A boolean."""
        return cast("bool", self._typed(name, bool, "true or false"))

    def count(self, name: str) -> int:
        """A whole number that isn't negative."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(name, "a field has the wrong type", value, "a whole number, 0 or more")
        return value

    def number(self, name: str) -> float:
        """A number, or one of the strings ``nan``, ``inf``, ``-inf``."""
        value = self.raw(name)
        if isinstance(value, str) and value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(name, "a field has the wrong type", value, 'a number, "nan", "inf" or "-inf"')
        return float(value)

    def inner(self, name: str) -> Fields:
        """An object."""
        values = self._typed(name, dict, "an object")
        return Fields(cast("dict[str, object]", values), f"{self._where}: {name}")

    def each(self, name: str, read: Callable[[Fields, str], T]) -> tuple[T, ...]:
        """A list, each item read by ``read``: ``fields.each("lines", Fields.text)``."""
        items = cast("list[object]", self._typed(name, list, "a list"))
        numbered = Fields({str(i): item for i, item in enumerate(items)}, f"{self._where}: {name}")
        return tuple(read(numbered, str(i)) for i in range(len(items)))

    def table(self, name: str, read: Callable[[Fields, str], T]) -> dict[str, T]:
        """An object, each value read by ``read``."""
        inner = self.inner(name)
        return {key: read(inner, key) for key in inner._values}

    def optional(self, name: str, read: Callable[[Fields, str], T]) -> T | None:
        """The field read by ``read``, or None where it is null."""
        return None if self.raw(name) is None else read(self, name)

    def holds(self, name: str) -> bool:
        """Whether there is such a field."""
        return name in self._values

    def raw(self, name: str) -> object:
        """The field as it is."""
        if name not in self._values:
            raise ResultError("a field is missing", where=self._where, allowed=f"a field {name!r}")
        return self._values[name]

    def _typed(self, name: str, kind: type, wanted: str) -> object:
        value = self.raw(name)
        if not isinstance(value, kind):
            raise self.error(name, "a field has the wrong type", value, wanted)
        return value


def read_object(path: Path) -> Fields:
    """The JSON object that a file holds.

    Raises:
        ResultError: the file is missing, too large, no UTF-8, no strict JSON (a NaN literal, a name twice, a number out
            of range), or no object.
    """
    text = read_bounded(path, ResultError)
    try:
        values = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_in_range,
        )
    except (ValueError, RecursionError) as error:
        raise ResultError("a result is half-written or no JSON", where=path, observed=_short(error)) from error
    if not isinstance(values, dict):
        raise ResultError("a result holds no JSON object", where=path, observed=_short(values))
    return Fields(values, str(path))


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return values


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is out of a float's range")
    return value


def _in_range(text: str) -> int:
    if len(text) > _LONGEST_WHOLE_NUMBER:
        raise ValueError(f"a whole number has {len(text)} digits")
    return int(text)


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 120 else text[:117] + "…"

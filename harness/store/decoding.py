"""One decoder for every JSON document that comes from outside, and one encoder for what we write.

A file that lies on disk may come from another machine, another version, a full disk or an attacker. Reading one is:
bytes, a bound on their number, plain JSON, a typed frozen value, or the project's own error that says the file, the
line and the field. Nothing else happens: no traceback, no hang, no value that isn't what its type says.

To read a document, give the dataclass that it is to become::

    @dataclass(frozen=True)
    class Stopped:
        iteration: Count                      # harness.values.bounds: 0 … 2⁵³
        loss: float                           # NaN and the infinities too
        bound: Finite                         # neither of them
        part: Part                            # an Enum, by value
        shape: tuple[Count, ...] = ()         # a field with a default may be missing
        note: str | None = None

    stopped = read_value(path, Stopped, RunError, schema=1)
    write_text(path, encode_value(stopped, schema=1))

- **Types are exact.** ``1.0`` and ``true`` are no ``int``, ``"1.5"`` is no ``float``, ``null`` is None where the type
  says so. A whole number is a float too. Bounds are ``Annotated[int, msgspec.Meta(ge=…, le=…)]``.
- **Unknown fields and repeated names are errors**: what a reader doesn't know, it would drop in silence.
- **Numbers are in range**: ``1e400`` is refused, not taken for infinity. NaN and the infinities are written as the
  strings ``"nan"``, ``"inf"``, ``"-inf"``, since strict JSON has no other way. Read are also ``NaN``, ``Infinity`` and
  ``-Infinity``, which ``json.dumps`` writes. A string is taken for a number where the field's type is a float alone.
- **Text is text**: no lone surrogates, which no file or terminal can hold.
- **A version**: with ``schema=N`` a document has a field ``schema``; another number is an error of its own, which tells
  "newer than this reader" from "damaged". A document without one counts as 1: that is how the first ones were written.
- **A value's own checks run**: what its ``__post_init__`` raises, of the project's errors or as ValueError, is reported
  with the file.

Several steps, where a format isn't one dataclass's: ``decode_plain`` gives checked JSON, ``convert_value`` makes a
value of a part of it. ``complete_lines`` cuts a file that was written line by line.

Why msgspec: it checks and builds *our own* frozen dataclasses from their annotations, and makes JSON schemas of them,
in one package without dependencies. pydantic does both too, with five packages and several times the import time, which
every command pays: msgspec about 50 ms on two busy cores, pydantic 220 ms or more (``python -X importtime -c "import
msgspec"``). msgspec's JSON parser isn't used: it keeps the last of a name that occurs twice, and refuses the
NaN that our older files hold.
"""

from __future__ import annotations

import functools
import json
import math
import re
import reprlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import msgspec
import numpy as np

from harness.store.atomic import LARGEST_FILE, read_bytes
from harness.values.errors import AlignmentError

__all__ = [
    "complete_lines",
    "convert_value",
    "decode_foreign",
    "decode_plain",
    "decode_value",
    "encode_value",
    "plain_value",
    "read_value",
]

T = TypeVar("T")

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_LONGEST_WHOLE_NUMBER = 20  # characters: what 64 bits hold, with a sign

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""The only way in which a lone surrogate gets past the UTF-8 decoder."""

_DEEPEST = 100
"""Levels of lists and objects in each other. Ours have fewer than ten; who walks the values may do so recursively."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*\\?(?:"|\Z)', re.DOTALL)
"""A string, or what begins one and has no end: it always matches, so that reading stays linear in the text."""

_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))

_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|(\[\.\.\.\])")


# ---------------------------------------------------------------------------------------------------------- reading


def read_value(
    path: Path,
    kind: type[T],
    error: type[AlignmentError],
    *,
    schema: int | None = None,
    largest: int = LARGEST_FILE,
    hint: str | None = None,
) -> T:
    """The value that a JSON file holds.

    Args:
        path: the file.
        kind: a dataclass, or any type that msgspec knows.
        error: the kind of error to raise.
        schema: the version that the document must have; None where it has none.
        largest: bytes; a larger file is refused before it is read.
        hint: what to run next, for the errors.

    Raises:
        AlignmentError: of the kind ``error``: the file is missing, too large, no JSON, or of another form.
    """
    content = read_bytes(path, error, largest=largest, hint=hint)
    return decode_value(content, kind, path, error, schema=schema, hint=hint)


def decode_value(
    content: bytes,
    kind: type[T],
    where: object,
    error: type[AlignmentError],
    *,
    schema: int | None = None,
    hint: str | None = None,
) -> T:
    """The value that a JSON document holds; ``where`` names it in messages. See ``read_value``."""
    plain = decode_plain(content, where, error, hint=hint)
    if schema is not None:
        plain = _without_schema(plain, schema, where, error, hint)
    return convert_value(plain, kind, where, error, hint=hint)


def decode_plain(content: bytes, where: object, error: type[AlignmentError], *, hint: str | None = None) -> Any:
    """JSON as plain values: dict, list, str, int, float, bool, None.

    Raises:
        AlignmentError: of the kind ``error``: it isn't UTF-8 or JSON, is nested too deeply, has a name twice in one
            object, a number that is out of range, or a text that can't be written again.
    """
    try:
        plain = _decoded(content, _DECODER)
    except RecursionError:
        raise error(
            "the JSON is nested too deeply", where=where, allowed=f"at most {_DEEPEST} levels", hint=hint
        ) from None
    except UnicodeDecodeError as failure:
        raise error("the JSON is not UTF-8 text", where=where, observed=failure.reason, hint=hint) from None
    except ValueError as failure:
        raise error("this is no JSON, or only a part of it", where=where, observed=str(failure), hint=hint) from None
    return plain


def decode_foreign(content: bytes) -> Any:
    """JSON that another program wrote, as plain values: as ``decode_plain``, but numbers past the range are infinite.

    For a log's lines, of which one that can't be taken is left out.

    Raises:
        json.JSONDecodeError: it is no JSON.
        UnicodeDecodeError: it is not UTF-8.
        ValueError: it is JSON that can't be taken: nested too deeply, a name that occurs twice in one object, or half
            of a surrogate pair.
    """
    try:
        return _decoded(content, _FOREIGN)
    except RecursionError:
        raise ValueError(f"it is nested in more than {_DEEPEST} levels") from None


def _decoded(content: bytes, decoder: json.JSONDecoder) -> Any:
    _require_shallow(content)
    plain = decoder.decode(content.decode("utf-8"))
    if _ESCAPED_SURROGATE.search(content):
        _require_text(plain)
    return plain


def convert_value(
    plain: Any, kind: type[T], where: object, error: type[AlignmentError], *, hint: str | None = None
) -> T:
    """A value from plain values, which may be changed on the way.

    Raises:
        AlignmentError: of the kind ``error``: a field is missing, unknown, of another type or out of its bounds. The
            value's own error, of any kind of the project's, passes through.
    """
    try:
        admit = _admission(cast("Hashable", kind))
        admitted = admit(plain, "") if admit is not None else plain
        return msgspec.convert(admitted, kind)
    except _UnknownFieldError as failure:
        raise error(
            "there is a field that this version doesn't know",
            where=f"{where}: {failure.path}",
            observed=failure.observed,
            allowed=failure.allowed,
            hint=hint,
        ) from None
    except msgspec.ValidationError as failure:
        _refuse(failure, plain, where, error, hint)
    except (RecursionError, OverflowError) as failure:
        raise error("a value can't be held", where=where, observed=str(failure), hint=hint) from None


def complete_lines(content: bytes) -> list[bytes]:
    """The lines of a file that is written line by line; one that has no end yet, at the end, is left out."""
    whole, newline, _torn = content.rpartition(b"\n")
    return whole.split(b"\n") if newline else []


# ---------------------------------------------------------------------------------------------------------- writing


def encode_value(value: object, *, schema: int | None = None, indent: int | None = 1) -> str:
    """A value as strict JSON that ends in a newline: one line with ``indent=None``.

    Args:
        value: a dataclass, or plain values with dataclasses and enums in them.
        schema: written as the first field where given: the value is a mapping or a dataclass then.
        indent: spaces a level.
    """
    plain = plain_value(value)
    document = plain if schema is None else {"schema": schema, **plain}
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    # A path that isn't UTF-8 holds them. A run doesn't end over a file's name in its provenance.
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text) + "\n"


def plain_value(value: object) -> Any:
    """A value as dict, list, str, int, bool, None and finite floats; others are ``"nan"``, ``"inf"``, ``"-inf"``.

    A NumPy scalar is the Python number that it holds.
    """
    return _spelled(msgspec.to_builtins(value, enc_hook=_of_numpy))


def _of_numpy(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is no plain value")


def _spelled(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    return list(map(_spelled, value)) if isinstance(value, (list, tuple)) else value


# ------------------------------------------------------------------------------------------------- JSON, made strict


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {_short(twice)} occurs twice in one object")
    return values


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {_short(text)} is out of range")
    return value


def _small_int(text: str) -> int:
    if len(text) > _LONGEST_WHOLE_NUMBER:  # Python would take time with the square of the digits, then refuse
        raise ValueError(f"a whole number of {len(text)} digits is out of range")
    return int(text)


def _any_int(text: str) -> int | float:
    return float(text) if len(text) > _LONGEST_WHOLE_NUMBER else int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_float=_finite_float, parse_int=_small_int)
_FOREIGN = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_int=_any_int)


def _require_shallow(content: bytes) -> None:
    if content.count(b"[") + content.count(b"{") <= _DEEPEST:
        return
    brackets = np.frombuffer(_STRING.sub(b"", content).translate(None, _NO_BRACKET), np.uint8)
    deepest = np.cumsum(np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)).max(initial=0)
    if deepest > _DEEPEST:
        raise RecursionError(f"{deepest} levels")


def _require_text(value: Any) -> None:
    if isinstance(value, str):
        if _LONE_SURROGATE.search(value):
            raise ValueError(f"the text {_short(value)} holds half of a surrogate pair")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _require_text(name)
            _require_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _require_text(inner)


def _without_schema(plain: Any, schema: int, where: object, error: type[AlignmentError], hint: str | None) -> Any:
    if not isinstance(plain, dict):
        return plain  # its type is refused where it is converted
    found = plain.pop("schema", 1)
    if type(found) is not int or found != schema:
        raise error("the file has another schema", where=where, observed=_short(found), allowed=schema, hint=hint)
    return plain


# ------------------------------------------------------------------ what msgspec would let pass, checked by the types

_Admit = Callable[[Any, str], Any]
"""Takes a plain value and the path to it; returns the value that msgspec gets."""


class _UnknownFieldError(Exception):
    def __init__(self, path: str, observed: str, allowed: str) -> None:
        super().__init__(path)
        self.path, self.observed, self.allowed = path, observed, allowed


@functools.lru_cache(maxsize=256)
def _admission(kind: Hashable) -> _Admit | None:
    """What to do with a plain value of a type before msgspec gets it; None where nothing is.

    Two things aren't msgspec's: a dataclass's unknown field is an error, and text that spells a number that isn't
    finite becomes that number where a float is wanted.
    """
    return _admit(msgspec.inspect.type_info(kind))


def _admit(info: msgspec.inspect.Type) -> _Admit | None:
    admit: _Admit | None = None
    if isinstance(info, msgspec.inspect.Metadata):
        admit = _admit(info.type)
    elif isinstance(info, msgspec.inspect.FloatType):
        admit = _admit_float
    elif isinstance(info, msgspec.inspect.DataclassType):
        admit = functools.partial(_admit_object, {field.encode_name: _admit(field.type) for field in info.fields})
    elif isinstance(info, msgspec.inspect.DictType):
        admit = _each(_admit(info.value_type))
    elif isinstance(info, msgspec.inspect.TupleType):
        admit = functools.partial(_admit_row, [_admit(item) for item in info.item_types])
    elif isinstance(info, msgspec.inspect.CollectionType):
        admit = _each(_admit(info.item_type))
    elif isinstance(info, msgspec.inspect.UnionType):
        members = [member.type if isinstance(member, msgspec.inspect.Metadata) else member for member in info.types]
        admits = [each for member in members if (each := _admit(member)) is not None]
        # Where a text may stand too, "nan" is a text.
        text = any(isinstance(member, msgspec.inspect.StrType) for member in members)
        admit = admits[0] if len(admits) == 1 and not text else None
    return admit


def _admit_float(value: Any, _path: str) -> Any:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _admit_object(fields: Mapping[str, _Admit | None], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        return value
    for name, inner in value.items():
        try:
            admit = fields[name]
        except KeyError:
            raise _UnknownFieldError(_dotted(path, name), _short(inner), ", ".join(fields)) from None
        if admit is not None:
            value[name] = admit(inner, _dotted(path, name))
    return value


def _admit_row(admits: list[_Admit | None], value: Any, path: str) -> Any:
    if not isinstance(value, list) or len(value) != len(admits):
        return value
    return [
        inner if admit is None else admit(inner, f"{path}[{place}]")
        for place, (inner, admit) in enumerate(zip(value, admits, strict=True))
    ]


def _each(admit: _Admit | None) -> _Admit | None:
    if admit is None:
        return None
    if admit is _admit_float:  # the commonest by far, and most often there is no text among the numbers

        def admit_floats(value: Any, _path: str) -> Any:
            if isinstance(value, dict):
                return {name: _admit_float(inner, "") for name, inner in value.items()}
            return [_admit_float(inner, "") for inner in value] if isinstance(value, list) else value

        return admit_floats

    def admit_each(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {name: admit(inner, f"{path}[{_short(name)}]") for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [admit(inner, f"{path}[{place}]") for place, inner in enumerate(value)]
        return value

    return admit_each


# ------------------------------------------------------------------------------------------------------- saying where


def _refuse(
    failure: msgspec.ValidationError, plain: Any, where: object, error: type[AlignmentError], hint: str | None
) -> NoReturn:
    """Raise the project's error for msgspec's, with the field's whole path and what was found there."""
    cause = failure.__cause__
    if isinstance(cause, AlignmentError):
        raise cause
    text = str(failure)
    what, _, path = text.partition(" - at ")
    wanted, _, got = what.replace("`", "").partition(", got ")
    steps = _STEP.findall(path)
    found = next(
        (each for each in _reached(plain, steps, "") if got not in _KINDS or _kind_of(each[1]) == got),
        (path.strip("`").lstrip("$."), plain),
    )
    missing = "missing required field" in what
    raise error(
        "a field is missing" if missing else "a field has another type or is out of its bounds",
        where=f"{where}: {found[0]}" if found[0] else where,
        observed=None if missing else _short(found[1]),
        allowed=wanted.rpartition("field ")[2] if missing else _allowed(wanted),
        hint=hint,
    ) from None


def _reached(plain: Any, steps: list[tuple[str, str, str]], path: str) -> Iterator[tuple[str, Any]]:
    """The values that msgspec's path may mean: it doesn't say which name of a mapping."""
    if not steps:
        yield path, plain
        return
    (name, place, _), rest = steps[0], steps[1:]
    if name and isinstance(plain, dict) and name in plain:
        yield from _reached(plain[name], rest, _dotted(path, name))
    elif place and isinstance(plain, (list, tuple)) and int(place) < len(plain):
        yield from _reached(plain[int(place)], rest, f"{path}[{place}]")
    elif not name and not place and isinstance(plain, dict):
        for key, inner in plain.items():
            yield from _reached(inner, rest, f"{path}[{_short(key)}]")


_KINDS = {"object", "array", "null", "str", "int", "float", "bool"}
"""Plain values' types as msgspec's messages call them."""


def _kind_of(value: Any) -> str:
    names = {dict: "object", list: "array", tuple: "array", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _allowed(wanted: str) -> str:
    """What msgspec's message wants, in words; ``Finite`` is bounded by the largest float there is."""
    return "a finite number" if "e+308" in wanted else wanted.removeprefix("Expected ")


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 100
_REPR.maxlevel = 3  # a document that is nested a thousand levels deep is JSON, and repr would fail on it


def _short(value: object) -> str:
    return _REPR.repr(value)

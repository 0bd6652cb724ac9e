"""JSON schemas of what is written and read, made from the very types that the decoder builds.

They say what ``harness.store.decoding`` checks by types: names, kinds, bounds, which names may be missing, and that no
other may stand there. What a value checks by itself (``__post_init__``, a checksum, what must follow from what) no
schema can say.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["json_schema"]

_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
"""An argument in a docstring: its name and its words, the lines that go on with it included."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(
    kinds: tuple[Any, ...],
    title: str,
    *,
    version: int | None = None,
    checksum: bool = False,
    rows: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, Any]:
    """The schema of a document.

    Args:
        kinds: the dataclasses that it may hold; several where a file has lines of several kinds.
        title: of the document.
        version: that stands in its field ``schema`` beside the fields of the first kind; None where none does.
        checksum: whether it has a field ``checksum``.
        rows: dataclass → its fields in the order in which a list holds their values, where one is written as a list.
    """
    found, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    found = _admitting(list(found))
    definitions = {name.lstrip("_"): _admitting(inner) for name, inner in definitions.items()}
    first = definitions[_name_of(found[0])]
    beside: dict[str, Any] = {}
    if version is not None:
        beside["schema"] = {"const": version}
    if checksum:
        beside["checksum"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    first["properties"] = {**beside, **first["properties"]}
    # A document of the first version needn't say so: that is how the first ones were written.
    asked = [name for name in beside if name != "schema" or version != 1]
    first["required"] = [*asked, *first.get("required", [])]
    for name, order in (rows or {}).items():
        definitions[name] = _as_list(definitions[name], order)
    document = found[0] if len(found) == 1 else {"oneOf": list(found)}
    return {"$schema": _DIALECT, "title": title, **document, "$defs": dict(sorted(definitions.items()))}


def _name_of(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _admitting(schema: Any) -> Any:
    """The schema with what the decoder admits beside msgspec: numbers that aren't finite, and no unknown name."""
    if isinstance(schema, list):
        return [_admitting(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _admitting(value) for name, value in schema.items()}
    for name in {"$ref", "title"} & inner.keys():  # a class that is private here is a name like another there
        inner[name] = inner[name].replace("/_", "/").lstrip("_")
    if inner.get("type") == "number":
        return _number(inner)
    if inner.get("type") == "object" and "properties" in inner:
        inner["additionalProperties"] = False
        _describe(inner)
    return inner


def _describe(schema: dict[str, Any]) -> None:
    """Give each field the words that the class's docstring has for it."""
    # Python 3.13 takes the indentation off a docstring itself.
    text, _, arguments = inspect.cleandoc(schema.get("description", "")).partition("Args:")
    schema["description"] = " ".join(text.split())
    for name, words in _ARGUMENT.findall(arguments):
        if name in schema["properties"]:
            schema["properties"][name] = {"description": " ".join(words.split()), **schema["properties"][name]}
    for field in schema.get("properties", {}).values():
        if field.get("default") == {}:  # some versions of msgspec say it of an empty mapping, others don't
            del field["default"]


def _number(schema: dict[str, Any]) -> dict[str, Any]:
    """A float: ``"nan"``, ``"inf"`` and ``"-inf"`` are written as texts, where the bounds let them stand."""
    lowest, highest = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    highest = schema.get("exclusiveMaximum") if highest is None else highest
    if lowest == -sys.float_info.max and highest == sys.float_info.max:
        return {name: value for name, value in schema.items() if name not in {"minimum", "maximum"}}
    words = ["nan"] if lowest is None and highest is None else []
    words += ["inf"] if highest is None else []
    words += ["-inf"] if lowest is None else []
    if not words:
        return schema
    default = {name: schema.pop(name) for name in ("default",) if name in schema}
    return {"anyOf": [schema, {"enum": words}], **default}


def _as_list(schema: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    items = [{"title": name, **schema["properties"][name]} for name in order]
    return {"title": schema["title"], "type": "array", "prefixItems": items, "items": False, "minItems": len(items)}

"""Reading a policy: ``alignment.toml``, or ``[tool.alignment]`` of a ``pyproject.toml``. All its errors at once."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.policy.policy_fields import CASE, KNOWN, TABLES, Field
from harness.policy.policy_values import BaselineTerms, CaseTerms, KnownDeviation, Policy, PolicyError
from harness.store.atomic import read_bounded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["find_policy", "read_policy"]

NAME, PROJECT = "alignment.toml", "pyproject.toml"
_TOOL = ("tool", "alignment")

Known = Callable[[str], str | None]
"""The name of a case that the policy names; None where there is no such case."""


def find_policy(folder: Path) -> Path | None:
    """The policy of a folder: its own, or that of the nearest folder above it; None where there is none.

    ``alignment.toml`` comes before ``pyproject.toml``, which counts where it has a table ``[tool.alignment]``.
    """
    for place in (folder.absolute(), *folder.absolute().parents):
        if (place / NAME).is_file():
            return place / NAME
        project = place / PROJECT
        if project.is_file() and re.search(r"^\s*\[+tool\.alignment\b", _text_of(project), re.MULTILINE):
            return project
    return None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True)
class _Source:
    """The file's text, to say on which line a key stands."""

    path: Path
    text: str
    prefix: tuple[str, ...]

    def line(self, table: str, index: int | None, key: str = "") -> int:
        """The line of a key, or of its table's header where the key has none; 0 where neither is found."""
        wanted = ".".join(filter(None, (*self.prefix, table)))
        header, seen, inside = 0, -1, not wanted
        for number, line in enumerate(self.text.splitlines(), 1):
            if found := re.match(r"\s*(\[{1,2})\s*([^\]]+?)\s*\]", line):
                name = found[2].replace(" ", "").replace('"', "")
                seen += name == wanted and found[1] == "[["
                inside = name == wanted and (index is None or seen == index)
                header = number if inside else header
                if key and not table and name == ".".join((*self.prefix, key)):
                    return number
            elif inside and key and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
                return number
        return header

    def where(self, table: str, index: int | None, key: str = "") -> str:
        """How a message names a place: file, line and key."""
        name = table if index is None else f"{table}[{index}]"
        name = ".".join(filter(None, (name, key)))
        line = self.line(table, index, key)
        return f"{self.path}:{line}: {name}" if line else f"{self.path}: {name}"


def read_policy(path: Path, known_case: Known | None = None) -> Policy:
    """The policy that a file holds.

    Args:
        path: ``alignment.toml``, or a ``pyproject.toml`` with ``[tool.alignment]``.
        known_case: tells the name of a case that the policy names; without it names are not checked.

    Raises:
        PolicyError: the file is missing or no TOML; a key is unknown, missing, or of another type or value; a case is
            unknown or named twice; a deviation is of a case that the policy doesn't demand. All of them are told.
    """
    text = read_bounded(path, PolicyError)
    try:
        document: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as failure:
        found = re.search(r"at line (\d+), column (\d+)", str(failure))
        where = f"{path}:{found[1]}:{found[2]}" if found else path
        raise PolicyError("the policy is no TOML", where=where, observed=str(failure), hint="https://toml.io") from None
    prefix: tuple[str, ...] = ()
    if path.name == PROJECT:
        prefix, document = _TOOL, document.get("tool", {}).get("alignment")
        if document is None:
            raise PolicyError("the file holds no policy", where=path, allowed="a table [tool.alignment]")
    source = _Source(path, text, prefix)
    errors: list[PolicyError] = []
    policy = _policy(document, source, errors, known_case)
    if errors:
        first = errors[0]
        raise PolicyError(
            first.what,
            where=first.where,
            observed=first.observed,
            allowed=first.allowed,
            hint=first.hint,
            others=tuple(errors[1:]),
        )
    return policy


def _policy(document: Any, source: _Source, errors: list[PolicyError], known_case: Known | None) -> Policy:
    names = (*TABLES, "cases", "known")
    if not isinstance(document, Mapping):
        errors.append(PolicyError("the policy is no table", where=source.path, allowed=", ".join(names)))
        return Policy(source.path)
    errors += [
        _unknown("the policy has an unknown table", source.where("", None, name), name, names)
        for name in document
        if name not in names
    ]
    found = {
        name: _checked(document.get(name, {}), fields, source, errors, name, None) for name, fields in TABLES.items()
    }
    cases = [
        (number, _checked(one, CASE, source, errors, "cases", number))
        for number, one in _listed(document, "cases", source, errors)
    ]
    known = [
        (number, _checked(one, KNOWN, source, errors, "known", number))
        for number, one in _listed(document, "known", source, errors)
    ]
    named = _check_cases(cases, source, errors, known_case)
    _check_known(known, named, bool(cases), source, errors, known_case)
    if errors:
        return Policy(source.path)
    limits, baselines = found["limits"], found["baselines"]
    return Policy(
        source.path,
        defaults=_options(found["defaults"]),
        cases=tuple(_case(values) for _, values in cases),
        known=tuple(_deviation(values, source.line("known", number)) for number, values in known),
        retries=found["retries"].get("inconclusive", 0),
        case_seconds=limits.get("case-seconds"),
        gate_seconds=limits.get("gate-seconds"),
        baselines=BaselineTerms(baselines.get("oldest-days"), baselines.get("repeats")),
    )


def _listed(
    document: Mapping[str, Any], name: str, source: _Source, errors: list[PolicyError]
) -> Iterator[tuple[int, Any]]:
    value = document.get(name, [])
    if not isinstance(value, list):
        errors.append(
            PolicyError(
                f"{name} is no list of tables",
                where=source.where(name, None),
                observed=type(value).__name__,
                allowed=f"[[{name}]], once for each",
            )
        )
        return
    yield from enumerate(value)


def _checked(
    table: Any,
    fields: Mapping[str, Field],
    source: _Source,
    errors: list[PolicyError],
    name: str,
    index: int | None,
) -> dict[str, Any]:
    """A table's values, as far as they are allowed."""
    if not isinstance(table, Mapping):
        errors.append(
            PolicyError(
                f"{name} is no table", where=source.where(name, index), observed=repr(table), allowed=f"[{name}]"
            )
        )
        return {}
    values: dict[str, Any] = {}
    for key, given in table.items():
        where = source.where(name, index, key)
        if key not in fields:
            errors.append(_unknown("the policy has an unknown key", where, key, tuple(fields)))
            continue
        field = fields[key]
        value = field.convert(given)
        if value is None:
            hint = _did_you_mean(given, field.known) if isinstance(given, str) else None
            errors.append(
                PolicyError(
                    "the policy has a value that isn't allowed",
                    where=where,
                    observed=repr(given),
                    allowed=field.allowed,
                    hint=hint,
                )
            )
        else:
            values[key] = value
    for key, field in fields.items():
        if field.required and key not in table:
            errors.append(
                PolicyError(
                    "the policy lacks a key",
                    where=source.where(name, index),
                    observed=f"no {key}",
                    allowed=field.allowed,
                )
            )
    return values


def _check_cases(
    cases: Sequence[tuple[int, Mapping[str, Any]]],
    source: _Source,
    errors: list[PolicyError],
    known_case: Known | None,
) -> set[str]:
    """The names of the cases that are demanded; one that isn't known, or is demanded twice on a device, is an error."""
    names: set[str] = set()
    demanded: set[tuple[str, str]] = set()
    for number, values in cases:
        if "name" not in values:
            continue
        name = known_case(values["name"]) if known_case is not None else Path(values["name"]).stem
        if name is None:
            errors.append(_no_case(values["name"], source.where("cases", number, "name")))
            continue
        names.add(name)
        for device in values.get("device", ("*",)):
            if {(name, device), (name, "*")} & demanded or (device == "*" and any(one == name for one, _ in demanded)):
                errors.append(
                    PolicyError(
                        "the policy demands a case twice on one device",
                        where=source.where("cases", number, "name"),
                        observed=f"{name} on {'every device' if device == '*' else device}",
                        allowed="once for each device",
                    )
                )
            demanded.add((name, device))
    return names


def _check_known(
    known: Sequence[tuple[int, Mapping[str, Any]]],
    named: set[str],
    some: bool,
    source: _Source,
    errors: list[PolicyError],
    known_case: Known | None,
) -> None:
    for number, values in known:
        case = values.get("case")
        if case is None:
            continue
        if some and case not in named:
            where = source.where("known", number, "case")
            errors.append(_unknown("a known deviation is of a case that isn't demanded", where, case, tuple(named)))
        elif not some and known_case is not None and known_case(case) is None:
            errors.append(_no_case(case, source.where("known", number, "case")))


def _no_case(name: str, where: str) -> PolicyError:
    from harness.running.cases import list_cases

    known = tuple(case.name for case in list_cases())
    return PolicyError(
        f"there is no case {name!r}",
        where=where,
        allowed=f"{', '.join(known)}, or the path of a config",
        hint=_did_you_mean(name, known) or "align cases",
    )


def _unknown(what: str, where: str, observed: str, known: tuple[str, ...]) -> PolicyError:
    return PolicyError(
        what, where=where, observed=observed, allowed=", ".join(sorted(known)), hint=_did_you_mean(observed, known)
    )


def _did_you_mean(text: str, known: Sequence[str]) -> str | None:
    found = difflib.get_close_matches(text.replace("_", "-"), known, n=1, cutoff=0.6)
    found = found or difflib.get_close_matches(text, known, n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else None


def _options(values: Mapping[str, Any]) -> dict[str, object]:
    """Options as the command line's parser names them."""
    paths = {"out", "baseline-dir", "work-dir"}
    return {key.replace("-", "_"): Path(value) if key in paths else value for key, value in values.items()}


def _case(values: Mapping[str, Any]) -> CaseTerms:
    options = {key: value for key, value in values.items() if key not in {"name", "device", "required"}}
    return CaseTerms(values["name"], values.get("device", ()), values.get("required", True), _options(options))


def _deviation(values: Mapping[str, Any], line: int) -> KnownDeviation:
    return KnownDeviation(
        values["case"],
        values["cause"],
        values["reason"],
        values["owner"],
        values["expires"],
        values.get("device", ()),
        line,
    )

"""File names for cases: whatever a case is called, its files stay in their folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

__all__ = ["folder_name", "folder_names"]

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_OTHER = re.compile(r"[^A-Za-z0-9_.+-]+")


def folder_name(case: str) -> str:
    """The case's name where it is a plain one; else what is plain of it, and a digest that keeps it apart."""
    if _PLAIN.fullmatch(case) and not case.endswith("."):
        return case
    digest = sha256(case.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = _OTHER.sub("-", case).strip(".-+")[:80]
    return f"{plain or 'case'}-{digest}"


def folder_names(cases: Iterable[str]) -> tuple[str, ...]:
    """One folder name a case, no two alike even where file systems ignore case; repeats are numbered from 2.

    None is the name of a file that lies beside the folders.
    """
    taken = {"index.html", "junit.xml"}
    names: list[str] = []
    for case in cases:
        plain = name = folder_name(case)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)

"""The template engine: every value is escaped, every value is legible, a misspelled one is an error."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.words.legible import legible

__all__ = ["render"]

_TEMPLATES = Path(__file__).parents[1] / "templates"


def render(template: str, **values: object) -> str:
    """A page.

    Args:
        template: file name in ``reports/templates``.
        values: what it shows. Only Markup goes in unescaped.
    """
    sheet = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704  # our own file
    return _environment().get_template(template).render(style=sheet, **values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        autoescape=True,
        finalize=_fit_to_show,
        keep_trailing_newline=True,
        loader=FileSystemLoader(_TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )


def _fit_to_show(value: object) -> object:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

"""The template engine: every value is escaped, every value is legible, a misspelled one is an error."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from harness.language import language, say
from reports.run.finding_rows import outcome_words
from reports.words import shadow_words
from reports.words.legible import legible
from reports.words.wording import multiple, relative, unbroken

__all__ = ["render"]

_OF_SHADOW_OPS = (
    *(shadow_words.row_words, shadow_words.shadow_amount, shadow_words.projection_words, shadow_words.bits_words),
    *(shadow_words.program_words, shadow_words.program_file, shadow_words.module_words),
)

_TEMPLATES = Path(__file__).parents[1] / "templates"


def render(template: str, **values: object) -> str:
    """A page.

    Args:
        template: file name in ``reports/templates``.
        values: what it shows. Only Markup goes in unescaped.
    """
    sheet = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704  # our own file
    return _environment().get_template(template).render(style=sheet, language=_html_language(), **values)


def _html_language() -> str:
    """As HTML names it."""
    return "zh-Hans" if language() == "zh" else "en"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        finalize=_fit_to_show,
        keep_trailing_newline=True,
        loader=FileSystemLoader(_TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    # A page shows the values themselves: these are how a number or an outcome is written.
    filters = (relative, multiple, unbroken, outcome_words, begins_with_a_name, *_OF_SHADOW_OPS)
    environment.filters |= {each.__name__: each for each in filters}
    environment.filters["say"] = _say
    return environment


def begins_with_a_name(text: str) -> bool:
    """Whether a sentence begins with the name of a signal or a tensor, whose first letter is left as it is."""
    return any(sign in text.partition(" ")[0] for sign in "./_")


@pass_context
def _say(_: Context, text: str, of: str = "") -> str:
    """A text in the chosen language; a filter without context would be asked once, when the template is compiled."""
    return say(text, of)


def _fit_to_show(value: object) -> object:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

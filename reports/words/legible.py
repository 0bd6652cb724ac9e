"""Text from other machines, made fit to be shown."""

from __future__ import annotations

import re

__all__ = ["legible"]

_TERMINAL_COLOUR = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")

# What XML 1.0 forbids, what HTML calls a parse error, and the overrides that make text read otherwise than it is.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)


def legible(text: str) -> str:
    r"""The text with every character that a page or an XML file can't hold replaced by U+FFFD.

    Terminal colours are dropped and carriage returns (progress bars) become line ends. Markup is left as it is:
    escaping is the template's work.
    """
    lines = _TERMINAL_COLOUR.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNFIT.sub("\ufffd", lines)

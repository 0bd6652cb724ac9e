"""Tells whether a model ported to a new accelerator trains like it does on the reference.

    from harness import compare, read_log

    log = read_log("cuda.log")
    result = compare("cuda.log", "sdaa.log")
    print(result.verdict.status, result.verdict.reason)

Importing it is cheap: what a name needs is imported when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.logs import compare, read_log
    from harness.pairs.log import Log, Series
    from harness.training.declaring import Training, case
    from harness.training.watching import Watch, watch

__all__ = ["Log", "Series", "Training", "Watch", "case", "compare", "read_log", "watch"]

_HOME = {
    **dict.fromkeys(("Log", "Series"), "pairs.log"),
    **dict.fromkeys(("compare", "read_log"), "logs"),
    **dict.fromkeys(("Training", "case"), "training.declaring"),
    **dict.fromkeys(("Watch", "watch"), "training.watching"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

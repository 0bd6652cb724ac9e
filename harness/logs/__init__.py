"""Foreign training logs, whatever their format, as values."""

from harness.logs.compare import compare
from harness.logs.read import read_log
from harness.pairs.log import Log, Series

__all__ = ["Log", "Series", "compare", "read_log"]

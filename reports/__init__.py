"""Floor 5: what judging found, shown. Pages, data and JUnit XML."""

from reports.errors import ResultError
from reports.json_result import read_result
from reports.record import BaselineNote, Record, record_of
from reports.writer import Merged, Report, merge, write

__all__ = ["BaselineNote", "Merged", "Record", "Report", "ResultError", "merge", "read_result", "record_of", "write"]

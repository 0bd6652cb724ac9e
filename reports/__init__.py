"""What judging found, shown. Pages, data and JUnit XML."""

from reports.results.json_result import read_result
from reports.results.result_error import ResultError
from reports.results.result_record import BaselineNote, Record, record_of
from reports.run.bundle import write_bundle
from reports.run.writer import Merged, Report, merge, write

__all__ = [
    "BaselineNote",
    "Merged",
    "Record",
    "Report",
    "ResultError",
    "merge",
    "read_result",
    "record_of",
    "write",
    "write_bundle",
]

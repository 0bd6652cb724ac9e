"""The pytest plugin: `pytest -m alignment` collects a test per case, from the same code path as `align verify`.

It adds nothing to a test run that doesn't select the marker ``alignment``.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.values.case import Case

__all__ = ["CaseItem", "CaseNotAligned"]


class CaseNotAligned(Exception):  # noqa: N818  # it is a verdict, no error of the program
    """A case's verdict is not PASS; the message is the verdict's sentence."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `align verify` that a test run needs."""
    group = parser.getgroup("alignment", "alignment of a ported model's training with the reference's")
    group.addoption("--device", default=None, help="cpu, cuda, sdaa or emulated; sdaa where it is, else emulated")
    group.addoption("--profile", default="", help="numerics profile of the emulated device")
    group.addoption("--fault", action="append", default=[], help="a fault to put in")
    group.addoption("--case", action="append", default=[], help="a case's name or config; all small ones without it")
    group.addoption("--iterations", type=int, default=0, help="how many; the case's own without it")
    group.addoption("--baseline-dir", type=Path, default=None, help="where the baselines lie")
    group.addoption("--out", type=Path, default=Path("alignment-report"), help="the report's folder")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "alignment: trains a case on the candidate and judges it against its baseline")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test per case where the marker is selected."""
    expression = str(config.option.markexpr or "")
    if "alignment" not in expression or "not alignment" in expression:
        return
    items.extend(CaseItem.from_parent(session, name=f"alignment[{case.name}]", case=case) for case in _cases(config))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write one index over the cases, once, where several processes ran them."""
    out: Path = session.config.getoption("--out")
    parallel = getattr(session.config.option, "numprocesses", None)
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    results = sorted(out.glob("*/result.json")) if parallel and not is_worker else []
    if results and "alignment" in str(session.config.option.markexpr or ""):
        import reports

        reports.merge(results, out)


def _cases(config: pytest.Config) -> Iterable[Case]:
    from harness.running.cases import find_case, small_cases

    named = [find_case(name) for name in config.getoption("--case")]
    return named or small_cases()


class CaseItem(pytest.Item):
    """The test of one case.

    Args:
        case: what to run.
        **kwargs: of pytest's Item.
    """

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.add_marker("alignment")

    def runtest(self) -> None:
        """Run the case and judge it.

        Raises:
            CaseNotAligned: the verdict is not PASS.
        """
        import reports
        from harness.cli.options import baseline_folder
        from harness.devices.choice import choose_device
        from harness.running.order import Order
        from harness.running.verify import verify
        from harness.values.verdict import Status

        option = self.config.getoption
        order = Order(
            config=str(self.case.config),
            device=choose_device(option("--device")).name,
            profile=option("--profile"),
            faults=tuple(option("--fault")),
            iterations=option("--iterations"),
            command=f"pytest -m alignment --case {self.case.name}",
        )
        with tempfile.TemporaryDirectory(prefix="align-") as folder:
            baselines = baseline_folder(option("--baseline-dir"))
            result = verify(self.case, order, baselines=baselines, folder=Path(folder))
        page = reports.write([result], option("--out"))
        label = result.candidate.device.label if result.candidate else order.device
        self.add_report_section("call", "alignment", f"{result.verdict.status.value} on {label}; report: {page}")
        if result.verdict.status is not Status.PASS:
            raise CaseNotAligned(f"{result.verdict.status.value}: {result.verdict.reason}\nreport: {page}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict's sentence alone; a traceback where the program itself failed."""
        if isinstance(excinfo.value, CaseNotAligned):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where pytest says the test is: the case's config."""
        return self.case.config, None, self.name

"""The pytest plugin: `pytest -m alignment` collects a test per case, from the same code path as `align verify`.

It adds nothing to a test run that doesn't select the marker ``alignment``. Each case is verified in a process of its
own, so that nothing of torch, and nothing named ``models`` or ``reports``, gets in the way of the user's own tests.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.expression import Expression  # what -m is: pytest has no public name for it

from harness.rules.budget import FALSE_ALARM_RATE, share_of
from harness.running.invoking import VARIABLE, begin_invocation, handed_on
from harness.running.isolation import isolated_python
from harness.values.errors import AlignmentError, UsageError
from harness.values.invocation import Invocation

__all__ = ["CaseItem", "CaseNotAligned"]


_SHORT = "ALIGN_PYTEST_SHORT_OPTIONS"


@dataclass(frozen=True)
class _Told:
    """What a result says that the plugin asks for."""

    verdict: str
    reason: str
    invocation: Invocation | None


def _told(path: Path) -> _Told:
    """Of a result.json; ``reports``, which reads it whole, may be the name of a package of the user's here.

    Raises:
        AlignmentError: it can't be read.
    """
    from harness.store.atomic import read_bytes
    from harness.store.decoding import convert_value, decode_plain

    plain = decode_plain(read_bytes(path, UsageError), path, UsageError)
    found = (
        {name: plain.get(name) for name in ("verdict", "reason", "invocation")} if isinstance(plain, dict) else plain
    )
    return convert_value(found, _Told, path, UsageError)


class CaseNotAligned(Exception):  # noqa: N818  # it is a verdict, no error of the program
    """A case's verdict is not PASS; the message is the verdict's sentence."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `align verify` that a test run needs: ``--align-device`` …, and ``--device`` … for short.

    The short names are the project's own only in a run that selects the marker: other suites have a ``--device`` too.
    """
    group = parser.getgroup("alignment", "alignment of a ported model's training with the reference's")
    expressions = [following for word, following in pairwise(sys.argv) if word == "-m"]
    short = _SHORT in os.environ or any(map(_selects, expressions))
    if short:
        os.environ[_SHORT] = (
            "1"  # the processes of a parallel run parse the same options, and have no words of their own
        )

    def add(name: str, **settings: Any) -> None:
        names = [f"--align-{name}", *([f"--{name}"] if short else [])]
        group.addoption(*names, dest=f"align_{name.replace('-', '_')}", **settings)

    add("device", default="", help="as `align verify` takes it; the accelerator that is here, else emulated")
    add("profile", default="", help="numerics profile of the emulated device")
    add("fault", action="append", default=[], help="a fault to put in")
    add("case", action="append", default=[], help="a case's name or config; default: all small ones")
    add("iterations", type=int, default=0, help="how many iterations; default: as the case says")
    add("false-alarm-rate", type=float, default=FALSE_ALARM_RATE, help="of all the cases together; %(default)s")
    add("gate-size", type=int, default=0, help="how many cases the whole gate has, where this run judges a part of it")
    add("no-early-stop", action="store_true", help="run to the end, also where the verdict can't change any more")
    add("shadow", default="", help="iterations to compute again in float64 on the host: auto, none, or their numbers")
    add("baseline-dir", default="", help="where the baselines lie")
    add("out", default="alignment-report", help="the report's folder")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "alignment: trains a case on the candidate and judges it against its baseline")
    if _selected(config) and VARIABLE not in os.environ:  # the processes of a parallel run inherit it
        os.environ[VARIABLE] = handed_on(begin_invocation(shlex.join(["pytest", *sys.argv[1:]]), ()))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test per case where the marker is selected."""
    if _selected(config):
        cases = _cases(config)
        size = _gate_size(config, len(cases))
        items.extend(
            CaseItem.from_parent(session, name=f"alignment[{Path(case).stem}]", case=case, gate_size=size)
            for case in cases
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say which cases the run is of, and take away what an earlier run left of them: nothing of it is today's."""
    items = [item for item in session.items if isinstance(item, CaseItem)]
    if not items or session.config.option.collectonly:
        return
    cases = tuple(Path(item.case).stem for item in items)
    os.environ[VARIABLE] = handed_on(replace(begin_invocation("", ()), cases=cases))
    for item in items:
        item.result.unlink(missing_ok=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write one index over the cases, once: each of them has written its own report."""
    if not _selected(session.config) or "PYTEST_XDIST_WORKER" in os.environ:
        return
    out = Path(session.config.getoption("align_out"))
    written = [path for case in _cases(session.config) if _is_ours(path := out / Path(case).stem / "result.json")]
    if written:
        _align("report", *map(str, written), "--out", str(out))


def _is_ours(path: Path) -> bool:
    """Whether a result is of this run, and not of an earlier one that this one had no part of."""
    try:
        made = _told(path).invocation
    except AlignmentError:
        return False
    return made is not None and made.id == begin_invocation("", ()).id


def _selected(config: pytest.Config) -> bool:
    return _selects(str(config.option.markexpr or ""))


def _selects(expression: str) -> bool:
    """Whether an expression names the marker, and pytest would take an item that has it alone."""
    if not re.search(r"\balignment\b", expression):
        return False
    try:
        return Expression.compile(expression).evaluate(lambda name, /, **_: name == "alignment")
    except SyntaxError:
        return False  # pytest itself says so


def _cases(config: pytest.Config) -> list[str]:
    """The cases that were named, else all small ones."""
    named: list[str] = config.getoption("align_case")
    if named:
        return named
    listed = _align("cases", "--names", "--small")
    if listed.returncode:
        raise pytest.UsageError(listed.stderr)
    return listed.stdout.split()


def _gate_size(config: pytest.Config, cases: int) -> int:
    """How many cases share the false-alarm rate; what is not valid is told before anything is run."""
    size = config.getoption("align_gate_size") or cases
    try:
        share_of(config.getoption("align_false_alarm_rate"), cases, size)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    return int(size)


def _align(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own words
        isolated_python("harness.cli:main", *arguments), capture_output=True, text=True, check=False
    )


class CaseItem(pytest.Item):
    """The test of one case.

    Args:
        case: a case's name, or the path of a config.
        gate_size: how many cases share the false-alarm rate.
        **kwargs: of pytest's Item.
    """

    def __init__(self, *, case: str, gate_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.gate_size = gate_size
        self.add_marker("alignment")

    @property
    def result(self) -> Path:
        """Where its result is written."""
        return Path(self.config.getoption("align_out")) / Path(self.case).stem / "result.json"

    def runtest(self) -> None:
        """Verify the case.

        Raises:
            CaseNotAligned: the verdict is not PASS, or there is none.
        """
        result = self.result
        verified = _align("verify", self.case, "--out", self.config.getoption("align_out"), *self._words())
        self.add_report_section("call", "alignment", verified.stdout + verified.stderr)
        if verified.returncode == 0:
            return
        if not result.exists():
            raise CaseNotAligned(verified.stderr or verified.stdout)
        try:
            told = _told(result)
        except AlignmentError as error:
            raise CaseNotAligned(f"{verified.stderr or verified.stdout}\n{error}") from None
        raise CaseNotAligned(f"{told.verdict}: {told.reason}\nreport: {result.with_name('report.html')}")

    def _words(self) -> list[str]:
        """The options of `align verify` that were given."""
        option = self.config.getoption
        words = [f"--fault={fault}" for fault in option("align_fault")]
        words += [f"--false-alarm-rate={option('align_false_alarm_rate')!r}", f"--gate-size={self.gate_size}"]
        words += ["--no-early-stop"] if option("align_no_early_stop") else []
        for name in ("device", "profile", "baseline-dir", "iterations", "shadow"):
            value = option(f"align_{name.replace('-', '_')}")
            words += [f"--{name}={value}"] if value else []
        return words

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict's sentence alone; a traceback where the program itself failed."""
        if isinstance(excinfo.value, CaseNotAligned):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        """What pytest says where the test is."""
        return self.case, None, self.name

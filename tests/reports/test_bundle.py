"""One file that can be mailed: everything of a report is in it, and nothing of what lies beside one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from zipfile import ZipFile

import pytest

import reports
from harness.values.errors import UsageError
from harness.values.invocation import Invocation
from harness.values.result import Result
from harness.values.verdict import Status
from reports.results.result_error import ResultError

Samples = dict[str, Callable[[], Result]]


def test_a_zip_holds_each_case_and_its_links_lead_there(tmp_path: Path, samples: Samples) -> None:
    for name in ("one", "two"):
        reports.write([samples["passing"](), samples["failing_by_shadow"]()], tmp_path / name)
    (tmp_path / "one" / "ann_small" / "secret.txt").write_text("not of the report")
    records = reports.write_bundle([tmp_path / "one", tmp_path / "two"], tmp_path / "sent" / "report.zip")

    assert [record.verdict.status for record in records] == [Status.PASS, Status.FAIL] * 2
    with ZipFile(tmp_path / "sent" / "report.zip") as archive:
        names = archive.namelist()
        links = re.findall(r'href="([^"#]+)"', archive.read("index.html").decode())
        page = archive.read("002-ann_small-2/report.html")
    assert set(links) <= set(names)
    assert sum(name.endswith("result.json") for name in names) == 4
    assert "002-ann_small-2/reproduce/1.py" in names
    assert not [name for name in names if "secret" in name or name.startswith(("/", ".."))]
    assert page == (tmp_path / "one" / "ann_small-2" / "report.html").read_bytes()


def test_the_same_report_makes_the_same_bundle(tmp_path: Path, samples: Samples) -> None:
    reports.write([samples["passing"]()], tmp_path / "out")
    for name in ("a.zip", "b.zip"):
        reports.write_bundle([tmp_path / "out"], tmp_path / name)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_one_html_file_holds_the_pages_in_frames_without_scripts(tmp_path: Path, samples: Samples) -> None:
    reports.write([samples["passing"](), samples["crashed"]()], tmp_path / "out")
    reports.write_bundle([tmp_path / "out"], tmp_path / "report.html")
    source = (tmp_path / "report.html").read_text(encoding="utf-8")

    frames = re.findall(r'<iframe id="(case-\d)" title="ann_small" sandbox="" loading="lazy" srcdoc="([^"]*)">', source)
    assert [name for name, _ in frames] == ["case-2", "case-1"]  # the ERROR comes first
    assert {f"#{name}" for name, _ in frames} <= set(re.findall(r'href="(#[^"]+)"', source))
    for _, page in frames:
        assert unescape(page).startswith("<!DOCTYPE html>")
        assert not re.findall(r'href="(?!#)', unescape(page))


def test_results_of_several_invocations_say_so(tmp_path: Path, samples: Samples) -> None:
    for at in "12":
        call = Invocation(at * 32, f"2026-11-2{at}T00:00:00+00:00", machine="vm")
        reports.write([replace(samples["passing"](), invocation=call)], tmp_path / at)
    reports.write_bundle([tmp_path], tmp_path / "report.html")

    assert "2 invocations on vm lie together here" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_believed_or_written_is_refused(tmp_path: Path, samples: Samples) -> None:
    page = reports.write([samples["passing"]()], tmp_path / "out")
    with pytest.raises(UsageError, match=r"a ZIP or an HTML file"):
        reports.write_bundle([tmp_path / "out"], tmp_path / "report.tar")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"can't be written"):
        reports.write_bundle([tmp_path / "out"], tmp_path / "file" / "report.zip")
    broken = page.parent / "result.json"
    broken.write_text(broken.read_text()[:100])
    with pytest.raises(ResultError):
        reports.write_bundle([tmp_path / "out"], tmp_path / "report.zip")

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports
from harness.store.tables import parse_trace
from harness.values.errors import UsageError
from harness.values.result import Result
from reports import ResultError
from reports.run.folder_names import folder_name, folder_names


def named(result: Result, case: str) -> Result:
    return replace(result, verdict=replace(result.verdict, case=case))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_one_case_opens_its_own_page(tmp_path: Path, any_result: Result) -> None:
    page = reports.write([any_result], tmp_path / "out")

    assert page == tmp_path / "out" / "ann_small" / "report.html"
    expected = {"index.html", "junit.xml", "ann_small/report.html", "ann_small/result.json"}
    expected |= {"ann_small/trace.csv"} if any_result.trace is not None else set()
    for found in any_result.reproductions:
        expected |= {f"ann_small/reproduce/{found.number}.{kind}" for kind in ("py", "safetensors")}
    assert files(tmp_path / "out") == expected


def test_what_a_run_printed_lies_beside_its_error_and_goes_with_the_next_result(
    tmp_path: Path, samples: dict[str, Callable[[], Result]]
) -> None:
    page = reports.write([replace(samples["crashed"](), log=b"\xff begins\nends\n")], tmp_path)
    assert (page.parent / "output.log").read_bytes() == b"\xff begins\nends\n"
    assert 'href="output.log"' in page.read_text()

    page = reports.write([samples["crashed"]()], tmp_path)
    assert not (page.parent / "output.log").exists()
    assert "output.log" not in page.read_text()


def test_many_cases_open_the_index(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    page = reports.write([named(make(), name) for name, make in samples.items()], tmp_path)

    assert page == tmp_path / "index.html"
    for name in samples:
        assert f'href="{name}/report.html"' in page.read_text()
        assert json.loads((tmp_path / name / "result.json").read_text())["case"] == name


def test_what_is_judged_is_kept_while_the_rest_is_made_and_an_overview_speaks_of_all(
    tmp_path: Path, samples: dict[str, Callable[[], Result]]
) -> None:
    reports.write([samples["passing"]()], tmp_path)
    report = reports.Report(tmp_path, ["first", "second"])
    assert not {"index.html", "junit.xml"} & files(tmp_path), "an earlier report's would pass for this one's"

    report.add(named(samples["passing"](), "first"))
    assert {"first/report.html", "first/result.json", "first/trace.csv"} <= files(tmp_path)
    assert not {"index.html", "junit.xml"} & files(tmp_path)

    report.add(named(samples["crashed"](), "second"))
    assert report.finish() == tmp_path / "index.html"
    assert 'href="second/report.html"' in (tmp_path / "index.html").read_text()


def test_results_that_come_in_another_order_are_written_as_if_in_theirs(
    tmp_path: Path, samples: dict[str, Callable[[], Result]]
) -> None:
    made = [named(samples["passing"](), case) for case in ("a", "b", "c")]
    in_order = reports.Report(tmp_path / "in-order", "abc")
    as_they_come = reports.Report(tmp_path / "as-they-come", "abc")
    for number in (2, 0, 1):
        in_order.add(made[(number + 1) % 3])
        as_they_come.add(made[number], number)
    in_order.finish()
    as_they_come.finish()
    for file in files(tmp_path / "in-order"):
        assert (tmp_path / "as-they-come" / file).read_bytes() == (tmp_path / "in-order" / file).read_bytes(), file


def test_the_same_results_give_the_same_bytes(tmp_path: Path, any_result: Result) -> None:
    for name in ("one", "two"):
        reports.write([any_result], tmp_path / name)

    assert files(tmp_path / "one") == files(tmp_path / "two")
    for name in files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_trace_comes_back_to_the_bit(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    result = samples["not_finite"]()
    assert result.trace is not None
    reports.write([result], tmp_path)

    text = (tmp_path / "ann_small" / "trace.csv").read_text()
    back = parse_trace(text, "trace.csv", planned=30, complete=True)

    assert back.batches == result.trace.batches
    for name, values in result.trace.signals.items():
        assert back.signals[name].tobytes() == values.tobytes()


def test_an_earlier_trace_does_not_pass_for_this_ones(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    reports.write([samples["passing"]()], tmp_path)
    reports.write([samples["crashed"]()], tmp_path)

    assert "ann_small/trace.csv" not in files(tmp_path)
    assert "ERROR" in (tmp_path / "ann_small" / "report.html").read_text()


@pytest.mark.parametrize(
    "case",
    ["../../escaped", "/etc/passwd", "a/b\\c", "..", "", " ", "index.html", "junit.xml", "a\0b", "\ud800", "x" * 5000],
)
def test_no_case_leaves_its_folder(tmp_path: Path, samples: dict[str, Callable[[], Result]], case: str) -> None:
    out = tmp_path / "deep" / "out"
    page = reports.write([named(samples["crashed"](), case)], out)

    assert page.parent.parent == out
    assert files(tmp_path) == {f"deep/out/{name}" for name in files(out)}
    assert (out / "index.html").is_file()
    readable = "\N{REPLACEMENT CHARACTER}" if case == "\ud800" else case  # what no file can hold
    assert reports.read_result(page.parent / "result.json").verdict.case == readable


@given(st.lists(st.text(max_size=30) | st.sampled_from(["a", "A", "a-2", "index.html", "."]), max_size=8))
def test_no_two_cases_share_a_folder(cases: list[str]) -> None:
    names = folder_names(cases)

    assert len({name.casefold() for name in names}) == len(cases)
    for name in names:
        assert name not in {"", ".", "..", "index.html", "junit.xml"}
        assert not set(name) & set('/\\:*?"<>|\0')
        assert len(name) < 140
        assert not name.startswith((".", "-"))


def test_a_plain_name_is_kept() -> None:
    plain = "ann_r50-d8_4xb2-40k_cityscapes-512x1024"
    assert folder_name(plain) == plain


def test_nothing_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing to report"):
        reports.write([], tmp_path)


def test_an_unwritable_folder_is_named(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(UsageError, match=r"can't be written"):
        reports.Report(tmp_path / "taken", ["before it is trained"])
    with pytest.raises(UsageError, match=r"can't be written"):
        reports.write([samples["crashed"]()], tmp_path / "taken")


def test_merging_links_every_machine(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    for machine in ("first machine", "second"):
        reports.write([samples["passing"](), samples["crashed"]()], tmp_path / machine)
    paths = [tmp_path / "first machine", tmp_path / "second" / "ann_small" / "result.json"]

    merged = reports.merge(paths, tmp_path / "merged")

    text = merged.index.read_text()
    assert [record.verdict.status.value for record in merged.records] == ["PASS", "ERROR", "PASS"]
    assert 'href="../first%20machine/ann_small/report.html"' in text
    assert 'href="../first%20machine/ann_small-2/report.html"' in text
    assert 'href="../second/ann_small/report.html"' in text
    suite = ET.parse(tmp_path / "merged" / "junit.xml").getroot().find("testsuite")  # noqa: S314  # our own
    assert suite is not None
    assert suite.get("tests") == "3"


def test_merging_needs_no_pages(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    page = reports.write([samples["passing"]()], tmp_path / "out")
    page.unlink()

    assert "report.html" not in reports.merge([tmp_path / "out"], tmp_path / "merged").index.read_text()


def test_merging_leaves_no_result_out_silently(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    page = reports.write([samples["passing"](), samples["crashed"]()], tmp_path)
    broken = tmp_path / "ann_small-2" / "result.json"
    broken.write_text(broken.read_text()[:100])
    before = page.read_bytes()

    with pytest.raises(ResultError, match=r"no JSON, or only a part"):
        reports.merge([tmp_path], tmp_path)
    assert page.read_bytes() == before


def test_merging_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no result to merge"):
        reports.merge([tmp_path], tmp_path / "merged")
    with pytest.raises(ResultError, match=r"missing"):
        reports.merge([tmp_path / "result.json"], tmp_path / "merged")


def test_programs_lie_beside_the_page_and_an_earlier_reports_do_not(
    tmp_path: Path, samples: dict[str, Callable[[], Result]]
) -> None:
    result = samples["failing_by_shadow"]()
    (found,) = result.reproductions
    reports.write([replace(result, reproductions=(found, replace(found, number=2)))], tmp_path)
    folder = tmp_path / "ann_small" / "reproduce"
    (folder / "mine.txt").write_text("kept")
    unwritten = replace(found, number=3, program="", inputs=b"", note="It has no program: too large.")

    reports.write([replace(result, reproductions=(found, unwritten))], tmp_path)

    assert files(folder) == {"1.py", "1.safetensors", "mine.txt"}
    assert (folder / "1.py").read_text() == found.program
    assert (folder / "1.safetensors").read_bytes() == found.inputs
    kept = json.loads((tmp_path / "ann_small" / "result.json").read_text())["reproductions"]
    assert [(entry["program"], entry["note"]) for entry in kept] == [
        ("reproduce/1.py", found.note),
        (None, unwritten.note),
    ]

"""Rates follow from the rows, and the page, the data and the Markdown say the same."""

import csv
import dataclasses
import io
import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from harness.lab.power.effect import Extent
from harness.lab.power.outcome import PowerResult
from harness.lab.power.proportions import Rate
from harness.lab.power.study_rows import Execution
from reports.study.study_data import encode_power, tabulate_faults, tabulate_healthy
from reports.study.study_faults import heat_rows, unseen_rows
from reports.study.study_markdown import render_markdown
from reports.study.study_page import render_power
from reports.study.study_rates import blind_rows, execution_words, shadow_rows
from reports.study.study_report import write_power
from tests.power.studies import fault_row, healthy_row


def test_rates(result):
    assert result.gate.detected == Rate(2, 5)
    assert result.gate.detected_with_change == Rate(2, 4)
    assert result.gate.detected_with_effect == Rate(2, 3)
    assert result.gate.false_alarms == Rate(1, 10)
    assert result.median_iterations == 3.0
    assert result.detected_by("loss") == Rate(2, 5)
    assert result.detected_by_alone("loss") == Rate(1, 5)
    assert result.detected_by("schedule") == Rate(0, 5)


def test_what_shadow_ops_find_counts_on_a_line_of_its_own():
    faults = (
        fault_row("bn-eps-1e-4", seen=False, extent=Extent.ROUNDING, shadowed=True, shadow=(0, "conv1 is off")),
        fault_row(shadowed=True),
    )
    found = PowerResult(faults=faults, healthy=())
    assert found.gate_without_shadow.detected == Rate(1, 2)
    assert found.gate.detected == Rate(2, 2)
    assert found.gate_without_shadow.detected_with_effect == Rate(1, 2), (
        "what shadow ops see has an effect, also where no trace rule sees it"
    )
    assert found.unseen == ()
    assert "with shadow ops" in render_page_and_markdown(found)
    assert "with shadow ops" not in render_page_and_markdown(PowerResult(faults=(fault_row(),), healthy=()))


def test_what_hard_inputs_alone_find_is_no_effect_of_the_training():
    watched = {"shadowed": True, "forced": True}
    faults = (
        fault_row("nan-to-zero", seen=False, extent=Extent.NONE, **watched, hard_inputs="relu: a NaN is lost"),
        fault_row("bn-eps-1e-4", seen=False, extent=Extent.NONE, **watched),
        fault_row("momentum-zero", **watched),
    )
    found = PowerResult(faults=faults, healthy=())
    assert found.gate.detected == Rate(2, 3)
    assert found.gate.detected_with_change == found.gate.detected_with_effect == Rate(1, 1)
    assert found.gate_without_hard_inputs.detected == Rate(1, 3)
    assert [row.fault for row in found.unseen] == ["bn-eps-1e-4"]
    assert found.detected_by_alone("hard inputs") == Rate(1, 3)
    words = render_page_and_markdown(found)
    assert words.count("with shadow ops and hard inputs: detected, of all faulty runs") == 2
    document = json.loads(encode_power(found))
    assert document["faults"][0]["hard_inputs"] == "relu: a NaN is lost"
    assert document["rules"]["hard inputs"]["detected"]["count"] == 1
    assert next(csv.DictReader(io.StringIO(tabulate_faults(found))))["hard inputs"] == "whole"


def test_blind_faults_are_counted_beside_the_known_ones():
    watched = {"shadowed": True, "forced": True}
    known = (fault_row(**watched), fault_row("momentum-zero", **watched))
    blind = (
        fault_row("bases-never-move", seen=False, extent=Extent.NONE, blind=True, **watched),
        fault_row("relu-cut-at-6", seen=False, blind=True, shadow=(0, "relu is off"), **watched),
        fault_row("momentum-restarts", blind=True, **watched),
    )
    study = PowerResult(faults=(*known, *blind), healthy=(healthy_row(),))
    counts = {name: (one.counts, other.counts) for name, one, other in blind_rows(study)}
    assert counts["with shadow ops and hard inputs: detected, of all faulty runs"] == ("2 of 2", "2 of 3")
    assert counts["without shadow ops: detected, of those with an effect"] == ("2 of 2", "1 of 2")
    assert not any("false alarms" in name for name in counts)
    assert render_page_and_markdown(study).count("Faults that were written blind") == 2
    document = json.loads(encode_power(study))
    assert [row["blind"] for row in document["faults"]] == [False, False, True, True, True]
    assert {"what": "legacy rule: detected, of the same faulty runs", "known": "0 of 2", "blind": "0 of 3"} in (
        document["blind"]
    )
    assert next(csv.DictReader(io.StringIO(tabulate_faults(study))))["blind"] == "no"
    alone = PowerResult(faults=blind, healthy=())
    assert blind_rows(alone)[0][1].counts == "0 of 0"
    assert blind_rows(PowerResult(faults=known, healthy=())) == ()
    assert "written blind" not in render_page_and_markdown(PowerResult(faults=known, healthy=()))


def test_how_long_the_runs_took_is_said_of_those_that_were_made(result):
    whole = dataclasses.replace(result, runs=9, execution=Execution(9, 2, 6300.0))
    assert execution_words(whole).replace("\u202f", " ") == (
        "all 9 runs were made by this command, 2 at a time, in 1 h 45 min"
    )
    assert execution_words(dataclasses.replace(whole, execution=Execution(4, 2, 60.0))).startswith("4 of 9 runs")
    assert execution_words(result) == execution_words(dataclasses.replace(whole, execution=Execution(0, 2, 0.1))) == ""
    assert "All 9 runs were made" in render_markdown(whole)
    assert "all 9 runs were made" in render_power(whole)
    assert json.loads(encode_power(whole))["making"] == {"runs": 9, "workers": 2, "seconds": 6300.0}
    assert json.loads(encode_power(result))["making"] is None


def test_of_half_a_study_rates_are_of_the_runs_that_were_watched():
    rows = [healthy_row(seed) for seed in range(1000, 1200)]
    first = dataclasses.replace(rows[0], detection=dataclasses.replace(rows[0].detection, shadowed=True, forced=True))
    part = PowerResult(faults=(), healthy=(first, *rows[1:]))
    assert part.gate.false_alarms == part.gate_without_hard_inputs.false_alarms == Rate(0, 1)
    assert part.gate_without_shadow.false_alarms == Rate(0, 200)


def test_a_healthy_port_that_hard_inputs_call_is_a_false_alarm_and_says_why():
    row = healthy_row()
    called = dataclasses.replace(row.detection, forced=True, shadowed=True, hard_inputs="relu is off")
    found = PowerResult(faults=(), healthy=(dataclasses.replace(row, detection=called), healthy_row(1001)))
    assert found.gate.false_alarms == Rate(1, 1)
    assert found.gate_without_hard_inputs.false_alarms == Rate(0, 1)
    assert "hard inputs: relu is off" in render_page_and_markdown(found)


def test_shadow_ops_alone_by_layer_and_what_they_name():
    found = {"shadowed": True, "shadow": (0, "conv1 is off")}
    faults = (
        fault_row("a", **found, named=True),
        fault_row("b", **found, named=False),
        fault_row("c", shadowed=True),
        fault_row("d", strikes="autograd", **found, named=True),
        fault_row("e", strikes="optimizer", **found, named=True),
        fault_row("f", strikes="optimizer", seen=False, extent=Extent.NONE, shadowed=True),
    )
    rows = {name: (seen.counts, named.counts) for name, seen, named in shadow_rows(PowerResult(faults, ()))}
    assert rows == {
        "kernel": ("2 of 3", "1 of 2"),
        "autograd": ("1 of 1", "1 of 1"),
        "optimizer": ("1 of 1", "1 of 1"),
        "kernel, autograd and optimizer": ("4 of 5", "3 of 4"),
    }
    words = render_page_and_markdown(PowerResult(faults, (), shadow=(0, 1)))
    assert words.count("Shadow ops watched iterations 0, 1 of each run") == 2


def render_page_and_markdown(result):
    return render_power(result) + render_markdown(result)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(Extent)), max_size=30))
def test_what_is_seen_has_an_effect_and_what_is_not_is_listed(rows):
    faults = tuple(fault_row(f"f{n}", seen=seen, extent=extent) for n, (seen, extent) in enumerate(rows))
    result = PowerResult(faults=faults, healthy=())
    assert result.gate.detected.count == result.gate.detected_with_effect.count
    assert result.gate.detected.count + len(unseen_rows(result)) == len(faults)
    assert result.gate.detected_with_effect.total <= result.gate.detected.total


def test_the_heat_map_counts_cases(result):
    rows = {row.fault: row for row in heat_rows(result)}
    assert list(rows) == ["conv-wgrad-x1.05", "bn-eps-1e-4", "subnormals-flushed"]
    columns = dict(zip(result.rules, rows["conv-wgrad-x1.05"].cells, strict=True))
    assert (columns["loss"].text, columns["loss"].shade) == ("2/2", 4)
    assert (columns["gradient norm"].text, columns["gradient norm"].shade) == ("1/2", 2)
    assert (columns["schedule"].text, columns["schedule"].words) == ("", "0 of 2 cases")
    assert rows["bn-eps-1e-4"].gate.text == ""
    assert rows["bn-eps-1e-4"].effect == "1/2"


def test_what_nothing_sees_says_why_and_what_has_an_effect_comes_first(result):
    first, *rest = unseen_rows(result)
    assert (first.fault, first.case) == ("bn-eps-1e-4", "ccnet_small")
    assert "7 times" in first.why
    assert [row.why.partition(":")[0] for row in rest] == ["below rounding", "no effect here"]


def test_the_data_say_what_the_rows_say(result):
    document = json.loads(encode_power(result))
    assert document["rates"]["gate"]["detected"]["count"] == 2
    assert document["rates"]["gate"]["false_alarms"]["high"] < 0.5
    assert [row["seen"] for row in document["faults"]] == [True, True, False, False, False]
    faults = list(csv.DictReader(io.StringIO(tabulate_faults(result))))
    assert [row["loss"] for row in faults] == ["0", "4", "", "", ""]
    healthy = list(csv.DictReader(io.StringIO(tabulate_healthy(result))))
    assert [row["verdict"] for row in healthy].count("FAIL") == 1


def test_a_number_that_is_not_finite_is_still_json():
    row = fault_row()
    row = dataclasses.replace(row, effect=dataclasses.replace(row.effect, times=float("inf")))
    document = json.loads(encode_power(PowerResult(faults=(row,), healthy=())))
    assert document["faults"][0]["effect"]["times_rounding"] == "inf"


class Collected(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_needs_no_network_and_no_script_and_escapes(result):
    page = Collected()
    page.feed(render_power(result))
    assert not [tag for tag, attrs in page.tags if tag in {"script", "img", "link", "iframe"} or "src" in attrs]
    text = " ".join("".join(page.text).split())
    assert "EMULATED" in text
    assert "align power <ann_small>" in text
    assert "Not run yet: 3 runs of ann_small" in text
    assert "allreduce-skipped (needs two processes)" in text
    assert "ann_small, tf32, seed 1003: loss is off" in text


def test_every_cell_of_the_heat_map_is_read_out(result):
    page = Collected()
    page.feed(render_power(result))
    cells = [attrs for tag, attrs in page.tags if tag == "td" and attrs.get("class", "").startswith("heat ")]
    assert len(cells) == 3 * (len(result.rules) + 2)
    assert all(attrs.get("aria-label") or not attrs["class"].endswith("s0") for attrs in cells)


def test_markdown_has_whole_tables(result):
    for block in render_markdown(result).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_of_an_empty_study_everything_is_written_and_nothing_claimed(tmp_path):
    page = write_power(PowerResult(faults=(), healthy=()), tmp_path / "out")
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "faults.csv", "healthy.csv", "power.html", "power.json", "power.md"
    ]  # fmt: skip
    assert json.loads((page.parent / "power.json").read_text())["rates"]["gate"]["detected"]["rate"] is None

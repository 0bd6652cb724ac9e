"""The terms that a verdict stands on: what was asked, and what of the case's own gate was left out, in every output."""

import dataclasses
import json
from pathlib import Path

import pytest

import reports
from harness.cli.markdown import render_markdown
from harness.cli.terminal import print_results
from harness.rules.gate import judge
from harness.running.asked_terms import better_references, terms_alone, terms_of
from harness.running.order import Order
from harness.store.baselines import save_baseline
from harness.values.case import Case
from harness.values.provenance import Device
from harness.values.result import Result
from harness.values.terms import Against
from harness.values.verdict import Agreement
from tests.healthy_runs import make_baseline, make_provenance, make_trace

CASE = Case("made_up", Path("made_up.py"), iterations=30, repeats=8, tier="tf32")
USUAL = (0, 1, 10, 29)


def terms(baseline, tier="tf32", rate=1e-3, size=1, **changes):
    order = dataclasses.replace(Order("made_up.py", "cpu", shadow=USUAL), **changes)
    return terms_of(CASE, order, baseline=baseline, tier=tier, false_alarm_rate=rate, gate_size=size)


def test_the_cases_own_gate_leaves_nothing_out():
    asked = terms(make_baseline())
    assert asked.left_out == ()
    assert asked.asked == (
        *("30 iterations", "tier tf32", "8 healthy runs of cpu", "shadow ops at 4 iterations", "no hard inputs"),
        "a false-alarm rate of 0.001",
    )
    assert terms(make_baseline(), tier="fp32", shadow_forced=True).left_out == ()


def test_a_setting_that_was_accepted_is_left_out():
    accepted = [Agreement("model.depth", "50", "101", False, False)]
    order = Order("made_up.py", "cpu", shadow=USUAL)
    told = terms_of(
        CASE, order, baseline=make_baseline(), tier="tf32", false_alarm_rate=1e-3, gate_size=1, accepted=accepted
    )
    assert told.left_out == ("an equal model.depth (50 → 101)",)


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"iterations": 3, "shadow": (0, 1, 2)}, "27 of its 30 iterations"),
        ({"shadow": ()}, "shadow ops"),
        ({"shadow": (0,)}, "3 of 4 shadowed iterations"),
        ({"shadow_ops": ("mm",)}, "shadow ops other than mm"),
        ({"tier": "bf16"}, "its tier tf32"),
        ({"rate": 1e-6}, "what only a false-alarm rate of 0.001 calls"),
    ],
)
def test_what_is_weaker_is_named(changes, left_out):
    assert terms(make_baseline(), **changes).left_out == (left_out,)


def test_fewer_healthy_runs_are_named():
    few = make_baseline(repeats=5)
    assert terms(few).left_out == ("3 of its 8 healthy runs",)


def test_a_gate_of_many_cases_shares_its_rate():
    asked = terms(make_baseline(), rate=1e-3 / 4, size=4)
    assert asked.left_out == ()
    assert asked.asked[-1] == "a false-alarm rate of 0.00025, one of 4 cases of a gate of 0.001"


def test_alone_no_reference_is_asked():
    asked = terms_alone(CASE, Order("made_up.py", "cpu", iterations=3, shadow=(0, 1, 2)))
    assert asked.against is Against.HOST
    assert asked.left_out == ("the baseline",)


def test_a_better_reference_that_lies_unused_is_named(tmp_path):
    baseline = make_baseline()
    save_baseline(tmp_path, baseline)
    assert better_references(tmp_path, CASE, baseline) == ()
    origin = make_provenance(device=Device("cuda", "NVIDIA H200"))
    cuda = dataclasses.replace(baseline, reference="cuda", provenance=origin)
    save_baseline(tmp_path, cuda)
    (remark,) = better_references(tmp_path, CASE, baseline)
    assert "--reference cuda judges by NVIDIA H200" in remark
    assert better_references(tmp_path, CASE, cuda) == ()


def test_every_output_says_what_was_left_out(tmp_path, capsys):
    baseline = make_baseline()
    weak = dataclasses.replace(terms(baseline, shadow=()), remarks=("a better one lies there",))
    verdict = judge(baseline, make_trace(77), make_provenance())
    result = Result(verdict, make_trace(77), make_provenance(), baseline, terms=weak)
    page = reports.write([result], tmp_path)
    print_results([result], "page")
    said = {
        "terminal": capsys.readouterr().out,
        "page": page.read_text().replace("\N{NO-BREAK SPACE}", " "),
        "index": (tmp_path / "index.html").read_text(),
        "JSON": page.with_name("result.json").read_text(),
        "JUnit": (tmp_path / "junit.xml").read_text(),
        "Markdown": render_markdown(result),
    }
    for where, text in said.items():
        assert "a better one lies there" in text, where
        if where not in {"JSON", "JUnit"}:
            assert "left out of the case's own gate: shadow ops" in text.replace("&#39;", "'"), where
    assert json.loads(said["JSON"])["terms"]["left_out"] == ["shadow ops"]
    assert '<property name="left_out" value="shadow ops" />' in said["JUnit"]
    assert '<property name="false_alarm_rate" value="0.001" />' in said["JUnit"]
    assert "with the reference cpu over 30 iterations" in said["terminal"]


def test_a_page_of_shadow_ops_alone_asks_another_question(tmp_path):
    verdict = dataclasses.replace(judge(make_baseline(), make_trace(77), make_provenance()), envelopes={})
    alone = terms_alone(CASE, Order("made_up.py", "cpu", iterations=3, shadow=(0, 1, 2)))
    text = reports.write([Result(verdict, make_trace(77), make_provenance(), terms=alone)], tmp_path).read_text()
    assert "Does it train like the reference?" not in text
    assert "No reference was asked." in text
    assert "Reference: none was asked." in text
    assert "No baseline was asked." in text

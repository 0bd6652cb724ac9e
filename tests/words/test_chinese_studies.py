"""Studies, evaluations, histories, cards and ranks in Chinese: no word of a page or a line stays English but names."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from harness.accuracy.acceptance_margins import NAMED_MARGINS, Margin
from harness.accuracy.answer_comparison import AnswerComparison, compare_answers
from harness.accuracy.image_counts import count_image
from harness.accuracy.label_table import LabelTable
from harness.accuracy.moved_classes import moved_classes
from harness.accuracy.paired_difference import paired_difference
from harness.accuracy.same_weights import Side, judge_same_weights
from harness.accuracy.trained_runs import judge_runs
from harness.cli.cards import _print as print_cards
from harness.cli.main import main
from harness.cli.terminal import open_console
from harness.evaluating.counts_stream import ImageRow
from harness.evaluating.evaluation_folder import answer_file
from harness.evaluating.evaluation_pass import Evaluation, Identity
from harness.evaluating.kept_answers import encode_png
from harness.inference.inference_settings import Fuse, InferenceSettings, Mode
from harness.lab.commands.power import _print as print_power
from harness.lab.faults import FAULTS
from harness.lab.power.detection import RULES, Detection
from harness.lab.power.effect import Effect, Extent
from harness.lab.power.outcome import PowerResult
from harness.lab.power.ports import PORTS
from harness.lab.power.proportions import Rate
from harness.lab.power.sampled_faults import Sampling
from harness.lab.power.study_rows import EnsembleRow, Execution, FaultRow, HealthyRow, NotRun
from harness.language import say, speak
from harness.language.chinese_faults import FAULT_PHRASES
from harness.language.speech import untranslated
from harness.rules.card_spread import judge_cards
from harness.rules.rank_agreement import RankRow, judge_ranks
from harness.rules.rank_gradients import GradientMean
from harness.running.pulse import rank_behind, tell_pulse
from harness.running.watchdog import Timeouts, _hung
from harness.store.atomic import write_bytes
from harness.values.verdict import Status
from reports.accuracy.score_page import Picture, score_page
from reports.accuracy.score_table import score_table
from reports.run.cards import write_cards
from reports.study.study_page import render_power
from reports.words.headline import headline
from tests.pinned import pinned
from tests.words.shown_texts import texts_on

TEMPLATES = Path(__file__).parents[2] / "reports/templates"

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "ERROR", "EMULATED")

UNITS = re.compile(r"\d\s?(?:h|min|s)\b")


@pytest.fixture(autouse=True)
def chinese():
    speak("zh")
    yield
    speak("en")


def english_in(texts, *names):
    """The texts that hold a word of three letters or more that is no name."""
    known = sorted((*VERDICTS, *names), key=len, reverse=True)
    found = []
    for text in texts:
        rest = text
        for name in known:
            rest = rest.replace(name, "")
        if re.search(r"[A-Za-z]{3,}", UNITS.sub("", rest)):
            found.append(text)
    return found


def test_a_word_that_stays_english_is_found():
    page = '<p aria-label="Rates">比率</p><th>Rate</th><td title="by rule">ann_small，sees</td><pre>align</pre>'
    assert english_in(texts_on(page), "ann_small") == ["Rates", "Rate", "by rule", "ann_small，sees"]


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.j2")), ids=lambda path: path.name)
def test_every_word_of_a_template_is_said(template):
    """What stands between tags, or is read aloud, goes through ``say``, but for names and commands."""
    text = re.sub(r"\{% block more_style %\}.*?\{% endblock %\}", "", template.read_text(encoding="utf-8"), flags=re.S)
    plain = re.sub(r"<(style|script)>.*?</\1>|<!--.*?-->|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.S)
    shown = re.findall(r">([^<]*[A-Za-z]{2,}[^<]*)<", plain)
    shown += re.findall(r'(?:aria-label|title|alt|data-label|placeholder)="([^"]*[A-Za-z]{2,}[^"]*)"', plain)
    names = r"EMULATED|n?IoU|result\.json|trace\.csv|align verify --shadow auto|python reproduce/1\.py .*|, cuda, sdaa"
    assert [text for text in shown if not re.fullmatch(names, text.strip())] == []


def fault_row(name, case="ann_small", seen=True, extent=Extent.CLEAR, what="grad_norm", **watched):
    fault = FAULTS[name]
    rules = {"loss": 0} if seen else {}
    status = Status.FAIL if seen else Status.PASS
    detection = Detection(status, "aligned at tf32", 0 if seen else None, rules, 30, shadowed=True, **watched)
    effect = Effect(extent, 7.0, 2, what)
    return FaultRow(case, name, str(fault.strikes), fault.summary, 1.0, detection, effect, "stopped", 5.0, fault.blind)


def healthy_row(number, **watched):
    seen = number == 3
    reason = "loss is 4.8 % above the reference at iteration 3, where healthy runs stay within 0.1 %"
    detection = Detection(Status.FAIL if seen else Status.PASS, reason, 3 if seen else None, {}, 30, **watched)
    return HealthyRow("ann_small", PORTS[number % len(PORTS)].name, 3000 + number, detection, 20.0)


@pytest.fixture
def study():
    layers = {str(fault.strikes): name for name, fault in FAULTS.items()}
    faults = [fault_row(name, forced=True) for name in layers.values()]
    faults += [
        fault_row("bn-eps-1e-4", seen=False, extent=Extent.ROUNDING, forced=True),
        fault_row("relu-cut-at-6", seen=False, what="gradient of layer.weight", forced=True),
        fault_row("subnormals-flushed", "ccnet_small", seen=False, extent=Extent.NONE, forced=True),
        fault_row("bn-weight-gradient-x1.05", shadow=(0, "conv is off"), named=True),
    ]
    healthy = tuple(healthy_row(number, shadowed=number != 3, forced=number == 5) for number in range(12))
    return PowerResult(
        faults=tuple(faults),
        healthy=healthy,
        ensembles=(EnsembleRow(5, 2, Rate(2, 5), Rate(2, 3), Rate(1, 10)),),
        not_run=(NotRun("allreduce-skipped", "two processes"), NotRun("loss-scale-not-undone", "--amp")),
        missing={"ann_small": 3},
        iterations={"ann_small": 30, "ccnet_small": 30},
        tiers={"ann_small": "tf32"},
        profile="tf32",
        shadow=(0, 1),
        settle=2,
        seeds={
            "calibration (bounds)": "0 … 15, all below 100",
            "what rounding does to gradients": "500 … 503",
            "evaluation (false alarms)": "3000 … 3011",
        },
        command="align power",
        made="2026-01-01T00:00:00+00:00",
        seconds=3700.0,
        runs=24,
        execution=Execution(20, 2, 6300.0),
        sampling=Sampling(12, 200, 0),
    )


STUDY_NAMES = (
    *("ann_small", "ccnet_small", *FAULTS, *(port.name for port in PORTS), *RULES, "shadow", "hard inputs"),
    *(
        "Clopper–Pearson",
        "tf32",
        "float32",
        "im2col",
        "channels-last",
        "grad_norm",
        "layer.weight",
        "ReLU",
        "BatchNorm",
    ),
    *("loss", "--amp", "epsilon", "EMANet"),
)


def test_the_page_and_the_lines_of_a_power_study(study, capsys):
    page = render_power(study)
    assert '<html lang="zh-Hans">' in page
    assert english_in(texts_on(page), *STUDY_NAMES) == []
    assert "门禁看出之后再过 2 次迭代" in page
    print_power(open_console(), study)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20
    assert english_in(lines, *STUDY_NAMES) == []


def test_what_each_fault_does_and_stands_for_is_in_its_table(capsys, monkeypatch):
    texts = {text for fault in FAULTS.values() for text in (fault.summary, fault.stands_for)}
    assert texts == set(FAULT_PHRASES)
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["faults", "--lang", "zh"]) == 0
    assert "每个卷积的权重梯度偏大" in capsys.readouterr().out


def test_a_power_study_without_shadow_ops_and_run_to_its_end(capsys):
    page = render_power(PowerResult(faults=(), healthy=(healthy_row(0),), command="align power"))
    assert english_in(texts_on(page), *STUDY_NAMES) == []
    assert "每次运行都做到了结束" in page


LABELS = LabelTable.plain("made up", ["road", "wall", "sky"], [(1, 2, 3), (4, 5, 6), (7, 8, 9)])


def test_the_page_and_the_table_of_an_evaluation(tmp_path):
    truth = np.zeros((4, 6), np.uint8)
    truth[2:] = 1
    answers = np.zeros((4, 6), np.uint8)
    inference = InferenceSettings(Mode.SLIDE, (31, 37), (20, 23), (64, 32), (0.6, 1.3), True, Fuse.LOGITS, True)
    identity = Identity(
        *("ann_small", "", "", "made up val, generated scenes {'count': 1}", "", 2, inference.describe(), "cpu", ""),
        *((), "", LABELS),
    )
    rows = (ImageRow.of(count_image("town/one", answers, truth, LABELS), 1),)
    write_bytes(answer_file(tmp_path, "town/one"), encode_png(answers))
    done = Evaluation(tmp_path, identity, rows, None)
    page = score_page(done, {"town/one": Picture(np.zeros((4, 6, 3), np.uint8), truth)}, "align evaluate")
    names = ("ann_small", "made up val", "'count'", "IoU", "road", "wall", "sky", "town/one", "slide", "logits", "cpu")
    assert english_in(texts_on(page), *names) == []
    assert "town/one：答错 50.00" in page
    table = [say(line) for line in score_table(done.scores).splitlines()]
    told = [line for line in table if "：" in line]
    assert len(told) >= 3
    assert english_in([line for line in told if "IoU" not in line], "sky") == []
    assert english_in(table, *LABELS.class_names, "IoU", "sky") == []
    assert [cell_len(line) for line in table[:3]] == [len(line) for line in score_table(done.scores).splitlines()[:3]]


RUNS = [77.40, 77.45, 77.35, 77.42]


@pytest.mark.parametrize(
    ("reference", "candidate", "margin"),
    [
        (RUNS, [77.41, 77.44, 77.36, 77.40], Margin("0.5", points=0.5)),
        (RUNS, [76.1, 76.2, 76.0, 76.1], NAMED_MARGINS["0.1%"]),
        (RUNS, [79.1, 79.2, 79.0, 79.1], NAMED_MARGINS["0.15%"]),
        (RUNS, [76.95, 76.90, 76.85, 77.0], Margin("0.5", points=0.5)),
        (RUNS, [77.3], NAMED_MARGINS["99%"]),
        (RUNS, [77.41, 77.3], None),
        (RUNS, [70.1, 70.2], None),
        (RUNS, [80.1, 80.2], None),
        ([77.4], [77.0], None),
        ([77.4, 77.4], [77.0, 77.0], None),
    ],
)
def test_what_trained_runs_say(reference, candidate, margin):
    for spread in (None, 1.0):
        verdict = judge_runs("made up", reference, candidate, margin, spread=spread)
        texts = [verdict.reason, headline(verdict), *(finding.message for finding in verdict.findings)]
        assert [clause for text in texts for clause in untranslated(text)] == []
        assert english_in(map(say, texts), "Cityscapes", "align plan-accuracy", "--margin") == []


def sides_of(count, rate):
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 3, (40, 50)).astype(np.uint8)
    margins = rng.integers(120, 230, reference.shape).astype(np.uint8)
    for _ in range(count):
        answers = reference.copy()
        turned = (rng.random(reference.shape) < rate) & (margins < 140)
        answers[turned] = (answers[turned] + 1) % 3
        comparison = AnswerComparison((compare_answers("a/0", reference, answers, margins, 3),))
        one, other = (count_image("a/0", each, reference, LABELS) for each in (reference, answers))
        yield Side(comparison, paired_difference([one], [other], LABELS))


@pytest.mark.parametrize(
    ("count", "rate", "candidates"), [(9, 0.2, 0.2), (9, 0.01, 0.9), (3, 0.2, 0.2), (2, 0.2, 0.2), (9, 0.2, 0.0)]
)
def test_what_answers_with_the_same_weights_say(count, rate, candidates):
    (candidate,) = sides_of(1, candidates)
    moved = moved_classes(candidate.answers.net({"a/0": "a/0"}))
    healthy = list(sides_of(count, rate))
    names = LABELS.class_names
    verdict = judge_same_weights("x", candidate, healthy, moved, names, tier="tf32", false_alarm_rate=1e-3)
    texts = [verdict.reason, *(finding.message for finding in verdict.findings)]
    assert len(texts) > 4
    assert english_in(map(say, texts), *names, "mIoU", "Bhapkar", "jackknife") == []


def test_the_cost_of_a_margin_is_told_in_chinese(capsys):
    assert main(["plan-accuracy", "--lang", "zh", "--margin", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert english_in(lines, "Cityscapes", "--spread") == []
    widths = {len(line.encode("gbk").decode("latin-1")) for line in lines[-7:]}  # two columns a Chinese character
    assert len(widths) == 1


def test_the_page_and_the_lines_of_a_history(tmp_path, capsys):
    pytest.importorskip("sqlalchemy")
    from harness.cli.history import _print as print_history
    from harness.history.history_answer import answer
    from harness.history.history_database import History
    from harness.history.history_page import render_history
    from harness.history.history_rows import BuildRow, Row

    sight = {"iterations": 30.0, "shadow": 0.99, "detectable": 1e-4, "runs": 8.0}
    less = {"iterations": 5.0, "shadow": 0.2, "detectable": 1e-2, "runs": 3.0}
    wrong = "loss is 4.8 % above the reference at iteration 3, where healthy runs stay within 0.1 %"

    def row(number, case, status="PASS", again="", **changes):
        table = {f"version.{name}": f"1.{number}" for name in "abcdefgh"}
        build = BuildRow(f"key-{number}", "sdaa", "T100", table, "" if number == 38 else f"{number:07d}")
        given = {"measures": {}, "sight": sight, "build": build} | changes
        return Row(
            *(f"{number}-{case}-{again}", given.pop("build"), f"inv-{number}{case}", case, "sdaa"),
            *(f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:00:00+00:00", "ci", status),
            *(wrong if status == "FAIL" else "the run crashed", () if status == "PASS" else ("envelope: loss",)),
            *("tf32", 1.0),
            **given,
        )

    drifting = {"effective bits convolution": 21, "deviation of the loss, mean": 1e-4, "nearness envelope loss": 0.1}
    moved = [{name: first * (1 + number / 50) for name, first in drifting.items()} for number in range(40)]
    rows = [row(number, "drifts", measures=moved[number]) for number in range(40)]
    rows += [row(n, case, "FAIL" if n > 37 else "PASS") for n in range(30, 40) if n != 37 for case in ("one", "two")]
    rows += [row(n, "flickers", "FAIL" if n % 2 else "PASS") for n in range(30, 40)]
    rows += [row(n, "mixed", status, status) for n in (37, 38) for status in ("PASS", "FAIL")] + [row(39, "mixed")]
    rows += [row(n, "sees", sight=less if n > 37 else sight) for n in range(30, 40)]
    rows += [row(38, "left"), row(39, "left", left_out=("shadow ops",)), row(36, "gone"), row(38, "lost")]
    rows += [row(39, "died", "ERROR"), row(39, "unknown", "ERROR", build=None)]
    history = History(str(tmp_path / "h.db"))
    history.add_all(rows)
    found = answer(history)
    assert found.breakages
    assert found.drifts
    assert found.flaky
    assert found.blind
    assert found.absent
    page = render_history(found, shown="h.db", made="2026-01-01", last=30)
    cases = ("drifts", "one", "two", "flickers", "mixed", "sees", "left", "gone", "lost", "died", "unknown")
    names = ("sdaa", "version", "card", "T100", "envelope", "loss", "convolution", "Mann–Kendall", "h.db", *cases)
    assert english_in(texts_on(page), *names) == []
    print_history(found)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 15
    assert english_in(lines, *names) == []
    empty = render_history(answer(History(str(tmp_path / "none.db"))), shown="", made="", last=1)
    assert english_in(texts_on(empty), "Mann–Kendall") == []


def test_the_page_and_the_table_of_cards(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # a name that is folded is none that is known
    first, *others = pinned.baseline().tiers["tf32"]

    def scaled(trace, name, factor):
        return _replaced(trace, name, trace.signals[name] * factor)

    alike = {str(card): [first, first] for card in range(4)}
    noisy = {str(card): [trace] for card, trace in enumerate(others[:5])}
    rounds = {
        "alike": alike,
        "odd": {**alike, "2": [scaled(first, "loss", 1.01)] * 2},
        "own": {**alike, "1": [first, scaled(first, "grad_norm", 1 + 1e-7)]},
        "nan": {**alike, "3": [scaled(first, "loss", math.nan)] * 2},
        "noisy": {**noisy, "3": [scaled(others[3], "grad_norm", 1.5)]},
        "few": {"0": [first], "1": [others[0]]},
        "lone": {"0": [first]},
    }
    spreads = [judge_cards(name, cards) for name, cards in rounds.items()]
    assert {reason for spread in spreads for row in spread.odd for reason in row.reasons}
    verdicts = {spread.case: {row.card: "PASS" for row in spread.rows} for spread in spreads}
    names = (
        *rounds,
        "loss",
        *("grad_norm", "update_norm", "param_norm", "bn_mean_norm", "bn_var_norm", "docs/fleet.md"),
    )
    for chosen in (spreads, spreads[:1], spreads[-1:], spreads[1:2]):
        page = write_cards(chosen, verdicts, tmp_path, emulated=True, command="align verify").read_text("utf-8")
        assert english_in(texts_on(page), *names) == []
    for spread in spreads:
        print_cards(spread, verdicts[spread.case])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 30
    assert english_in(lines, *names) == []


def _replaced(trace, name, values):
    from dataclasses import replace

    return replace(trace, signals={**trace.signals, name: values})


def ranks(losses=(1.0, 2.0, 3.0), batches="abc", parameters=("p", "p", "p"), gradients=(), mean=None):
    return [RankRow(at, losses, tuple(batches), parameters, gradients, mean) for at in (0, 1)]


@pytest.mark.parametrize(
    "rows",
    [
        ranks(mean=GradientMean(0.5)),
        ranks(parameters=("p", "q", "p")),
        ranks(losses=(1.0,) * 5, batches="abcde", parameters=("p", "p", "p", "q", "r")),
        ranks(parameters=("p", "q", "r")),
        ranks(batches="aab"),
        ranks(losses=(1.0, math.nan, 3.0)),
        ranks(losses=(math.nan, math.nan, 3.0)),
        ranks(gradients=(1.0, math.inf, 3.0)),
        ranks(mean=GradientMean(9.0, "layer.weight", 0.05, (), (1.0, 1.05, 1.0))),
        ranks(mean=GradientMean(9.0, "layer.weight", 0.05, (), (1.0, 0.0, 1.0))),
        ranks(mean=GradientMean(9.0, "layer.weight", 0.05, (), (4.0, 4.0, 1.0))),
        ranks(mean=GradientMean(9.0, "layer.weight", 0.05)),
        ranks(mean=GradientMean(9.0, "layer.weight", 0.05, (1,))),
        ranks(mean=GradientMean(9.0, "layer.weight", 0.05, (0, 1, 2))),
    ],
)
def test_what_the_ranks_of_a_run_say(rows):
    (finding,) = judge_ranks(rows)
    for text in (finding.message, f"ranks: {finding.message}"):
        assert untranslated(text) == []
        assert english_in([say(text).removeprefix("ranks: ")], "all-reduce", "layer.weight") == []


@pytest.mark.parametrize("behind", [(), (1,), (1, 2)])
@pytest.mark.parametrize("stage", [0, 1])
def test_which_rank_hangs_is_told_in_chinese(tmp_path, behind, stage):
    for rank in range(3):
        tell_pulse(tmp_path, rank, 4 if rank in behind else 5, stage)
    for idle, seconds in ((99.0, 1.0), (1.0, 999.0)):
        text = f"the run was killed: {_hung(Timeouts(9.0, 9.0, 99.0), seconds, idle, 4)}; {rank_behind(tmp_path)}"
        assert english_in([say(text)]) == []

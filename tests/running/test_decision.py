"""What decides a run before its end: its trace, or an operation that is wrong."""

import dataclasses
from pathlib import Path

import pytest

from harness.rules.gate import Gate
from harness.running import verification
from harness.running.decision import Decision
from harness.running.folder import shadow_file
from harness.running.order import Order
from harness.running.watchdog import Run
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.files.check_stream import ShadowStream
from harness.values.case import Case
from harness.values.errors import RunError
from harness.values.verdict import Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal

ORDER = Order(config="made_up.py", device="cpu", shadow=(0, 3), shadow_tier="tf32")


@pytest.fixture(scope="module")
def gate():
    return Gate(make_baseline(), 30)


def so_far(trace, iterations):
    return dataclasses.replace(trace.head(iterations), planned=30, complete=False)


def shadow(folder, errors):
    """The stream of a run whose convolution has these errors at the shadowed iterations."""
    path = shadow_file(folder, 0)
    path.unlink(missing_ok=True)
    with ShadowStream(path, "tf32") as stream:
        for iteration, error in zip(ORDER.shadow, errors, strict=False):
            check = ShadowCheck(
                iteration, Part.FORWARD, "backbone", "convolution", "output", 0, "float32", (2, 3), True, error, 0.0
            )
            stream.append(iteration, [check], {"convolution": 1}, {"convolution": 1}, {})


def test_a_healthy_run_is_open_to_its_end(gate, tmp_path):
    shadow(tmp_path, [1e-7, 1e-7])
    decides = Decision(gate, ORDER, tmp_path)
    assert not any(decides(so_far(make_trace(77), seen), make_provenance()) for seen in range(1, 30))


def test_where_a_run_comes_from_decides_before_it_trains(gate, tmp_path):
    decides = {
        name: Decision(gate, ORDER, tmp_path)(so_far(make_trace(77), 0), make_provenance(**changes))
        for name, changes in {
            "same": {},
            "another device": {"device": dataclasses.replace(make_provenance().device, kind="sdaa")},
            "settings": {"settings": {"optim_wrapper.optimizer.lr": "0.02", "model.backbone.depth": "50"}},
            "weights": {"weights": "cd" * 32},
            "no weights": {"weights": ""},
            "precision": {"precision": "amp-bf16"},
            "seed": {"seed": 1},
            "global batch": {"global_batch": 8},
        }.items()
    }
    assert {name for name, decided in decides.items() if not decided} == {"same", "another device"}
    verdict = gate.so_far(so_far(make_trace(77), 0), make_provenance(seed=1))
    assert verdict.reason == "not the same experiment: seed is 0 on the reference and 1 on the candidate"


def test_the_trace_decides(gate, tmp_path):
    trace = with_signal(make_trace(77), "loss", make_trace(77).loss * 3)
    assert Decision(gate, dataclasses.replace(ORDER, shadow=()), tmp_path)(so_far(trace, 1), make_provenance())


@pytest.mark.parametrize(("settle", "ends_at"), [(0, 1), (1, 2), (9, 10), (40, None)])
def test_a_decided_run_goes_on_for_the_iterations_that_it_settles(gate, tmp_path, settle, ends_at):
    trace = with_signal(make_trace(77), "loss", make_trace(77).loss * 3)
    decides = Decision(gate, dataclasses.replace(ORDER, shadow=()), tmp_path, settle)
    ended = [seen for seen in range(1, 30) if decides(so_far(trace, seen), make_provenance())]

    assert ended == ([] if ends_at is None else list(range(ends_at, 30)))


def test_another_experiment_settles_nothing(gate, tmp_path):
    decides = Decision(gate, ORDER, tmp_path, 9)
    assert decides(so_far(make_trace(77), 0), make_provenance(seed=1))


def test_it_says_whether_the_verdict_was_decided(gate, tmp_path):
    decides = Decision(gate, dataclasses.replace(ORDER, shadow=()), tmp_path, 9)
    decides(so_far(make_trace(77), 1), make_provenance())
    assert not decides.is_decided
    far = with_signal(make_trace(77), "loss", make_trace(77).loss * 3)
    decides(so_far(far, 2), make_provenance())
    assert decides.is_decided


@pytest.mark.parametrize("decided", [True, False])
def test_a_crash_takes_no_decided_verdict_back(gate, decided):
    far = with_signal(make_trace(77), "loss", make_trace(77).loss * 3)
    run = Run(so_far(far, 4), make_provenance(), RunError("the run crashed"), "", 1.0)
    verdict = verification._judge(Case("made_up", Path("made_up.py")), gate, run, decided=decided)
    assert verdict.status is (Status.FAIL if decided else Status.ERROR)
    assert "the run crashed" in verdict.reason


def test_an_operation_decides_when_its_iteration_has_ended(gate, tmp_path):
    decides = Decision(gate, ORDER, tmp_path)
    shadow(tmp_path, [1e-7])
    assert not decides(so_far(make_trace(77), 1), make_provenance())
    shadow(tmp_path, [1e-7, 0.5])
    assert not decides(so_far(make_trace(77), 3), make_provenance())
    assert decides(so_far(make_trace(77), 4), make_provenance())


@pytest.mark.parametrize("text", [None, "", "no JSON\n", '{"schema": 99}\n'])
def test_checks_that_cannot_be_read_decide_nothing(gate, tmp_path, text):
    if text is not None:
        shadow_file(tmp_path, 0).write_text(text)
    assert not Decision(gate, ORDER, tmp_path)(so_far(make_trace(77), 1), make_provenance())

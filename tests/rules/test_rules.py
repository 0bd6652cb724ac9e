"""Each rule on a run that passes, one that fails, one with a NaN, and one that is too short."""

import dataclasses

import numpy as np
import pytest

from harness.rules.comparability import accepted_differences, compare_provenance, judge_comparability
from harness.rules.envelope import judge_envelope, watched_signals
from harness.rules.finiteness import judge_finiteness
from harness.rules.schedule import judge_schedule
from harness.rules.state import StateRule
from harness.values.trace import StateTable
from harness.values.verdict import Outcome
from tests.healthy_runs import TENSORS, make_provenance, make_trace, with_signal

RATE = 1e-3


def judge_state(runs, candidate, *, tier, false_alarm_rate):
    return StateRule(runs, len(candidate), tier=tier, false_alarm_rate=false_alarm_rate).judge(candidate)


def healthy(repeats=8):
    return [make_trace(seed) for seed in range(repeats)]


def failed(findings):
    return {finding.signal: finding for finding in findings if finding.status is not Outcome.PASS}


def with_state(trace, name, factor, iteration=0):
    values = trace.state.values.copy()
    values[trace.state.iterations >= iteration, trace.state.names.index(name)] *= factor
    return dataclasses.replace(trace, state=StateTable(trace.state.iterations, trace.state.names, values))


class TestEnvelope:
    def test_a_healthy_run_passes_and_says_what_it_would_have_seen(self):
        findings, envelopes = judge_envelope(healthy(), make_trace(77), tier="fp32", false_alarm_rate=RATE)
        assert not failed(findings)
        assert set(envelopes) == {"loss", "decode.loss_ce", "aux.loss_ce", "grad_norm"}
        assert all(0 < finding.smallest_detectable < 1e-2 for finding in findings)

    @pytest.mark.parametrize("factor", [1.02, 0.98, 0.61])
    def test_a_loss_that_is_off_fails_to_either_side_at_once(self, factor):
        trace = make_trace(77)
        trace = with_signal(trace, "loss", trace.loss * factor)
        findings, _ = judge_envelope(healthy(), trace, tier="fp32", false_alarm_rate=RATE)
        finding = failed(findings)["loss"]
        assert finding.iteration == 0
        assert finding.observed == pytest.approx(factor - 1, rel=1e-2)
        assert finding.allowed < 0.02

    def test_one_wild_iteration_fails_there(self):
        trace = make_trace(77)
        loss = trace.loss.copy()
        loss[17] = 1000.0
        findings, _ = judge_envelope(healthy(), with_signal(trace, "loss", loss), tier="fp32", false_alarm_rate=RATE)
        assert failed(findings)["loss"].iteration == 17

    def test_a_deviation_smaller_than_the_smallest_detectable_passes(self):
        runs = healthy()
        findings, envelopes = judge_envelope(runs, make_trace(77), tier="fp32", false_alarm_rate=RATE)
        seen = findings[0].smallest_detectable
        center = envelopes["loss"].center
        for factor, outcome in (
            (1 + 0.9 * seen, Outcome.PASS),
            (1 + 1.1 * envelopes["loss"].allowed.max(), Outcome.FAIL),
        ):
            trace = with_signal(make_trace(77), "loss", center * factor)
            judged, _ = judge_envelope(runs, trace, tier="fp32", false_alarm_rate=RATE)
            assert judged[0].status is outcome

    def test_nan_fails(self):
        trace = make_trace(77)
        loss = trace.loss.copy()
        loss[5:] = np.nan
        findings, _ = judge_envelope(healthy(), with_signal(trace, "loss", loss), tier="fp32", false_alarm_rate=RATE)
        assert failed(findings)["loss"].iteration == 5

    def test_a_signal_that_was_not_recorded_fails(self):
        trace = make_trace(77)
        signals = {name: values for name, values in trace.signals.items() if name != "grad_norm"}
        findings, _ = judge_envelope(
            healthy(), dataclasses.replace(trace, signals=signals), tier="fp32", false_alarm_rate=RATE
        )
        assert failed(findings)["grad_norm"].iteration == 0

    def test_without_an_iteration_it_does_not_pass(self):
        findings, _ = judge_envelope(healthy(), make_trace(77, iterations=0), tier="fp32", false_alarm_rate=RATE)
        assert {finding.status for finding in findings} == {Outcome.INCONCLUSIVE}

    def test_one_component_is_the_loss_itself(self):
        trace = make_trace()
        signals = {name: values for name, values in trace.signals.items() if name != "aux.loss_ce"}
        assert watched_signals(dataclasses.replace(trace, signals=signals)) == ("loss", "grad_norm")


class TestState:
    def test_a_healthy_run_passes(self):
        assert not failed(judge_state(healthy(), make_trace(77), tier="fp32", false_alarm_rate=RATE))

    @pytest.mark.parametrize("name", ["var/bn.running_var", "mean/bn.running_mean", "param/conv.weight"])
    def test_a_tensor_that_is_off_fails_by_name(self, name):
        trace = with_state(make_trace(77), name, 1.01, iteration=4)
        findings = failed(judge_state(healthy(), trace, tier="fp32", false_alarm_rate=RATE))
        assert findings[name].iteration == 4
        assert set(findings) == {name}

    def test_a_total_that_is_off_fails(self):
        trace = make_trace(77)
        trace = with_signal(trace, "update_norm", trace.signals["update_norm"] * 1.05)
        findings = failed(judge_state(healthy(), trace, tier="fp32", false_alarm_rate=RATE))
        assert findings["update_norm"].iteration == 0

    def test_nan_fails(self):
        trace = with_state(make_trace(77), "param/conv.weight", np.nan)
        assert "param/conv.weight" in failed(judge_state(healthy(), trace, tier="fp32", false_alarm_rate=RATE))

    def test_a_tensor_that_was_not_recorded_fails(self):
        trace = dataclasses.replace(make_trace(77), state=StateTable.empty())
        assert set(TENSORS) <= set(failed(judge_state(healthy(), trace, tier="fp32", false_alarm_rate=RATE)))

    def test_without_an_iteration_it_does_not_pass(self):
        findings = judge_state(healthy(), make_trace(77, iterations=0), tier="fp32", false_alarm_rate=RATE)
        assert failed(findings)

    def test_rounding_noise_behind_a_normalization_is_no_violation(self):
        """A bias whose gradient is zero in exact arithmetic holds noise of any relative size."""
        rng = np.random.default_rng(3)

        def noisy(trace):
            values = trace.state.values.copy()
            values[:, trace.state.names.index("param/conv.bias")] = 1e-9 * rng.random(len(values))
            return dataclasses.replace(trace, state=StateTable(trace.state.iterations, trace.state.names, values))

        runs = [noisy(run) for run in healthy()]
        candidate = with_state(noisy(make_trace(77)), "param/conv.bias", 100.0)
        assert not failed(judge_state(runs, candidate, tier="fp32", false_alarm_rate=RATE))

    @staticmethod
    def moved(trace, factor, begin):
        """A weight that an event moves from an iteration on, for good."""
        values = trace.state.values.copy()
        values[trace.state.iterations >= begin, trace.state.names.index("param/conv.weight")] *= factor
        return dataclasses.replace(trace, state=StateTable(trace.state.iterations, trace.state.names, values))

    def test_an_event_that_comes_before_it_came_in_any_repeat_is_allowed(self):
        """An activation next to zero may be on its other side a kept iteration earlier than in all of the repeats."""
        runs = healthy()
        kept = runs[0].state.iterations
        runs[3] = self.moved(runs[3], 1.0005, kept[3])
        early = self.moved(make_trace(77), 1.0005, kept[2])
        assert not failed(judge_state(runs, early, tier="fp32", false_alarm_rate=RATE))
        much = self.moved(make_trace(77), 1.05, kept[2])
        assert set(failed(judge_state(runs, much, tier="fp32", false_alarm_rate=RATE))) == {"param/conv.weight"}
        earlier = self.moved(make_trace(77), 1.0005, kept[0])
        assert set(failed(judge_state(runs, earlier, tier="fp32", false_alarm_rate=RATE))) == {"param/conv.weight"}


class TestFiniteness:
    def test_finite_passes(self):
        assert not failed(judge_finiteness(make_trace()))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_any_other_value_fails_where_it_is(self, value):
        values = make_trace().signals["grad_norm"].copy()
        values[7] = value
        assert failed(judge_finiteness(with_signal(make_trace(), "grad_norm", values)))["grad_norm"].iteration == 7

    def test_an_empty_trace_has_nothing_to_fail(self):
        assert not failed(judge_finiteness(make_trace(iterations=0)))


class TestSchedule:
    def test_equal_passes(self):
        assert not failed(judge_schedule(make_trace(0), make_trace(1)))

    def test_off_by_one_fails_at_the_first_iteration(self):
        shifted = np.append(make_trace(iterations=31).signals["lr"][1:], 0.0)[:30]
        finding = failed(judge_schedule(make_trace(), with_signal(make_trace(), "lr", shifted)))["lr"]
        assert finding.iteration == 0
        assert 1e-6 < abs(finding.observed) < 1e-3

    def test_nan_fails(self):
        values = make_trace().signals["lr"].copy()
        values[3] = np.nan
        assert failed(judge_schedule(make_trace(), with_signal(make_trace(), "lr", values)))["lr"].iteration == 3

    def test_not_recorded_fails(self):
        trace = make_trace()
        signals = {name: values for name, values in trace.signals.items() if name != "lr"}
        assert failed(judge_schedule(make_trace(), dataclasses.replace(trace, signals=signals)))

    def test_an_empty_trace_has_nothing_to_fail(self):
        assert not failed(judge_schedule(make_trace(), make_trace(iterations=0)))


class TestComparability:
    def rows(self, provenance=None, trace=None):
        return compare_provenance(
            make_provenance(), provenance or make_provenance(), make_trace(0), make_trace(1) if trace is None else trace
        )

    def test_the_same_experiment_passes(self):
        assert not failed(judge_comparability(self.rows()))

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"seed": 1}, "seed"),
            ({"precision": "amp-fp16"}, "precision"),
            ({"global_batch": 8}, "global batch"),
            ({"weights": "cd" * 32}, "initial weights"),
            (
                {"settings": {"optim_wrapper.optimizer.lr": "0.1", "model.backbone.depth": "50"}},
                "optim_wrapper.optimizer.lr",
            ),
            ({"settings": {"optim_wrapper.optimizer.lr": "0.01"}}, "model.backbone.depth"),
        ],
    )
    def test_what_differs_is_named(self, change, named):
        assert named in failed(judge_comparability(self.rows(make_provenance(**change))))

    def test_what_changes_most_is_named_first(self):
        names = ("model.depth", "optim_wrapper.lr", "train_dataloader.batch_size")
        other = make_provenance(settings=dict.fromkeys(names, "1"), weights="cd" * 32)
        trace = dataclasses.replace(make_trace(1), batches=("f" * 32,) * 30)
        rows = compare_provenance(make_provenance(settings=dict.fromkeys(names, "0")), other, make_trace(0), trace)
        due = ["batches (from iteration 0)", "initial weights", *reversed(names)]
        assert [row.what for row in rows if row.required and not row.agrees] == due

    @pytest.mark.parametrize(
        ("of_reference", "of_candidate", "agrees"),
        [
            ({}, {}, False),
            ({"model.eps": "1e-05"}, {}, True),
            ({"model.eps": "0.001"}, {}, False),
            ({"model.eps": "0.001"}, {"model.eps": "1e-05"}, False),
            ({"model.other": "1"}, {"model.eps": "1e-05"}, False),
            ({}, {"model.eps": "1e-05"}, True),
        ],
    )
    def test_what_one_side_leaves_out_has_its_default(self, of_reference, of_candidate, agrees):
        reference = make_provenance(settings={}, defaults=of_reference)
        candidate = make_provenance(settings={"model.eps": "1e-05"}, defaults=of_candidate)
        rows = compare_provenance(reference, candidate, make_trace(0), make_trace(1))
        assert ("model.eps" not in failed(judge_comparability(rows))) == agrees

    def test_an_empty_text_is_said_and_has_no_default(self):
        reference = make_provenance(settings={"model.mode": ""}, defaults={"model.mode": "exact"})
        candidate = make_provenance(settings={"model.mode": "exact"})
        rows = compare_provenance(reference, candidate, make_trace(0), make_trace(1))
        assert "model.mode" in failed(judge_comparability(rows))

    @pytest.mark.parametrize(("same", "accepted"), [("model", 2), ("model.a", 1), ("mod", 0), ("model.a.b", 0)])
    def test_what_is_accepted_is_shown_and_does_not_count(self, same, accepted):
        sides = [make_provenance(settings={"model.a": value, "model.b": value}) for value in "01"]
        rows = compare_provenance(*sides, make_trace(0), make_trace(1), same=[same])
        assert len(accepted_differences(rows, [same])) == accepted
        assert len([name for name in failed(judge_comparability(rows)) if name.startswith("model.")]) == 2 - accepted
        assert {"model.a", "model.b"} <= {row.what for row in rows}

    def test_what_may_differ_is_shown_and_does_not_count(self):
        rows = self.rows(make_provenance(versions={"torch": "2.7.1"}, commit="other"))
        assert not failed(judge_comparability(rows))
        assert any(row.what == "torch" and not row.agrees for row in rows)

    def test_other_batches_are_named_with_their_iteration(self):
        trace = make_trace(1)
        trace = dataclasses.replace(trace, batches=(*trace.batches[:9], "f" * 32, *trace.batches[10:]))
        assert "batches (from iteration 9)" in failed(judge_comparability(self.rows(trace=trace)))

    def test_another_data_root_explains_other_batches_and_is_no_difference_without_them(self):
        elsewhere = make_provenance(data_root="/elsewhere")
        assert not failed(judge_comparability(self.rows(elsewhere)))
        trace = dataclasses.replace(make_trace(1), batches=("f" * 32,) * 30)
        findings = failed(judge_comparability(self.rows(elsewhere, trace)))
        assert list(findings) == ["data root", "batches (from iteration 0)"]

    def test_batches_that_were_not_recorded_do_not_count_as_equal(self):
        trace = dataclasses.replace(make_trace(1), batches=())
        assert "batches" in failed(judge_comparability(self.rows(trace=trace)))

    def test_fewer_iterations_compare_more_do_not(self):
        assert not failed(judge_comparability(self.rows(trace=make_trace(1).head(10))))
        assert "iterations" in failed(judge_comparability(self.rows(trace=make_trace(1, iterations=31))))

    def test_a_trace_that_is_cut_short_or_empty_does_not_compare(self):
        cut = dataclasses.replace(make_trace(1), complete=False)
        assert "iterations" in failed(judge_comparability(self.rows(trace=cut)))
        assert "iterations" in failed(judge_comparability(self.rows(trace=make_trace(1, iterations=0))))

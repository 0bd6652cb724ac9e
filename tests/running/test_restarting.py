"""A case that is started anew on its way, recorded and judged as users do it."""

import dataclasses

import numpy as np
import pytest
import torch

from harness.running.baseline_recording import record
from harness.running.cases import find_case
from harness.running.verification import verify, verify_alone
from harness.running.watchdog import execute
from harness.store.baselines import load_baseline, save_baseline
from harness.values.errors import CaseError
from harness.values.verdict import Status

pytestmark = pytest.mark.slow


def config_in(folder, tiny, name="restarted", lines="alignment = dict(restarts=3)"):
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{name}.py"
    config.write_text(f"_base_ = [{str(tiny.config)!r}]\n{lines}\n", encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def restarted(tiny, order, tmp_path_factory):
    """The tiny case in three pieces of four iterations, and a folder with its baseline."""
    folder = tmp_path_factory.mktemp("restarted")
    case = find_case(str(config_in(folder, tiny)))
    ordered = dataclasses.replace(order, config=str(case.config))
    settings = {"reference": "cpu", "reason": "", "repeats": 5, "tiers": ("fp32",), "folder": folder / "runs"}
    save_baseline(folder / "baselines", record(case, ordered, **settings))
    return case, ordered, folder / "baselines"


def judged(restarted, folder, case=None, **changes):
    mine, order, baselines = restarted
    case = case or mine
    ordered = dataclasses.replace(order, config=str(case.config), **changes)
    return verify(case, ordered, baselines=baselines, folder=folder).verdict


def test_each_piece_begins_at_start_weights_and_the_schedule_goes_on(restarted):
    case, _, baselines = restarted
    run = load_baseline(baselines, case.name, "cpu").tiers["fp32"][0]
    assert run.signals["piece"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(set(run.batches)) == 12, "batches go on"
    assert (np.diff(run.signals["lr"]) < 0).all(), "the schedule goes on"
    assert run.state.iterations.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    weights = run.state.values[:, run.state.names.index("param/conv.weight")]
    started = [weights[run.state.iterations.tolist().index(at)] for at in (0, 4, 8)]
    assert len(set(started)) == 3, "each piece has a seed of its own"


@pytest.mark.emulated
def test_a_healthy_port_passes_and_a_fault_that_begins_in_a_later_piece_fails(restarted, tmp_path):
    healthy = judged(restarted, tmp_path / "healthy", device="emulated", profile="fp32", shadow=(0, 4, 5, 11))
    assert healthy.status is Status.PASS, healthy.reason
    assert "over 12 iterations in 3 pieces" in healthy.reason
    wrong = judged(restarted, tmp_path / "wrong", device="emulated", profile="fp32", faults=("conv-wgrad-x1.05@8",))
    assert wrong.status is Status.FAIL
    assert wrong.violations[0].iteration == 8


def test_a_shorter_run_is_the_first_part(restarted, tmp_path):
    verdict = judged(restarted, tmp_path, iterations=6, noise_tier="fp32", noise_seed=77)
    assert verdict.status is Status.PASS, verdict.reason


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_other_pieces_are_another_experiment_by_the_setting_however_far_the_run_came(restarted, tiny, tmp_path, pieces):
    case = find_case(str(config_in(tmp_path, tiny, lines=f"alignment = dict(restarts={pieces})")))
    verdict = judged(restarted, tmp_path / "run", case=case)
    # A run of so few iterations may end before it is looked at, or after some: the reason is the same.
    here = "1" if pieces == 1 else f"{pieces} in 12 iterations"
    assert verdict.status is Status.INCONCLUSIVE
    assert f"alignment.restarts is 3 in 12 iterations on the reference and {here} on the candidate" in verdict.reason


def test_weights_that_are_given_return(tiny, changed, tmp_path):
    """Where each iteration is a piece, a rate of 1 trains as little as a rate of 0."""
    model = torch.nn.Module()
    model.conv, model.bn = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8)
    model.conv_seg = torch.nn.Conv2d(8, 4, 1)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "given.pth")
    lines = f"load_from = {str(tmp_path / 'given.pth')!r}\nparam_scheduler = None\n"
    runs = []
    for name, rate, pieces in (("still", 0.0, 1), ("anew", 1.0, tiny.iterations)):
        text = f"{lines}optim_wrapper = dict(optimizer=dict(lr={rate}))\nalignment = dict(restarts={pieces})"
        config = config_in(tmp_path / name, tiny, lines=text)
        runs.append(execute(changed(config=str(config)), tmp_path / name / "run"))
        assert runs[-1].error is None, runs[-1].output
    still, anew = (run.trace for run in runs)
    assert anew.loss.tolist() == still.loss.tolist()
    assert anew.signals["grad_norm"].tolist() == still.signals["grad_norm"].tolist()


WRAPPERS = {
    "custom_hooks = [dict(type='EMAHook', momentum=0.1)]": Status.PASS,
    "optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')": Status.PASS,
    "optim_wrapper = dict(accumulative_counts=3)": Status.INCONCLUSIVE,  # as without restarts: no step is checked
}


@pytest.mark.parametrize("line", WRAPPERS)
def test_what_a_config_lays_around_its_training_is_started_anew_or_goes_on(tiny, changed, tmp_path, line):
    config = config_in(tmp_path, tiny, lines=f"alignment = dict(restarts=6)\n{line}")
    order = changed(config=str(config), iterations=5, shadow=(0, 2, 3), shadow_tier="fp32")
    verdict = verify_alone(find_case(str(config)), order, folder=tmp_path / "run").verdict
    assert verdict.status is WRAPPERS[line], verdict.reason


def test_a_training_of_the_users_is_never_started_anew(tiny, changed, tmp_path):
    config = config_in(tmp_path, tiny)
    run = execute(changed(config=str(config), training=True, iterations=6), tmp_path / "run")
    assert run.error is None, run.output
    assert "piece" not in run.trace.signals
    assert "alignment.restarts" not in run.provenance.settings


def test_several_processes_are_started_anew_alike(tiny, changed, tmp_path):
    config = config_in(tmp_path, tiny, lines="alignment = dict(restarts=6)")
    order = changed(config=str(config), iterations=4, launcher="pytorch", processes=2, shadow=(0, 2))
    verdict = verify_alone(find_case(str(config)), order, folder=tmp_path / "run").verdict
    assert verdict.status is not Status.ERROR, verdict.reason
    assert not [one for one in verdict.findings if one.rule == "ranks" and one.status.value == "fail"]


def test_more_pieces_than_iterations_are_refused(tiny, tmp_path):
    with pytest.raises(CaseError, match="out of range"):
        find_case(str(config_in(tmp_path, tiny, lines="alignment = dict(restarts=13)")))

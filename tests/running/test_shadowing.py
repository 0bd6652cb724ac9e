"""Shadow ops from end to end, on a config of a user's own."""

import dataclasses
import subprocess
import sys

import pytest

from harness.running.cases import find_case
from harness.running.folder import REPRODUCTIONS, shadow_files
from harness.running.verification import verify, verify_alone
from harness.shadow.evidence.checks import Part
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.files.reproduction_index import read_reproductions
from harness.values.verdict import Status

pytestmark = [pytest.mark.slow, pytest.mark.emulated]


def alone(tiny, order, folder, **changes):
    changes = {"iterations": 2, "shadow": (0, 1), "device": "emulated", "profile": "tf32", **changes}
    order = dataclasses.replace(order, **changes)
    return verify_alone(find_case(order.config, order.options), order, folder=folder).verdict


def test_a_healthy_port_passes_without_a_baseline(tiny, order, tmp_path):
    verdict = alone(tiny, order, tmp_path)
    assert verdict.status is Status.PASS, verdict.reason
    assert verdict.shadow.coverage.rate == 1
    assert verdict.shadow.iterations == (0, 1)
    assert {row.part for row in verdict.shadow.rows} == set(Part) - {Part.PRECISION}, "no format is told that is right"


@pytest.mark.parametrize(
    ("fault", "op", "tensor", "also"),
    [
        ("conv-wgrad-x1.05", "convolution_backward", "weight gradient", []),
        ("bn-eps-1e-4", "native_batch_norm", "output", []),
        ("bn-momentum-ignored", "native_batch_norm", "running mean", []),
        ("bn-running-variance-biased", "native_batch_norm", "running var", []),
        ("weight-decay-ignored", "SGD", "weight momentum buffer", []),
        ("schedule-off-by-one", "schedule", "learning rate of group 0", ["SGD"]),
        ("aux-loss-lost", "sum", "total", []),
        ("channels-swapped", "feed", "images", []),
        ("dropout-inverted", "bernoulli_", "distribution", ["dropout2d"]),
        ("dropout-keeps-all", "bernoulli_", "distribution", ["dropout2d"]),
    ],
)
def test_a_fault_fails_and_is_named(tiny, order, tmp_path, fault, op, tensor, also):
    verdict = alone(tiny, order, tmp_path, faults=(fault,))
    assert verdict.status is Status.FAIL
    assert (op, tensor) in {(row.op, row.tensor) for row in verdict.shadow.violations}
    assert {row.op for row in verdict.shadow.violations} <= {op, *also}


def test_an_optimizer_without_a_float64_update_counts_against_the_coverage_and_never_passes(tiny, order, tmp_path):
    optimizer = "optim_wrapper.optimizer"
    options = (f"{optimizer}._delete_=True", f"{optimizer}.type=ASGD", f"{optimizer}.lr=0.01")
    verdict = alone(tiny, order, tmp_path, options=options)
    coverage = verdict.shadow.coverage
    assert verdict.status is Status.INCONCLUSIVE
    assert "torch.optim.asgd.ASGD" in verdict.reason
    assert set(coverage.programs) == {"ASGD"}
    assert sum(coverage.checked.values()) == sum(coverage.calls.values())
    assert coverage.rate == sum(coverage.calls.values()) / (sum(coverage.calls.values()) + coverage.programs["ASGD"])
    assert "ASGD" in coverage.skipped["ASGD"]


def test_what_is_past_the_budget_is_listed_and_decides_nothing(tiny, order, tmp_path):
    verdict = alone(tiny, order, tmp_path, shadow_budget=100_000)
    assert verdict.status is Status.INCONCLUSIVE, verdict.reason
    coverage, record = verdict.shadow.coverage, read_shadow(shadow_files(tmp_path))
    assert len(record.unchecked) == sum(coverage.calls.values()) - sum(coverage.checked.values()) > 0
    assert {call.op for call in record.unchecked} == set(coverage.unchecked) == set(coverage.skipped)
    assert {call.iteration for call in record.unchecked} == {0, 1}
    assert "conv" in {module for modules in coverage.unchecked.values() for module in modules}


def test_two_processes_are_checked_both_and_what_they_gather(tiny, order, tmp_path):
    verdict = alone(tiny, order, tmp_path, launcher="pytorch", processes=2)
    assert verdict.status is Status.PASS, verdict.reason
    assert "all_reduce" in {row.op for row in verdict.shadow.rows}


@pytest.mark.parametrize("fault", ["allreduce-not-averaged", "allreduce-skipped"])
def test_what_goes_wrong_between_processes_is_found(tiny, order, tmp_path, fault):
    verdict = alone(tiny, order, tmp_path, launcher="pytorch", processes=2, faults=(fault,))
    assert "all_reduce" in {row.op for row in verdict.shadow.violations}


@pytest.mark.parametrize(("fault", "said"), [("nan-to-zero", "NaN"), ("log-softmax-no-maximum", "with large inputs")])
def test_what_no_step_meets_fails_with_hard_inputs_alone(tiny, order, tmp_path, fault, said):
    once = {"iterations": 1, "shadow": (0,), "faults": (fault,)}
    assert alone(tiny, order, tmp_path / "without", **once).status is Status.PASS
    verdict = alone(tiny, order, tmp_path / "with", shadow_forced=True, **once)
    assert verdict.status is Status.FAIL
    assert verdict.reason.startswith("hard inputs: ")
    assert said in verdict.reason


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("amp", [False, True])
def test_a_healthy_port_passes_with_hard_inputs(tiny, order, tmp_path, processes, amp):
    launcher = "pytorch" if processes > 1 else "none"
    verdict = alone(tiny, order, tmp_path, shadow_forced=True, launcher=launcher, processes=processes, amp=amp)
    assert verdict.status is Status.PASS, verdict.reason
    assert [finding.status.value for finding in verdict.findings if finding.rule == "hard inputs"] == ["pass"]


def test_beside_a_baseline_hard_inputs_are_told_behind_it(tiny, order, baselines, tmp_path):
    order = dataclasses.replace(
        order, device="emulated", faults=("nan-to-zero",), shadow=(0,), shadow_tier="tf32", shadow_forced=True
    )
    verdict = verify(find_case(order.config), order, baselines=baselines, folder=tmp_path).verdict
    assert verdict.status is Status.FAIL
    assert verdict.reason.startswith("hard inputs: relu")


def printed(*command):
    """What a program of a reproduction prints, run as a user runs it."""
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("device", ["cpu", "emulated"])
def test_a_step_that_went_wrong_is_taken_again_alone(tiny, order, tmp_path, device):
    alone(tiny, order, tmp_path, faults=("weight-decay-ignored",), iterations=1, shadow=(0,))
    found = [each for each in read_reproductions(tmp_path / REPRODUCTIONS) if each.op == "SGD"]
    assert found
    for each in found:
        out = printed(tmp_path / REPRODUCTIONS / f"{each.number}.py", "--device", device)
        assert out.splitlines()[0].startswith("the run:")
        assert "the host in float64:" in out


def test_each_process_keeps_what_went_wrong_and_torchrun_reduces_it_again(tiny, order, tmp_path):
    verdict = alone(tiny, order, tmp_path, launcher="pytorch", processes=2, faults=("allreduce-rank-lost",))
    assert "all_reduce" in {row.op for row in verdict.shadow.violations}
    found = [each for each in read_reproductions(tmp_path / REPRODUCTIONS) if each.op == "all_reduce"]
    assert {each.rank for each in found} == {0, 1}
    first, last = (tmp_path / REPRODUCTIONS / f"{each.number}.py" for each in (found[0], found[-1]))
    alone_in_one = printed(first, "--device", "cpu")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    together = printed(*torchrun, last, "--device", "cpu")
    assert "cpu: [" in alone_in_one
    assert "\nrank 0, cpu: [" in together
    assert "\nrank 1, cpu: [" in together
    for out in (alone_in_one, together):
        errors = [float(line.split()[1]) for line in out.splitlines() if line.startswith("  error")]
        assert max(errors) > 0.1  # the run's
        assert min(errors) < 1e-6  # this host's
    there = printed(*torchrun, last)  # the fault was in the training: the device's own backend is right
    assert "\nrank 1, sdaa:1: [" in there


def test_mixed_precision_is_judged_by_what_it_declares(tiny, order, tmp_path):
    verdict = alone(tiny, order, tmp_path, amp=True)
    assert verdict.status is Status.PASS, verdict.reason


@pytest.mark.parametrize("fault", ["loss-scale-not-undone", "fp16-without-loss-scale"])
def test_a_wrong_loss_scale_is_found(tiny, order, tmp_path, fault):
    assert alone(tiny, order, tmp_path, amp=True, faults=(fault,)).status is Status.FAIL


def test_beside_a_baseline_they_name_what_the_trace_can_only_see(tiny, order, baselines, tmp_path):
    order = dataclasses.replace(
        order, device="emulated", faults=("bn-momentum-ignored",), shadow=(0, 1), shadow_tier="tf32"
    )
    verdict = verify(find_case(order.config), order, baselines=baselines, folder=tmp_path).verdict
    assert verdict.status is Status.FAIL
    assert "running mean" in verdict.reason
    assert {finding.rule for finding in verdict.violations} >= {"shadow", "state"}

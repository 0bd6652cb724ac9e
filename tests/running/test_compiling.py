"""A compiled candidate is the same experiment, and what ran compiled is known."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch.utils._python_dispatch import TorchDispatchMode

from harness.running.compiling import _CompiledHook, compile_in_place, compile_settings, judges_compiled
from harness.running.order import EAGER, Order
from harness.running.settings_of_config import effective_settings
from harness.running.verification import verify
from harness.shadow.compiled.watched_backend import can_watch
from harness.values.errors import RunError, UsageError
from harness.values.verdict import Status


@pytest.mark.parametrize(
    ("asked", "configured", "settings"),
    [
        ("", None, None),
        ("", False, None),
        ("", True, {"target": "train_step"}),
        ("", {"backend": "eager", "target": "forward"}, {"backend": "eager", "target": "forward"}),
        ("inductor", None, {"backend": "inductor", "target": "forward"}),
        ("inductor", {"backend": "eager", "mode": "default"},
         {"backend": "inductor", "mode": "default", "target": "forward"}),
        (EAGER, True, None),
    ],
)  # fmt: skip
def test_the_option_goes_before_the_config(asked, configured, settings):
    assert compile_settings(Order("case", "cpu", compile=asked), configured) == settings


def test_it_makes_no_other_experiment():
    assert effective_settings(Config({"compile": True, "model": {"depth": 50}})) == effective_settings(
        Config({"model": {"depth": 50}})
    )


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


@pytest.fixture
def compiled():
    """A model whose forward is compiled by a backend that counts its calls."""
    ran = []

    def counting(graph, inputs):
        def run(*args):
            ran.append("compiled")
            return graph(*args)

        return run

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    hooks = []
    runner = SimpleNamespace(model=model, register_hook=lambda hook, priority: hooks.append(hook))
    order = Order("case", "cpu", shadow=(0,))
    compile_in_place(runner, {"target": "forward", "backend": counting}, order, 2)
    yield model, ran, hooks
    torch._dynamo.reset()


def test_a_watched_iteration_runs_eager_code_and_the_next_one_is_compiled(compiled):
    model, ran, _ = compiled
    x = torch.ones(1, 2)
    with Watching():
        first = model(x)
    assert ran == []
    assert torch.equal(model(x), first)
    assert ran == ["compiled"]
    with Watching():
        model(x)
    assert ran == ["compiled"]


def test_a_run_that_compiled_nothing_is_an_error(compiled, monkeypatch):
    model, _, (hook,) = compiled
    assert isinstance(hook, _CompiledHook)
    monkeypatch.setattr("torch._dynamo.utils.counters", {"stats": {}})
    with pytest.raises(RunError, match="nothing was compiled"):
        hook.after_train(None)
    monkeypatch.undo()
    model(torch.ones(1, 2))
    hook.after_train(None)


def test_where_every_iteration_is_shadowed_nothing_compiled_would_be_judged():
    runner = SimpleNamespace(model=torch.nn.Identity(), register_hook=None)
    with pytest.raises(UsageError, match="nothing compiled would be judged") as caught:
        compile_in_place(runner, {"target": "forward", "backend": "tvm"}, Order("case", "cpu", shadow=(0, 1, 2)), 3)
    assert "--shadow 0" in str(caught.value)


@pytest.mark.slow
def test_a_compiled_candidate_passes_and_says_what_shadow_ops_did_not_see(tiny, order, baselines, tmp_path):
    asked = dataclasses.replace(order, compile="aot_eager", iterations=4, shadow=(0,), shadow_tier="fp32")
    result = verify(tiny, asked, baselines=baselines, folder=tmp_path)
    assert result.verdict.status is Status.PASS, result.verdict.reason
    assert result.candidate.device.build["torch.compile"] == "aot_eager"
    coverage = result.verdict.shadow.coverage
    assert "decompositions are taken as given" in coverage.skipped["torch.compile"]
    assert coverage.rate < 1
    assert any(op.startswith("compiled graph") and coverage.checked[op] for op in coverage.calls)


def test_what_is_compiled_by_a_backend_of_a_user_s_is_not_judged_at_a_shadowed_iteration():
    order = Order("case", "cpu", shadow=(0,))
    assert judges_compiled(order, "aot_eager") == can_watch("aot_eager")
    assert not judges_compiled(order, lambda graph, inputs: graph)
    assert not judges_compiled(dataclasses.replace(order, shadow=()), "aot_eager")
    assert not judges_compiled(dataclasses.replace(order, shadow_forced=True), "aot_eager"), (
        "hard inputs are of eager calls"
    )

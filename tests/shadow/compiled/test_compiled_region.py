"""A compiled graph is held against itself in float64: right as it is, called where its code is wrong."""

import math

import pytest
import torch
from torch import nn

from harness.shadow.compiled import watched_backend as backends
from harness.shadow.compiled.watched_backend import can_watch, watched_backend
from harness.shadow.evidence.checks import Coverage, Part, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

pytestmark = pytest.mark.skipif(not can_watch("aot_eager"), reason="this PyTorch compiles no frame that a mode watches")


class Small(nn.Module):
    """Convolution, norm, activation, dropout: a graph each of forward and backward."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.last(nn.functional.dropout(torch.relu(self.norm(self.conv(x))), 0.2)).square().mean()


@pytest.fixture
def step():
    """Takes a watched step of a compiled model; its mode, what violates, and the gradients."""

    def take(model=None, x=None, backend="aot_eager", tier="fp32"):
        torch._dynamo.reset()
        torch.manual_seed(0)
        model = model or Small()
        x = torch.randn(4, 3, 16, 16) if x is None else x
        compiled = torch.compile(model, backend=watched_backend(backend, {}))
        mode = ShadowOps(CallSites(model), 0, tier)
        torch.manual_seed(1)
        with mode:
            compiled(x).backward()
        evidence = weigh_shadow(ShadowRecord((0,), tuple(mode.checks), Coverage()), tier)
        return mode, evidence.violations, [parameter.grad.clone() for parameter in model.parameters()]

    yield take
    torch._dynamo.reset()


@pytest.fixture
def wrong(monkeypatch):
    """Has the compiled code of the forward or of the backward make something else of its results."""

    def put_in(which, change):
        run = backends._run

        def changed(graph, inputs):
            made = run(graph, inputs)
            backward = "tangents_1" in {node.name for node in graph.graph.nodes}
            return change(made) if backward == (which == "backward") else made

        monkeypatch.setattr(backends, "_run", changed)

    return put_in


def regions(mode):
    return {name: count for name, count in mode.calls.items() if name.startswith("compiled graph")}


def test_a_right_one_has_no_violation_and_counts_as_checked(step):
    mode, violations, _ = step()
    assert violations == ()
    assert len(regions(mode)) == 2
    assert all(mode.checked[name] == count for name, count in regions(mode).items())
    assert not mode.skipped
    parts = {check.op.rpartition(" ")[2]: check.part for check in mode.checks if check.op in regions(mode)}
    assert parts == {"forward": Part.FORWARD, "backward": Part.BACKWARD}
    assert any("running" in check.tensor or "primals" in check.tensor for check in mode.checks), "buffers are written"


def test_it_is_not_changed_by_being_watched(step):
    _, _, watched = step()
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = Small()
    x = torch.randn(4, 3, 16, 16)
    torch.manual_seed(1)
    torch.compile(model, backend="aot_eager")(x).backward()
    for made, parameter in zip(watched, model.parameters(), strict=True):
        assert torch.equal(made, parameter.grad)


@pytest.mark.parametrize("which", ["forward", "backward"])
def test_a_wrong_one_is_called_by_its_name(step, wrong, which):
    def change(made):
        return [m * (1 + 1e-4) if isinstance(m, torch.Tensor) and m.is_floating_point() else m for m in made]

    wrong(which, change)
    _, violations, _ = step()
    assert violations
    assert {row.op.rpartition(" ")[2] for row in violations} == {which}


def test_an_activation_next_to_zero_may_be_on_its_other_side(step):
    """Where rounding decides on which side, a gradient's element is there or isn't: no kernel is wrong there."""

    class Jump(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(64))

        def forward(self, x):
            moved = (x * self.weight - x).add(1.0).sub(1.0)  # zero but for rounding
            return (torch.where(moved > 0, x, 0.1 * x) * self.weight).sum()

    _, violations, _ = step(Jump(), torch.linspace(0.1, 0.9, 64) + 1e-8)
    assert violations == ()


def test_where_an_infinity_comes_out_is_the_kernels_own(step, wrong):
    """As of an operation alone: it may spread further than in float64, but not vanish."""

    class Convolution(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x):
            return self.conv(x).square().mean()

    def spread(made):
        return [
            m.where(m.isfinite().flatten(1).all(1).view(-1, 1, 1, 1), math.nan) if m.dim() == 4 else m for m in made
        ]

    x = torch.randn(4, 3, 16, 16)
    x[0, 1, 5, 5] = math.inf
    wrong("forward", spread)
    _, violations, _ = step(Convolution(), x)
    assert [row.op for row in violations if row.op.endswith("forward")] == []
    wrong("forward", lambda made: [m.nan_to_num() if isinstance(m, torch.Tensor) else m for m in made])
    _, violations, _ = step(Convolution(), x)
    assert [row.op for row in violations if row.op.endswith("forward")] != []


def test_one_that_draws_otherwise_than_its_graph_is_not_checked_and_says_so(step, wrong):
    def change(made):
        torch.rand(3)
        return made

    wrong("forward", change)
    mode, _, _ = step()
    (name,) = (name for name in regions(mode) if name.endswith("forward"))
    assert mode.checked[name] == 0
    assert "draws random numbers in another way" in mode.skipped[name]


def test_one_whose_graph_the_host_refuses_is_not_checked_and_says_so(step, monkeypatch):
    from harness.shadow.compiled import graph_run

    monkeypatch.setattr(graph_run, "compute_on_host", lambda *_: (None, "the host has no such operation"))
    mode, _, gradients = step()
    assert not any(mode.checked[name] for name in regions(mode))
    assert all("no such operation" in mode.skipped[name] for name in regions(mode))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_backend_whose_graphs_can_t_be_had_is_not_watched():
    assert not can_watch("cudagraphs")
    assert not can_watch(lambda graph, inputs: graph)


@pytest.mark.slow
class TestInductor:
    def test_a_right_graph_has_no_violation(self, step):
        mode, violations, _ = step(backend="inductor")
        assert violations == ()
        assert regions(mode)

    def test_a_public_fault_of_its_own_is_named(self, step):
        """pytorch/pytorch#198119: the gradient of a pooling whose last window hangs over is divided by too much."""

        class Pooled(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 3, padding=1)

            def forward(self, x):
                return nn.functional.avg_pool2d(self.conv(x), 3, 2, ceil_mode=True).square().mean()

        _, violations, _ = step(Pooled(), torch.randn(2, 3, 8, 8), backend="inductor")
        if not violations:
            pytest.skip("this PyTorch divides rightly")
        assert {row.op.rpartition(" ")[2] for row in violations} == {"backward"}

"""Calls too large for the budget, checked on slices."""

import pytest
import torch

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.float64_comparison import compare_bits, compare_in_double, host_inputs
from harness.shadow.arithmetic.host import as_is
from harness.shadow.arithmetic.kinds import Kind, read_operation
from harness.shadow.reproducing.reproductions import Reproductions
from harness.shadow.watching.cutting import cut_call
from harness.shadow.watching.sampling import cost_of

aten = torch.ops.aten
torch.manual_seed(0)


def images(*shape):
    return torch.randn(*(shape or (6, 4, 8, 8)))


def norm(training=True):
    return images(), torch.rand(4), torch.rand(4), torch.rand(4), torch.rand(4), training, 0.1, 1e-5


def convolution(groups=1, transposed=False):
    weight = torch.randn(4, 6, 3, 3) if transposed else torch.randn(6, 4 // groups, 3, 3)
    return images(), weight, torch.randn(6), [1, 1], [1, 1], [1, 1], transposed, [0, 0], groups


def convolution_backward(groups=1, bias=True):
    x, weight, _, *settings = convolution(groups)
    return (images(6, 6, 8, 8), x, weight, [6] if bias else None, *settings, [True, True, bias])


POOLED, PLACES = aten.max_pool2d_with_indices.default(images(), [2, 2], [2, 2])

CALLS = {
    "convolution": (aten.convolution.default, convolution(), {"output"}),
    "convolution, transposed": (aten.convolution.default, convolution(transposed=True), {"output"}),
    "convolution backward": (
        aten.convolution_backward.default,
        convolution_backward(),
        {"input gradient", "weight gradient", "bias gradient"},
    ),
    "convolution backward, no bias": (
        aten.convolution_backward.default,
        convolution_backward(bias=False),
        {"input gradient", "weight gradient"},
    ),
    "convolution backward, in groups": (
        aten.convolution_backward.default,
        convolution_backward(groups=2),
        {"input gradient"},
    ),
    "convolution, by channels": (
        aten.convolution.default,
        (images(1, 4, 2, 2), *convolution()[1:]),
        {"output"},
    ),
    "convolution backward, by channels": (
        aten.convolution_backward.default,
        (images(1, 6, 2, 2), images(1, 4, 2, 2), *convolution_backward()[2:]),
        {"input gradient", "weight gradient", "bias gradient"},
    ),
    "mm, by columns": (aten.mm.default, (torch.randn(1, 9), torch.randn(9, 12)), {"output"}),
    "bmm, by rows": (aten.bmm.default, (torch.randn(1, 12, 9), torch.randn(1, 9, 2)), {"output"}),
    "bmm, by columns": (aten.bmm.default, (torch.randn(1, 1, 9), torch.randn(1, 9, 12)), {"output"}),
    "mm": (aten.mm.default, (torch.randn(12, 5), torch.randn(5, 7)), {"output"}),
    "bmm": (aten.bmm.default, (torch.randn(6, 5, 7), torch.randn(6, 7, 3)), {"output"}),
    "batch norm": (
        aten.native_batch_norm.default,
        norm(),
        {"output", "saved mean", "saved inverse deviation", "running mean", "running var"},
    ),
    "batch norm backward": (
        aten.native_batch_norm_backward.default,
        (images(), *norm()[:2], *norm()[3:5], torch.rand(4), torch.rand(4), True, 1e-5, [True, True, True]),
        {"input gradient", "weight gradient", "bias gradient"},
    ),
    "softmax, over the last axis": (aten._softmax.default, (torch.randn(8, 9), -1, False), {"output"}),
    "softmax, over the first axis": (aten._log_softmax.default, (torch.randn(8, 9), 0, False), {"output"}),
    "softmax backward": (
        aten._softmax_backward_data.default,
        (torch.randn(8, 9), torch.rand(8, 9), 0, torch.float32),
        {"output"},
    ),
    "max pool": (aten.max_pool2d_with_indices.default, (images(), [2, 2], [2, 2]), {"output"}),
    "max pool backward": (
        aten.max_pool2d_with_indices_backward.default,
        (torch.randn_like(POOLED), images(), [2, 2], [2, 2], [0, 0], [1, 1], False, PLACES),
        {"output"},
    ),
    "upsampling": (aten.upsample_bilinear2d.default, (images(), [16, 16], False), {"output"}),
    "adding": (aten.add.Tensor, (images(), images()), {"output"}),
    "adding, broadcast": (aten.add.Tensor, (images(), torch.randn(4, 1, 1)), {"output"}),
    "in place": (aten.relu_.default, (images(),), {"output"}),
    "copying": (aten.copy_.default, (torch.empty(6, 4), torch.randn(6, 4)), {"output"}),
    "casting": (aten._to_copy.default, (torch.randn(6, 4),), {"output"}),
}


def compared(op, args, iteration=0, share=0.75, spoil=lambda returned, args: None):
    """What is found of a call's slices where the budget is a share of what it takes."""
    args = tuple(value.clone() if isinstance(value, torch.Tensor) else value for value in args)
    call = Call(op, read_operation(op), (args, {}))
    pieces = cut_call(call, int(share * cost_of(call)), iteration)
    computes = call.operation.kind is Kind.COMPUTE
    prepared = [
        Call(op, call.operation, part.given, host_inputs(part) if computes else ([as_is(v) for v in part.args], {}))
        for part in (piece.call for piece in pieces)
    ]
    returned = op(*args)
    spoil(returned, args)
    compare = (lambda c, r: compare_in_double(c, r, "fp32", 0)) if computes else compare_bits
    found = []
    for piece, part in zip(pieces, prepared, strict=True):
        reason, some = compare(part, piece.of(returned))
        assert reason == ""
        found += some
    return found, pieces, call


@pytest.mark.parametrize("name", CALLS)
def test_the_slices_of_a_healthy_call_are_those_of_the_whole(name):
    op, args, expected = CALLS[name]
    found, pieces, call = compared(op, args)
    assert {entry.name for entry in found} == expected
    assert len(found) == len(expected)
    assert all(entry.distance.error < 1e-5 for entry in found)
    for piece in pieces:
        assert cost_of(piece.call) <= 0.75 * cost_of(call)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_result_shows_in_the_slices(name):
    op, args, expected = CALLS[name]

    def spoil(returned, given):
        for value in [*(returned if isinstance(returned, tuple) else [returned]), *given[3:5]]:
            if isinstance(value, torch.Tensor) and value.is_floating_point() and op is not aten.convolution.default:
                value.mul_(1.01)
        if op is aten.convolution.default:
            returned.mul_(1.01)

    found, _, _ = compared(op, args, spoil=spoil)
    assert {entry.name for entry in found if entry.distance.error > 1e-3} == expected


def test_every_slice_has_its_turn():
    op, args, _ = CALLS["mm"]
    rows = set()
    for iteration in range(12):
        _, (piece,), _ = compared(op, args, iteration)
        rows |= set(range(12)[piece.index])
    assert rows == set(range(12))


@pytest.mark.parametrize(
    ("op", "args"),
    [
        (aten.sum.default, (torch.randn(100),)),
        (aten.convolution.default, (images(1, 4, 8, 8), *convolution(groups=2)[1:])),
        (aten.bernoulli_.float, (torch.randn(100), 0.5)),
        (aten._softmax.default, (torch.randn(100), 0, False)),
        (aten.add.Tensor, (torch.tensor(1.0), torch.tensor(2.0))),
        (aten.view.default, (torch.randn(100), [10, 10])),
    ],
)
def test_what_can_not_be_cut_has_no_pieces(op, args):
    call = Call(op, read_operation(op), (args, {}))
    assert cut_call(call, cost_of(call) // 2, 0) == []


def test_what_one_slice_is_too_large_for_has_no_pieces():
    op, args, _ = CALLS["mm"]
    assert cut_call(Call(op, read_operation(op), (args, {})), 100, 0) == []


class TestAStep:
    BUDGET = 65_000

    def test_counts_a_call_that_is_checked_in_part_as_not_checked(self, shadowed, violations):
        mode = shadowed(budget=self.BUDGET)
        assert violations(mode) == ()
        part = [call for call in mode.unchecked if "slices" in call.why and call.op == "convolution"]
        assert part
        assert mode.checked["convolution"] == mode.calls["convolution"] - len(part)
        for call in part:
            assert "checked on 1 of 2 slices" in call.why
            assert call.module == "block.0"
            assert {check.tensor for check in mode.checks if check.call == call.call} == {"output"}

    def test_finds_a_kernel_that_is_wrong_in_a_large_call_alone(self, shadowed, violations, wrong):
        def change(out, grad, x, weight, *args):
            return out[0], out[1] * (1.01 if weight.shape[2] == 3 else 1), out[2]

        mode = shadowed(wrong("convolution_backward", change), budget=self.BUDGET)
        assert {(row.op, row.tensor) for row in violations(mode)} == {("convolution_backward", "weight gradient")}

    def test_leaves_the_step_as_it_was(self, shadowed, net, batch):
        state = {name: value.clone() for name, value in net.state_dict().items()}
        shadowed()
        plain = {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(state)
        net.zero_grad()
        mode = shadowed(budget=self.BUDGET)
        assert mode.unchecked
        assert all(torch.equal(value, plain[name]) for name, value in net.state_dict().items())

    def test_a_reproduction_is_of_the_slices(self, shadowed, wrong, folder, again):
        device = wrong("convolution", lambda out, *args: out * 1.01, call=1)
        shadowed(device, budget=self.BUDGET, reproductions=Reproductions(folder, "fp32"))
        values, _ = again()
        assert len(values["stored"]["0"]) == 1
        assert float((values["c"] - values["r"]).norm() / values["r"].norm()) < 1e-6

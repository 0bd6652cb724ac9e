"""Operations again with hard inputs."""

from collections import Counter
from contextlib import ExitStack

import pytest
import torch

from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.forced import forcing
from harness.shadow.forced.forcing import ForcedCalls
from harness.shadow.forced.hard_inputs import HARD_INPUTS, LAYOUTS, of_floating
from harness.shadow.judging.hard_input_rule import decides, off_with_hard_inputs
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

TINY = torch.finfo(torch.float32).tiny


class Kept:
    """A stream that keeps what it is given."""

    def __init__(self):
        self.checks, self.calls, self.skipped = [], Counter(), {}

    def append(self, iteration, checks, calls, checked, skipped, fallen_back=()):
        self.checks += checks
        self.calls.update(calls)
        self.skipped.update(skipped)


@pytest.fixture
def forced(net, batch):
    """A step of the net and its operations with hard inputs, on a wrong device where one is given."""

    def run(device=None, tier="fp32"):
        kept, where = Kept(), CallSites(net)
        calls = ForcedCalls(kept, tier)
        with ExitStack() as stack:
            if device is not None:
                stack.enter_context(device)
            with where.following(), calls, ShadowOps(where, 0, tier) as mode:
                net(*batch).backward()
            calls.replay(0)
        plain = weigh_shadow(ShadowRecord((0,), tuple(mode.checks), Coverage(), tier), tier)
        hard = weigh_shadow(ShadowRecord((0,), tuple(kept.checks), Coverage(), tier), tier)
        return plain.violations, off_with_hard_inputs(hard), kept

    return run


def found_with(rows, *kinds):
    return {row.op for row in rows if row.module in kinds}


@pytest.fixture
def healthy(forced):
    return forced()


class TestAHealthyHost:
    def test_is_off_only_in_how_what_is_not_finite_spreads(self, healthy):
        _, off, _ = healthy
        assert {row.module for row in off} <= {"infinity", "NaN"}

    def test_is_off_in_nothing_that_decides(self, healthy):
        _, off, _ = healthy
        assert not [row for row in off if decides(row, "fp32")]

    def test_met_every_kind(self, healthy):
        _, _, kept = healthy
        assert {check.module for check in kept.checks} == set(HARD_INPUTS)
        assert {"convolution", "convolution_backward", "native_batch_norm", "_softmax"} <= set(kept.calls)


def test_a_maximum_that_is_not_subtracted_shows_with_large_inputs_alone(forced, wrong):
    def change(out, x, dim, half):
        return x - x.exp().sum(dim, keepdim=True).log()

    plain, off, _ = forced(wrong("_log_softmax", change))
    assert plain == ()
    assert "_log_softmax" in found_with(off, "large")
    assert "_log_softmax" not in found_with(off, "strided", "ties", "empty", "denormal")


def test_an_overflow_of_half_precision_shows(forced, wrong):
    _, off, _ = forced(wrong("convolution", lambda out, *args: out.half().float()), tier="fp16")
    row = next(row for row in off if (row.module, row.op) == ("large", "convolution"))
    assert row.error == float("inf")


def test_a_nan_that_is_hidden_decides_and_one_that_spreads_does_not(forced, wrong):
    _, off, _ = forced(wrong("relu", lambda out, x: out.nan_to_num(0.0)))
    assert {row.op for row in off if decides(row, "fp32")} == {"relu"}
    assert "relu" in found_with(off, "NaN lost")
    _, off, _ = forced(wrong("relu", lambda out, x: out if out.isfinite().all() else out * float("nan")))
    assert "relu" in found_with(off, "NaN")
    assert "relu" not in {row.op for row in off if decides(row, "fp32")}


def test_denormals_that_are_flushed_show(forced, wrong):
    def flush(out, *args):
        return torch.where(out.abs() < TINY, torch.zeros_like(out), out)

    plain, off, _ = forced(wrong("relu", flush))
    assert plain == ()
    assert found_with(off, "denormal") == {"relu"}


def test_strides_that_are_ignored_show(forced, wrong):
    def change(out, x):
        return out if x.is_contiguous() else torch.as_strided(x, x.shape, x.contiguous().stride()).relu()

    plain, off, _ = forced(wrong("relu", change))
    assert plain == ()
    assert found_with(off, "strided") == {"relu"}


def test_a_tail_that_is_left_out_shows_with_odd_sizes_alone(forced, wrong):
    def change(out, x):
        made = out.clone()
        if x.shape[-1] % 2:
            made[..., -1] = 0.0
        return made

    plain, off, _ = forced(wrong("relu", change))
    assert plain == ()
    assert found_with(off, "odd-sized", "strided", "ties", "large") == {"relu"}
    assert found_with(off, "odd-sized") == {"relu"}
    assert {row.op for row in off if decides(row, "fp32")} == {"relu"}


class Attention(torch.nn.Module):
    """PyTorch's fused attention of tokens with themselves."""

    def forward(self, x):
        heads = x.view(*x.shape[:2], 2, -1).transpose(1, 2)
        return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)


class Resized(torch.nn.Module):
    """A map at another size, by a kernel of each kind."""

    def forward(self, x):
        resize = torch.nn.functional.interpolate
        sizes = (resize(x, (7, 9), mode=mode, align_corners=True) for mode in ("bilinear", "bicubic"))
        return torch.stack([*sizes, resize(x, (7, 9), mode="nearest")])


MAP, TOKENS, VECTOR = (2, 16, 6, 5), (2, 5, 16), (4, 16)
LAYERS = {
    "layer norm": (torch.nn.LayerNorm(16), TOKENS),
    "group norm": (torch.nn.GroupNorm(4, 16), MAP),
    "instance norm": (torch.nn.InstanceNorm2d(16, affine=True), MAP),
    "batch norm of vectors": (torch.nn.BatchNorm1d(16), VECTOR),
    "batch norm of maps of one pixel": (torch.nn.BatchNorm2d(16), (2, 16, 1, 1)),
    "fused attention": (Attention(), TOKENS),
    "attention": (torch.nn.MultiheadAttention(16, 2), None),
    "GELU": (torch.nn.GELU(), TOKENS),
    "SiLU": (torch.nn.SiLU(), MAP),
    "Hardswish": (torch.nn.Hardswish(), MAP),
    "PReLU": (torch.nn.PReLU(16), MAP),
    "softmax": (torch.nn.Softmax(-1), TOKENS),
    "depthwise": (torch.nn.Conv2d(16, 16, 3, padding=1, groups=16), MAP),
    "grouped and dilated": (torch.nn.Conv2d(16, 16, 3, dilation=2, padding=2, groups=4), MAP),
    "transposed": (torch.nn.ConvTranspose2d(16, 8, 2, 2), MAP),
    "linear": (torch.nn.Linear(16, 8), TOKENS),
    "average pooling": (torch.nn.AvgPool2d(3, 2, 1), MAP),
    "adaptive pooling": (torch.nn.AdaptiveAvgPool2d(2), MAP),
    "maximum pooling": (torch.nn.MaxPool2d(2), MAP),
    "resizing": (Resized(), MAP),
    "recurrent": (torch.nn.GRU(16, 8, batch_first=True), TOKENS),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("tier", ["fp32", "tf32"])
def test_a_healthy_layer_is_not_called_forward_or_backward(name, tier):
    layer, shape = LAYERS[name]
    x = torch.randn(shape or TOKENS, generator=torch.Generator().manual_seed(2)).requires_grad_()
    kept = Kept()
    with ForcedCalls(kept, tier) as calls:
        made = layer(x) if shape else layer(x, x, x)
        made = made[0] if isinstance(made, tuple) else made
        made.backward(torch.randn(made.shape, generator=torch.Generator().manual_seed(3)))
    calls.replay(0)
    record = ShadowRecord((0,), tuple(kept.checks), Coverage(), tier)
    off = off_with_hard_inputs(weigh_shadow(record, tier))
    assert [(row.op, row.tensor, row.module) for row in off if decides(row, tier)] == []


def test_weights_are_not_cut_to_nothing():
    """With as many channels as samples PyTorch's own kernel would divide by their number, which ends the process."""
    kept = Kept()
    layers = torch.nn.Sequential(
        torch.nn.BatchNorm1d(4), torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 4))
    )
    with ForcedCalls(kept, "fp32") as calls:
        layers(torch.randn(4, 4)).square().sum().backward()
    calls.replay(0)
    assert "empty" not in {check.module for check in kept.checks if "norm" in check.op}


class TestStrides:
    """PyTorch's own kernels of some operations read strided tensors as if they weren't."""

    @pytest.fixture
    def layer_norm(self):
        norm, kept = torch.nn.LayerNorm(16), Kept()
        with ForcedCalls(kept, "fp32") as calls:
            norm(torch.randn(TOKENS).requires_grad_()).sum().backward()
        calls.replay(0)
        return kept

    def test_are_given_to_the_arguments_that_are_read_by_them(self):
        gradient, x, mean, deviation = torch.randn(3, 16), torch.randn(3, 16), torch.randn(3, 1), torch.rand(3, 1)
        weight, bias = torch.ones(16), torch.zeros(16)

        def read(op, args, places):
            return forcing._places_that_are_read(op, args, {}, places, of_floating(LAYOUTS["strided"]))

        backward = torch.ops.aten.native_layer_norm_backward.default
        args = [gradient, x, [16], mean, deviation, weight, bias, [True, True, True]]
        places = {0, 1, 3, 4, 5, 6}
        found = set(read(backward, args, sorted(places)))
        assert {0, 1} <= found < places, "its mean and its deviation are read as if they had none"
        assert read(torch.ops.aten.mm.default, [x, x.T.clone()], [0, 1]) == [0, 1]

    def test_of_a_layer_norms_backward_are_tried_in_what_is_left(self, layer_norm):
        checked = {check.module for check in layer_norm.checks if check.op == "native_layer_norm_backward"}
        assert "strided" in checked

    def test_that_no_argument_is_read_by_are_told(self):
        kept = Kept()
        with ForcedCalls(kept, "fp32") as calls:
            Attention()(torch.randn(TOKENS))
        calls.replay(0)
        (said,) = (why for call, why in kept.skipped.items() if call.endswith("attention_for_cpu, strided"))
        assert said == "PyTorch's own kernel takes its tensors to be contiguous"


def test_channels_that_are_read_in_the_wrong_order_show(forced, wrong):
    """A map whose channels lie innermost, read in the order of its memory."""

    def change(out, x):
        innermost = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        return x.permute(0, 2, 3, 1).reshape(x.shape).relu() if innermost else out

    plain, off, _ = forced(wrong("relu", change))
    assert plain == ()
    assert {row.op for row in off if decides(row, "fp32")} == {"relu"}
    assert "relu" in found_with(off, "channels-last")


class TestOddSizes:
    def test_tensors_of_one_shape_are_cut_alike(self):
        a, b = torch.randn(4, 7, 6), torch.randn(4, 7, 6)
        made = HARD_INPUTS["odd-sized"]("add", [a, b, 2.0, torch.tensor(1.0)])
        assert [tuple(value.shape) for value in made[:2]] == [(1, 5, 5), (1, 5, 5)]
        assert torch.equal(made[0], a[:1, :5, :5])
        assert made[2] == 2.0
        assert made[3].dim() == 0

    def test_of_a_convolution_the_image_alone_is_cut(self):
        made = HARD_INPUTS["odd-sized"](
            "convolution", [torch.randn(2, 4, 8, 8), torch.randn(6, 4, 3, 3), torch.randn(6)]
        )
        assert [tuple(value.shape) for value in made] == [(2, 4, 5, 5), (6, 4, 3, 3), (6,)]

    def test_four_elements_and_fewer_are_left_to_a_norm(self):
        """Of one value a channel a norm leaves nothing but rounding, and no variance."""
        assert HARD_INPUTS["odd-sized"]("native_batch_norm", [torch.randn(1, 16, 4, 2), torch.ones(16)]) is None
        made = HARD_INPUTS["odd-sized"]("native_batch_norm", [torch.randn(1, 16, 8, 4), torch.ones(16)])
        assert tuple(made[0].shape) == (1, 16, 5, 4)

    def test_what_is_told_its_results_size_is_not_cut(self):
        assert HARD_INPUTS["odd-sized"]("upsample_bilinear2d", [torch.randn(2, 3, 8, 8), [16, 16], False, 2.0]) is None

    @pytest.mark.parametrize(
        ("norm", "shape"),
        [
            (torch.nn.BatchNorm2d(16), (1, 16, 4, 4)), (torch.nn.BatchNorm2d(16), (1, 16, 2, 2)),
            (torch.nn.BatchNorm2d(16), (4, 16, 1, 1)), (torch.nn.BatchNorm2d(16), (1, 16, 6, 3)),
            (torch.nn.InstanceNorm2d(16), (4, 16, 4, 4)), (torch.nn.InstanceNorm2d(16, affine=True), (4, 16, 6, 6)),
            (torch.nn.GroupNorm(4, 16), (2, 16, 4, 4)), (torch.nn.LayerNorm(8), (2, 5, 8)),
        ],
    )  # fmt: skip
    def test_a_healthy_norm_of_a_small_map_is_not_called(self, norm, shape):
        kept = Kept()
        with ForcedCalls(kept, "fp32") as calls:
            norm(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
        calls.replay(0)
        record = ShadowRecord((0,), tuple(kept.checks), Coverage(), "fp32")
        assert [row for row in off_with_hard_inputs(weigh_shadow(record, "fp32")) if decides(row, "fp32")] == []

    @pytest.mark.parametrize(
        "args",
        [
            [torch.randn(4, 4), torch.zeros(4, 4, dtype=torch.long)],  # an index could lie outside
            [torch.randn(4, 4), torch.randn(4, 8)],
            [torch.randn(1, 5)],
            [torch.tensor(1.0)],
        ],
    )
    def test_what_can_not_be_cut_is_left_out(self, args):
        assert HARD_INPUTS["odd-sized"]("gather", args) is None


def test_a_device_that_refuses_what_the_host_computes_is_listed(forced, wrong):
    def change(out, x):
        if not x.numel():
            raise RuntimeError("no empty tensors here")
        return out

    _, _, kept = forced(wrong("relu", change))
    assert "no empty tensors here" in kept.skipped["relu, empty"]


def test_the_smallest_call_is_taken_and_one_too_large_is_listed(forced, monkeypatch):
    monkeypatch.setattr(forcing, "LARGEST_CALL", 1024)
    _, _, kept = forced()
    assert "MiB" in kept.skipped["convolution"]
    assert "convolution" not in kept.calls


def test_a_large_call_of_an_operation_that_has_a_small_one_is_not_listed(monkeypatch):
    monkeypatch.setattr(forcing, "LARGEST_CALL", 1024)
    for sides in ((4, 400), (400, 4)):
        kept = Kept()
        with ForcedCalls(kept, "fp32") as calls:
            for side in sides:
                torch.ones(side, side).relu()
            torch.ones(400, 400).sigmoid()
        calls.replay(0)
        assert "relu" in kept.calls
        assert "relu" not in kept.skipped
        assert "MiB" in kept.skipped["sigmoid"]


def test_what_reads_the_memory_behind_a_tensor_is_not_made_again():
    kept = Kept()
    with ForcedCalls(kept, "fp32") as calls:
        torch.randn(4, 4).as_strided_((2, 2), (1, 2))
        torch.randn(4, 4).relu()
    calls.replay(0)
    assert {check.op for check in kept.checks} == {"relu"}


def test_for_odd_sizes_the_smallest_call_that_has_an_even_one_is_taken():
    kept = Kept()
    with ForcedCalls(kept, "fp32") as calls:
        for side in (1, 16, 8):
            torch.randn(2, 3, side, side).sum()
            torch.conv2d(torch.randn(2, 3, side, side), torch.randn(5, 3, 1, 1))
    calls.replay(0)
    shapes = {check.shape for check in kept.checks if (check.op, check.module) == ("convolution", "odd-sized")}
    assert shapes == {(2, 5, 5, 5)}
    assert {check.shape for check in kept.checks if (check.op, check.module) == ("convolution", "ties")} == {
        (2, 5, 1, 1)
    }


def test_the_step_is_what_it_was(forced, net, batch):
    state = {name: value.clone() for name, value in net.state_dict().items()}
    net(*batch).backward()
    gradients = [parameter.grad.clone() for parameter in net.parameters()]
    buffers = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(state)
    net.zero_grad()
    forced()
    assert all(torch.equal(p.grad, expected) for p, expected in zip(net.parameters(), gradients, strict=True))
    assert all(torch.equal(value, buffers[name]) for name, value in net.state_dict().items())

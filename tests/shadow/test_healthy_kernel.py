"""What a healthy kernel may have follows from operation and inputs: hard ones are no finding, wrong ones are."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness.shadow.arithmetic.elementary import steps_of
from harness.shadow.arithmetic.fused_attention import compute_attention
from harness.shadow.arithmetic.healthy_kernel import rounded_to
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.measure import measure, smallest_normal_of
from harness.shadow.arithmetic.results import results_of
from harness.shadow.arithmetic.term_counts import count_terms
from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

aten = torch.ops.aten


@pytest.fixture
def violated():
    """The operations and tensors that a healthy kernel doesn't have, of a function called under shadow."""

    def run(function, tier="fp32", wrong=None):
        mode = ShadowOps(CallSites(nn.Module()), 0, tier)
        if wrong is None:
            with mode:
                function()
        else:
            with wrong, mode:
                function()
        evidence = weigh_shadow(ShadowRecord((0,), tuple(mode.checks), Coverage()), tier)
        return {(row.op, row.tensor) for row in evidence.violations}

    return run


def normalized(size, mean, spread, eps=1e-5):
    """Batch norm of few values far from zero, forward and backward."""
    torch.manual_seed(size)
    x = (torch.randn(size, 16, 1, 1) * spread + mean).requires_grad_()
    norm = nn.BatchNorm2d(16, eps=eps)
    F.mse_loss(norm(x), torch.randn(size, 16, 1, 1)).backward()


@pytest.mark.parametrize("size", [2, 3, 64])
@pytest.mark.parametrize("mean", [0.0, 10.0, 1e3])
@pytest.mark.parametrize("spread", [1e-2, 1.0])
def test_a_mean_that_cancels_is_no_finding(violated, size, mean, spread):
    assert violated(lambda: normalized(size, mean, spread)) == set()


def test_another_eps_still_is_one(violated, wrong):
    def larger_eps(out, x, weight, bias, mean, variance, training, momentum, eps):
        return aten.native_batch_norm(x, weight, bias, None, None, training, momentum, 10 * eps)

    device = wrong("native_batch_norm", larger_eps)
    assert ("native_batch_norm", "output") in violated(lambda: normalized(8, 1.0, 0.05), wrong=device)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "nearest-exact", "area"])
def test_interpolation_by_any_factor_is_no_finding(violated, mode):
    def resize():
        x = torch.randn(1, 2, 19, 23).add(100).requires_grad_()
        F.interpolate(x, size=(61, 47), mode=mode).square().sum().backward()

    assert violated(resize) == set()


def test_interpolation_with_corners_aligned_otherwise_is_one(violated, wrong):
    def aligned(out, x, size, corners, *scales):
        return aten.upsample_bilinear2d(x, size, not corners, *scales)

    def resize():
        F.interpolate(torch.randn(1, 2, 9, 9), size=(20, 20), mode="bilinear")

    assert violated(resize, wrong=wrong("upsample_bilinear2d", aligned)) == {("upsample_bilinear2d", "output")}


@pytest.mark.parametrize("kind", ["linear1d", "bilinear2d", "trilinear3d", "bicubic2d"])
@pytest.mark.parametrize("align", [False, True])
def test_the_steps_of_a_resizing_are_its_backward(kind, align):
    dims = int(kind[-2])
    before, after = [2, 3, 5, 7, 4][: 2 + dims], [9, 4, 6][:dims]
    op = getattr(aten, f"upsample_{kind}_backward").default
    gradient = torch.randn(*before[:2], *after, dtype=torch.float64)
    due = op(gradient, after, before, align, *[None] * dims)
    assert torch.allclose(steps_of(op)(gradient, after, before, align, *[None] * dims), due, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_is_compared_forward_and_backward(violated, causal, masked):
    torch.manual_seed(3)
    q, k, v = (torch.randn(2, 3, 7, 8, requires_grad=True) for _ in range(3))
    mask = torch.randn(7, 7) if masked and not causal else None

    def attend():
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal).square().sum().backward()

    mode = ShadowOps(CallSites(nn.Module()), 0, "fp32")
    with mode:
        attend()
    op = "_scaled_dot_product_flash_attention_for_cpu"
    assert mode.checked[op] == mode.checked[f"{op}_backward"] == 1
    gradients = {"query gradient", "key gradient", "value gradient"}
    assert {check.tensor for check in mode.checks if check.op == f"{op}_backward"} == gradients
    assert violated(attend) == set()


def test_fused_attention_without_its_scale_is_a_finding(violated, wrong):
    def unscaled(out, q, k, v, *rest):
        return (torch.softmax(q @ k.transpose(-1, -2), -1) @ v, out[1])

    op = "_scaled_dot_product_flash_attention_for_cpu"
    q = torch.randn(2, 3, 7, 8)
    found = violated(lambda: F.scaled_dot_product_attention(q, q, q), wrong=wrong(op, unscaled))
    assert found == {(op, "output")}


def test_attention_of_shared_heads_and_of_every_vendor():
    q, k, v = (torch.randn(2, heads, 5, 4, dtype=torch.float64, requires_grad=True) for heads in (6, 2, 2))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, scale=0.3)
    gradient = torch.randn_like(out)
    due = torch.autograd.grad(out, (q, k, v), gradient)
    scores = (q @ k.repeat_interleave(3, 1).transpose(-1, -2) * 0.3).masked_fill(
        ~torch.ones(5, 5).tril().bool(), -torch.inf
    )
    sums = scores.logsumexp(-1)
    op = aten._scaled_dot_product_flash_attention_backward.default
    rest = (sums, None, None, 5, 5, 0.0, True, None, None)
    made = compute_attention(op, (gradient, q, k, v, out, *rest), {"scale": 0.3})
    for gradient_made, gradient_due in zip(made, due, strict=True):
        assert torch.allclose(gradient_made, gradient_due)
    with pytest.raises(NotImplementedError, match="drops out"):
        compute_attention(op, (gradient, q, k, v, out, *rest[:5], 0.1, *rest[6:]), {"scale": 0.3})


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_zeros_that_come_into_dropout_are_not_dropped(violated, share):
    torch.manual_seed(0)
    x = torch.randn(20_000) * (torch.rand(20_000) >= share)
    assert violated(lambda: torch.native_dropout(x, 0.3, True)) == set()


def test_dropout_of_another_rate_behind_zeros_is_a_finding(violated, wrong):
    x = torch.randn(20_000).relu()
    device = wrong("native_dropout", lambda out, x, p, train: aten.native_dropout(x, 0.4, train))
    assert ("native_dropout", "distribution") in violated(lambda: torch.native_dropout(x, 0.3, True), wrong=device)


def test_a_total_weight_that_nobody_reads_is_not_judged():
    op = aten.nll_loss2d_forward.default
    scores, labels = torch.randn(2, 3, 4, 4).log_softmax(1), torch.randint(3, (2, 4, 4))
    for reduction, names in ((0, ["output"]), (1, ["output", "total weight"]), (2, ["output"])):
        args = (scores, labels, None, reduction, -100)
        made = op(*args)
        found = results_of(read_operation(op), (made, made), (args, args), ({}, {}))
        assert [result.name for result in found] == names


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_what_an_embedding_bag_keeps_for_its_backward_is_not_judged(violated, mode):
    bags = nn.EmbeddingBag(40, 16, mode=mode)
    tokens = torch.randint(40, (4, 15))
    assert violated(lambda: bags(tokens).square().sum().backward()) == set()


def test_small_numbers_may_be_flushed_and_complex_ones_are_measured():
    tiny = smallest_normal_of(torch.float32)
    due = torch.full((8,), tiny / 4, dtype=torch.float64)
    assert measure(torch.zeros(8), due, tiny).error == 0.0
    assert measure(torch.zeros(8), due).error == 1.0
    assert measure(torch.zeros(8), due * 100, tiny).error == 1.0
    z = torch.randn(5, dtype=torch.complex64)
    assert measure(z, z.to(torch.complex128)).error == 0.0
    assert measure(z * 1.5, z.to(torch.complex128)).projection == pytest.approx(0.5, abs=1e-6)


def test_terms_of_what_adds_up():
    gradient, tokens = torch.ones(6, 2), torch.tensor([1, 1, 1, 1, 3, 0])
    made = torch.ones(100, 2)
    assert count_terms("embedding_dense_backward", (gradient, tokens, 100, -1, False), made, 0) == 4
    assert count_terms("cumsum", (torch.ones(3, 50), 1), torch.ones(3, 50), 0) == 50
    weight = torch.ones(32, 5, 3, 3)
    arguments = (torch.ones(1, 32, 4, 4), weight, None, [1, 1], [0, 0], [1, 1], True, [0, 0], 2)
    assert count_terms("convolution", arguments, torch.ones(1, 10, 6, 6), 0) == 16 * 9


@pytest.mark.parametrize("bits", [7, 10, 23])
def test_rounding_keeps_so_many_bits(bits):
    x = torch.randn(1000, dtype=torch.float64)
    rounded = rounded_to(x, bits)
    assert float((rounded / x - 1).abs().max()) <= 2.0 ** -(bits + 1)
    assert torch.equal(rounded_to(rounded, bits), rounded)
    if bits == 7:
        assert torch.equal(rounded, x.bfloat16().double())
    assert torch.equal(
        rounded_to(torch.tensor([1e-6], dtype=torch.float64), 10, smallest=2.0**-14),
        torch.tensor([2.0**-20 * 1.0625], dtype=torch.float64),
    )


def test_a_gradient_whose_weights_are_of_other_corners_is_one(violated, wrong):
    def aligned(out, gradient, size, before, corners, *scales):
        return aten.upsample_bilinear2d_backward(gradient, size, before, not corners, *scales)

    def resize():
        F.interpolate(
            torch.randn(1, 2, 8, 16, requires_grad=True), size=(64, 128), mode="bilinear"
        ).square().sum().backward()

    device = wrong("upsample_bilinear2d_backward", aligned)
    assert violated(resize) == set()
    assert violated(resize, wrong=device) == {("upsample_bilinear2d_backward", "output")}
    mode = ShadowOps(CallSites(nn.Module()), 0, "fp32")
    with device, mode:
        resize()
    (check,) = [check for check in mode.checks if check.op == "upsample_bilinear2d_backward"]
    assert check.along < 10  # a whole number is the same cell of the grid, however its last bit is rounded


def gradients(kind):
    """Large gradients whose squares PyTorch adds up with roundings that are all alike."""
    torch.manual_seed(0)
    if kind == "equal":
        return torch.full((2**20,), 0.1)
    return torch.randn(2**20) * torch.exp(3 * torch.randn(2**20))


@pytest.mark.parametrize("kind", ["equal", "heavy-tailed"])
@pytest.mark.parametrize("norm", [lambda g: torch._foreach_norm([g, g[:10]]), torch.linalg.vector_norm])
def test_the_norm_of_a_long_gradient_is_no_finding(violated, kind, norm):
    assert violated(lambda: norm(gradients(kind))) == set()


@pytest.mark.parametrize("kind", ["equal", "heavy-tailed"])
def test_a_norm_that_is_1_per_cent_too_large_is_one(violated, wrong, kind):
    device = wrong("_foreach_norm", lambda out, *_: [norm * 1.01 for norm in out])
    assert violated(lambda: torch._foreach_norm([gradients(kind), torch.ones(10)]), wrong=device)


def test_a_norm_in_float64_is_held_to_float64(violated, wrong):
    """Float32's error of the host's own kernel is no excuse for a kernel of more bits."""
    device = wrong("linalg_vector_norm", lambda out, *_: out * (1 + 1e-5))
    assert violated(lambda: torch.linalg.vector_norm(gradients("equal").double()), wrong=device)


def bias_gradient(gradient):
    """A convolution's bias gradient alone, by the kernel that PyTorch chooses: oneDNN's adds element by element."""
    x, weight = torch.zeros(gradient.shape[0], 4, *gradient.shape[2:]), torch.zeros(gradient.shape[1], 4, 3, 3)
    same = [1, 1]
    aten.convolution_backward(
        gradient, x, weight, [gradient.shape[1]], same, same, same, False, [0, 0], 1, [False, False, True]
    )


def alike(rows, columns, share):
    """Terms of one sign and nearly one size, as the gradients of a detector's empty places are: (2, 96, H, W)."""
    torch.manual_seed(rows)
    return 0.006 * (1 + share * torch.rand(2, 96, rows, columns))


@pytest.mark.parametrize("size", [(16, 32), (32, 64), (64, 128)])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_bias_gradient_that_is_added_up_in_order_is_no_finding(violated, size, share):
    rows, columns = size
    assert violated(lambda: bias_gradient(alike(rows, columns, share))) == set()


def test_a_bias_gradient_that_is_off_by_a_hundredth_of_a_percent_still_is_one(violated, wrong):
    def larger(out, *arguments):
        return tuple(part if part is None else part * 1.0001 for part in out)

    device = wrong("convolution_backward", larger)
    found = violated(lambda: bias_gradient(alike(16, 32, 0.1)), wrong=device)
    assert found == {("convolution_backward", "bias gradient")}


def gradient(function, *inputs):
    """A backward whose incoming gradient is the same everywhere, as that of an average is."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    made = function(*leaves)
    torch.autograd.grad(made, leaves, torch.full_like(made, 0.006))


def last(tensor):
    return tensor.contiguous(memory_format=torch.channels_last)


WEIGHT = torch.ones(16)
RAMP = torch.arange(6250) % 3

EQUAL_TERMS = {
    "rows of a table": lambda: gradient(lambda w: F.embedding(RAMP, w), torch.ones(5, 16)),
    "index_add": lambda: torch.zeros(5, 16).index_add_(0, RAMP, torch.full((6250, 16), 0.006)),
    "index_put": lambda: torch.zeros(5, 16).index_put_((RAMP,), torch.full((6250, 16), 0.006), accumulate=True),
    "layer norm": lambda: gradient(lambda x, w: F.layer_norm(x, (16,), w, w), torch.randn(4000, 16), WEIGHT),
    "group norm": lambda: gradient(lambda x, w: F.group_norm(x, 4, w, w), torch.randn(2, 16, 30000), WEIGHT),
    "batch norm, channels last": lambda: gradient(
        lambda x, w: F.batch_norm(x, None, None, w, w, True), last(torch.randn(2, 16, 64, 64)), WEIGHT
    ),
    "convolution": lambda: gradient(
        lambda x, w: F.conv2d(x, w, padding=1), torch.full((2, 8, 32, 32), 0.3), torch.ones(16, 8, 3, 3)
    ),
    "interpolation": lambda: gradient(
        lambda x: F.interpolate(x, scale_factor=8.0, mode="bilinear"), torch.ones(2, 4, 16, 16)
    ),
    "product": lambda: torch.full((32, 6250), 0.006) @ torch.full((6250, 32), 0.006),
}


@pytest.mark.parametrize("name", EQUAL_TERMS)
def test_equal_terms_that_round_alike_are_no_finding(violated, name):
    """A kernel that adds one after another is right, however far 6,250 equal terms take it."""
    torch.manual_seed(0)
    assert violated(EQUAL_TERMS[name]) == set()


def test_equal_terms_of_which_some_are_lost_still_are_one(violated, wrong):
    def without_last_rows(out, gradient, indices, *rest):
        return aten.embedding_dense_backward(gradient[:-60], indices[:-60], *rest)

    device = wrong("embedding_dense_backward", without_last_rows)
    found = violated(EQUAL_TERMS["rows of a table"], wrong=device)
    assert found == {("embedding_dense_backward", "output")}

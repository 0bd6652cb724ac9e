"""Calls with axes of another length are calls that the host computes."""

from itertools import islice

import pytest
import torch

from harness.shadow.probing.lone_call import LoneCall
from harness.shadow.probing.sizes import axes_of, laid_like, resized
from harness.shadow.probing.variations import redrawn, variations_of

aten = torch.ops.aten


def maps(*shape):
    return torch.randn(*shape)


def calls():
    """One call of each operation that a table knows, and of some that work element by element."""
    torch.manual_seed(0)
    x, weight = maps(2, 6, 8, 9), maps(5, 6, 3, 3)
    plain = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "transposed": False, "output_padding": [0, 0]}
    window = {"kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1]}
    pooled, indices = aten.max_pool2d_with_indices(x, [3, 3], [2, 2], [1, 1])
    _, mean, deviation = aten.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)
    tokens = maps(2, 7, 10)
    _, of_tokens, inverse = aten.native_layer_norm(tokens, [10], None, None, 1e-5)
    logits, target = torch.log_softmax(maps(2, 5, 4, 6), 1), torch.randint(0, 5, (2, 4, 6))
    norm = {"weight": maps(6), "running_mean": maps(6), "running_var": maps(6).abs() + 1}
    return [
        LoneCall.of(aten.convolution.default, input=x, weight=weight, bias=maps(5), groups=1, **plain),
        LoneCall.of(aten.convolution.default, input=x, weight=maps(6, 1, 3, 3), bias=None, groups=6, **plain),
        LoneCall.of(aten.convolution.default, input=x, weight=maps(6, 3, 3, 3), bias=None, groups=2, **plain),
        LoneCall.of(
            aten.convolution.default,
            input=x,
            weight=maps(6, 4, 3, 3),
            bias=maps(4),
            groups=1,
            **plain | {"transposed": True},
        ),
        LoneCall.of(
            aten.convolution_backward.default,
            grad_output=maps(2, 5, 8, 9),
            input=x,
            weight=weight,
            bias_sizes=[5],
            groups=1,
            output_mask=[True, True, True],
            **plain,
        ),
        LoneCall.of(
            aten.native_batch_norm.default, input=x, bias=maps(6), training=True, momentum=0.1, eps=1e-5, **norm
        ),
        LoneCall.of(
            aten.native_batch_norm_backward.default,
            grad_out=maps(2, 6, 8, 9),
            input=x,
            save_mean=mean,
            save_invstd=deviation,
            train=True,
            eps=1e-5,
            output_mask=[True, True, True],
            **norm,
        ),
        LoneCall.of(
            aten.native_layer_norm.default,
            input=tokens,
            normalized_shape=[10],
            weight=maps(10),
            bias=maps(10),
            eps=1e-5,
        ),
        LoneCall.of(
            aten.native_layer_norm_backward.default,
            grad_out=maps(2, 7, 10),
            input=tokens,
            normalized_shape=[10],
            mean=of_tokens,
            rstd=inverse,
            weight=maps(10),
            bias=maps(10),
            output_mask=[True, True, True],
        ),
        LoneCall.of(aten.mm.default, self=maps(4, 6), mat2=maps(6, 5)),
        LoneCall.of(aten.bmm.default, self=maps(3, 4, 6), mat2=maps(3, 6, 5)),
        LoneCall.of(aten.addmm.default, self=maps(5), mat1=maps(4, 6), mat2=maps(6, 5)),
        LoneCall.of(aten.max_pool2d_with_indices.default, self=x, **window),
        LoneCall.of(
            aten.max_pool2d_with_indices_backward.default,
            grad_output=pooled,
            self=x,
            dilation=[1, 1],
            ceil_mode=False,
            indices=indices,
            **window,
        ),
        LoneCall.of(aten.avg_pool2d.default, self=x, **window),
        LoneCall.of(
            aten.avg_pool2d_backward.default,
            grad_output=pooled,
            self=x,
            ceil_mode=False,
            count_include_pad=True,
            divisor_override=None,
            **window,
        ),
        LoneCall.of(aten._adaptive_avg_pool2d.default, self=x, output_size=[3, 4]),
        LoneCall.of(aten._adaptive_avg_pool2d_backward.default, grad_output=maps(2, 6, 3, 4), self=x),
        LoneCall.of(aten.upsample_bilinear2d.default, self=x, output_size=[16, 18], align_corners=False),
        LoneCall.of(
            aten.upsample_bilinear2d_backward.default,
            grad_output=maps(2, 6, 16, 18),
            output_size=[16, 18],
            input_size=[2, 6, 8, 9],
            align_corners=False,
        ),
        LoneCall.of(
            aten.nll_loss2d_forward.default, self=logits, target=target, weight=None, reduction=1, ignore_index=255
        ),
        LoneCall.of(aten.mul.Tensor, self=x, other=maps(2, 6, 1, 1)),
        LoneCall.of(aten.add.Tensor, self=x, other=maps(2, 6, 8, 9)),
        LoneCall.of(aten._softmax.default, self=x, dim=1, half_to_float=False),
        LoneCall.of(aten.sum.dim_IntList, self=x, dim=[2, 3]),
        LoneCall.of(aten.cat.default, tensors=[maps(2, 3, 4), maps(2, 5, 4)], dim=1),
    ]


def made(call: LoneCall):
    args, kwargs = call.given(call.arguments)
    return call.op(*args, **kwargs)


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_each_axis_can_be_longer_and_shorter(call):
    axes, sizes = axes_of(call)
    assert sizes
    tried = 0
    for name, size in sizes.items():
        for length in (size + 1, size - 1):
            if length < 2 or (call.name, name) in {("convolution", "R"), ("convolution", "S")}:
                continue
            try:
                other = resized(call, axes, {name: length})
                made(other)
            except (RuntimeError, ValueError, IndexError):
                continue
            assert axes_of(other)[1][name] == length
            tried += 1
    assert tried >= len(sizes)  # one of the two at least


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_variations_are_calls_that_the_host_takes_and_all_differ(call):
    before = [tensor.clone() for tensor in call.tensors]
    generator = torch.Generator().manual_seed(0)
    taken, seen = 0, set()
    for other in islice(variations_of(call), 60):
        try:
            made(redrawn(other, generator))
        except (RuntimeError, ValueError, IndexError):
            continue
        taken += 1
        seen.add(
            repr([(t.shape, t.stride(), t.dtype, t.storage_offset()) for t in other.tensors])
            + repr({k: v for k, v in other.arguments.items() if not isinstance(v, torch.Tensor)})
        )
    assert taken >= 8
    assert len(seen) > taken / 2
    assert all(torch.equal(a, b) for a, b in zip(before, call.tensors, strict=True))


def test_places_along_an_axis_are_kept():
    call = LoneCall.of(aten.mm.default, self=torch.arange(12.0).view(3, 4), mat2=torch.ones(4, 2))
    smaller = resized(call, axes_of(call)[0], {"I": [1, 3]})
    assert smaller.arguments["self"].tolist() == [[1, 3], [5, 7], [9, 11]]
    assert smaller.arguments["mat2"].shape == (2, 2)


LAYOUTS = {
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "turned": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
    "gaps": lambda x: torch.stack([x, x], -1)[..., 0],
    "stretched": lambda x: x[:1].expand(x.shape),
    "plain": lambda x: x,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_outlives_another_length_and_other_values(name):
    x = LAYOUTS[name](torch.randn(2, 3, 4, 5))
    for other in (laid_like(torch.randn(2, 3, 4, 5), x), laid_like(torch.randn(2, 4, 4, 5), x)):
        assert [stride == 0 for stride in other.stride()] == [stride == 0 for stride in x.stride()]
        assert other.is_contiguous() == x.is_contiguous()
        order = sorted(range(4), key=lambda axis: -x.stride()[axis])
        assert sorted(range(4), key=lambda axis: -other.stride()[axis]) == order


def test_what_trusts_its_sizes_keeps_them():
    x = torch.randn(2, 6, 4)
    call = LoneCall.of(
        aten.native_group_norm.default, input=x, weight=None, bias=None, N=2, C=6, HxW=4, group=2, eps=1e-5
    )
    assert axes_of(call) == ({}, {})

"""Calls like a wrong one tell what sets it apart, where the training's calls don't."""

import math
from dataclasses import replace

import pytest
import torch

from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.judging.diagnosis.causes import find_causes
from harness.shadow.probing.lone_call import LoneCall
from harness.shadow.probing.probes import probe


def dilated(out, x, weight, bias, stride, padding, dilation, *rest):
    return out.flip(-1) if max(dilation) > 1 else out


def of_odd_width(out, *args):
    out[..., out.shape[-1] // 8 * 8 :] = 0
    return out


def of_many_channels(out, *args):
    out[:, 8:] = 0
    return out


def channels_last(out, x, *args):
    plain = x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last)
    return out if plain else out * 1.1


def strided_and_larger(out, x, weight, bias, stride, *rest):
    return out * 1.1 if max(stride) > 1 and weight.shape[-1] > 1 else out


def of_all(out, *args):
    return out * 1.05


def last_sample(out, *args):
    out[-1] = 0
    return out


def by_chance(out, *args):
    lost = torch.rand(out.shape[1]) < 0.5
    return out * (1 - 0.3 * lost.float().view(1, -1, 1, 1))


def causes_of(call, probed):
    """The causes that one wrong call and the answers tell."""
    answers = [answer for answer in probed.answers if answer.check.tensor == "output"]
    signatures = {(0, number): answer.signature for number, answer in enumerate(answers)}
    checks = [replace(answer.check, call=number) for number, answer in enumerate(answers)]
    step = ShadowRecord((0,), (checks[0],), Coverage(), "fp32", (), {(0, 0): answers[0].signature})
    asked = ShadowRecord((0,), tuple(checks), Coverage(), "fp32", (), signatures)
    return find_causes(step, "fp32", asked)


def large(**changes):
    return {"input": torch.randn(2, 9, 9, 9), "weight": torch.randn(9, 9, 3, 3), **changes}


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        (dilated, large(dilation=[2, 2], padding=[2, 2]), ["dilation > 1"]),
        (of_odd_width, large(), ["width", "multiple of 8"]),
        (of_many_channels, large(), ["more than 8 output channels"]),
        (
            channels_last,
            large(input=torch.randn(2, 9, 9, 9).contiguous(memory_format=torch.channels_last)),
            ["channels-last"],
        ),
        (strided_and_larger, large(stride=[2, 2]), ["stride > 1", "larger than 1×1"]),
    ],
    ids=["dilation", "width", "channels", "layout", "pair"],
)
def test_the_attribute_is_named(wrong, convolution, asking, change, given, words):
    call = convolution(**given)
    with wrong("convolution", change):
        probed = probe(call, ["output"], asking, 60.0)
    assert probed.why_not == {}
    (cause,) = causes_of(call, probed)
    told = (cause.attribute, *cause.equals)
    assert any(all(word in said for word in words) for said in told), told
    assert cause.asked.wrong > 10
    assert cause.asked.others > 0
    assert "asked again, each with one thing changed" in cause.evidence


@pytest.mark.parametrize("change", [of_all, last_sample])
def test_no_attribute_is_claimed_where_every_call_is_wrong(wrong, convolution, asking, change):
    call = convolution(**large())
    with wrong("convolution", change):
        probed = probe(call, ["output"], asking, 60.0)
    assert len(probed.answers) > 20
    (cause,) = causes_of(call, probed)
    assert cause.attribute == ""
    assert (cause.asked.wrong, cause.asked.others) == (cause.asked.within, 0)


def test_what_is_wrong_by_chance_is_not_asked(wrong, convolution, asking):
    torch.manual_seed(0)
    with wrong("convolution", by_chance):
        probed = probe(convolution(**large()), ["output"], asking, 60.0)
    assert probed.answers == ()
    assert probed.why_not == {"output": "with the same values it is off by another amount each time"}


def test_what_is_right_alone_is_not_asked(convolution, asking):
    probed = probe(convolution(), ["output"], asking, 60.0)
    assert probed.answers == ()
    assert probed.why_not == {"output": "it is right when it is called alone"}
    assert asking.asked == 1


def test_what_its_values_make_wrong_is_not_asked(wrong, convolution, asking):
    call = convolution()
    due = call.op(*call.given(call.arguments)[0])

    def of_these_values(out, *args):
        return out * 1.1 if torch.allclose(out, due, rtol=1e-4) else out

    with wrong("convolution", of_these_values):
        probed = probe(call, ["output"], asking, 60.0)
    assert probed.why_not == {"output": "it is right with other values of the same sizes"}


def test_the_number_of_tensors_that_are_joined_is_named(wrong, asking):
    aten = torch.ops.aten
    call = LoneCall.of(aten.cat.default, tensors=[torch.randn(2, 6, size) for size in (4, 9, 16)], dim=2)

    def third_lost(out, tensors, dim):
        if len(tensors) > 2:
            out.narrow(dim, tensors[0].shape[dim] + tensors[1].shape[dim], tensors[2].shape[dim]).zero_()
        return out

    with wrong("cat", third_lost):
        probed = probe(call, ["output"], asking, 60.0)
    (cause,) = causes_of(call, probed)
    assert cause.attribute == "whose number of tensors is more than 2"
    assert cause.asked.others >= 4


@pytest.mark.parametrize("share", [0.998, 0.9995])
def test_a_fault_of_large_numbers_is_none_of_large_maps(wrong, convolution, asking, share):
    """What is cut off above a value that few elements have is right in most small calls."""
    call = convolution(input=torch.randn(2, 6, 30, 30))
    sizes = call.op(*call.given(call.arguments)[0]).abs().flatten()
    cut = sizes.kthvalue(int(share * len(sizes))).values

    with wrong("convolution", lambda out, *args: out.clamp(-cut, cut)):
        probed = probe(call, ["output"], asking, 60.0)
    assert len(probed.answers) > 20
    (cause,) = causes_of(call, probed)
    assert cause.attribute == ""


def test_a_large_call_is_asked_as_a_small_one(wrong, convolution, asking):
    call = convolution(input=torch.randn(4, 6, 32, 32))
    with wrong("convolution", of_all):
        probed = probe(call, ["output"], asking, 5.0)
    assert len(probed.answers) > 3
    assert math.prod(probed.answers[0].signature.tensors[0].shape) <= 2**13


def test_a_narrower_format_says_nothing_of_the_format_that_a_result_is_stored_in(wrong, convolution, asking):
    call = convolution(**large())
    with wrong("convolution", lambda out, *args: out.bfloat16().to(out.dtype)):
        probed = probe(call, ["format of output"], asking, 60.0)
    assert len(probed.answers) > 20
    assert {answer.check.dtype for answer in probed.answers} == {"float32"}
    assert all(answer.wrong for answer in probed.answers)

"""Causes: from the checks of a step to one sentence a fault."""

import math

import pytest

from harness.shadow.evidence.call_signature import CallSignature, TensorSignature
from harness.shadow.evidence.checks import Coverage, ShadowCheck, ShadowRecord
from harness.shadow.evidence.part import Part
from harness.shadow.judging.diagnosis.causes import find_causes

TIER = "tf32"


def convolution(channels, kernel, *, dilation=1, stride=1, layout="contiguous", width=32):
    return CallSignature(
        (
            TensorSignature("grad_output", (2, channels, width, width), "float32", "contiguous"),
            TensorSignature("input", (2, channels, width, width), "float32", layout),
            TensorSignature("weight", (channels, channels, kernel, kernel), "float32", "contiguous"),
        ),
        {
            "stride": (stride, stride),
            "padding": (dilation * (kernel // 2),) * 2,
            "dilation": (dilation, dilation),
            "transposed": False,
            "groups": 1,
        },
    )


NET = [
    convolution(channels, kernel, dilation=dilation, stride=stride)
    for channels in (12, 20, 36, 68)
    for kernel, dilation, stride in ((1, 1, 1), (1, 1, 2), (3, 1, 1), (3, 1, 2), (3, 2, 1), (3, 4, 1))
]


def record(signatures, wrong, *, iterations=(0,), tensor="weight gradient", op="convolution_backward", off=0.05):
    """A record in which a call's tensor is ``off`` where ``wrong(iteration, signature)``."""
    checks, signed = [], {}
    for iteration in iterations:
        for call, signature in enumerate(signatures):
            error = off if wrong(iteration, signature) else 1e-7
            signed[iteration, call] = signature
            checks.append(
                ShadowCheck(
                    iteration, Part.BACKWARD, f"layer{call}", op, tensor, call, "float32", (8, 8), True, error,
                    error if error == off else 0.0, terms=512.0, spread=64.0,
                )
            )  # fmt: skip
    return ShadowRecord(tuple(iterations), tuple(checks), Coverage(), TIER, (), signed)


def test_a_healthy_record_has_no_cause():
    assert find_causes(record(NET, lambda *_: False), TIER) == ()


def test_all_calls_are_told_without_an_attribute():
    (cause,) = find_causes(record(NET, lambda *_: True), TIER)
    assert cause.sentence == "weight gradients of all 24 convolutions are 5 % too large"
    assert (cause.attribute, cause.equals) == ("", ())


@pytest.mark.parametrize(
    ("struck", "words"),
    [
        (lambda call: call.options["dilation"][0] > 1, "with dilation > 1"),
        (lambda call: call.tensors[2].shape[-1] == 1, "with 1×1 kernels"),
        (lambda call: call.options["stride"][0] > 1, "with stride > 1"),
        (lambda call: call.tensors[2].shape[0] > 32, "with more than 32 output channels"),
        (
            lambda call: call.tensors[2].shape[-1] == 1 and call.options["stride"][0] > 1,
            "with 1×1 kernels and with stride > 1",
        ),
    ],
)
def test_the_struck_calls_are_told_by_what_they_share(struck, words):
    (cause,) = find_causes(record(NET, lambda _, call: struck(call)), TIER)
    assert cause.attribute == words
    assert cause.wrong == cause.within == sum(map(struck, NET))
    assert cause.others == len(NET) - cause.wrong
    assert f"none of the {cause.others} others" in cause.evidence


def test_a_tail_is_told_by_the_size_that_has_one():
    net = [convolution(channels, 3) for channels in range(10, 32)]
    (cause,) = find_causes(record(net, lambda _, call: call.tensors[2].shape[0] % 4 != 0), TIER)
    assert cause.attribute == "whose output channels are no multiple of 4"


def test_one_call_is_named_and_nothing_claimed_of_it():
    net = [*NET, convolution(12, 5)]
    (cause,) = find_causes(record(net, lambda _, call: call is net[-1]), TIER)
    assert cause.attribute == ""
    assert cause.sentence == "weight gradient of layer24 (convolution_backward) is 5 % too large"
    assert "too few to tell why: they are also those with 5×5 kernels" in cause.evidence


def test_layers_of_one_signature_count_once():
    """Ten equal layers are wrong together by whatever is wrong with one: they are no tenfold evidence."""
    net = [*NET[:6], *[NET[6]] * 10]
    (cause,) = find_causes(record(net, lambda _, call: call is NET[6]), TIER)
    assert cause.attribute == ""
    assert cause.wrong == 10


def test_two_tensors_of_the_same_calls_are_one_cause():
    one = record(NET, lambda _, call: call.options["dilation"][0] > 1)
    other = record(NET, lambda _, call: call.options["dilation"][0] > 1, tensor="input gradient")
    both = ShadowRecord((0,), one.checks + other.checks, Coverage(), TIER, (), one.signatures)
    (cause,) = find_causes(both, TIER)
    assert set(cause.tensors) == {"weight gradient", "input gradient"}


def test_two_faults_of_one_tensor_are_two_causes():
    """A factor in dilated layers, and zeros in strided 1×1 ones."""
    plain = record(NET, lambda *_: False)
    checks = []
    for check, call in zip(plain.checks, NET, strict=True):
        off = 0.5 if call.options["dilation"][0] > 1 else -1.0 if call.options["stride"][0] > 1 else 0.0
        values = {name: getattr(check, name) for name in check.__dataclass_fields__}
        checks.append(ShadowCheck(**{**values, "error": abs(off) or check.error, "projection": off}))
    causes = find_causes(ShadowRecord((0,), tuple(checks), Coverage(), TIER, (), plain.signatures), TIER)
    assert {cause.attribute for cause in causes} == {"with dilation > 1", "with stride > 1"}
    assert {cause.error for cause in causes} == {"50 % too large", "zero"}
    wrong = sum(cause.wrong for cause in causes)
    assert {cause.others for cause in causes} == {len(NET) - wrong}, "a call that is wrong otherwise is no right one"


def test_only_the_first_wrong_iteration_is_diagnosed():
    """What is wrong later may follow from it."""
    (cause,) = find_causes(
        record(NET, lambda i, call: i == 1 or (i == 2 and call is NET[0]), iterations=(0, 1, 2)), TIER
    )
    assert (cause.iteration, cause.iterations) == (1, (1, 2))
    assert cause.wrong == len(NET)


@pytest.mark.parametrize("off", [math.inf, math.nan])
def test_what_is_not_finite_is_told_so(off):
    (cause,) = find_causes(record(NET, lambda *_: True, off=off), TIER)
    assert cause.sentence.endswith("not finite, or not comparable")


def test_a_record_without_signatures_is_diagnosed_by_its_shapes():
    bare = record(NET, lambda *_: True)
    (cause,) = find_causes(ShadowRecord((0,), bare.checks, Coverage(), TIER), TIER)
    assert cause.wrong == len(NET)


def rows_of(total, cancelling, wrong, off):
    """Calls of a bias gradient that is ``off``, of which some are nothing but rounding and hide it."""
    net = [convolution(8 * channels if channels in cancelling else 19, 1) for channels in range(total)]
    checks, signed = [], {}
    for call, signature in enumerate(net):
        hidden = call in cancelling
        check = ShadowCheck(
            0, Part.BACKWARD, f"layer{call}", "convolution_backward", "bias gradient", call, "float32", (8,), True,
            off if call in wrong or hidden else 1e-7, -off if call in wrong or hidden else 0.0,
            scale=1e12 if hidden else 1.0, along=1e12 if hidden else 0.0, terms=512.0, spread=64.0,
        )  # fmt: skip
        checks.append(check)
        signed[0, call] = signature
    return ShadowRecord((0,), tuple(checks), Coverage(), TIER, (), signed)


def test_a_call_in_which_the_fault_would_not_show_is_no_witness():
    """A zero is right where a gradient is nothing but rounding: such calls' channels say nothing of the kernel."""
    (cause,) = find_causes(rows_of(6, {1, 2, 3, 4}, {0, 5}, off=1.0), TIER)
    assert cause.attribute == ""
    assert (cause.wrong, cause.within, cause.others, cause.unseen) == (2, 2, 0, 4)
    assert cause.sentence == "bias gradients of 2 convolutions are zero"
    assert "in 4 more it would not show" in cause.evidence


def test_calls_that_would_show_it_and_are_right_are_witnesses():
    (cause,) = find_causes(rows_of(12, {1, 2, 3, 4}, {0, 5, 6}, off=1.0), TIER)
    assert (cause.wrong, cause.within, cause.unseen) == (3, 8, 4)
    assert cause.sentence == "bias gradients of 3 of 8 convolutions are zero"


def test_what_was_asked_names_nothing_by_itself_where_all_of_it_is_wrong():
    """Calls like one small wrong call are all small: among few wrong calls of the step that is no evidence."""
    like = [convolution(12, 3, dilation=2, width=width) for width in range(33, 85)]
    wrong = [call for call in NET if call.options["dilation"] == (2, 2) and call.tensors[0].shape[1] < 36]
    step = record(NET, lambda _, call: call in wrong)
    (alone,) = find_causes(step, TIER)
    (cause,) = find_causes(step, TIER, record(like, lambda *_: True))
    assert (cause.attribute, alone.attribute) == ("", "")
    assert (cause.asked.wrong, cause.asked.within, cause.asked.others) == (52, 52, 0)


def test_what_the_step_tells_stays_where_all_that_was_asked_is_wrong_and_has_it():
    like = [convolution(12, 3, dilation=2, width=width) for width in range(8, 30)]
    step = record(NET, lambda _, call: call.options["dilation"] > (1, 1))
    (cause,) = find_causes(step, TIER, record(like, lambda *_: True))
    assert cause.attribute == "with dilation > 1"
    assert (cause.wrong, cause.within, cause.asked.wrong, cause.asked.within) == (8, 8, 22, 22)
    plain = [convolution(12, 3, width=width) for width in range(8, 30)]
    (cause,) = find_causes(step, TIER, record(plain, lambda *_: True))
    assert "dilation" not in cause.attribute

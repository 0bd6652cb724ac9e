"""A wrong call gets smaller while it is wrong, and what makes it wrong stays."""

import pytest
import torch

from harness.shadow.probing.lone_call import Asking, LoneCall
from harness.shadow.probing.shrinking import shrink

aten = torch.ops.aten


def dilated(out, x, weight, bias, stride, padding, dilation, *rest):
    return out * 1.1 if max(dilation) > 1 else out


def of_odd_width(out, *args):
    return out * 1.1 if out.shape[-1] % 4 else out


def of_many_channels(out, *args):
    return out * 1.1 if out.shape[1] > 3 else out


def with_channels_last(out, x, *args):
    plain = x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last)
    return out if plain else out * 1.1


def with_bias(out, x, weight, bias, *args):
    return out if bias is None else out - bias.view(1, -1, 1, 1) / 2


def of_all(out, *args):
    return out * 1.1


def shrunk(wrong, change, call, asking, seconds=60.0):
    with wrong("convolution", change):
        found = shrink(call, "output", asking, seconds)
        assert found is not None
        assert found.answer.wrong
        assert asking.ask(found.call)["output"].wrong
    return found


class TestWhatIsLeft:
    @pytest.mark.parametrize(
        ("change", "given", "what"),
        [
            (dilated, {"dilation": [2, 2], "padding": [2, 2]}, lambda call: max(call.arguments["dilation"]) > 1),
            (of_odd_width, {}, lambda call: call.arguments["input"].shape[-1] % 4),
            (with_bias, {"bias": torch.randn(5)}, lambda call: call.arguments["bias"] is not None),
            (of_many_channels, {}, lambda call: len(call.arguments["weight"]) == 4),
        ],
        ids=["dilation", "width", "bias", "channels"],
    )
    def test_has_what_makes_it_wrong(self, wrong, convolution, asking, change, given, what):
        call = convolution(**given)
        found = shrunk(wrong, change, call, asking)
        assert what(found.call)
        assert found.call.elements <= 24 < found.before == call.elements
        assert found.whole

    def test_keeps_a_layout_that_makes_it_wrong(self, wrong, convolution, asking):
        call = convolution(input=torch.randn(2, 6, 11, 13).contiguous(memory_format=torch.channels_last))
        found = shrunk(wrong, with_channels_last, call, asking)
        assert not found.call.arguments["input"].is_contiguous()
        assert found.call.elements <= 24

    def test_is_one_element_of_each_where_all_is_wrong(self, wrong, convolution, asking):
        found = shrunk(wrong, of_all, convolution(bias=torch.randn(5), stride=[2, 2]), asking)
        assert [tuple(tensor.shape) for tensor in found.call.tensors] == [(1, 1, 1, 1), (1, 1, 1, 1)]
        assert (found.call.arguments["stride"], found.call.arguments["padding"]) == ([1, 1], [0, 0])
        assert {float(tensor.sum()) for tensor in found.call.tensors} == {1.0}

    def test_has_small_whole_numbers_where_ones_hide_it(self, wrong, convolution, asking):
        def transposed(out, *args):
            return out.flip(-1)

        found = shrunk(wrong, transposed, convolution(), asking)
        values = torch.cat([tensor.flatten() for tensor in found.call.tensors])
        assert torch.equal(values, values.round())
        assert 1 < values.abs().max() <= 9


def test_a_call_that_is_right_alone_is_none(convolution, asking):
    assert shrink(convolution(), "output", asking, 60.0) is None


def test_where_the_time_is_over_what_is_left_is_larger_and_that_is_said(wrong, convolution, asking):
    found = shrunk(wrong, of_all, convolution(), asking, seconds=0.0)
    assert not found.whole
    assert found.call.elements == found.before


def test_a_device_that_refuses_is_asked_no_less(wrong, convolution, asking):
    def strict(out, x, *args):
        if len(x) < 2:
            raise RuntimeError("this device takes two samples or more")
        return out * 1.1

    found = shrunk(wrong, strict, convolution(), asking)
    assert found.call.arguments["input"].shape[0] == 2


def test_what_the_host_refuses_is_never_asked_of_the_device(asking):
    embedding = LoneCall.of(aten.gather.default, self=torch.ones(3, 4), dim=1, index=torch.full((3, 4), 9))
    assert asking.ask(embedding) == {}
    assert asking.asked == 0


def test_arguments_of_another_operation_are_refused():
    with pytest.raises(ValueError, match="another operation"):
        LoneCall.of(aten.mm.default, self=torch.ones(2, 2))
    with pytest.raises(ValueError, match="another operation"):
        LoneCall.of(aten.relu.default, self=torch.ones(2, 2), other=3)


def test_the_host_itself_is_asked_with_nothing_between(wrong, convolution):
    with wrong("convolution", of_all):
        assert Asking("cpu", "fp32").ask(convolution())["output"].wrong
        assert not Asking("cpu", "fp32").on_host().ask(convolution())["output"].wrong

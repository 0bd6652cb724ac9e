"""Whether shadow ops name a fault rightly: the operation that it changes, and its layer where it strikes one alone."""

import pytest

from harness.lab.faults import parse_fault
from harness.lab.power.naming import is_named_by
from harness.shadow.evidence.checks import Coverage, Part, ShadowCheck, ShadowRecord, ShadowRow


def check(op, module, call, part=Part.BACKWARD, tensor="weight gradient", shape=(4, 3, 3, 3), iteration=1):
    return ShadowCheck(iteration, part, module, op, tensor, call, "float32", shape, True, 0.0, 0.0)


def row(op, module="head.conv", part=Part.BACKWARD, tensor="weight gradient", iteration=1):
    return ShadowRow(iteration, part, module, op, tensor, 1.0, 0.1, 0.0, 0.1)


def record(*checks):
    return ShadowRecord((0, 1), checks, Coverage())


BACKWARD = record(
    check("convolution_backward", "earlier", 50, iteration=0),
    *(check("convolution_backward", f"layer{number}", 100 - number) for number in range(6)),  # layer5 comes first
    check("native_batch_norm_backward", "bn", 96),
)

STEP = record(
    *(
        check("SGD", f"layer{number}", -1, Part.OPTIMIZER, f"{name} update", shape)
        for number in range(5)
        for name, shape in (("weight", (4, 3, 3, 3)), ("bias", (4,)))
    ),
    check("SGD", "layer0", -1, Part.OPTIMIZER, "weight momentum buffer"),
)


@pytest.mark.parametrize(
    ("fault", "op", "right"),
    [
        ("conv-wgrad-x1.05", "convolution_backward", True),
        ("conv-wgrad-x1.05", "convolution", False),
        ("relu-leaks-1pct", "relu_", True),
        ("bn-eps-1e-4", "native_batch_norm", True),
        ("bn-eps-1e-4", "native_batch_norm_backward", False),
    ],
)
def test_a_kernels_fault_is_named_by_its_operation_in_any_module(fault, op, right):
    assert is_named_by(parse_fault(fault), row(op), record()) is right


@pytest.mark.parametrize(("module", "right"), [("layer2", True), ("layer3", False), ("layer5", False), ("bn", False)])
def test_a_fault_of_one_convolution_is_named_by_the_fourth_of_the_backward(module, right):
    fault = parse_fault("conv-wgrad-layer-x1.01")
    assert is_named_by(fault, row("convolution_backward", module), BACKWARD) is right
    assert not is_named_by(fault, row("native_batch_norm_backward", "layer2"), BACKWARD)


def test_where_the_layer_is_not_in_the_record_nothing_names_it():
    assert not is_named_by(parse_fault("conv-wgrad-layer-x1.01"), row("convolution_backward", ""), record())


@pytest.mark.parametrize(("module", "right"), [("layer2", True), ("layer0", False)])
def test_a_fault_of_one_weight_is_named_by_the_middle_one(module, right):
    named = row("SGD", module, Part.OPTIMIZER, "weight momentum buffer")
    assert is_named_by(parse_fault("weight-decay-skips-a-layer"), named, STEP) is right


@pytest.mark.parametrize(
    ("fault", "part", "right"),
    [
        ("momentum-0.85", Part.OPTIMIZER, True),
        ("momentum-0.85", Part.BACKWARD, False),
        ("schedule-off-by-one", Part.OPTIMIZER, True),
        ("channels-swapped", Part.TRANSFER, True),
        ("aux-loss-lost", Part.LOSS, True),
        ("aux-loss-lost", Part.FORWARD, False),
    ],
)
def test_a_fault_outside_of_kernels_is_named_by_its_part_of_the_step(fault, part, right):
    assert is_named_by(parse_fault(fault), row("anything", part=part), record()) is right

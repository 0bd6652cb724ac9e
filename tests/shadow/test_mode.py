"""Operations under shadow: a healthy step has no finding, a wrong kernel has one that names it."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from harness.devices.device_registry import type_of_kind
from harness.shadow.arithmetic.counterparts import _COUNTERPARTS, with_weight_due
from harness.shadow.arithmetic.kinds import Kind, read_operation
from harness.shadow.evidence.checks import Part


def scaled(place, factor):
    def change(out, *args):
        return tuple(part * factor if number == place and part is not None else part for number, part in enumerate(out))

    return change


class TestHealthy:
    def test_has_no_violation_and_every_call_is_checked(self, shadowed, violations):
        mode = shadowed()
        assert violations(mode) == ()
        assert not mode.skipped
        assert sum(mode.checked.values()) == sum(mode.calls.values()) > 100

    @pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
    @pytest.mark.parametrize("how", ["foreach", "fused", "plain"])
    def test_with_any_optimizer(self, shadowed, violations, net, make, how):
        optimizer = make(net.parameters(), lr=1e-3, **({} if how == "plain" else {how: True}))
        assert violations(shadowed(optimizer=optimizer)) == ()

    def test_under_autocast(self, shadowed, violations, net):
        def forward(*batch):
            with torch.autocast("cpu", torch.bfloat16):
                return net(*batch)

        mode = shadowed(forward=forward, tier="bf16")
        assert violations(mode, "bf16") == ()
        assert {check.operand for check in mode.checks if check.op == "convolution"} == {7}

    def test_leaves_the_step_as_it_was(self, shadowed, net, batch):
        state = {name: value.clone() for name, value in net.state_dict().items()}
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        net(*batch).backward()
        optimizer.step()
        plain = {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(state)
        net.zero_grad()
        shadowed()
        for name, value in net.state_dict().items():
            assert torch.equal(value, plain[name]), name

    def test_leaves_the_random_stream_as_it_was(self, shadowed, net):
        def drawn(*batch):
            return net(*batch) * torch.nn.functional.dropout(torch.ones(1000), 0.3).mean()

        torch.manual_seed(5)
        shadowed(forward=drawn)
        after = torch.rand(3)
        torch.manual_seed(5)
        torch.nn.functional.dropout(torch.ones(1000), 0.3)
        assert torch.equal(after, torch.rand(3))


class TestWhere:
    def test_the_module_is_known_forward_and_backward(self, shadowed):
        checks = shadowed().checks
        for op, part in (("convolution", Part.FORWARD), ("convolution_backward", Part.BACKWARD)):
            modules = {check.module for check in checks if check.op == op and check.part is part}
            assert modules == {"stem.0", "block.0", "head"}, op

    def test_also_where_a_checkpoint_computes_again(self, shadowed, net):
        inner = net.block

        def again(x):
            return checkpoint(inner, x, use_reentrant=False)

        class Again(torch.nn.Module):
            def forward(self, x):
                return again(x)

        net.block = Again()
        net.inner = inner
        mode = shadowed()
        assert {c.module for c in mode.checks if c.op == "convolution_backward"} == {"stem.0", "inner.0", "head"}
        assert len([c for c in mode.checks if c.op == "convolution" and c.module == "inner.0"]) == 2

    def test_an_updated_parameter_is_known_by_name(self, shadowed, net):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, foreach=False)
        checks = [c for c in shadowed(optimizer=optimizer).checks if c.part is Part.OPTIMIZER]
        assert ("block.0", "weight") in {(c.module, c.tensor) for c in checks}


@pytest.mark.parametrize(
    ("op", "change", "part", "tensor"),
    [
        ("convolution_backward", scaled(1, 1.01), Part.BACKWARD, "weight gradient"),
        ("convolution_backward", scaled(0, 1.01), Part.BACKWARD, "input gradient"),
        ("native_batch_norm_backward", scaled(1, 1.01), Part.BACKWARD, "weight gradient"),
        ("convolution", lambda out, *args: out * 1.01, Part.FORWARD, "output"),
        ("_softmax", lambda out, *args: out.half().float(), Part.FORWARD, "output"),
        ("bmm", lambda out, *args: out.bfloat16().float(), Part.FORWARD, "output"),
        ("upsample_bilinear2d", lambda out, *args: out.roll(1, -1), Part.FORWARD, "output"),
        ("nll_loss2d_backward", lambda out, *args: out * 1.1, Part.BACKWARD, "output"),
        ("_log_softmax", lambda out, *args: out * float("nan"), Part.FORWARD, "output"),
        ("clone", lambda out, *args: out + 1e-6, Part.TRANSFER, "output"),
    ],
)
@pytest.mark.parametrize("tier", ["fp32", "tf32"])
def test_a_wrong_kernel_is_named(shadowed, violations, net, wrong, op, change, part, tensor, tier):
    # Copies are made by a convolution's neighbour here and there; any will do.
    forward = (lambda x, labels: net(x.clone(), labels)) if op == "clone" else None
    if op == "bmm" and tier == "tf32":
        part = Part.PRECISION  # the numbers lie within this net's tf32 bounds of a short sum
    found = violations(shadowed(wrong(op, change), tier=tier, forward=forward), tier)
    assert {(row.op, row.tensor.removeprefix("format of ")) for row in found} == {(op, tensor)}
    assert part in {row.part for row in found}


def test_one_wrong_layer_is_the_only_one_named(shadowed, violations, wrong):
    found = violations(shadowed(wrong("convolution_backward", scaled(1, 1.01), call=1), tier="tf32"), "tf32")
    assert [(row.module, row.op, row.tensor) for row in found] == [
        ("block.0", "convolution_backward", "weight gradient")
    ]
    assert found[0].projection == pytest.approx(1e-2, rel=0.1)


def test_statistics_that_do_not_move_are_found(shadowed, violations, wrong):
    class Forgetful(wrong):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func._schema.name == "aten::native_batch_norm":
                args = (*args[:3], args[3].clone(), args[4].clone(), *args[5:])
            return func(*args, **(kwargs or {}))

    found = violations(shadowed(Forgetful("native_batch_norm", None)))
    assert {(row.part, row.tensor) for row in found} == {(Part.BUFFERS, "running mean"), (Part.BUFFERS, "running var")}


def test_another_epsilon_is_found(shadowed, violations, wrong):
    class Epsilon(wrong):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func._schema.name == "aten::native_batch_norm":
                args = (*args[:7], 1e-4)
            return func(*args, **(kwargs or {}))

    assert {row.module for row in violations(shadowed(Epsilon("native_batch_norm", None)))} == {"stem.1", "block.1"}


class TestNotChecked:
    def test_operations_that_were_not_chosen_are_counted(self, shadowed):
        mode = shadowed(wanted=lambda name: name == "convolution")
        assert set(mode.checked) == {"convolution"}
        assert mode.skipped["bmm"] == "not among the chosen operations"
        assert sum(mode.calls.values()) > sum(mode.checked.values())

    def test_a_call_past_the_budget_is_told_and_not_computed(self, shadowed):
        mode = shadowed(budget=40_000)
        assert "budget" in mode.skipped["convolution"]
        assert mode.checked["convolution"] < mode.calls["convolution"]

    def test_an_operation_that_the_host_lacks_is_told(self, shadowed, monkeypatch):
        from harness.shadow.arithmetic import counterparts

        def lacking(*args):
            raise NotImplementedError

        monkeypatch.setitem(counterparts._COUNTERPARTS, "bmm", lacking)
        mode = shadowed()
        assert mode.skipped["bmm"] == "the host has no such operation"
        assert mode.checked["bmm"] == 0


class TestFunctionalized:
    """What a backend that functionalizes hands to the mode: copies for views, results without their indices."""

    def test_a_copy_of_a_view_is_compared_bit_for_bit(self):
        aten = torch.ops.aten
        for op in (aten.detach_copy.default, aten.view_copy.default, aten.slice_copy.Tensor, aten.expand_copy.default):
            assert read_operation(op).kind is Kind.MOVE
        assert read_operation(aten._propagate_xla_data.default).kind is Kind.NOTHING

    @pytest.mark.parametrize(("reduction", "named"), [("none", False), ("sum", False), ("mean", True)])
    def test_a_loss_s_total_weight_is_judged_where_its_backward_reads_it(self, shadowed, reduction, named):
        def forward(x, *_):
            logits = torch.nn.functional.conv2d(x, torch.ones(2, x.shape[1], 1, 1, requires_grad=True))
            labels = torch.zeros(logits.shape[0], *logits.shape[2:], dtype=torch.long)
            return (
                torch.nn.functional.cross_entropy(logits, labels, reduction=reduction).mean() * x.requires_grad_().sum()
            )

        mode = shadowed(forward=forward)
        assert ("total weight" in {check.tensor for check in mode.checks if check.op == "nll_loss2d_forward"}) is named

    @pytest.mark.parametrize("weighted", [False, True])
    def test_a_loss_s_gradient_is_due_by_the_weight_that_is_due_where_a_device_keeps_another(
        self, weighted, monkeypatch
    ):
        torch.manual_seed(3)
        logits = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
        labels = torch.randint(0, 3, (2, 4, 4))
        labels[0, 0] = 255
        weight = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64) if weighted else None
        likely = torch.log_softmax(logits, 1)
        loss, total = torch.ops.aten.nll_loss2d_forward(likely, labels, weight, 1, 255)
        backward = torch.ops.aten.nll_loss2d_backward
        arguments = [torch.ones_like(loss), likely.detach(), labels, weight, 1, 255, torch.ones_like(total)]
        operation = read_operation(backward.default)
        assert with_weight_due(operation, arguments, arguments) == arguments, "the CPU reads what it is given"
        monkeypatch.setattr(type(type_of_kind("cpu")), "keeps_total_weight", False)
        made = backward(*with_weight_due(operation, arguments, arguments))
        assert torch.equal(made, backward(*arguments[:-1], total))

    def test_a_device_that_keeps_another_total_weight_says_so(self, shadowed, monkeypatch):
        def forward(x, *_):
            logits = torch.nn.functional.conv2d(x, torch.ones(2, x.shape[1], 1, 1, requires_grad=True))
            return torch.nn.functional.cross_entropy(logits, torch.zeros(len(x), *x.shape[2:], dtype=torch.long))

        for keeps in (True, False):
            monkeypatch.setattr(type(type_of_kind("cpu")), "keeps_total_weight", keeps)
            checked = {check.tensor for check in shadowed(forward=forward).checks if check.op == "nll_loss2d_forward"}
            assert ("total weight" in checked) is keeps

    def test_pooling_without_indices_has_a_counterpart(self):
        x = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
        pooled = torch.nn.functional.max_pool2d(x, 3, 2, 1)
        pooled.sum().backward()
        host = _COUNTERPARTS["max_pool2d_forward"](x.detach(), [3, 3], [2, 2], [1, 1], [1, 1], False)
        back = _COUNTERPARTS["max_pool2d_backward"](torch.ones_like(host), x.detach(), [3, 3], [2, 2], [1, 1], False)
        assert torch.equal(host, pooled)
        assert torch.equal(back, x.grad)

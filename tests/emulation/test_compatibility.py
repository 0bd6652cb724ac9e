"""What training scripts do with a device, done on the emulated one and held against the CPU."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch.nn import functional

from harness.values.errors import DeviceError
from tests.emulation.small_net import SmallNet, batches

pytestmark = pytest.mark.on_device


def loss_of(net: torch.nn.Module, device: str, index: int = 0) -> torch.Tensor:
    x, labels = batches(index + 1)[index]
    return functional.cross_entropy(net(x.to(device)), labels.to(device), ignore_index=255)


def fresh(device: str) -> SmallNet:
    torch.manual_seed(2)
    return SmallNet().to(device)


@pytest.mark.parametrize("name", ["AdamW", "Adam", "RMSprop", "Adagrad"])
def test_optimizers_are_bit_equal(name: str) -> None:
    losses = {}
    for device in ("cpu", "sdaa"):
        net = fresh(device)
        optimizer = getattr(torch.optim, name)(net.parameters(), 1e-3)
        for index in range(3):
            loss = loss_of(net, device, index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[device] = loss.item()
    assert losses["sdaa"] == losses["cpu"]


def test_gradient_scaling_grows_and_skips_what_overflows() -> None:
    net = fresh("sdaa")
    optimizer = torch.optim.SGD(net.parameters(), 0.02)
    scaler = torch.sdaa.amp.GradScaler(init_scale=256.0, growth_interval=1)
    with torch.sdaa.amp.autocast(dtype=torch.float16):
        loss = loss_of(net, "sdaa")
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    assert torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0).isfinite()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 512
    before = net.classify.weight.detach().clone()
    optimizer.zero_grad()
    scaler.scale(net.classify.weight.sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 256
    assert torch.equal(net.classify.weight, before)


def test_autocast_casts_a_weight_once_and_forgets_it_at_the_end() -> None:
    weight = torch.randn(4, 4, device="sdaa", requires_grad=True)
    x = torch.randn(2, 4, device="sdaa")
    with torch.autocast("sdaa", dtype=torch.bfloat16):
        first, second = x @ weight, x @ weight
        assert first.grad_fn.next_functions[1][0] is second.grad_fn.next_functions[1][0]
    with torch.autocast("sdaa", dtype=torch.bfloat16):
        third = x @ weight
        assert third.grad_fn.next_functions[1][0] is not first.grad_fn.next_functions[1][0]


def test_autocast_promotes_to_the_widest_operand() -> None:
    half, single = torch.ones(3, device="sdaa", dtype=torch.float16), torch.ones(3, device="sdaa")
    with torch.autocast("sdaa", dtype=torch.float16):
        assert torch.addcmul(single, half, half).dtype is torch.float32
        assert torch.addcmul(half, half, half).dtype is torch.float16
        assert (single.view(1, 3) @ single.view(3, 1)).dtype is torch.float16
        assert half.exp().dtype is torch.float32
        with pytest.raises(DeviceError, match="binary_cross_entropy_with_logits"):
            functional.binary_cross_entropy(single, single)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_replays_dropout(reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    x = torch.ones(4, 8, device="sdaa", requires_grad=True)
    y = checkpoint(lambda t: functional.dropout(t * 2, 0.5), x, use_reentrant=reentrant)
    y.sum().backward()
    assert torch.equal(x.grad, y)


def test_channels_last_keeps_its_strides() -> None:
    results = {}
    for device in ("cpu", "sdaa"):
        net = fresh(device).to(memory_format=torch.channels_last)
        x = batches(1)[0][0].to(device).contiguous(memory_format=torch.channels_last)
        out = net(x)
        out.square().sum().backward()
        results[device] = (out.stride(), net.stem[0].weight.grad.stride(), out.detach().cpu().tolist())
    assert results["sdaa"] == results["cpu"]


def test_compile_eager() -> None:
    net, x = fresh("sdaa"), batches(1)[0][0].to("sdaa")
    plain = net(x)
    assert torch.equal(torch.compile(net, backend="eager")(x), plain)


def test_a_checkpoint_travels_in_both_directions() -> None:
    net, written = fresh("sdaa"), io.BytesIO()
    torch.save(net.state_dict(), written)
    for target in ("cpu", "sdaa"):
        written.seek(0)
        state = torch.load(written, map_location=target)
        assert all(value.device.type == target for value in state.values())
        other = SmallNet().to("cpu" if target == "sdaa" else "sdaa")
        other.load_state_dict(state)
        assert torch.equal(other.classify.weight.cpu(), net.classify.weight.cpu())
    written.seek(0)
    assert all(value.device.type == "sdaa" for value in torch.load(written).values())


def test_loader_workers_and_pinned_memory() -> None:
    data = torch.utils.data.TensorDataset(torch.arange(20.0).view(10, 2))
    loader = torch.utils.data.DataLoader(data, 2, num_workers=1, pin_memory=True)
    assert sum(x.to("sdaa", non_blocking=True).sum().item() for (x,) in loader) == 190


def test_copies_share_no_memory() -> None:
    net = fresh("sdaa")
    other = copy.deepcopy(net)
    other.classify.weight.data.zero_()
    assert net.classify.weight.abs().sum() > 0
    view = net.classify.weight.data.view(-1)
    view.zero_()
    assert net.classify.weight.abs().sum() == 0


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_recurrent_layers_agree(cell: str) -> None:
    results = {}
    for device in ("cpu", "sdaa"):
        torch.manual_seed(0)
        layer = getattr(torch.nn, cell)(4, 5, 2, bidirectional=True).double().to(device)
        x = torch.linspace(-1, 1, 60, dtype=torch.float64).view(3, 5, 4).to(device).requires_grad_()
        layer(x)[0].square().sum().backward()
        gradients = [x.grad, *(p.grad for p in layer.parameters())]
        results[device] = torch.cat([g.cpu().flatten() for g in gradients])
    assert torch.allclose(results["sdaa"], results["cpu"], rtol=1e-12, atol=1e-14)


def test_memory_counts_what_lives() -> None:
    before = torch.sdaa.memory_allocated()
    torch.sdaa.reset_peak_memory_stats()
    kept = torch.zeros(1000, device="sdaa")
    assert torch.sdaa.memory_allocated() == before + 4000
    large = torch.zeros(100_000, device="sdaa")
    del large
    assert torch.sdaa.memory_allocated() == before + 4000
    assert before + 4000 + 400_000 <= torch.sdaa.max_memory_allocated() < 1.05 * (before + 404_000)
    assert torch.accelerator.memory_allocated() == before + 4000
    del kept
    assert torch.sdaa.memory_allocated() == before


def test_lazily_conjugated_factors_are_conjugated() -> None:
    results = {}
    for device in ("cpu", "sdaa"):
        a, b = (torch.complex(torch.arange(6.0), torch.arange(6.0) * n).view(2, 3).to(device) for n in (2, -3))
        a.requires_grad_()
        y = a @ b.mH
        torch.view_as_real(y).square().sum().backward()
        results[device] = [t.detach().cpu() for t in (y, a.grad, a.mH @ b, b.conj().imag + 1)]
    assert all(torch.equal(x, y) for x, y in zip(*results.values(), strict=True))


def test_copies_that_don_t_block_arrive() -> None:
    x = torch.arange(3.0, device="sdaa")
    moved = [
        x.to("cpu", non_blocking=True),
        x.to("cpu", torch.float64, True, True),
        x.to(torch.empty(0), non_blocking=True),
        x.to(device="cpu", non_blocking=True, memory_format=torch.preserve_format),
        torch.zeros(3).copy_(x, non_blocking=True),
    ]
    assert all(tensor.is_cpu and tensor.tolist() == [0, 1, 2] for tensor in moved)


def test_out_grows_and_resize_keeps_what_it_had() -> None:
    x = torch.ones(3, device="sdaa")
    out = torch.empty(0, device="sdaa")
    assert torch.add(x, x, out=out) is out
    assert out.tolist() == [2, 2, 2]
    assert x.resize_(5)[:3].tolist() == [1, 1, 1]


def test_the_module_has_the_surface_that_scripts_call() -> None:
    assert torch.sdaa.is_available()
    assert torch.sdaa.is_bf16_supported()
    assert torch.sdaa.device_count() == 4
    assert torch.sdaa.current_device() == 0
    assert "emulated" in torch.sdaa.get_device_name()
    torch.sdaa.set_device("sdaa:0")
    torch.sdaa.empty_cache()
    torch.sdaa.synchronize()
    torch.accelerator.synchronize()
    assert torch.accelerator.current_accelerator().type == "sdaa"
    assert torch.ones(2).sdaa().device == torch.device("sdaa:0")

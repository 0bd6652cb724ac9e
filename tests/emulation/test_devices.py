"""Several devices in one process: labels, copies, what is refused, and what each has of its own."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch.nn import functional

from harness.lab.emulation.card import visible_devices
from harness.lab.faults import parse_fault
from harness.values.errors import DeviceError, UsageError
from tests.emulation.small_net import SmallNet, batches, train

ONE = "sdaa:1"


@pytest.mark.parametrize(("listed", "count"), [(None, 4), ("0", 1), ("2,0", 2), ("0,1,2,3,4,5,6,7", 8), (" 1 , 3 ", 2)])
def test_as_many_devices_as_are_visible(listed: str | None, count: int) -> None:
    assert len(visible_devices({} if listed is None else {"SDAA_VISIBLE_DEVICES": listed})) == count


def test_a_device_keeps_its_number_where_others_are_hidden() -> None:
    assert visible_devices({"SDAA_VISIBLE_DEVICES": "3, 1"}) == (3, 1)


def test_a_fault_of_one_device_is_read_and_written() -> None:
    fault = parse_fault("conv-wgrad-x1.05@3#2:1.2")
    assert (fault.begins, fault.card, fault.severity) == (3, 2, 1.2)
    assert parse_fault(str(fault)) == fault
    assert parse_fault("conv-wgrad-x1.05#0").card == 0
    assert parse_fault("conv-wgrad-x1.05").card is None
    with pytest.raises(UsageError, match="one device of the emulated card"):
        parse_fault("conv-wgrad-x1.05#two")


@pytest.mark.parametrize("listed", ["", "all", "-1", "0,0", "0,,1", "1.5", ",".join(map(str, range(65)))])
def test_a_list_of_devices_that_can_t_be_meant_is_refused(listed: str) -> None:
    with pytest.raises(DeviceError, match="SDAA_VISIBLE_DEVICES"):
        visible_devices({"SDAA_VISIBLE_DEVICES": listed})


def test_the_variable_decides_in_a_process(python) -> None:
    done = python(
        "import torch; from harness.lab.emulation import install; install('exact')\n"
        "assert torch.sdaa.device_count() == torch.accelerator.device_count() == 6\n"
        "assert torch.ones(2, device='sdaa:5').sum().item() == 2\n"
        "try: torch.ones(2, device='sdaa:6')\n"
        "except Exception as error: print(type(error).__name__, error)",
        SDAA_VISIBLE_DEVICES="0,1,2,3,4,5",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("DeviceError")
    assert "sdaa:0 … sdaa:5" in done.stdout


@pytest.mark.on_device
def test_a_tensor_is_labelled_with_its_device_through_whatever_is_done_to_it() -> None:
    x = torch.linspace(-1, 1, 12, device=ONE).view(3, 4)
    results = {
        "factory": torch.empty(2, device="sdaa:1"),
        "sum": x.sum(),
        "view": x.t()[1:],
        "in place": x.clone().add_(1),
        "several": x.max(1).values,
        "list": torch.cat([x, x]),
        "split": x.split(1)[2],
        "like": torch.zeros_like(x),
        "new": x.new_zeros(2),
        "new tensor": x.new_tensor([1, 2]),
        "dtype": x.half(),
        "scalar": x * torch.tensor(2.0),
        "number": 2 % (x + 3),
        "draws": functional.dropout(x, 0.5),
        "out": torch.add(x, x, out=torch.empty(0, device=ONE)),
        "foreach": torch._foreach_mul([x, x], 2)[1],
        "index": x[torch.tensor([0, 1])],
        "resized": torch.ones(2, device=ONE).resize_(5),
        "emptied": x.clone().set_(),
        "copy": copy.deepcopy(x),
        "storage": torch.empty(0, device=ONE).set_(x.untyped_storage()),
        "default": torch.from_numpy(x.cpu().numpy()).sdaa(1),
    }
    assert {name: str(result.device) for name, result in results.items()} == dict.fromkeys(results, "sdaa:1")


@pytest.mark.on_device
def test_training_on_another_device_is_bit_equal_to_the_cpu() -> None:
    reference, state = train("cpu")
    losses, device_state = train("sdaa:1")
    assert losses == reference
    assert all(torch.equal(device_state[name], value) for name, value in state.items())


@pytest.mark.on_device
def test_gradients_stay_on_their_devices_when_a_network_is_cut_in_two() -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Linear(3, 4).to("sdaa:1"), torch.nn.Linear(4, 2).to("sdaa:2")
    x = torch.randn(5, 3, device="sdaa:1", requires_grad=True)
    loss = second(first(x).relu().to("sdaa:2")).square().sum()
    loss.backward()
    assert loss.get_device() == second.weight.grad.get_device() == 2
    assert x.grad.get_device() == first.weight.grad.get_device() == 1
    host = copy.deepcopy(torch.nn.Sequential(first, torch.nn.ReLU(), second)).cpu()
    host.zero_grad()
    host(x.detach().cpu()).square().sum().backward()
    assert torch.equal(first.weight.grad.cpu(), host[0].weight.grad)


@pytest.mark.on_device
def test_copies_between_devices_share_nothing() -> None:
    x = torch.arange(3.0, device="sdaa:0")
    y = x.to(ONE)
    z = torch.zeros(3, device="sdaa:2").copy_(y)
    x.zero_()
    assert (y.tolist(), z.tolist()) == ([0, 1, 2], [0, 1, 2])
    assert (y.get_device(), z.get_device()) == (1, 2)
    assert y.to(ONE) is y
    assert y.to(x.device).get_device() == 0
    assert y.cpu().is_cpu


MIXES = {
    "add": lambda a, b: a + b,
    "add, the other way": lambda a, b: b + a,
    "in place": lambda a, b: a.add_(b),
    "list": lambda a, b: torch.cat([a, b]),
    "product": lambda a, b: a @ b,
    "three": lambda a, b: torch.where(a > 0, a, b),
    "out": lambda a, b: torch.add(a, a, out=b),
    "foreach": lambda a, b: torch._foreach_add([a], [b]),
    "composite": lambda a, b: functional.linear(a, b.view(1, 3)),
}
REFUSED_BETWEEN_DEVICES = {
    "scalar": lambda a, b: a + b[0],
    "index": lambda a, b: a[b.long()],
    "equal": torch.equal,
}


def refusal(mix, a: torch.Tensor, b: torch.Tensor) -> str:
    with pytest.raises(DeviceError, match="same device") as refused:
        mix(a, b)
    return str(refused.value)


@pytest.mark.on_device
@pytest.mark.parametrize("name", [*MIXES, *REFUSED_BETWEEN_DEVICES])
def test_an_operation_on_two_devices_is_refused(name: str) -> None:
    mix = {**MIXES, **REFUSED_BETWEEN_DEVICES}[name]
    text = refusal(mix, torch.ones(3, device="sdaa:0"), torch.ones(3, device=ONE))
    assert "sdaa:1" in text
    assert "sdaa:0" in text


@pytest.mark.on_device
@pytest.mark.parametrize("name", list(MIXES))
def test_an_operation_on_host_and_device_is_refused(name: str) -> None:
    assert "on cpu" in refusal(MIXES[name], torch.ones(3, device="sdaa"), torch.ones(3))


NOT_THERE = {
    "factory": lambda: torch.ones(3, device="sdaa:4"),
    "to": lambda: torch.ones(3).to("sdaa:4"),
    "method": lambda: torch.ones(3).sdaa(4),
    "tensor": lambda: torch.tensor([1.0], device="sdaa:4"),
    "like": lambda: torch.zeros_like(torch.ones(2, device="sdaa"), device="sdaa:4"),
    "storage": lambda: torch.UntypedStorage(4, device="sdaa:4"),
    "module": lambda: torch.nn.Linear(2, 2).to("sdaa:4"),
    "set_device": lambda: torch.sdaa.set_device(4),
    "set_device below": lambda: torch.sdaa.set_device(-2),
    "set_device of another kind": lambda: torch.sdaa.set_device("cuda:0"),
    "set_device between": lambda: torch.sdaa.set_device(1.0),
    "context": lambda: torch.sdaa.device("sdaa:9"),
    "memory": lambda: torch.sdaa.memory_allocated(4),
    "random state": lambda: torch.sdaa.get_rng_state(4),
    "synchronize": lambda: torch.sdaa.synchronize("cpu"),
    "accelerator": lambda: torch.accelerator.set_device_index(4),
    "accelerator's synchronize": lambda: torch.accelerator.synchronize(4),
    "accelerator's context": lambda: torch.accelerator.device_index(4).__enter__(),
}


@pytest.mark.on_device
@pytest.mark.parametrize("name", list(NOT_THERE))
def test_a_device_that_isn_t_there_is_a_typed_error(name: str) -> None:
    with pytest.raises(DeviceError, match=r"sdaa:0 … sdaa:3|sdaa:index"):
        NOT_THERE[name]()
    assert torch.sdaa.current_device() == 0


@pytest.mark.on_device
def test_the_current_device_is_where_sdaa_without_an_index_is() -> None:
    torch.sdaa.set_device(1)
    assert torch.sdaa.current_device() == torch.accelerator.current_device_index() == 1
    made = [
        torch.ones(2, device="sdaa"),
        torch.ones(2).to("sdaa"),
        torch.ones(2).to(device="sdaa", dtype=torch.float16),
        torch.ones(2).sdaa(),
        torch.tensor([1.0], device="sdaa"),
        torch.as_tensor([1.0], device="sdaa"),
        torch.nn.Linear(2, 2).to("sdaa").weight,
        torch.nn.Linear(2, 2, device="sdaa").weight,
        torch.empty(0, device="sdaa").set_(torch.UntypedStorage(4, device="sdaa")),
    ]
    assert [tensor.get_device() for tensor in made] == [1] * len(made)
    elsewhere = torch.ones(2, device="sdaa:0")
    assert elsewhere.to("sdaa").get_device() == 1
    assert elsewhere.new_tensor([1.0]).get_device() == 0


@pytest.mark.on_device
def test_contexts_choose_a_device_and_give_the_old_one_back() -> None:
    torch.accelerator.set_device_index(3)
    with torch.sdaa.device(1):
        assert torch.ones(1, device="sdaa").get_device() == 1
        with torch.sdaa.device(None), torch.accelerator.device_index(2):
            assert torch.ones(1, device="sdaa").get_device() == 2
            assert torch.accelerator.current_stream().device_index == 2
        assert torch.sdaa.current_device() == 1
    with pytest.raises(ZeroDivisionError), torch.sdaa.device("sdaa:0"):
        1 / 0  # noqa: B018 - it raises
    assert torch.sdaa.current_device() == 3
    with torch.sdaa.stream(torch.sdaa.Stream(2)):
        assert torch.sdaa.current_device() == 2
    with torch.device("sdaa:1"):
        assert torch.ones(1).get_device() == torch.tensor([1.0]).get_device() == 1


@pytest.mark.on_device
def test_memory_is_counted_for_each_device() -> None:
    before = [torch.sdaa.memory_allocated(index) for index in range(4)]
    kept = torch.zeros(1000, device="sdaa:2")
    moved = kept.to("sdaa:3")
    assert [torch.sdaa.memory_allocated(i) - before[i] for i in range(4)] == [0, 0, 4000, 4000]
    assert torch.accelerator.memory_allocated(3) == torch.sdaa.memory_allocated("sdaa:3")
    with torch.sdaa.device(2):
        assert torch.sdaa.memory_allocated() == before[2] + 4000
        free, total = torch.accelerator.get_memory_info()
        assert total - free == before[2] + 4000
    del kept, moved
    torch.sdaa.reset_peak_memory_stats(2)
    assert torch.sdaa.max_memory_allocated(2) == before[2]
    assert torch.sdaa.max_memory_allocated(3) >= before[3] + 4000


@pytest.mark.on_device
def test_each_device_draws_from_its_own_stream() -> None:
    torch.manual_seed(7)
    host = torch.rand(4)
    assert all(torch.equal(torch.rand(4, device=f"sdaa:{index}").cpu(), host) for index in range(4))
    torch.sdaa.set_device(1)
    torch.sdaa.manual_seed(8)
    states = torch.sdaa.get_rng_state_all()
    assert not torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])
    first = torch.rand(4, device="sdaa")
    assert torch.equal(torch.sdaa.get_rng_state(0), states[0])
    torch.sdaa.set_rng_state(states[1], 3)
    assert torch.equal(torch.rand(4, device="sdaa:3").cpu(), first.cpu())
    torch.sdaa.set_rng_state_all(states)
    with torch.random.fork_rng(devices=[1], device_type="sdaa"):
        torch.rand(4, device="sdaa")
    assert torch.equal(torch.rand(4, device="sdaa").cpu(), first.cpu())


@pytest.mark.on_device
def test_checkpoints_move_between_devices() -> None:
    written = io.BytesIO()
    net = SmallNet().to(ONE)
    torch.save(net.state_dict(), written)
    for target, index in (("sdaa:2", 2), ("sdaa", 0), (None, 1), ({"sdaa:1": "sdaa:3"}, 3)):
        written.seek(0)
        state = torch.load(written, map_location=target)
        assert {value.get_device() for value in state.values()} == {index}
        assert torch.equal(state["classify.weight"].cpu(), net.classify.weight.detach().cpu())


@pytest.mark.on_device
def test_gradient_checkpointing_replays_the_stream_of_the_tensor_s_device() -> None:
    from torch.utils.checkpoint import checkpoint

    x = torch.ones(4, 8, device=ONE, requires_grad=True)
    y = checkpoint(lambda t: functional.dropout(t * 2, 0.5), x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(x.grad, y)
    assert str(x.grad.device) == ONE


@pytest.mark.on_device
def test_autocast_and_gradient_scaling_work_on_every_device() -> None:
    net = SmallNet().to(ONE)
    scaler = torch.amp.GradScaler("sdaa", init_scale=256.0)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    x, labels = batches(1)[0]
    with torch.autocast("sdaa", dtype=torch.float16):
        loss = functional.cross_entropy(net(x.to(ONE)), labels.to(ONE), ignore_index=255)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert str(loss.device) == str(net.stem[0].weight.grad.device) == ONE
    assert loss.isfinite()

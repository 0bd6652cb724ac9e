"""What PyTorch asks a backend's C++ for: generators, pinned memory, storages, streams, events, forked processes."""

from __future__ import annotations

import gc

import pytest
import torch

from harness.values.errors import DeviceError


@pytest.mark.on_device
def test_a_generator_of_the_device_draws_as_the_host_s_does() -> None:
    generator = torch.Generator("sdaa:1")
    assert isinstance(generator, torch.Generator)
    assert generator.device == torch.device("sdaa:1")
    state = torch.sdaa.get_rng_state(1)
    drawn = torch.rand(5, device="sdaa:1", generator=generator.manual_seed(3))
    assert torch.equal(drawn.cpu(), torch.rand(5, generator=torch.Generator().manual_seed(3)))
    assert torch.equal(torch.sdaa.get_rng_state(1), state)
    kept = generator.get_state()
    first = torch.randperm(9, generator=generator, device="sdaa:1")
    generator.set_state(kept)
    other = generator.clone_state()
    assert other.device == generator.device
    assert torch.equal(torch.randperm(9, generator=generator, device="sdaa:1"), first)
    assert torch.equal(torch.randperm(9, generator=other, device="sdaa:1"), first)


@pytest.mark.on_device
def test_generators_of_the_host_stay_pytorch_s_own_and_are_refused_on_the_device() -> None:
    host = torch.Generator()
    assert type(host) is torch._C.Generator
    assert isinstance(torch.default_generator, torch.Generator)
    for draw in (
        lambda: torch.rand(3, device="sdaa", generator=host),
        lambda: torch.ones(3, device="sdaa").normal_(generator=host),
        lambda: torch.Generator("sdaa:9"),
    ):
        with pytest.raises(DeviceError, match=r"generator|no such device"):
            draw()


PINNED = {
    "ones": lambda: torch.ones(3, pin_memory=True),
    "tensor": lambda: torch.tensor([1.0, 2.0], pin_memory=True),
    "like": lambda: torch.zeros_like(torch.ones(3), pin_memory=True),
    "new": lambda: torch.ones(3).new_full((2,), 7, pin_memory=True),
    "strided": lambda: torch.empty_strided((2, 3), (1, 2), pin_memory=True),
    "method": lambda: torch.ones(3).t().pin_memory(),
    "view": lambda: torch.ones(3, 4).pin_memory()[1:],
    "storage": lambda: torch.empty(0).set_(torch.ones(2).untyped_storage().pin_memory()),
}


@pytest.mark.on_device
@pytest.mark.parametrize("name", list(PINNED))
def test_memory_of_the_host_is_pinned(name: str) -> None:
    tensor = PINNED[name]()
    assert tensor.is_cpu
    assert tensor.is_pinned()
    assert not tensor.clone().is_pinned()
    assert torch.equal(tensor.to("sdaa", non_blocking=True).cpu(), tensor)


@pytest.mark.on_device
def test_pinning_ends_with_the_memory() -> None:
    for _ in range(100):
        pinned = torch.ones(1000).pin_memory()
        assert pinned.pin_memory() is pinned
        address = pinned.data_ptr()
        del pinned
        gc.collect()
        others = [torch.ones(1000) for _ in range(100)]  # the allocator gives the address back when it likes
        assert not any(other.is_pinned() for other in others)
        if address in {other.data_ptr() for other in others}:
            return
    pytest.fail("no address came back: the test saw nothing")


@pytest.mark.on_device
def test_memory_of_the_device_can_t_be_pinned() -> None:
    assert not torch.ones(3, device="sdaa").is_pinned()
    with pytest.raises(DeviceError, match="can be pinned"):
        torch.ones(3, device="sdaa").pin_memory()
    with pytest.raises(DeviceError, match="can be pinned"):
        torch.ones(3, device="sdaa", pin_memory=True)


@pytest.mark.on_device
def test_factories_stay_what_they_are_to_pytorch() -> None:
    torch.set_default_device("sdaa:1")
    try:
        assert {str(t.device) for t in (torch.ones(2), torch.tensor([1]), torch.rand(2))} == {"sdaa:1"}
    finally:
        torch.set_default_device(None)
    assert torch.compile(lambda x: x + torch.ones(3), backend="eager")(torch.zeros(3)).sum() == 3


def test_torchscript_still_knows_the_factories(python) -> None:
    done = python(
        "import warnings; warnings.simplefilter('ignore')\n"
        "import torch; from harness.lab.emulation import install; install('exact')\n"
        "def f(x):\n    return x + torch.ones(3) + torch.zeros([3])\n"
        "assert torch.jit.script(f)(torch.ones(3)).sum() == 6"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.on_device
def test_storages_are_made_moved_and_cloned_but_neither_resized_nor_shared() -> None:
    storage = torch.UntypedStorage(4, device="sdaa:1")
    made = [storage, storage.clone(), storage.new(), storage.to(device="sdaa:1")]
    made.append(torch.UntypedStorage(2).to(device="sdaa:1"))
    assert {str(s.device) for s in made} == {"sdaa:1"}
    assert storage.to(device="sdaa:1") is storage
    assert storage.to(device="sdaa:2").device.index == 2
    assert storage.cpu().device.type == torch.UntypedStorage(4).new().device.type == "cpu"
    with pytest.raises(DeviceError, match="can't be resized"):
        storage.resize_(8)
    with pytest.raises(DeviceError, match="can't be shared"):
        torch.multiprocessing.reductions.reduce_storage(storage)
    assert torch.UntypedStorage(4).resize_(8).nbytes() == 8


@pytest.mark.on_device
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "mkldnn", "sparse factory", "quantized"])
def test_other_layouts_are_a_typed_error(layout: str) -> None:
    x = torch.ones(2, 2, device="sdaa")
    make = {
        "sparse_coo": x.to_sparse,
        "sparse_csr": x.to_sparse_csr,
        "mkldnn": x.to_mkldnn,
        "sparse factory": lambda: torch.sparse_coo_tensor([[0]], [1.0], device="sdaa", check_invariants=True),
        "quantized": lambda: torch.quantize_per_tensor(x, 1.0, 0, torch.qint8),
    }[layout]
    with pytest.raises(DeviceError, match="dense tensors of plain dtypes"):
        make()


@pytest.mark.on_device
@pytest.mark.parametrize("module", ["torch", "torch.sdaa"])
def test_events_keep_the_time(module: str) -> None:
    event = torch.Event if module == "torch" else torch.sdaa.Event
    first, second = event(enable_timing=True), event(enable_timing=True)
    first.record()
    (torch.ones(200, 200, device="sdaa") @ torch.ones(200, 200, device="sdaa")).sum()
    second.record(torch.accelerator.current_stream())
    second.synchronize()
    assert second.query()
    assert 0 < first.elapsed_time(second) == -second.elapsed_time(first)
    assert isinstance(torch.accelerator.current_stream().record_event(), torch.Event)
    with pytest.raises(DeviceError, match="isn't known"):
        first.elapsed_time(event())
    with pytest.raises(DeviceError, match="isn't known"):
        first.elapsed_time(3)


@pytest.mark.on_device
def test_backward_runs_in_any_thread() -> None:
    import threading

    x = torch.ones(3, device="sdaa:2", requires_grad=True)
    thread = threading.Thread(target=lambda: (x * 2).sum().backward())
    thread.start()
    thread.join()
    assert x.grad.tolist() == [2, 2, 2]


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import torch
from harness.lab.emulation import install
from harness.values.errors import DeviceError
install("exact")
if sys.argv[1] == "after":
    (torch.ones(3, device="sdaa", requires_grad=True) * 2).sum().backward()
child = os.fork()
if child == 0:
    x = torch.ones(3, device="sdaa:1", requires_grad=True)
    y = (x * 2).sum()
    assert y.item() == 6
    try:
        y.backward()
        answer = 11 if x.grad.tolist() == [2, 2, 2] else 1
    except DeviceError as error:
        answer = 12 if "spawn" in str(error) else 1
    os._exit(answer)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("parent", "answer"), [("before", "11"), ("after", "12")])
def test_a_forked_process_computes_or_says_why_not(python, parent: str, answer: str) -> None:
    done = python(FORK, parent)
    assert (done.returncode, done.stdout.strip()) == (0, answer), done.stderr

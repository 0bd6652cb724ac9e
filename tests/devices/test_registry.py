"""The types of devices that are known: built in, and brought by packages."""

import dataclasses

import pytest
import torch

from harness.devices import device_registry as registry
from harness.devices.choice import choose_device
from harness.devices.cpu import Cpu
from harness.devices.device_opening import open_device
from harness.devices.device_registry import device_names, find_device_type, known_device_types, type_of_kind
from harness.devices.device_type import DeviceType
from harness.devices.surroundings import numerics_environment
from harness.lab.emulation.emulated import Emulated
from harness.values.errors import DeviceError


class Odd(DeviceType):
    """A device of a user's."""

    name = "odd"
    package = "torch_of_nobody"
    variables = ("ODD_", "NUMBER_OF_ODDS")
    visible_variable = "ODD_VISIBLE_CARDS"


class Here(Odd):
    """The same, where its card is."""

    name = "here"

    def absence(self):
        return ""


@dataclasses.dataclass
class Point:
    """As much of an entry point as is read."""

    name: str
    value: str
    made: object
    dist: object = None

    def load(self):
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@pytest.fixture
def brought(monkeypatch):
    """Packages that bring devices, by entry points."""

    def clear():
        for cached in (registry._entry_points, registry.find_device_type, registry._first_of_kind):
            cached.cache_clear()

    def bring(*points):
        clear()
        for device in registry._BUILT_IN:  # whatever is on this machine
            if not (device.is_host or device.emulated):
                monkeypatch.setattr(device, "absence", lambda self: "hidden by the test")
        monkeypatch.setattr(registry.metadata, "entry_points", lambda group: points)

    yield bring
    monkeypatch.undo()
    clear()


def test_the_stacks_of_the_field_are_built_in():
    named = {"cpu", "cuda", "sdaa", "xla", "xla-eager", "npu", "mlu", "musa", "xpu", "hpu", "mps", "emulated"}
    assert set(device_names()) >= named
    for device in known_device_types():
        assert device.kind
        assert device.amp_dtypes
        assert set(device.amp_dtypes) <= {"float16", "bfloat16"}
        if device.name in named:
            assert device.maker
            assert "https://" in type(device).__doc__ or device.name in {"emulated", "xla-eager"}, device.name


def test_what_is_not_here_says_why_and_what_to_do():
    for device in known_device_types():
        if why := device.absence():
            with pytest.raises(DeviceError, match=f"no {device.name} device here") as caught:
                choose_device(device.name)
            assert why in str(caught.value)
            assert caught.value.hint


def test_a_package_brings_a_device(brought, monkeypatch):
    brought(Point("odd", "odd:Odd", Odd))
    assert "odd" in device_names()
    assert find_device_type("odd").kind == "odd"
    assert isinstance(type_of_kind("odd"), Odd)
    with pytest.raises(DeviceError, match="torch_of_nobody is not installed"):
        choose_device("odd")
    for name in ("ODD_MODE", "NUMBER_OF_ODDS", "ODD_VISIBLE_CARDS", "NUMBER_OF_ODDS_2"):
        monkeypatch.setenv(name, "1")
    assert {"ODD_MODE", "NUMBER_OF_ODDS", "ODD_VISIBLE_CARDS"} == {
        name for name in numerics_environment() if "ODD" in name
    }


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point("cuda", "odd:Odd", Odd), "a name that is taken"),
        (Point("odd", "odd:Odd", ImportError("no torch_odd")), "can't be loaded"),
        (Point("odd", "odd:Odd", object), "names no device"),
        (Point("even", "odd:Odd", Odd), "names no device"),
    ],
)
def test_a_package_that_is_wrong_is_named(brought, point, message):
    brought(point)
    with pytest.raises(DeviceError, match=message) as caught:
        find_device_type(point.name if point.name != "cuda" else "odd")
    assert "odd:Odd" in str(caught.value) or "no torch_odd" in str(caught.value)


def test_a_broken_package_stops_no_other_device(brought):
    brought(Point("odd", "odd:Odd", ImportError("no torch_odd")))
    assert "cpu" in {device.name for device in known_device_types()}
    assert "odd" not in {device.name for device in known_device_types()}


def test_the_default_is_the_one_accelerator_that_is_here(brought):
    brought(Point("here", "odd:Here", Here))
    assert str(choose_device(None)) == "here"
    other = type("Other", (Here,), {"name": "other", "kind": "other"})
    brought(Point("here", "odd:Here", Here), Point("other", "odd:Other", other))
    with pytest.raises(DeviceError, match="several kinds") as caught:
        choose_device(None)
    assert "here, other" in str(caught.value)


def test_where_torch_is_too_old_for_the_emulated_one_the_cpu_is_taken(brought, monkeypatch):
    brought(Point("emulated", "emulated:Emulated", Emulated))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.7.1+cu126")
    choice = choose_device(None)
    assert (choice.name, choice.fallback) == ("cpu", True)
    with pytest.raises(DeviceError, match=r"torch 2\.13"):
        choose_device("emulated")


def test_a_card_is_chosen_by_its_index(brought):
    brought(Point("here", "odd:Here", Here))
    choice = choose_device("here:3")
    assert (choice.name, choice.index, str(choice)) == ("here", 3, "here:3")
    for wrong in ("cpu:0", "here:", "here:-1", "here:x", "here:١"):
        with pytest.raises(DeviceError, match="no such device"):
            choose_device(wrong)


def test_a_kind_that_nobody_registered_has_the_defaults():
    device = type_of_kind("meta")
    assert device.generator_state() is None
    assert device.peak_memory() is None
    assert device.fallbacks() is None
    device.synchronize()
    device.end_step()


def test_what_torch_brings_is_asked_for_what_it_needs(monkeypatch):
    """The defaults on a module of the kind that PyTorch integrates."""
    calls = []
    module = type("module", (), {})()
    module.is_available = lambda: True
    module.device_count = lambda: 2
    module.set_device = calls.append
    module.synchronize = lambda: calls.append("synchronize")
    module.max_memory_allocated = lambda: 3 * 2**20
    module.get_rng_state = lambda: torch.arange(3)
    module.set_rng_state = calls.append
    module.get_device_name = lambda: "an odd card"
    monkeypatch.setattr(torch, "odd", module, raising=False)
    odd = type("InTree", (DeviceType,), {"name": "odd"})()
    assert odd.load() == {}
    odd.select(1)
    odd.synchronize()
    assert calls == [1, "synchronize"]
    assert odd.hardware() == "an odd card"
    assert odd.peak_memory() == 3 * 2**20
    assert odd.generator_state().tolist() == [0, 1, 2]
    with pytest.raises(DeviceError, match="no odd:2 here"):
        odd.select(2)


def test_of_two_that_share_a_kind_the_opened_one_is_asked(brought, monkeypatch):
    """A package's device may be a built-in one with other habits: recording and shadow ops ask what was opened."""
    monkeypatch.setattr(registry, "_opened", {})
    other = type("OtherCpu", (Cpu,), {"name": "other-cpu", "kind": "cpu", "load": lambda self: {"kernels": "others"}})
    brought(Point("other-cpu", "odd:OtherCpu", other))
    assert type_of_kind("cpu").name == "cpu"
    opened = open_device(choose_device("other-cpu"))
    assert opened.kind == "cpu"
    assert opened.build["kernels"] == "others"
    assert type_of_kind("cpu").name == "other-cpu"

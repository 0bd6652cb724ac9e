"""Choosing and naming devices; what mmengine is taught."""

import importlib.machinery
import importlib.util
import subprocess

import pytest
import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from harness.devices.choice import choose_device
from harness.devices.cuda import Cuda
from harness.devices.device_opening import open_device
from harness.devices.mmengine_adapter import AmpOptimWrapper, join_process_group, teach_mmengine
from harness.devices.mps import Mps
from harness.devices.sdaa import parse_build_table
from harness.devices.surroundings import git_commit, numerics_environment, versions
from harness.devices.xla import Xla
from harness.devices.xpu import Xpu
from harness.values.errors import DeviceError

PRINTED = """\
--------------+------------------------------------------
 Host IP      | 10.0.0.1
 PyTorch      | 2.7.1
 Torch-SDAA   | 3.2.0
--------------+------------------------------------------
 SDAA Driver  | 3.2.0 (N/A)
 SDAA Runtime | 3.2.0
 TecoDNN      | 3.2.0
 CustomDNN    | 3.2.1a0
 TCCL         | 3.2.0
"""


@pytest.fixture
def with_torch_sdaa(monkeypatch):
    for other in (Cuda, Mps, Xla, Xpu):  # whatever else is on this machine
        monkeypatch.setattr(other, "absence", lambda self: "hidden by the test")
    real = importlib.util.find_spec
    spec = importlib.machinery.ModuleSpec("torch_sdaa", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: spec if name == "torch_sdaa" else real(name, *a))


@pytest.mark.emulated
def test_without_a_wish_and_without_a_card_the_emulated_one_is_a_fallback():
    choice = choose_device(None)
    assert (choice.name, choice.fallback, choice.kind, choice.emulated) == ("emulated", True, "sdaa", True)
    assert not choose_device("emulated").fallback


def test_without_a_wish_the_card_is_taken_where_it_is(with_torch_sdaa):
    choice = choose_device(None)
    assert (choice.name, choice.fallback, choice.emulated) == ("sdaa", False, False)


def test_a_device_that_is_not_here_is_an_error_that_says_what_to_do():
    with pytest.raises(DeviceError, match="torch_sdaa is not installed") as caught:
        choose_device("sdaa")
    assert "--device emulated" in str(caught.value)
    with pytest.raises(DeviceError, match="unknown device"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no cuda device"):
            choose_device("cuda")


def test_the_cpu_says_what_it_is():
    device = open_device(choose_device("cpu"))
    assert device.kind == device.label == "cpu"
    assert not device.emulated
    assert set(device.build) == {"capability", "MKL", "oneDNN"}


def test_the_build_table_that_the_vendor_prints_is_read():
    table = parse_build_table(PRINTED)
    assert table["Torch-SDAA"] == "3.2.0"
    assert table["CustomDNN"] == "3.2.1a0"
    assert table["PyTorch"] == "2.7.1"
    assert table["SDAA Driver"] == "3.2.0"
    assert parse_build_table("nothing of the kind\n") == {}


def test_mmengine_is_taught_the_device_and_the_wrapper():
    teach_mmengine("sdaa")
    try:
        assert get_device() == "sdaa"
        assert OPTIM_WRAPPERS.get("AmpOptimWrapper") is AmpOptimWrapper
    finally:
        teach_mmengine("cpu")
    assert get_device() == "cpu"


def test_a_group_without_a_launcher_is_an_error(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(DeviceError, match="not started by a launcher"):
        join_process_group("cpu")


class TestAmp:
    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        return torch.nn.Linear(4, 2)

    def wrapper(self, net, **kwargs):
        teach_mmengine("cpu")
        return AmpOptimWrapper(optimizer=torch.optim.SGD(net.parameters(), lr=0.1), **kwargs)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_it_computes_in_the_dtype_and_updates_as_float32_does(self, net, dtype):
        x = torch.randn(8, 4)
        before = net.weight.detach().clone()
        wrapper = self.wrapper(net, dtype=dtype)
        with wrapper.optim_context(net):
            out = net(x)
            assert out.dtype is getattr(torch, dtype)
            loss = out.float().square().mean()
        wrapper.update_params(loss)
        reference = torch.nn.Linear(4, 2)
        reference.load_state_dict({"weight": before, "bias": torch.zeros(2)})
        assert torch.isfinite(net.weight).all()
        assert not torch.equal(net.weight, before)

    def test_the_scale_survives_a_checkpoint(self, net):
        wrapper = self.wrapper(net, dtype="float16", loss_scale={"init_scale": 64.0})
        state = wrapper.state_dict()
        assert state["loss_scaler"]["scale"] == 64.0
        other = self.wrapper(net, dtype="float16")
        other.load_state_dict(state)
        assert other.loss_scaler.get_scale() == 64.0

    def test_a_fixed_scale_stays(self, net):
        wrapper = self.wrapper(net, dtype="float16", loss_scale=128.0)
        with wrapper.optim_context(net):
            loss = net(torch.randn(8, 4)).float().square().mean()
        wrapper.update_params(loss)
        assert wrapper.loss_scaler.get_scale() == 128.0

    def test_bfloat16_is_not_scaled(self, net):
        assert not self.wrapper(net, dtype="bfloat16").loss_scaler.is_enabled()

    @pytest.mark.parametrize("wrong", [{"dtype": "float8"}, {"loss_scale": "static"}])
    def test_wrong_settings_are_named(self, net, wrong):
        with pytest.raises(DeviceError) as caught:
            self.wrapper(net, **wrong)
        assert f"optim_wrapper.{next(iter(wrong))}" in str(caught.value)

    def test_it_is_an_optim_wrapper(self, net):
        assert isinstance(self.wrapper(net), OptimWrapper)


def test_surroundings_are_said(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_SDAA_CONV_USE_FP32", "1")
    monkeypatch.setenv("SDAA_VISIBLE_DEVICES", "0")
    assert {"TORCH_SDAA_CONV_USE_FP32", "SDAA_VISIBLE_DEVICES"} <= set(numerics_environment())
    assert {"python", "torch", "mmengine", "numpy"} <= set(versions())
    assert git_commit(tmp_path) == ""


def test_a_commit_is_dirty_where_what_follows_from_it_was_changed(tmp_path):
    def git(*words):
        who = ("-c", "user.name=n", "-c", "user.email=e@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    for name in ("code/model.py", "baselines/case.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git_commit(tmp_path / "code")
    assert len(commit) == 12
    (tmp_path / "baselines" / "case.csv").write_text("2\n")
    assert git_commit(tmp_path / "code") == f"{commit}-dirty"
    assert git_commit(tmp_path / "code", but_for="baselines") == commit
    (tmp_path / "code" / "model.py").write_text("2\n")
    assert git_commit(tmp_path / "code", but_for="baselines") == f"{commit}-dirty"

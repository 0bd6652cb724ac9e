"""What `install` refuses, and what importing the package leaves alone."""

from __future__ import annotations

import pytest

from harness.lab.emulation import get_profile
from harness.values.errors import DeviceError

REFUSED = """
import sys
from harness.values.errors import DeviceError
{before}
from harness.lab.emulation import install
try:
    install({profile!r})
except DeviceError as error:
    print(error)
    raise SystemExit(7)
"""


def refusal(python, before: str = "", profile: str = "exact", **environ: str) -> str:
    done = python(REFUSED.format(before=before, profile=profile), **environ)
    assert done.returncode == 7, done.stdout + done.stderr
    return done.stdout


def test_importing_the_package_imports_no_torch_and_registers_nothing(python) -> None:
    done = python(
        "import sys, harness.lab.emulation as e, harness.lab.faults as f; assert f.FAULTS and e.PROFILES\n"
        "assert 'torch' not in sys.modules\n"
        "import torch, harness.lab.emulation.installation\n"
        "assert torch._C._get_privateuse1_backend_name() == 'privateuseone'"
    )
    assert done.returncode == 0, done.stderr


def test_an_imported_torch_sdaa_is_refused(python) -> None:
    text = refusal(python, "import types; sys.modules['torch_sdaa'] = types.ModuleType('torch_sdaa')")
    assert "torch_sdaa" in text
    assert "imported" in text


def test_an_installed_torch_sdaa_is_refused(python, tmp_path) -> None:
    (tmp_path / "torch_sdaa.py").write_text("raise RuntimeError('must not be imported to be seen')")
    assert "installed" in refusal(python)


def test_an_old_torch_is_refused(python) -> None:
    text = refusal(python, "import torch; torch.__version__ = '2.7.1+cu126'")
    assert "2.7.1+cu126" in text
    assert "2.13 or newer" in text


def test_a_backward_before_is_no_hindrance(python) -> None:
    done = python(
        "import torch; (torch.ones(1, requires_grad=True) * 2).backward()\n"
        "from harness.lab.emulation import install; install('exact')\n"
        "for index in range(4):\n"
        "    y = torch.ones(2, device=f'sdaa:{index}', requires_grad=True); (y * 3).sum().backward()\n"
        "    assert y.grad.tolist() == [3, 3]"
    )
    assert done.returncode == 0, done.stderr


def test_another_private_backend_is_refused(python) -> None:
    assert "npu" in refusal(python, "import torch; torch.utils.rename_privateuse1_backend('npu')")


def test_graph_nodes_without_a_backward_are_no_reason_to_refuse(python) -> None:
    done = python(
        "import torch; x = torch.ones(1, requires_grad=True) * 2\n"
        "from harness.lab.emulation import install; install('exact'); x.backward()\n"
        "y = torch.ones(2, device='sdaa', requires_grad=True); (y * 3).sum().backward()\n"
        "assert y.grad.tolist() == [3, 3]"
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_profile_lists_the_valid_ones() -> None:
    with pytest.raises(DeviceError, match=r"exact, fp32, tf32, fp16, bf16, sdaa(.|\n)*did you mean tf32"):
        get_profile("tf23")


@pytest.mark.parametrize(
    ("environ", "forward", "backward"),
    [
        ({}, 10, 10),
        ({"TORCH_SDAA_CONV_USE_FP32": "1"}, 23, 23),
        ({"TORCH_SDAA_CONV2D_BACKWARD_USE_FP32": "on"}, 10, 23),
        ({"TORCH_SDAA_CONV_USE_FP32": "0"}, 10, 10),
    ],
)
def test_the_sdaa_profile_follows_its_variables(environ: dict[str, str], forward: int, backward: int) -> None:
    profile = get_profile("sdaa", environ)
    assert profile.convolution.operand_bits == forward
    assert profile.convolution_backward.operand_bits == backward


@pytest.mark.on_device
def test_install_is_idempotent_and_describes_itself_as_emulated() -> None:
    from harness.lab.emulation import describe, install

    assert install("fp32") is install("tf32")
    assert install("tf32").profile.name == "tf32"
    assert all("emulated" in value for value in describe().values())
    assert "tf32" in describe()["Numerics profile"]

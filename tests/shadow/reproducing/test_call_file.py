"""A call as data in the file of its inputs: what is read is what was met, and what is none is an error."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save, save_file

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.host import in_double
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.results import Compared
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.probing.lone_call import asking_of, lone_call, target_of
from harness.shadow.reproducing.call_file import read_call
from harness.shadow.reproducing.program import Origin
from harness.shadow.reproducing.reproductions import Reproductions
from harness.values.errors import RunError

aten = torch.ops.aten


def keep(folder, op, args, kwargs=None, origin=None, **changes):
    """A call that is said to be wrong, kept."""
    kwargs = kwargs or {}
    check = ShadowCheck(0, Part.FORWARD, "a.b", read_operation(op).name, "output", 3, "float32", (2,), True, 0.5, 0.5)
    before = [in_double(value) for value in args], {name: in_double(value) for name, value in kwargs.items()}
    call = Call(op, read_operation(op), (args, kwargs), before)
    result = Compared("output", 0, torch.ones(2), torch.ones(2))
    Reproductions(folder, "tf32", origin).offer(replace(check, **changes), result, call)
    return folder / "1.safetensors"


LAYOUTS = {
    "channels-last": lambda: torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "gaps": lambda: torch.randn(4, 6)[:, ::2],
    "stretched": lambda: torch.randn(1, 3, 1).expand(2, 3, 4),
    "plain": lambda: torch.randn(3, 4),
    "half": lambda: torch.randn(3, 4).half(),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_tensor_is_what_it_was_to_the_bit_and_in_memory(folder, name):
    x = LAYOUTS[name]()
    stored, tensors = read_call(keep(folder, aten.mul.Tensor, (x, 2.0)))
    call = lone_call(stored, tensors, "cpu", "here")
    kept = call.arguments["self"]
    assert torch.equal(kept, x)
    assert (kept.stride(), kept.dtype) == (x.stride(), x.dtype)


def test_arguments_are_what_they_were(folder):
    args = (torch.ones(2, 3), [0, 1])
    stored, tensors = read_call(keep(folder, aten.sum.dim_IntList, args, {"keepdim": True, "dtype": torch.float16}))
    given = lone_call(stored, tensors, "cpu", "here").arguments
    assert (given["dim"], given["keepdim"], given["dtype"]) == ([0, 1], True, torch.float16)
    assert (stored.op, stored.result, stored.module, stored.tier) == ("aten.sum.dim_IntList", "output", "a.b", "tf32")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 3, True])
def test_numbers_are_what_they_were(folder, value):
    stored, tensors = read_call(keep(folder, aten.mul.Tensor, (torch.ones(2), value)))
    assert repr(lone_call(stored, tensors, "cpu", "here").arguments["other"]) == repr(value)


def test_a_format_is_asked_by_its_own_name(folder):
    path = keep(folder, aten.add.Tensor, (torch.ones(2), torch.ones(2)), part=Part.PRECISION, tensor="format of output")
    stored, tensors = read_call(path)
    assert target_of(stored) == "format of output"
    assert "format of output" in asking_of(stored, "cpu").ask(lone_call(stored, tensors, "cpu", "here"))


GOOD = {
    "schema": 1,
    "op": "aten.add.Tensor",
    "arguments": {"self": {"tensor": "0"}, "other": {"tensor": "0"}, "alpha": 1},
    "strides": {},
    "result": "output",
    "part": "forward",
    "module": "",
    "iteration": 0,
    "tier": "tf32",
    "device": "cpu",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"op": "aten.rand.default", "arguments": {"size": [2]}},
        {"op": "aten.no_such_operation.default"},
        {"op": "aten.add"},
        {"op": "os.system"},
        {"op": ""},
        {"arguments": {"self": {"tensor": "7"}, "other": 1}},
        {"arguments": {"self": {"tensor": "0"}}},
        {"arguments": {"self": {"tensor": "0"}, "other": {"eval": "1"}}},
        {"arguments": {"self": {"tensor": "0"}, "other": {"dtype": "load"}}},
        {"strides": {"0": [1]}},
        {"strides": {"9": [1, 1]}},
        {"iteration": -1},
        {"surprise": 1},
    ],
)
def test_what_is_no_call_is_an_error(tmp_path, changes):
    path = tmp_path / "1.safetensors"
    save_file({"0": torch.ones(2, 2)}, path, {"call": json.dumps(GOOD | changes)})
    with pytest.raises(RunError):
        lone_call(*read_call(path), "cpu", path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 64, save({"0": torch.ones(2)})])
def test_a_file_without_a_call_is_an_error(tmp_path, content):
    (tmp_path / "1.safetensors").write_bytes(content)
    with pytest.raises(RunError):
        read_call(tmp_path / "1.safetensors")


class TestItsProgram:
    def run(self, folder, *words):
        return subprocess.run(
            [sys.executable, "1.py", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )

    @pytest.mark.slow
    def test_says_that_it_is_not_reproduced_and_exits_with_0(self, folder):
        keep(folder, aten.mul.Tensor, (LAYOUTS["stretched"](), 2.0))
        ended = self.run(folder)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.endswith("\nNOT REPRODUCED\n")

    @pytest.mark.slow
    def test_says_which_device_is_missing_and_exits_with_2(self, folder):
        keep(folder, aten.add.Tensor, (torch.ones(2), torch.ones(2)), origin=Origin(device="cuda"))
        ended = self.run(folder)  # the device that it was found on is the default
        assert ended.returncode == 2
        assert "there is no device cuda here" in ended.stderr
        assert ended.stdout == ""

    def test_says_that_it_is_reproduced_and_exits_with_1(self, folder, wrong, monkeypatch, capsys):
        keep(folder, aten.mul.Tensor, (torch.randn(3), 2.0))
        monkeypatch.setattr(sys, "argv", ["1.py", "--device", "cpu"])
        text = (folder / "1.py").read_text().replace("c, r = run(device, False)", "c, r = 1.5 * run(device, False)")
        with pytest.raises(SystemExit) as ended:
            exec(compile(text, folder / "1.py", "exec"), {"__name__": "__main__", "__file__": str(folder / "1.py")})  # noqa: S102
        assert ended.value.code == 1
        assert capsys.readouterr().out.endswith("\nREPRODUCED\n")

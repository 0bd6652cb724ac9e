"""A call that came out wrong, as a program of its own."""

import json
from dataclasses import replace

import pytest
import torch

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.results import Compared
from harness.shadow.arithmetic.stored import stored_bits
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.files import reproduction_index as reproductions
from harness.shadow.files.reproduction_index import read_reproductions
from harness.shadow.reproducing import calls
from harness.shadow.reproducing.program import Origin
from harness.shadow.reproducing.reproductions import Reproductions
from harness.values.errors import RunError

aten = torch.ops.aten


def check_of(**changes):
    check = ShadowCheck(0, Part.FORWARD, "a.b", "add", "output", 3, "float32", (2,), True, error=0.5, projection=0.5)
    return replace(check, **changes)


def offer(kept, check, op=aten.add.Tensor, args=None, kwargs=None, place=0):
    args = args if args is not None else (torch.ones(2), torch.ones(2))
    before = [
        value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value for value in args
    ]
    call = Call(op, read_operation(op), (args, kwargs or {}), (before, kwargs or {}))
    kept.offer(check, Compared(check.tensor, place, torch.ones(2), torch.ones(2)), call)


def scaled_weight_gradient(out, *args):
    return out[0], out[1] * 1.01 if out[1] is not None else None, out[2]


def test_a_wrong_kernel_is_kept_and_runs_alone(shadowed, wrong, folder, again):
    shadowed(wrong("convolution_backward", scaled_weight_gradient, call=1), reproductions=Reproductions(folder, "fp32"))
    (found,) = read_reproductions(folder)
    assert (found.part, found.op, found.tensor) == ("backward", "convolution_backward", "weight gradient")
    assert found.module == "block.0"
    values, out = again()
    assert values["r"].dtype == torch.float64
    error = float((values["c"] - values["r"]).norm() / values["r"].norm())
    assert 0 < error < 1e-6  # this host's kernel is right
    assert "error" in out
    assert "projection" in out
    assert out.endswith("\nNOT REPRODUCED\n")


def test_a_format_that_is_too_narrow_runs_alone_and_counts_bits(shadowed, wrong, folder, again):
    def change(out, *_):
        return out[0], out[1].bfloat16().float(), out[2]

    kept = Reproductions(folder, "tf32")
    shadowed(wrong("convolution_backward", change, call=1), tier="tf32", reproductions=kept)
    (found,) = read_reproductions(folder)
    assert (found.part, found.op, found.tensor) == ("precision", "convolution_backward", "format of weight gradient")
    assert "7 mantissa bits (at least 10 demanded) at iteration 0" in (folder / "1.py").read_text()
    values, out = again()
    assert "stored with 23 mantissa bits (at least 10 demanded), the host's 23" in out  # this host's kernel is right
    assert values["bits"](values["c"].bfloat16().float()) == 7
    assert values["bits"](torch.zeros(3)) == 0
    for dtype in (torch.float32, torch.float16):
        drawn = torch.randn(99).to(dtype)
        assert values["bits"](drawn) == stored_bits(drawn)
        assert values["bits"](drawn * 1e-7) == stored_bits(drawn * 1e-7)


def test_its_inputs_are_those_of_the_call_to_the_bit(shadowed, wrong, folder, again):
    given = []

    def change(out, *args):
        given[:] = [value.detach().clone() for value in args[:3]]
        return scaled_weight_gradient(out)

    shadowed(wrong("convolution_backward", change, call=1), reproductions=Reproductions(folder, "fp32"))
    values, _ = again()
    assert len(given) == 3
    for place, tensor in enumerate(given):
        assert torch.equal(values["stored"][str(place)], tensor)
        assert values["stored"][str(place)].dtype == tensor.dtype


def test_what_a_call_changes_in_place_is_started_from_what_it_was(shadowed, wrong, folder, again, net):
    def change(out, *args):
        for tensor in args[0]:
            tensor.mul_(1.5)
        return out

    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, foreach=True)
    shadowed(wrong("_foreach_add_", change), optimizer=optimizer, reproductions=Reproductions(folder, "fp32"))
    found = [each for each in read_reproductions(folder) if each.op == "_foreach_add_"]
    assert found
    values, _ = again(found[0].number)
    assert float((values["c"] - values["r"]).norm() / values["r"].norm()) < 1e-6


def test_a_healthy_step_leaves_nothing(shadowed, folder):
    shadowed(reproductions=Reproductions(folder, "fp32"))
    assert not folder.exists()
    assert read_reproductions(folder) == ()


def test_a_layout_of_its_own_is_kept(folder, again):
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    offer(Reproductions(folder, "fp32"), check_of(), args=(x, torch.ones(5)))
    values, _ = again()
    assert values["stored"]["0"].stride() == x.stride()
    assert torch.equal(values["stored"]["0"], x)


def test_a_move_is_compared_bit_for_bit(folder, again):
    x = torch.arange(6).reshape(2, 3)
    check = check_of(part=Part.TRANSFER, op="flip", dtype="int64", error=0.5, projection=0.0)
    offer(Reproductions(folder, "fp32"), check, aten.flip.default, (x, [0, 1]))
    _, out = again()
    assert "0.000% of the elements differ (none may)" in out


@pytest.mark.parametrize("value", [2.0, float("inf"), float("nan"), 3, True])
def test_plain_arguments_are_written_as_they_are(folder, again, value):
    offer(Reproductions(folder, "fp32"), check_of(op="mul"), aten.mul.Tensor, (torch.ones(2), value))
    values, _ = again()
    assert torch.equal(values["r"].nan_to_num(-1), (torch.ones(2).double() * value).nan_to_num(-1))


def test_a_dtype_is_widened_for_the_host(folder, again):
    check = check_of(op="sum")
    offer(Reproductions(folder, "fp32"), check, aten.sum.default, (torch.ones(4),), {"dtype": torch.float16})
    values, _ = again()
    assert values["run"]("cpu", True).dtype == torch.float64
    assert values["run"]("cpu", False).dtype == torch.float16


def test_large_inputs_are_cut_along_the_batch_and_that_is_said(folder, again, monkeypatch):
    monkeypatch.setattr(calls, "LARGEST_INPUTS", 3000)
    x, weight = torch.randn(8, 3, 8, 8), torch.randn(2, 3, 3, 3)
    args = (x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    offer(Reproductions(folder, "fp32"), check_of(op="convolution"), aten.convolution.default, args)
    (found,) = read_reproductions(folder)
    assert found.note == "Its inputs are cut to the first 3 of 8 samples."
    values, _ = again()
    assert torch.equal(values["stored"]["0"], x[:3])
    assert values["c"].numel() == 3 * 2 * 8 * 8
    assert found.note in (folder / "1.py").read_text()


@pytest.mark.parametrize(
    ("op", "args", "why"),
    [
        (aten.add.Tensor, (torch.ones(4000), torch.ones(4000)), "can't be cut"),
        (aten._softmax.default, (torch.ones(40, 100), 0, False), "can't be cut"),
        (aten.add.Tensor, (torch.ones(0), torch.ones(0)), "empty"),
        (aten.add.Tensor, (torch.ones(2), torch.ones(2) * 1j), "complex"),
        (aten.add.Tensor, (torch.ones(2), object()), "object"),
    ],
)
def test_what_has_no_program_says_why(folder, monkeypatch, op, args, why):
    monkeypatch.setattr(calls, "LARGEST_INPUTS", 3000)
    offer(Reproductions(folder, "fp32"), check_of(), op, args)
    (found,) = read_reproductions(folder)
    assert why in found.note
    assert (found.program, found.inputs) == ("", b"")
    assert not list(folder.glob("*.py"))


class TestWhatIsKept:
    def test_is_the_worst_of_the_first_iteration_of_a_finding(self, folder):
        kept = Reproductions(folder, "fp32")
        for module, error, iteration in (("a", 0.1, 0), ("b", 0.3, 0), ("c", 0.2, 0), ("d", 0.9, 1)):
            offer(kept, check_of(module=module, error=error, projection=0.0, iteration=iteration))
        (found,) = read_reproductions(folder)
        assert found.module == "b"
        assert sorted(path.name for path in folder.iterdir()) == ["1.py", "1.safetensors", "index.0.json"]

    def test_is_ten_findings_the_worst(self, folder):
        kept = Reproductions(folder, "fp32")
        for place, error in enumerate([0.5, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.15, 0.95, 0.12, float("inf")]):
            offer(kept, check_of(tensor=f"output {place}", error=error, projection=0.0))
        found = read_reproductions(folder)
        assert [each.number for each in found] == list(range(1, 11))
        assert {each.tensor for each in found} == {f"output {place}" for place in range(13)} - {
            "output 1",
            "output 9",
            "output 11",
        }
        assert len(list(folder.glob("*.py"))) == 10


def test_an_emulated_device_is_said_and_its_fault_named(folder):
    origin = Origin(emulated=True, profile="tf32", faults=("conv-wgrad-x1.05",))
    offer(Reproductions(folder, "fp32", origin), check_of())
    text = (folder / "1.py").read_text()
    assert "found on the emulated device with conv-wgrad-x1.05" in text
    assert "'tf32', [parse_fault(fault) for fault in ['conv-wgrad-x1.05']])" in text


@pytest.mark.parametrize("name", ['a"""b', "a\\", 'quoted"', "a\nb", "{braces}", "%s"])
def test_a_hostile_name_stays_in_the_docstring(folder, again, name):
    offer(Reproductions(folder, "fp32"), check_of(module=name))
    values, _ = again()
    assert "error" in values["__doc__"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"reproductions": 3}',
        '{"reproductions": [{"number": 1}]}',
        json.dumps({"reproductions": [0] * 101}),
    ],
)
def test_an_index_that_is_none_is_an_error(folder, text):
    folder.mkdir()
    (folder / "index.0.json").write_text(text)
    with pytest.raises(RunError):
        read_reproductions(folder)


def test_a_missing_program_is_an_error(folder):
    offer(Reproductions(folder, "fp32"), check_of())
    (folder / "1.safetensors").unlink()
    with pytest.raises(RunError):
        read_reproductions(folder)


class TestProcesses:
    def keep(self, folder, rank, module):
        offer(Reproductions(folder, "fp32", rank=rank), check_of(module=module))

    def test_share_a_folder_without_colliding(self, folder, again):
        for rank, module in ((1, "b"), (0, "a"), (10, "c")):
            self.keep(folder, rank, module)
        found = read_reproductions(folder)
        assert [(each.number, each.rank, each.module) for each in found] == [(1, 0, "a"), (11, 1, "b"), (101, 10, "c")]
        assert all(each.program and each.inputs for each in found)
        again(11)

    def test_one_number_twice_is_an_error(self, folder):
        self.keep(folder, 0, "a")
        (folder / "index.1.json").write_text((folder / "index.0.json").read_text())
        with pytest.raises(RunError, match="one number"):
            read_reproductions(folder)

    def test_past_what_is_read_the_others_are_listed(self, folder, monkeypatch):
        for rank in range(3):
            self.keep(folder, rank, "a")
        size = (folder / "1.safetensors").stat().st_size
        monkeypatch.setattr(reproductions, "MOST_BYTES", 2 * size)
        found = read_reproductions(folder)
        assert [bool(each.program) for each in found] == [True, True, False]
        assert "stays with the run's files" in found[2].note

"""`align ops --model`: a model that is no case."""

import pytest

from harness.cli.model_ops import read_options
from harness.values.errors import UsageError

NET = """
import torch
from torch import nn


def net(batch=2, width=8):
    layers = [nn.Conv2d(3, width, 3), nn.GroupNorm(2, width), nn.SiLU(), nn.Flatten(), nn.Linear(36 * width, 4)]
    return nn.Sequential(*layers), torch.randn(batch, 3, 8, 8)
"""


@pytest.mark.slow
def test_a_model_by_a_function_is_listed_and_judged(align, user_folder):
    (user_folder / "nets.py").write_text(NET)
    words = ("ops", "--model", "nets:net", "--model-options", "width=4", "--optimizer", "AdamW", "--device", "emulated")
    code, out, err = align(*words, "--profile", "tf32", "--tier", "tf32", "--batch", "3", "--iterations", "2")
    assert code == 0, out + err
    assert "EMULATED" in err
    assert any(line.startswith("native_group_norm_backward") for line in out.splitlines())
    assert "PASS nets:net: no baseline was asked" in out
    code, out, err = align(*words, "--profile", "tf32", "--tier", "tf32", "--fault", "conv-wgrad-x1.05")
    assert code == 1, out + err
    assert "convolution_backward, weight gradient: 5" in out or "convolution_backward, weight gradient: 4.9" in out


ODD = """
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = nn.RNN(4, 6, batch_first=True)
        self.head = nn.LazyLinear(3)

    def forward(self, sequences, image):
        return self.head(torch.cat([self.recurrent(sequences["packed"])[1][-1], image], 1))


def net():
    lengths = torch.tensor([3, 5, 2])
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(3, 5, 4), lengths, batch_first=True, enforce_sorted=False)
    return Recurrent(), ({"packed": packed}, torch.randn(3, 2))

"""


@pytest.mark.slow
def test_packed_sequences_come_to_the_device_and_lazy_modules_meet_their_inputs(align, user_folder):
    (user_folder / "odd.py").write_text(ODD)
    code, out, err = align("ops", "--model", "odd:net", "--device", "emulated", "--tier", "fp32")
    assert code == 0, out + err
    assert "PASS odd:net: no baseline was asked" in out


@pytest.mark.slow
def test_a_models_operations_are_made_again_with_hard_inputs(align, user_folder):
    (user_folder / "nets.py").write_text(NET.replace("GroupNorm(2, ", "BatchNorm2d("))
    words = ("ops", "--model", "nets:net", "--device", "emulated", "--fault", "bn-backward-misreads-channels-last")
    code, out, err = align(*words, "--forced")
    assert code == 1, out + err
    assert "FAIL nets:net: hard inputs: native_batch_norm_backward" in out
    code, out, err = align(*words[:5], "--forced")
    assert code == 0, out + err
    assert "0 of " in next(line for line in out.splitlines() if line.startswith("hard inputs: "))


def test_a_case_or_a_model_is_listed_and_no_options_of_the_other(align_here):
    for words, said in (
        (("ops",), "of a case, or of a model"),
        (("ops", "tiny.py", "--model", "nets:net"), "of a case, or of a model"),
        (("ops", "--model", "nets:net", "--amp"), "this option is a case's"),
        (("ops", "--model", "nets:net", "--batch", "0"), "is no number of at least 1"),
    ):
        code, out, err = align_here(*words)
        assert code == 2
        assert said in out + err


def test_options_are_names_with_pythons_literals():
    assert read_options(["a=1", "b=[1, 2]", "c=same", "d=1e-3"], "") == {"a": 1, "b": [1, 2], "c": "same", "d": 1e-3}
    with pytest.raises(UsageError):
        read_options(["width"], "--model-options")

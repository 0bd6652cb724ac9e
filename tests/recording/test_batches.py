"""The digest of a batch: equal where the data are, another where anything of them is."""

import copy

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from harness.recording.batches import batch_digest
from harness.recording.recorder import state_iterations
from harness.values.errors import TraceError


def batch():
    image = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)
    return {"inputs": [image, image + 1], "data_samples": [{"gt_sem_seg": image[0], "img_path": "/a/x.png"}] * 2}


def test_equal_batches_have_equal_digests_wherever_they_lie():
    other = copy.deepcopy(batch())
    other["data_samples"][0]["img_path"] = "/elsewhere/x.png"
    assert batch_digest(batch()) == batch_digest(other)
    assert len(batch_digest(batch())) == 32


def test_the_program_may_still_resize_what_was_read():
    given = torch.ones(4)
    batch_digest({"inputs": given})
    assert given.resize_(8).shape == (8,)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["inputs"].reverse(),
        lambda b: b["inputs"].pop(),
        lambda b: b["inputs"].__setitem__(0, b["inputs"][0].flip(-1)),
        lambda b: b["inputs"].__setitem__(0, b["inputs"][0].float()),
        lambda b: b["inputs"].__setitem__(0, b["inputs"][0].reshape(3, 2, 8)),
        lambda b: b["data_samples"][0].__setitem__("flip", True),
    ],
)
def test_any_change_of_the_data_changes_it(change):
    changed = copy.deepcopy(batch())
    change(changed)
    assert batch_digest(changed) != batch_digest(batch())


def test_it_does_not_depend_on_memory_layout_and_takes_data_elements():
    image = torch.randn(3, 4, 5)
    transposed = image.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert batch_digest([image]) == batch_digest([transposed])
    one, two = BaseDataElement(gt=torch.zeros(2)), BaseDataElement(gt=torch.ones(2))
    assert batch_digest([one]) != batch_digest([two])
    assert batch_digest({"empty": torch.empty(0)}) != batch_digest({})


def test_arrays_and_numbers_count_and_what_has_no_digest_is_refused():
    assert batch_digest([np.zeros(3)]) != batch_digest([np.ones(3)])
    assert batch_digest([np.zeros((3, 2))]) == batch_digest([np.zeros((3, 2), order="F")])
    assert batch_digest([torch.tensor(1.0)]) != batch_digest([torch.tensor(2.0)])
    with pytest.raises(TraceError, match="no digest"):
        batch_digest({"inputs": [object()]})


def test_the_state_is_kept_at_the_start_at_powers_of_two_and_at_the_end():
    assert sorted(state_iterations(30)) == [0, 1, 2, 4, 8, 16, 29]
    assert sorted(state_iterations(1)) == [0]
    assert sorted(state_iterations(2)) == [0, 1]
    assert {i for i in state_iterations(30) if i < 10} <= state_iterations(10)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.5, np.float64(1.5)),
        (1.5, np.float32(1.5)),
        (2, np.int64(2)),
        (2, 2.0),
        (np.uint8(2), np.float16(2)),
        (True, np.bool_(True)),
        ("x", np.str_("x")),
        (b"x", np.bytes_(b"x")),
        (float("nan"), np.float32("nan")),
        ((np.int64(3), np.float64(0.1)), (3, 0.1)),
        (np.array([1, "a", None], object), np.array([np.int64(1), np.str_("a"), None], object)),
    ],
)
def test_equal_values_are_equal_whatever_holds_them(one, other):
    assert batch_digest({"scale": one}) == batch_digest({"scale": other})


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (0.1, np.float32(0.1)), (2**60, 2**60 + 1), (0, None)])
def test_other_values_are_others(one, other):
    assert batch_digest({"scale": one}) != batch_digest({"scale": other})


def test_numbers_are_not_told_as_one_version_of_numpy_prints_them():
    """Recorded with NumPy 1.26.4; the same with NumPy 2."""
    values = {
        "scale": np.float64(0.1),
        "flip": np.bool_(False),
        "size": (np.int64(3), np.float32(0.5)),
        "name": np.str_("a"),
    }
    assert batch_digest(values) == "fce1e42b1e1c2d297b9324ca770c1d87"

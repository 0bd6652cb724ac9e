"""Weights and batches by name, and what mmsegmentation 1.2.2 computed from them in float64."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

RECORDS = Path(__file__).parent.parent / "data" / "mmseg"


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _filled(name, shape):
    """The value of one tensor of a state dict: a function of its name and shape alone (RandomState is frozen)."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith(("running_mean", ".bias")):
        return 0.1 * rng.standard_normal(shape)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith(".bases"):
        bases = rng.standard_normal(shape)
        return bases / np.sqrt((bases * bases).sum(1, keepdims=True))
    if name.endswith("gamma.scale"):
        return np.full(shape, 0.5)
    if len(shape) == 1:
        branched = name.startswith(("backbone.stage", "backbone.transition"))
        return rng.uniform(0.1, 0.3, shape) if branched else rng.uniform(0.4, 1.0, shape)
    return rng.standard_normal(shape) * np.sqrt(2.0 / int(np.prod(shape[1:])))


@pytest.fixture(scope="session")
def fill():
    """Load a model with the records' weights, drawn in float64 and rounded to float32; then compute in float64."""

    def load(model):
        weights = {
            name: torch.from_numpy(np.asarray(_filled(name, tuple(tensor.shape))))
            for name, tensor in model.state_dict().items()
        }
        model.load_state_dict(weights)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout2d):
                module.p = 0.0
        return model.double()

    return load


@pytest.fixture(scope="session")
def batch():
    """The records' images (2, 3, 64, 128) and labels, in blocks of 8 × 8 pixels, some ignored."""
    images = np.random.RandomState(0).standard_normal((2, 3, 64, 128))
    labels = np.random.RandomState(1).randint(0, 19, (2, 8, 16)).repeat(8, 1).repeat(8, 2)
    labels[np.random.RandomState(2).uniform(size=labels.shape) < 0.1] = 255
    labels[0, :16, :32] = 255
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


@pytest.fixture(scope="session")
def odd_batch():
    """The odd records' images (2, 3, 97, 129) and labels."""
    images = np.random.RandomState(0).standard_normal((2, 3, 97, 129))
    labels = np.random.RandomState(1).randint(0, 19, (2, 97, 129))
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


@pytest.fixture(scope="session")
def record():
    """What mmsegmentation computed: `record("ann")`, with the logits as an array."""

    def read(name):
        content = json.loads((RECORDS / f"{name}.record.json").read_text())
        with np.load(RECORDS / f"{name}.record.npz") as arrays:
            content["logits"] = arrays["logits"]
        return content

    return read


@pytest.fixture(scope="session")
def state_dicts():
    """Names, shapes and dtypes of mmsegmentation's models: a list of lines for each seed config."""

    def read(name):
        return sorted((RECORDS / f"{name}.state_dict.csv").read_text().splitlines()[1:])

    return read


@pytest.fixture(scope="session")
def variants():
    """Count and digest of mmsegmentation's state dicts for the variants of the seed configs."""
    return json.loads((RECORDS / "variants.json").read_text())


@pytest.fixture
def lines_of():
    """A module's state dict as lines `name,shape,dtype`, in order."""

    def describe(model):
        return sorted(
            f"{name},{'x'.join(map(str, tensor.shape))},{str(tensor.dtype).removeprefix('torch.')}"
            for name, tensor in model.state_dict().items()
        )

    return describe

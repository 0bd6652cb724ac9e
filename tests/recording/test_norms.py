"""Norms as recorded against norms as defined."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.norms import StateNorms, _sample
from harness.recording.reductions import block_norms, fetch, total
from harness.values.sampling import SAMPLED_ELEMENTS, SAMPLING


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 4, 1))
    net[2].bias.requires_grad_(False)
    net(torch.randn(2, 3, 8, 8)).square().sum().backward()
    return net


def test_names_and_norms_are_the_tensors_own(model):
    norms = StateNorms(model)
    recorded = {**norms.weights(), **norms.buffers()}
    assert set(recorded) == {
        *(f"param/{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight")),
        "mean/1.running_mean",
        "var/1.running_var",
    }
    state = model.state_dict()
    (found,) = fetch(block_norms(recorded.values()))
    for name, norm in zip(recorded, found, strict=True):
        wanted = torch.linalg.vector_norm(state[name.partition("/")[2]].double()).item()
        assert norm == pytest.approx(wanted, rel=2.4e-7)


def test_the_gradient_norm_is_that_of_all_gradients_together(model):
    flat = torch.cat([p.grad.flatten().double() for p in model.parameters() if p.grad is not None])
    ((norm,),) = fetch(StateNorms(model).gradients(model.parameters()))
    assert norm == pytest.approx(flat.norm().item(), rel=2.4e-7)


def sampled_totals(norms):
    updates, samples, scales = norms.sampled()
    of_updates, of_samples = fetch(updates, samples)
    return total(of_updates, scales), total(of_samples, scales)


def test_small_updates_are_exact_and_large_ones_estimated(model):
    large = torch.nn.Linear(512, 512)
    for net, tolerance in ((model, 1e-6), (large, 0.05)):
        norms = StateNorms(net)
        norms.start_here()
        trained = [p for p in net.parameters() if p.requires_grad]
        before = [p.detach().clone() for p in trained]
        with torch.no_grad():
            for parameter in trained:
                parameter.add_(0.01 * torch.randn_like(parameter))
        exact = torch.cat([(a - b).flatten() for a, b in zip(trained, before, strict=True)]).norm().item()
        whole = torch.cat([a.detach().flatten() for a in trained]).norm().item()
        update, weights = sampled_totals(norms)
        assert update == pytest.approx(exact, rel=tolerance)
        assert weights == pytest.approx(whole, rel=tolerance)
    assert SAMPLED_ELEMENTS < 512 * 512


@pytest.mark.parametrize("shape", [(128, 128, 3, 3), (256, 256, 3, 3), (512, 128, 3, 3), (64, 256, 1, 1), (1000, 512)])
def test_the_sample_has_every_tap_channel_and_lane_of_a_vector_unit(shape):
    """A step of n / 4096 elements is a multiple of taps and lanes in many layers: one of each was seen."""
    size = torch.Size(shape).numel()
    place = torch.arange(size, dtype=torch.float64).reshape(shape)
    found = _sample(place).elements.reshape(-1).long()
    assert SAMPLED_ELEMENTS <= len(found) <= 3 * SAMPLED_ELEMENTS
    assert size - int(found.max()) <= torch.diff(found).max(), "no end is left out"
    taps = shape[2] * shape[3] if len(shape) > 2 else 1
    assert len(torch.unique(found % taps)) == taps
    assert len(torch.unique(found % 64)) == 64
    assert len(torch.unique(found // taps % shape[1])) == shape[1]
    assert len(torch.unique(found // taps // shape[1])) > min(shape[0], 64) * 0.9


@given(size=st.integers(0, 3_000_000))
def test_a_sample_is_rows_of_different_elements_spread_over_the_whole_tensor(size):
    sample = _sample(torch.arange(size, dtype=torch.float64))
    found = sample.elements.reshape(-1)
    if sample.elements.dim() == 1:
        assert len(found) == size, "a small one is read whole"
    else:
        gaps = torch.diff(sample.elements[:, 0])
        assert (gaps == gaps[0]).all()
        assert gaps[0] > 64
        assert size - found[-1] <= gaps[0], "the end is no further from the last row than a row from the next"
    assert len(found) >= min(size, SAMPLED_ELEMENTS)
    assert sample.scale == pytest.approx(size / len(found) if size else 0.0)


def test_another_sample_has_another_name():
    """Runs are compared where their provenances name the same sample: who changes what is sampled changes the name."""
    sizes = (4_095, 8_191, 9_216, 16_384, 30_030, 36_864, 65_537, 147_456, 524_288, 2_359_296)
    found = [_sample(torch.arange(size, dtype=torch.float64)).elements.reshape(-1).long() for size in sizes]
    digest = hashlib.sha256(torch.cat(found).numpy().tobytes()).hexdigest()[:16]
    assert (SAMPLING, digest) == ("rows of 64 elements, 4096 or more of a tensor", "67bded3731f0afeb")


def test_the_sample_does_not_depend_on_the_memory_format():
    weight = torch.randn(64, 64, 3, 3)
    results = []
    for memory in (torch.contiguous_format, torch.channels_last):
        conv = torch.nn.Conv2d(64, 64, 3)
        conv.weight.data = weight.clone().to(memory_format=memory)
        conv.bias.data.zero_()
        norms = StateNorms(conv)
        for _ in range(2):
            norms.start_here()
            with torch.no_grad():
                conv.weight.mul_(1.5)
        results.append(sampled_totals(norms))
    assert results[0] == pytest.approx(results[1], rel=1e-6)
    assert results[0][0] == pytest.approx(results[0][1] / 3, rel=1e-6), "a third of what is there came last"


def test_an_update_is_told_once_and_never_of_memory_that_was_written_over():
    net = torch.nn.Linear(300, 300)
    norms = StateNorms(net)
    norms.start_here()
    for change in (0.001, 0.0, 0.002):  # asked again without another beginning, and where nothing has changed
        with torch.no_grad():
            net.weight.add_(change)
        update, _ = sampled_totals(norms)
        assert update == pytest.approx(change * 300, rel=1e-3, abs=1e-9)


def test_a_model_that_changes_its_dtype_or_shrinks_in_place_within_a_step_is_followed():
    net = torch.nn.Linear(300, 300).half()
    norms = StateNorms(net)
    norms.start_here()
    net.float()
    sampled_totals(norms)
    for change in (1e-5, 2e-5):
        norms.start_here()
        with torch.no_grad():
            net.weight.add_(change)
        assert sampled_totals(norms)[0] == pytest.approx(change * 300, rel=1e-2)
    net.bias.data = net.bias.data[:100]
    norms.start_here()
    exact = torch.linalg.vector_norm(net.bias.double()) ** 2 + torch.linalg.vector_norm(net.weight.double()) ** 2
    assert sampled_totals(norms)[1] == pytest.approx(exact.sqrt().item(), rel=0.02)


def test_weights_and_statistics_that_a_training_replaces_are_followed(model):
    """An optimizer may put a new tensor into ``p.data``, and a module another buffer under the same name."""
    norms = StateNorms(model)
    norms.start_here()
    model[0].weight.data = torch.full_like(model[0].weight, 2.0)
    model[1].running_var = torch.full((8,), 3.0)
    update, _ = sampled_totals(norms)
    (weights,), (variances,) = (
        fetch(block_norms([tensors[name]]))[0]
        for tensors, name in ((norms.weights(), "param/0.weight"), (norms.buffers(), "var/1.running_var"))
    )
    assert weights == pytest.approx(2.0 * (8 * 3 * 9) ** 0.5)
    assert variances == pytest.approx(3.0 * 8**0.5)
    assert update > 10.0


def test_a_model_without_normalization_has_no_buffers():
    assert StateNorms(torch.nn.Linear(2, 2)).buffers() == {}


def test_every_parameter_is_held_once_whatever_shares_it_and_whenever_it_came(model):
    model.append(model[0])  # a module twice
    model.append(torch.nn.Linear(4, 4))
    model[-1].bias = model[2].bias  # a parameter twice
    model[-1].register_parameter("absent", None)
    model.add_module("nothing", None)
    norms = StateNorms(model)
    assert {id(p) for p in norms.held()} == {id(p) for p in model.parameters()}
    assert len(norms.held()) == len(list(model.parameters()))
    model.append(torch.nn.Linear(2, 2))
    assert len(norms.held()) == len(list(model.parameters()))


def buffer_norms(norms):
    (found,) = fetch(norms.buffer_norms())
    return dict(zip(norms.buffers(), found, strict=True))


def test_running_statistics_are_those_of_now_written_to_or_replaced(model):
    norms = StateNorms(model)
    for change in (
        lambda bn: bn.running_var.mul_(3.0),
        lambda bn: setattr(bn, "running_var", bn.running_var * 2),
        lambda bn: setattr(bn, "running_mean", torch.linspace(0, 1, 24)[::3]),  # a view that isn't contiguous
        lambda bn: bn.running_mean.add_(1.0),
    ):
        change(model[1])
        norms.held()
        assert buffer_norms(norms) == {
            name: pytest.approx(torch.linalg.vector_norm(buffer.double()).item(), rel=2.4e-7)
            for name, buffer in norms.buffers().items()
        }

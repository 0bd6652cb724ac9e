"""Norms as recorded against norms as defined."""

import pytest
import torch

from harness.recording.norms import SAMPLED_ELEMENTS, StateNorms, fetch, total


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 4, 1))
    net[2].bias.requires_grad_(False)
    net(torch.randn(2, 3, 8, 8)).square().sum().backward()
    return net


def test_names_and_norms_are_the_tensors_own(model):
    norms = StateNorms.of(model)
    recorded = {**norms.weights(), **norms.buffers()}
    assert set(recorded) == {
        *(f"param/{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight")),
        "mean/1.running_mean",
        "var/1.running_var",
    }
    state = model.state_dict()
    for name, norm in recorded.items():
        wanted = torch.linalg.vector_norm(state[name.partition("/")[2]].double()).item()
        assert norm.item() == pytest.approx(wanted, rel=1e-6)


def test_the_gradient_norm_is_that_of_all_gradients_together(model):
    flat = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert total(fetch(StateNorms.of(model).gradients(model))) == pytest.approx(flat.norm().item(), rel=1e-5)


def test_small_updates_are_exact_and_large_ones_estimated(model):
    large = torch.nn.Linear(512, 512)
    for net, tolerance in ((model, 1e-5), (large, 0.05)):
        norms = StateNorms.of(net)
        norms.before_update()
        before = [p.detach().clone() for p in norms.parameters.values()]
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter) * parameter.requires_grad)
        after = list(norms.parameters.values())
        exact = torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)]).norm().item()
        updates, samples, scales = norms.sampled()
        assert total(fetch(updates), scales) == pytest.approx(exact, rel=tolerance)
        whole = torch.cat([a.flatten() for a in after]).norm().item()
        assert total(fetch(samples), scales) == pytest.approx(whole, rel=tolerance)
    assert SAMPLED_ELEMENTS < 512 * 512


def test_the_sample_does_not_depend_on_the_memory_format():
    weight = torch.randn(64, 64, 3, 3)
    results = []
    for memory in (torch.contiguous_format, torch.channels_last):
        conv = torch.nn.Conv2d(64, 64, 3)
        conv.weight.data = weight.clone().to(memory_format=memory)
        conv.bias.data.zero_()
        norms = StateNorms.of(conv)
        for _ in range(2):
            norms.before_update()
            with torch.no_grad():
                conv.weight.mul_(1.5)
        updates, samples, _ = norms.sampled()
        results.append(fetch([*updates, *samples]))
    assert results[0] == pytest.approx(results[1], rel=1e-6)
    assert results[0][0] == pytest.approx(results[0][2] / 3, rel=1e-6), "a third of what is there came last"


def test_a_model_without_normalization_has_no_buffers():
    assert StateNorms.of(torch.nn.Linear(2, 2)).buffers() == {}


def test_fetch_keeps_double_and_order():
    assert fetch([torch.tensor(1.0), torch.tensor(1 / 3, dtype=torch.float64)]) == [1.0, 1 / 3]
    assert fetch([]) == []


def test_fetch_takes_scalars_of_every_kind():
    scalars = [torch.tensor(2.0, requires_grad=True), torch.ones(1), torch.tensor(3), torch.tensor(0.5).half()]
    assert fetch(scalars) == [2.0, 1.0, 3.0, 0.5]
    assert scalars[0].requires_grad

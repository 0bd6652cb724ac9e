"""Norms of models that a training changes as it goes, held against float64: measured is what stands there then."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from harness.recording.norms import StateNorms
from harness.recording.reductions import block_norms, fetch, total


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4))


def exact(tensors):
    return sum(tensor.detach().double().square().sum().item() for tensor in tensors) ** 0.5


def trained(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def estimated(norms, scales):
    (found,) = fetch(norms)
    return total(found, scales)


def cut_in_place(model):
    model[2].weight = nn.Parameter(model[2].weight.data[:3])
    model[2].bias.data = model[2].bias.data[:3]


def replace_a_module(model):
    model[2] = nn.Linear(5, 4)


def add_a_module(model):
    model.append(nn.Linear(4, 3))


def prune_a_layer(model):
    prune.l1_unstructured(model[0], "weight", 0.5)


def let_go_of_a_bias(model):
    model[0].bias = None


def clamp_unseen(model):
    for parameter in model.parameters():
        parameter.data.mul_(0.5)  # which PyTorch doesn't count as a write


def write_through_numpy(model):
    model[0].weight.detach().numpy()[...] *= 3.0


CHANGES = {
    "weights cut where they lie": cut_in_place,
    "a module in another's place": replace_a_module,
    "a module more": add_a_module,
    "a module less": lambda model: model.__delitem__(2),
    "a layer frozen": lambda model: model[0].requires_grad_(False),
    "a frozen layer trained": lambda model: model[2].requires_grad_(True),
    "a parametrization": lambda model: parametrizations.weight_norm(model[0]),
    "pruned": prune_a_layer,
    "a bias let go of": let_go_of_a_bias,
    "weights of another dtype": lambda model: model.double(),
    "a layer of another memory": lambda model: model.load_state_dict(small_model().state_dict(), assign=True),
    "writes that aren't counted": clamp_unseen,
    "writes through NumPy": write_through_numpy,
    "nothing": lambda model: None,
}


WRITES = {"weights of another dtype", "writes that aren't counted", "writes through NumPy"}
"""What is written between two iterations belongs to the later one's update, but for the one that is looked at here."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fused", [False, True])
def test_norms_are_those_of_what_is_trained_now(change, fused):
    model = small_model()
    model[2].requires_grad_(change != "a frozen layer trained")
    norms = StateNorms(model)
    for iteration in range(4):
        if iteration == 2:
            CHANGES[change](model)
        if iteration == 0 or (iteration == 2 and change in WRITES):
            norms.start_here()
        else:
            norms.follow()
        before = [parameter.detach().double().clone() for parameter in trained(model)]
        for parameter in trained(model):
            parameter.grad = torch.full_like(parameter, 0.1)
        torch.optim.SGD(trained(model), lr=0.1, fused=fused).step()
        updates, values, scales = norms.sampled()
        update, value = fetch(updates, values)
        wanted = exact([after.detach().double() - old for after, old in zip(trained(model), before, strict=True)])
        assert total(update, scales) == pytest.approx(wanted, rel=1e-5)
        assert total(value, scales) == pytest.approx(exact(trained(model)), rel=1e-6)
        weights, named = norms.weights(), dict(model.named_parameters())
        assert all(named[name.removeprefix("param/")] is tensor for name, tensor in weights.items())
        (told,) = fetch(block_norms(weights.values()))
        assert told == pytest.approx([exact([tensor]) for tensor in weights.values()], rel=1e-6)


def test_a_tensor_that_is_taken_out_is_told_no_more_and_one_that_comes_changes_no_names():
    model = small_model()
    norms = StateNorms(model)
    names = {*norms.weights(), *norms.buffers()}
    assert names == {f"param/{name}" for name, _ in model.named_parameters()} | {
        "mean/1.running_mean",
        "var/1.running_var",
    }
    model.append(nn.Linear(4, 3))
    model[2].bias = None
    model[1].running_mean = model[1].running_var = None
    norms.sampled()
    assert {*norms.weights(), *norms.buffers()} == {name for name in names if "1.running" not in name} - {
        "param/2.bias"
    }


def update_of_ones(norms, bias):
    """The update that is told where each element of a bias is moved by one."""
    norms.start_here()
    with torch.no_grad():
        bias.add_(1.0)
    updates, _, scales = norms.sampled()
    return estimated(updates, scales)


@pytest.mark.parametrize("outputs", [4, 9], ids=["the same size", "another size"])
def test_where_a_layer_is_replaced_within_a_step_there_is_no_update_and_then_there_is_one_again(outputs):
    model = small_model()
    norms = StateNorms(model)
    norms.start_here()
    model[2] = nn.Linear(5, outputs)
    assert norms.sampled()[0] is None
    assert update_of_ones(norms, model[2].bias) == pytest.approx(outputs**0.5)


def test_an_iteration_in_inference_mode_leaves_nothing_that_later_ones_stumble_over():
    model = small_model()
    norms = StateNorms(model)
    with torch.inference_mode():
        norms.start_here()
        norms.sampled()
    for _ in range(2):
        assert update_of_ones(norms, model[2].bias) == pytest.approx(2.0)


def test_updates_of_narrow_parameters_are_not_rounded_to_their_dtype():
    model = nn.Linear(40, 40).bfloat16()
    norms = StateNorms(model)
    norms.start_here()
    before = model.weight.detach().double().clone()
    with torch.no_grad():
        model.weight.mul_(-0.37)
    updates, _, scales = norms.sampled()
    assert estimated(updates, scales) == pytest.approx(exact([model.weight.detach().double() - before]), rel=1e-6)


def test_memory_that_a_training_lets_go_of_is_not_read():
    model = nn.Linear(40, 40)
    norms = StateNorms(model)
    norms.start_here()
    model.weight.untyped_storage().resize_(0)
    _, values, scales = norms.sampled()
    assert estimated(values, scales) == pytest.approx(exact([model.bias]))
    assert set(norms.weights()) == {"param/bias"}

"""Start weights: the same bytes everywhere, a function of seed, name and shape alone."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from harness.recording.start_weights import _draws
from harness.values.errors import ModelError
from models import build_model, draw_start_weights, weights_digest


def _net(width=8):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))


def _drawn(model, seed=0, **settings):
    draw_start_weights(model, seed, **settings)
    return model


def _splitmix64(state):
    """One word, in Python's own integers: Steele, Lea, Flood, figure 16."""
    mask = (1 << 64) - 1
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)


def test_the_bytes_are_pinned():
    assert weights_digest(_drawn(_net())) == "45827602c440055ac745036a9628b0af1bd1373649a54fd7a4dd653122cc6f65"


def test_the_bytes_of_a_whole_model_are_pinned():
    assert (
        weights_digest(_drawn(build_model("emanet_small")))
        == "eb781d2f9f94ec4966baf53658f646496163f3f45f4e3dd937774c292cfe06e4"
    )


def test_the_draws_are_splitmix64():
    key = int.from_bytes(hashlib.sha256(b"7:a.weight").digest()[:8], "little")
    words = [_splitmix64((key + (i + 1) * 0x9E3779B97F4A7C15) & ((1 << 64) - 1)) for i in range(40_000)]
    expected = [half - 2**23 for word in words for half in (word >> 40, (word >> 8) & 0xFFFFFF)]
    assert _draws(7, "a.weight", 80_000).tolist() == expected
    assert _draws(7, "a.weight", 3).tolist() == expected[:3]


def test_the_draws_are_uniform_within_their_bound():
    weight = _drawn(nn.Conv2d(64, 64, 3)).weight.detach().double()
    bound = (6 / (64 * 9)) ** 0.5
    assert weight.abs().max() <= bound
    assert abs(weight.mean()) < 4 * bound / (3 * weight.numel()) ** 0.5
    assert weight.var() == pytest.approx(bound**2 / 3, rel=0.02)


def test_a_tensor_depends_on_its_seed_name_and_shape_alone():
    small, large = _drawn(_net()), _drawn(_net(16))
    assert torch.equal(_drawn(_net()).state_dict()["0.weight"], small.state_dict()["0.weight"])
    assert not torch.equal(_drawn(_net(), seed=1).state_dict()["0.weight"], small.state_dict()["0.weight"])
    assert not torch.equal(small.state_dict()["2.weight"].flatten(), large.state_dict()["2.weight"].flatten()[:16])
    assert torch.equal(small.state_dict()["0.weight"] * 1, large.state_dict()["0.weight"][:8])


def test_a_double_model_starts_from_the_same_numbers():
    single, double = _drawn(_net()), _drawn(_net().double())
    for name, tensor in single.state_dict().items():
        assert torch.equal(tensor.double(), double.state_dict()[name].double()), name


def test_norms_start_as_the_identity_and_the_last_of_a_branch_where_told():
    model = _drawn(build_model("ann_small"), last_norm=0.25)
    weights = model.state_dict()
    assert set(weights["backbone.layer1.0.bn1.weight"].tolist()) == {1.0}
    assert set(weights["backbone.layer1.0.bn2.weight"].tolist()) == {1.0}
    assert set(weights["backbone.layer1.0.bn3.weight"].tolist()) == {0.25}
    assert set(weights["backbone.layer1.0.downsample.1.weight"].tolist()) == {1.0}
    assert set(weights["backbone.layer1.0.bn3.running_var"].tolist()) == {1.0}


def test_hrnets_basic_blocks_end_with_their_second_norm_and_its_stem_is_no_block():
    weights = _drawn(build_model("ocrnet_small"), last_norm=0.0).state_dict()
    assert set(weights["backbone.stage2.0.branches.0.0.bn2.weight"].tolist()) == {0.0}
    assert set(weights["backbone.bn2.weight"].tolist()) == {1.0}


def test_hrnets_exchange_between_branches_ends_with_the_last_norm_of_each_path():
    weights = _drawn(build_model("ocrnet_small"), last_norm=0.0).state_dict()
    up, down = "backbone.stage4.0.fuse_layers.0.3", "backbone.stage4.0.fuse_layers.3.0"
    assert set(weights[f"{up}.1.weight"].tolist()) == {0.0}
    assert [set(weights[f"{down}.{i}.1.weight"].tolist()) for i in range(3)] == [{1.0}, {1.0}, {0.0}]


def test_attention_is_there_from_the_first_iteration():
    assert _drawn(build_model("ccnet_small"), gamma=0.5).state_dict()["decode_head.cca.gamma.scale"] == 0.5
    assert _drawn(build_model("ann_small")).decode_head.fusion.stages[0].out_project.weight.abs().max() > 0


def test_bases_have_length_one():
    bases = _drawn(build_model("emanet_small")).state_dict()["decode_head.ema_module.bases"].double()
    assert np.allclose(bases.norm(dim=1).numpy(), 1.0, atol=1e-6)


def test_a_setting_that_is_not_finite_is_refused():
    with pytest.raises(ModelError, match=r"alignment\.start\.gain"):
        draw_start_weights(_net(), 0, gain=float("nan"))


def test_the_digest_sees_one_bit_a_name_and_a_dtype():
    model = _drawn(_net())
    before = weights_digest(model)
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = torch.nextafter(model[0].weight[0, 0, 0, 0], torch.tensor(9.0))
    assert weights_digest(model) != before
    assert weights_digest(_drawn(_net()).double()) != before
    assert weights_digest(nn.Sequential(_drawn(_net()))) != before

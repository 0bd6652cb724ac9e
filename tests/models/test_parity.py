"""The models compute what mmsegmentation's compute, in float64, from the same weights."""

import hashlib

import numpy as np
import pytest
import torch

from models import build_model, config_names

SEEDS = {
    "ann": "ann_r50-d8_4xb2-40k_cityscapes-512x1024",
    "ccnet": "ccnet_r50-d8_4xb2-40k_cityscapes-512x1024",
    "emanet": "emanet_r50-d8_4xb2-80k_cityscapes-512x1024",
    "ocrnet": "ocrnet_hr18_4xb2-40k_cityscapes-512x1024",
}
METHODS = {
    **{
        name: f"{name}_r50-d8_4xb2-40k_cityscapes-512x1024"
        for name in ("fcn", "pspnet", "psanet", "encnet", "deeplabv3", "deeplabv3plus")
    },
    "upernet": "upernet_r50_4xb2-40k_cityscapes-512x1024",
    "bisenetv1": "bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024",
}
RECORDED = ("fcn", "pspnet", "encnet", "upernet")
ODD = {
    "ann_odd": "ann_r50-d8_4xb2-40k_cityscapes-769x769",
    "ccnet_odd": "ccnet_r50-d8_4xb2-40k_cityscapes-769x769",
    "emanet_odd": "emanet_r50-d8_4xb2-80k_cityscapes-769x769",
    "ocrnet_r101_odd": "ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024",
}


@pytest.mark.parametrize("name", SEEDS)
def test_the_names_and_shapes_are_those_of_the_published_checkpoints(name, state_dicts, lines_of):
    with torch.device("meta"):
        model = build_model(SEEDS[name])
    assert lines_of(model) == state_dicts(name)


@pytest.mark.parametrize(
    "name",
    [
        "ann_r101-d8_4xb2-40k_cityscapes-512x1024",
        "ccnet_r101-d8_4xb2-40k_cityscapes-512x1024",
        "emanet_r101-d8_4xb2-80k_cityscapes-512x1024",
        "ocrnet_hr18s_4xb2-40k_cityscapes-512x1024",
        "ocrnet_hr48_4xb2-40k_cityscapes-512x1024",
        "ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024",
    ],
)
def test_a_variant_has_the_names_and_shapes_of_its_checkpoints(name, variants, lines_of):
    with torch.device("meta"):
        lines = lines_of(build_model(name))
    assert len(lines) == variants[name]["tensors"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == variants[name]["sha256"]


def test_every_config_builds():
    for name in config_names():
        with torch.device("meta"):
            build_model(name)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_the_names_and_shapes_of_its_checkpoints(name, state_dicts, lines_of):
    with torch.device("meta"):
        model = build_model(METHODS[name])
    assert lines_of(model) == state_dicts(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_a_training_iteration_of_a_method_is_the_same(name, fill, batch, record):
    _assert_same(fill(build_model(METHODS[name])), batch, record(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_training_iteration_is_the_same(name, fill, batch, record):
    _assert_same(fill(build_model(SEEDS[name])), batch, record(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_odd_sizes_and_aligned_corners_are_the_same(name, fill, odd_batch, record):
    _assert_same(fill(build_model(ODD[name])), odd_batch, record(name))


@pytest.mark.slow
def test_hrnet_is_the_same_where_no_branch_is_half_the_one_above(fill, odd_batch, record):
    model = build_model(SEEDS["ocrnet"])
    for head in model.decode_head:
        head.align_corners = True
    _assert_same(fill(model), odd_batch, record("ocrnet_odd"))


def _assert_same(model, batch, record):
    images, labels = batch
    with torch.no_grad():
        logits = model.eval().logits(images).numpy()
    assert logits.shape == record["logits"].shape
    assert np.abs(logits - record["logits"]).max() <= 1e-9 * np.abs(record["logits"]).max()

    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    for number, expected in enumerate(record["steps"]):
        losses = model.losses(images, labels)
        total = sum(value for name, value in losses.items() if "loss" in name)
        assert {*losses, "loss"} == set(expected)
        for name, value in {**losses, "loss": total}.items():
            # Accuracy is float32; the second iteration sees every gradient through the optimizer, less sharply.
            allowed = 1e-6 if "acc" in name else (1e-10, 1e-9)[number]
            # The field's binary cross-entropy takes a float32 target, and PyTorch then computes it in float32.
            if "decode.loss_se" in losses and (number or name in ("loss", "decode.loss_se")):
                allowed = max(allowed, 1e-7)
            assert value.item() == pytest.approx(expected[name], rel=allowed), name
        optimizer.zero_grad()
        total.backward()
        if number == 0:
            _assert_same_gradients(model, record["grad_norms"])
            _assert_same_buffers(model, record["buffer_norms_after_fwd"])
        optimizer.step()


def _assert_same_gradients(model, expected):
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert gradients.keys() == expected.keys()
    for name, norm in expected.items():
        if norm is None:
            assert gradients[name] is None, name
        elif norm < 1e-6:  # zero in exact arithmetic: a bias before a norm or before a softmax
            assert gradients[name].norm().item() < 1e-6, name
        else:
            assert gradients[name].norm().item() == pytest.approx(norm, rel=1e-7), name


def _assert_same_buffers(model, expected):
    buffers = {name: b for name, b in model.named_buffers() if not name.startswith("data_preprocessor")}
    assert buffers.keys() == expected.keys()
    for name, norm in expected.items():
        assert buffers[name].double().norm().item() == pytest.approx(norm, rel=1e-10), name

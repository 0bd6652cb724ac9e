"""The blocks' cost beside non-local ones: what is counted is right, and what doesn't fit is said."""

from types import SimpleNamespace

import pytest
import torch

from harness.efficiency import comparisons
from harness.efficiency import measurement as efficiency
from harness.efficiency.comparisons import Claim, Comparison
from harness.values.errors import AlignmentError, UsageError
from models.nonlocal_block import NonLocal


def _small(at_least=1.0):
    return Comparison(
        *("toy", "identity", (1, 16, 12, 12), lambda: torch.nn.Conv2d(16, 16, 1)),
        *("non-local", lambda: NonLocal(16, 2, 16)),
        claims=(Claim("less memory", "memory_ratio", at_least),),
    )


def test_a_convolutions_macs_and_a_non_local_blocks(monkeypatch):
    monkeypatch.setattr(efficiency, "COMPARISONS", (_small(),))
    (row,) = efficiency.measure(("toy",), repeats=1)
    assert row.gmac == 16 * 16 * 144 / 1e9
    assert row.gmac_ratio == (144 * 16 * (2 + 2 + 16) + 144 * 144 * (2 + 16)) / (16 * 16 * 144)
    assert row.parameters == 16 * 16 + 16
    # Forward and backward hold at least the output and the gradient of the input.
    assert 2 * 16 * 144 * 4 <= row.memory_bytes <= 6 * 16 * 144 * 4
    assert row.memory_ratio > 1
    assert row.claim.startswith("less memory: holds")


def test_a_claim_that_does_not_hold_is_said(monkeypatch):
    monkeypatch.setattr(efficiency, "COMPARISONS", (_small(at_least=1e9),))
    (row,) = efficiency.measure(repeats=1)
    assert "does not hold" in row.claim


def test_a_block_that_does_not_fit_is_not_measured(monkeypatch):
    monkeypatch.setattr(efficiency, "COMPARISONS", (_small(),))
    monkeypatch.setattr(efficiency, "_fits", lambda *_: False)
    (row,) = efficiency.measure(repeats=1)
    assert row.memory_ratio is None
    assert row.time_ratio is None
    assert "not measured" in row.claim


def test_inference_is_measured_without_gradients_and_less_an_empty_block(monkeypatch):
    """As the original's programs do: parameters count, the input doesn't, an empty block's time is taken off."""
    modes = []

    class Block(torch.nn.Conv2d):
        def forward(self, x):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    comparison = Comparison(
        *("toy", "convolution", (1, 16, 12, 12), lambda: Block(16, 16, 1)),
        *("non-local", lambda: NonLocal(16, 2, 16)),
        inference=True,
    )
    monkeypatch.setattr(efficiency, "COMPARISONS", (comparison,))

    def seconds(run, _):
        run()
        empty = run.__closure__[0].cell_contents
        return 1.0 if isinstance(empty, torch.nn.Identity) else 4.0

    monkeypatch.setattr(efficiency, "_seconds", seconds)
    (row,) = efficiency.measure(("toy",), repeats=1)
    assert set(modes) == {(False, False)}
    assert (row.measured, row.seconds, row.time_ratio) == ("inference", 3.0, 1.0)
    parameters = (16 * 16 + 16) * 4
    assert parameters + 16 * 144 * 4 <= row.memory_bytes <= parameters + 4 * 16 * 144 * 4


def test_anns_claim_stands_beside_its_own_measurement():
    claimed = [row for row in comparisons.COMPARISONS if row.model == "ann" and row.claims]
    assert [(row.inference, row.shape) for row in claimed] == [(True, (1, 2048, 256, 128))]
    sizes = [row.shape[2:] for row in comparisons.COMPARISONS if row.inference]
    assert sizes == [(96, 96), (128, 128), (256, 128)]


def test_every_block_keeps_the_shape_of_its_map():
    for comparison in comparisons.COMPARISONS:
        x = torch.randn(1, comparison.shape[1], 9, 10)
        for build in (comparison.build, comparison.build_nonlocal):
            assert build()(x).shape == x.shape


@pytest.mark.parametrize(("models", "device"), [(("unet",), "cpu"), ((), "sdaa")])
def test_what_can_not_be_measured_is_refused(models, device):
    with pytest.raises(AlignmentError):
        next(efficiency.measure(models, device))


@pytest.mark.slow
def test_criss_cross_attention_is_eight_times_leaner_than_non_local(monkeypatch):
    monkeypatch.setattr(efficiency, "_seconds", lambda *_: 1.0)  # the passes that are timed say nothing of memory
    (row,) = efficiency.measure(("ccnet",), repeats=1)
    assert row.memory_ratio >= 8
    assert 2 * row.gmac <= 16.6


def test_a_device_whose_allocator_does_not_count_is_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(efficiency, "open_device", lambda *_: None)
    monkeypatch.setattr("harness.devices.cuda.Cuda.absence", lambda _: "")
    monkeypatch.setattr("harness.devices.cuda.Cuda.module", SimpleNamespace(memory_allocated=int))
    with pytest.raises(UsageError, match="how much memory") as refused:
        next(efficiency.measure((), "cuda"))
    assert "reset_peak_memory_stats, max_memory_allocated" in str(refused.value)

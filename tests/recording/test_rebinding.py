"""An optimizer may put another tensor in a parameter's place: what is recorded follows the parameter."""

import torch

from harness.recording.norms import StateNorms
from harness.recording.reductions import block_norms, fetch, total


def test_norms_follow_a_parameter_whose_data_are_replaced():
    model = torch.nn.Linear(4, 4)
    norms = StateNorms(model)
    for step in range(1, 4):
        norms.start_here()
        for parameter in model.parameters():
            parameter.data = torch.full_like(parameter, float(step))
        updates, values, scales = norms.sampled()
        update, value, weights = fetch(updates, values, block_norms(norms.weights().values()))
        assert total(value, scales) == (20 * step**2) ** 0.5
        assert total(weights) == (20 * step**2) ** 0.5
        if step > 1:
            assert total(update, scales) == 20**0.5

"""What a step logs, and what of an optimizer's groups must be equal."""

from types import SimpleNamespace

import pytest
import torch

from harness.training.mmengine_runner import RunnerTraining
from harness.training.own_loop import OwnTraining, settings_of
from harness.values.errors import TraceError


def runner_training():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return RunnerTraining(SimpleNamespace(model=model, optim_wrapper=SimpleNamespace(optimizer=optimizer)))


def test_a_plain_number_that_mmengine_s_model_logs_is_kept():
    logged = runner_training().logged({"loss": torch.tensor(2.0), "accuracy": 0.5})
    assert {name: float(value) for name, value in logged.items()} == {"loss": 2.0, "accuracy": 0.5}


def test_what_is_no_scalar_is_refused_by_name():
    with pytest.raises(TraceError, match="no scalar") as refused:
        runner_training().logged({"loss": torch.tensor(2.0), "note": "fine"})
    assert "note" in str(refused.value.where)


def test_a_setting_that_a_later_group_alone_has_must_be_equal():
    model = torch.nn.Linear(2, 1)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "name": "biases"}]
    settings = settings_of(OwnTraining(model, torch.optim.SGD(groups, lr=0.1)), {})
    assert settings["optimizers.0.name"] == "None, 'biases'"

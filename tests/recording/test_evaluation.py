"""What a model answers in evaluation mode is asked without a trace in the run."""

import copy
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from harness.recording.evaluation_probe import EvaluationProbe, add_up, evaluated_iterations
from harness.training.mmengine_runner import RunnerTraining
from models.losses import confusion_matrix


def training_of(model, context=lambda model: nullcontext()):
    """The model as mmengine's Runner has it."""
    wrapper = SimpleNamespace(optimizer=None, optim_context=context)
    return RunnerTraining(SimpleNamespace(model=model, optim_wrapper=wrapper))


class Model(torch.nn.Module):
    """Normalizes, drops, classifies; its second norm is frozen in evaluation mode."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.bn, self.frozen = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
        self.dropout = torch.nn.Dropout(0.5)
        self.conv = torch.nn.Conv2d(3, 4, 1)
        self.train()
        self.frozen.eval()

    def data_preprocessor(self, batch, training):
        assert training
        return {"inputs": batch["inputs"] * 2, "labels": batch["labels"]}

    def forward(self, inputs, labels, mode):
        assert mode == "loss"
        logits = self.conv(self.dropout(self.frozen(self.bn(inputs))))
        answer = {"decode.loss_ce": torch.nn.functional.cross_entropy(logits, labels), "decode.acc_seg": logits.sum()}
        return answer if self.training else {**answer, "decode.confusion": confusion_matrix(logits, labels)}


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        "inputs": torch.randn(2, 3, 4, 4, generator=generator),
        "labels": torch.randint(0, 4, (2, 4, 4), generator=generator),
    }


def kept(probe, seed=0):
    probe.keep(batch(seed))
    return probe


def test_it_is_asked_after_the_first_the_ninth_and_the_last_iteration():
    assert sorted(evaluated_iterations(30)) == [0, 8, 29]
    assert sorted(evaluated_iterations(5)) == [0, 4]
    assert sorted(evaluated_iterations(1)) == [0]
    assert kept(EvaluationProbe(30)).ask(training_of(Model()), 3) is None


def test_the_answer_is_that_of_evaluation_mode_to_the_first_batch():
    model, probe = Model(), kept(EvaluationProbe(30))
    probe.keep(batch(1))  # a later one
    answer = probe.ask(training_of(model), 0)
    inputs = model.data_preprocessor(batch(0), True)
    model.eval()
    expected = model(**inputs, mode="loss")
    assert answer["loss/decode.loss_ce"] == pytest.approx(expected["decode.loss_ce"].item())
    assert sum(pixels for name, pixels in answer.items() if name.startswith("pixels/decode/")) == 32
    assert answer["pixels/decode/2/3"] == expected["decode.confusion"][2, 3]
    assert not [name for name in answer if "acc" in name]


def test_nothing_of_the_run_is_changed():
    model, probe = Model(), kept(EvaluationProbe(30))
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    before, random = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    probe.ask(training_of(model), 8)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert (model.conv.weight.grad == 1).all()
    assert [module.training for module in (model, model.bn, model.dropout)] == [True] * 3
    assert not model.frozen.training


def test_modes_return_also_where_the_model_raises():
    model = Model()
    probe = EvaluationProbe(30)
    probe.keep({"inputs": torch.zeros(2, 5, 4, 4), "labels": torch.zeros(2, 4, 4, dtype=torch.long)})
    assert probe.ask(training_of(model), 0) is None
    assert model.bn.training
    assert not model.frozen.training


def test_a_model_that_does_not_answer_is_asked_once_and_ends_no_run(capsys):
    model = Model()
    probe = EvaluationProbe(30)
    probe.keep({"inputs": torch.zeros(2, 5, 4, 4), "labels": torch.zeros(2, 4, 4, dtype=torch.long)})
    assert [probe.ask(training_of(model), iteration) for iteration in (0, 8, 29)] == [None] * 3
    assert capsys.readouterr().out.count("not asked in evaluation mode: the model ends in RuntimeError") == 1


def test_it_is_asked_at_the_rounding_and_the_precision_of_the_training():
    entered = []

    @contextmanager
    def entering(what):
        entered.append(what)
        yield

    training = training_of(Model(), lambda model: entering("autocast"))
    kept(EvaluationProbe(30, entering)).ask(training, 29)
    assert entered == [29, "autocast"]


def test_processes_add_their_pixels_and_average_their_losses():
    answers = [{"loss/a": 1.0, "pixels/a/0/1": 3.0}, {"loss/a": 2.0, "pixels/a/0/1": 4.0}]
    assert add_up(answers) == {"loss/a": 1.5, "pixels/a/0/1": 7.0}


def test_what_a_model_draws_when_it_is_asked_is_drawn_alike():
    class Drawing(Model):
        def forward(self, inputs, labels, mode):
            return {"decode.loss_point": torch.rand(3, device=inputs.device).sum()}

    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    one = kept(EvaluationProbe(30)).ask(training_of(Drawing()), 0)
    torch.manual_seed(2)
    other = kept(EvaluationProbe(30)).ask(training_of(Drawing()), 0)
    assert one == other
    torch.random.set_rng_state(state)
    kept(EvaluationProbe(30)).ask(training_of(Model()), 8)
    assert kept(EvaluationProbe(30)).ask(training_of(Drawing()), 8) != one

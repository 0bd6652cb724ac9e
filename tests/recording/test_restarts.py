"""A run that is started anew on its way: from the piece's start on it is the run that it was at its first iteration."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.recording.evaluation_probe import evaluated_iterations
from harness.recording.recorder import state_iterations
from harness.recording.restarts import Restarts, piece_seed
from harness.recording.start import StartHook
from harness.recording.start_weights import draw_start_weights
from harness.training.mmengine_runner import RunnerTraining
from harness.training.own_loop import OwnTraining


class Net(nn.Module):
    """A norm with statistics, a table that is in no state dict, and one that training replaces by a longer one."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
        self.register_buffer("seen", torch.zeros(2), persistent=False)
        self.register_buffer("queue", torch.zeros(0))

    def forward(self, x):
        if self.training:
            self.seen += x.mean()
            self.queue = torch.cat([self.queue, x.mean()[None]])
        return self.body(x).square().mean() * (1 + self.seen.sum()) + self.queue.sum()


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.1),  # has a state before its first step
}


def losses(net, optimizer, batches, restarts):
    training = OwnTraining(net, optimizer)
    restarts.begin(training)
    told = []
    for iteration, batch in enumerate(batches):
        restarts.before(training, iteration, batch)
        loss = net(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        told.append(loss.item())
    return told


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_with_the_same_batches_a_piece_is_the_first_one_to_the_bit(kind):
    torch.manual_seed(0)
    batches = [torch.randn(2, 3, 6, 6) for _ in range(4)]
    net = Net()
    told = losses(net, OPTIMIZERS[kind](net.parameters()), batches + batches, Restarts((0, 4), lambda *_: None))
    assert told[4:] == told[:4]
    assert len(set(told)) == 4
    net = Net()
    told = losses(net, OPTIMIZERS[kind](net.parameters()), batches + batches, Restarts((0,), lambda *_: None))
    assert told[4:] != told[:4], "without a restart it goes on"


def test_gradients_that_were_accumulated_are_dropped():
    net, restarts = Net(), Restarts((0, 1), lambda *_: None)
    training = OwnTraining(net, torch.optim.SGD(net.parameters(), lr=0.1))
    restarts.begin(training)
    net(torch.randn(2, 3, 6, 6)).backward()
    restarts.before(training, 1, None)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize(("given", "stays"), [((), set()), (("body.0",), {"body.0"}), (("",), {"body.0", "body.2"})])
def test_what_a_case_generates_is_generated_anew_and_what_is_given_returns(given, stays):
    net = Net()
    first = net.body[0].weight.clone()
    start = StartHook(7, {}, given, lambda *_: None)
    runner = SimpleNamespace(model=net, _load_from=None, _resume=False)
    start.before_train(runner)
    training = OwnTraining(net, torch.optim.SGD(net.parameters(), lr=0.1))
    restarts = Restarts((0, 3, 6), start.draw)
    restarts.begin(training)
    begun = {name: module.weight.clone() for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    starts = [begun]
    for iteration in (3, 6):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(1)
            net.body[1].running_var += 3
        restarts.before(training, iteration, None)
        assert torch.equal(net.body[1].running_var, torch.ones(4))
        starts.append({name: net.get_submodule(name).weight.clone() for name in begun})
    for name in begun:
        alike = torch.equal(starts[0][name], starts[1][name])
        assert alike == (name in stays)
        assert torch.equal(starts[1][name], starts[2][name]) == alike
    if "body.0" in stays:
        assert torch.equal(starts[2]["body.0"], first)
    else:
        expected = Net()
        draw_start_weights(expected, piece_seed(7, 2))
        assert torch.equal(starts[2]["body.0"], expected.body[0].weight)


def test_the_loss_scale_of_mixed_precision_returns():
    net = Net()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    wrapper = SimpleNamespace(optimizer=torch.optim.SGD(net.parameters(), lr=0.1), loss_scaler=scaler)
    training, restarts = RunnerTraining(SimpleNamespace(model=net, optim_wrapper=wrapper)), Restarts((0, 1), print)
    scaler.scale(torch.ones(()))
    restarts = Restarts((0, 1), lambda *_: None)
    restarts.begin(training)
    scaler.update(2.0)
    restarts.before(training, 1, None)
    assert scaler.get_scale() == 1024.0


def test_each_piece_is_looked_at_as_a_run_is():
    assert sorted(state_iterations(30, (0, 10, 20))) == [0, 1, 2, 4, 8, 10, 11, 12, 14, 18, 20, 21, 22, 24, 28, 29]
    assert sorted(state_iterations(3, (0, 1, 2))) == [0, 1, 2]
    assert sorted(evaluated_iterations(30, (0, 10, 20))) == [0, 8, 10, 18, 20, 28, 29]
    assert sorted(evaluated_iterations(12, (0, 6))) == [0, 6, 11]

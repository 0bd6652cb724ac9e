"""Records of a log: their numbers, ranks and epochs, the scalar that is read, the settings beside them."""

import numpy as np
import pytest

from harness.logs import read_log
from harness.values.errors import LogError
from tests.logs.written_logs import same, write


def test_records_without_numbers_are_numbered_and_said_so(tmp_path):
    log = read_log(write(tmp_path / "run.log", b"Loss: 2.1\nLoss: 2.0\nval loss: 9\nLoss: 1.9\n"))
    same(log, range(3), [2.1, 2.0, 1.9])
    assert not log.numbered
    assert any("numbered from 0" in decision for decision in log.decisions)


def test_several_records_on_a_line(lines, tmp_path):
    for line in (lines.tcappdll_wide, lines.bare_pair, lines.step_last, lines.bracketed):
        text = " ".join(line(i, 4.0 - i) for i in range(4))
        same(read_log(write(tmp_path / "run.log", text.encode())), range(4), [4.0, 3.0, 2.0, 1.0])


def test_ranks_are_kept_apart(lines, tmp_path):
    text = ""
    for i in range(100):
        for rank in (3, 0, 1):
            text += lines.tcappdll_wide(i, float(10 * rank + i)).replace("rank : 0", f"rank : {rank}") + "\n"
    path = write(tmp_path / "run.log", text.encode())
    log = read_log(path)
    assert sorted(log.ranks) == [0, 1, 3]
    same(log, range(100), range(100))
    assert any("3 ranks" in decision for decision in log.decisions)
    same(read_log(path, rank=3), range(100), range(30, 130))
    mean = read_log(path, rank="mean")
    np.testing.assert_allclose(mean.values, np.arange(100) + 40 / 3)
    with pytest.raises(LogError, match="no record of that rank"):
        read_log(path, rank=2)
    prefixed = "".join(f"[rank{rank}]: loss: {rank}.5 - step: {i}\n" for i in range(3) for rank in (0, 1))
    same(read_log(write(path, prefixed.encode()), rank=1), range(3), [1.5] * 3)


def test_records_that_are_glued_together_by_racing_ranks(lines, tmp_path):
    """As several processes print them to one terminal: two records on a line, then an empty line."""
    text = "".join(
        lines.tcappdll_wide(i, float(i)) + lines.tcappdll_wide(i, 10.0 + i).replace("rank : 0", "rank : 3") + "\n\n"
        for i in range(100)
    )
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, range(100), range(100))
    assert log.ranks[3].values.tolist() == [10.0 + i for i in range(100)]


def test_iterations_of_epochs_are_numbered_through(tmp_path):
    text = "".join(f"Epoch: {e} Iteration: {i} loss: {e}.{i}\n" for e in range(3) for i in range(4))
    log = read_log(write(tmp_path / "run.log", text.encode()))
    assert log.iterations.tolist() == list(range(12))
    assert any("numbered through" in decision for decision in log.decisions)
    mmengine = "".join(
        f"mmengine - INFO - Epoch(train) [{e}][{i:>3}/100]  lr: 1e-2  loss: {e}.{i}\n"
        for e in (2, 3)
        for i in (50, 100)
    )
    assert read_log(write(tmp_path / "run.log", mmengine.encode())).iterations.tolist() == [150, 200, 250, 300]


def test_validation_lines_are_no_training(tmp_path):
    text = "Epoch [1/2], Iteration [1/9], Loss: 2.0\nTest: Iteration [1/9], Loss: 7.0\nValidation Loss: 8.0\n"
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, [1], [2.0])


@pytest.mark.parametrize(
    ("metric", "found", "value"),
    [
        ("loss", "loss", 1.75),
        ("decode.loss_ce", "decode.loss_ce", 1.4961),
        ("loss_ce", None, None),
        ("lr", "lr", 9.9891e-3),
    ],
)
def test_any_scalar_can_be_chosen(lines, tmp_path, metric, found, value):
    path = write(tmp_path / "run.log", (lines.mmengine_iter(50, 1.75) + "\n").encode())
    if found is None:
        with pytest.raises(LogError, match=r"decode\.loss_ce, aux\.loss_ce"):
            read_log(path, metric=metric)
        return
    log = read_log(path, metric=metric)
    assert log.metric == found
    assert log.values.tolist() == [value]
    assert "aux.loss_ce" in log.metrics


def test_several_losses_have_to_be_chosen_from(tmp_path):
    path = write(tmp_path / "run.log", b"Epoch [1/9], Step [1], Loss_D: 1.0, Loss_G: 0.5, D(x): 0.4\n")
    with pytest.raises(LogError, match="Loss_D, Loss_G"):
        read_log(path)
    same(read_log(path, metric="loss_g"), [1], [0.5])


def test_smoothed_logs_are_recognised(lines, tmp_path):
    path = write(tmp_path / "run.log", (lines.mmengine_iter(50, 1.75) + "\n").encode())
    log = read_log(path)
    assert log.window == 10
    assert any("running mean" in decision for decision in log.decisions)
    path.write_text("log_processor = dict(by_epoch=False, window_size=1)\n" + lines.mmengine_iter(50, 1.75) + "\n")
    assert read_log(path).window == 1


def test_settings_are_found_in_the_header(lines, tmp_path):
    header = """
System environment:
    GPU 0: NVIDIA GeForce RTX 4090
    PyTorch: 2.7.1+cu118
Runtime environment:
    seed: 612048961
    Distributed launcher: pytorch
    GPU number: 4
train_dataloader = dict(
    batch_size=2,
optim_wrapper = dict(type='AmpOptimWrapper')
"""
    path = tmp_path / "run.log"
    path.write_text(header + lines.mmengine_iter(50, 1.75) + "\n")
    found = read_log(path).settings
    assert found | {
        "seed": "612048961", "world size": "4", "batch size": "2", "global batch": "8", "precision": "amp",
        "torch": "2.7.1+cu118", "device": "NVIDIA GeForce RTX 4090", "launcher": "pytorch",
    } == found  # fmt: skip


def test_an_epoch_past_what_a_whole_number_holds_is_none(tmp_path):
    path = tmp_path / "run.log"
    path.write_text("".join(f"epoch 12345678901234567890 my loss {number}.5\n" for number in range(5)))
    log = read_log(path)
    assert log.series.values.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert not log.numbered

"""Each program's log, as people have it: through a launcher, coloured, resumed, from many processes, with odd numbers."""

import gzip
import math
import re

import numpy as np
import pytest

from harness.logs import read_log
from harness.values.errors import LogError
from tests.logs.printed_programs import EPOCHS, STEPS, printed, trainer_log
from tests.logs.written_logs import same, write

ROWS = (
    "ms-swift",
    "LLaMA-Factory",
    "W&B history",
    "detectron2 metrics.json",
    "mmengine scalars",
    "mmdet 2.x .log.json",
)
GUESSED = ("DCGAN, one loss",)
LOSSES = [8 * math.exp(-at / 90) + 0.3 * math.sin(7 * at) for at in range(90)]


def before_each_line(word):
    return lambda text: re.sub(r"(?m)^(?=.)", word, text)


DISGUISES = {
    "plain": str,
    "colours": lambda text: re.sub(r"(?m)^(.+)$", "\x1b[32m\\1\x1b[0m", text),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "torchrun": before_each_line("[rank0]:"),
    "mpirun": before_each_line("[1,0]<stdout>:"),
    "srun": before_each_line("0: "),
    "docker": before_each_line("2024-05-01T10:00:00.123456789Z "),
    "ray": before_each_line("(RayTrainWorker pid=1234, ip=10.0.0.1) "),
    "compose": before_each_line("worker-0  | "),
    "a header": lambda text: "Namespace(lr=0.01, loss='ce', seed=1)\n/usr/lib/x.py:12: UserWarning: loss is 3\n" + text,
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("name", [*STEPS, *EPOCHS])
def test_disguises_change_nothing(tmp_path, name, disguise):
    text, iterations, values = printed(name, LOSSES)
    log = read_log(write(tmp_path / "run.log", DISGUISES[disguise](text).encode()))
    same(log, iterations, values)
    assert log.numbered
    assert log.guessed is (name in GUESSED)


@pytest.mark.parametrize("name", [*STEPS, *EPOCHS])
def test_what_is_read_in_bulk_is_read_alike(tmp_path, name):
    """Beyond 64 records lines are read many at a time; every other program's lines between them stay out."""
    text, iterations, values = printed(name, [LOSSES[at % 90] + 1e-3 * (at // 90) for at in range(1200)])
    same(read_log(write(tmp_path / "run.log.gz", gzip.compress(text.encode()))), iterations, values)


@pytest.mark.parametrize("count", [30, 300])
@pytest.mark.parametrize("launched", ["[1,{}]<stdout>:", "{}: ", "(Worker pid=10{}) ", "worker-{}  | ", "[rank{}]: "])
def test_processes_of_a_launcher_are_ranks(tmp_path, launched, count):
    text = "".join(
        f"{launched.format(rank)}iter {i}: loss {rank + 1}.{i:04d}, time 120.50ms, mfu 12.10%\n"
        for i in range(count)
        for rank in (0, 1)
    )
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, range(count), [float(f"1.{i:04d}") for i in range(count)])
    assert log.ranks[1].values[3] == 2.0003


def test_processes_that_nothing_tells_apart_are_refused(tmp_path):
    text = "".join(
        f"Epoch: [0][{i:4d}/5005]\tTime  0.3 ( 0.4)\tLoss {g}.{i}e+00 (6.9e+00)\n" for i in range(9) for g in (1, 2)
    )
    with pytest.raises(LogError, match="several records of one iteration"):
        read_log(write(tmp_path / "run.log", text.encode()))


def test_an_iteration_that_begins_each_line_is_no_process(tmp_path):
    text = "".join(
        f" {i}: {9 - i / 100:.6f}, 9.567000 avg loss, 0.001000 rate, 2.3 seconds, 64 images\n" for i in range(1, 99)
    )
    same(
        read_log(write(tmp_path / "run.log", text.encode())),
        range(1, 99),
        [round(9 - i / 100, 6) for i in range(1, 99)],
    )


@pytest.mark.parametrize("redrawn", [False, True])
def test_the_trainers_bar_gives_its_dicts_the_step_they_belong_to(tmp_path, redrawn):
    """Drawn at most ten times a second, the bar above a dict may be an older one; behind it it is drawn again."""
    text, iterations, values = trainer_log(LOSSES, redrawn=redrawn)
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, iterations, values)
    assert log.numbered


def test_dicts_that_were_buffered_take_their_step_from_the_epoch_or_none(tmp_path):
    bars = "".join(f"\r 10%|# | {i}/450 [00:00<00:01, 130.83it/s]" for i in range(451)) + "\n"
    dicts = "".join(f"{{'loss': {loss:.4f}, 'epoch': {at / 16}}}\n" for at, loss in enumerate(LOSSES, 1))
    path = write(tmp_path / "run.log", (bars + dicts).encode())
    assert not read_log(path).numbered
    path.write_text(bars + dicts + f"{{'train_runtime': 1.0, 'train_loss': 9.0, 'epoch': {90 / 16}}}\n")
    same(read_log(path), range(5, 455, 5), [float(f"{loss:.4f}") for loss in LOSSES])


RESTARTS = {
    "resumed, and further": ([*range(80), *range(60, 120)], 120, 60),
    "resumed, and not so far": ([*range(80), *range(60, 70)], 70, 60),
    "begun anew, and not so far": ([*range(80), *range(50)], 50, 0),
}


@pytest.mark.parametrize("kind", RESTARTS)
def test_what_a_resume_leaves_behind_is_left_out(tmp_path, kind):
    iterations, count, resumed = RESTARTS[kind]
    text = "".join(f"iter {i}: loss {at}.5, time 120.50ms, mfu 12.10%\n" for at, i in enumerate(iterations))
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, range(count), [(at if at < resumed else 80 + at - resumed) + 0.5 for at in range(count)])


def test_lines_out_of_order_are_no_resume(tmp_path):
    order = [1, 2, 4, 3, 5, 6, 7, 9, 8, 10]
    text = "".join(f"iter {i}: loss {i}.5, time 120.50ms, mfu 12.10%\n" for i in order)
    same(read_log(write(tmp_path / "run.log", text.encode())), range(1, 11), [i + 0.5 for i in range(1, 11)])


@pytest.mark.parametrize("count", [2000, 20_000])
def test_thousands_are_read_whole_in_bulk(tmp_path, count):
    every = count // 400
    steps = range(0, count, every)
    text = "".join(f"2025-01-01 step={i:,} loss={2000 - i / every:,.2f} lr=0.1\n" for i in steps)
    same(read_log(write(tmp_path / "run.log", text.encode())), steps, [2000 - i / every for i in steps])
    text = "".join(f"iter {i:,}: loss {9 - i / count:.4f}, time 120.50ms, mfu 12.10%\n" for i in steps)
    same(read_log(write(tmp_path / "run.log", text.encode())), steps, [round(9 - i / count, 4) for i in steps])


NUMBERS = {
    "decimal commas": ("step 1 loss: 2,51 lr: 0,01\nstep 2 loss: 2,412 lr: 0,01\n", [1, 2], [2.51, 2.412]),
    "Microsoft's spellings": (
        "".join(f"step {i} loss {text}\n" for i, text in enumerate(["-nan(ind)", "1.#QNAN", "-1.#INF", "1.#INF00", "2.5"])),
        range(5),
        [math.nan, math.nan, -math.inf, math.inf, 2.5],
    ),
    "full-width digits": ("迭代：１００，损失：２．３１\n迭代：２００，损失：２．１１\n", [100, 200], [2.31, 2.11]),
    "Chinese phases": ("【训练】步数：10 损失：2.5\n【验证】步数：10 损失：9.5\n【训练】步数：20 损失：2.4\n", [10, 20], [2.5, 2.4]),
    "Chinese counters": ("第 1/3 轮 第 10/20 步 损失值：2.5\n第 2/3 轮 第 10/20 步 损失值：2.4\n", [10, 30], [2.5, 2.4]),
    "a step on the line above": ("step: 10\nloss: 2.5\nstep: 20\nloss: 2.4\n", [10, 20], [2.5, 2.4]),
    "a step in a sentence": ("After step 10 the loss is 2.5.\nAfter step 20 the loss is 2.4.\n", [10, 20], [2.5, 2.4]),
    "a counter that begins the line": ("[10/100] loss: 2.5 (2.6)\n[20/100] loss: 2.4 (2.5)\n", [10, 20], [2.5, 2.4]),
    "validation before": ("step 1 val_loss: 9.5 loss: 2.5\nstep 2 val_loss: 9.4 loss: 2.4\n", [1, 2], [2.5, 2.4]),
    "validation behind": ("[val] step 10 loss 9.5\n[train] step 10 loss 2.5\n[val] step 20 loss 9.4\n[train] step 20 loss 2.4\n", [10, 20], [2.5, 2.4]),
    "a phase column": ("phase,step,loss\ntrain,10,2.5\nval,10,9.5\ntrain,20,2.4\nval,20,9.4\n", [10, 20], [2.5, 2.4]),
    "phases of rows": ('{"split": "train", "step": 10, "loss": 2.5}\n{"split": "valid", "step": 10, "loss": 9.5}\n', [10], [2.5]),
    "columns in another order": ("lr,loss,val_loss,epoch,step\n0.1,2.5,,0,10\n0.1,2.4,9.5,0,20\n", [10, 20], [2.5, 2.4]),
    "an index column": (",step,loss\n0,10,2.5\n1,20,2.4\n", [10, 20], [2.5, 2.4]),
    "quoted thousands": ('step,loss\n"1,000",2.5\n"2,000",2.4\n', [1000, 2000], [2.5, 2.4]),
    "semicolons and decimal commas": ("step;loss\n1;2,5\n2;2,4\n", [1, 2], [2.5, 2.4]),
    "a table for people": ("| step | loss | lr |\n|---|---|---|\n| 1 | 2.5 | 0.1 |\n| 2 | 2.4 | 0.1 |\n", [1, 2], [2.5, 2.4]),
    "columns of spaces": ("  step      loss     acc\n    10    2.5000    0.1\n    20    2.4000    0.2\n", [10, 20], [2.5, 2.4]),
    "batches of epochs": ("epoch,batch,loss\n0,0,2.5\n0,1,2.4\n1,0,2.3\n1,1,2.2\n", range(4), [2.5, 2.4, 2.3, 2.2]),
    "missing cells": ("step,loss\n10,2.5\n20,\n30,nan\n40,inf\n", [10, 30, 40], [2.5, math.nan, math.inf]),
    "epochs that nothing numbers": ("".join(f"step {i} loss {e}.{i}\n" for e in range(3) for i in (1, 2, 3)), range(1, 10), [0.1, 0.2, 0.3, 1.1, 1.2, 1.3, 2.1, 2.2, 2.3]),
    "lists of a loss": ("step 10 loss: [2.5]\nstep 20 loss: [2.4]\n", [10, 20], [2.5, 2.4]),
    "MindSpore's tuple": ("epoch: 1 step: 1, loss is (2.5, Tensor(shape=[], dtype=Bool, value= False))\nepoch: 1 step: 2, loss is (2.4, 1)\n", [1, 2], [2.5, 2.4]),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_and_names_of_every_kind(tmp_path, kind):
    text, iterations, values = NUMBERS[kind]
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, iterations, values)
    assert log.numbered


@pytest.mark.parametrize(
    "text",
    [
        "step 1 loss: 1e400\nstep 2 loss: 2.5\n",
        '{"step": 1, "loss": 1e400}\n{"step": 2, "loss": 2.5}\n',
        "step,loss\n1,1e400\n2,2.5\n",
        "".join(f"iter {i}: loss {'1e400' if i == 1 else 2.5}, time 120.50ms, mfu 12.10%\n" for i in range(1, 200)),
    ],
)  # fmt: skip
def test_numbers_beyond_float64_are_said_to_count_as_infinite(tmp_path, text):
    log = read_log(write(tmp_path / "run.log", text.encode()))
    assert np.isposinf(log.values[0])
    assert log.values[1] == 2.5
    assert any("beyond float64's range" in decision for decision in log.decisions)


def test_a_comma_that_may_be_one_of_decimals_is_said(tmp_path):
    log = read_log(write(tmp_path / "run.log", b"step 1 loss: 2,512\nstep 2 loss: 2,411\n"))
    assert log.values.tolist() == [2512.0, 2411.0]
    assert any("hold a comma" in decision for decision in log.decisions)


def test_what_only_its_own_program_reads_is_named(tmp_path):
    with pytest.raises(LogError, match="wandb sync"):
        read_log(write(tmp_path / "run.wandb", b":W&B\x00\x01\x02loss"))


def test_a_folder_of_a_run_holds_its_log(tmp_path):
    write(tmp_path / "metrics.csv", b"epoch,step,train_loss_epoch,train_loss_step\n0,49,,2.5\n0,99,,2.25\n")
    same(read_log(tmp_path), [49, 99], [2.5, 2.25])

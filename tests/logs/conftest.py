"""Writers of every format that training logs come in."""

import json
from types import SimpleNamespace

import pytest

pytest.register_assert_rewrite("tests.logs.both_ways", "tests.logs.written_logs")

TCAPPDLL = "TCAPPDLL 2025-07-01 12:00:00.123456 - "


def tcappdll_wide(i, v):
    record = f"Epoch: 0 Iteration: {i}  rank : 0  train.loss : {v!r}  train.ips : 1.5 imgs/s train.total_time : 0.4"
    return TCAPPDLL + record


def tcappdll_narrow(i, v):
    return f"{TCAPPDLL}Epoch: 0 Iteration: {i} rank: 0 train.loss : {v!r} train.total_time : 5.4"


def tcappdll_prefixed(i, v):
    return "INFO - 2025-07-01 12:00:00,123 - base_task - " + tcappdll_wide(i, v)


def tcappdll_twice(i, v):
    return f"{TCAPPDLL}Epoch: 0 Iteration: {i} rank : 0 train.loss : {v!r} train.ips : 2.0 imgs/s train.loss : {v!r}"


def mmengine_iter(i, v):
    return (
        f"2024/05/13 22:58:17 - mmengine - INFO - Iter(train) [{i:>5}/40000]  base_lr: 9.9e-03 lr: 9.9891e-03  "
        f"eta: 1 day, 16:31:08  time: 0.8793  data_time: 0.0053  memory: 10445  loss: {v!r}  decode.loss_ce: 1.4961  "
        "decode.acc_seg: 41.6312  aux.loss_ce: 0.6672"
    )


def mmengine_epoch(i, v):
    return f"05/13 22:58:17 - mmengine - INFO - Epoch(train)   [1][{i:>5}/10010]  lr: 9.9e-03  loss: {v!r}"


def epoch_only(i, v):
    return f"Epoch[{i}]: train_loss {v!r} acc1 12.5 acc5 30.1 | val_loss 9.75 val_acc1 1.0"


def bracketed(i, v):
    return f"Epoch [1/10], Iteration [{i}/1000000], Loss: {v!r}"


def dashed(i, v):
    return f"Iteration {i}/1000000 - Loss: {v!r}"


def bare_pair(i, v):
    return f"Iteration: {i}  train.loss : {v!r}"


def step_last(i, v):
    return f"loss: {v!r} - lr: 0.01 - step: {i}"


def dict_print(i, v):
    return f"{{'loss': {v!r}, 'learning_rate': 0.01, 'step': {i}}}"


def imagenet(i, v):
    return f"Epoch: [0][{i:>5}/1000000]\tTime 0.1 (0.2)\tLoss {v!r} ({v!r})\tAcc@1 0.0 (0.1)"


LINES = {
    writer.__name__: writer
    for writer in (
        tcappdll_wide, tcappdll_narrow, tcappdll_prefixed, tcappdll_twice, mmengine_iter, mmengine_epoch, epoch_only,
        bracketed, dashed, bare_pair, step_last, dict_print, imagenet,
    )
}  # fmt: skip


def by_lines(line):
    return lambda iterations, values: "".join(
        line(i, v) + "\n" for i, v in zip(iterations, values, strict=True)
    ).encode()


def csv(iterations, values):
    rows = "".join(f"{i},0.01,{v!r}\n" for i, v in zip(iterations, values, strict=True))
    return ("iteration,lr,loss\n" + rows).encode()


def tsv(iterations, values):
    rows = "".join(f"{v!r}\t{i}\n" for i, v in zip(iterations, values, strict=True))
    return ("train_loss\tstep\n" + rows).encode()


def scalars_json(iterations, values):
    rows = [
        {"base_lr": 0.01, "lr": 0.01, "data_time": 0.1, "loss": v, "decode.loss_ce": 1.0, "iter": i, "step": i}
        for i, v in zip(iterations, values, strict=True)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def json_document(iterations, values):
    rows = [{"loss": v, "step": i} for i, v in zip(iterations, values, strict=True)]
    return json.dumps({"log_history": rows}, indent=1).encode()


FORMATS = {name: by_lines(line) for name, line in LINES.items()} | {
    "csv": csv, "tsv": tsv, "scalars_json": scalars_json, "json_document": json_document
}  # fmt: skip


@pytest.fixture(scope="session")
def formats():
    """name → writer of (iterations, values) as the bytes of a log."""
    return FORMATS


@pytest.fixture(scope="session")
def lines():
    """name → writer of one line from an iteration and its loss."""
    return SimpleNamespace(**LINES)

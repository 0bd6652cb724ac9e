"""The situations of public threads, on logs of our own making as the threads' programs print them, through the files.

Each is numbered as people reported it: what a person would see in the two curves stands in the first line, no healthy
pair fails, and no faulty one passes.
"""

import json
import re

import numpy as np
import pytest

from harness.language.speech import untranslated
from harness.logs import compare
from harness.values.verdict import Outcome, Status


def losses(count, *, data=0, start=8.0, end=3.0, ripple=0.03):
    """(count,) losses that fall, with the ups and downs of some data."""
    at = np.arange(count)
    return (end + (start - end) * np.exp(-3 * at / count)) * np.exp(
        ripple * np.random.default_rng(data).standard_normal(count)
    )


def rounding(count, *, own=1, begins=1e-5, grows=1.2, most=0.01):
    """(count,) factors by which a healthy run parts: from rounding, by a factor an iteration, up to a plateau."""
    size = np.minimum(begins * grows ** np.arange(count), most)
    return np.exp(size * np.random.default_rng(100 + own).standard_normal(count))


def columns(values, first=1):
    return "".join(f"{first + at} {value!r}\n" for at, value in enumerate(values.tolist()))


def torchtitan(values):
    return "".join(
        f"[titan] 2026-08-18 03:11:22,000 - root - INFO - step: {at:2}  loss: {value:8.5f}  grad_norm:  1.5000  memory:  1.04GiB(2.20%)\n"
        for at, value in enumerate(values, 1)
    )


def llama2c(values, first=1230):
    return "".join(
        f"{first + 10 * at} | loss {v:.4f} | lr 4.682000e-05 | 8801.79ms | mfu 0.22%\n" for at, v in enumerate(values)
    )


def llmc(values):
    return "".join(f"step {at}: train loss {value:.6f} (took 1216.18 ms)\n" for at, value in enumerate(values))


def llama_factory(values, evaluated=1.0):
    rows = [
        {"current_steps": 20 * at, "total_steps": 13080, "loss": round(v, 4), "lr": 3e-5}
        for at, v in enumerate(values.tolist(), 1)
    ]
    return "".join(
        json.dumps(row) + "\n" for row in [*rows, {"current_steps": 800, "total_steps": 13080, "eval_loss": evaluated}]
    )


def trainer(values):
    return "".join(
        f"\r 10%|# | {at}/{len(values)} [00:0{at % 9}<00:10,  1.97it/s]\r{{'loss': {value:.4f}, 'learning_rate': 1e-05, 'epoch': {at / 20}}}\n"
        for at, value in enumerate(values, 1)
    )


def megatron(values, day=1):
    lines = []
    for at, value in enumerate(values, 1):
        loss = f" lm loss: {value:.6E} |" if np.isfinite(value) else ""
        norm = "1.234" if np.isfinite(value) else "nan"
        lines.append(
            f" [2025-10-{day:02} 16:59:16] iteration {at:8d}/     500 | consumed samples: {8 * at:12d} | learning rate: 1.5E-04 |"
            f" global batch size:     8 |{loss} loss scale: 1.0 | grad norm: {norm} | number of skipped iterations:   0 |"
            f" number of nan iterations:   0 |\n"
        )
    return "".join(lines)


def swift(values, first=1):
    rows = [
        {"loss": round(v, 6), "grad_norm": 1.2, "epoch": 0.1, "global_step/max_steps": f"{first + at}/900"}
        for at, v in enumerate(values.tolist())
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def speechbrain(values):
    return "".join(
        f"epoch: {at}, lr: 1.00e-03, steps: {100 * at}, optimizer: AdamW - train loss: {value:.4f} - valid loss: 9.9, valid ACC: 0.1\n"
        for at, value in enumerate(values, 1)
    )


def paddle(values):
    return "".join(
        f"Pass 0, batch {10 * at}, step {10 * at}, avg_cost loss: {value:.6f}\n" for at, value in enumerate(values)
    )


def bert(values, first=3700):
    return "".join(
        f"DLL 2020-06-03 15:24:13.924122 - Training Epoch: 0 Training Iteration: {first + at}  average_loss : 9.5  step_loss : {value:.6f}  "
        "learning_rate : 0.00012 \n"
        for at, value in enumerate(values)
    )


def fairseq(values):
    return "".join(
        f"2020-07-17 06:59:26 | INFO | train_inner | epoch 001:   {100 * at} / 20000 loss={value:.3f}, ppl=9.1, wps=3681.4,"
        f" num_updates={100 * at}, lr=2.7e-05, gnorm=2.841\n"
        for at, value in enumerate(values, 1)
    )


def by_epoch(values):
    return "".join(
        f"Epoch[{at}]: train_loss {value:.4f} acc1 12.5 acc5 30.1 | val_loss 9.9 val_acc1 1.0\n"
        for at, value in enumerate(values, 1)
    )


def mmengine(values, gpus=8, batch=4):
    header = f"2024/05/13 22:58:17 - mmengine - INFO - \nRuntime environment:\n    seed: 7\n    GPU number: {gpus}\n"
    header += (
        f"train_dataloader = dict(\n    batch_size={batch},\nlog_processor = dict(by_epoch=False, window_size=1)\n"
    )
    return header + "".join(
        f"2024/05/13 22:58:17 - mmengine - INFO - Iter(train) [{at:>5}/40000]  lr: 9.9e-03  time: 0.87  data_time: 0.005  loss: {value:.4f}\n"
        for at, value in enumerate(values, 1)
    )


def plain(values, first=0):
    return "".join(f"step {first + at} loss: {value:.4f}\n" for at, value in enumerate(values))


def nanogpt_speedrun(values):
    return "".join(
        f"step:{125 * at}/1750 val_loss:{v:.4f} train_time:23184ms step_avg:185.47ms\n" for at, v in enumerate(values)
    )


def smoothed(values, window=20):
    return np.array([values[max(0, at + 1 - window) : at + 1].mean() for at in range(len(values))])


AT = np.arange(100)
RUN = losses(100)
PORT = RUN * rounding(100, grows=1.05, most=0.001)
SPEEDRUN = losses(15, start=10.8, end=3.2, ripple=0.0)

THREADS = {
    "1 two devices, the seed fixed": (columns(RUN), columns(RUN * rounding(100)), ("parts from", "aligned as far"), "INCONCLUSIVE"),
    "2 other weights": (columns(losses(100, start=7.6)), columns(losses(100, start=8.04, data=9)), ("starts apart", "other data"), "INCONCLUSIVE"),
    "3 the same first steps, then a drift": (
        torchtitan(RUN), torchtitan(PORT * np.exp(0.18 * np.clip((AT - 5) / 95, 0, 1))), ("drifts from iteration",), "FAIL",
    ),
    "4 a resumed run on two devices": (llama2c(RUN[:37]), llama2c(RUN[:37] * rounding(37, begins=1e-3, most=1e-3)), ("aligned as far",), "INCONCLUSIVE"),
    "5 pretrained weights, another first loss": (llmc(np.array([5.27, 4.06, 3.38])), llmc(np.array([2.864, 2.73, 2.41])), ("starts apart",), "INCONCLUSIVE"),
    "6 zero from a step on": (
        llama_factory(RUN[:40]), llama_factory(np.where(AT[:40] < 12, PORT[:40], 0.0), float("nan")), ("zero: .* from iteration 260 on",), "FAIL",
    ),
    "7 NaN from the second step on": (trainer(RUN[:40]), trainer(np.where(AT[:40] < 1, RUN[:40], np.nan)), ("NaN from iteration 2 on",), "FAIL"),
    "8 NaN that prints no loss": (megatron(RUN), megatron(np.where(AT < 40, PORT, np.nan), day=2), (r"NaN \(not printed\) from iteration 41 on",), "FAIL"),
    "9 a deterministic device and another rack": (
        megatron(RUN), megatron(RUN * rounding(100, most=1e-3), day=2), ("aligned as far", "parts from"), "INCONCLUSIVE",
        *(megatron(RUN, day=day) for day in (3, 4, 5, 6, 7)),
    ),
    "10 a resumed run, its steps counted on": (swift(RUN), swift(PORT[60:], first=61), ("resumed run: the candidate begins at iteration 61",), "INCONCLUSIVE"),
    "10b a resumed run, its steps counted from 1": (swift(RUN), swift(PORT[60:]), (r"resumed run .* moved by \+60",), "INCONCLUSIVE"),
    "11 equal up to where one was interrupted": (
        speechbrain(RUN[:60]), speechbrain(np.where(AT[:60] < 22, RUN[:60], 1.03 * RUN[:60])), (r"drifts from iteration 2300 on: \+3 % at the end, equal up to 2200",), "FAIL",
    ),
    "12 learns slower": (paddle(losses(21, start=2.3, end=0.1)), paddle(losses(21, start=2.3, end=1.2)), ("the candidate learns less", "off on average"), "FAIL"),
    "13 NaN late, beside a running mean": (bert(RUN), bert(np.where(AT < 85, PORT, np.nan)), ("NaN from iteration 3785 on",), "FAIL"),
    "14 another base of the logarithm": (fairseq(RUN[:36]), fairseq(PORT[:36] * np.log(2)), ("constant factor ln 2",), "INCONCLUSIVE"),
    "14b gradient accumulation": (plain(RUN), plain(PORT / 4), ("constant factor ÷ 4",), "INCONCLUSIVE"),
    "15 epoch means, one side learns less": (
        by_epoch(losses(10, start=2.3, end=0.75, ripple=0.0)), by_epoch(losses(10, start=2.3, end=1.88, ripple=0.0)), ("the candidate learns less",), "FAIL",
    ),
    "16 other batch or world size": (mmengine(RUN), mmengine(losses(100, data=5), gpus=16), ("other batch or world size: global batch 32 against 64",), "INCONCLUSIVE"),
    "17 counted from 0 and from 1": (plain(RUN), plain(PORT, first=1), ("offset in numbering: .* by -1",), "INCONCLUSIVE"),
    "18 smoothed on one side": (plain(RUN), plain(smoothed(RUN)), ("smoothed on one side: the candidate's .* about 20",), "INCONCLUSIVE"),
    "19 a spike, and back": (plain(RUN), plain(PORT * np.where(AT == 60, 4.0, 1.0)), ("spike at iteration 60",), "INCONCLUSIVE"),
    "20 +6 % throughout": (plain(RUN), plain(PORT * 1.06), ("constant factor 1.06: .* off by 6",), "FAIL"),
    "20b -6 % throughout": (plain(RUN), plain(PORT * 0.94), ("constant factor 0.94: .* off by -6",), "FAIL"),
    "20c +1 % throughout": (plain(RUN), plain(PORT * 1.01), ("constant factor 1.01: .* off by 1",), "FAIL"),
    "21 stops": (plain(RUN), plain(PORT[:37]), ("ends early: the candidate stops at iteration 36 of 99",), "INCONCLUSIVE"),
    "22 no update arrives": (plain(RUN), plain(8 * np.exp(0.03 * np.random.default_rng(0).standard_normal(100))), ("the candidate doesn't learn",), "FAIL"),
    "23 other order of the data": (plain(losses(100, ripple=0.1)), plain(losses(100, data=6, ripple=0.1)), ("other data or order", "starts apart"), "INCONCLUSIVE"),
    "24 seven runs of one program": (
        nanogpt_speedrun(SPEEDRUN), nanogpt_speedrun(SPEEDRUN * rounding(15, own=9, begins=1e-3, most=2e-3)), ("aligned: the loss stays where 6 runs",), "PASS",
        *(nanogpt_speedrun(SPEEDRUN * rounding(15, own=own, begins=1e-3, most=2e-3)) for own in range(5)),
    ),
}  # fmt: skip


def judged(folder, reference, candidate, *repeats, **settings):
    paths = []
    for name, text in zip(
        ("cuda", "npu", *map(str, range(len(repeats)))), (reference, candidate, *repeats), strict=True
    ):
        paths.append(folder / f"{name}.log")
        paths[-1].write_text(text, encoding="utf-8")
    return compare(paths[0], paths[1], repeats=paths[2:], **settings).verdict


@pytest.mark.parametrize("thread", THREADS)
def test_the_first_line_names_the_situation(tmp_path, thread):
    reference, candidate, headlines, status, *repeats = THREADS[thread]
    metric = "val_loss" if thread.startswith("24") else "step_loss" if thread.startswith("13") else "loss"
    verdict = judged(tmp_path, reference, candidate, *repeats, metric=metric)
    assert any(re.match(headline, verdict.reason) for headline in headlines), verdict.reason
    assert untranslated(verdict.reason) == []
    assert len(verdict.reason) <= 100
    assert verdict.status is Status(status)
    assert any(finding.rule == "next step" for finding in verdict.findings) or status == "PASS"


@pytest.mark.parametrize("thread", THREADS)
def test_a_run_beside_its_healthy_port_never_fails(tmp_path, thread):
    """The same reference, and the same run with rounding alone between: no situation is called a failure."""
    reference = THREADS[thread][0]
    if "nan" in reference.lower().replace("number of nan", ""):
        pytest.skip("the reference itself isn't finite")
    metric = "val_loss" if thread.startswith("24") else "step_loss" if thread.startswith("13") else "loss"
    noise = iter(rounding(2000, own=7, most=2e-3).tolist())
    port = re.sub(
        r"((?:lm )?loss(?:=|: ? ?|\"?: | |' ?: )|train_loss |step_loss : |val_loss:)(\d+\.\d+(?:E[+-]\d\d)?)",
        lambda match: f"{match[1]}{float(match[2]) * next(noise):.6f}",
        reference,
    )
    verdict = judged(tmp_path, reference, port, metric=metric)
    assert verdict.status is not Status.FAIL, verdict.reason
    assert all(finding.status is not Outcome.FAIL for finding in verdict.findings)

"""Every known format, on lines as its program prints them: iteration, loss, metric, and what is no training."""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.logs import read_log
from harness.logs.delimited import TABLE_FORMATS
from harness.logs.formats import FORMATS
from harness.logs.listing import formats_table
from harness.logs.rows import JSON_FORMATS
from harness.values.errors import LogError
from tests.logs.written_logs import same, write

EXAMPLES = {
    "TCAPPDLL and DLL lines": (3, 2.31),
    "mmengine text": (50, 1.7525),
    "mmcv 1.x text (mmseg 0.x, mmdet 2.x)": (50, 3.4753),
    "Megatron-LM, MindSpeed and GPT-NeoX": (100, 7.123456),
    "DeepSpeed steps": (10, 2.3456),
    "DeepSpeed-Chat, step 3": (477, 0.0126),
    "DeepSpeed-Chat, step 2": (1, 0.537),
    "torchtitan text": (1, 7.65945),
    "nanoGPT": (10, 4.23),
    "llama2.c": (1230, 5.448),
    "llm.c, main.log": (1, 10.8012),
    "llm.c, text": (1, 10.990112),
    "llm.c, early text": (0, 5.356189),
    "modded-nanogpt": (125, 4.6241),
    "Hugging Face printed dicts (Trainer, ms-swift, LLaMA-Factory)": (10, 2.3105),
    "Keras progress bar": (10, 2.3025),
    "Keras, a line an epoch": (3, 3.9538),
    "PyTorch-Ignite progress bar": (10, 4.95),
    "PaddleSeg": (10, 2.3105),
    "PaddleDetection": (20, 23.456),
    "MindSpore": (3, 2.3105),
    "MindFormers": (2, 10.645),
    "MindYOLO": (100, 5.4321),
    "BigDL": (45457, 1.2645824),
    "detectron2 text": (19, 2.345),
    "maskrcnn-benchmark": (20, 1.2345),
    "HRNet and OCR": (10, 2.3105),
    "torchcv (the original ANN's)": (10, 10.74487104),
    "NVIDIA SSD": (20, 20.642),
    "NVIDIA GNMT": (10, 8.5123),
    "fairseq": (100, 10.745),
    "timm": (50, 6.9123),
    "Swin": (10, 6.9123),
    "DETR, MAE and other users of torchvision's MetricLogger": (10, 32.9123),
    "PyTorch's ImageNet example": (10, 6.9123),
    "PyTorch's MNIST example": (640, 2.3105),
    "OLMo": (10, 9.133),
    "Composer": (20, 7.1234),
    "PyTorch/XLA": (20, 2.67017),
    "MaxText": (3, 10.123),
    "verl": (1, 1.0312),
    "NeMo text": (3, 11.03),
    "torchtune": (1, 2.3105),
    "TensorFlow Estimator": (100, 2.3105),
    "Caffe": (100, 2.3105),
    "Darknet": (100, 2.3105),
    "MXNet": (20, 2.3105),
    "epoch log": (3, 4.1116),
    "tqdm bar": (10, 2.3105),
    "TCAPPDLL and DLLogger JSON stream": (17, 2.31),
    "MLPerf MLLOG": (10, 2.31),
    "fairseq JSON": (100, 10.745),
    "ms-swift logging.jsonl": (10, 2.31),
    "LLaMA-Factory trainer_log.jsonl": (20, 1.5444),
    "Weights & Biases history": (10, 2.31),
    "detectron2 metrics.json": (19, 2.345),
    "mmcv 1.x .log.json (mmseg 0.x, mmdet 2.x)": (50, 3.47528),
    "mmengine scalars": (50, 1.7525),
    "DETR and MAE log.txt": (3, 32.9),
    "TensorBoard CSV export": (10, 2.31),
    "Ultralytics results.csv": (1, 1.21),
    "Ultralytics text": (1, 0.06137),
    "Lightning metrics.csv": (49, 2.31),
    "Lightning metrics.csv, one loss": (49, 2.31),
    "Keras CSVLogger": (0, 2.31),
    "Weights & Biases CSV export": (10, 2.31),
}


@pytest.mark.parametrize("known", [*FORMATS, *JSON_FORMATS, *TABLE_FORMATS], ids=lambda known: known.name)
@pytest.mark.parametrize("disguise", ["plain", "ranks"])
def test_each_format_reads_its_own_example(tmp_path, known, disguise):
    rows = known in (*JSON_FORMATS, *TABLE_FORMATS)
    prefix = "[rank0]:" if disguise == "ranks" and not rows and known.name not in STARTS_A_LINE else ""
    text = "starting\n" * (known in FORMATS) + "".join(f"{prefix}{line}\n" for line in known.example.split("\n"))
    if known in JSON_FORMATS:
        text = text.replace('"epoch": 3', '"epoch": 2') + text
    log = read_log(write(tmp_path / "run.log", text.encode()))
    iteration, value = EXAMPLES[known.name]
    assert log.format == known.name
    assert log.iterations[-1] == iteration
    assert log.values[-1] == value
    assert not log.guessed
    assert log.numbered
    assert log.said.startswith(f"run.log · {known.name} · {log.metric}")


STARTS_A_LINE = ("OLMo", "Composer", "Darknet", "Keras progress bar", "llama2.c")

SHAPES = {
    "evaluation estimates of llama2.c are no training": (
        "step 1000: train loss 5.0, val loss 5.1\n1000 | loss 5.4480 | lr 4.6e-05 | 88.79ms | mfu 0.22%\n"
        "1010 | loss 5.3 | lr 4.6e-05 | 88.79ms | mfu 0.22%\n",
        [1000, 1010],
        [5.448, 5.3],
    ),
    "summaries and validation of fairseq are no training": (
        "x | INFO | train_inner | epoch 001:    100 / 2000 loss=10.745, ppl=1716.04, num_updates=100, lr=2.7e-05\n"
        "x | INFO | valid | epoch 001 | valid on 'valid' subset | loss 3.354 | ppl 123.4 | num_updates 100\n"
        "x | INFO | train | epoch 001 | loss 6.608 | ppl 1.00 | num_updates 100 | lr 0.00154677\n",
        [100],
        [10.745],
    ),
    "epochs of HRNet": (
        "".join(f"Epoch: [{e}/484] Iter:[{i}/371], Time: 0.5, lr: [0.01], Loss: {e}.{i}\n" for e in (0, 1) for i in (0, 100)),
        [0, 100, 371, 471],
        [0.0, 0.1, 1.0, 1.1],
    ),
    "bars of tqdm, and of its validation": (
        "\rEpoch 0:  50%|#  | 2/4 [00:01<00:01,  1.9it/s, loss=2.5]\rValidation:  50%| | 1/2 [00:01<00:01, loss=9]\r"
        "Epoch 1:  25%|#  | 1/4 [00:01<00:01,  1.9it/s, loss=2.1]\r",
        [2, 5],
        [2.5, 2.1],
    ),
    "NeMo's bar, whose global step counts": (
        "Epoch 0: :   1%|  | 2/300 [00:10<10:00, reduced_train_loss=10.90, global_step=5.000, consumed_samples=256.0]\n",
        [5],
        [10.9],
    ),
    "dicts of the Trainer behind bars": (
        "\r 2%|2 | 9/500 [00:09<08:19,  1.00s/it]\r 2%|2 | 10/500 [00:10<08:10,  1.00s/it]\n{'loss': 2.5, 'epoch': 0.02}\n"
        "\r 4%|2 | 20/500 [00:10<08:10,  1.00s/it]\n{'loss': '2.25', 'epoch': '0.04'}\n{'eval_loss': 9.0, 'epoch': 0.04}\n",
        [10, 20],
        [2.5, 2.25],
    ),
    "full-width colons and Chinese words": ("第 100 步，训练损失：2.31，学习率：0.1\n第 200 步，训练损失：2.11，学习率：0.1\n", [100, 200], [2.31, 2.11]),
    "thousands": ("2025-01-01 step=1,000 loss=2,345.6\n2025-01-01 step=2,000 loss=1,234.5\n", [1000, 2000], [2345.6, 1234.5]),
    "a smoothed loss": ("step 10 | smoothed loss: 9.1 | loss: 7.0\nstep 20 | smoothed loss: 8.9 | loss: 6.8\n", [10, 20], [7.0, 6.8]),
    "an auxiliary loss": ("iter 100: aux loss: 0.3 lm loss: 2.5\niter 200: aux loss: 0.2 lm loss: 2.4\n", [100, 200], [2.5, 2.4]),
    "the word nan in a name": ("iter: 1 | loss: 2.5 | number of nan iterations: 0 |\n", [1], [2.5]),
    "spellings of what is not finite": (
        "".join(f"iter: {i} loss: {text}\n" for i, text in enumerate(("nan", "NaN", "-inf", "Infinity", "1e-3", "1E+2"))),
        range(6),
        [np.nan, np.nan, -np.inf, np.inf, 1e-3, 100.0],
    ),
    "tensors": ("step 1 loss: tensor(2.5, device='npu:0')\nstep 2 loss: np.float32(2.25)\n", [1, 2], [2.5, 2.25]),
    "ranks of XLA": (
        "".join(f"| Training Device=xla:0/{r} Epoch=1 Step={20 * i} Loss={r}.{i} Rate=1.5\n" for i in (0, 1) for r in (1, 0)),
        [0, 20],
        [0.0, 0.1],
    ),
    "a dict of dicts in a stream": (
        'TCAPPDLL {"type": "METADATA", "metric": "train.loss", "metadata": {"unit": ""}}\n'
        "TCAPPDLL {\"type\": \"LOG\", \"step\": [1, 0], \"data\": \"{'train.loss': '2.5', 'train.ips': '1.5'}\"}\n"
        "TCAPPDLL {\"type\": \"LOG\", \"step\": [1, 1], \"data\": \"{'train.loss': 'nan', 'train.ips': '1.5'}\"}\n"
        'TCAPPDLL {"type": "LOG", "step": [], "data": {"train.loss": 9.0}}\n',
        [0, 1],
        [2.5, np.nan],
    ),
    "keys of MLLOG": (
        ':::MLLOG {"key": "seed", "value": 7, "metadata": {}}\n'
        ':::MLLOG {"key": "train_loss", "value": 1.5, "metadata": {"epoch_num": 1, "step_num": 10}}\n'
        ':::MLLOG {"key": "eval_accuracy", "value": 0.5, "metadata": {"epoch_num": 1, "step_num": 10}}\n',
        [10],
        [1.5],
    ),
    "golden values": ('{"lm loss": {"start_step": 0, "step_interval": 5, "values": [10.5, "nan"]}}', [0, 5], [10.5, np.nan]),
    "MindSpeed's baseline": ('{"lm loss": [11.5, 11.25], "memo info": [{"rank": 0}]}', [1, 2], [11.5, 11.25]),
    # ultralytics 8.4.190: a bar that is drawn anew, running means, a validation's bar after each epoch
    "Ultralytics' console": (
        "".join(
            "\n      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
            f"\r\x1b[K        {e}/2         0G     0.{e}261     0.3933    0.07544          4         64: 0% ──────────── 0/6  0.2s"
            f"\r\x1b[K        {e}/2         0G     0.{e}137     0.3543    0.03671          4         64: 83% ━━━━━━━━━━── 5/6 1.0s/it"
            f"\r\x1b[K        {e}/2         0G     0.{e}137     0.3543    0.03671          4         64: 100% ━━━━━━━━━━━━ 6/6 1.7s/it 9.9s\n"
            "\r\x1b[K                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100% ━━━━━━━━━━━━ 1/1 5.9s\n"
            "                   all          8          8          0          0          0          0\n"
            for e in (1, 2)
        ),
        [1, 2],
        [0.1137, 0.2137],
    ),
    "Ultralytics' results.csv": (  # ultralytics 8.4.190
        "epoch,time,train/box_loss,train/cls_loss,train/dfl_loss,metrics/precision(B),val/box_loss,lr/pg0\n"
        "1,16.3589,0.06137,0.3543,0.03671,0,0.00176,0.002\n2,55.5498,0.06621,0.35568,0.04095,0,0.00176,0.00167\n",
        [1, 2],
        [0.06137, 0.06621],
    ),
    "timm's log": (  # timm 1.0.31: utils.setup_default_logging(log_path=…), losses of three digits, a test behind
        "".join(
            f"2026-11-29 12:20:03,685 -                train: [    INFO] - Train: {e} [{i:>4}/12 ({8 * i:>3}%)]  Loss: 2.{e}{i} (2.44)"
            "  Time: 0.487s,    8.22/s  (0.487s,    8.22/s)  LR: 5.000e-02  Data: 0.000 (0.000)\n"
            + "2026-11-29 12:20:06,685 -                train: [    INFO] - Test: [   0/0]  Time: 0.100 (0.100)  Loss:  62.567 (62.567)\n" * (i == 9)
            for e in (0, 1) for i in (0, 9)
        ),
        [0, 9, 12, 21],
        [2.0, 2.09, 2.1, 2.19],
    ),
    "timm's summary.csv": (  # timm 1.0.31
        "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n0,3.618870109319687,25.05,0.0,50.0,0.05\n1,3.2997525334358215,168.4,25.0,50.0,0.0375\n",
        [0, 1],
        [3.618870109319687, 3.2997525334358215],
    ),
    "Accelerate's bar": (  # accelerate 1.15.0 with tqdm: drawn with the last loss, then again with the step's own
        "11/29/2026 12:16:30 - INFO - __main__ - ***** Running training *****\n\r  0%|          | 0/60 [00:00<?, ?it/s]"
        "\r  2%|▏         | 1/60 [00:00<00:09,  6.41it/s]\r  2%|▏         | 1/60 [00:00<00:09,  6.41it/s, loss=7.02, lr=0.05]"
        "\r  3%|▎         | 2/60 [00:00<00:09,  6.41it/s, loss=7.02, lr=0.05]\r  3%|▎         | 2/60 [00:00<00:09,  6.41it/s, loss=6.5, lr=0.0499]"
        "epoch 0: {'train_loss': 3.4}\n",
        [1, 2],
        [7.02, 6.5],
    ),
    "MLflow": ("1700000000000 10.75 0\n1700000001000 10.5 10\n", [0, 10], [10.75, 10.5]),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(tmp_path, shape):
    text, iterations, values = SHAPES[shape]
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, iterations, values)
    assert log.numbered


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "gb18030", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    text = (
        "第1步 损失：2.5 学习率：0.1\n第2步 损失：2.25 学习率：0.1\n"
        if encoding == "gb18030"
        else "step 1 loss: 2.5\nstep 2 loss: 2.25\n"
    )
    same(read_log(write(tmp_path / "run.log", text.encode(encoding))), [1, 2], [2.5, 2.25])


def test_what_stands_behind_a_slash_is_an_epochs_length_where_batches_start_over(tmp_path):
    text = "".join(f"Epoch {e} | Batch {i}/100 | Loss {e}.{i}\n" for e in (1, 2) for i in (10, 20))
    assert read_log(write(tmp_path / "run.log", text.encode())).iterations.tolist() == [10, 20, 110, 120]


def test_a_nan_that_is_not_printed_is_told(tmp_path):
    line = " iteration {0:8d}/  500 | learning rate: 1.5E-04 |{1} loss scale: 1.0 | grad norm: {2} | number of nan iterations:   0 |"
    text = "".join(
        line.format(i, " lm loss: 7.123456E+00 |" if i < 150 else "", "1.5" if i < 150 else "nan") + "\n"
        for i in range(1, 201)
    )
    log = read_log(write(tmp_path / "run.log", text.encode()))
    assert log.iterations.tolist() == list(range(1, 150))
    assert sorted(log.lacking) == list(range(150, 201))
    assert set(log.lacking.values()) == {"grad norm: nan"}


def test_an_epochs_length_comes_from_the_other_log_or_from_who_asks(tmp_path):
    text = "".join(
        f"x - mmdet - INFO - Epoch [{e}][{i}/733]\tlr: 2.000e-02, loss: {e}.{i}\n" for e in (1, 2) for i in (50, 700)
    )
    rows = "".join(
        json.dumps({"mode": "train", "epoch": e, "iter": i, "loss": float(f"{e}.{i}")}) + "\n"
        for e in (1, 2)
        for i in (50, 700)
    )
    one, other = write(tmp_path / "a.log", text.encode()), write(tmp_path / "a.log.json", rows.encode())
    assert read_log(one).iterations.tolist() == [50, 700, 783, 1433]
    alone = read_log(other)
    assert not alone.epoch_length_printed
    assert any("--epoch-length" in decision for decision in alone.decisions)
    assert read_log(other, epoch_length=733).iterations.tolist() == [50, 700, 783, 1433]


def test_hints_work_when_they_are_followed(tmp_path):
    path = write(tmp_path / "run.log", b':::MLLOG {"key": "seed", "value": 7, "metadata": {"step_num": 1}}\n' * 2)
    with pytest.raises(LogError, match="seed"):
        read_log(path)
    text = '"Step","a - train/loss","b - train/loss"\n"1","2.5","2.25"\n"2","2.0","1.75"\n'
    path = write(tmp_path / "runs.csv", text.encode())
    with pytest.raises(LogError, match="--metric 'a - train/loss' 'b - train/loss'"):
        read_log(path)
    same(read_log(path, metric="b - train/loss"), [1, 2], [2.25, 1.75])


def test_what_holds_no_loss_is_named(tmp_path):
    with pytest.raises(LogError, match="ppl"):
        read_log(write(tmp_path / "run.log", b"Epoch 1: ppl: 4.5, acc: 0.5\n"))


@pytest.mark.parametrize("every", [5, 10])
def test_a_run_that_is_logged_less_often_keeps_its_numbers(tmp_path, every):
    text = "".join(
        f"Train: 0 [{i:>4}/600 (  0%)]  Loss: {10 - i / 100:.3f} ({10 - i / 100:.3f})  Time: 0.512s\n"
        for i in range(every, 601, every)
    )
    log = read_log(write(tmp_path / "run.log", text.encode()))
    same(log, range(every, 601, every), [round(10 - i / 100, 3) for i in range(every, 601, every)])


def test_the_documented_table_is_the_readers_own():
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    assert formats_table() in page

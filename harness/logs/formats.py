"""The line formats of the field, one declaration a format.

A declaration says how a training record of the format begins (with its epoch, iteration, length and rank), what the
format calls the loss, and shows lines as its program prints them. Names and numbers of a line are found by ``tokens``;
what isn't declared here is read by ``guessing``. A format takes only its own lines: summaries of an epoch, validation
and evaluation print other lines, or other names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.logs.gathering import UNKNOWN
from harness.logs.launchers import START
from harness.logs.records import Record
from harness.logs.tokens import GLOBAL_STEPS, PHASE, find_rank, tokens, words

__all__ = ["FORMATS", "TRAINER_DICTS", "LineFormat"]

_COLONS = (b":", b"=", b"|", b",", b" ")


@dataclass(frozen=True)
class LineFormat:
    """One line format.

    Args:
        name: what people call it.
        record: what a training record begins with, or holds, on any line of a text. Groups: ``i`` the iteration, ``e``
            the epoch, ``n`` the iterations of an epoch, ``r`` the rank; ``v`` the loss itself where it has no name.
        example: lines as the program prints them; the last of them is a training record.
        marker: literal text of each record.
        losses: what the format calls the loss; the first that a log holds.
        follows: whether the numbers stand behind the values, so that a record ends with them.
        above: what numbers the records that follow it, with the same groups; where it is given, ``record`` has none.
        window: over how many iterations a printed value is a mean or a median.
        per_epoch: whether iterations that stand beside an epoch are counted from its start.
        lacks: what says, in a record without a loss, why it has none.
        states: whether a record is a state of a progress bar.
        anchors: characters by which numbers may be found in a line, the likeliest first.
        groups: whether commas may stand inside numbers, between thousands.
    """

    name: str
    record: re.Pattern[bytes]
    example: str
    marker: re.Pattern[bytes]
    losses: tuple[str, ...] = ("loss",)
    follows: bool = False
    above: re.Pattern[bytes] | None = None
    window: int = 1
    per_epoch: bool = True
    lacks: re.Pattern[bytes] | None = None
    states: bool = False
    anchors: tuple[bytes, ...] = field(default=_COLONS)
    groups: bool = True

    def read_line(self, line: bytes) -> Iterator[Record]:
        """The records of a line, in their order."""
        found = list(self.record.finditer(line))
        if self.above is not None and not found:
            if (match := self.above.search(line)) and not _other_phase(line[: match.start()]):
                yield self._numbers(line, match, 0, len(line))
            return
        for number, match in enumerate(found):
            if self.follows:
                start, end = (found[number - 1].end() if number else 0), match.end()
                end = len(line) if number == len(found) - 1 else end
            else:
                start = match.start() if number else 0
                end = found[number + 1].start() if number + 1 < len(found) else len(line)
            if self.above is not None and (last := _last(self.above, line, start, match.start())):
                yield self._numbers(line, last, start, match.start())
            if not (self.states and _other_phase(line[start : match.start()])):
                yield self._read(line, match, start, end)

    def _read(self, line: bytes, match: re.Match[bytes], start: int, end: int) -> Record:
        record = self._numbers(line, match, start, end)
        groups = match.groupdict()
        record.guards = (_literal_end(line, match.start(), match.end()),)
        taken = {match.start(name) for name in groups if groups[name] is not None}
        if groups.get("v") is not None:
            record.put(self.losses[0], float(groups["v"]), match.start("v"))
        steps = GLOBAL_STEPS if "i" in groups else (*GLOBAL_STEPS, "step", "iteration")
        for token in tokens(line, start, end):
            if words(token.name) in steps and token.value >= 0 and token.value % 1 == 0:
                record.epoch, record.iteration, record.length = UNKNOWN, int(token.value), 0
                record.places["iteration"] = token.at
                record.places.pop("epoch", None)
            elif token.name and token.at not in taken:
                record.put(token.name, token.value, token.at)
        if self.lacks and (why := self.lacks.search(line, start, end)):
            record.lacks = why[0].decode("utf-8", "replace").strip()
        return record

    def _numbers(self, line: bytes, match: re.Match[bytes], start: int, end: int) -> Record:
        record = Record()
        groups = match.groupdict()
        for group, name in (("i", "iteration"), ("e", "epoch"), ("r", "rank")):
            if groups.get(group) is not None:
                setattr(record, name, int(groups[group].replace(b",", b"")))
                record.places[name] = match.start(group)
        if groups.get("e2") is not None:
            record.epoch, record.iteration = int(groups["e2"]), int(groups["i2"])
            record.places |= {"epoch": match.start("e2"), "iteration": match.start("i2")}
        if groups.get("n") is not None and self.per_epoch and (record.epoch != UNKNOWN or self.states):
            record.length = int(groups["n"])
        if record.rank == UNKNOWN and (rank := find_rank(line, start, end)):
            record.rank, record.places["rank"] = rank
        return record


def _last(pattern: re.Pattern[bytes], line: bytes, start: int, end: int) -> re.Match[bytes] | None:
    """The last match between two places."""
    found = None
    for found in pattern.finditer(line, start, end):  # noqa: B007  # the last one is what is asked for
        pass
    return found


def _literal_end(line: bytes, start: int, end: int) -> int:
    """Where the text that a record begins with ends: before its first digit."""
    digit = re.compile(rb"\d").search(line, start, end)
    return digit.start() if digit else end


def _other_phase(before: bytes) -> bool:
    """Whether what stands before a record names another phase than training."""
    phases = PHASE.findall(before)
    return bool(phases) and not phases[-1].lower().startswith(b"train")


def _form(
    name: str, record: str, example: str, *, marker: str = "loss", above: str = "", lacks: str = "", **rest: object
) -> LineFormat:
    return LineFormat(
        name,
        re.compile(record.encode(), re.MULTILINE),
        example,
        re.compile(marker.encode()),
        above=re.compile(above.encode()) if above else None,
        lacks=re.compile(lacks.encode()) if lacks else None,
        **rest,  # type: ignore[arg-type]
    )


TRAINER_DICTS = "Hugging Face printed dicts (Trainer, ms-swift, LLaMA-Factory)"
_I, _E, _N, _R = (
    r"(?P<i>\d{1,3}(?:,\d{3}){1,5}(?![\d.])|\d{1,18})",
    r"(?P<e>\d{1,18})(?![\d.])",
    r"(?P<n>\d{1,18})",
    r"(?P<r>\d{1,6})",
)
_S = r"[ \t]{0,12}"
_START = START.decode()
_V = r"(?P<v>[-+]?(?:\d{1,20}(?:\.\d{1,20})?(?:[eE][-+]?\d{1,3})?|[Nn]a[Nn]|[Ii]nf(?:inity)?))(?![\w]|\.\d)"

FORMATS = (
    _form(
        "TCAPPDLL and DLL lines",
        rf"(?:TCAPPDLL|DLLL?)\b[^{{}}|\n]{{0,80}}?\b(?:(?:Training )?Epoch: (?:{_E}|\d{{1,9}}\.\d{{1,9}}) {{1,4}})?"
        rf"(?:Training )?\bIteration: {_I}(?!\.\d)(?: {{1,4}}rank ?: {_R}(?![\d.]))?|DLLL? [^(|\n]{{0,80}}? - \((?P<e2>\d{{1,9}}), (?P<i2>\d{{1,18}})\)",
        "TCAPPDLL 2025-07-01 12:00:00.123456 - Epoch: 0 Iteration: 3  rank : 0  train.loss : 2.31  train.ips : 1.5 imgs/s",
        marker="TCAPPDLL|DLL",
        losses=("train.loss", "loss", "step_loss", "train_loss"),
    ),
    _form(
        "mmengine text",
        rf"\b(?:Iter|Epoch)\(train\){_S}(?:\[{_S}{_E}(?:/\d{{1,9}})?\]{_S})?\[{_S}{_I}{_S}/{_S}{_N}\]",
        "2024/05/13 22:58:17 - mmengine - INFO - Iter(train) [   50/40000]  lr: 9.9e-03  time: 0.87  data_time: 0.005  loss: 1.7525",
        marker=r"(?:Iter|Epoch)\(train\)",
    ),
    _form(
        "mmcv 1.x text (mmseg 0.x, mmdet 2.x)",
        rf"\b(?:Epoch \[{_E}\]\[|Iter \[){_I}/{_N}\](?=[ \t]{{1,4}}(?:base_)?lr:)",
        "2021-07-01 10:00:11,456 - mmdet - INFO - Epoch [1][50/733]\tlr: 2.000e-02, eta: 10:01:11, time: 0.451, loss: 3.4753",
        marker=r"(?:Iter|Epoch) \[",
    ),
    _form(
        "NeMo text",
        rf"\bTraining epoch {_E}, iteration {_I}/\d{{1,18}} \|",
        "Training epoch 0, iteration 3/99 | lr: 1.4e-06 | global_batch_size: 512 | global_step: 3 | reduced_train_loss: 11.03",
        losses=("reduced_train_loss", "train_loss", "loss"),
    ),
    _form(
        "Megatron-LM, MindSpeed and GPT-NeoX",
        rf"\biteration:?[ \t]{{1,12}}{_I}/[ \t]{{0,12}}{_N} \|",
        " iteration      100/  500000 | consumed samples:   25600 | learning rate: 1.5E-04 | lm loss: 7.123456E+00 | loss scale: 1.0 |"
        " grad norm: 1.234 | number of skipped iterations:   0 | number of nan iterations:   0 |",
        marker="iteration",
        losses=("lm loss", "lm_loss", "loss", "total loss"),
        lacks=r"grad norm: (?:nan|inf|-nan|NaN)|number of nan iterations:[ \t]{1,8}[1-9]\d{0,8}",
    ),
    _form(
        "DeepSpeed steps",
        rf"\bsteps?: {_I} (?=loss: [^ ]{{1,40}} iter time)",
        "steps: 10 loss: 2.3456 iter time (s): 1.234 samples/sec: 103.7",
    ),
    _form(
        "DeepSpeed-Chat, step 3",
        rf"\b[Ee]poch: {_E}{_S}\|{_S}[Ss]tep: {_I}{_S}\|",
        "epoch: 0|step: 477|ppo_ep: 1|act_loss: 0.0126|cri_loss: 0.0317|unsuper_loss: 0.0",
        losses=("act_loss", "Actor Loss", "loss"),
    ),
    _form(
        "DeepSpeed-Chat, step 2",
        rf"\bEpoch {_E}/\d{{1,9}} with loss {_V}",
        "Epoch 1/1 with loss 0.5370",
        losses=("loss",),
    ),
    _form(
        "torchtitan text",
        rf"(?<!validate )\bstep:[ \t]{{1,8}}{_I}[ \t]{{2,4}}(?=loss:)",
        "[titan] 2026-08-18 03:11:22,000 - root - INFO - step:  1  loss:  7.65945  grad_norm: 1.5000  memory:  1.04GiB(2.20%)",
    ),
    _form(
        "nanoGPT",
        rf"\biter {_I}: (?=loss )",
        "iter 10: loss 4.2300, time 120.50ms, mfu 12.10%",
    ),
    _form(
        "llama2.c",
        rf"(?:^|[ \]:]){_I} \| (?=loss [^|]{{1,30}} \| lr )",
        "1230 | loss 5.4480 | lr 4.682000e-05 | 8801.79ms | mfu 0.22%",
    ),
    _form(
        "llm.c, main.log",
        rf"\bs:{_I} (?=trl:)",
        "s:1 trl:10.8012 lr:0.000001 norm:15.33",
        marker="trl",
        losses=("trl",),
    ),
    _form(
        "llm.c, text",
        rf"\bstep[ \t]{{1,8}}{_I}/{_N} \| (?=(?:train )?loss )",
        "step    1/19560 | loss 10.990112 (+nanz)| norm 15.3340 (+nanz)| lr 8.57e-07 | 300.12 ms | 50.1% bf16 MFU | 17000 tok/s",
        losses=("loss", "train loss"),
    ),
    _form(
        "llm.c, early text",
        rf"\bstep {_I}: train loss {_V} \(took",
        "step 0: train loss 5.356189 (took 1216.18 ms)",
        losses=("train loss",),
    ),
    _form(
        "modded-nanogpt",
        rf"\bstep:{_I}/{_N} (?=(?:train|val)_loss:)",
        "step:125/1750 val_loss:4.6241 train_time:23184ms step_avg:185.47ms",
        marker="_loss:",
        losses=("train_loss", "val_loss"),
    ),
    _form(
        TRAINER_DICTS,
        r"\{'loss': ",
        "  2%|2         | 10/600 [00:05<05:00,  1.97it/s]\n"
        "{'loss': 2.3105, 'grad_norm': 1.25, 'learning_rate': 4.9e-05, 'epoch': 0.02}",
        marker=r"'loss'|\[\d\d:",
        above=rf"\| {{0,3}}{_I}/{_N} \[\d{{1,3}}:\d\d",
    ),
    _form(
        "Keras progress bar",
        rf"(?:^|[ \t\x08\]:])(?<![\d/]){_I}/{_N} (?:\[[=>.]{{3,80}}\]|[━╸╺ ]{{3,80}})",
        "Epoch 1/5\n 10/100 [==>...........................] - ETA: 5s - loss: 2.3025 - accuracy: 0.1094",
        marker="loss|Epoch",
        above=rf"{_START}Epoch {_E}/\d{{1,9}}{_S}$",
        window=2,
        states=True,
    ),
    _form(
        "Keras, a line an epoch",
        rf"{_START}(?:\d{{1,9}}/\d{{1,9}})? ?- \d{{1,9}}m?s(?: |/)(?=[^\n]{{0,60}}\bloss: )",
        "Epoch 3/5\n20/20 - 0s - 8ms/step - loss: 3.9538 - mae: 1.5794 - val_loss: 1.7315",
        marker="loss|Epoch",
        above=rf"{_START}Epoch {_E}/\d{{1,9}}{_S}$",
    ),
    _form(
        "Ultralytics text",
        # Of an epoch's states the whole one, whose means are the row of results.csv. Its columns are named above.
        rf"{_START}[ \t]{{1,12}}{_E}/\d{{1,9}}[ \t]{{1,12}}\d[\d.]{{0,9}}[GM][ \t]{{1,12}}{_V}(?:[ \t]{{1,12}}[\d.naif]{{1,20}}){{1,9}}: {{1,4}}100%",
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
        "        1/6         0G    0.06137     0.3543    0.03671          4         64: 100% ━━━━━━━━━━━━ 6/6 1.7s/it 9.9s",
        marker="100%",
        losses=("first loss column",),
        states=True,
    ),
    _form(
        "PyTorch-Ignite progress bar",
        rf"(?:\b[Ee]poch \[{_E}/\d{{1,9}}\]: )?\[{_I}/{_N}\] {{1,4}}\d{{1,3}}%\|",
        "Epoch [1/2]: [10/60]  17%|#7        , loss=4.95 [00:05<00:25]",
        marker="%",
        losses=("loss", "batch loss", "output"),
        states=True,
    ),
    _form(
        "PaddleSeg",
        rf"\[TRAIN\][ \t]{{1,4}}(?:epoch: {_E}, )?iter: {_I}/{_N}, ",
        "2022-03-01 10:00:00 [INFO]\t[TRAIN] epoch: 1, iter: 10/80000, loss: 2.3105, lr: 0.009999, batch_cost: 0.5",
        per_epoch=False,
    ),
    _form(
        "PaddleDetection",
        rf"\bEpoch: \[{_E}\] \[{_S}{_I}/{_S}{_N}\] (?=learning_rate: )",
        "[03/01 10:00:00] ppdet.engine INFO: Epoch: [0] [  20/7329] learning_rate: 0.000133 loss_cls: 1.1 loss: 23.456 eta: 1 day",
        window=20,
    ),
    _form(
        "MindSpore",
        rf"\bepoch: {_E},? step: {_I}, loss is [\[(]?{_V}",
        "epoch: 1 step: 3, loss is 2.3105",
    ),
    _form(
        "MindFormers",
        rf"\{{{_S}Epoch:\[{_S}{_E}/{_S}\d{{1,9}}\], step:\[{_S}{_I}/{_S}{_N}\], loss:{_S}\[?{_S}{_V}",
        "2024-03-01 10:00:00,123 - mindformers - INFO - { Epoch:[  1/  3], step:[    2/  500], loss: 10.645, per_step_time: 100ms }",
    ),
    _form(
        "MindYOLO",
        rf"\bEpoch {_E}/\d{{1,9}}, Step {_I}/{_N}, ",
        "2023-06-01 10:00:00,123 [INFO] Epoch 1/300, Step 100/1849, imgsize (640, 640), loss: 5.4321, lbox: 0.1, cur_lr: 0.01",
    ),
    _form(
        "BigDL",
        rf"\[Epoch {_E} [\d/]{{1,40}}\]\[Iteration {_I}\][^\n]{{0,300}}?\bLoss is {_V}",
        "2017-08-20 16:11:38 INFO  DistriOptimizer$:295 - [Epoch 64 736512/1281167][Iteration 45457][Wall Clock 197331.8s]"
        " Train 1792 in 4.387814632seconds. Throughput is 408.40378 records/second. Loss is 1.2645824.",
        marker="Loss is",
        losses=("Loss",),
    ),
    _form(
        "detectron2 text",
        rf"\biter: {_I}[ \t]{{1,4}}(?=total_loss: )",
        "[06/01 10:00:00 d2.utils.events]:  eta: 1:00:00  iter: 19  total_loss: 2.345  loss_cls: 1.234  time: 0.2  lr: 0.001",
        losses=("total_loss",),
        window=20,
    ),
    _form(
        "maskrcnn-benchmark",
        rf"\biter: {_I}[ \t]{{1,4}}(?=loss: )",
        "2019-06-01 10:00:00,123 maskrcnn_benchmark.trainer INFO: eta: 1 day, 2:00:00  iter: 20  loss: 1.2345 (1.5678)  loss_box: 0.1",
        window=20,
    ),
    _form(
        "HRNet and OCR",
        rf"\bEpoch: \[{_E}/\d{{1,9}}\],? Iter:{_S}\[{_I}/{_N}\]",
        "2020-06-01 10:00:00,123 Epoch: [0/484] Iter:[10/371], Time: 0.85, lr: [0.00999], Loss: 2.310500, Acc:0.5",
        marker="Loss",
        losses=("Loss", "loss"),
    ),
    _form(
        "torchcv (the original ANN's)",
        rf"\bLoss = {_V} \(ave = ",
        "2019-08-01 10:00:00,123 INFO [fcn_segmentor.py, 122] Train Epoch: 0\tTrain Iteration: 10\tTime 8.551s / 10iters, (0.855)\n"
        "Learning rate = [0.00999, 0.00999]\tLoss = 10.74487104 (ave = 11.81935815)",
        marker=r"Loss =|Train Iteration",
        losses=("Loss",),
        above=rf"\bTrain Epoch: {_E}[ \t]{{1,4}}Train Iteration: {_I}",
    ),
    _form(
        "NVIDIA SSD",
        rf"\bIteration:{_S}{_I}, (?=Loss function: )",
        "Iteration:     20, Loss function: 20.642, Average Loss: 0.444, avg. samples / sec: 3904.70",
        marker="Loss",
        losses=("Loss function",),
    ),
    _form(
        "NVIDIA GNMT",
        rf"(?:\b{_R}: )?\bTRAIN \[{_E}\]\[{_I}/{_N}\]",
        "0: TRAIN [0][10/1291]\tTime 0.310 (0.412)\tData 0.001 (0.002)\tTok/s 40000 (39000)\tLoss/tok 8.5123 (9.1023)\tLR 1e-03",
        marker="TRAIN",
        losses=("Loss/tok",),
    ),
    _form(
        "fairseq",
        rf"\bepoch {_E}:[ \t]{{1,10}}\d{{1,9}} / \d{{1,9}} [^\n]{{0,600}}?\bnum_updates={_I}",
        "2020-07-17 06:59:26 | INFO | train_inner | epoch 001:    100 / 2000 loss=10.745, ppl=1716.04, num_updates=100, lr=2.7e-05",
        marker="num_updates=",
        per_epoch=False,
    ),
    _form(
        "timm",
        rf"\bTrain: {_E} \[{_S}{_I}/{_N} ",
        "Train: 0 [  50/1251 (  4%)]  Loss: 6.9123 (6.9301)  Time: 0.512s, 250.0/s  (0.600s, 213.3/s)  LR: 1.000e-06",
        marker="Train: ",
        losses=("Loss",),
    ),
    _form(
        "Swin",
        rf"\bTrain: \[{_E}/\d{{1,9}}\]\[{_S}{_I}/{_N}\]",
        "[2021-06-01 10:00:00 swin] (main.py 200): INFO Train: [0/300][10/1251]\teta 0:10:00 lr 0.000001\ttime 0.5 (0.6)"
        "\tloss 6.9123 (6.9301)\tgrad_norm 1.2 (1.3)",
        marker="Train: ",
    ),
    _form(
        "DETR, MAE and other users of torchvision's MetricLogger",
        rf"\bEpoch: \[{_E}\][ \t]{{1,4}}\[{_S}{_I}{_S}/{_S}{_N}\][ \t]{{1,4}}(?=eta: )",
        "Epoch: [0]  [  10/3696]  eta: 1:00:00  lr: 0.000100  loss: 32.9123 (37.2301)  loss_ce: 4.1 (4.2)  time: 0.9",
        window=20,
    ),
    _form(
        "PyTorch's ImageNet example",
        rf"\bEpoch: \[{_E}\]{_S}\[{_S}{_I}{_S}/{_S}{_N}\]",
        "Epoch: [0][  10/5005]\tTime  0.310 ( 0.412)\tData  0.001 ( 0.002)\tLoss 6.9123e+00 (6.9301e+00)\tAcc@1   0.00 (  0.10)",
        marker="Epoch: ",
        losses=("Loss", "loss"),
    ),
    _form(
        "PyTorch's MNIST example",
        rf"\bTrain Epoch: {_E} \[{_S}{_I}/{_N} \(",
        "Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.310500",
        marker="Train Epoch: ",
        losses=("Loss",),
    ),
    _form(
        "OLMo",
        rf"{_START}[ \t]{{1,12}}(?=[\w-]{{1,40}}/[\w /.-]{{1,80}}=)",
        "2025-12-26 22:22:20.622\thost-1:0\tolmo.train:990\tINFO\t[step=10/1000,epoch=0]\n    train/CrossEntropyLoss=9.133",
        marker=r"CrossEntropyLoss=|CE loss=|\[step=",
        losses=("train/CrossEntropyLoss", "train/CE loss", "train/loss"),
        above=rf"\[step={_I}/\d{{1,18}}",
    ),
    _form(
        "Composer",
        rf"{_START}[ \t]{{1,12}}(?=Train [^\n]{{0,60}}(?:loss|Loss|CrossEntropy)[\w/ ]{{0,60}}: )",
        "[epoch=0][batch=20/300]:\n\t Train loss/train/total: 7.1234",
        marker=r"loss|Loss|CrossEntropy|\[batch=",
        losses=("Train loss/train/total", "Train loss/train", "Train LanguageCrossEntropy"),
        above=rf"(?:\[epoch={_E}(?:/\d{{1,9}})?\])?\[batch={_I}/{_N}\]",
    ),
    _form(
        "PyTorch/XLA",
        rf"\bDevice=xla:(?:\d{{1,4}}/)?{_R} (?:Epoch={_E} )?Step={_I} ",
        "| Training Device=xla:0/3 Epoch=1 Step=20 Loss=2.67017 Rate=1773.53 GlobalRate=818.27 Time=07:31:01",
        marker="Loss=",
        losses=("Loss",),
    ),
    _form(
        "MaxText",
        rf"\bcompleted step: {_I}, ",
        "completed step: 3, seconds: 1.234, TFLOP/s/device: 100.123, Tokens/s/device: 10000.123, loss: 10.123",
        marker="completed step",
    ),
    _form(
        "verl",
        rf"\bstep:{_I} - (?=\w)",
        "step:1 - train/loss:1.0312 - train/lr(1e-3):0.0101",
        marker="step:",
        losses=("train/loss", "actor/pg_loss", "critic/vf_loss"),
    ),
    _form(
        "torchtune",
        rf"\bStep {_I} \| (?=loss:)",
        "Step 1 | loss:2.3105 lr:2e-05 tokens_per_second_per_gpu:1000.1",
    ),
    _form(
        "TensorFlow Estimator",
        rf"\bloss = {_V}, step = {_I}",
        "INFO:tensorflow:loss = 2.3105, step = 100 (10.512 sec)",
        follows=True,
    ),
    _form(
        "Caffe",
        rf"\bIteration {_I}(?: \([^)\n]{{0,60}}\))?, loss = {_V}",
        "I0601 10:00:00.123456  1234 solver.cpp:228] Iteration 100 (5.3 iter/s, 18.8s/100 iters), loss = 2.3105",
        marker="loss = ",
    ),
    _form(
        "Darknet",
        rf"{_START}{_S}{_I}: {_V}, [-\d.naif]{{1,20}} avg(?: loss)?, ",
        " 100: 2.310500, 2.567000 avg, 0.001000 rate, 2.300000 seconds, 6400 images",
        marker=" avg",
    ),
    _form(
        "MXNet",
        rf"\bEpoch ?\[?{_E}\] ?\[?Batch ?\[?(?:\d{{1,18}}-)?{_I}\]",
        "INFO:root:Epoch[0] Batch [20]\tSpeed: 1000.12 samples/sec\taccuracy=0.101\tcross-entropy=2.310500",
        marker="Batch",
        losses=("cross-entropy", "CrossEntropy", "loss", "cross_entropy"),
    ),
    _form(
        "epoch log",
        rf"\bEpoch\[{_E}\]: (?=train_loss )",
        "Epoch[3]: train_loss 4.1116 acc1 12.5 acc5 30.1 | val_loss 9.75 val_acc1 1.0",
        losses=("train_loss",),
    ),
    _form(
        "tqdm bar",
        rf"(?:\b[Ee]poch:? {{0,3}}\[?{_E}[^|\n]{{0,60}}\|[^|\n]{{0,200}}\| {{0,3}})?(?<![\d.]){_I}/{_N} \[\d{{1,3}}:\d\d(?::\d\d)?<",
        "Epoch 0:  10%|#         | 10/600 [00:05<05:00,  1.97it/s, loss=2.3105]",
        marker="loss|Loss",
        losses=("loss", "train_loss", "train_loss_step", "reduced_train_loss", "loss_step"),
        states=True,
    ),
)
"""In the order in which they are tried."""

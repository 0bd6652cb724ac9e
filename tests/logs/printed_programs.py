"""Trainings as their programs print them, with validation, summaries and other lines between: the truth beside them.

``STEPS`` counts through: template, first iteration, interval, how a loss is printed, what is printed between.
``EPOCHS`` counts from each epoch's start: template, first epoch, first iteration, interval, how much longer an epoch is
than its last printed interval, how a loss is printed, what is printed after an epoch. ``{i}`` is the iteration, ``{e}``
the epoch, ``{n}`` the iterations of an epoch, ``{v}`` the loss. The losses between are 99.
"""

import json

STEPS = {
    "mmengine text": (
        "2024/05/13 22:58:17 - mmengine - INFO - Iter(train) [{i:>5}/40000]  base_lr: 9.9e-03 lr: 9.9e-03  eta: 1 day, 16:31:08"
        "  time: 0.8793  data_time: 0.0053  memory: 10445  loss: {v}  decode.loss_ce: 1.4961  aux.loss_ce: 0.6672",
        50, 50, ".4f",
        "2024/05/13 22:58:17 - mmengine - INFO - Iter(val) [ 50/500]    eta: 0:01:31  time: 0.2  loss: 99.0\n",
    ),
    "mmseg 0.x": (
        "2021-07-01 10:00:11,456 - mmseg - INFO - Iter [{i}/160000]\tlr: 1.000e-02, eta: 1 day, 10:01:11, time: 0.451,"
        " memory: 9200, decode.loss_ce: 1.0, aux.loss_ce: 0.5, loss: {v}",
        50, 50, ".4f", "",
    ),
    "NeMo": (
        "Training epoch 0, iteration {i}/99 | lr: 1.499e-06 | global_batch_size: 512 | global_step: {i} |"
        " reduced_train_loss: {v} | train_step_timing in s: 6.1",
        0, 1, ".4g", "",
    ),
    "Megatron-LM": (
        " [2025-10-22 16:59:16] iteration {i:8d}/  500000 | consumed samples: {i:12d} | elapsed time per iteration (ms):"
        " 370.2 | learning rate: 3.900183E-07 | global batch size:     8 | lm loss: {v} | load_balancing_loss: 1.3E+00 |"
        " loss scale: 1.0 | grad norm: 18.417 | number of skipped iterations:   0 | number of nan iterations:   0 |",
        1, 1, ".6E", " validation loss at iteration 25 | lm loss value: 9.900000E+01 | lm loss PPL: 1.2E+04 | \n",
    ),
    "GPT-NeoX": (
        " samples/sec: 51.612 | iteration {i:8d}/  320000 | elapsed time per iteration (ms): 620.0 | learning rate:"
        " 1.875E-06 | lm_loss: {v} | loss scale: 65536.0 | number of skipped iterations:   0 |",
        10, 10, ".6E", "",
    ),
    "DeepSpeed": (
        "steps: {i} loss: {v} iter time (s): 0.511 samples/sec: 62.623", 10, 10, ".4f",
        "[2023-05-01 10:00:00,123] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=0, lr=[9.6e-06], mom=[(0.9, 0.95)]\n",
    ),
    "torchtitan": (
        "[rank0]:[titan] 2026-08-18 03:11:22,000 - root - INFO - \x1b[31mstep: {i:2}  \x1b[32mloss: {v}  "
        "\x1b[38;2;180;60;0mgrad_norm:  1.5000  \x1b[38;2;54;234;195mmemory:  1.04GiB(2.20%)  \x1b[34mtps: 10,234\x1b[39m",
        1, 1, "8.5f", "[rank0]:[titan] 2026-08-18 03:11:22,000 - root - INFO - validate step:  1  loss:  99.0000  memory:  1.04GiB\n",
    ),
    "nanoGPT": ("iter {i}: loss {v}, time 120.50ms, mfu 12.10%", 0, 10, ".4f", "step 250: train loss 99.0, val loss 99.1\n"),
    "llama2.c": ("{i} | loss {v} | lr 4.682000e-05 | 8801.79ms | mfu 0.22%", 0, 10, ".4f", "step 250: train loss 99.0, val loss 99.1\n"),
    "llm.c main.log": ("s:{i} trl:{v} lr:0.000001 norm:15.33", 0, 1, ".4f", "s:20 tel:99.0\n"),
    "llm.c": (
        "step {i:4d}/19560 | loss {v} (+nanz)| norm 1.5000 (+0.12z)| lr 8.57e-07 | 300.12 ms | 50.1% bf16 MFU | 17000 tok/s",
        1, 1, ".6f", "val loss 99.0\n",
    ),
    "llm.c train_gpt2.py": ("step {i:4d}/90 | train loss {v} | norm 1.5000 | lr 1.00e-04 | (300.12 ms | 1000 tok/s)", 1, 1, ".6f", ""),
    "modded-nanogpt": (
        "step:{i}/1750 train_loss:{v} train_time:23184ms step_avg:185.47ms", 1, 1, ".4f",
        "step:125/1750 val_loss:99.0 train_time:23184ms step_avg:185.47ms\n",
    ),
    "PaddleSeg": (
        "2022-03-01 10:00:00 [INFO]\t[TRAIN] epoch: 1, iter: {i}/80000, loss: {v}, lr: 0.009999, batch_cost: 0.5 | ETA 05:00:00",
        10, 10, ".4f", "2022-03-01 10:00:00 [INFO]\t[EVAL] #Images: 500 mIoU: 0.5 Acc: 0.9 loss: 99.0\n",
    ),
    "BigDL": (
        "2017-08-20 16:11:38 INFO  DistriOptimizer$:295 - [Epoch 64 736512/1281167][Iteration {i}][Wall Clock 197331.8s] Train"
        " 1792 in 4.38seconds. Throughput is 408.40378 records/second. Loss is {v}. Current learning rate is 0.046.",
        45457, 1, ".7f", "",
    ),
    "detectron2": (
        "[06/01 10:00:00 d2.utils.events]:  eta: 1:00:00  iter: {i}  total_loss: {v}  loss_cls: 1.234  loss_box_reg: 0.2    "
        "time: 0.2012  lr: 0.001  max_mem: 3000M",
        19, 20, ".4g", "",
    ),
    "maskrcnn-benchmark": (
        "2019-06-01 10:00:00,123 maskrcnn_benchmark.trainer INFO: eta: 1 day, 2:00:00  iter: {i}  loss: {v} (9.5678)  "
        "loss_box_reg: 0.1 (0.2)  time: 0.5 (0.6)  lr: 0.020000  max mem: 5000",
        20, 20, ".4f", "",
    ),
    "torchcv": (
        "2019-08-01 10:00:00,123 INFO [fcn_segmentor.py, 122] Train Epoch: 0\tTrain Iteration: {i}\tTime 8.551s / 10iters, (0.855)\n"
        "Learning rate = [0.00999, 0.00999]\tLoss = {v} (ave = 11.81935815)\n",
        10, 10, ".8f", "2019-08-01 10:00:00,123 INFO [fcn_segmentor.py, 190] Test Time 8.5s, (0.8)      Loss 99.00000000\n",
    ),
    "NVIDIA SSD": ("Iteration: {i:6d}, Loss function: {v}, Average Loss: 9.023, avg. samples / sec: 78.32", 0, 20, "5.3f", ""),
    "fairseq": (
        "2020-07-17 06:59:26 | INFO | train_inner | epoch 001:   100 / 2000 loss={v}, nll_loss=9.1, ppl=1716.04, wps=3681.4,"
        " num_updates={i}, lr=2.7e-05, gnorm=2.841, wall=723",
        100, 100, ".3f", "2020-07-17 06:59:26 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 99.354 | ppl 123.4 |"
        " num_updates 2000 | best_loss 3.3\n2020-07-17 06:59:26 | INFO | train | epoch 001 | loss 99.608 | num_updates 2000 | lr 0.0015\n",
    ),
    "OLMo": (
        "2025-12-26 22:22:20.622\thost-1:0\tolmo.train:990\tINFO\t[step={i}/1000,epoch=0]\n    optim/total_grad_norm=6.938\n"
        "    train/CrossEntropyLoss={v}\n    train/Perplexity=9,258",
        10, 10, ".4g", "2025-12-26 22:22:20.622\thost-1:0\tolmo.train:990\tINFO\t[eval_step=1/10]\n    eval/v3/CrossEntropyLoss=99.0\n",
    ),
    "OLMo-core": (
        "2025-01-01 10:00:00.123\thost:0\tolmo_core.train.callbacks.console_logger:40\tINFO\t[step={i}/1000,epoch=1]\n    train/CE loss={v}",
        10, 10, ".4g", "",
    ),
    "MaxText": ("completed step: {i}, seconds: 1.234, TFLOP/s/device: 100.123, total_weights: 65536, loss: {v}", 0, 1, ".3f", ""),
    "verl": ("step:{i} - train/loss:{v} - train/lr(1e-3):0.0101", 1, 1, ".4f", "step:30 - val/loss:99.0\n"),
    "verl PPO": (
        "\x1b[36m(TaskRunner pid=12345)\x1b[0m step:{i} - global_seqlen/min:40000.000 - actor/entropy_loss:0.400 - actor/pg_loss:{v}"
        " - critic/score/mean:0.4 - timing_s/step:10.2",
        1, 1, ".3f", "",
    ),
    "torchtune": ("Step {i} | loss:{v} lr:2e-05 tokens_per_second_per_gpu:1000.1 peak_memory_active:10.1 ", 1, 1, ".9f", ""),
    "torchtune's bar": ("\r1|{i}|Loss: {v}: 10%|##| {i}/90 [00:10<10:00,  1.90it/s]", 1, 1, ".9f", ""),
    "TF Estimator": (
        "INFO:tensorflow:loss = {v}, step = {i} (10.512 sec)", 0, 100, ".7g",
        "INFO:tensorflow:Saving dict for global step 900: accuracy = 0.9, global_step = 900, loss = 99.0\n",
    ),
    "Caffe": (
        "I0601 10:00:00.123456  1234 solver.cpp:218] Iteration {i} (5.3 iter/s, 18.8s/100 iters), loss = {v}\n"
        "I0601 10:00:00.123456  1234 solver.cpp:237]     Train net output #0: loss = 99.1 (* 1 = 99.1 loss)",
        0, 100, ".6g", "I0601 10:00:00.123456  1234 solver.cpp:397]     Test net output #1: loss = 99.0 (* 1 = 99.0 loss)\n",
    ),
    "Darknet": (
        " {i}: {v}, 9.567000 avg loss, 0.001000 rate, 2.300000 seconds, 6400 images, 1.0 hours left", 1, 1, ".6f",
        "Region 82 Avg IOU: 0.2, Class: 0.5, Obj: 0.5, No Obj: 0.5, .5R: 0.0, .75R: 0.0,  count: 4\n",
    ),
    "epoch log": ("Epoch[{i}]: train_loss {v} acc1 12.5 acc5 30.1 | val_loss 99.0 val_acc1 1.0", 0, 1, ".4f", ""),
    "Keras, a line an epoch": ("Epoch {i}/90\n20/20 - 0s - 8ms/step - loss: {v} - mae: 1.5 - val_loss: 99.0", 1, 1, ".4f", ""),
    "tqdm, the loss in front": ("\rloss: {v}:  10%|###       | {i}/90 [00:05<05:00,  1.97s/it]", 1, 1, ".4f", ""),
    "MLLOG": (
        ':::MLLOG {{"namespace": "", "time_ms": 1632489662540, "event_type": "POINT_IN_TIME", "key": "train_loss", "value": {v},'
        ' "metadata": {{"file": "/t.py", "lineno": 55, "samples_count": {i}}}}}',
        1024, 1024, ".12f", ':::MLLOG {"event_type": "POINT_IN_TIME", "key": "eval_error", "value": 99.0, "metadata": {"samples_count": 1024}}\n',
    ),
    "ms-swift": (
        '{{"loss": {v}, "grad_norm": 1.2, "learning_rate": 1e-4, "epoch": 0.1, "global_step/max_steps": "{i}/900"}}', 10, 10, ".8f",
        '{"eval_loss": 99.0, "epoch": 0.1, "global_step/max_steps": "100/900"}\n',
    ),
    "LLaMA-Factory": (
        '{{"current_steps": {i}, "total_steps": 13080, "loss": {v}, "lr": 3e-5, "epoch": 0.1, "elapsed_time": "1:16:53"}}', 20, 20, ".4f",
        '{"current_steps": 20, "total_steps": 13080, "eval_loss": 99.0, "epoch": 0.1}\n',
    ),
    "W&B history": ('{{"_step": 5, "_runtime": 1.0, "train/loss": {v}, "train/global_step": {i}, "train/epoch": 0.1}}', 50, 50, ".15f", ""),
    "detectron2 metrics.json": (
        '{{"data_time": 0.01, "iteration": {i}, "lr": 0.001, "total_loss": {v}, "loss_cls": 0.5}}', 19, 20, ".15f",
        '{"iteration": 399, "bbox/AP": 30.1}\n',
    ),
    "mmengine scalars": (
        '{{"base_lr": 0.01, "lr": 0.01, "data_time": 0.1, "loss": {v}, "time": 0.5, "iter": {i}, "memory": 100, "step": {i}}}', 50, 50, ".15f",
        '{"aAcc": 50.0, "mIoU": 20.0, "data_time": 0.1, "time": 0.1, "step": 100}\n',
    ),
}  # fmt: skip

EPOCHS = {
    "TCAPPDLL": (
        "TCAPPDLL 2025-07-01 12:00:00.123456 - Epoch: {e} Iteration: {i}  rank : 0  train.loss : {v}  train.ips : 1.5 imgs/s train.total_time : 0.4",
        0, 0, 1, 0, ".6f", "",
    ),
    "mmengine, by epoch": (
        "05/13 22:58:17 - mmengine - INFO - Epoch(train)   [{e}][{i:>5}/{n}]  lr: 9.9e-03  eta: 1:00:00  memory: 100  loss: {v}",
        1, 10, 10, 3, ".4f", "05/13 22:58:17 - mmengine - INFO - Epoch(val) [1][79/79]    accuracy/top1: 50.1  loss: 99.0\n",
    ),
    "mmdet 2.x": (
        "2021-07-01 10:00:11,456 - mmdet - INFO - Epoch [{e}][{i}/{n}]\tlr: 2.000e-02, eta: 10:01:11, time: 0.451, loss_bbox: 0.2, loss: {v}, grad_norm: 1.2",
        1, 50, 50, 33, ".4f", "2021-07-01 10:00:11,456 - mmdet - INFO - Epoch(val) [1][5000]\tbbox_mAP: 0.25, loss: 99.0\n",
    ),
    "mmdet 2.x .log.json": (
        '{{"mode": "train", "epoch": {e}, "iter": {i}, "lr": 0.02, "memory": 9200, "loss": {v}, "time": 0.45}}',
        1, 10, 10, 0, ".5f", '{"mode": "val", "epoch": 1, "iter": 5, "lr": 0.02, "bbox_mAP": 0.3, "loss": 99.0}\n',
    ),
    "Keras bar": (
        "\r{i:3d}/{n} [==>...........................] - ETA: 0s - loss: {v} - accuracy: 0.5", 1, 1, 1, 0, ".4f", "",
        "Epoch {e}/2\n",
    ),
    "Keras 3 bar": (
        "\r\x1b[1m{i:3d}/{n}\x1b[0m \x1b[32m━━━\x1b[0m\x1b[37m━━━━━━━\x1b[0m \x1b[1m0s\x1b[0m 2ms/step - accuracy: 0.5000 - loss: {v}",
        1, 1, 1, 0, ".4f", "", "Epoch {e}/2\n",
    ),
    "PaddleDetection": (
        "[03/01 10:00:00] ppdet.engine INFO: Epoch: [{e}] [{i:4d}/{n}] learning_rate: 0.000133 loss_bbox_cls: 1.1 loss: {v} eta: 1 day, 2:03:04 ips: 8.0",
        0, 0, 20, 20, ".6f", "",
    ),
    "MindSpore": ("epoch: {e} step: {i}, loss is {v}", 1, 1, 1, 0, ".7f", "Train epoch time: 2211.312 ms, per step time: 221.131 ms\n"),
    "MindFormers": (
        "2024-03-01 10:00:00,123 - mindformers[callback.py:316] - INFO - {{ Epoch:[{e:3d}/  2], step:[{i:5d}/{n:5d}], loss: {v}, per_step_time: 3521ms",
        1, 1, 1, 0, ".3f", "2024-03-01 10:00:00,123 - mindformers[callback.py:316] - INFO -  50.0% |###| 2.3 samples/s/p  0:10:00 }\n",
    ),
    "MindYOLO": (
        "2023-06-01 10:00:00,123 [INFO] Epoch {e}/300, Step {i}/{n}, imgsize (640, 640), loss: {v}, lbox: 0.1, lcls: 0.3, cur_lr: 0.01",
        1, 100, 100, 49, ".4f", "",
    ),
    "HRNet": (
        "2020-06-01 10:00:00,123 Epoch: [{e}/484] Iter:[{i}/{n}], Time: 0.85, lr: [0.0099], Loss: {v}, Acc:0.500000, Semantic loss: 1.0",
        0, 0, 10, 11, ".6f", "2020-06-01 10:00:00,123 Loss: 99.000, MeanIU:  0.5, Best_mIoU:  0.5\n",
    ),
    "NVIDIA GNMT": (
        "0: TRAIN [{e}][{i}/{n}]\tTime 0.310 (0.412)\tData 1.05e-03 (2.1e-03)\tTok/s 40000 (39000)\tLoss/tok {v} (9.1023)\tLR 1.000e-03",
        0, 0, 10, 10, ".4f", "0: Summary: Epoch: 0\tTraining Loss: 99.0\tValidation Loss: 99.0\tTest BLEU: 20.1\n",
    ),
    "timm": (
        "Train: {e} [{i:>4d}/{n} ( 10%)]  Loss: {v} (9.93)  Time: 0.512s, 250.00/s  (0.600s, 213.33/s)  LR: 1.000e-06  Data: 0.010 (0.020)",
        0, 0, 50, 50, "#.3g", "Test: [   0/195]  Time: 0.5 (0.5)  Loss:  99.0 (99.0)  Acc@1: 0.1 (0.1)\n",
    ),
    "Swin": (
        "[2021-06-01 10:00:00 swin_tiny] (main.py 200): INFO Train: [{e}/300][{i}/{n}]\teta 0:10:00 lr 0.000001\ttime 0.5123 (0.6000)\tloss {v} (6.9301)"
        "\tgrad_norm 1.2000 (1.3000)\tmem 5000MB",
        0, 0, 10, 11, ".4f", "[2021-06-01 10:00:00 swin] (main.py 250): INFO Test: [0/98]\tTime 0.5 (0.5)\tLoss 99.0 (99.0)\tAcc@1 0.1 (0.1)\n",
    ),
    "DETR": (
        "Epoch: [{e}]  [{i:4d}/{n}]  eta: 1:00:00  lr: 0.000100  class_error: 99.0  loss: {v} (37.2301)  loss_ce: 4.1 (4.2)  time: 0.9",
        0, 0, 10, 10, ".4f", "Test:  [  0/625]  eta: 0:05:00  loss: 99.0 (99.0)  time: 0.5\nAveraged stats: lr: 0.000100  loss: 99.0 (99.0)\n",
    ),
    "ImageNet example": (
        "Epoch: [{e}][{i:4d}/{n}]\tTime  0.310 ( 0.412)\tData  0.001 ( 0.002)\tLoss {v} (9.9301e+00)\tAcc@1   0.00 (  0.10)",
        0, 1, 10, 9, ".4e", "Test: [ 1/196]\tTime  0.5 ( 0.5)\tLoss 9.9000e+01 (9.9000e+01)\n *   Acc@1 0.100 Acc@5 0.500\n",
    ),
    "MNIST example": ("Train Epoch: {e} [{i}/{n} (10%)]\tLoss: {v}", 1, 0, 640, 640, ".6f", "\nTest set: Average loss: 99.0000, Accuracy: 9800/10000 (98%)\n"),
    "Composer": (
        "2024-01-01 10:00:00,123: rank0[1234][MainThread]: INFO: composer.loggers.console_logger: [epoch={e}/2][batch={i}/{n}]:\n"
        "\t Train time/epoch: {e}\n\t Train loss/train/total: {v}\n\t Train metrics/train/LanguageCrossEntropy: 99.1",
        1, 1, 1, 0, ".4f", "",
    ),
    "MXNet": (
        "INFO:root:Epoch[{e}] Batch [{i}]\tSpeed: 1000.12 samples/sec\taccuracy=0.101\tcross-entropy={v}",
        0, 20, 20, 0, ".6f", "INFO:root:Epoch[0] Train-accuracy=0.5\nINFO:root:Epoch[0] Validation-cross-entropy=99.0\n",
    ),
    "tqdm": ("\rEpoch {e}:  10%|###       | {i}/{n} [00:05<05:00,  1.97it/s, loss={v}]", 0, 1, 1, 0, ".4f", ""),
    "PyTorch-Ignite": ("Epoch [{e}/2]: [{i}/{n}]  10%|#7        , loss={v} [00:05<00:25]", 1, 1, 1, 0, ".4f", ""),
    "DLLogger JSON": (
        'DLLL {{"timestamp": "1", "elapsedtime": "1.2", "type": "LOG", "step": [{e}, {i}], "data": {{"train_loss": {v}, "lr": 0.1}}}}',
        0, 0, 1, 0, ".15f", 'DLLL {"type": "LOG", "step": [0], "data": {"train_loss": 99.0, "val_loss": 99.0}}\n',
    ),
    "DCGAN, one loss": ("[{e}/25][{i}/{n}]\tLoss: {v}\tD(x): 0.5", 0, 0, 1, 1, ".4f", ""),
}  # fmt: skip


def printed(name, losses):
    """A log of a program over two epochs, and the iterations and losses that it prints."""
    text, iterations, values = [], [], []
    if name in STEPS:
        template, first, every, style, between = STEPS[name]
        for at, loss in enumerate(losses):
            iterations.append(first + at * every)
            values.append(format(loss, style))
            text.append(template.format(i=iterations[-1], v=values[-1]) + "\n" + (between if at % 20 == 19 else ""))
    else:
        template, epoch, first, every, longer, style, after, *before = EPOCHS[name]
        half = len(losses) // 2
        length = first + (half - 1) * every + longer + (first == 0 and longer == 0)
        for turn in range(2):
            text += [one.format(e=epoch + turn) for one in before]
            for at in range(half):
                i = first + at * every
                iterations.append(turn * length + i)
                values.append(format(losses[turn * half + at], style))
                text.append(template.format(e=epoch + turn, i=i, n=length, v=values[-1]) + "\n")
            text.append(after)
    return "".join(text), iterations, [float(value) for value in values]


def trainer_log(losses, *, redrawn):
    """What Hugging Face's Trainer prints with its bar: drawn right before each dict, or only behind it."""
    text = f"  0%|          | 0/{5 * len(losses)} [00:00<?, ?it/s]\r" if redrawn else ""
    for at, loss in enumerate(losses, 1):
        bar = f" 10%|#         | {5 * at}/{5 * len(losses)} [00:00<00:01, 130.83it/s]"
        said = json.dumps({"loss": round(loss, 4), "grad_norm": 1.25, "epoch": at / 16}).replace('"', "'") + "\n"
        text += f"\r{said}\r{bar}" if redrawn else f"\r{bar}\r{said}"
        if at % 30 == 0:
            text += "\r 50%|#####     | 4/8 [00:01<00:01, 5.0it/s]\r{'eval_loss': 99.0, 'epoch': 0.1}\n"
    return text + "\n", [5 * at for at in range(1, len(losses) + 1)], [round(loss, 4) for loss in losses]

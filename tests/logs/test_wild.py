"""Lines as the field's own scripts print them, and settings as they do."""

import numpy as np
import pytest

from harness.logs import read_log

LINES = {
    "a sentence": (
        "Step 0: Loss = 71444.4609\nStep 0   Train ELBO: -558.1  Speed: 4.1e+06 examples/s\nStep 1: Loss = 5.5\n",
        [0, 1],
        [71444.4609, 5.5],
    ),
    "commas": (
        "iter: 1/150000, lr: 0.000055, eta: 10 days, 7:56:41, time: 11.9, loss: 44.0030, loss_pre: 13.4527\n",
        [1],
        [44.003],
    ),
    "DLL": (
        "DLL 2020-09-15 14:29:13.473765 - Epoch: 0 Iteration: 1  train.loss : 7.09304  train.ips : 2 img/s\n",
        [1],
        [7.09304],
    ),
    "fractional epochs, whole losses": (
        "TCAPPDLL 2025 - Epoch: 0.0002 Iteration: 1  rank : 0  train.loss : 0  train.ips : 0 imgs/s\n",
        [1],
        [0.0],
    ),
    "a dict behind a progress bar": (
        "\r 1%|█▌   | 1/100 [07:44<12:45:55, 464.19s/it]{'loss': 2.5, 'lr': 5e-05, 'epoch': 0.0}\r",
        [1],
        [2.5],
    ),
    "steps of epochs": (
        "Epoch [1/9], Step [1], Loss: 3.5\nEpoch [1/9], Step [2], Loss: 3.0\nEpoch [2/9], Step [1], Loss: 2.5\n",
        [1, 2, 3],
        [3.5, 3.0, 2.5],
    ),
}

SETTINGS = {
    "fp16=False, bf16=True, seed=42, per_device_train_batch_size=2": {
        "precision": "amp-bf16",
        "seed": "42",
        "batch size": "2",
    },
    "fp16=False, bf16=False": {"precision": "fp32"},
    " PyTorch      | 2.4.0a0+git4451b0e\n Torch-SDAA   | 2.1.0\n": {
        "torch": "2.4.0a0+git4451b0e",
        "torch_sdaa": "2.1.0",
    },
    "work_dir = './work_dirs/edgenext-xxsmall_8xb256_in1k'": {"config": "edgenext-xxsmall_8xb256_in1k"},
    "torchrun --nproc_per_node 4 train.py --config configs/ann_r50.py --amp": {
        "world size": "4",
        "config": "ann_r50",
        "precision": "amp",
    },
    "numpy_random_seed: 5\nbase_batch_size=4096\ndata_seed=None": {},
}


@pytest.mark.parametrize("kind", LINES)
def test_lines_of_the_wild(tmp_path, kind):
    text, iterations, values = LINES[kind]
    path = tmp_path / "run.log"
    path.write_bytes(text.encode())
    log = read_log(path)
    assert log.iterations.tolist() == iterations
    np.testing.assert_array_equal(log.values, values)


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_as_scripts_print_them(tmp_path, text):
    path = tmp_path / "run.log"
    path.write_text(text + "\nIteration: 1 loss: 2.5\n")
    assert read_log(path).settings == SETTINGS[text]

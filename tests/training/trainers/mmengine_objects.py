"""A Runner that a script builds of objects, without a config, as mmengine's first example does."""

import tempfile

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from started import start
from torch.utils.data import DataLoader, TensorDataset

import harness.training.hooks.mmengine_hook  # noqa: F401  # registers the hook
from harness.devices.mmengine_adapter import teach_mmengine


class Classifier(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()
        )
        self.head = torch.nn.Linear(288, 10)

    def forward(self, images, labels, mode):
        scores = self.head(self.layers(images))
        return {"loss": F.cross_entropy(scores, labels)} if mode == "loss" else (scores, labels)


class Accuracy(BaseMetric):
    def process(self, data_batch, data_samples):
        scores, labels = data_samples
        self.results.append((scores.argmax(1) == labels).float().mean().item())

    def compute_metrics(self, results):
        return {"accuracy": sum(results) / len(results)}


def train(folder, kind):
    teach_mmengine(kind)
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(32, 3, 8, 8), torch.randint(10, (32,)))
    runner = Runner(
        model=Classifier(),
        work_dir=tempfile.mkdtemp(),
        train_dataloader=DataLoader(data, batch_size=8, shuffle=True),
        optim_wrapper={"optimizer": {"type": torch.optim.SGD, "lr": 0.01, "momentum": 0.9}},
        train_cfg={"by_epoch": True, "max_epochs": 2, "val_interval": 1},
        val_dataloader=DataLoader(data, batch_size=8),
        val_cfg={},
        val_evaluator={"type": Accuracy},
        randomness={"seed": 0},
        custom_hooks=[{"type": "AlignmentHook", "folder": folder, "iterations": 5}],
        experiment_name=tempfile.mkdtemp().rpartition("/")[2],
        log_level="WARNING",
    )
    runner.train()


start(train)

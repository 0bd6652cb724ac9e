"""Hugging Face's Trainer on a tiny ViT: AdamW, a schedule, accumulation, clipping, dropout."""

import tempfile

import torch
from accelerate import PartialState
from started import start
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed

from harness.training.hooks.huggingface import watch_trainer


class Images(torch.utils.data.Dataset):
    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(32, 3, 16, 16, generator=generator)
        self.labels = torch.randint(4, (32,), generator=generator)

    def __len__(self):
        return 32

    def __getitem__(self, index):
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


def train(folder, kind):
    set_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=4,
        num_labels=4, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
    )  # fmt: skip
    model = ViTForImageClassification(config)
    arguments = TrainingArguments(
        tempfile.mkdtemp(), max_steps=6, per_device_train_batch_size=4, gradient_accumulation_steps=2, report_to=[],
        learning_rate=1e-3, warmup_steps=2, lr_scheduler_type="cosine", save_strategy="no", use_cpu=True, seed=0,
        disable_tqdm=True,
    )  # fmt: skip
    if kind != "cpu":  # Accelerate doesn't know the emulated device
        PartialState._shared_state["device"] = torch.device(kind)
        arguments.__dict__["_setup_devices"] = torch.device(kind)
    trainer = Trainer(model.to(kind), arguments, train_dataset=Images())
    watch_trainer(trainer, folder=folder, iterations=5, case="vit")
    trainer.train()


start(train)

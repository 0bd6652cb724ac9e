"""Gradients of two batches a step, clipped, a schedule of PyTorch's, evaluation, autocast to bfloat16."""

import torch
import torch.nn.functional as F

import harness as alignment


@alignment.case(iterations=8, repeats=5, tier="fp32", seed=3)
def accumulating(device):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(288, 5)
    ).to(device)
    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": [*model[1:].parameters()]}]
    optimizer = torch.optim.AdamW(groups, lr=0.02, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [0.01, 0.02], total_steps=8)
    images, labels = torch.randn(6, 4, 3, 8, 8), torch.randint(5, (6, 4))
    taken = [0]

    def loss_of(batch):
        return F.cross_entropy(model(batch["images"].to(device)), batch["labels"].to(device))

    def step(batch):
        loss = loss_of(batch)
        (loss / 2).backward()
        taken[0] += 1
        if taken[0] % 2 == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return loss

    batches = [{"images": x, "labels": y, "names": ["a", "b"]} for x, y in zip(images, labels, strict=True)]
    return alignment.Training(model, optimizer, batches, step, evaluate=loss_of, settings={"accumulated": 2})

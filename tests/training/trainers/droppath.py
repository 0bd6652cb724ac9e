"""A model of timm's with stochastic depth, dropout in its attention, and AdamW."""

import timm
import torch
import torch.nn.functional as F

import harness


@harness.case(iterations=6, repeats=5, tier="fp32")
def droppath(device):
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=48, depth=3, num_heads=3, num_classes=5,
        drop_path_rate=0.3, attn_drop_rate=0.1,
    ).to(device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    batches = [(torch.randn(4, 3, 32, 32), torch.randint(5, (4,))) for _ in range(4)]

    def step(batch):
        images, labels = batch
        loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return harness.Training(model, optimizer, batches, step)

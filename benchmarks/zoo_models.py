"""Models of the zoo that no library builds by a name: mmsegmentation's base configs, and plain PyTorch."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor
Made = tuple[nn.Module, Any]


def mmseg(config: str, batch: int = 2, size: int = 64, **options: Any) -> tuple[nn.Module, Any, Any]:
    """A model of mmsegmentation's ``_base_/models``, with its own losses, on drawn images.

    Its widths are divided as its config allows: ResNet-50 gets depth 18's blocks only where the heads fit.
    """
    stub_compiled_operations()
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    found = importlib.util.find_spec("mmseg")
    if found is None or found.origin is None:
        raise ImportError("No module named 'mmseg'")
    base = Path(found.origin).parent / ".mim" / "configs" / "_base_" / "models" / f"{config}.py"
    settings = Config.fromfile(base)
    init_default_scope("mmseg")
    from mmseg.registry import MODELS

    settings.merge_from_dict({f"model.{name}": value for name, value in options.items()})
    model = _thinner(settings.model)
    _without_pretrained(model)
    model.pop("data_preprocessor", None)
    built = MODELS.build(model)
    classes = built.num_classes
    images = torch.randn(batch, 3, size, size)
    labels = torch.randint(classes, (batch, 1, size, size))
    return _WithLoss(built), (images, labels), lambda losses: losses


class _WithLoss(nn.Module):
    """The sum of a segmentor's losses."""

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = []
        for label in labels:
            sample = SegDataSample(
                metainfo={"img_shape": tuple(images.shape[2:]), "ori_shape": tuple(images.shape[2:])}
            )
            sample.gt_sem_seg = PixelData(data=label)
            sample.gt_edge_map = PixelData(data=(label % 2).to(torch.uint8))
            samples.append(sample)
        losses = self.segmentor(images, samples, mode="loss")
        found = [value for name, value in losses.items() if "loss" in name]
        return torch.stack([v if isinstance(v, Tensor) else sum(v) for v in found]).sum()


def _thinner(model: Any) -> Any:
    """ResNet-50 becomes a quarter as wide; one normalization for one process."""

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") == "SyncBN":
                value["type"] = "BN"
            if str(value.get("type", "")).startswith("ResNet") and value.get("depth") == 50:
                value["base_channels"], value["stem_channels"] = 16, 16
            for inner in value.values():
                walk(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)

    walk(model)
    backbone = model.get("backbone", {})
    if str(backbone.get("type", "")).startswith("ResNet") and backbone.get("depth") == 50:
        _quarter(model)
    return model


def _quarter(model: Any) -> None:
    """Heads that take ResNet's channels take a quarter of them, and are as narrow themselves."""
    narrow = {"in_channels", "channels", "c1_in_channels", "c1_channels", "ocr_channels", "out_channels"}

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in narrow and isinstance(inner, int) and inner >= 32:
                    value[key] = inner // 4
                elif key in narrow and isinstance(inner, (list, tuple)):
                    value[key] = [channels // 4 for channels in inner]
                else:
                    walk(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)

    for part in ("neck", "decode_head", "auxiliary_head"):
        walk(model.get(part, {}))


def _without_pretrained(value: Any) -> None:
    if isinstance(value, dict):
        for key in ("pretrained", "init_cfg"):
            if key in value:
                value[key] = None
        for inner in value.values():
            _without_pretrained(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _without_pretrained(inner)


def stub_compiled_operations() -> None:
    """mmcv-lite has no compiled operations; mmsegmentation imports them by name, and these models call none."""
    if "mmcv._ext" in sys.modules:
        return
    stub = ModuleType("mmcv._ext")
    stub.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: (_ for _ in ()).throw(RuntimeError(f"mmcv-lite has no {name}"))

    stub.__getattr__ = missing  # type: ignore[method-assign]
    sys.modules["mmcv._ext"] = stub


class _Recurrent(nn.Module):
    def __init__(self, kind: type[nn.LSTM | nn.GRU]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16, padding_idx=0)
        self.layers = kind(16, 24, num_layers=2, bidirectional=True, dropout=0.2, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.layers(self.embedding(tokens))
        return self.head(states.mean(1))


def recurrent(batch: int = 2) -> Made:
    """A bidirectional LSTM over embeddings."""
    return _Recurrent(nn.LSTM), torch.randint(50, (batch, 12))


def gated(batch: int = 2) -> Made:
    """The same with GRU."""
    return _Recurrent(nn.GRU), torch.randint(50, (batch, 12))


def transposed(batch: int = 2) -> Made:
    """Down by strides, up by transposed convolutions, with instance norms."""
    down = [nn.Conv2d(3, 16, 3, 2, 1), nn.InstanceNorm2d(16, affine=True), nn.LeakyReLU(0.1)]
    deep = [nn.Conv2d(16, 32, 3, 2, 1, groups=4), nn.GroupNorm(8, 32), nn.Mish()]
    up = [nn.ConvTranspose2d(32, 16, 4, 2, 1, groups=2), nn.BatchNorm2d(16), nn.ELU(), nn.ConvTranspose2d(16, 5, 2, 2)]
    return nn.Sequential(*down, *deep, *up), torch.randn(batch, 3, 32, 32)


def grouped(batch: int = 2) -> Made:
    """Depthwise and dilated convolutions, GroupNorm, SiLU, Hardswish, PReLU, average and max pools."""
    layers = [
        nn.Conv2d(3, 24, 3, padding=1),
        nn.GroupNorm(6, 24),
        nn.SiLU(),
        nn.Conv2d(24, 24, 5, padding=4, dilation=2, groups=24),
        nn.GroupNorm(1, 24),
        nn.Hardswish(),
        nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(24, 32, 1),
        nn.PReLU(32),
        nn.AdaptiveMaxPool2d(4),
        nn.Dropout2d(0.2),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(512, 10),
    ]
    return nn.Sequential(*layers), torch.randn(batch, 3, 32, 32)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(60, 32)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, activation="gelu", batch_first=True)
        self.query, self.key, self.value = (nn.Linear(32, 32) for _ in range(3))
        self.norm = nn.RMSNorm(32)
        self.head = nn.Linear(32, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.encoder(self.embedding(tokens))
        q, k, v = (f(x).unflatten(-1, (4, 8)).transpose(1, 2) for f in (self.query, self.key, self.value))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        mask = torch.zeros(x.shape[1], x.shape[1], device=x.device).masked_fill(
            torch.ones(x.shape[1], x.shape[1], device=x.device).triu(3).bool(), -30.0
        )
        x = x + F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        return self.head(self.norm(x)).mean(1)


def attention(batch: int = 2) -> Made:
    """A transformer layer, causal and masked scaled dot-product attention, RMSNorm."""
    return _Attention(), torch.randint(60, (batch, 20))


class _Bags(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(40, 16, mode=mode) for mode in ("sum", "mean", "max"))
        self.layers = nn.Sequential(nn.LayerNorm(48), nn.GELU(approximate="tanh"), nn.Linear(48, 10))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layers(torch.cat([bag(tokens) for bag in self.bags], 1))


def bags(batch: int = 2) -> Made:
    """Embedding bags, layer norm, GELU's tanh form."""
    return _Bags(), torch.randint(40, (batch, 15))


class _Scattered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(30, 16))
        self.layers = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 10))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        rows = self.table[index] + x  # (B, T, 16): index_put with accumulation in the backward
        summed = torch.zeros(30, 16, device=x.device).index_add(0, index.flatten(), rows.flatten(0, 1))
        spread = torch.zeros_like(summed).scatter_add(0, index.flatten()[:, None].expand(-1, 16), rows.flatten(0, 1))
        top, _ = rows.topk(5, dim=1)
        ordered, _ = rows.sort(dim=1, descending=True)
        running = rows.cumsum(1).logsumexp(1)
        mixed = top.mean(1) + ordered[:, 2] + running + summed.mean(0) + spread.std(0) + rows.amax(1)
        return self.layers(mixed)


def scattered(batch: int = 2) -> Made:
    """Gather, scatter, index_put, sort, topk, cumsum, logsumexp."""
    return _Scattered(), (torch.randn(batch, 9, 16), torch.randint(30, (batch, 9)))


class _Sampled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.flow = nn.Conv2d(8, 2, 3, padding=1)
        self.last = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        flow = self.flow(x).tanh().permute(0, 2, 3, 1)
        grid = F.affine_grid(torch.eye(2, 3, device=x.device).expand(len(x), 2, 3), x.shape, align_corners=False)
        x = F.grid_sample(x, grid + 0.1 * flow, align_corners=False, padding_mode="border")
        x = F.interpolate(x, scale_factor=1.7, mode="bilinear") + F.interpolate(x, scale_factor=1.7, mode="bicubic")
        x = F.interpolate(x, size=(37, 29), mode="nearest") + F.interpolate(x, size=(37, 29), mode="nearest-exact")
        x = F.interpolate(x, size=(23, 41), mode="bilinear", align_corners=True)
        x = F.pixel_shuffle(F.interpolate(x, size=(16, 16), mode="area").repeat(1, 4, 1, 1), 2)
        return self.last(F.pad(x, (1, 2, 2, 1), mode="reflect"))


def sampled(batch: int = 2) -> Made:
    """grid_sample, and interpolation of every mode by factors that aren't whole."""
    return _Sampled(), torch.randn(batch, 3, 24, 26)


def volumetric(batch: int = 2) -> Made:
    """One and three dimensions: convolutions, pools, batch norms, trilinear resizing."""
    layers = [
        nn.Conv3d(1, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.ReLU6(),
        nn.MaxPool3d(2),
        nn.Upsample(scale_factor=1.5, mode="trilinear"),
        nn.AdaptiveAvgPool3d((1, 4, 4)),
        nn.Flatten(2),
        nn.Conv1d(8, 16, 3),
        nn.BatchNorm1d(16),
        nn.Softsign(),
        nn.Flatten(),
        nn.LazyLinear(10),
    ]
    net = nn.Sequential(*layers)
    x = torch.randn(batch, 1, 8, 12, 12)
    with torch.no_grad():
        net(torch.cat([x, x]))
    return net, x


def losses(batch: int = 2) -> tuple[nn.Module, Any, Any]:
    """The losses of PyTorch, of two small heads, with and without reduction."""
    net = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.Hardtanh(), nn.Conv2d(12, 6, 1))
    labels = torch.randint(6, (batch, 12, 12))
    labels[:, :2] = 255

    def loss(scores: Tensor) -> Tensor:
        device = scores.device
        truth = labels.to(device)
        valid = truth.clamp(max=5)
        soft = F.one_hot(valid, 6).movedim(-1, 1).float()
        each = F.cross_entropy(scores, truth, reduction="none", ignore_index=255)
        weights = torch.linspace(0.5, 2.0, 6, device=device)
        total = each.mean() + F.cross_entropy(scores, truth, weight=weights, ignore_index=255, label_smoothing=0.1)
        total = total + F.binary_cross_entropy_with_logits(scores, soft, pos_weight=weights.view(6, 1, 1))
        total = total + F.kl_div(scores.log_softmax(1), soft.softmax(1), reduction="batchmean")
        total = total + F.smooth_l1_loss(scores, soft) + F.l1_loss(scores, soft) + F.huber_loss(scores, soft)
        total = total + F.binary_cross_entropy(scores.sigmoid(), soft) + F.nll_loss(scores.log_softmax(1), valid)
        total = (
            total
            + (1 - F.cosine_similarity(scores, soft + 0.1)).mean()
            + F.gaussian_nll_loss(scores, soft, F.softplus(scores.detach()) + 0.1)
        )
        return total + F.softmin(scores, 1).square().sum().sqrt() + scores.norm(dim=1).mean()

    return net, torch.randn(batch, 3, 12, 12), loss

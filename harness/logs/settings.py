"""What a log says about its run: arguments, environment tables and configs, by the words that introduce them."""

from __future__ import annotations

import re

__all__ = ["HEAD", "read_clock", "read_settings"]

HEAD = 1 << 16
"""Bytes at the start of a log that are searched: configs are printed there, before or among the first records."""

_IS = r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
_OPTION = r"(?:\s{1,4}|=)"

_PATTERNS: dict[str, tuple[str, ...]] = {
    "seed": (
        rf"\b(?:random[_ ])?seed{_IS}(\d{{1,20}})",
        rf"--seed{_OPTION}(\d{{1,20}})",
        r"[Ss]et random seed to (\d{1,20})",
    ),
    "world size": (
        rf"\b(?:GPU number|num_gpus|n_gpus?|world[_ ]size){_IS}(\d{{1,6}})",
        rf"--nproc[-_]per[-_]node{_OPTION}(\d{{1,6}})",
    ),
    "batch size": (
        r"\btrain_dataloader = dict\(\s{0,8}batch_size=(\d{1,9})",
        rf"\b(?:per_device_)?(?:train_)?(?:batch[_ ]?size|samples_per_gpu){_IS}(\d{{1,9}})",
        rf"--(?:train[-_])?batch[-_]size{_OPTION}(\d{{1,9}})",
    ),
    "precision": (
        r"type='(AmpOptimWrapper)'",
        rf"\b(?:use_)?(amp|fp16|bf16){_IS}[Tt]rue\b",
        rf"\bmixed_precision{_IS}(fp16|bf16|no)\b",
        r"(?<!\S)--(amp)\b",
        r"type='(OptimWrapper)'",
        rf"\b(?:use_)?(?:amp|fp16|bf16){_IS}([Ff]alse)\b",
    ),
    "torch": (r"\b(?:PyTorch|torch)(?: version)?\s{0,9}[:=|]{1,2}\s{0,9}(\d[\w.+]{1,40})",),
    "torch_sdaa": (r"\bTorch-SDAA\s{0,9}[:|]\s{0,9}(\S{1,40})",),
    "driver": (r"\bSDAA Driver\s{0,9}[:|]\s{0,9}(\S{1,40})",),
    "device": (
        r"\bGPU 0(?:,\d+)*: ([^\n]{1,80})",
        r"\bdevice(?:_type)?[\"']?\s{0,4}[:=]\s{0,4}[\"']?(cuda|sdaa|cpu|npu|musa|mps)\b",
    ),
    "launcher": (
        rf"\blauncher{_IS}(\w{{1,40}})",
        r"\bDistributed launcher: (\w{1,40})",
        rf"--launcher{_OPTION}(\w{{1,40}})",
    ),
    "config": (
        rf"--config{_OPTION}(\S{{1,300}})",
        r"\b[Cc]onfig(?: file)?: (\S{1,300}\.(?:py|ya?ml|json))\b",
        r"\bExp name: (\S{1,300}?)_\d{8}_\d{6}\b",
        r"\bwork_dir = '(?:\./)?work_dirs/([\w.-]{1,200})'",
    ),
    "smoothing window": (r"\bwindow_size=(\d{1,6})",),
    "normalization": (r"\b(SyncBN|SyncBatchNorm)\b",),
}
_WORDS = {
    "seed": ("seed",),
    "world size": ("gpu", "world", "nproc"),
    "batch size": ("batch", "samples_per_gpu"),
    "precision": ("amp", "fp16", "bf16", "optimwrapper", "mixed_precision"),
    "torch": ("torch",),
    "torch_sdaa": ("torch-sdaa",),
    "driver": ("sdaa driver",),
    "device": ("gpu 0", "device"),
    "launcher": ("launcher",),
    "config": ("config", "exp name", "work_dir"),
    "smoothing window": ("window_size",),
    "normalization": ("syncb",),
}
"""Words, one of which each setting's patterns need: to look for them first takes a tenth of the time."""

_COMPILED = {name: tuple(re.compile(pattern) for pattern in patterns) for name, patterns in _PATTERNS.items()}

_PRECISIONS = {
    "AmpOptimWrapper": "amp", "amp": "amp", "fp16": "amp", "bf16": "amp-bf16",
    "OptimWrapper": "fp32", "false": "fp32", "False": "fp32", "no": "fp32",
}  # fmt: skip


def read_settings(head: bytes) -> dict[str, str]:
    """The settings that a log's first part prints, by the first mention of each.

    Args:
        head: the first ``HEAD`` bytes of the text.

    Returns:
        name → value, as printed; ``global batch`` is added where batch size and world size are both there.
    """
    text = head.decode("utf-8", "replace")
    lower = text.lower()
    settings = {}
    for name, patterns in _COMPILED.items():
        if not any(word in lower for word in _WORDS[name]):
            continue
        if match := next(filter(None, (pattern.search(text) for pattern in patterns)), None):
            settings[name] = match[1].strip()
    if "precision" in settings:
        printed = settings["precision"]
        settings["precision"] = _PRECISIONS[printed]
    if "config" in settings:
        settings["config"] = re.split(r"[\\/]", settings["config"])[-1].removesuffix(".py")
    if "batch size" in settings and "world size" in settings:
        settings["global batch"] = str(int(settings["batch size"]) * int(settings["world size"]))
    return settings


_CLOCK = re.compile(
    rb"\d{2,4}[-/]\d\d[-/]\d\d[ T_]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?|"  # 2025-07-01 12:00:00,123
    rb"\b\d\d/\d\d \d\d:\d\d:\d\d\b|"  # 07/01 12:00:00
    rb"\b1[5-9]\d{8}(?:\.\d{1,9}|\d{3})\b"  # seconds or milliseconds of Unix
)


def read_clock(head: bytes) -> str:
    """The first date and time that a log's first part prints; empty for none."""
    match = _CLOCK.search(head)
    return match[0].decode("ascii") if match else ""

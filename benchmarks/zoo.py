"""Shadow ops on a zoo of models that nobody chose for them: how many healthy training steps have a finding.

    tox -e zoo                                      # installs the libraries, runs everything
    python benchmarks/zoo.py [NAME …] [--part calibration|evaluation] [--settings tf32 …] [--json FILE]
    python benchmarks/zoo.py --drawn 40 --draw-seed 1 --each 1-1    # architectures that no list of ours names
    python benchmarks/zoo.py --forced --each 1-1                    # the operations of one step with hard inputs

A run is two training steps of an architecture of timm, torchvision, transformers, mmsegmentation or plain PyTorch, made
small by its own options, with drawn weights, at one of seven settings: the emulated device at the numerics of fp32,
tf32, fp16 and bf16, with autocast to fp16 and to bf16, and the plain CPU. Optimizer and batch (1 to 4) follow from the
name and the setting. A healthy device has no finding.

The error model may look at the architectures of the calibration part, one in three, and at no others: those whose
name's SHA-256 is divisible by three. Those that ``--drawn`` draws from the libraries' own lists are of neither part.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from zoo_drawn import drawn

from harness.devices.surroundings import git_commit, versions
from harness.lab.emulation import install
from harness.shadow.arithmetic.host import change_tensors
from harness.shadow.evidence.checks import Part, ShadowEvidence, ShadowRecord
from harness.shadow.files.check_stream import ShadowStream, read_shadow
from harness.shadow.forced.forcing import ForcedCalls
from harness.shadow.judging.hard_input_rule import judge_hard_inputs
from harness.shadow.judging.operations import allow, judge_shadow, weigh_shadow
from harness.shadow.model_sources import LoneModel, Request, build_model
from harness.shadow.model_steps import AUTOCAST, Training, shadow_steps
from harness.values.errors import AlignmentError
from harness.values.verdict import Finding, Outcome

SETTINGS: dict[str, tuple[str, str, str]] = {
    "fp32": ("fp32", "", "fp32"),
    "tf32": ("tf32", "", "tf32"),
    "fp16": ("fp16", "", "fp16"),
    "bf16": ("bf16", "", "bf16"),
    "autocast-fp16": ("fp32", "fp16", "fp32"),
    "autocast-bf16": ("fp32", "bf16", "fp32"),
    "cpu": ("", "", "fp32"),
}
"""Setting → the emulated device's profile (none: the CPU itself), autocast, and the tier that it is judged at."""

OPTIMIZERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}),
    ("AdamW", {"lr": 1e-3, "weight_decay": 0.05}),
    ("Adam", {"lr": 1e-3, "foreach": True}),
    ("AdamW", {"lr": 1e-4, "fused": True}),
    ("SGD", {"lr": 1e-3, "momentum": 0.9, "nesterov": True, "foreach": False}),
    ("Adam", {"lr": 6e-5, "amsgrad": True}),
)


@dataclass(frozen=True)
class Entry:
    """An architecture of the zoo.

    Args:
        spec: as ``align ops --model`` has it.
        options: that make it small.
        size: of images, or tokens.
        name: where it differs from the spec.
    """

    spec: str
    options: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.spec


def timm(name: str, size: int = 64, **options: Any) -> Entry:
    """An entry of timm, with ten classes."""
    return Entry(f"timm:{name}", {"num_classes": 10, **options}, size)


def torchvision(name: str, size: int = 64, **options: Any) -> Entry:
    """An entry of torchvision, with ten classes."""
    return Entry(f"torchvision:{name}", {"num_classes": 10, **options}, size)


_SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 199,
}  # fmt: skip


def transformers(name: str, size: int = 0, **options: Any) -> Entry:
    """An entry of transformers, made small."""
    return Entry(f"transformers:{name}", {**_SMALL, **options}, size)


def bare(name: str, size: int = 0, **options: Any) -> Entry:
    """An entry of transformers, by its own options alone."""
    return Entry(f"transformers:{name}", options, size)


def mmseg(config: str, size: int = 64, **options: Any) -> Entry:
    """An entry of mmsegmentation's base configs."""
    return Entry("zoo_models:mmseg", {"config": config, **options}, size, f"mmseg:{config}")


def plain(name: str) -> Entry:
    """An entry of ``zoo_models``."""
    return Entry(f"zoo_models:{name}", name=f"plain:{name}")


_LM = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_VISION = {"image_size": 32, "patch_size": 8}

ZOO: tuple[Entry, ...] = (
    timm("resnet10t"),
    timm("resnetv2_50x1_bit", size=32),
    timm("seresnext26t_32x4d"),
    timm("skresnet18"),
    timm("resnest14d"),
    timm("res2net50_14w_8s", layers=(1, 1, 1, 1)),
    timm("ghostnet_050"),
    timm("mobilenetv2_035"),
    timm("mobilenetv3_small_050"),
    timm("mobilenetv4_conv_small_035"),
    timm("tinynet_e"),
    timm("mnasnet_small"),
    timm("efficientnet_es"),
    timm("lcnet_035"),
    timm("regnetx_002"),
    timm("regnety_002"),
    timm("nf_regnet_b0"),
    timm("hrnet_w18_small"),
    timm("dla46_c"),
    timm("ese_vovnet19b_slim_dw"),
    timm("repghostnet_050"),
    timm("mobileone_s0"),
    timm("repvit_m0_9"),
    timm("convnext_atto", depths=(1, 1, 2, 1)),
    timm("convnextv2_atto", depths=(1, 1, 2, 1)),
    timm("edgenext_xx_small"),
    timm("mobilevit_xxs"),
    timm("mobilevitv2_050"),
    timm("efficientvit_b0"),
    timm("efficientvit_m0", size=128),
    timm("efficientformerv2_s0", size=64, img_size=64),
    timm("fastvit_t8"),
    timm("starnet_s1"),
    timm("inception_next_atto"),
    timm("mambaout_femto", depths=(1, 1, 2, 1)),
    timm("poolformerv2_s12"),
    timm("caformer_s18"),
    timm("vit_tiny_patch16_224", img_size=64, depth=2, embed_dim=48),
    timm("vit_relpos_small_patch16_224", img_size=64, depth=2, embed_dim=48, num_heads=3),
    timm("eva02_tiny_patch14_224", img_size=56, size=56, depth=2, embed_dim=48, num_heads=3),
    timm("beit_base_patch16_224", img_size=64, depth=2, embed_dim=48, num_heads=3),
    timm("cait_xxs24_224", img_size=64, depth=2, embed_dim=48, num_heads=3),
    timm("xcit_nano_12_p16_224", depth=2),
    timm("swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=24, depths=(2, 2), num_heads=(2, 4)),
    timm("swinv2_tiny_window8_256", img_size=64, window_size=4, embed_dim=24, depths=(2, 2), num_heads=(2, 4)),
    timm("pvt_v2_b0", depths=(1, 1, 1, 1)),
    timm("twins_svt_small", img_size=64, depths=(1, 1, 1, 1), embed_dims=(16, 32, 64, 64)),
    timm("mixer_s32_224", img_size=64),
    timm("resmlp_12_224", img_size=64),
    timm("gmlp_ti16_224", img_size=64),
    timm("focalnet_tiny_srf"),
    timm("coatnet_pico_rw_224", img_size=64, depths=(1, 1, 1, 1), embed_dim=(16, 32, 64, 64)),
    timm("densenet121", block_config=(2, 2, 2, 2)),
    torchvision("squeezenet1_1"),
    torchvision("shufflenet_v2_x0_5"),
    torchvision("mnasnet0_5"),
    torchvision("googlenet", init_weights=False, aux_logits=False),
    torchvision("lraspp_mobilenet_v3_large"),
    torchvision("deeplabv3_mobilenet_v3_large"),
    torchvision("efficientnet_b0"),
    transformers("BertConfig"),
    transformers("RobertaConfig", **_LM),
    transformers("AlbertConfig", embedding_size=16),
    bare("DistilBertConfig", vocab_size=199, dim=32, n_layers=2, n_heads=4, hidden_dim=64),
    transformers("ElectraConfig", embedding_size=16),
    transformers("DebertaV2Config", relative_attention=True, pos_att_type=["p2c", "c2p"]),
    transformers("FNetConfig"),
    transformers("ConvBertConfig", embedding_size=32),
    bare("GPT2Config", vocab_size=199, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2),
    transformers("GPTNeoXConfig"),
    bare("BloomConfig", vocab_size=199, hidden_size=32, n_layer=2, n_head=4),
    bare("OPTConfig", vocab_size=199, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
         word_embed_proj_dim=32),
    transformers("LlamaConfig", num_key_value_heads=2, **_LM),
    transformers("MistralConfig", num_key_value_heads=2, **_LM),
    transformers("Qwen2Config", num_key_value_heads=2, **_LM),
    transformers("GemmaConfig", num_key_value_heads=2, head_dim=8, **_LM),
    transformers("PhiConfig", **_LM),
    transformers("MixtralConfig", num_key_value_heads=2, num_local_experts=4, experts_implementation="eager", **_LM),
    transformers("FalconConfig", **_LM),
    bare("T5Config", vocab_size=199, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
    bare("BartConfig", vocab_size=199, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
         decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, **_LM),
    bare("XLNetConfig", vocab_size=199, d_model=32, n_layer=2, n_head=4, d_inner=64),
    bare("MambaConfig", vocab_size=199, hidden_size=32, num_hidden_layers=2, state_size=4),
    bare("RwkvConfig", vocab_size=199, hidden_size=32, num_hidden_layers=2, context_length=32),
    transformers("ViTConfig", **_VISION),
    transformers("ViTMAEConfig", **_VISION, decoder_hidden_size=32, decoder_num_hidden_layers=1,
                 decoder_num_attention_heads=4, decoder_intermediate_size=64),
    transformers("BeitConfig", **_VISION, use_relative_position_bias=True),
    transformers("Dinov2Config", **_VISION),
    bare("SegformerConfig", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 32, 32], decoder_hidden_size=16),
    bare("ConvNextConfig", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 32, 32]),
    bare("SwinConfig", image_size=32, patch_size=2, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=4),
    bare("MobileViTConfig", image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 48]),
    bare("WhisperConfig", vocab_size=199, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
         decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=16, max_source_positions=32,
         decoder_start_token_id=1, **_LM),
    bare("Wav2Vec2Config", hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
         conv_dim=(16, 16, 16), conv_stride=(5, 4, 4), conv_kernel=(10, 8, 4), num_conv_pos_embeddings=16,
         num_conv_pos_embedding_groups=2, mask_time_prob=0.0),
    bare("CLIPModel", text_config={**_SMALL, **_LM}, vision_config={**_SMALL, **_VISION}, projection_dim=16),
    mmseg("deeplabv3_r50-d8"),
    mmseg("deeplabv3plus_r50-d8"),
    mmseg("bisenetv1_r18-d32", size=96),
    mmseg("bisenetv2", size=128),
    mmseg("stdc", size=96),
    mmseg("fast_scnn", size=128),
    mmseg("cgnet"),
    mmseg("erfnet_fcn"),
    mmseg("fcn_unet_s5-d16"),
    mmseg("dnl_r50-d8"),
    mmseg("pspnet_r50-d8"),
    mmseg("danet_r50-d8"),
    mmseg("gcnet_r50-d8"),
    mmseg("encnet_r50-d8"),
    mmseg("dmnet_r50-d8"),
    mmseg("apcnet_r50-d8"),
    mmseg("upernet_r50"),
    mmseg("fpn_r50"),
    mmseg("nonlocal_r50-d8"),
    mmseg("segformer_mit-b0"),
    mmseg("twins_pcpvt-s_fpn"),
    mmseg("emanet_r50-d8"),
    mmseg("isanet_r50-d8"),
    plain("recurrent"),
    plain("gated"),
    plain("transposed"),
    plain("grouped"),
    plain("attention"),
    plain("bags"),
    plain("scattered"),
    plain("sampled"),
    plain("volumetric"),
    plain("losses"),
)  # fmt: skip


LOOKED_AT = frozenset({"transformers:BartConfig", "plain:sampled", "plain:bags", "mmseg:stdc"})
"""Of the evaluation part by their names, but run while the error model was made, or mended after: calibration now."""


def part_of(entry: Entry) -> str:
    """``calibration`` for one architecture of the zoo in three, by its name, else ``evaluation``; others ``drawn``."""
    if entry not in ZOO:
        return "drawn"
    return "calibration" if str(entry) in LOOKED_AT or _digest(str(entry)) % 3 == 0 else "evaluation"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="architectures whose name holds one of these; none: all")
    parser.add_argument("--part", choices=("calibration", "evaluation"), default="")
    parser.add_argument("--settings", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument(
        "--each", default="", metavar="FROM-TO", help="of each architecture only these settings, in an order of its own"
    )
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="one line a run")
    parser.add_argument(
        "--tell", nargs="+", type=Path, default=[], help="tell the runs of these files, and run nothing"
    )
    parser.add_argument("--without-onednn", action="store_true", help="by PyTorch's own kernels of the CPU alone")
    parser.add_argument("--drawn", type=int, metavar="N", help="N architectures that are drawn, in place of those here")
    parser.add_argument("--forced", action="store_true", help="one step's operations with hard inputs, in place of two")
    parser.add_argument("--draw-seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="name the architectures and their part, and run nothing")
    arguments = parser.parse_args()
    if arguments.tell:
        lines = [line for file in arguments.tell for line in file.read_text(encoding="utf-8").splitlines()]
        tell([json.loads(line) for line in lines], arguments.settings)
        return
    if torch.__version__.endswith("+cpu"):
        declare_torchvision()
    zoo = ZOO if arguments.drawn is None else drawn_entries(arguments.drawn, arguments.draw_seed)
    chosen = [e for e in zoo if not arguments.names or any(re.search(name, str(e)) for name in arguments.names)]
    chosen = [entry for entry in chosen if arguments.part in {"", part_of(entry)}]
    if arguments.list:
        print(*(f"{part_of(entry)} {entry}" for entry in chosen), sep="\n")
        return
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = not arguments.without_onednn  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).parent))
    print(f"torch {versions()['torch']}, {torch.get_num_threads()} threads, commit {git_commit(Path(__file__).parent)}")
    rows = []
    for entry in chosen:
        for setting in settings_of(entry, arguments.settings, arguments.each):
            row = run(entry, setting, arguments.steps, arguments.seed, forced=arguments.forced)
            rows.append(row)
            print(describe(row), flush=True)
            if arguments.json:
                with arguments.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    tell(rows, arguments.settings)


def drawn_entries(count: int, seed: int) -> list[Entry]:
    """Architectures of the libraries' own lists that aren't here."""
    known = {entry.spec for entry in ZOO}
    return list(islice((Entry(*found) for found in drawn(seed) if found[0] not in known), count))


def settings_of(entry: Entry, settings: list[str], each: str) -> list[str]:
    """The settings that an architecture is run at, from-to of them, both included, in an order drawn by its name."""
    if not each:
        return settings
    first, _, last = each.partition("-")
    drawn = sorted(settings, key=lambda setting: _digest(f"{entry} at {setting}"))
    return drawn[int(first) - 1 : int(last or first)]


def run(entry: Entry, setting: str, steps: int, seed: int, *, forced: bool = False) -> dict[str, Any]:
    """Two steps of an architecture at a setting: what was found, and the tensor that came closest to its bound."""
    profile, autocast, tier = SETTINGS[setting]
    draw = _digest(f"{entry} {setting} {seed}")
    optimizer, options = OPTIMIZERS[draw % len(OPTIMIZERS)]
    started = time.perf_counter()
    row: dict[str, Any] = {"name": str(entry), "part": part_of(entry), "setting": setting, "steps": 0, "findings": []}
    row |= {"optimizer": " ".join([optimizer, *(f"{key}={value}" for key, value in options.items())]), "error": ""}
    install(profile or "exact")
    training = Training(optimizer, options, autocast, steps, tier)
    for batch in (1 + draw // 7 % 4, 2):  # batch norm can't train on one value a channel
        row["batch"] = batch
        try:
            model = build_model(Request(entry.spec, entry.options, batch, entry.size, seed))
            kind = "sdaa" if profile else "cpu"
            if forced:
                row |= {"steps": 1, "error": "", **_with_hard_inputs(model, kind, training)}
                break
            record, trace = shadow_steps(model, kind, training)
        except AlignmentError as error:
            row["error"] = f"{error.what}: {error.observed}"
        except Exception:  # noqa: BLE001  # the zoo goes on without it, and says so
            row["error"] = traceback.format_exc().splitlines()[-1]
        else:
            row |= {"steps": len(trace), "error": "", "finite": all(map(math.isfinite, trace.loss.tolist()))}
            row |= _judged(record, tier)
        if "more than 1 value per channel" not in row["error"]:
            break
    return row | {"seconds": round(time.perf_counter() - started, 2)}


def _with_hard_inputs(model: LoneModel, kind: str, training: Training) -> dict[str, Any]:
    """What the operations of a step's forward and backward find with hard inputs."""
    device = torch.device(kind)
    module = model.module.to(device)
    args = change_tensors(list(model.args), lambda tensor: tensor.to(device))
    kwargs = {name: change_tensors(value, lambda tensor: tensor.to(device)) for name, value in model.kwargs.items()}
    cast = torch.autocast(kind, AUTOCAST[training.autocast]) if training.autocast else nullcontext()
    with tempfile.TemporaryDirectory() as folder:
        with ShadowStream(Path(folder) / "forced.jsonl", training.tier) as stream:
            with ForcedCalls(stream, training.tier) as calls:
                with cast:
                    loss = model.loss(module(*args, **kwargs))
                loss.backward()
            calls.replay(0)
        record = read_shadow([Path(folder) / "forced.jsonl"])
    evidence = weigh_shadow(record, training.tier)
    return _told(record, evidence, judge_hard_inputs(evidence))


def _judged(record: ShadowRecord, tier: str) -> dict[str, Any]:
    evidence = weigh_shadow(record, tier)
    off = [check for check in record.checks if _violates(check, tier)]
    return {**_told(record, evidence, judge_shadow(evidence)), "off": [_plain(check, tier) for check in off[:200]]}


def _told(record: ShadowRecord, evidence: ShadowEvidence, findings: Sequence[Finding]) -> dict[str, Any]:
    closest = max(evidence.rows, key=lambda row: row.excess)
    return {
        "findings": [finding.message for finding in findings if finding.status is Outcome.FAIL],
        "coverage": evidence.coverage.rate,
        "skipped": dict(evidence.coverage.skipped),
        "tensors": len(evidence.rows),
        "checks": len(record.checks),
        "closest": f"{closest.excess:.2f} {closest.module} {closest.op} {closest.tensor}",
    }


def _violates(check: Any, tier: str) -> bool:
    allowed = allow(check, tier)
    return not (check.error <= allowed.error and abs(check.projection) <= allowed.projection)


def _plain(check: Any, tier: str) -> dict[str, Any]:
    allowed = allow(check, tier)
    kept = ("iteration", "module", "op", "tensor", "call", "dtype", "shape", "error", "projection", "scale", "along")
    found = {name: getattr(check, name) for name in (*kept, "terms", "spread", "operand")}
    return {**found, "part": Part(check.part).value, "allowed": allowed.error, "allowed_projection": allowed.projection}


def describe(row: dict[str, Any]) -> str:
    """One run in a line, and its findings."""
    said = f"ERROR {row['error'][:150]}" if row["error"] else f"{len(row['findings'])} findings"
    if not row["error"]:
        said += f", closest {row['closest']}, coverage {row['coverage']:.1%}"
    lines = [f"{row['name']} {row['setting']} batch {row['batch']} {row['optimizer']}: {said} ({row['seconds']} s)"]
    return "\n".join([*lines, *(f"    {finding}" for finding in row["findings"][:4])])


def tell(rows: list[dict[str, Any]], settings: list[str]) -> None:
    """The table: a line for each architecture, and the counts of each part."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    print("\n| architecture | part |", " | ".join(settings), "|")
    print("|---|---|", "---|" * len(settings), sep="")
    for name in names:
        mine = {row["setting"]: row for row in rows if row["name"] == name}
        part = next(iter(mine.values()))["part"]
        print(f"| {name} | {part} |", " | ".join(_cell(mine.get(setting)) for setting in settings), "|")
    for part in ("calibration", "evaluation", "drawn"):
        done = [row for row in rows if row["part"] == part and not row["error"]]
        alarms = [row for row in done if row["findings"]]
        if done:
            bound = binomtest(len(alarms), len(done)).proportion_ci(0.95, "exact").high
            counted = f"{len({row['name'] for row in done})} architectures, {sum(row['steps'] for row in done)} steps"
            print(
                f"{part}: {len(alarms)} of {len(done)} runs with a finding (at most {bound:.1%}, Clopper-Pearson, "
                f"95 %): {counted}, {sum(row['checks'] for row in done)} checks"
            )
    for row in rows:
        if row["error"]:
            print(f"didn't run: {row['name']} {row['setting']}: {row['error'][:200]}")


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["error"]:
        return "–"
    return str(len(row["findings"]))


def declare_torchvision() -> None:
    """Torchvision's wheels are linked with CUDA; beside PyTorch for the CPU its compiled operations don't load.

    Its definitions of models need none of them, only that two are declared.
    """
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


_KEPT: list[Any] = []
"""A library's definitions last as long as it does."""


def _digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


if __name__ == "__main__":
    main()

"""Everything that a machine with a GPU is to show, in one command that stops in time and writes as it goes.

    python benchmarks/on_gpu.py --minutes 8 [--out on-gpu] [--wheels FOLDER] [--steps verify,shadow,…]

In this order: the small cases against the baselines of the CPU, tf32 off and on; shadow ops on the device; baselines of
the device, of the small and the full-size cases, at fp32 and tf32 and in mixed precision; what recording and shadow ops
cost at 512×1024; whether copies to the host overlap with compute; torch.compile; two processes where there are two
cards. ``summary.md`` in the folder says after each step what came out, and at the end what there was no time for.
Packages that are missing are installed from ``--wheels``, without a network. ``--device cpu --short`` goes the same way
on a machine without a GPU, and shows that the command works, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_SMALL = ("ann_small", "ccnet_small", "emanet_small", "ocrnet_small")
_FULL = (
    "ann_r50-d8_4xb2-40k_cityscapes-512x1024",
    "ccnet_r50-d8_4xb2-40k_cityscapes-512x1024",
    "emanet_r50-d8_4xb2-80k_cityscapes-512x1024",
    "ocrnet_hr18_4xb2-40k_cityscapes-512x1024",
)
_NEEDED = ("jinja2", "cv2", "matplotlib", "mmengine", "msgspec", "numpy", "rich", "safetensors", "scipy", "torch")
_PACKAGES = {"cv2": "opencv-python-headless", "mmengine": "mmengine-lite"}
_TF32 = {"off": "0", "on": "1"}


@dataclass(frozen=True)
class Step:
    """One thing to find out.

    Args:
        group: what ``--steps`` calls it and those of its kind.
        name: for the summary.
        words: the command, without the Python that runs it.
        environment: variables that are set.
        least: seconds that it needs at least: with less left it isn't begun.
        most: seconds after which it is ended.
    """

    group: str
    name: str
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    least: float = 15
    most: float = 300


def plan(device: str, out: Path, *, cards: int, short: bool) -> Iterator[Step]:
    """Every step, in the order in which they are worth the time."""
    small, full = (_SMALL[:1], ()) if short else (_SMALL, _FULL)
    length = ("--iterations", "2") if short else ()

    def align(*words: str) -> tuple[str, ...]:
        return ("-m", "harness.cli", *words)

    def report(name: str) -> tuple[str, ...]:
        return ("--device", device, "--out", str(out / "reports" / name), *length)

    for tf32, allowed in _TF32.items():
        switched = {"NVIDIA_TF32_OVERRIDE": allowed, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": allowed}
        for case in small:
            words = align("verify", case, *report(f"tf32-{tf32}"), "--shadow", "none", "--no-early-stop")
            yield Step("verify", f"{case} against the CPU's baseline, tf32 {tf32}", words, switched)
    for case in small:
        words = align("verify", case, *report("shadow"), "--no-baseline", *(() if length else ("--iterations", "1")))
        yield Step("shadow", f"shadow ops of {case}", words)
    folder = ("--baseline-dir", str(out / "baselines"), "--reason", "recorded by benchmarks/on_gpu.py")
    recorded = [(case, 60.0) for case in small] + [(case, 120.0) for case in full]
    for case, least in recorded:
        for kind, words in (
            ("fp32 and tf32", ("--tiers", "fp32,tf32")),
            ("mixed precision", ("--tiers", "fp32", "--amp", "--reference", f"{device}-amp")),
        ):
            command = align("record", case, "--device", device, *folder, *words, "--repeats", "5", *length)
            yield Step("record", f"baseline of {case}, {kind}", command, least=least, most=600)
    size = ("--size", "64x64", "--pairs", "2") if short else ("--size", "512x1024", "--pairs", "10")
    yield Step("cost", "what recording costs", (_script("recording_cost"), "--device", device, *size), least=30)
    pairs = ("--pairs", "1" if short else "3")
    yield Step("cost", "what shadow ops cost", (_script("shadow_cost"), small[0], "--device", device, *pairs), least=30)
    yield Step("overlap", "copies to the host beside compute", (__file__, "--overlap", "--device", device))
    compiled = align("verify", small[0], *report("compiled"), "--compile", "aot_eager" if short else "inductor")
    yield Step("compile", f"{small[0]} compiled", (*compiled, "--shadow", "0"), least=60)
    if cards > 1:
        several = ("--launcher", "pytorch", "--nproc-per-node", "2")
        words = align("verify", small[0], *report("two"), "--no-baseline", *several)
        yield Step("processes", "two processes", words)


def main() -> None:
    """Take the steps that there is time for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("on-gpu"))
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to install what is missing from")
    parser.add_argument("--steps", default="", help="these groups alone: verify,shadow,record,cost,overlap,compile,…")
    parser.add_argument("--short", action="store_true", help="one case, two iterations: to see that the command works")
    parser.add_argument("--overlap", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.overlap:
        print(overlap(arguments.device))
        return
    deadline = time.monotonic() + 60 * arguments.minutes
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    install_missing(arguments.wheels)
    groups = set(filter(None, arguments.steps.split(",")))
    lines = [*_machine(arguments.device)]
    for step in plan(arguments.device, out, cards=_cards(arguments.device), short=arguments.short):
        if not groups or step.group in groups:
            lines.append(take(step, out, deadline))
            (out / "summary.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
            print(lines[-1], flush=True)


def take(step: Step, out: Path, deadline: float) -> str:
    """Run one step for as long as there is time, keep what it prints, and say in one line what came out."""
    left = deadline - time.monotonic()
    if left < step.least:
        return f"- {step.name}: not begun, {max(0.0, left):.0f} s were left"
    log = out / "logs" / f"{step.name.replace(' ', '-').replace(',', '').replace('/', '-')}.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, **step.environment, "PYTHONPATH": _python_path()}
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        try:
            done = subprocess.run(  # noqa: S603  # our own words
                [sys.executable, *step.words],
                env=environment,
                cwd=out,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=min(left, step.most),
                check=False,
            )
            ended = f"exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = "ended for lack of time"
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [
        line for line in said if line.startswith(("PASS", "FAIL", "INCONCLUSIVE", "ERROR", "with /", "baseline:"))
    ]
    words = (telling or said or ["nothing printed"])[-1].strip()
    return f"- {step.name}: {ended}, {time.monotonic() - began:.0f} s: {words[:300]}"


def install_missing(wheels: Path | None) -> None:
    """Install what isn't there from a folder of wheels, without a network."""
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing and wheels is not None:
        words = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
        renamed = [_PACKAGES.get(name, name) for name in missing]
        subprocess.run([sys.executable, *words, *renamed], check=True)  # noqa: S603  # our own words
    elif missing:
        sys.exit(f"missing: {', '.join(missing)}; --wheels FOLDER installs them from wheels that lie there")


def overlap(device: str) -> str:
    """Seconds of products alone, of copies to pinned memory alone, and of both at a time on two streams, as JSON."""
    import torch

    from harness.devices.choice import choose_device
    from harness.devices.device_opening import open_device

    choice = choose_device(device)
    open_device(choice)
    module = choice.type.module
    if not hasattr(module, "Stream") or choice.type.is_host:
        return json.dumps({"device": device, "overlap": "the device has no streams"})
    x = torch.randn(4096, 4096, device=choice.kind)
    host = torch.empty(x.shape, pin_memory=True)
    side = module.Stream()

    def timed(*, products: bool, copies: bool) -> float:
        choice.type.synchronize()
        began = time.perf_counter()
        for _ in range(20):
            if copies:
                with module.stream(side):
                    host.copy_(x, non_blocking=True)
            if products:
                x @ x  # only its time is wanted
        choice.type.synchronize()
        return time.perf_counter() - began

    timed(products=True, copies=True)
    seconds = {
        "products": timed(products=True, copies=False),
        "copies": timed(products=False, copies=True),
        "both": timed(products=True, copies=True),
    }
    hidden = (seconds["products"] + seconds["copies"] - seconds["both"]) / min(seconds["products"], seconds["copies"])
    return json.dumps({"device": device, **seconds, "hidden share of the shorter": hidden})


def _script(name: str) -> str:
    return str(ROOT / "benchmarks" / f"{name}.py")


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))


def _cards(device: str) -> int:
    from harness.devices.device_registry import find_device_type

    device_type = find_device_type(device.partition(":")[0])
    return 1 if device_type.is_host or device_type.absence() else device_type.count()


def _machine(device: str) -> list[str]:
    import torch

    from harness.devices.surroundings import git_commit

    return [f"# {device}", "", f"torch {torch.__version__}, commit {git_commit(ROOT, but_for='baselines')}", ""]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()

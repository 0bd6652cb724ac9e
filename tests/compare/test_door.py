"""`align compare` end to end, and the Python interface."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.logs import compare, read_log

ROOT = Path(__file__).parents[2]


def tcappdll(values):
    return "".join(
        f"TCAPPDLL 2025-07-01 12:00:{i % 60:02d}.1 - Epoch: 0 Iteration: {i}  rank : 0  train.loss : {v:.6f}\n"
        for i, v in enumerate(values)
    )


def losses(data, own, noise=0.003):
    shared, mine = (np.random.default_rng(seed).standard_normal(100) for seed in (data, 1000 + own))
    t = np.arange(100)
    return 4 * np.exp(-t / 80 + 0.1 * shared + np.minimum(noise, 1e-7 * 1.5**t) * mine)


@pytest.fixture
def logs(tmp_path):
    def write(name, data=0, own=0, **kwargs):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tcappdll(losses(data, own, **kwargs)))
        return str(path)

    return write


def test_exit_codes_and_what_is_printed(logs, capsys):
    reference, candidate = logs("cuda.log"), logs("sdaa.log", own=1)
    assert main(["compare", reference, candidate]) == 3
    printed = capsys.readouterr().out
    assert printed.startswith("INCONCLUSIVE sdaa: ")
    assert "\nMeanRelativeError: " in printed
    repeats = [logs(f"repeat{own}.log", own=own) for own in range(2, 9)]
    assert main(["compare", reference, candidate, "--repeat", *repeats]) == 0
    assert capsys.readouterr().out.startswith("PASS sdaa: ")
    Path(candidate).write_text(
        Path(candidate)
        .read_text()
        .replace("Iteration: 7  rank : 0  train.loss : ", "Iteration: 7  rank : 0  train.loss : nan #")
    )
    assert main(["compare", reference, candidate]) == 1
    assert main(["compare", reference, candidate + ".missing"]) == 2
    assert main(["compare"]) == 2
    assert main(["compare", reference, candidate, "--rank", "5"]) == 2
    with pytest.raises(SystemExit) as left:
        main(["compare", reference, candidate, "--legacy", "last10"])
    assert left.value.code == 2


def test_markdown_can_not_be_broken_out_of(tmp_path, capsys):
    path = tmp_path / "a<b>|`c`.log"
    path.write_text(tcappdll(losses(0, 0)))
    reference = tmp_path / "ref.log"
    reference.write_text("seed: 1\n" + tcappdll(losses(0, 1)))
    assert main(["compare", str(reference), str(path), "--markdown"]) == 3
    printed = capsys.readouterr().out
    assert "<b>" not in printed
    assert "a&lt;b&gt;\\|\\`c\\`" in printed
    assert "```text\nMeanRelativeError" in printed


def test_json_and_the_report(logs, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compare", logs("cuda.log"), logs("sdaa.log", own=1), "--json", "--out", str(out)]) == 3
    assert json.loads(capsys.readouterr().out)["case"] == "sdaa"
    assert (out / "sdaa" / "report.html").is_file()
    assert (out / "sdaa" / "result.json").is_file()


def test_many_pairs(logs, tmp_path, capsys):
    for name in ("ann", "ccnet"):
        logs(f"ports/{name}/cuda.log")
        logs(f"ports/{name}/sdaa.log", own=1)
    logs("ports/rexnetCifar100Cuda2.log")
    logs("ports/rexnetCifar100Sdaa2.log", own=1)
    logs("ports/emanet.cuda.log")
    Path(logs("ports/emanet.sdaa.log")).write_text("killed\n")
    out = tmp_path / "out"
    assert main(["compare", "--pairs", str(tmp_path / "ports"), "--out", str(out)]) == 2
    printed = capsys.readouterr().out
    for name, verdict in (
        ("ann", "INCONCLUSIVE"),
        ("ccnet", "INCONCLUSIVE"),
        ("rexnetCifar100.2", "INCONCLUSIVE"),
        ("emanet", "ERROR"),
    ):
        assert f"{verdict} {name}: " in printed
    assert (out / "index.html").is_file()
    assert main(["compare", "--pairs", str(tmp_path / "ports"), "--repeat", "x.log"]) == 2
    listed = tmp_path / "list.csv"
    listed.write_text("name,reference,candidate,legacy\nfirst,ports/ann/cuda.log,ports/ccnet/sdaa.log,last50\n")
    assert main(["compare", "--pairs", str(listed), "--out", str(out)]) == 3
    (tmp_path / "ports" / "lonely.cuda.log").write_text("loss: 1.5\n")
    assert main(["compare", "--pairs", str(tmp_path / "ports"), "--out", str(out)]) == 2


def test_a_block_file_is_both_sides(tmp_path, capsys):
    path = tmp_path / "loss.txt"
    sides = ["\n".join(f"{v:.6f}" for v in losses(data, data)) for data in (0, 1)]
    path.write_text(f"=== CUDA ===\n{sides[0]}\n=== SDAA ===\n{sides[1]}\n=== RESULT ===\npass\n")
    assert main(["compare", str(path)]) == 3
    assert "did not see the same data" in capsys.readouterr().out


def test_a_log_against_itself_or_its_copy_says_nothing(logs):
    path = Path(logs("cuda.log"))
    copy = path.with_name("sdaa.log")
    copy.write_bytes(path.read_bytes())
    for candidate in (path, copy):
        assert "same run" in compare(path, candidate).verdict.reason


def test_the_python_interface(logs):
    reference, candidate = logs("cuda.log"), logs("sdaa.log", own=1)
    result = compare(reference, candidate, legacy="last50", name="mine")
    assert result.case == "mine"
    assert len(result.trace) == 100
    assert len(read_log(candidate)) == 100


def test_torch_is_not_imported(logs):
    program = (
        "import sys; from harness.cli import main; code = main(sys.argv[1:]);"
        "sys.exit(9 if {'torch', 'mmengine', 'matplotlib', 'pandas'} & set(sys.modules) else code)"
    )
    command = [sys.executable, "-c", program, "compare", logs("cuda.log"), logs("sdaa.log", own=1)]
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 3


@pytest.mark.slow
def test_very_long_logs_are_compared_in_bounded_memory(tmp_path):
    rng = np.random.default_rng(0)
    shared = 4 + 0.1 * rng.standard_normal(400_000).cumsum() / 100
    for side in ("cuda", "sdaa"):
        values = shared + 0.01 * rng.standard_normal(len(shared))
        rows = "".join(f"{i},{value:.6f}\n" for i, value in enumerate(values))
        (tmp_path / f"{side}.csv").write_text("iteration,loss\n" + rows)
    program = (  # what getrusage says of a child includes its parent, which is this whole test run
        "import re, sys; from pathlib import Path; from harness.logs import compare; compare(*sys.argv[1:]);"
        "peak = re.findall(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())[0];"
        "sys.exit(int(peak) > 600 * 1024)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cuda.csv"), str(tmp_path / "sdaa.csv")]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode == 0


def test_a_reader_that_leaves_early_changes_no_exit_code(logs):
    command = f"{sys.executable} -m harness.cli compare {logs('cuda.log')} {logs('sdaa.log', own=1)} | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 3, done.stderr
    assert done.stderr == b""


def test_an_empty_name_is_no_folder(logs, capsys):
    assert main(["compare", logs("cuda.log"), ""]) == 2
    assert "name is empty" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["npu", "mlu", "musa", "rocm", "hpu", "xpu", "tpu", "xla"])
def test_pairs_know_other_devices_and_block_files(logs, tmp_path, capsys, device):
    logs("ports/ann.cuda.log")
    logs(f"ports/ann.{device}.log", own=1)
    sides = ["\n".join(f"{v:.6f}" for v in losses(data, data)) for data in (0, 1)]
    (tmp_path / "ports" / "loss.txt").write_text(f"=== CUDA ===\n{sides[0]}\n=== {device.upper()} ===\n{sides[1]}\n")
    assert main(["compare", "--pairs", str(tmp_path / "ports"), "--out", str(tmp_path / "out")]) == 3
    printed = capsys.readouterr().out
    assert "INCONCLUSIVE ann: aligned as far as this can show: " in printed
    assert "INCONCLUSIVE loss: numbered by position: " in printed


def test_one_metric_for_each_side(tmp_path, capsys):
    rows = "".join(f"{i},{a:.6f},{b:.6f}\n" for i, (a, b) in enumerate(zip(losses(0, 0), losses(0, 1), strict=True)))
    path = tmp_path / "export.csv"
    path.write_text("Step,a - train/loss,b - train/loss\n" + rows)
    assert main(["compare", str(path), "--metric", "a - train/loss", "b - train/loss"]) == 3
    assert "aligned as far as this can show: within 1." in capsys.readouterr().out
    assert main(["compare", str(path), "--metric", "a", "b", "c"]) == 2


def test_what_is_read_is_bounded_and_the_option_is_named(logs, capsys):
    reference, candidate = logs("cuda.log"), logs("sdaa.log", own=1)
    for option, value in (("--max-records", "50"), ("--max-log-size", "1KiB")):
        assert main(["compare", reference, candidate, option, value]) == 2
        assert f"hint:     {option} " in capsys.readouterr().err


def test_a_packed_copy_is_a_copy(logs):
    path = Path(logs("cuda.log"))
    packed = path.with_name("sdaa.log.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert compare(path, packed).verdict.reason == "same run: the two logs are copies of one file"

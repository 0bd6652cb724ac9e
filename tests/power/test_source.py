"""Which code a study's runs follow from."""

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.lab.power import code_digest as source
from harness.lab.power.code_digest import code_digest, files_of_a_run
from harness.running.cases import find_case

CONFIG = Path(find_case("ann_small").config)


@pytest.fixture
def edited(monkeypatch):
    """The digest as it would be if a file of the package held something else."""
    read = Path.read_bytes

    def digest_with(part, *, shadowed):
        changed = Path(harness.__file__).parent / part
        assert changed.is_file()
        monkeypatch.setattr(Path, "read_bytes", lambda path: b"other" if path == changed else read(path))
        try:
            return source.code_digest.__wrapped__(CONFIG, shadowed=shadowed)
        finally:
            monkeypatch.setattr(Path, "read_bytes", read)

    return digest_with


ALWAYS = [
    *("recording/evaluation_probe.py", "recording/reductions.py", "running/around.py", "running/cases.py"),
    *("running/experiment.py", "recording/mantissa_rounding.py", "lab/power/channels_last.py"),
    *("lab/faults/kernels/convolution_faults.py", "lab/faults/trainings/optimizer_faults.py"),
    *("lab/power/stopping.py", "lab/power/study_worker.py"),
    *("store/stream.py", "devices/mmengine_adapter.py"),
]


@pytest.mark.parametrize("part", ALWAYS)
def test_what_a_run_does_is_in_its_digest(edited, part):
    assert edited(part, shadowed=False) != code_digest(CONFIG)


@pytest.mark.parametrize("part", ["rules/envelope.py", "rules/state.py", "rules/gate.py", "lab/power/detection.py"])
def test_rules_that_judge_a_run_when_it_is_made_are_not(edited, part):
    assert edited(part, shadowed=True) == code_digest(CONFIG, shadowed=True)


@pytest.mark.parametrize(
    "part", ["shadow/watching/mode.py", "shadow/judging/operations.py", "shadow/judging/error_model.py"]
)
def test_shadow_ops_and_what_they_decide_by_count_where_they_watch(edited, part):
    assert edited(part, shadowed=False) == code_digest(CONFIG)
    assert edited(part, shadowed=True) != code_digest(CONFIG, shadowed=True)
    assert code_digest(CONFIG) != code_digest(CONFIG, shadowed=True)


@pytest.mark.parametrize("package", ["torch", "mmengine", "numpy", "python"])
def test_other_versions_are_other_runs(monkeypatch, package):
    told, known = source.package_versions, code_digest.__wrapped__(CONFIG)
    monkeypatch.setattr(source, "package_versions", lambda packages: {**told(packages), package: "0.0.1"})
    assert code_digest.__wrapped__(CONFIG) != known


def test_what_a_worker_loads_is_all_among_the_files(tmp_path):
    """But for the gate, which is not followed: what it imports judges."""
    program = (
        "import sys, harness.lab.power.study_worker, harness.running.experiment, harness.lab.power.stopping\n"
        "import harness.lab.power.channels_last, models.datasets, harness.lab.faults\n"
        "ours = [m for name, m in sys.modules.items() if name.split('.')[0] in ('harness', 'models')]\n"
        "print(*[module.__file__ for module in ours if module.__file__])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {Path(name) for name in done.stdout.split()}
    gate = {path for path in loaded if path.parent.name in {"rules", "values"}}
    assert len(loaded) > 100
    assert loaded - set(files_of_a_run(shadowed=True)) - gate == set()

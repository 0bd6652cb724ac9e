"""Files that travel: what arrives is what was sent, or nothing is written. Without Ray a sentence says what to do."""

import dataclasses
import sys

import pytest

from harness.fleet.cluster import Cluster
from harness.fleet.remote import run_job
from harness.fleet.travel import Job, Parcel, pack, unpack
from harness.values.errors import RunError, UsageError


@pytest.fixture
def parcel(tmp_path):
    for name, content in {"a/baseline.json": b"{}", "a/cpu/0.csv": b"1\n"}.items():
        path = tmp_path / "sent" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return pack(tmp_path / "sent", tmp_path / "sent" / "a")


def written(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_arrives_is_what_was_sent(parcel, tmp_path):
    unpack(parcel, tmp_path / "arrived")
    assert written(tmp_path / "arrived") == written(tmp_path / "sent")


@pytest.mark.parametrize("change", ["content", "missing", "outside", "absolute"])
def test_what_was_changed_on_the_way_is_refused_and_nothing_is_written(parcel, tmp_path, change):
    files, digests = dict(parcel.files), dict(parcel.digests)
    if change == "content":
        files["a/cpu/0.csv"] = b"2\n"
    elif change == "missing":
        del files["a/cpu/0.csv"]
    else:
        name = {"outside": "../up.txt", "absolute": "/absolute.txt"}[change]
        files[name], digests[name] = files["a/cpu/0.csv"], digests["a/cpu/0.csv"]
    with pytest.raises(RunError):
        unpack(Parcel(files, digests), tmp_path / "arrived")
    assert written(tmp_path / "arrived") == {}


def test_without_ray_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError) as refused:
        Cluster("auto")
    assert refused.value.hint == "pip install 'alignment-harness[fleet]'"


def test_ray_is_not_imported_otherwise():
    import subprocess

    program = "import sys, harness.cli.cluster, harness.cli.verify; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_job_whose_baseline_arrives_changed_is_answered_with_the_reason(parcel):
    broken = dataclasses.replace(parcel, files={**parcel.files, "a/cpu/0.csv": b"2\n"})
    answer = run_job(Job(3, "a", device="cpu", baselines=broken), "n0de")
    assert answer.number == 3
    assert "arrived changed" in answer.said

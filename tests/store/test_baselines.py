"""Baselines: what is saved is loaded, and whatever is missing, cut or edited is an error that names the file."""

import json

import pytest

from harness.store.atomic import replace_folder, write_text
from harness.store.baselines import choose_reference, list_references, load_baseline, save_baseline
from harness.values.errors import BaselineError, UsageError
from tests.healthy_runs import make_baseline


@pytest.fixture
def saved(tmp_path):
    save_baseline(tmp_path, make_baseline())
    return tmp_path


def load(root):
    return load_baseline(root, "made_up", "cpu")


def files(root):
    return sorted(path for path in (root / "made_up" / "cpu").rglob("*") if path.is_file())


def test_what_is_saved_is_loaded(saved):
    wrote, read = make_baseline(), load(saved)
    assert read.provenance == wrote.provenance
    assert (read.reason, read.recorded, read.iterations) == (wrote.reason, wrote.recorded, 30)
    for tier, runs in wrote.tiers.items():
        for ours, theirs in zip(runs, read.tiers[tier], strict=True):
            assert all(ours.signals[name].tolist() == theirs.signals[name].tolist() for name in ours.signals)
            assert ours.state.values.tolist() == theirs.state.values.tolist()
            assert ours.batches == theirs.batches
    assert read.fp64.loss.tolist() == wrote.fp64.loss.tolist()


def test_saving_twice_gives_the_same_bytes(saved):
    before = {path: path.read_bytes() for path in files(saved)}
    save_baseline(saved, make_baseline())
    assert {path: path.read_bytes() for path in files(saved)} == before
    assert list_references(saved, "made_up") == ("cpu",)


def test_each_file_is_guarded(saved):
    for path in files(saved):
        whole = path.read_bytes()
        digit = next(at for at, byte in enumerate(whole) if chr(byte).isdigit() and at > len(whole) // 2)
        for broken in (
            whole[:digit] + (b"7" if whole[digit : digit + 1] != b"7" else b"8") + whole[digit + 1 :],
            whole[: len(whole) // 2],
            b"",
            b"\xff\xfe" + whole,
        ):
            path.write_bytes(broken)
            with pytest.raises(BaselineError) as caught:
                load(saved)
            assert path.name in str(caught.value)
        path.unlink()
        with pytest.raises(BaselineError) as caught:
            load(saved)
        assert path.name in str(caught.value)
        path.write_bytes(whole)
    load(saved)


def test_no_baseline_names_those_that_are_there(saved):
    with pytest.raises(BaselineError, match="there is no baseline 'cuda'") as caught:
        load_baseline(saved, "made_up", "cuda")
    assert "cpu" in str(caught.value)


def rewrite(saved, change):
    """Edit the index as someone would who also mends its checksum."""
    from harness.store import baselines

    path = saved / "made_up" / "cpu" / "baseline.json"
    index = json.loads(path.read_text())
    change(index)
    index.pop("checksum")
    try:
        index["checksum"] = baselines._checksum(index)
    except UnicodeEncodeError:
        index["checksum"] = "none can be made"
    path.write_text(json.dumps(index), errors="surrogatepass")


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index["sha256"].update({"../../../etc/passwd": "00"}),
        lambda index: index["iterations"].update({"../x": 30}),
        lambda index: index["repeats"].update({"fp32": 99}),
        lambda index: index["repeats"].update({"fp32": 4}),
        lambda index: index["repeats"].update({"fp99": 5}),
        lambda index: index.update({"sha256": {}}),
        lambda index: index.update({"sha256": []}),
        lambda index: index.pop("sha256"),
        lambda index: index["sha256"].pop("fp32/run-0.csv"),
        lambda index: index["sha256"].pop("fp32/run-0.state.csv"),
        lambda index: index.update({"reason": "\ud800"}),
        lambda index: index.pop("provenance"),
        lambda index: index["provenance"].pop("seed"),
        lambda index: index["provenance"].update({"seed": "0"}),
        lambda index: index["provenance"].update({"more": "0"}),
        lambda index: index.update({"schema": 99}),
        lambda index: index.update({"case": "another"}),
        lambda index: index.update({"iterations": []}),
        lambda index: index["iterations"].update({"fp32/run-0": 31}),
    ],
)
def test_an_index_that_contradicts_itself_is_an_error(saved, change):
    rewrite(saved, change)
    with pytest.raises(BaselineError):
        load(saved)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", ".hidden", "a\x00b", "x" * 300, "ends."])
def test_names_cannot_leave_their_folder(tmp_path, name):
    with pytest.raises(UsageError):
        load_baseline(tmp_path, name, "cpu")


def test_a_write_that_fails_leaves_the_old_one(tmp_path):
    def fail():
        with replace_folder(tmp_path / "place") as fresh:
            write_text(fresh / "a", "new")
            raise KeyError

    with replace_folder(tmp_path / "place") as fresh:
        write_text(fresh / "a", "old")
    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "place" / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


class TestWhichReference:
    """Record names a baseline by its device; verify takes the one that is there."""

    def test_the_only_one_is_meant(self, tmp_path):
        save_baseline(tmp_path, make_baseline(reference="cuda"))
        assert load_baseline(tmp_path, "made_up").reference == "cuda"
        assert choose_reference(tmp_path, "made_up", "cpu") == "cpu"

    def test_of_several_one_is_named(self, tmp_path):
        for reference in ("cuda", "cpu"):
            save_baseline(tmp_path, make_baseline(reference=reference))
        with pytest.raises(BaselineError, match="several baselines of made_up") as caught:
            load_baseline(tmp_path, "made_up")
        assert "--reference cpu" in str(caught.value)
        assert load_baseline(tmp_path, "made_up", "cuda").reference == "cuda"

    def test_none_is_an_error(self, tmp_path):
        with pytest.raises(BaselineError, match="no baseline of made_up"):
            load_baseline(tmp_path, "made_up")

"""A baseline that travels: what is sent arrives byte for byte, and what was damaged on the way is refused."""

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from harness.baseline_folders.baseline_adoption import (
    Adoption,
    adoption_of,
    inspect,
    place,
    require_replaceable,
    require_same_settings,
)
from harness.baseline_folders.baseline_archive import export, opened
from harness.store.baselines import load_baseline, save_baseline
from harness.values.errors import BaselineError, UsageError
from tests.healthy_runs import make_baseline

HERE = Adoption("b.zip", "gpu-host", "2026-01-02T00:00:00+00:00", "", "")


@pytest.fixture
def sent(tmp_path):
    root = tmp_path / "there"
    save_baseline(root, make_baseline())
    archive = tmp_path / "b.zip"
    export([(root, load_baseline(root, "made_up", "cpu"))], archive, "0.1.0")
    return archive


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.csv")}


def test_it_arrives_byte_for_byte_and_says_where_it_came_from(sent, tmp_path):
    with opened(sent) as (parcel,):
        folder = place(inspect(parcel, sent), tmp_path / "here", HERE)
    assert contents(folder) == contents(tmp_path / "there/made_up/cpu")
    assert load_baseline(tmp_path / "here", "made_up").recorded == "2026-01-01T00:00:00+00:00"
    assert adoption_of(folder) == HERE
    assert adoption_of(tmp_path / "there/made_up/cpu") is None


def test_one_whose_norms_are_of_other_elements_is_refused_before_it_takes_anothers_place(tmp_path):
    older = make_baseline()
    older = dataclasses.replace(older, provenance=dataclasses.replace(older.provenance, sampling=""))
    save_baseline(tmp_path / "there", older)
    archive = tmp_path / "b.zip"
    export([(tmp_path / "there", load_baseline(tmp_path / "there", "made_up", "cpu"))], archive, "0.1.0")
    with opened(archive) as (parcel,), pytest.raises(BaselineError, match="align record made_up --device cpu"):
        inspect(parcel, archive)


def test_the_same_baseline_makes_the_same_archive(sent, tmp_path):
    again = tmp_path / "again.zip"
    export([(tmp_path / "there", load_baseline(tmp_path / "there", "made_up"))], again, "0.1.0")
    assert again.read_bytes() == sent.read_bytes()


def test_what_was_adopted_can_be_sent_on(sent, tmp_path):
    with opened(sent) as (parcel,):
        place(inspect(parcel, sent), tmp_path / "here", HERE)
    export([(tmp_path / "here", load_baseline(tmp_path / "here", "made_up"))], tmp_path / "on.zip", "0.1.0")
    with opened(tmp_path / "on.zip") as (parcel,):
        assert inspect(parcel, tmp_path / "on.zip").baseline.case == "made_up"


def test_a_folder_is_adopted_too(tmp_path):
    save_baseline(tmp_path / "there", make_baseline())
    for given in (tmp_path / "there", tmp_path / "there/made_up/cpu"):
        with opened(given) as (parcel,):
            assert (parcel.case, parcel.reference) == ("made_up", "cpu")
            assert inspect(parcel, given).baseline.iterations == 30


def rewritten(archive, change):
    """The archive with its files changed, as a damaged copy or an attacker leaves it."""
    with zipfile.ZipFile(archive) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in files.items():
            new.writestr(name, content)


def without_a_run(files):
    del files["made_up/cpu/tf32/run-7.csv"]


def another_digit(files):
    files["made_up/cpu/fp32/run-0.csv"] = files["made_up/cpu/fp32/run-0.csv"].replace(b"7", b"8", 1)


def another_schema(files):
    index = json.loads(files["made_up/cpu/baseline.json"])
    files["made_up/cpu/baseline.json"] = json.dumps({**index, "schema": 9}).encode()


def an_unnamed_file(files):
    files["made_up/cpu/fp32/run-9.csv"] = b"iteration,loss\n"


def another_index(files):
    index = json.loads(files["made_up/cpu/baseline.json"])
    files["made_up/cpu/baseline.json"] = json.dumps({**index, "checksum": "0" * 64}).encode()


def another_name(files):
    for name in [name for name in files if name.startswith("made_up/")]:
        files[name.replace("made_up", "renamed")] = files.pop(name)


def a_file_outside(files):
    files["../../evil.csv"] = b""


def a_hidden_name(files):
    files["made_up/.cpu/baseline.json"] = b"{}"


def another_digest(files):
    manifest = json.loads(files["manifest.json"])
    manifest["baselines"][0]["settings"] = "0" * 64
    files["manifest.json"] = json.dumps(manifest).encode()


def no_baseline(files):
    files.clear()
    files["readme.txt"] = b"nothing"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_a_run, "missing"),
        (another_digit, "edited or is cut short"),
        (another_schema, "another schema"),
        (an_unnamed_file, "doesn't name"),
        (another_index, "another than its manifest says"),
        (another_name, "other baselines than its manifest says"),
        (a_file_outside, "outside of its folder"),
        (a_hidden_name, "outside of its folder"),
        (another_digest, "digest"),
        (no_baseline, "holds no baseline"),
    ],
)
def test_what_was_changed_on_the_way_is_refused(sent, tmp_path, change, said):
    rewritten(sent, change)
    with pytest.raises(BaselineError, match=said), opened(sent) as parcels:
        inspect(parcels[0], sent)
    assert not list(tmp_path.rglob("evil.csv"))


@pytest.mark.parametrize("index", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"checksum": {"a": 1}}'])
def test_an_index_that_is_none_is_an_error_of_the_archive(sent, index):
    rewritten(sent, lambda files: files.update({"made_up/cpu/baseline.json": index}))
    with pytest.raises(BaselineError, match=r"made_up/cpu"), opened(sent):
        pass


@pytest.mark.parametrize("kept", [0, 10, 1000, -30])
def test_an_archive_that_is_cut_short_is_refused(sent, kept):
    sent.write_bytes(sent.read_bytes()[:kept])
    with pytest.raises(BaselineError, match="can't be read, or is cut short"), opened(sent):
        pass


def test_a_flipped_bit_is_refused(sent):
    content = bytearray(sent.read_bytes())
    content[len(content) // 2] ^= 4
    sent.write_bytes(content)
    with pytest.raises(BaselineError), opened(sent) as (parcel,):
        inspect(parcel, sent)


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(sent, monkeypatch):
    monkeypatch.setattr("harness.baseline_folders.baseline_archive.LARGEST_ARCHIVE", 1000)
    with pytest.raises(BaselineError, match="more than a baseline may have"), opened(sent):
        pass


def test_a_link_is_refused(sent, tmp_path):
    folder = tmp_path / "there/made_up/cpu"
    (folder / "fp32/link.csv").symlink_to("/etc/passwd")
    with pytest.raises(BaselineError, match="no plain file"), opened(folder):
        pass


def test_another_config_is_refused_with_the_settings_that_differ():
    baseline = make_baseline()
    require_same_settings(baseline, baseline.provenance.settings, Path("made_up.py"))
    other = {**baseline.provenance.settings, "model.backbone.depth": "101"}
    with pytest.raises(BaselineError) as caught:
        require_same_settings(baseline, other, Path("made_up.py"))
    assert caught.value.observed == "model.backbone.depth: 50 there, 101 here"


def test_nothing_is_replaced_without_a_reason(tmp_path):
    baseline = make_baseline()
    assert not require_replaceable(tmp_path, baseline, "", "align baseline adopt b.zip")
    save_baseline(tmp_path, baseline)
    with pytest.raises(UsageError) as caught:
        require_replaceable(tmp_path, baseline, " ", "align baseline adopt b.zip")
    assert caught.value.hint == 'align baseline adopt b.zip --reason "why"'
    assert require_replaceable(tmp_path, baseline, "a new driver", "")


def test_an_archive_has_a_name_that_says_so(tmp_path):
    with pytest.raises(UsageError):
        export([], tmp_path / "b.tar", "")


def test_one_that_is_replaced_while_it_is_exported_is_not_sent(tmp_path):
    save_baseline(tmp_path, make_baseline())
    older = dataclasses.replace(load_baseline(tmp_path, "made_up"), recorded="2025-01-01T00:00:00+00:00")
    with pytest.raises(BaselineError, match="replaced while it was read"):
        export([(tmp_path, older)], tmp_path / "b.zip", "")

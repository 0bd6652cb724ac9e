"""Which folder a baseline is read from and written to."""

from pathlib import Path

import pytest

from harness.baseline_folders import baseline_places
from harness.baseline_folders.baseline_inventory import find_baselines, named_baseline
from harness.baseline_folders.baseline_places import Place, choose_place, places_to_read, writing_folder
from harness.store.baselines import save_baseline
from harness.values.errors import BaselineError
from tests.healthy_runs import make_baseline


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A working directory with a baseline named `mine`, and one that comes along, named `cpu`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGN_BASELINE_DIR", raising=False)
    monkeypatch.setattr(baseline_places, "shipped_folder", lambda: tmp_path / "shipped")
    save_baseline(tmp_path / "shipped", make_baseline())
    save_baseline(Path("baselines"), make_baseline(reference="mine"))
    return places_to_read()


def test_the_working_directory_comes_before_what_comes_along(two, tmp_path):
    assert [place.path for place in two] == [Path("baselines"), tmp_path / "shipped"]
    assert choose_place(two, "made_up") == Path("baselines")
    assert choose_place(two, "made_up", "cpu") == tmp_path / "shipped"
    assert choose_place(two, "made_up", "nobody") == Path("baselines")
    assert choose_place(two, "another") == Path("baselines")


def test_a_users_own_case_has_none_that_comes_along(two):
    assert [place.path for place in places_to_read(own=True)] == [Path("baselines")]


def test_it_is_written_where_it_is_read_first_and_never_into_the_package(two, monkeypatch):
    assert writing_folder() == Path("baselines")
    monkeypatch.setenv("ALIGN_BASELINE_DIR", "elsewhere")
    assert writing_folder() == Path("elsewhere")
    assert [place.path for place in places_to_read()] == [Path("elsewhere")]
    assert writing_folder(Path("given")) == Path("given")


def test_the_inventory_says_which_one_is_judged_by(two):
    use = {kept.reference: kept.use for kept in find_baselines(two, "made_up")}
    assert use["mine"].startswith("by default")
    assert use["cpu"] == "with --reference cpu"
    use = {kept.reference: kept.use for kept in find_baselines(two, "made_up", "cpu")}
    assert (use["cpu"], use["mine"]) == (
        "by default: the case's alignment block names it",
        "with --reference mine",
    )


def test_one_that_an_earlier_place_hides_is_never_judged_by(two):
    save_baseline(Path("baselines"), make_baseline())
    uses = [kept.use for kept in find_baselines(two, "made_up") if kept.reference == "cpu"]
    assert uses == ["with --reference cpu", "never: an earlier place has one of this name"]


def test_a_damaged_one_is_listed_with_what_is_wrong(two):
    run = Path("baselines/made_up/mine/fp32/run-0.csv")
    run.write_text(run.read_text()[:-3])
    damaged = next(kept for kept in find_baselines(two, "made_up") if kept.reference == "mine")
    assert damaged.baseline is None
    assert "edited or is cut short" in str(damaged.damage)


def test_names_are_found_in_every_place(two, tmp_path):
    assert named_baseline("made_up/cpu", two)[1] == str(tmp_path / "shipped/made_up/cpu")
    assert named_baseline("made_up", two)[0].reference == "mine"
    assert named_baseline("baselines/made_up/mine", two)[0].reference == "mine"
    for wrong in ("nobody", "made_up/nobody"):
        with pytest.raises(BaselineError) as caught:
            named_baseline(wrong, two)
        assert caught.value.hint == "align baseline list"


def test_a_place_that_is_missing_holds_nothing(tmp_path):
    places = (Place(tmp_path / "absent", "given"),)
    assert find_baselines(places, "made_up") == []

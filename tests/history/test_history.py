"""What a history says of results that were put into it: broken since when, by what, flaky, drifting, blind."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")

from harness.history.history_answer import answer
from harness.history.history_database import History, HistoryError, without_password
from harness.history.history_json import encode_answer
from harness.history.history_page import render_history
from harness.history.history_rows import BuildRow, Row
from harness.history.timeline import past_stretches
from harness.values.errors import UsageError

GOOD_SIGHT = {"iterations": 30.0, "shadow": 0.99, "detectable": 1e-4, "runs": 8.0}


def build(number, **changes):
    table = {"build.driver": f"1.{number}", "version.torch": "2.4.1"}
    return dataclasses.replace(BuildRow(f"key-{number}", "sdaa", "T100", table, f"{number:07d}"), **changes)


def row(number, case="ann", status="PASS", **changes):
    started = f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:00:00+00:00"
    base = Row(
        key=f"{number}-{case}-{changes.get('key', '')}",
        build=build(number),
        invocation=f"inv-{number}",
        case=case,
        device="sdaa",
        started=started,
        machine="ci",
        status=status,
        reason=f"{status} because",
        causes=() if status == "PASS" else ("shadow: convolution_backward weight gradient",),
        aligned_tier="tf32" if status == "PASS" else "",
        seconds=1.0,
        measures={},
        sight=GOOD_SIGHT,
    )
    return dataclasses.replace(base, **{name: value for name, value in changes.items() if name != "key"})


@pytest.fixture
def said(tmp_path):
    """What a history with these rows answers."""

    def put(*rows):
        history = History(str(tmp_path / "history.db"))
        history.add_all(rows)
        return answer(history)

    return put


def test_an_empty_history_says_so(said):
    found = said()
    assert (found.timeline.series, found.breakages) == ((), ())
    assert "no result yet" in render_history(found, shown="h", made="now", last=10)


def test_the_first_bad_build_and_what_changed_in_its_table(said):
    (found,) = said(row(0), row(1), row(2, status="FAIL"), row(3, status="FAIL")).breakages
    assert found.broken.first_bad.build.commit == "0000002"
    assert found.broken.last_good.build.commit == "0000001"
    assert found.broken.builds == 2
    assert ("build.driver", "1.1", "1.2") in found.changes
    assert ("commit", "0000001", "0000002") in found.changes
    assert not any(name == "version.torch" for name, _, _ in found.changes)


def test_a_case_that_passes_again_is_not_broken_and_its_breakage_is_remembered(said):
    found = said(row(0), row(1, status="FAIL"), row(2))
    assert found.breakages == ()
    ((first, last),) = past_stretches(found.timeline.series[0])
    assert (first.place, last.place) == (1, 1)


def test_builds_in_between_that_were_not_judged_are_counted(said):
    found = said(row(0), row(1, "other"), row(2, "other"), row(3, status="FAIL"))
    assert next(one for one in found.breakages if one.broken.series.case == "ann").broken.untested == 2


def test_a_case_that_never_passed_has_no_last_good(said):
    (found,) = said(row(0, status="ERROR", causes=("error: the run crashed",))).breakages
    assert (found.broken.last_good, found.changes) == (None, ())


def test_each_cause_has_its_own_first_build(said):
    later = row(2, status="FAIL", causes=("envelope: loss", "shadow: convolution_backward weight gradient"))
    (found,) = said(row(0), row(1, status="FAIL"), later).breakages
    since = {cause: build.place for cause, build in found.broken.causes}
    assert since == {"shadow: convolution_backward weight gradient": 1, "envelope: loss": 2}


def test_cases_that_one_build_broke_by_one_cause_are_named_together(said):
    rows = [
        row(n, case, "FAIL" if n and case != "well" else "PASS") for n in (0, 1) for case in ("a", "b", "c", "well")
    ]
    found = said(*rows)
    assert [one.likewise for one in found.breakages] == [("b", "c"), ("a", "c"), ("a", "b")]


def test_a_build_that_passes_and_fails_is_flaky_and_counts_as_bad(said):
    found = said(row(0), row(1), row(1, key="again", status="FAIL"))
    ((where, counts),) = found.flaky[0].mixed
    assert (where.place, counts) == (1, {"PASS": 1, "FAIL": 1})
    assert len(found.breakages) == 1


def test_a_case_that_alternates_is_flaky(said):
    assert said(*[row(n, status="FAIL" if n % 2 else "PASS") for n in range(6)]).flaky[0].alternations == 5


def test_a_steady_case_is_not_flaky(said):
    assert said(row(0), row(1, status="FAIL"), row(2, status="FAIL")).flaky == ()


def test_a_run_that_died_before_it_said_counts_for_its_invocations_build(said):
    dead = row(1, "dead", "ERROR", build=None, causes=("error: the run crashed",))
    found = said(row(0), row(0, "dead"), row(1), dead)
    (broken,) = found.breakages
    assert broken.broken.first_bad.build.commit == "0000001"


def test_a_run_of_no_known_build_stands_alone(said):
    found = said(row(0), row(1, status="ERROR", build=None, causes=("error: x",)))
    assert [b.id > 0 for b in found.timeline.builds["sdaa"]] == [True, False]


def test_the_same_result_is_kept_once(tmp_path):
    history = History(str(tmp_path / "h.db"))
    assert [history.add(row(0)), history.add(row(0)), history.add(row(1))] == [True, False, True]
    assert history.add_all([row(0), row(2), row(2)]) == 1
    assert len(history.results()) == 3


def test_a_later_label_names_the_build(tmp_path):
    history = History(str(tmp_path / "h.db"))
    history.add(row(0))
    history.add(row(0, "other", build=build(0, label="nightly 7")))
    history.add(row(0, "third"))
    assert [one.label for one in history.builds()] == ["nightly 7"]


def test_a_drift_is_found_while_everything_passes(said):
    rng = np.random.default_rng(0)
    rows = [row(n, measures={"effective bits": 21 - 0.02 * n + 0.05 * rng.normal()}) for n in range(40)]
    (found,) = said(*rows).drifts
    assert found.measure == "effective bits"
    assert -0.03 < found.drift.slope < -0.01


def test_noise_is_no_drift_and_a_failing_case_is_not_tested(said):
    rng = np.random.default_rng(0)
    noise = [row(n, measures={"effective bits": 21 + rng.normal()}) for n in range(40)]
    failing = [row(n, "bad", measures={"x": float(n)}) for n in range(39)] + [row(39, "bad", "FAIL")]
    found = said(*noise, *failing)
    assert (found.drifts, found.tested) == ((), 1)


@pytest.mark.parametrize(
    ("sight", "said_of_it"),
    [
        ({**GOOD_SIGHT, "shadow": 0.2}, "20 % of the calls"),
        ({name: value for name, value in GOOD_SIGHT.items() if name != "shadow"}, "none of the calls"),
        ({**GOOD_SIGHT, "detectable": 0.01}, "0.01 % to 1 %"),
        ({**GOOD_SIGHT, "iterations": 5.0}, "5 iterations; it had 30"),
        (GOOD_SIGHT, None),
    ],
)
def test_a_case_that_sees_less_is_named_with_what_it_lost(said, sight, said_of_it):
    blind = said(row(0), row(1), row(2, sight=sight), row(3, sight=sight)).blind
    assert bool(blind) == (said_of_it is not None)
    if blind:
        assert blind[0].since.place == 2
        assert any(said_of_it in line for line in blind[0].what)


def test_a_failure_that_was_stopped_early_is_not_blind(said):
    assert said(row(0), row(1, status="FAIL", sight={"iterations": 1.0})).blind == ()


def test_a_case_that_decides_nothing_any_more_is_blind(said):
    (blind,) = said(row(0), row(1, status="INCONCLUSIVE", causes=("sight: loss",))).blind
    assert blind.what == ("decides nothing: sight: loss",)


def test_what_is_left_out_since_is_named(said):
    (blind,) = said(row(0), row(1, left_out=("shadow ops",))).blind
    assert blind.what == ("left out: shadow ops",)


def test_a_case_that_is_no_longer_run_is_named(said):
    ((series, missed),) = said(row(0), row(0, "gone"), row(1), row(2)).absent
    assert (series.case, missed) == ("gone", 2)


def test_the_json_is_strict_and_holds_every_case(said):
    document = json.loads(encode_answer(said(row(0), row(1, status="FAIL"), row(1, "other"))))
    assert {case["case"] for case in document["cases"]} == {"ann", "other"}
    assert document["breakages"][0]["changes"]
    assert document["schema"] == 1


def test_the_page_obeys_nothing_that_a_result_says(said):
    hostile = "<script>alert(1)</script>"
    rows = (row(0, hostile), row(1, hostile, "FAIL", reason=hostile, causes=(hostile,), build=build(1, label=hostile)))
    page = render_history(said(*rows), shown=hostile, made="now", last=10)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_table_shows_the_latest_builds_alone(said):
    page = render_history(said(*[row(n) for n in range(30)]), shown="h", made="now", last=5)
    assert page.count('class="state pass"') == 5
    assert "25 earlier builds are not drawn" in page


def test_a_history_of_another_version_is_refused(tmp_path):
    import sqlite3

    History(str(tmp_path / "h.db")).close()
    with sqlite3.connect(tmp_path / "h.db") as connection:
        connection.execute("UPDATE history_schema SET version = 99")
    with pytest.raises(HistoryError, match="another version"):
        History(str(tmp_path / "h.db"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("causes", '["a"'), ("causes", '{"a": 1}'), ("causes", "[" * 5000), ("measures", '{"a": 1, "a": 2}'),
     ("measures", '{"a": "b"}'), ("surroundings", '{"a": "\\ud800"}')],
)  # fmt: skip
def test_a_database_whose_json_is_damaged_is_an_error(tmp_path, column, value):
    import sqlite3

    history = History(str(tmp_path / "h.db"))
    history.add_all([row(0), row(1, status="FAIL")])
    with sqlite3.connect(tmp_path / "h.db") as connection:
        connection.execute(f"UPDATE results SET {column} = ?", (value,))  # noqa: S608  # a name of the test's own
    with pytest.raises(HistoryError, match=r"JSON|nested|field") as caught:
        history.details(column, [1, 2])
    assert column in str(caught.value.where)


@pytest.mark.parametrize("url", ["", "nothing://x/y", "mysql://u:p@h/d", "://"])
def test_what_is_no_history_is_refused(url):
    with pytest.raises(UsageError):
        History(url)


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "h.db").write_text("a file of another kind, long enough to be read as a page" * 20)
    with pytest.raises(HistoryError):
        History(str(tmp_path / "h.db"))


def test_a_missing_history_is_not_made_by_asking(tmp_path):
    with pytest.raises(HistoryError) as caught:
        History(str(tmp_path / "h.db"), create=False)
    assert caught.value.hint.startswith("align history add")
    assert not (tmp_path / "h.db").exists()


def test_passwords_are_never_shown():
    with pytest.raises(HistoryError) as caught:
        History("postgresql://user:secret@localhost:1/db")
    assert "secret" not in str(caught.value)
    assert without_password("postgresql://u:s@h/d") == "postgresql://u:***@h/d"


def test_the_extra_is_named_where_it_is_missing_and_not_imported_otherwise():
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "import harness.cli.main, harness.cli.history\n"
        "from harness.history.history_database import History\n"
        "try: History('h.db')\n"
        "except Exception as error: print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pip install 'alignment-harness[history]'"
    program = "import sys, harness.cli.main; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""A study goes on where it was, runs nothing twice, and runs anew what other code would make."""

from functools import partial

import pytest

from harness.lab.power import study as study_module
from harness.lab.power.study import Study
from harness.lab.power.study_plan import ROUNDING_RUNS, Settings
from harness.lab.power.study_run import Kind
from harness.lab.power.workers import run_requests
from harness.store.baselines import save_baseline
from harness.values.case import Case
from harness.values.errors import BaselineError, RunError
from tests.healthy_runs import make_baseline
from tests.power import fake_worker

FAULTS = ("bn-eps-1e-3", "conv-wgrad-x1.05")
LEANED_ON = 1 + ROUNDING_RUNS  # the twin, and what rounding does


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Makes studies of one work folder, whose workers train nothing; and says what they ran."""
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(study_module, "run_requests", partial(run_requests, serving=fake_worker.serve))
    config = tmp_path / "made_up.py"
    config.write_text("")
    save_baseline(tmp_path / "baselines", make_baseline())
    case = Case(name="made_up", config=config)
    log = tmp_path / "log"

    def run(faults=FAULTS, healthy=2, on_progress=lambda *_: None, **changes):
        log.write_text("")
        settings = Settings(faults, healthy, repeats=8, **changes)
        made = Study([case], settings, tmp_path / "work", tmp_path / "baselines")
        made.run(1, on_progress)
        return made, [line.split()[1] for line in log.read_text().splitlines()]

    return run


def test_what_is_finished_is_not_run_again(study):
    made, ran = study()
    assert len(ran) == LEANED_ON + len(FAULTS) + 2
    assert ran[0] == "plain-tf32", "what others are compared with comes first"
    assert dict(made.missing()) == {"made_up": 0}
    assert study()[1] == []


def test_where_shadow_ops_change_the_runs_beside_them_stay(study, monkeypatch):
    whole = LEANED_ON + 2 * (len(FAULTS) + 2)
    made, ran = study(shadow=(0, 1))
    assert len(ran) == whole
    assert study(shadow=(0, 1))[1] == []
    monkeypatch.setattr(study_module, "code_digest", digest_with_other_shadow_ops(study_module.code_digest))
    assert sorted(study(shadow=(0, 1))[1]) == sorted([*FAULTS, "tf32-3000", "fp32-3001"])
    (case,) = made.collect()
    for record in (*case.of(Kind.FAULT), *case.of(Kind.HEALTHY)):
        assert case.shadowed(record).experiment.name == record.experiment.name
        assert case.shadowed(record).experiment.kind is Kind.SHADOWED


def digest_with_other_shadow_ops(digest):
    return lambda config, *, shadowed=False: digest(config, shadowed=shadowed) + ("other" if shadowed else "")


def test_a_larger_study_runs_what_is_new(study):
    study(faults=FAULTS[:1], healthy=1)
    assert sorted(study(healthy=2)[1]) == sorted([FAULTS[1], "fp32-3001"])


def test_a_killed_study_goes_on(study):
    def kill(done, total, experiment):
        if experiment is not None and done == 3 and total > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(on_progress=kill)
    _, ran = study()
    assert 0 < len(ran) <= LEANED_ON + len(FAULTS) + 2 - 3


def test_other_code_makes_other_runs(study, monkeypatch):
    study()
    monkeypatch.setattr(study_module, "code_digest", lambda *_, **__: "other")
    assert len(study()[1]) == LEANED_ON + len(FAULTS) + 2


def test_without_faults_there_is_no_twin(study):
    assert sorted(study(faults=())[1]) == ["fp32-3001", "tf32-3000"]


def test_a_twin_that_crashes_ends_the_study_and_is_tried_again(study, monkeypatch, tmp_path):
    monkeypatch.setattr(study_module, "run_requests", partial(run_requests, serving=fake_worker.die))
    for _ in range(2):
        with pytest.raises(RunError, match="compared with"):
            study()


def test_a_case_without_a_baseline_is_refused_at_once(study, tmp_path):
    case = Case(name="unheard-of", config=tmp_path / "made_up.py")
    with pytest.raises(BaselineError):
        Study([case], Settings((), 1), tmp_path / "work", tmp_path / "baselines")

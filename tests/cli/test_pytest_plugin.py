"""The pytest plugin, in a folder with a `models` and a `reports` of the user's own."""

import sys
from types import SimpleNamespace

import pytest

from harness.cli import pytest_plugin


@pytest.fixture
def pytest_run(run, baselines):
    """Runs pytest in the user's folder, and the tiny case where it is chosen."""
    chosen = ["-m", "alignment", "--baseline-dir", baselines, "--case", "tiny.py", "--device", "emulated"]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return lambda *more, choose=True: run(*words, *(chosen if choose else []), *more)


def assert_says_why(code, out):
    assert code == 1
    assert "FAIL: shadow: " in out
    assert "; first step: " in out
    assert "stopped after" in out
    assert "at iteration 0, where healthy runs stay within" in out
    assert "Traceback" not in out


@pytest.mark.emulated
@pytest.mark.slow
def test_the_pytest_plugin_takes_the_same_path(pytest_run, user_folder):
    (user_folder / "test_own.py").write_text("def test_own():\n    pass\n")
    code, out, _ = pytest_run(choose=False)
    assert code == 0, out
    assert "1 passed" in out
    code, out, err = pytest_run("--out", "by-pytest")
    assert code == 0, out + err
    assert "1 passed" in out
    assert (user_folder / "by-pytest" / "index.html").exists()
    code, out, _ = pytest_run("--out", "by-pytest", "--fault", "align-corners-flipped")
    assert_says_why(code, out)


@pytest.mark.emulated
@pytest.mark.slow
def test_processes_of_a_parallel_run_say_the_same_and_write_one_report(pytest_run, user_folder):
    code, out, _ = pytest_run("-n", "2", "--out", "by-two", "--fault", "align-corners-flipped")
    assert_says_why(code, out)
    assert "1 failed" in out
    assert "FAIL" in (user_folder / "by-two" / "index.html").read_text()


def test_the_pytest_plugin_divides_one_false_alarm_rate_over_its_cases():
    options = {"align_fault": [], "align_no_early_stop": True, "align_false_alarm_rate": 0.004}
    config = SimpleNamespace(getoption=lambda name: options.get(name, ""))
    size = pytest_plugin._gate_size(config, 4)
    item = SimpleNamespace(config=config, gate_size=size)
    assert pytest_plugin.CaseItem._words(item) == ["--false-alarm-rate=0.004", "--gate-size=4", "--no-early-stop"]
    options["align_gate_size"] = 8
    assert pytest_plugin._gate_size(config, 4) == 8
    options["align_gate_size"] = 3
    with pytest.raises(pytest.UsageError, match="fewer cases than the command"):
        pytest_plugin._gate_size(config, 4)
    options["align_gate_size"] = 0
    options["align_false_alarm_rate"] = 2.0
    with pytest.raises(pytest.UsageError, match="less than 1"):
        pytest_plugin._gate_size(config, 4)


@pytest.mark.parametrize(
    "expression", ["not alignment", "not (alignment)", "slow", "slow and alignment", "misalignment"]
)
def test_a_run_that_does_not_select_the_marker_is_left_alone(run, expression):
    code, out, err = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", "-m", expression
    )
    assert code in (0, 5), out + err
    assert "alignment[" not in out


def test_other_suites_may_have_a_device_option_too(run, user_folder):
    folder = user_folder / "other_suite"
    folder.mkdir()
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--device')\n    parser.addoption('--out')\n"
    )
    (folder / "test_it.py").write_text(
        "def test_it(request):\n    assert request.config.getoption('--device') == 'x'\n"
    )
    code, out, err = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder, "--device", "x")
    assert code == 0, out + err

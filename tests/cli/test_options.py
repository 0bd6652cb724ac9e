"""What commands share: run folders, and options that are not valid."""

import threading

import pytest

from harness.cli.options import run_folder


def test_two_runs_at_once_have_a_folder_each(tmp_path):
    at_once = threading.Barrier(8)
    taken = []

    def take():
        at_once.wait()
        with run_folder(tmp_path / "work", "case") as folder:
            (folder / "order.json").touch(exist_ok=False)
            taken.append(folder.name)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == ["case", *(f"case-{number}" for number in range(1, 8))]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--same", "initial weights"), "is no setting"),
        (("--stall-timeout", "soon"), "'soon' is no time to wait: seconds, more than 0"),
        (("--timeout", "nan"), "'nan' is no time to wait"),
        (("--timeout", "-1"), "'-1' is no time to wait"),
        (("--timeout", "1e400"), "'1e400' is no time to wait"),
        (("--stall-timeout", "inf"), "not without end"),
        (("--iterations", "1_000"), "is no number of at least 1"),
        (("--iterations", "\u0661\u0662"), "is no number of at least 1"),
        (("--iterations", "9" * 5000), "is no number of at least 1"),
        (("--shadow-budget", "9" * 400), "is more memory than can be addressed"),
        (("--shadow-budget", "much"), "'much' is no size"),
        (("--gate-size", "0"), "is no number of at least 1"),
    ],
)
def test_what_cannot_be_meant_is_told_in_words(align_here, words, said):
    code, _, err = align_here("verify", "tiny.py", *words)
    assert code == 2
    assert said in err
    assert "_seconds" not in err


def test_a_gate_has_at_least_the_commands_cases(align_here):
    code, _, err = align_here("verify", "tiny.py", "ann_small", "--gate-size", 1, "--device", "cpu")
    assert code == 2
    assert "fewer cases than the command" in err

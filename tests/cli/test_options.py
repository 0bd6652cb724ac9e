"""What commands share: run folders, and options that can't be meant."""

import threading

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

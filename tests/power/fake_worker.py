"""A worker that trains nothing: what an experiment is called decides how it ends."""

import os
import sys
import time
from pathlib import Path

from harness.lab.power.finished_run import Ending, write_outcome
from harness.lab.power.study_worker import Answer, Request
from harness.store.decoding import decode_value, encode_value
from harness.values.errors import RunError


def main(_):
    for line in sys.stdin:
        asked = decode_value(line.encode(), Request, "a line", RunError)
        experiment = asked.experiment
        with Path(os.environ["FAKE_LOG"]).open("a") as log:
            log.write(f"{os.getpid()} {experiment.name} {os.environ['GLIBC_TUNABLES']}\n")
        if experiment.name.startswith("dies"):
            print("last words", file=sys.stderr, flush=True)
            os._exit(7)
        if experiment.name.startswith("hangs"):
            time.sleep(600)
        ending = Ending.CRASHED if experiment.name.startswith("raises") else Ending.COMPLETE
        folder = Path(asked.folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_outcome(folder, experiment, ending, "raised" if ending is Ending.CRASHED else "", 1.0)
        print(encode_value(Answer(ending, ""), indent=None), end="", flush=True)
        if ending is Ending.CRASHED:
            return 1
    return 0

"""A worker that trains nothing: what an experiment is called decides how it ends."""

import os
import sys
import time
from pathlib import Path

from harness.lab.power.finished_run import Ending, write_outcome
from harness.lab.power.study_worker import own_its_output


def serve(pipe, log):
    own_its_output(log)
    goes_on = True
    while goes_on:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        experiment = asked.experiment
        with Path(os.environ["FAKE_LOG"]).open("a") as told:
            told.write(f"{os.getpid()} {experiment.name} {os.environ['GLIBC_TUNABLES']}\n")
        if experiment.name.startswith("dies"):
            print("last words", file=sys.stderr, flush=True)
            os._exit(7)
        if experiment.name.startswith("hangs"):
            time.sleep(600)
        goes_on = not experiment.name.startswith("raises")
        folder = Path(asked.folder)
        folder.mkdir(parents=True, exist_ok=True)
        ending = Ending.COMPLETE if goes_on else Ending.CRASHED
        write_outcome(folder, experiment, ending, "" if goes_on else "raised", 1.0)
        pipe.send(goes_on)


def die(pipe, log):
    """One that is asked for nothing before it is gone."""
    os._exit(7)

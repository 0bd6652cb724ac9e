"""Jobs on a Ray cluster: where they may run, and their answers as they come.

Ray places a job where its resources are free, starts it again where a node is lost, and brings the answer. This is the
one file that imports it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import harness
from harness.devices.choice import choose_device
from harness.fleet.remote import run_job
from harness.fleet.travel import Answer, Job
from harness.values.errors import UsageError

__all__ = ["EXTRA", "RETRIES", "Cluster", "cores_of_threads"]

EXTRA = "pip install 'alignment-harness[fleet]'"

RETRIES = 3
"""How often a job is begun again whose node was lost, or whose process the system killed."""


class Cluster:
    """A Ray cluster while a command uses it.

    Args:
        address: ``auto`` for the one that this machine is part of, ``ray://HOST:10001`` for another.
        ships: a folder that is sent to every node and is the working directory there: a user's configs and modules.
        installed: whether this project is found installed on the nodes; else its code is sent too.

    Raises:
        UsageError: Ray isn't installed, or there is no cluster.
    """

    def __init__(self, address: str, ships: Path | None = None, *, installed: bool = True) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError(
                "cases on many machines need Ray, which isn't installed", where="--cluster", hint=EXTRA
            ) from None
        self._ray: Any = ray
        root = Path(harness.__file__).parents[1]
        environment: dict[str, Any] = {}
        if ships is not None:
            environment["working_dir"] = str(ships)
            environment["excludes"] = [".git", "alignment-*", "work_dirs", "*.pth", "*.safetensors", "*venv*"]
        if not installed:
            environment["py_modules"] = [str(root / name) for name in ("harness", "models", "reports")]
        self._began = not ray.is_initialized()
        if self._began:
            try:
                ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError, TimeoutError, RuntimeError) as failure:
                raise UsageError(
                    "there is no Ray cluster",
                    where=f"--cluster {address}",
                    observed=str(failure).splitlines()[0][:200],
                    allowed="auto, or ray://HOST:10001",
                    hint="ray start --head",
                ) from None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        if self._began:
            self._ray.shutdown()

    def run(self, jobs: Sequence[Job], threads: int = 1) -> Iterator[Answer]:
        """Answers as they come, one a job. What still runs is ended where this is left before its end.

        Args:
            jobs: in the order in which they are begun.
            threads: the host's cores that each takes.

        Raises:
            UsageError: no node has what a job needs.
        """
        waiting: dict[Any, Job] = {}
        try:
            task, there = self._task(), self._ray.cluster_resources()
            for job in jobs:
                waiting[task.options(**_needs(job, threads, there)).remote(job)] = job
            while waiting:
                done, _ = self._ray.wait(list(waiting), num_returns=1)
                for reference in done:
                    job = waiting.pop(reference)
                    yield self._answer(reference, job)
        finally:
            for reference in waiting:
                self._ray.cancel(reference, force=True)

    def _task(self) -> Any:
        """One function for all jobs: Ray keeps processes for a function that it knows."""
        ray = self._ray

        def do(job: Job) -> Answer:
            context = ray.get_runtime_context()
            cards = context.get_accelerator_ids() if hasattr(context, "get_accelerator_ids") else {}
            shown = ",".join(str(card) for given in cards.values() for card in given)
            return run_job(job, context.get_node_id()[:6], shown)

        return ray.remote(max_retries=RETRIES)(do)

    def _answer(self, reference: Any, job: Job) -> Answer:
        try:
            answer: Answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as failure:
            said = f"lost, after {RETRIES + 1} tries where a node was: {_last_line(str(failure))}"
            return Answer(job.number, host="", said=said)
        return answer


def _needs(job: Job, threads: int, there: Mapping[str, float]) -> dict[str, Any]:
    """What a job takes of a node: a card, by Ray's own name of it or the device's; else cores."""
    name = job.device.partition(":")[0]
    choice = choose_device("cpu") if not name else None
    needs: dict[str, Any] = {"num_cpus": threads}
    if choice is not None or name in {"cpu", "emulated"}:
        return needs
    resource = {"cuda": "GPU", "npu": "NPU"}.get(name, name)
    if not there.get(resource):
        raise UsageError(
            f"no node of the cluster has a {name}",
            where="--device",
            observed=", ".join(sorted(key for key in there if ":" not in key)),
            hint=f"ray start --resources '{{\"{resource}\": 4}}' on a machine with four",
        )
    return {**needs, "num_gpus": 1} if resource == "GPU" else {**needs, "resources": {resource: 1}}


def _last_line(text: str) -> str:
    """What Ray says in the end, where the error itself stands."""
    lines = [line for line in re.sub("\x1b\\[[0-9;]*m", "", text).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "no word of why"


def cores_of_threads() -> int:
    """How many threads a job computes with, by the user's own setting; one without it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else 1

"""Jobs on a Ray cluster: where they may run, and their answers as they come.

Ray places a job where its resources are free, starts it again where a node is lost, and brings the answer. This is the
one file that imports it.
"""

from __future__ import annotations

import atexit
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import harness
from harness.devices.choice import choose_device
from harness.fleet.travel import Answer, Sent
from harness.values.errors import RunError, UsageError

__all__ = ["EXTRA", "RETRIES", "Cluster", "cores_of_threads"]

EXTRA = "pip install 'alignment-harness[fleet]'"

RETRIES = 3
"""How often a job is begun again whose node was lost, or whose process the system killed."""


_LOOKING = 3.0
"""Seconds from one look at whether the cluster's head is there to the next."""

_SILENCE = 30.0
"""Seconds without an answer of the head until it counts as gone; Ray's own limit is twice that."""

_J = TypeVar("_J", bound=Sent)

_HEAD_GONE = "the cluster's head is gone"


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
        self._address, self._lost = address, False
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

        # Through a client it is the client's connection that breaks, and Ray says so.
        told = None if address.startswith("ray://") else ray.get_runtime_context().gcs_address
        host, _, port = (told or "").rpartition(":")
        self._head = (host, int(port)) if port.isdecimal() else None
        self._seen = time.monotonic()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        if self._began and not self._lost:
            self._ray.shutdown()

    @property
    def cores(self) -> int:
        """How many the cluster has now, over all nodes."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, jobs: Sequence[_J], threads: int, work: Callable[[_J, str, str], Answer]) -> Iterator[Answer]:
        """Answers as they come, one a job. What still runs is ended where this is left before its end.

        Args:
            jobs: in the order in which they are begun.
            threads: the host's cores that each takes.
            work: does a job where it was sent; it gets the node's name in a few letters, and the cards that are given.

        Raises:
            UsageError: no node has what a job needs.
            RunError: the cluster's head is gone, or this machine's own part of it.
        """
        waiting: dict[Any, _J] = {}
        self._seen = time.monotonic()
        try:
            task, there = self._task(work), self._ray.cluster_resources()
            for job in jobs:
                waiting[task.options(**_needs(job, threads, there)).remote(job)] = job
            while waiting:
                for reference in self._done(list(waiting)):
                    job = waiting.pop(reference)
                    yield self._answer(reference, job)
        except OSError as failure:  # what Ray raises, with no more than a text, where it is told of a loss by a call
            if self._head is not None and not _answers(self._head):
                raise self._gone(_HEAD_GONE, "ray start --head") from None
            raise self._gone(f"the cluster answers no more: {_last_line(str(failure))}", "ray status") from None
        finally:
            for reference in waiting if not self._lost else ():
                self._ray.cancel(reference, force=True)

    def _done(self, waiting: Sequence[Any]) -> Sequence[Any]:
        """Those of some that end first; looks meanwhile whether the head is still there.

        Without its head a cluster goes on for a while with what it has begun, whose answers are kept. Left alone, Ray
        would end this process a minute later, with a page of its own log.
        """
        while True:
            done, _ = self._ray.wait(waiting, num_returns=1, timeout=_LOOKING)
            if self._head is None or _answers(self._head):
                self._seen = time.monotonic()
            elif time.monotonic() > self._seen + _SILENCE:
                raise self._gone(_HEAD_GONE, "ray start --head")
            if done:
                return list(done)

    def _task(self, work: Callable[[_J, str, str], Answer]) -> Any:
        """One function for all jobs: Ray keeps processes for a function that it knows."""
        ray = self._ray

        def do(job: _J) -> Answer:
            context = ray.get_runtime_context()
            cards = context.get_accelerator_ids() if hasattr(context, "get_accelerator_ids") else {}
            shown = ",".join(str(card) for given in cards.values() for card in given)
            return work(job, context.get_node_id()[:6], shown)

        return ray.remote(max_retries=RETRIES)(do)

    def _gone(self, what: str, hint: str) -> RunError:
        """An error that ends the command, whose process must not take leave of Ray as usual."""
        self._lost = True
        atexit.unregister(self._ray.shutdown)  # it would wait for who is gone, and end the process by force
        atexit.register(_end_without_ray)
        return RunError(what, where=f"--cluster {self._address}", hint=hint)

    def _answer(self, reference: Any, job: Sent) -> Answer:
        try:
            answer: Answer = self._ray.get(reference)
        except self._ray.exceptions.LocalRayletDiedError:
            raise self._gone("this machine's own part of the cluster is gone: its raylet died", "ray status") from None
        except self._ray.exceptions.RayError as failure:
            said = f"lost, after {RETRIES + 1} tries where a node was: {_last_line(str(failure))}"
            return Answer(job.number, host="", said=said)
        return answer


def _end_without_ray() -> None:
    """End a command that has lost its cluster: what Ray holds in this process crashes where it is taken apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def _answers(place: tuple[str, int]) -> bool:
    """Whether anybody takes a connection there."""
    try:
        socket.create_connection(place, timeout=_LOOKING).close()
    except OSError:
        return False
    return True


def _needs(job: Sent, threads: int, there: Mapping[str, float]) -> dict[str, Any]:
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

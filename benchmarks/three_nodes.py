"""Twelve small cases on a Ray cluster of three nodes on this machine: whole, with a node killed, with the head killed.

    python benchmarks/three_nodes.py [--cases 12] [--folder DIR]

The cases are the tests' tiny one under other names: most pass; some leave the reference's loss, train at another
learning rate, or crash, so that every verdict occurs. `align verify` judges them one after another on this machine,
then on three raylets of two cores each; then anew, while a node is killed as soon as two results have come; then anew,
while the head, and with it the cluster, is killed as soon as two have come: the command ends, a new cluster is started,
and `--resume` goes on. Prints for each how long it took and what came of it, and ends with 1 where a verdict, a finding
or a loss differs from one after another, where a case is missing, or where a whole result was made again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.devices.surroundings import git_commit
from harness.running.isolation import isolated_python
from harness.running.pool import host_cores
from harness.store.baselines import load_baseline, save_baseline

TINY = Path(__file__).parents[1] / "tests" / "running" / "tiny"

WRONG_LOSS = '''"""The tiny case's parts on a port whose loss is 1 % too large."""

import tiny_parts

right = tiny_parts.TinySegmentor.forward


def forward(self, *args, **kwargs):
    return {name: 1.01 * value for name, value in right(self, *args, **kwargs).items()}


tiny_parts.TinySegmentor.forward = forward
'''

EDITS: Mapping[int, tuple[str, str]] = {
    3: ('imports=["tiny_parts"]', 'imports=["tiny_parts", "tiny_wrong"]'),
    6: ("lr=0.01,", "lr=0.011,"),
    9: ('type="TinySegmentor"', 'type="TinySegmentor", trouble="crash"'),
}
"""Number of a case → what it has otherwise than the tiny one: FAIL, INCONCLUSIVE, ERROR."""

ALIKE: Mapping[int, Mapping[str, str]] = {
    3: {"custom_imports.imports": "['tiny_parts', 'tiny_wrong']"},
    9: {"model.trouble": "'crash'"},
}
"""Number of a case → settings that its baseline has, too: it is the same experiment, and goes wrong."""


@dataclass(frozen=True)
class Told:
    """What a command on the cases left.

    Args:
        code: its exit code.
        said: what it printed.
        seconds: that it took.
    """

    code: int
    said: str
    seconds: float


class Cases:
    """The cases in a folder of their own, with a baseline each, and commands on them.

    Args:
        folder: to write into.
        baselines: that hold the tiny case's.
        count: how many cases.
    """

    def __init__(self, folder: Path, baselines: Path, count: int = 12) -> None:
        self.folder = folder
        self.names = [f"tiny_{number:02}" for number in range(count)]
        shutil.copy(TINY / "tiny_parts.py", folder)
        (folder / "tiny_wrong.py").write_text(WRONG_LOSS)
        config = (TINY / "tiny.py").read_text()
        for number, name in enumerate(self.names):
            (folder / f"{name}.py").write_text(config.replace(*EDITS.get(number, ("", ""))))
            one = load_baseline(baselines, "tiny")
            settings = {**one.provenance.settings, **ALIKE.get(number, {})}
            own = replace(one, case=name, provenance=replace(one.provenance, case=name, settings=settings))
            save_baseline(folder / "own-baselines", own)

    def begin(self, out: str, *words: str) -> subprocess.Popen[str]:
        """Begin to verify all of them."""
        files = [f"{name}.py" for name in self.names]
        usual = ["--device", "cpu", "--shadow", "none", "--no-early-stop"]
        usual += ["--baseline-dir", "own-baselines", "--out", out]
        return subprocess.Popen(  # noqa: S603  # our own words
            isolated_python("harness.cli:main", "verify", *files, *usual, *words),
            cwd=self.folder,
            env=environment(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def verify(
        self, out: str, *words: str, after: int = 0, then: Callable[[], Any] = lambda: None, limit: float = 3000
    ) -> Told:
        """Verify all of them, and do something as soon as so many results have come."""
        started = time.monotonic()
        process = self.begin(out, *words)
        try:
            if after:
                while len(self.results(out)) < after and process.poll() is None:
                    if time.monotonic() > started + limit:
                        raise TimeoutError(f"{len(self.results(out))} results in {limit:.0f} s")
                    time.sleep(0.1)
                then()
            said, _ = process.communicate(timeout=limit)
        finally:
            process.kill()
            process.wait()
        return Told(process.returncode, said, time.monotonic() - started)

    def results(self, out: str) -> dict[str, bytes]:
        """Case → its result.json, of those that have come: a command begins with one for each, "not run"."""
        files = sorted((self.folder / out).glob("*/result.json"))
        found = {file.parent.name: file.read_bytes() for file in files}
        return {name: content for name, content in found.items() if b'"reason": "not run: ' not in content}

    def told(self, out: str) -> dict[str, Any]:
        """Case → what must not depend on where it ran: status, findings, losses."""
        whole = {name: json.loads(content) for name, content in self.results(out).items()}
        return {name: [each["verdict"], each["findings"], each.get("loss")] for name, each in whole.items()}


def environment(folder: Path) -> dict[str, str]:
    """Of the commands, and of the nodes: the cases' modules can be imported, and each run has one thread."""
    modules = os.pathsep.join(map(str, (folder, TINY.parents[2])))
    words = {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "ALIGN_LANG": "en"}
    # Ray starts its processes with niceness 15: beside others on this machine they would get nothing.
    return {**os.environ, "PYTHONPATH": modules, "RAY_worker_niceness": "0", **words}


_NODES_OF_COMMANDS = """
import sys
from ray._raylet import GcsClient
for job in GcsClient(address=sys.argv[1]).get_all_job_info().values():
    print(job.driver_address.node_id.hex())
"""
"""Prints the nodes that commands belong to. In a process of its own: Ray may end one whose head is lost."""


class Nodes:
    """A head and two more nodes, each of two cores, on this machine.

    Args:
        folder: where the cases' modules are.
    """

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        before = dict(os.environ)
        os.environ.update(environment(folder))
        try:
            self._nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
            self._others = [self._nodes.add_node(num_cpus=2) for _ in range(2)]
            self._nodes.wait_for_nodes()
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.address = str(self._nodes.address)

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self._nodes.shutdown()

    def kill_one(self) -> None:
        """Kill a node that isn't the head, with all that runs on it.

        Every node is on this machine, and a command takes any of them for its own: it would be lost with that one.
        """
        asked = subprocess.run(  # noqa: S603  # our own words
            [sys.executable, "-c", _NODES_OF_COMMANDS, self.address], capture_output=True, text=True, check=True
        )
        own = set(asked.stdout.split())
        node = next(node for node in self._others if node.node_id not in own)
        self._others.remove(node)
        self._nodes.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        """Kill the head, with all that runs on it."""
        self._nodes.remove_node(self._nodes.head_node, allow_graceful=False)


def with_a_node_killed(cases: Cases, out: str) -> Told:
    """Verify on three nodes, of which one is killed in the middle."""
    with Nodes(cases.folder) as nodes:
        return cases.verify(out, "--cluster", nodes.address, after=2, then=nodes.kill_one)


def with_the_head_killed(cases: Cases, out: str) -> tuple[Told, dict[str, bytes], Told]:
    """Verify on three nodes, whose head is killed in the middle, and go on with three new ones.

    Returns:
        What the interrupted command left, the results that were there then, and what the command that went on left.
    """
    with Nodes(cases.folder) as nodes:
        interrupted = cases.verify(out, "--cluster", nodes.address, after=2, then=nodes.kill_head)
    kept = cases.results(out)
    with Nodes(cases.folder) as nodes:
        went_on = cases.verify(out, "--cluster", nodes.address, "--resume")
    return interrupted, kept, went_on


def main() -> int:
    """Run all, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="keep everything there (default: a temporary folder)")
    arguments = parser.parse_args()
    import ray

    commit = git_commit(Path(__file__).parent, but_for="baselines")
    print(f"{platform.machine()}, {host_cores()} cores, Ray {ray.__version__}, commit {commit}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        words = ["tiny.py", "--device", "cpu", "--repeats", "5", "--baseline-dir", str(folder / "recorded")]
        command = isolated_python("harness.cli:main", "record", *words)
        if not (folder / "recorded").exists():
            subprocess.run(command, cwd=TINY, env=environment(TINY), check=True, capture_output=True)  # noqa: S603  # our own words
        return 1 if compare(Cases(folder, folder / "recorded", arguments.cases)) else 0


def compare(cases: Cases) -> int:
    """Each way of running them beside one after another; how many differ."""
    one = cases.verify("one")
    differ = say("one after another", cases, "one", one, one)
    with Nodes(cases.folder) as nodes:
        many = cases.verify("many", "--cluster", nodes.address)
    differ += say("on three nodes", cases, "many", many, one)
    differ += say("a node killed", cases, "killed", with_a_node_killed(cases, "killed"), one)
    interrupted, kept, went_on = with_the_head_killed(cases, "head")
    last = (interrupted.said.strip().splitlines() or ["nothing"])[-1]
    print(f"the head killed: the command ended after {interrupted.seconds:.0f} s with {interrupted.code}: {last[:200]}")
    differ += say("the head killed, then --resume", cases, "head", went_on, one)
    after = cases.results("head")
    whole = {name for name, content in kept.items() if json.loads(content)["verdict"] != "ERROR"}
    again = [name for name in whole if after[name] != kept[name]]
    print(f"{len(whole)} whole results were there, {len(again)} of them were made again")
    return differ + len(again)


def say(way: str, cases: Cases, out: str, told: Told, one: Told) -> int:
    """Print what came of one way of running them; 1 where it isn't what came one after another."""
    mine, right = cases.told(out), cases.told("one")
    same = sum(mine.get(name) == right.get(name) for name in cases.names if name in right)
    counts = [f"{sum(each[0] == status for each in mine.values())} {status}" for status in sorted(statuses(mine))]
    of = f"{same} of {len(cases.names)} as one after another"
    print(f"{way}: {told.seconds:.0f} s, {', '.join(counts)}; {of}", flush=True)
    return int(same != len(cases.names) or told.code != one.code)


def statuses(told: Mapping[str, Any]) -> set[str]:
    """The verdicts that occur."""
    return {each[0] for each in told.values()}


if __name__ == "__main__":
    sys.exit(main())

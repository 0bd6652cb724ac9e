"""A real Ray cluster of three nodes on this machine: verdicts as one after another, whatever node or head is killed.

`tox -e fleet` installs Ray and runs these. The twelve cases, and what is killed when, are those of
`benchmarks/three_nodes.py`, which prints the same as figures.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")

from harness.cli import main  # noqa: E402
from harness.fleet.cluster import Cluster  # noqa: E402
from harness.fleet.remote import run_job  # noqa: E402
from harness.fleet.travel import Job  # noqa: E402

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own
]

THREE_NODES = Path(__file__).parents[2] / "benchmarks" / "three_nodes.py"
TINY = Path(__file__).parents[1] / "running" / "tiny"


@pytest.fixture(scope="module")
def three_nodes():
    spec = importlib.util.spec_from_file_location("three_nodes", THREE_NODES)
    module = importlib.util.module_from_spec(spec)
    sys.modules["three_nodes"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["three_nodes"]


@pytest.fixture(scope="module")
def cases(three_nodes, tiny_baselines, tmp_path_factory):
    """Twelve cases, verified one after another."""
    made = three_nodes.Cases(tmp_path_factory.mktemp("cases"), tiny_baselines)
    made.one = made.verify("one")
    statuses = [status for status, *_ in made.told("one").values()]
    assert sorted(statuses) == sorted(["PASS"] * 9 + ["FAIL", "INCONCLUSIVE", "ERROR"]), made.one.said
    return made


@pytest.fixture
def nodes(three_nodes, tmp_path):
    """A head and two more nodes, each with two cores; torn down afterwards."""
    with three_nodes.Nodes(TINY) as nodes:
        yield nodes
    ray.shutdown()


def test_a_node_that_is_killed_loses_nothing_and_nothing_is_done_twice(nodes):
    """Twelve jobs of four seconds on six cores; a node is killed while it works at two."""
    jobs = [Job(number, f"case-{number}", seconds=4.0) for number in range(12)]
    answers = []
    with Cluster(nodes.address) as cluster:
        assert cluster.cores == 6
        running = cluster.run(jobs, 1, run_job)
        answers.append(next(running))
        nodes.kill_one()
        answers += running
    assert sorted(answer.number for answer in answers) == list(range(12))
    assert [answer.said for answer in answers] == [""] * 12
    assert len({answer.host for answer in answers}) >= 2


def test_verdicts_with_a_node_killed_are_those_of_one_after_another(three_nodes, cases):
    told = three_nodes.with_a_node_killed(cases, "killed")
    assert told.code == cases.one.code, told.said
    assert cases.told("killed") == cases.told("one")
    hosts = {json.loads(content)["host"] for content in cases.results("killed").values()}
    assert len(hosts) >= 2
    assert all(re.fullmatch(r".+ \(node [0-9a-f]{6}\)", host) for host in hosts)


def test_with_the_head_killed_the_command_ends_and_goes_on_where_it_was(three_nodes, cases):
    interrupted, kept, went_on = three_nodes.with_the_head_killed(cases, "head")
    assert interrupted.code == 2, interrupted.said
    assert "--resume" in interrupted.said
    assert "Traceback" not in interrupted.said
    assert 2 <= len(kept) < 12
    assert went_on.code == cases.one.code, went_on.said
    assert cases.told("head") == cases.told("one")
    after = cases.results("head")
    whole = {name for name, content in kept.items() if json.loads(content)["verdict"] != "ERROR"}
    assert {name: after[name] for name in whole} == {name: kept[name] for name in whole}, "what is whole was made again"


def test_a_folder_of_another_command_is_no_place_to_go_on(nodes, cases):
    cases.results("killed") or cases.verify("killed", "--cluster", nodes.address)
    other = cases.verify("killed", "--cluster", nodes.address, "--resume", "--iterations", "3")
    assert other.code == 2
    assert "asked for something else" in other.said


def test_a_study_on_a_cluster_is_that_of_one_machine(nodes, tiny_baselines, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(TINY))
    for name in ("tiny.py", "tiny_parts.py"):
        (tmp_path / name).write_text((TINY / name).read_text())
    words = ["power", "tiny.py", "--faults", "conv-wgrad-x1.05", "--healthy", "2", "--repeats", "5"]
    words += ["--baseline-dir", str(tiny_baselines)]
    assert main([*words, "--jobs", "2", "--work-dir", "one-runs", "--out", "one"]) == 0
    many = ["--cluster", nodes.address, "--work-dir", "many-runs", "--out", "many"]
    assert main([*words, *many]) == 0
    one, other = (json.loads((tmp_path / out / "power.json").read_text()) for out in ("one", "many"))
    assert without_costs(other) == without_costs(one)
    assert other["faults"]
    capsys.readouterr()
    assert main([*words, *many]) == 0
    again = json.loads((tmp_path / "many" / "power.json").read_text())
    assert again["making"]["runs"] == 0, "what is there was run again"


def without_costs(value):
    """A study's result without when it was made and how long that took, what was typed, and where the runs lie."""
    if isinstance(value, dict):
        gone = {"seconds", "worker_seconds", "made", "making", "command"}
        return {name: without_costs(inner) for name, inner in value.items() if name not in gone}
    return [without_costs(inner) for inner in value] if isinstance(value, list) else value

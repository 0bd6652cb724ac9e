"""A real Ray cluster of three nodes on this machine: verdicts as on one, a killed node loses nothing.

`tox -e fleet` installs Ray and runs these.
"""

import json
import os
import re
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")

from harness.cli import main  # noqa: E402
from harness.fleet.cluster import Cluster  # noqa: E402
from harness.fleet.travel import Job  # noqa: E402

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own
]

TINY = Path(__file__).parents[1] / "running" / "tiny"


@pytest.fixture
def three_nodes(monkeypatch):
    """A head and two more nodes, each with two cores; torn down afterwards."""
    from ray.cluster_utils import Cluster as Nodes

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (TINY, TINY.parents[2]))))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes.others = [nodes.add_node(num_cpus=2) for _ in range(2)]
    nodes.wait_for_nodes()
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_a_node_that_is_killed_loses_nothing_and_nothing_is_done_twice(three_nodes):
    """Twelve jobs of four seconds on six cores; a node is killed while it works at two."""
    jobs = [Job(number, f"case-{number}", seconds=4.0) for number in range(12)]
    answers = []
    with Cluster(three_nodes.address) as cluster:
        running = cluster.run(jobs)
        answers.append(next(running))
        three_nodes.remove_node(three_nodes.others[0], allow_graceful=False)
        answers += running
    assert sorted(answer.number for answer in answers) == list(range(12))
    assert [answer.said for answer in answers] == [""] * 12
    assert len({answer.host for answer in answers}) >= 2


def test_verdicts_on_a_cluster_are_those_of_one_machine_and_an_interrupted_command_goes_on(
    three_nodes, tiny_baselines, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text((TINY / "tiny.py").read_text())
    (tmp_path / "tiny_parts.py").write_text((TINY / "tiny_parts.py").read_text())
    words = ["verify", "tiny.py", "--device", "cpu", "--shadow", "none", "--baseline-dir", str(tiny_baselines)]
    assert main([*words, "--out", "one"]) == 0
    capsys.readouterr()
    words += ["--cluster", three_nodes.address, "--out", "many"]
    assert main(words) == 0
    assert "PASS tiny" in capsys.readouterr().out
    one, many = (json.loads((tmp_path / out / "tiny" / "result.json").read_text()) for out in ("one", "many"))
    assert many["findings"] == one["findings"]
    assert many["loss"] == one["loss"]
    assert re.fullmatch(r".+ \(node [0-9a-f]{6}\)", many["host"])
    before = (tmp_path / "many" / "tiny" / "result.json").read_bytes()
    assert main([*words, "--resume"]) == 0
    assert (tmp_path / "many" / "tiny" / "result.json").read_bytes() == before, "what is whole was made again"
    assert main([*words, "--resume", "--iterations", "3"]) == 2
    assert "asked for something else" in capsys.readouterr().err

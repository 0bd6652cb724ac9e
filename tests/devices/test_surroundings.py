"""A run doesn't end over git, however git answers."""

import pytest

from harness.devices import surroundings
from harness.devices.surroundings import git_commit

ANSWERS = {
    "never": "exec sleep 60",
    "no status": 'case "$*" in *rev-parse*) echo 0123456789ab;; *) exec sleep 60;; esac',
    "no text": "printf '\\377\\376'",
    "refused": "exit 128",
}


@pytest.mark.parametrize(
    ("how", "said"),
    [("never", ""), ("no status", "0123456789ab-unknown"), ("no text", "\ufffd\ufffd"), ("refused", "")],
)
def test_whatever_git_does(tmp_path, monkeypatch, how, said):
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\n{ANSWERS[how]}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(surroundings, "GIT_TIMEOUT", 0.5)
    assert git_commit(tmp_path).removesuffix("-dirty") == said

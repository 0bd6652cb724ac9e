"""Where a policy is found, and its defaults for `align verify`: read before the command line is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from harness.cli.options import without_password
from harness.cli.terminal import open_console
from harness.language import say
from harness.policy.policy_file import find_policy, read_policy
from harness.policy.policy_values import Policy
from harness.values.errors import AlignmentError

__all__ = ["add_policy_option", "asked_policy", "case_name", "rooted", "verify_defaults"]


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    """The option that names a policy."""
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="alignment.toml, or a pyproject.toml with [tool.alignment]; default: the one of this folder or of the "
        "nearest above it",
    )


def asked_policy(path: Path | None) -> Policy | None:
    """The policy that the command line names, or that is found; None where there is none.

    Raises:
        PolicyError: it is not valid.
    """
    found = path or find_policy(Path.cwd())
    if found is None:
        return None
    return read_policy(found, lambda name: case_name(name, found.parent))


def case_name(name: str, folder: Path) -> str | None:
    """The name of a case that a policy names, None where there is no such case; paths are the policy's folder's."""
    from harness.running.cases import find_case

    try:
        return find_case(rooted(name, folder)).name
    except AlignmentError:
        return None


def rooted(name: str, folder: Path) -> str:
    """A case's name as it is; a path in a policy from the folder that the policy lies in."""
    if ".py" not in name or Path(name).is_absolute() or folder.absolute() == Path.cwd():
        return name
    return str(folder / name)


def verify_defaults(words: Sequence[str]) -> Mapping[str, object]:
    """What a policy says where `align verify`'s own options say nothing, told in a line to standard error.

    Args:
        words: after ``align``.
    """
    if not words or words[0] != "verify" or {"-h", "--help"} & set(words):
        return {}
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_policy_option(parser)
    parser.add_argument("--no-policy", action="store_true")
    asked, _ = parser.parse_known_args([*words[1:]])
    policy = None if asked.no_policy else asked_policy(asked.policy)
    if policy is None or not policy.defaults:
        return {}
    said = ", ".join(f"{name.replace('_', '-')} {_short(value)}" for name, value in policy.defaults.items())
    open_console(stderr=True).print(Text(say(f"defaults of {policy.path}: {said}"), style="dim"))
    return policy.defaults


def _short(value: object) -> str:
    """A value on the line; a database's URL without its password."""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return without_password(text)

"""Options of many machines; what they need is imported where they are used."""

from __future__ import annotations

import argparse

__all__ = ["add_cluster_options"]


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Options of many machines."""
    parser.add_argument(
        "--cluster",
        default="",
        metavar="ADDRESS",
        help="verify the cases on a Ray cluster: auto for the one that this machine is part of, or ray://HOST:10001; "
        "needs the extra [fleet]",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="with --cluster: go on where the same command was interrupted; results that are whole are kept",
    )

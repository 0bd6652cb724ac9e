"""What of a config must be equal for two runs to be the same experiment."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from harness.recording.start import PATHS_OF_WEIGHTS
from harness.running.cases import RUNNER_FIELDS, flatten
from harness.values.case import Case

__all__ = ["ONE_PIECE", "effective_fields", "effective_settings", "restart_settings"]

ONE_PIECE = {"alignment.restarts": "1"}
"""What ``restart_settings`` has where a side says nothing."""

_WITHOUT_EFFECT = frozenset(
    {
        *("alignment", "randomness", "train_cfg", "work_dir", "log_level", "log_processor", "visualizer"),
        *("default_hooks", "env_cfg", "resume", "default_scope", "compile"),
    }
)
"""Fields of a Runner that don't change what is trained, or are compared by themselves."""


def effective_fields(config: Config) -> dict[str, Any]:
    """The fields of a resolved config that have an effect on the training."""
    effective = RUNNER_FIELDS - _WITHOUT_EFFECT
    return {name: value for name, value in config.to_dict().items() if name in effective}


def effective_settings(config: Config) -> dict[str, str]:
    """The resolved config, without paths and without what has no effect on the training."""
    fields = effective_fields(config)
    chosen = {name: value for name, value in (config.get("randomness") or {}).items() if name != "seed" and value}
    if chosen:  # what is off says no more than what isn't there
        fields["randomness"] = chosen
    settings = {}
    for name, text in flatten(fields):
        field = name.rpartition(".")[2]
        if field not in {"data_root", "load_from"}:
            # Where a file with weights lies differs from host to host; whether its weights do, their digest says.
            settings[name] = "a checkpoint" if field in PATHS_OF_WEIGHTS and text.startswith(("'", '"')) else text
    return settings


def restart_settings(case: Case) -> dict[str, str]:
    """How a case's run is started anew on its way; nothing of one that isn't."""
    return {"alignment.restarts": f"{case.restarts} in {case.iterations} iterations"} if case.restarts > 1 else {}

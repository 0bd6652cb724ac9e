"""mmengine's own Runner, started by a script, with the hook in its config."""

import importlib
import sys
import tempfile
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from started import start

from harness.devices.mmengine_adapter import teach_mmengine

TINY = Path(__file__).parents[2] / "running" / "tiny"


def train(folder, kind):
    sys.path.insert(0, str(TINY))
    config = Config.fromfile(TINY / "tiny.py")
    config.merge_from_dict(
        {
            "work_dir": tempfile.mkdtemp(),
            "train_cfg.max_iters": 6,
            "randomness": {"seed": 0},
            "default_hooks": {"logger": None, "checkpoint": None, "timer": None},
            "log_level": "WARNING",
            "custom_imports.imports": ["tiny_parts", "harness.training.hooks.mmengine_hook"],
            "custom_hooks": [{"type": "AlignmentHook", "folder": folder, "iterations": 5}],
        }
    )
    for name in config.custom_imports.imports:  # as Config.fromfile does, where the file says so
        importlib.import_module(name)
    teach_mmengine(kind)
    Runner.from_cfg(config).train()


start(train)

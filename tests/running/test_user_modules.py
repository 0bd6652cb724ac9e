"""What surrounds a config is found: modules beside it, the user's packages called as ours, other packages' configs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports={imports!r})
"""

LOAD = """
import sys
from harness.running.isolation import prefer_own_packages
prefer_own_packages()
from pathlib import Path
from harness.running.cases import load_config
from harness.values.errors import CaseError
try:
    config = load_config(Path(sys.argv[1]), sys.argv[2:], import_modules=True)
except CaseError as error:
    print(error)
    raise SystemExit(2)
from mmengine.registry import MODELS
print(sorted(name for name in ("Mine", "Joined", "Beside") if MODELS.get(name)))
"""

PART = """
import torch
from mmengine.registry import MODELS
@MODELS.register_module()
class {name}(torch.nn.Module): ...
"""


def load(folder, config, *options, rc=0):
    told = subprocess.run(
        [sys.executable, "-c", LOAD, str(config), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == rc, told.stdout + told.stderr
    return told.stdout


def written(folder, imports):
    config = folder / "configs" / "mine.py"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(base=str(ROOT / "tests/running/tiny/tiny.py"), imports=imports))
    (config.parent / "tiny_parts.py").write_text("")
    return config


def test_modules_beside_the_config_and_in_the_working_directory_are_found(tmp_path):
    config = written(tmp_path, ["beside", "here"])
    (config.parent / "beside.py").write_text(PART.format(name="Beside"))
    (tmp_path / "here.py").write_text(PART.format(name="Mine"))
    assert "['Beside', 'Mine']" in load(tmp_path, config)


def test_a_package_of_the_users_called_models_is_joined_to_ours(tmp_path):
    config = written(tmp_path, ["models", "models.mine"])
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("from .joined import *\nfrom models.joined import Joined\n")
    (tmp_path / "models" / "joined.py").write_text(PART.format(name="Joined"))
    (tmp_path / "models" / "mine.py").write_text(PART.format(name="Mine"))
    assert "['Joined', 'Mine']" in load(tmp_path, config)


def test_a_module_that_would_hide_one_of_ours_is_refused(tmp_path):
    config = written(tmp_path, ["models.ann"])
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ann.py").write_text(PART.format(name="Mine"))
    told = load(tmp_path, config, rc=2)
    assert "modules in both have the same name" in told
    assert "ann" in told


@pytest.mark.parametrize("package", [True, False])
def test_a_package_of_the_users_called_tests_is_the_users(tmp_path, package):
    """This project's own folder of that name lies before it on the path, where the project is installed editable."""
    config = written(tmp_path, ["tests.mine"])
    (tmp_path / "tests").mkdir()
    if package:
        (tmp_path / "tests" / "__init__.py").write_text("from tests.beside import Beside\n")
        (tmp_path / "tests" / "beside.py").write_text(PART.format(name="Beside"))
    (tmp_path / "tests" / "mine.py").write_text(PART.format(name="Mine"))
    assert ("['Beside', 'Mine']" if package else "['Mine']") in load(tmp_path, config)


def test_imports_of_an_option_are_made(tmp_path):
    config = written(tmp_path, [])
    (tmp_path / "late.py").write_text(PART.format(name="Mine"))
    assert "['Mine']" in load(tmp_path, config, "custom_imports.imports=[late]")


@pytest.mark.parametrize("there", [True, False])
def test_configs_of_an_installed_package_are_bases(tmp_path, there):
    package = tmp_path / "mmrazor"
    (package / ".mim" / "configs" / "tiny").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / ".mim" / "configs" / "tiny" / "base.py").write_text((ROOT / "tests/running/tiny/tiny.py").read_text())
    (package / ".mim" / "model-index.yml").write_text("Import: [metafile.yml]")
    (package / ".mim" / "metafile.yml").write_text("Models: [{Name: tiny, Config: configs/tiny/base.py}]")
    info = tmp_path / "mmrazor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mmrazor\nVersion: 1.0\n")
    (tmp_path / "tiny_parts.py").write_text("")
    config = tmp_path / "mine.py"
    config.write_text(f"_base_ = ['{'mmrazor' if there else 'mmyolo'}::tiny/base.py']\nmodel = dict(trouble='')\n")
    told = subprocess.run(
        [sys.executable, "-c", LOAD, str(config)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"},
    )
    assert told.returncode == (0 if there else 2), told.stdout + told.stderr
    assert "[]" in told.stdout if there else "the config can't be loaded" in told.stdout

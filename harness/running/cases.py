"""Cases: configs by name or path, with their alignment block. A config is Python and runs as the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.utils import import_modules_from_strings

from harness.running.config_files import CONFIGS, config_files
from harness.running.own_cases import find_own_case, split_address
from harness.running.user_modules import find_packages_by_metadata, open_user_modules
from harness.store.temporary import owned_temporaries
from harness.values.case import Case
from harness.values.errors import CaseError, UsageError

__all__ = [
    "CONFIGS",
    "RUNNER_FIELDS",
    "find_case",
    "flatten",
    "is_own",
    "list_cases",
    "load_case",
    "load_config",
    "load_configured_case",
    "parse_options",
    "require_distinct",
    "small_cases",
]

RUNNER_FIELDS = frozenset(
    {
        *("model", "data_preprocessor", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"),
        *("auto_scale_lr", "default_hooks", "custom_hooks", "load_from", "resume", "env_cfg", "log_processor"),
        *("log_level", "visualizer", "default_scope", "randomness", "compile", "alignment", "custom_imports"),
        *("find_unused_parameters", "model_wrapper_cfg", "work_dir"),
    }
)
"""What a config may tell mmengine's Runner; anything else in it is a variable of its own."""


def list_cases() -> list[Case]:
    """The cases that come with the project, small ones first, by name."""
    small = _cases_along(lambda name: name.endswith("_small"))
    return [*small, *_cases_along(lambda name: not name.endswith("_small"))]


def small_cases() -> list[Case]:
    """What commands without a case run: the small cases that don't ask to be named."""
    return [case for case in _cases_along(lambda name: name.endswith("_small")) if not case.by_name]


def _cases_along(wanted: Callable[[str], bool]) -> list[Case]:
    """Those whose names are wanted, by name: a config is loaded only then."""
    paths = sorted(config_files(), key=lambda path: path.stem)
    return [find_case(str(path)) for path in paths if wanted(path.stem)]


def is_own(case: Case) -> bool:
    """Whether a case is a user's: its config lies elsewhere than the project's."""
    return not case.config.is_relative_to(CONFIGS)


def find_case(name: str, options: Sequence[str] = ()) -> Case:
    """A case by its name, or by the path of any config that mmengine's Runner can run; ``load_case`` says the rest."""
    return load_case(name, options)[0]


def load_case(name: str, options: Sequence[str] = (), *, import_modules: bool = False) -> tuple[Case, Config | None]:
    """A case with its config, of one load: a config is a program, and who needs both needn't run it twice.

    Args:
        name: a name from ``align cases``, a path that ends in ``.py``, or ``path.py:function`` of a file of a user's
            own that declares several.
        options: ``--cfg-options`` to lay over the config; those of ``alignment.*`` change the case.
        import_modules: as ``load_config`` takes it.

    Returns:
        The case, and its config with the options in it; no config of a case that is a loop of the user's.

    Raises:
        CaseError: there is no such config, it can't be loaded, or its alignment block is out of range.
        UsageError: an option can't be parsed.
    """
    name, function = split_address(name)
    path = _path_of(name)
    if (own := find_own_case(path, function)) is not None:
        _require_no_options(options, name)
        return own, None
    config = load_config(path, options, import_modules=import_modules)
    block = _mapping(config, "alignment", path)
    known = {field.name for field in fields(Case)} - {"name", "config", "function", "own_start"}
    if unknown := sorted(set(block) - known):
        raise CaseError(
            "the alignment block has an unknown field",
            where=f"{path}: alignment",
            observed=", ".join(unknown),
            allowed=", ".join(sorted(known)),
        )
    if isinstance(block.get("tiers"), list):
        block["tiers"] = tuple(block["tiers"])
    seed = _mapping(config, "randomness", path).get("seed")
    if seed is not None:
        block["seed"] = seed
    try:
        return Case(name=path.stem, config=path, **block), config
    except TypeError as failure:
        raise CaseError(
            "the alignment block has a field of another type", where=f"{path}: alignment", observed=str(failure)
        ) from None


def load_configured_case(
    name: str, options: Sequence[str] = (), *, import_modules: bool = False
) -> tuple[Case, Config]:
    """``load_case`` of a case that has a config.

    Raises:
        CaseError: it is a loop of the user's, or as ``load_case`` says.
    """
    case, config = load_case(name, options, import_modules=import_modules)
    if config is None:
        raise CaseError(
            "the config is no case", where=case.config, observed="a loop of your own", allowed="a Runner's config"
        )
    return case, config


def require_distinct(names: Sequence[str]) -> None:
    """Results and baselines lie under their cases' names: a second of one name would write over the first.

    Raises:
        UsageError: two cases have one name.
    """
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(
                "two of what is asked for are of one case, and would write over each other",
                observed=name,
                allowed="each case once in a command",
                hint="run the second by a command of its own, with another --out or --baseline-dir",
            )


def load_config(path: Path, options: Sequence[str] = (), *, import_modules: bool = False) -> Config:
    """A config with options laid over it.

    Args:
        path: the config file.
        options: ``--cfg-options``, as the command line spells them.
        import_modules: whether to import the modules that the config registers its parts in; only who builds the
            config needs them.

    Raises:
        CaseError: the config can't be loaded, or lacks what the Runner needs.
        UsageError: an option can't be parsed, or names a field that no Runner has.
    """
    find_packages_by_metadata()
    if import_modules:
        open_user_modules(path)  # a lazy config's own imports
    try:
        with owned_temporaries("align-config-"):  # mmengine runs a copy of the config
            config = Config.fromfile(path, import_custom_modules=False, format_python_code=False)
        # mmengine 0.10 hands the flag on to lazy configs alone: the Runner has yapf format any other three times.
        object.__setattr__(config, "_format_python_code", False)
        parsed = parse_options(options)
        _reject_unknown_options(options, config)
        config.merge_from_dict(parsed)
        if import_modules and (custom := config.get("custom_imports")):
            imports = custom.get("imports", ())
            open_user_modules(path, [imports] if isinstance(imports, str) else imports)
            import_modules_from_strings(**custom)
    except (UsageError, CaseError):
        raise
    except Exception as failure:  # noqa: BLE001  # a config is a program: anything can come out of it
        raise CaseError(
            "the config can't be loaded", where=path, observed=f"{type(failure).__name__}: {failure}"
        ) from None
    for name in ("model", "train_dataloader", "optim_wrapper"):
        if config.get(name) is None:
            raise CaseError("the config is no case", where=path, observed=f"no {name}", allowed="a Runner's config")
    return config


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words, values as mmengine's DictAction reads them: numbers, booleans, lists, tuples, text.

    Raises:
        UsageError: a word has no ``=``.
    """
    parsed = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise UsageError(
                "a config option is no assignment", where="--cfg-options", observed=option, allowed="key=value"
            )
        parsed[key] = DictAction._parse_iterable(value)
    return parsed


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """A resolved config as dotted names and the text of their values."""
    if isinstance(value, Mapping) and value:
        for key in value:
            yield from flatten(value[key], f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for number, item in enumerate(value):
            yield from flatten(item, f"{prefix}.{number}")
    else:
        yield prefix, repr(list(value) if isinstance(value, tuple) else value)


def _mapping(config: Config, name: str, path: Path) -> dict[str, Any]:
    value = config.get(name) or {}
    if not isinstance(value, Mapping):
        raise CaseError("a field of the config is no mapping", where=f"{path}: {name}", observed=repr(value))
    return dict(value)


def _path_of(name: str) -> Path:
    if name.endswith(".py"):
        path = Path(name).resolve()
        if not path.is_file():
            raise CaseError("there is no such config", where=name, hint="align cases")
        return path
    found = sorted(CONFIGS.rglob(f"{name}.py")) if name.replace("-", "").replace("_", "").isalnum() else []
    if not found:
        known = sorted(path.stem for path in config_files())
        near = get_close_matches(name, known, n=3, cutoff=0.7)
        raise CaseError(
            f"there is no case {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""),
            allowed=f"{len(known)} cases, or the path of a config",
            hint="align cases --names",
        )
    return found[0]


def _require_no_options(options: Sequence[str], name: str) -> None:
    if options:
        raise UsageError(
            "a case of your own loop has no config to lay options over",
            where="--cfg-options",
            observed=" ".join(options),
            hint=f"change {name}, or read os.environ in it",
        )


def _reject_unknown_options(options: Sequence[str], config: Config) -> None:
    """A misspelt option would change nothing and say nothing."""
    for option in options:
        head = option.partition("=")[0].partition(".")[0]
        if head not in config and head not in RUNNER_FIELDS:
            raise UsageError(
                "a config option names a field that the config and the Runner don't have",
                where="--cfg-options",
                observed=option,
                allowed=", ".join(sorted({*config.keys()} & RUNNER_FIELDS)),
            )

"""What to do where a package of Python's is missing, or lacks a library of the system's."""

from __future__ import annotations

from harness.values.errors import RunError

__all__ = ["MODELS_EXTRA", "missing_library"]

MODELS_EXTRA = "pip install 'alignment-harness[models]'"
"""The command that installs what a case needs to run; it works where align is installed, wherever it came from."""

_OF_MODELS = ("cv2", "mmengine", "safetensors", "torch")
"""The packages of the extra [models], as Python imports them."""

_OPENCV = (
    "pip install --no-deps --force-reinstall opencv-python-headless, OpenCV without a screen; or, on Debian, "
    "apt-get install libgl1 libglib2.0-0 libxcb1"
)


def missing_library(failure: ImportError, asked: str = "this") -> RunError | None:
    """The error to tell of an import that failed.

    Who has two logs to compare needs no torch: what runs cases is an extra. Slim containers have none of the libraries
    that draw on a screen, which the OpenCV of some package may be linked with.

    Args:
        failure: as Python raised it.
        asked: what needs the import, as the user calls it, for example ``align verify``.

    Returns:
        None where neither a package of the extra nor a library of the system is what is missing.
    """
    if isinstance(failure, ModuleNotFoundError) and failure.name in _OF_MODELS:
        return RunError(f"{asked} needs {failure.name}, which is not installed", hint=MODELS_EXTRA)
    if failure.name == "mmcv._ext":
        return RunError(
            "a model or package needs mmcv's compiled operations, and mmcv-lite has none",
            where=failure.name,
            observed=str(failure),
            hint="pip uninstall mmcv-lite && pip install mmcv, the full one, built for this PyTorch; docs/install.md",
        )
    if "cannot open shared object file" not in str(failure):
        return None
    return RunError(
        f"{failure.name or 'a package'} can't be imported: this machine lacks a library that it needs",
        where=failure.path,
        observed=str(failure),
        hint=_OPENCV if failure.name == "cv2" else None,
    )

"""What to do where a package of Python's lacks a library of the system's."""

from __future__ import annotations

from harness.values.errors import RunError

__all__ = ["missing_library"]

_OPENCV = (
    "pip install --no-deps --force-reinstall opencv-python-headless, OpenCV without a screen; or, on Debian, "
    "apt-get install libgl1 libglib2.0-0 libxcb1"
)


def missing_library(failure: ImportError) -> RunError | None:
    """The error to tell of an import that failed.

    Slim containers have none of the libraries that draw on a screen, which OpenCV is linked with, and mmengine and
    mmcv import OpenCV.

    Args:
        failure: as Python raised it.

    Returns:
        None where a library of the system isn't what is missing.
    """
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

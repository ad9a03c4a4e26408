"""The devices that ``--device`` may name, checked before anything is measured."""

from __future__ import annotations

import importlib.util

from probes.errors import ModelError, OptionError

SPREAD = "auto"
"""The value of --device that spreads a model over all GPUs."""


def require_device(name: str, *, is_here: bool = True) -> None:
    """Refuse a device that does not exist. Imports torch only to look for GPUs.

    Args:
        name: As ``--device`` gives it.
        is_here: Whether this machine measures; if not, only the name is checked.

    Raises:
        OptionError: It is no such name, or this machine has no such GPU.
        ModelError: Models cannot be spread, because a package is missing.
    """
    kind, colon, index = name.partition(":")
    is_gpu = kind == "cuda" and (index.isdecimal() or not colon)
    if name not in ("cpu", SPREAD) and not is_gpu:
        raise OptionError(
            f"--device is {name!r}. Expected cpu, cuda, cuda:1 (the second GPU) or "
            f"{SPREAD}. Pass one of these, or leave it out for the CPU."
        )
    if name == SPREAD and is_here:
        require_accelerate()
    if is_gpu and is_here:
        _require_gpu(name, int(index or 0))


def require_accelerate() -> None:
    """Refuse to spread a model over GPUs without the package that does it.

    Raises:
        ModelError: accelerate is not installed.
    """
    if importlib.util.find_spec("accelerate") is None:
        raise ModelError(
            f"--device {SPREAD} was asked for, and accelerate is not installed. "
            f"Expected the extra large. Install it: pip install "
            f"'icl-gd-probes[large]'."
        )


def _require_gpu(name: str, index: int) -> None:
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= n_gpus:
        found = f"torch finds {n_gpus} CUDA {'GPU' if n_gpus == 1 else 'GPUs'} here"
        if torch.version.cuda is None:
            found = "this installation of torch is built without CUDA"
        last = f"cuda:0 to cuda:{n_gpus - 1}" if n_gpus else "a GPU with its driver"
        raise OptionError(
            f"--device is {name!r}, and {found}. Expected {last}, or cpu. Pass "
            f"--device cpu, or install the torch that fits your GPU."
        )

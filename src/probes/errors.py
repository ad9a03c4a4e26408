"""Every error that a caller can cause.

A message has three parts: what was wrong, with values; what was expected; and how to
fix it. Bugs of this project are ``assert``; an unexpected result is a verdict.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


class ProbesError(Exception):
    """Base of every error that this project raises on purpose."""


class UnknownNameError(ProbesError, LookupError):
    """A model, dataset or observation has a name that is not known."""

    @classmethod
    def of(
        cls, what: str, name: str, known: Iterable[str], *, expected: str = ""
    ) -> UnknownNameError:
        """Build the error, with the nearest known names.

        Args:
            what: Kind of thing, such as "model".
            name: The unknown name.
            known: All known names.
            expected: What the message says was expected; empty lists the known names.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else ""
        listed = f"one of: {', '.join(names)}, or the path of a local folder or file"
        return cls(
            f"No {what} is named {name!r}. Expected {expected or listed}. "
            f"{hint}".rstrip()
        )

    @classmethod
    def of_folder(cls, what: str, path: Path) -> UnknownNameError:
        """Build the error for a folder that does not exist, with similar folders."""
        return cls(
            f"There is no folder {str(path)!r}. Expected the folder of a {what}, a "
            f"registered name, or a Hub id such as org/name. "
            f"{near_folders(path) or 'Check the path.'}"
        )


def near_folders(path: Path) -> str:
    """Write a question that names existing folders with a similar path.

    Returns:
        "Did you mean …?"; empty if there are none.
    """
    missing = path
    while not os.path.isdir(missing.parent):
        missing = missing.parent
    try:
        names = [f.name for f in missing.parent.iterdir()]
    except OSError:  # the folder cannot be read
        return ""
    rest = path.relative_to(missing)
    near = difflib.get_close_matches(missing.name, names, n=3, cutoff=0.5)
    paths = [missing.with_name(name) / rest for name in near]
    folders = [str(folder) for folder in paths if folder.is_dir()]
    return f"Did you mean {' or '.join(folders)}?" if folders else ""


class OptionError(ProbesError, ValueError):
    """An option has a value that the run cannot use."""


class DataError(ProbesError, ValueError):
    """Rows, a template or a verbalizer cannot make the requested prompts."""


class ModelError(ProbesError, ValueError):
    """A model cannot be loaded, or its files contradict each other."""


class NumericsError(ProbesError, ArithmeticError):
    """An answer is not finite, or an update vanishes or diverges."""


class ShapeError(ProbesError, ValueError):
    """Two observations or measurements have different shapes."""


class StoreError(ProbesError, OSError):
    """A file of the store or of a report cannot be read or written."""


class EngineError(ProbesError, RuntimeError):
    """An engine cannot start, or cannot measure an observation."""


class TimeLimitError(ProbesError, TimeoutError):
    """An observation took longer than ``--time-limit`` allows."""


class ClaimError(ProbesError, TypeError):
    """A claim cannot be judged as it is written."""

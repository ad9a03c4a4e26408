"""Every error that a caller can cause, each in three parts.

A message says what was wrong (with values), what was expected, and how to mend it.
Bugs of our own are ``assert``; science that came out otherwise is a verdict.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


class ProbesError(Exception):
    """Base of every error that this project raises on purpose."""


class UnknownNameError(ProbesError, LookupError):
    """A model, dataset or claim was named that nobody registered."""

    @classmethod
    def of(
        cls, what: str, name: str, known: Iterable[str], *, expected: str = ""
    ) -> UnknownNameError:
        """Build the error that suggests the nearest known names.

        Args:
            what: What was named.
            name: As it was spelt.
            known: The names there are.
            expected: What could have been given; empty lists the known names.
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
        """Build the error for a path where no folder is; it suggests near ones."""
        return cls(
            f"No folder is at {str(path)!r}. Expected the folder of a {what}, a "
            f"registered name, or a Hub id such as org/name. "
            f"{near_folders(path) or 'Check the path.'}"
        )


def near_folders(path: Path) -> str:
    """Ask whether folders that are there and have a like name were meant."""
    missing = path
    while not os.path.isdir(missing.parent):
        missing = missing.parent
    try:
        there = [f.name for f in missing.parent.iterdir()]
    except OSError:  # a folder that may not be read has nothing to suggest
        return ""
    rest = path.relative_to(missing)
    near = difflib.get_close_matches(missing.name, there, n=3, cutoff=0.5)
    meant = [missing.with_name(name) / rest for name in near]
    found = [str(folder) for folder in meant if folder.is_dir()]
    return f"Did you mean {' or '.join(found)}?" if found else ""


class OptionError(ProbesError, ValueError):
    """An option has a value that the run cannot use."""


class DataError(ProbesError, ValueError):
    """Rows, a template or a verbalizer cannot make the prompts that were asked for."""


class ModelError(ProbesError, ValueError):
    """A model cannot be loaded, or is not what its folder says."""


class NumericsError(ProbesError, ArithmeticError):
    """An answer is not finite, or an update vanishes or diverges."""


class ShapeError(ProbesError, ValueError):
    """Two observations or measurements do not speak of the same cells."""


class StoreError(ProbesError, OSError):
    """The store cannot be written or read."""


class EngineError(ProbesError, RuntimeError):
    """An engine cannot be started, or lost an observation for good."""


class TimeLimitError(ProbesError, TimeoutError):
    """An observation took longer than it may."""


class ClaimError(ProbesError, TypeError):
    """A claim is written in a way that cannot be judged."""

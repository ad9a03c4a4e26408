"""Read the options ``--engine`` and ``--shard``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.errors import OptionError

MOST_WORKERS = 1024  # more on one machine is a slip of the keyboard


@dataclass(frozen=True, kw_only=True)
class EngineChoice:
    """What ``--engine`` asks for.

    Attributes:
        name: "local" or "ray".
        n_workers: Processes of a local pool; None: as many as ``-n auto`` would use.
        address: Address of a Ray cluster; None: the cluster of this machine.
    """

    name: Literal["local", "ray"]
    n_workers: int | None = None
    address: str | None = None


def parse_engine(text: str) -> EngineChoice:
    """Read ``local``, ``local:4``, ``ray`` or ``ray:ADDRESS``.

    Raises:
        OptionError: The text names no engine.
    """
    name, colon, rest = text.partition(":")
    if name == "ray" and bool(colon) == bool(rest):
        return EngineChoice(name="ray", address=rest or None)
    if name == "local" and not colon:
        return EngineChoice(name="local")
    if name == "local" and 1 <= _number(rest) <= MOST_WORKERS:
        return EngineChoice(name="local", n_workers=int(rest))
    raise OptionError(
        f"--engine is {text!r}. Expected local, local:N with N workers from 1 to "
        f"{MOST_WORKERS}, ray, or ray:ADDRESS. Pass one of these."
    )


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``i/n``: part i of n, counted from 1.

    Raises:
        OptionError: The text names no part.
    """
    number, _, total = text.partition("/")
    if not 1 <= _number(number) <= _number(total):
        raise OptionError(
            f"--shard is {text!r}. Expected i/n, part i of n, from 1/n to n/n. Pass "
            f"--shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT in a job array "
            f"numbered from 1."
        )
    return int(number), int(total)


def _number(text: str) -> int:
    """Read a whole number of at most eight digits; -1 for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return int(text) if is_number else -1

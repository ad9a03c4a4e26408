"""Options that are lists of numbers: ``--rates`` and ``--passes``."""

from __future__ import annotations

import math

from probes.errors import OptionError
from probes.run.named_cards import entries_of


def parse_rates(text: str | None) -> tuple[float, ...]:
    """Read ``--rates``: finite numbers greater than 0, which come out ascending.

    Args:
        text: Numbers separated by commas; None for none.

    Raises:
        OptionError: A part of the text is no such number.
    """
    if text is None:
        return ()
    rates = set()
    for part in entries_of(text, "--rates"):
        try:
            rate = float(part)
        except ValueError:
            rate = math.nan
        if not 0 < rate < math.inf:
            raise OptionError(
                f"--rates has {part!r}. Expected learning rates greater than 0, "
                f"separated by commas. Pass for instance --rates 1e-4,1e-3."
            )
        rates.add(rate)
    return tuple(sorted(rates))


def parse_passes(text: str | None) -> tuple[int, ...]:
    """Read ``--passes``: whole numbers of at least 1, which come out ascending.

    Args:
        text: Numbers separated by commas; None for none.

    Raises:
        OptionError: A part of the text is no such number.
    """
    if text is None:
        return ()
    numbers = set()
    for part in entries_of(text, "--passes"):
        if not part.isdecimal() or len(part) > 9 or int(part) < 1:
            raise OptionError(
                f"--passes has {part!r}. Expected numbers of passes of at least 1, "
                f"separated by commas. Pass for instance --passes 20,40,60."
            )
        numbers.add(int(part))
    return tuple(sorted(numbers))

"""What an act did to a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Strike:
    """What an act did.

    Attributes:
        n: Faults injected.
        how: In words, for the table.
        whole: Keys that were stored and whole when it struck last.
        in_flight: The most observations that may be measured again for it.
        broken: What the run that was struck did wrong; empty if nothing.
    """

    n: int
    how: str
    whole: set[str] = field(default_factory=set)
    in_flight: int = 0
    broken: list[str] = field(default_factory=list)

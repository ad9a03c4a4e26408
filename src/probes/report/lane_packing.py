"""Pack the marks of a lane into rows, so that their dots and whiskers stay apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

APART = 3
"""Pixels between the whiskers of one row."""
STEP = 7
"""Pixels between the middles of two dots."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The pixels that a mark takes on its row: its dot and the ends of its whisker."""

    x: float
    low: float
    high: float

    @property
    def is_wide(self) -> bool:
        """Whether its whisker is seen beside its dot."""
        return self.high - self.low > STEP


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where the dot of a mark is drawn.

    Attributes:
        x: Its place.
        row: Its row, 0 at the bottom.
        is_crowded: Whether all rows were taken, so that its whisker crosses others.
    """

    x: float
    row: int
    is_crowded: bool


def pack_rows(extents: Sequence[Extent], *, most: int, right_end: float) -> list[Spot]:
    """Give each mark the lowest row on which nothing crosses it.

    Rows are closer than dots, so dots of neighbouring rows are not above each other.

    Args:
        extents: The marks.
        most: The number of rows.
        right_end: The last pixel of the axis.

    Returns:
        The spot of each mark. Where all rows are taken, a dot goes to the nearest free
        spot beside its place, and its whisker takes no room.
    """
    dots: dict[int, list[float]] = {}
    whiskers: dict[int, list[tuple[float, float]]] = {}
    spots: dict[int, Spot] = {}
    for i in sorted(range(len(extents)), key=lambda i: _order(extents[i])):
        one = extents[i]
        free = (row for row in range(most) if _is_free(row, one, dots, whiskers))
        x, row = one.x, next(free, None)
        is_crowded = row is None
        if row is None:
            x, row = _beside(x, dots, whiskers, most, right_end=right_end)
        else:
            whiskers.setdefault(row, []).append((one.low, one.high))
        dots.setdefault(row, []).append(x)
        spots[i] = Spot(x=x, row=row, is_crowded=is_crowded)
    return [spots[i] for i in range(len(extents))]


def share_rows(wanted: Sequence[int], most: int, fewest: int) -> list[int]:
    """Share the rows of a drawing: the first lanes get all that they want.

    Args:
        wanted: The rows that each lane would take.
        most: The rows of all lanes.
        fewest: What each lane gets if it wants it, however many lanes there are.
    """
    left, shares = most, []
    for i, rows in enumerate(wanted):
        kept = sum(min(later, fewest) for later in wanted[i + 1 :])
        shares.append(min(rows, max(left - kept, fewest)))
        left -= shares[-1]
    return shares


def rows_of_whiskers(extents: Sequence[Extent], *, right_end: float) -> int:
    """Count the rows in which no whisker crosses another; other dots go beside them."""
    wide = [one for one in extents if one.is_wide]
    spots = pack_rows(wide, most=2 * len(wide), right_end=right_end)
    return 1 + max((spot.row for spot in spots), default=0)


def _order(one: Extent) -> tuple[bool, float, float]:
    """Put whiskers first, from the left: a row is taken again as soon as it is free."""
    return not one.is_wide, one.low, one.x


def _is_free(
    row: int,
    one: Extent,
    dots: Mapping[int, Sequence[float]],
    whiskers: Mapping[int, Sequence[tuple[float, float]]],
) -> bool:
    low, high = min(one.low, one.x) - APART, max(one.high, one.x) + APART
    return all(low > b or high < a for a, b in whiskers.get(row, ())) and _has_room(
        row, one.x, dots
    )


def _has_room(row: int, x: float, dots: Mapping[int, Sequence[float]]) -> bool:
    """Say whether a dot touches none of its own row and of the two beside it."""
    near = [other for n in (row - 1, row, row + 1) for other in dots.get(n, ())]
    return all(abs(x - other) >= STEP for other in near)


def _crossed(whiskers: Iterable[tuple[float, float]], x: float) -> int:
    """Count the whiskers of a row that would cross a dot."""
    return sum(low <= x <= high for low, high in whiskers)


def _beside(
    x: float,
    dots: Mapping[int, Sequence[float]],
    whiskers: Mapping[int, Sequence[tuple[float, float]]],
    most: int,
    *,
    right_end: float,
) -> tuple[float, int]:
    """Find the nearest free spot of a dot; at the right end, to the left."""
    side = -1 if x > right_end - STEP else 1
    rows = sorted(range(most), key=lambda row: _crossed(whiskers.get(row, ()), x))
    for step in count():
        at = round(x + side * STEP * step, 1)
        for row in rows:
            if _has_room(row, at, dots):
                return at, row
    raise AssertionError("count never ends")

"""Which of its demonstrations a learner sees: all, one alone, or all but one.

A view of single demonstrations makes several sets of each set: one for every
demonstration, in the order in which demonstrations were drawn. So a learner answers all
of them in the passes of one request.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Shown = Literal["all", "each_alone", "all_but_one", "one_relabelled", "none"]
"""The demonstrations of a set that a learner sees.

- "all": every one.
- "each_alone": one; as many sets as demonstrations, set by set.
- "all_but_one": the others, in their order; as many sets as demonstrations.
- "one_relabelled": every one, but one has the next label in the place of its own; on
  regression, the opposite answer. As many sets as demonstrations.
- "none": no demonstration, only the queries.
"""

Places = NDArray[Any]


def sets_of_each(shown: Shown, n_demonstrations: int) -> int:
    """Count the sets that a view makes of each set."""
    return 1 if shown in ("all", "none") else n_demonstrations


def number_shown(shown: Shown, n_demonstrations: int) -> int:
    """Count the demonstrations that a learner sees at a time."""
    numbers = {"each_alone": 1, "all_but_one": n_demonstrations - 1, "none": 0}
    return numbers.get(shown, n_demonstrations)


def places_shown(orders: Places, shown: Shown) -> Places:
    """List the demonstrations of every set that a view makes.

    Args:
        orders: Each set's demonstrations in the order of the prompt, as their places in
            the draw; shape (n_sets, n_demonstrations).
        shown: The view.

    Returns:
        Places in the draw, in the order of the prompt; shape (n_sets, number of sets
        that are made of each, number of demonstrations that are shown).
    """
    n_sets, n = orders.shape
    if shown == "all":
        return orders[:, None]
    if shown == "none":
        return orders[:, None, :0]
    alone = np.broadcast_to(np.arange(n)[:, None], (n_sets, n, 1))
    if shown == "each_alone":
        return alone
    others = np.broadcast_to(orders[:, None], (n_sets, n, n))
    if shown == "one_relabelled":
        return others
    return np.asarray(others[others != alone].reshape(n_sets, n, n - 1))


def is_relabelled(places: Places, shown: Shown) -> NDArray[np.bool_]:
    """Say which of the places shown have another label.

    Args:
        places: As ``places_shown`` lists them.
        shown: The view.

    Returns:
        For each set that is made and each demonstration in it; shape (n_sets times the
        number that are made of each, number that are shown).
    """
    own = places == np.arange(places.shape[1])[:, None]
    changed = own if shown == "one_relabelled" else np.zeros(places.shape, dtype=bool)
    return changed.reshape(places.shape[0] * places.shape[1], places.shape[2])

"""Batches that run out of a GPU's memory are run in halves, down to one item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from probes.errors import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_halves(
    items: Sequence[Item], run: Callable[[Sequence[Item]], Result], *, what: str
) -> Iterator[tuple[Sequence[Item], Result]]:
    """Run a batch; where memory runs out, run its halves instead.

    Args:
        items: The batch, not empty.
        run: Runs some of it, and may be called again with fewer.
        what: One item, for the message.

    Yields:
        Parts of the batch in order, with what they came to.

    Raises:
        ModelError: Memory runs out with a single item.
    """
    try:
        found = run(items)
    except torch.OutOfMemoryError as error:
        if len(items) == 1:
            raise memory_error(what, error) from error
    else:
        yield items, found
        return
    torch.cuda.empty_cache()  # does nothing where no GPU was used
    middle = len(items) // 2
    for half in (items[:middle], items[middle:]):
        yield from in_halves(half, run, what=what)


def memory_error(what: str, error: torch.OutOfMemoryError) -> ModelError:
    """Say that memory runs out with a single item."""
    return ModelError(
        f"Memory runs out with {what} alone: {str(error)[:200]} Expected room for one. "
        f"Pass a narrower --dtype, fewer --demos, or another --device."
    )

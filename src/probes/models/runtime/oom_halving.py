"""Out-of-memory backoff: a batch that does not fit on a GPU is run in halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from probes.errors import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")


def with_oom_backoff(
    items: Sequence[Item], run: Callable[[Sequence[Item]], Result], *, what: str
) -> Iterator[tuple[Sequence[Item], Result]]:
    """Run a batch, and if memory runs out, run its halves, down to single items.

    Args:
        items: The batch, not empty.
        run: Runs a part of the batch. It may be called again with fewer items.
        what: Names one item in the error message.

    Yields:
        Parts of the batch in order, each with its result.

    Raises:
        ModelError: Memory runs out with a single item.
    """
    try:
        result = run(items)
    except torch.OutOfMemoryError as error:
        if len(items) == 1:
            raise out_of_memory_error(what, error) from error
    else:
        yield items, result
        return
    torch.cuda.empty_cache()  # does nothing if no GPU was used
    middle = len(items) // 2
    for half in (items[:middle], items[middle:]):
        yield from with_oom_backoff(half, run, what=what)


def out_of_memory_error(what: str, error: torch.OutOfMemoryError) -> ModelError:
    """Build the error for a single item that does not fit in memory."""
    return ModelError(
        f"Memory runs out with {what} alone: {str(error)[:200]} Expected enough memory "
        f"for one. Pass a narrower --dtype, fewer --demos, or another --device."
    )

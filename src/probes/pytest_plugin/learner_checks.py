"""Checks of what a recipe returns, which is anyone's code, before a request is made."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

from probes.bounded_io import brief
from probes.errors import ClaimError
from probes.hashing import canonical


def require_learner(value: Any) -> None:
    """Refuse what cannot answer, or what no content key can be made of.

    Raises:
        ClaimError: It is no learner, or its fields are not plain frozen values.
    """
    if not (hasattr(value, "observe") and hasattr(value, "needs_model")):
        raise ClaimError(
            f"An observation was asked of {brief(value)}, which is no learner. "
            f"Expected an object with observe and needs_model, a Request, or a list "
            f"or dict of these. Return one from the function under @observation."
        )
    try:
        _try_key(value)
    except TypeError as error:
        name = type(value).__name__
        what = str(error) if is_dataclass(value) else "it is no dataclass"
        raise ClaimError(
            f"No key of the store can be made of the learner {name}: {what}. "
            f"Expected a frozen dataclass whose fields are numbers, texts, tuples or "
            f"such dataclasses. Write its settings so."
        ) from error


@lru_cache(maxsize=4096)
def _try_key(value: Any) -> None:
    """Hash a learner in both ways, once for equal ones: a plan has thousands."""
    canonical(value)

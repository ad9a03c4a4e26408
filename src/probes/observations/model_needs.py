"""What learners need of a model's architecture, found before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from probes.models.capabilities import why_card_cannot
from probes.observations.request import Request


def why_unanswerable(request: Request) -> str:
    """Say why a request's model cannot answer it; nothing if it can.

    A learner names what it needs in ``model_needs`` (see ``models.capabilities``).
    Learners in its fields have needs of their own.
    """
    reasons = (why_card_cannot(request.model, n) for n in _needs_of(request.learner))
    return next(filter(None, reasons), "")


def _needs_of(learner: Any) -> Iterator[str]:
    yield from getattr(learner, "model_needs", ())
    for value in vars(learner).values():
        if hasattr(value, "observe"):
            yield from _needs_of(value)

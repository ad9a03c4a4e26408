"""Requests that repeat one another's work, and are answered together.

Gradient descent at its best at the task and gradient descent nearest to ICL are often
the same training, read after different numbers of passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from probes.errors import ProbesError
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext, Request

Answer = Observation | ProbesError
"""An observation, or why it cannot be made."""


@runtime_checkable
class SharesWork(Protocol):
    """A learner that can answer several requests with the work of one."""

    def work(self, request: Request) -> Request | None:
        """Name the work of a request; requests with the same work share it.

        Args:
            request: A request of this learner.

        Returns:
            A request that stands for the work; None if the request shares none.
        """

    def observe_together(self, contexts: Sequence[LearnerContext]) -> list[Answer]:
        """Answer requests that share their work.

        Args:
            contexts: Of this learner and of others.

        Returns:
            One for each context. An error concerns its request alone.
        """


def work_of(request: Request) -> Request | None:
    """Name the work that a request may share; None if it shares none."""
    learner = request.learner
    return learner.work(request) if isinstance(learner, SharesWork) else None

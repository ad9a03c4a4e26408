"""How much text a learner makes a model read and learn from, counted before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class PromptSizes:
    """The sizes of a text request.

    Attributes:
        n_sets: Demonstration sets.
        n_queries: Queries of each set.
        n_calibration: Calibration queries of each set.
        n_demonstrations: Demonstrations in each set.
        demonstration_tokens: Mean tokens of a set's demonstrations together.
        query_tokens: Mean tokens of one query.
    """

    n_sets: int
    n_queries: int
    n_calibration: int
    n_demonstrations: int
    demonstration_tokens: float
    query_tokens: float

    @property
    def all_queries(self) -> float:
        """Tokens of every set's queries."""
        return self.n_sets * self.n_queries * self.query_tokens

    @property
    def all_demonstrations(self) -> float:
        """Tokens of every set's demonstrations."""
        return self.n_sets * self.demonstration_tokens


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """The work of a model, in tokens.

    Attributes:
        read: Tokens in forward passes alone.
        learned: Tokens in forward and backward passes.
        steps: Steps that move the weights.
    """

    read: float = 0.0
    learned: float = 0.0
    steps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LearnerCost:
    """What an observation costs.

    Attributes:
        observation: The work of each observation.
        choice: The work of choosing settings, done once for all observations of a
            learner in a cell, whatever their order or draw.
    """

    observation: TokenCount
    choice: TokenCount = TokenCount()


@runtime_checkable
class CountsItsCost(Protocol):
    """A learner that knows its cost. The cost of all other learners is unknown."""

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost | None:
        """Count the tokens that answering a text request takes.

        Args:
            sizes: Of the request.
            facts: Those of the observation once it was made; None counts the most that
                it may take.

        Returns:
            The cost; None if it is unknown.
        """

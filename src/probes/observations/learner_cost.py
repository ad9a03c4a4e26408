"""How much text a learner makes a model read and learn from, counted before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from probes.observations.request import Request


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
        n_layers: Layers of the model; 1 if no file tells.
    """

    n_sets: int
    n_queries: int
    n_calibration: int
    n_demonstrations: int
    demonstration_tokens: float
    query_tokens: float
    n_layers: int = 1

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
    """The work of a model, in tokens. Half the layers make half a token of it.

    Attributes:
        read: Tokens in forward passes alone.
        learned: Tokens in forward and backward passes.
        steps: Steps that move the weights.
        answered: Next tokens predicted, for which the output embeddings are read.
    """

    read: float = 0.0
    learned: float = 0.0
    steps: float = 0.0
    answered: float = 0.0

    def plus(self, other: TokenCount) -> TokenCount:
        """Add other work."""
        return TokenCount(
            read=self.read + other.read,
            learned=self.learned + other.learned,
            steps=self.steps + other.steps,
            answered=self.answered + other.answered,
        )


@dataclass(frozen=True, kw_only=True)
class LearnerCost:
    """What an observation costs.

    Attributes:
        observation: The work of the observation itself, as far as can be foreseen.
        limit: The most work that it may be; None if it is as foreseen.
    """

    observation: TokenCount
    limit: TokenCount | None = None


@runtime_checkable
class CountsItsCost(Protocol):
    """A learner that knows its cost. The cost of all other learners is unknown."""

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost | None:
        """Count the tokens that answering a text request takes.

        Args:
            sizes: Of the request.
            facts: Those of the observation once it was made; None estimates them.

        Returns:
            The cost, without that of other observations; None if it is unknown.
        """


@runtime_checkable
class NeedsOthers(Protocol):
    """A learner that asks for other observations before it answers."""

    def needed(self, request: Request) -> Iterable[Request]:
        """List the requests that it makes when it answers a request."""

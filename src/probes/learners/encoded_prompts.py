"""The prompts of a cell in tokens, alone and in context, and where the parts stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probes.data.text_tasks import TextTask
from probes.data.tokenization import Verbalized, common_prefix, encode_checked


class Texts:
    """The prompts of a task in tokens.

    Args:
        model: The loaded text model.
        task: The texts.
        labels: The labels in tokens.
    """

    def __init__(self, model: Any, task: TextTask, labels: Verbalized) -> None:
        self.model, self.task, self.labels = model, task, labels
        (self.head,) = self.encode([task.description.instruction], "the instruction")

    def encode(self, texts: Sequence[str], where: str) -> list[list[int]]:
        """Tokenise texts that an answer follows.

        Raises:
            DataError: One is longer than the model's context.
        """
        return encode_checked(
            self.model.tokenizer,
            [(text, where) for text in texts],
            context=self.model.context,
            room=len(self.labels.bridge) + max(map(len, self.labels.answers)),
        )

    def queries(self, index: int) -> list[list[int]]:
        """Write a set's queries with no demonstrations."""
        asked = [self.task.alone(q) for q in self.task.queries[index]]
        return self._bridged(asked, index)

    def queries_in_context(self, index: int) -> list[list[int]]:
        """Write a set's queries after its demonstrations."""
        shown = self.task.demonstrations[index]
        asked = [self.task.in_context(shown, q) for q in self.task.queries[index]]
        return self._bridged(asked, index)

    def _bridged(self, texts: list[str], index: int) -> list[list[int]]:
        encoded = self.encode(texts, f"the queries of set {index}")
        return [[*tokens, *self.labels.bridge] for tokens in encoded]

    def lessons(self, index: int) -> list[list[int]]:
        """Write a set's demonstrations with their answers, each alone."""
        shown = self.task.demonstrations[index]
        asks = self.encode([self.task.alone(e) for e in shown], f"set {index}")
        answers = [[*self.labels.bridge, *self.labels.answers[e.label]] for e in shown]
        return [[*a, *b] for a, b in zip(asks, answers, strict=True)]

    def spans(self, index: int) -> list[tuple[int, int]]:
        """Find where the demonstrations stand in the set's prompts in context."""
        shown = self.task.demonstrations[index]
        described = self.task.description
        whole = described.instruction
        ends: list[str] = []
        for place, example in enumerate(shown):
            whole += described.separator if place else ""
            ends += [whole, whole := whole + example.ask + example.answer]
        first = self.queries_in_context(index)[0]
        encoded = self.encode(ends, f"the demonstrations of set {index}")
        cuts = [common_prefix([first, tokens]) for tokens in encoded]
        return list(zip(cuts[::2], cuts[1::2], strict=True))

    def side_by_side(
        self, index: int
    ) -> tuple[list[int], list[list[int]], list[list[int]]]:
        """Cut a set's demonstrations and queries out of prompts of one demonstration.

        Returns:
            Tokens of what stands before all; of each demonstration, which ends with the
            separator; and of each query, cut from its prompt after the demonstration
            that is first in every order.
        """
        shown, asked = self.task.demonstrations[index], self.task.queries[index]
        start, end = self.task.description.instruction, self.task.description.separator
        told = [start + e.ask + e.answer + end for e in shown]
        pairs = self._bridged([text + asked[0].ask for text in told], index)
        alone = self.encode(told, f"the demonstrations of set {index}")
        cuts = [common_prefix(both) for both in zip(alone, pairs, strict=True)]
        begin = common_prefix([*pairs, self.head])
        first = min(range(len(shown)), key=lambda i: shown[i].where)
        prompts = self._bridged([told[first] + q.ask for q in asked], index)
        return (
            pairs[0][:begin],
            [pair[begin:cut] for pair, cut in zip(pairs, cuts, strict=True)],
            [prompt[cuts[first] :] for prompt in prompts],
        )

    def query_length(self, alone: Sequence[int], prompt: Sequence[int]) -> int:
        """Count a query's own tokens: those that end its prompt, alone and here."""
        own = len(alone) - common_prefix([alone, self.head])
        return min(own, common_prefix([alone[::-1], prompt[::-1]]))

"""The prompts of a task as token ids, and where their parts begin and end.

A prompt ends where the answer begins. This is the only place where prompts become
tokens; ``tokenization`` splits labels and checks lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from probes.data.answer_ends import line_ends
from probes.data.text_tasks import Example, TextTask
from probes.data.tokenization import (
    Tokenizer,
    Verbalized,
    common_prefix,
    encode_checked,
    require_fitting,
    verbalize,
)

Tokens = list[int]


class TextModel(Protocol):
    """The two properties of a text model on which its prompts depend."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer with which the model was trained."""

    @property
    def context(self) -> int:
        """The longest input, in tokens."""


@dataclass(frozen=True, kw_only=True)
class EncodedPrompts:
    """The prompts of a text task in tokens.

    Attributes:
        tokenizer: The model's.
        context: The model's longest input, in tokens.
        task: The texts.
        labels: The task's labels in tokens.
        reserved: Tokens that must still fit after every prompt.
    """

    tokenizer: Tokenizer
    context: int
    task: TextTask
    labels: Verbalized
    reserved: int = 0

    @classmethod
    def of(
        cls, model: TextModel, task: TextTask, labels: Verbalized | None = None
    ) -> EncodedPrompts:
        """Encode a task for a model.

        Args:
            model: Whose tokenizer and context.
            task: The texts.
            labels: The labels in tokens; None verbalizes them.

        Raises:
            DataError: The tokenizer merges an answer with its prompt.
        """
        return cls(
            tokenizer=model.tokenizer,
            context=model.context,
            task=task,
            labels=labels or verbalize(model.tokenizer, task),
        )

    def with_room_for_answers(self) -> EncodedPrompts:
        """Require that the longest answer still fits after every prompt."""
        return replace(self, reserved=max(map(len, self.labels.targets)))

    def alone(self, queries: Sequence[Example]) -> list[Tokens]:
        """Encode queries without demonstrations.

        Raises:
            DataError: A prompt is longer than the model's context.
        """
        return self._bridged([(self.task.alone(q), q.where) for q in queries])

    def in_context(self, index: int) -> list[Tokens]:
        """Encode a set's queries, each after the set's demonstrations.

        Raises:
            DataError: A prompt is longer than the model's context.
        """
        shown, queries = self.task.demonstrations[index], self.task.queries[index]
        texts = [(self.task.in_context(shown, q), q.where) for q in queries]
        return self._bridged(texts)

    def with_answers(
        self, examples: Sequence[Example]
    ) -> list[tuple[Tokens, tuple[int, ...]]]:
        """Encode examples without demonstrations; pair each with its answer's tokens.

        Raises:
            DataError: A prompt with its answer is longer than the model's context.
        """
        return self._paired(examples, self.alone(examples), self.labels.answers)

    def with_targets(
        self, examples: Sequence[Example]
    ) -> list[tuple[Tokens, tuple[int, ...]]]:
        """Do the same, with the token that ends a whole answer: what is learned.

        Raises:
            DataError: A prompt with its answer is longer than the model's context.
        """
        return self._paired(examples, self.alone(examples), self.labels.targets)

    def with_targets_after_others(
        self, shown: Sequence[Example]
    ) -> list[tuple[Tokens, tuple[int, ...]]]:
        """Do the same for a set's demonstrations, each after all the others.

        Raises:
            DataError: A prompt with its answer is longer than the model's context.
        """
        texts = [
            (self.task.in_context([*shown[:i], *shown[i + 1 :]], one), one.where)
            for i, one in enumerate(shown)
        ]
        return self._paired(shown, self._bridged(texts), self.labels.targets)

    def _paired(
        self,
        examples: Sequence[Example],
        prompts: Sequence[Tokens],
        tokens: Sequence[tuple[int, ...]],
    ) -> list[tuple[Tokens, tuple[int, ...]]]:
        pairs = []
        for example, prompt in zip(examples, prompts, strict=True):
            answer = tokens[example.label]
            n_tokens = len(prompt) + len(answer)
            require_fitting(n_tokens, example.where, context=self.context)
            pairs.append((prompt, answer))
        return pairs

    def candidates(self, query: Example, prompt: Sequence[int]) -> list[Tokens]:
        """List the whole answers whose probabilities a query needs.

        Args:
            query: The query.
            prompt: Its prompt, which every answer follows.

        Returns:
            The tokens of the query's right answers on open tasks, else those of every
            label's answer, each with its end.

        Raises:
            DataError: The prompt with an answer is longer than the model's context.
        """
        wanted = query.right if self.task.is_open else range(len(self.task.answers))
        answers = [list(self.labels.targets[index]) for index in wanted]
        n_tokens = len(prompt) + max(map(len, answers))
        require_fitting(n_tokens, query.where, context=self.context)
        return answers

    def unbridged(self, queries: Sequence[Example]) -> list[Tokens]:
        """Encode queries without demonstrations and without the labels' bridge.

        Raises:
            DataError: A prompt is longer than the model's context.
        """
        return encode_checked(
            self.tokenizer,
            [(self.task.alone(q), q.where) for q in queries],
            context=self.context,
            room=self.reserved,
        )

    def demonstration_spans(self, index: int) -> list[tuple[int, int]]:
        """Find where each demonstration begins and ends in a set's prompts."""
        template = self.task.description
        text = template.instruction
        cuts: list[str] = []
        for place, example in enumerate(self.task.demonstrations[index]):
            text += template.separator if place else ""
            cuts += [text, text := text + example.ask + example.answer]
        first = self.in_context(index)[0]
        encoded = self._encode(
            [(c, f"the demonstrations of set {index}") for c in cuts]
        )
        ends = [common_prefix([first, tokens]) for tokens in encoded]
        return list(zip(ends[::2], ends[1::2], strict=True))

    def side_by_side(self, index: int) -> tuple[Tokens, list[Tokens], list[Tokens]]:
        """Cut a set's demonstrations and queries out of prompts of one demonstration.

        Returns:
            Three parts: the tokens that come first in every prompt; the tokens of each
            demonstration, which end with the separator; and the tokens of each query,
            cut from its prompt after the demonstration that is first in every order.
        """
        shown, queries = self.task.demonstrations[index], self.task.queries[index]
        start, end = self.task.description.instruction, self.task.description.separator
        texts = [start + e.ask + e.answer + end for e in shown]
        pairs = self._bridged(
            [(text + queries[0].ask, queries[0].where) for text in texts]
        )
        encoded = self._encode(
            [(text, e.where) for text, e in zip(texts, shown, strict=True)]
        )
        cuts = [common_prefix(both) for both in zip(encoded, pairs, strict=True)]
        begin = common_prefix([*pairs, self.head])
        first = min(range(len(shown)), key=lambda i: shown[i].where)
        prompts = self._bridged([(texts[first] + q.ask, q.where) for q in queries])
        return (
            pairs[0][:begin],
            [pair[begin:cut] for pair, cut in zip(pairs, cuts, strict=True)],
            [prompt[cuts[first] :] for prompt in prompts],
        )

    @cached_property
    def line_ends(self) -> list[int]:
        """Tokens that end an answer wherever they come."""
        return line_ends(self.tokenizer)

    @cached_property
    def head(self) -> Tokens:
        """Tokens of the instruction, with which every prompt begins."""
        text = self.task.description.instruction
        return self._encode([(text, "the instruction")])[0]

    def query_length(self, alone: Sequence[int], prompt: Sequence[int]) -> int:
        """Count the query's own tokens, which end its prompt alone and in context."""
        own = len(alone) - common_prefix([alone, self.head])
        return min(own, common_prefix([alone[::-1], prompt[::-1]]))

    def _bridged(self, prompts: Sequence[tuple[str, str]]) -> list[Tokens]:
        return [[*tokens, *self.labels.bridge] for tokens in self._encode(prompts)]

    def _encode(self, prompts: Sequence[tuple[str, str]]) -> list[Tokens]:
        """Encode texts, each paired with the row that a message names."""
        return encode_checked(
            self.tokenizer,
            list(prompts),
            context=self.context,
            room=len(self.labels.bridge) + self.reserved,
        )

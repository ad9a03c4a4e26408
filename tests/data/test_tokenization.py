"""Answers in tokens: where they begin and end, and when whole ones are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from probes.data.answer_ends import line_ends
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.template import Description
from probes.data.text_tasks import Example, TextTask
from probes.data.tokenization import verbalize
from probes.errors import DataError


class Words:
    """Splits at spaces and new lines, which are parts of the word that they begin.

    Args:
        merge: Changes the list of parts before they are numbered.
    """

    context = 12
    bos_token_id: int | None = None
    eos_token_id = 1

    def __init__(
        self, merge: Callable[[list[str]], list[str]] = lambda parts: parts
    ) -> None:
        self.names, self.merge = (
            ["<s>", "</s>", "Ċ", "ĠĊ", "č", "<0x0A>", "Ġnew"],
            merge,
        )

    @property
    def tokenizer(self) -> Any:
        return self

    def __call__(self, texts: list[str]) -> dict[str, list[list[int]]]:
        return {"input_ids": [[self._id(p) for p in self._parts(t)] for t in texts]}

    def _parts(self, text: str) -> list[str]:
        spaced = text.replace(" ", "\0Ġ").replace("\n", "\0Ċ\0").replace(":", "\0:")
        return self.merge([part for part in spaced.split("\0") if part])

    def _id(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self.names[token] for token in ids]

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, ids: list[int]) -> str:
        text = "".join(self.names[token] for token in ids).replace("<0x0A>", "\n")
        return text.replace("Ġ", " ").replace("Ċ", "\n").replace("č", "\r")


def task(*answers: str, is_open: bool = False) -> TextTask:
    texts = [f" {answer}" for answer in answers]
    examples = tuple(
        Example(ask=f"a{i}:", answer=text, label=i, where=f"rows line {i + 1}")
        for i, text in enumerate(texts)
    )
    kind = "open" if is_open else "labels"
    return TextTask(
        demonstrations=(examples[:1],),
        queries=(examples,),
        answers=tuple(texts),
        description=Description(answers=kind),  # type: ignore[arg-type]
    )


def named(tokenizer: Words, tokens: Any) -> list[str]:
    return tokenizer.convert_ids_to_tokens(list(tokens))


def test_labels_with_different_first_tokens_are_told_by_them() -> None:
    tokenizer = Words()
    labels = verbalize(tokenizer, task("yes please", "no thanks"))
    assert not labels.scores_whole
    assert named(tokenizer, labels.first_tokens) == ["Ġyes", "Ġno"]
    assert labels.targets == labels.answers


@pytest.mark.parametrize(
    "answers", [("not sure", "not so"), ("not", "not sure"), ("a", "b c", "b d")]
)
def test_labels_that_begin_alike_are_scored_whole(answers: tuple[str, ...]) -> None:
    tokenizer = Words()
    labels = verbalize(tokenizer, task(*answers))
    assert labels.scores_whole
    words = [["Ġ" + word for word in answer.split()] for answer in answers]
    assert [named(tokenizer, a) for a in labels.answers] == words
    assert [named(tokenizer, t) for t in labels.targets] == [[*w, "Ċ"] for w in words]


def test_open_answers_are_always_scored_whole() -> None:
    tokenizer = Words()
    labels = verbalize(tokenizer, task("left", "right", is_open=True))
    assert [named(tokenizer, t) for t in labels.targets] == [
        ["Ġleft", "Ċ"],
        ["Ġright", "Ċ"],
    ]


def test_a_blank_token_is_a_bridge_for_labels_and_a_part_of_open_answers() -> None:
    def apart(parts: list[str]) -> list[str]:
        return [p for part in parts for p in part.replace("Ġ", "Ġ\0").split("\0")]

    tokenizer = Words(apart)
    assert named(tokenizer, verbalize(tokenizer, task("a", "b")).bridge) == ["Ġ"]
    opened = verbalize(tokenizer, task("a", "b", is_open=True))
    assert opened.bridge == ()
    assert [named(tokenizer, a) for a in opened.answers] == [["Ġ", "a"], ["Ġ", "b"]]


def test_an_answer_that_merges_with_its_prompt_is_refused_by_its_row() -> None:
    def merged(parts: list[str]) -> list[str]:
        return ["".join(parts)] if parts[-1] == "Ġcats" else parts

    with pytest.raises(DataError, match=r"merges the end .* ' cats' \(rows line 2\)"):
        verbalize(Words(merged), task("dogs", "cats", is_open=True))


def test_an_answer_that_merges_with_what_follows_is_refused_by_its_row() -> None:
    def merged(parts: list[str]) -> list[str]:
        return "\0".join(parts).replace("Ġcats\0Ċ", "ĠcatsĊ").split("\0")

    wording = r"merges the end of the answer ' cats' \(rows line 2\) with what follows"
    with pytest.raises(DataError, match=wording):
        verbalize(Words(merged), task("dogs", "cats", is_open=True))


def test_an_answer_without_a_token_is_refused_by_its_row() -> None:
    def without_cats(parts: list[str]) -> list[str]:
        return [part for part in parts if part != "Ġcats"]

    with pytest.raises(DataError, match=r"no token for .* ' cats' \(rows line 2\)"):
        verbalize(Words(without_cats), task("dogs", "cats", is_open=True))


def test_two_answers_with_the_same_tokens_are_refused() -> None:
    def unknown(parts: list[str]) -> list[str]:
        return ["?" if part.startswith("Ġ") else part for part in parts]

    for is_open in (False, True):
        with pytest.raises(DataError, match="'dogs' and 'cats' have the same tokens"):
            verbalize(Words(unknown), task("dogs", "cats", is_open=is_open))


def test_an_answer_longer_than_the_context_is_refused_by_its_row() -> None:
    given = task("short", " ".join(["long"] * 12), is_open=True)
    prompts = EncodedPrompts.of(Words(), given)
    (short, long), encoded = given.queries[0], prompts.alone(given.queries[0])
    assert len(prompts.candidates(short, encoded[0])) == 1
    wording = r"asks rows line 2 has 15 tokens, and the model reads 12\. Expected"
    with pytest.raises(DataError, match=wording):
        prompts.candidates(long, encoded[1])
    with pytest.raises(DataError, match=wording):
        prompts.with_targets([long])


def test_a_query_needs_its_right_answers_and_labels_need_them_all() -> None:
    closed, opened = task("b c", "b d"), task("b c", "b d", is_open=True)
    for given, n_candidates in ((closed, 2), (opened, 1)):
        prompts = EncodedPrompts.of(Words(), given)
        query = given.queries[0][1]
        found = prompts.candidates(query, [0])
        assert len(found) == n_candidates
        assert tuple(found[-1]) == prompts.labels.targets[1]
    both = replace(opened.queries[0][0], also_right=(1,))
    assert len(EncodedPrompts.of(Words(), opened).candidates(both, [0])) == 2


def test_what_begins_a_line_or_ends_the_text_ends_an_answer() -> None:
    tokenizer = Words()
    found = named(tokenizer, line_ends(tokenizer))
    assert found == ["</s>", "Ċ", "ĠĊ", "č", "<0x0A>"]


def test_a_token_that_the_tokenizer_appends_is_no_part_of_a_prompt() -> None:
    given = task("yes", "no")
    plain = EncodedPrompts.of(Words(), given)
    ended = EncodedPrompts.of(Words(lambda parts: [*parts, "</s>"]), given)
    assert ended.labels == plain.labels
    queries = given.queries[0]
    assert [named(ended.tokenizer, t) for t in ended.alone(queries)] == [
        named(plain.tokenizer, t) for t in plain.alone(queries)
    ]


def test_a_text_that_begins_as_the_tokenizer_begins_every_text_is_refused() -> None:
    tokenizer = Words(lambda parts: ["<s>", *parts])
    tokenizer.bos_token_id = 0
    given = task("yes", "no")
    fine = EncodedPrompts.of(tokenizer, given)
    assert fine.alone(given.queries[0])[0][0] == 0
    described = replace(given.description, instruction="<s> ")
    twice = EncodedPrompts.of(tokenizer, replace(given, description=described))
    wording = "rows line 1 begins twice with the token '<s>'"
    with pytest.raises(DataError, match=wording):
        twice.alone(given.queries[0])

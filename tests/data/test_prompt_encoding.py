"""Prompts in tokens: one encoder cuts nothing off and knows where parts begin."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import probes
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.template import Description
from probes.data.text_tasks import Example, TextTask
from probes.errors import DataError
from probes.source_code import imported_names


class Characters:
    """A model of which each character is a token, and which begins texts with one."""

    context = 1000

    @property
    def tokenizer(self) -> Any:
        return self

    def __call__(self, texts: list[str]) -> dict[str, list[list[int]]]:
        return {"input_ids": [[1, *map(ord, text)] for text in texts]}

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [chr(token) for token in ids]

    bos_token_id = None
    eos_token_id = None

    def __len__(self) -> int:
        return 256

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


def example(text: str, label: int) -> Example:
    answers = (" yes", " no")
    return Example(ask=f"{text}:", answer=answers[label], label=label, where=text)


TASK = TextTask(
    demonstrations=((example("good", 0), example("worse", 1)),),
    queries=((example("fine", 0), example("poorer", 1)),),
    answers=(" yes", " no"),
    description=Description(instruction="Rate. ", separator=" | "),
)
PROMPTS = EncodedPrompts.of(Characters(), TASK)


def text(tokens: Any) -> str:
    return "".join(map(chr, tokens))


def test_a_prompt_ends_before_the_first_token_that_differs_between_labels() -> None:
    assert PROMPTS.labels.bridge == (ord(" "),)
    assert [text(p[1:]) for p in PROMPTS.alone(TASK.queries[0])] == [
        "Rate. fine: ",
        "Rate. poorer: ",
    ]
    assert text(PROMPTS.in_context(0)[1][1:]) == (
        "Rate. good: yes | worse: no | poorer: "
    )


def test_an_example_is_a_prompt_and_its_answer() -> None:
    pairs = PROMPTS.with_answers(TASK.demonstrations[0])
    assert [(text(ask[1:]), text(answer)) for ask, answer in pairs] == [
        ("Rate. good: ", "yes"),
        ("Rate. worse: ", "no"),
    ]


def test_spans_are_the_demonstrations_with_their_answers() -> None:
    prompt = PROMPTS.in_context(0)[0]
    spans = PROMPTS.demonstration_spans(0)
    assert [text(prompt[a:b]) for a, b in spans] == ["good: yes", "worse: no"]


def test_parts_side_by_side_make_the_prompt() -> None:
    head, demonstrations, queries = PROMPTS.side_by_side(0)
    assert text(head[1:]) == "Rate. "
    assert [text(part) for part in demonstrations] == ["good: yes | ", "worse: no | "]
    assert [text(part) for part in queries] == ["fine: ", "poorer: "]


def test_a_query_has_its_own_tokens_alone_and_in_context() -> None:
    alone = PROMPTS.alone(TASK.queries[0])
    pairs = zip(alone, PROMPTS.in_context(0), strict=True)
    assert [PROMPTS.query_length(*pair) for pair in pairs] == [6, 8]


@pytest.mark.parametrize(
    ("prompts", "spare"),
    [(PROMPTS, 0), (PROMPTS.with_room_for_answers(), len("yes"))],
)
def test_a_prompt_fits_to_the_token_or_its_row_is_named(
    prompts: EncodedPrompts, spare: int
) -> None:
    longest = len(PROMPTS.alone(TASK.queries[0])[1]) + spare
    replace(prompts, context=longest).alone(TASK.queries[0])
    with pytest.raises(DataError, match=rf"asks poorer has {longest} tokens"):
        replace(prompts, context=longest - 1).alone(TASK.queries[0])


def test_an_example_leaves_room_for_its_own_answer() -> None:
    examples = [example("poorer", 1), example("a", 0)]
    longest = len(PROMPTS.alone(examples)[0]) + len("no")
    replace(PROMPTS, context=longest).with_answers(examples)
    with pytest.raises(DataError, match="asks poorer"):
        replace(PROMPTS, context=longest - 1).with_answers(examples)


def test_no_other_module_encodes_prompts() -> None:
    root = Path(probes.__file__).parent
    users = []
    for path in root.rglob("*.py"):
        names = imported_names(ast.parse(path.read_text()), "probes", is_package=True)
        if any(name == "encode_checked" for _, name in names):
            users.append(path.name)
    assert users == ["prompt_encoding.py"]

"""A prompt is shown as it is asked: every token, every part, every answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from probes.data.prompt_encoding import EncodedPrompts
from probes.data.prompt_listing import prompt_lines
from probes.data.template import Description
from probes.data.text_tasks import Example, TextTask
from probes.errors import OptionError
from tests.support.letters import Letters

ANSWERS = (" yes", " no")


def example(text: str, label: int) -> Example:
    return Example(ask=f"{text}?", answer=ANSWERS[label], label=label, where=text)


def prompts(answers: tuple[str, ...] = ANSWERS) -> EncodedPrompts:
    task = TextTask(
        demonstrations=((example("a", 0), example("b", 1)),),
        queries=((example("c", 1), example("d", 0)),),
        answers=answers,
        description=Description(instruction="Go:", separator="|"),
    )
    model: Any = SimpleNamespace(tokenizer=Letters(), context=100)
    return EncodedPrompts.of(model, task)


def test_every_token_is_listed_under_its_part() -> None:
    lines = prompt_lines(prompts(), 0, 1)
    text = "Go:a? yes|b? no|d? "
    assert lines[0].startswith(f"set 1 of 1, query 2 of 2: {len(text)} tokens, and the")
    listed = [line.split(maxsplit=2) for line in lines if line[:5].strip().isdecimal()]
    assert [int(place) for place, _, _ in listed] == list(range(len(text)))
    assert "".join(chr(int(token)) for _, token, _ in listed) == text
    titles = {line: i for i, line in enumerate(lines) if line.endswith("):")}
    first = {title: lines[i + 1].split()[0] for title, i in titles.items()}
    assert first == {"demonstration 1 (a):": "3", "demonstration 2 (b):": "10",
                     "query (d):": "16"}  # fmt: skip


def test_the_answers_are_listed_with_what_is_scored() -> None:
    *_, yes, no, scored = prompt_lines(prompts(), 0, 0)
    assert yes.endswith(f"' yes': {ord('y')} 'y'")
    assert not yes.startswith("right")
    assert no == f"right  ' no': {ord('n')} 'n'"
    assert scored == "scored: the first token of each answer, which tells them apart"


def test_answers_that_begin_alike_are_listed_whole_with_their_ends() -> None:
    *_, yes, _, scored = prompt_lines(prompts((" no", " none")), 0, 0)
    assert yes.endswith(f"{ord('n')} 'n', {ord('o')} 'o', {ord('|')} '|'")
    assert scored.startswith("scored: all tokens")


@pytest.mark.parametrize(("index", "place"), [(1, 0), (0, 2), (-1, 0), (0, -1)])
def test_a_prompt_that_there_is_not_is_refused(index: int, place: int) -> None:
    with pytest.raises(OptionError, match=r"^--(set|query) is \d\. Expected 1 to"):
        prompt_lines(prompts(), index, place)

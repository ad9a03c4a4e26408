"""A chat is a description: its prompts are what the chat template writes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from probes.data.chat import chat_description
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.template import Description, Row
from probes.data.text_tasks import Example, TextTask
from probes.errors import DataError
from tests.support.letters import Letters

CHATML = (
    "^{% for m in messages %}[{{ m.role }}]\n{{ m.content }}#\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
LAST_DIFFERS = CHATML.replace("{{ m.content }}", "{{ m.content }}{{ loop.last }}")
COUNTS = CHATML.replace("[{{ m.role }}]", "[{{ loop.index }}]")
TWICE = CHATML.replace("{{ m.content }}", "{{ m.content }}{{ m.content }}")
RAISES = "{{ messages[0].nothing.more }}"


class Chatting(Letters):
    """A tokenizer with a chat template that begins with ^, and adds ^ perhaps."""

    bos_token_id = ord("^")

    def __init__(self, template: str | None, *, adds_beginning: bool = False) -> None:
        self.chat_template, self.adds_beginning = template, adds_beginning

    def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
        begin = "^" * self.adds_beginning
        return super().__call__([begin + one for one in text])

    def apply_chat_template(self, messages: Any, **options: Any) -> str:
        assert options.pop("tokenize") is False
        assert self.chat_template is not None
        template = jinja2.Environment().from_string(self.chat_template)
        return template.render(messages=messages, **options)


PLAIN = Description(
    instruction="Judge {it}. ", query="{text}, {{so}}?", answer=" {label}!"
)
ROWS = [Row(fields={"text": text}, label="yes", where=text) for text in "abc"]


def task_of(description: Description) -> TextTask:
    examples = [
        Example(ask=description.ask(row), answer=answer, label=0, where=row.where)
        for row in ROWS
        for answer in [description.answer.replace("{label}", row.label)]
    ]
    return TextTask(
        demonstrations=(tuple(examples[:2]),),
        queries=((examples[2],),),
        answers=(examples[0].answer, description.answer.replace("{label}", "no")),
        description=description,
    )


def test_prompts_are_what_the_template_writes() -> None:
    tokenizer = Chatting(CHATML)
    task = task_of(chat_description(PLAIN, tokenizer))
    asked = [f"{text}, {{so}}?" for text in "abc"]
    turns = [("user", f"Judge {{it}}. {asked[0]}"), ("assistant", "yes!"),
             ("user", asked[1]), ("assistant", "yes!"), ("user", asked[2])]  # fmt: skip
    messages = [{"role": role, "content": content} for role, content in turns]
    wanted = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert task.in_context(task.demonstrations[0], task.queries[0][0]) == wanted
    alone = [{"role": "user", "content": f"Judge {{it}}. {asked[2]}"}]
    assert task.alone(task.queries[0][0]) == tokenizer.apply_chat_template(
        alone, tokenize=False, add_generation_prompt=True
    )


def test_gd_learns_the_answers_that_icl_gives() -> None:
    tokenizer = Chatting(CHATML)
    task = task_of(chat_description(PLAIN, tokenizer))
    model: Any = SimpleNamespace(tokenizer=tokenizer, context=1000)
    prompts = EncodedPrompts.of(model, task)
    ((tokens, answer),) = prompts.with_targets(task.demonstrations[0][:1])
    assert tokenizer.decode(tokens).endswith("[assistant]\n")
    assert tokenizer.decode(list(answer)) == "yes!"
    (_, first_end), (second_start, _) = prompts.demonstration_spans(0)
    whole = prompts.in_context(0)[0]
    assert tokenizer.decode(whole[first_end:second_start]) == "#\n[user]\n"


def test_a_beginning_that_the_tokenizer_adds_is_not_written_twice() -> None:
    written = chat_description(PLAIN, Chatting(CHATML)).instruction
    added = chat_description(PLAIN, Chatting(CHATML, adds_beginning=True)).instruction
    assert written == f"^{added}"


@pytest.mark.parametrize(
    ("template", "wording"),
    [
        (None, r"has no chat template\. Expected .* Leave out --chat"),
        (LAST_DIFFERS, r"between turns, .*\. Expected the same before every answer"),
        (COUNTS, r"between turns, .*\. Expected the same before every answer"),
        (TWICE, r"Expected every turn once, in order"),
        (RAISES, r"cannot be used: .*\. Expected one that takes turns"),
    ],
)
def test_a_template_that_cannot_be_cut_into_turns_is_refused(
    template: str | None, wording: str
) -> None:
    with pytest.raises(DataError, match=wording):
        chat_description(PLAIN, Chatting(template))


def test_a_question_in_reverse_is_a_turn_too() -> None:
    chat = chat_description(replace(PLAIN, reversed="Whose? {label}"), Chatting(CHATML))
    assert chat.reversed == "Whose? {label}" + chat.query.removeprefix(PLAIN.query)
    assert chat_description(PLAIN, Chatting(CHATML)).reversed == ""

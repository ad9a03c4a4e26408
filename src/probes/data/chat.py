"""Prompts as a chat: demonstrations are turns of a user and an assistant.

A chat template is rendered once, with marks in place of texts. What it writes between
the marks becomes the instruction, the end of the query and the separator of a
``template.Description``. So ICL, GD and all that share parts of prompts read the same
turns, and nothing else needs to know of chats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.bounded_io import brief
from probes.data.template import Description
from probes.errors import DataError

MARKS = tuple(f"mark{number}mark" for number in "12345")
"""Texts of three questions and the two answers between them."""


def chat_description(description: Description, tokenizer: Any) -> Description:
    """Put queries into the turns of a user, and answers into those of an assistant.

    The instruction begins the first turn of the user, before the first query. The
    separator of the description is left out, and the answer begins without space.

    Args:
        description: How rows become prompts without a chat.
        tokenizer: One of Hugging Face's, with a chat template.

    Raises:
        DataError: There is no chat template, or its turns depend on their place.
    """
    begin, between, after = _turns(tokenizer)
    between_in_braces = between.replace("{", "{{").replace("}", "}}")
    return replace(
        description,
        instruction=begin + description.instruction,
        query=description.query + between_in_braces,
        reversed=description.reversed and description.reversed + between_in_braces,
        answer=description.answer.strip(),
        separator=after,
    )


def _turns(tokenizer: Any) -> tuple[str, str, str]:
    """Read what a chat template writes before, between and after two turns.

    Returns:
        The text before the first question, that between a question and its answer, and
        that between an answer and the next question.
    """
    begin, *middle = _split(_rendered(tokenizer, MARKS), MARKS)
    between, after = middle[0], middle[1]
    alone = _rendered(tokenizer, MARKS[:1])
    if middle != [between, after] * 2 + [between] or alone != (
        begin + MARKS[0] + between
    ):
        raise DataError(
            f"The chat template of the tokenizer writes {brief(middle)} between turns, "
            f"and {brief(alone)} for a single question. Expected the same before every "
            f"answer and after every answer, because GD learns the turns one by one. "
            f"Leave out --chat, or take another model."
        )
    first = tokenizer.bos_token_id
    if first is not None and tokenizer([""])["input_ids"][0][:1] == [first]:
        begin = begin.removeprefix(tokenizer.decode([first]))  # it adds this itself
    return begin, between, after


def _rendered(tokenizer: Any, texts: tuple[str, ...]) -> str:
    """Write questions and answers in turn, up to where the last answer begins."""
    if getattr(tokenizer, "chat_template", None) is None:
        raise DataError(
            "The tokenizer has no chat template. Expected one, as the tokenizers of "
            "instruction-tuned models have. Leave out --chat, or take another model."
        )
    roles = ("user", "assistant")
    messages = [
        {"role": roles[number % 2], "content": text}
        for number, text in enumerate(texts)
    ]
    try:
        return str(
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        )
    except Exception as error:  # templates raise what they like
        raise DataError(
            f"The chat template of the tokenizer cannot be used: {error}. Expected one "
            f"that takes turns of a user and an assistant. Leave out --chat, or take "
            f"another model."
        ) from error


def _split(text: str, marks: tuple[str, ...]) -> list[str]:
    """Cut a text at its marks, each of which it must hold once, in this order."""
    parts, rest = [], text
    for mark in marks:
        part, found, rest = rest.partition(mark)
        parts.append(part)
        if not found or mark in rest:
            raise DataError(
                f"The chat template of the tokenizer writes {brief(text)}. Expected "
                f"every turn once, in order. Leave out --chat, or take another model."
            )
    return [*parts, rest]

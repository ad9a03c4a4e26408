"""Tokens are written as people read them, not as a vocabulary stores them."""

from __future__ import annotations

from typing import Any

import pytest

from probes.data.token_words import token_text, token_word
from tests.support.letters import Letters


class Bytes(Letters):
    """Names tokens as byte-level vocabularies do."""

    tokens = ("ĠÐ¿", "Ð¿", "Ð", "Ċ", "▁so", "Ġ", "good")
    texts = (" п", "п", "\ufffd", "\n", "so", " ", "good")

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self.tokens[token] for token in ids]

    def decode(self, ids: list[int]) -> str:
        return "".join(self.texts[token] for token in ids)


def test_a_token_is_written_as_a_word() -> None:
    words = [token_word(Bytes(), token) for token in range(len(Bytes.tokens))]
    assert words == ["▁п", "п", "Ð", "Ċ", "▁so", "Ġ", "good"]


@pytest.mark.parametrize(
    ("tokenizer", "token", "text"),
    [
        (Letters(), 27, "'\\x1b'"),
        (Letters(), 0xFFFD, "'<65533>'"),
        (Bytes(), 0, "' п'"),
        (Bytes(), 2, "'Ð'"),
    ],
)
def test_a_token_in_quotes_controls_no_terminal(
    tokenizer: Any, token: int, text: str
) -> None:
    assert token_text(tokenizer, token) == text

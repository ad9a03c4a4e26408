"""Tokens in words that people can read, for messages and reports."""

from __future__ import annotations

from probes.data.tokenization import Tokenizer

UNREADABLE = "\ufffd"
"""What a tokenizer writes for bytes that are no whole letter."""
BLANK = "▁"
"""Stands for the space with which a token begins."""
BLANKS = (BLANK, "Ġ")
"""How vocabularies write it."""


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """Write a token as text in quotes; as it is named if it is no whole letter."""
    text = tokenizer.decode([token])
    return repr(_name(tokenizer, token) if UNREADABLE in text or not text else text)


def token_word(tokenizer: Tokenizer, token: int) -> str:
    """Write a token as a word, with ▁ for a space at its beginning.

    A token of spaces, or of bytes that are no whole letter, is written as it is named.
    """
    name, text = _name(tokenizer, token), tokenizer.decode([token])
    word = text.strip()
    if UNREADABLE in text or not word:
        return name
    return BLANK + word if name.startswith(BLANKS) else word


def _name(tokenizer: Tokenizer, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens([token])[0])

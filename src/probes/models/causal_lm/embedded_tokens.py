"""A tokenizer with more tokens than its model embeds, of which only some are used."""

from __future__ import annotations

from typing import Any

from probes.errors import ModelError


class EmbeddedTokens:
    """Tokenises as another tokenizer does, and refuses tokens without an embedding.

    Multimodal tokenizers have a token or two that stand for images.

    Args:
        tokenizer: The tokenizer.
        n_rows: Rows of the model's embedding.
    """

    def __init__(self, tokenizer: Any, n_rows: int) -> None:
        self._tokenizer, self._n_rows = tokenizer, n_rows

    def __getattr__(self, name: str) -> Any:
        """Take everything else from the tokenizer."""
        return getattr(self._tokenizer, name)

    def __len__(self) -> int:
        """Count the tokens that have an embedding."""
        return self._n_rows

    def __call__(self, text: Any, **options: Any) -> Any:
        """Tokenise a batch of texts.

        Raises:
            ModelError: A token has no embedding.
        """
        encoded = self._tokenizer(text, **options)
        for tokens in encoded["input_ids"]:
            if tokens and max(tokens) >= self._n_rows:
                name = self._tokenizer.decode([max(tokens)])
                raise ModelError(
                    f"A prompt has the token {name!r}, number {max(tokens)}, and the "
                    f"model embeds {self._n_rows}. Expected texts of embedded tokens. "
                    f"Remove it from the rows or the template."
                )
        return encoded

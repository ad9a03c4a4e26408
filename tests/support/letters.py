"""A tokenizer that makes a token of every letter, so that places can be counted."""

from __future__ import annotations


class Letters:
    """Tokenises letter by letter; a letter's token is its number in Unicode."""

    bos_token_id: int | None = None
    eos_token_id: int | None = None

    def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) for letter in one] for one in text]}

    def __len__(self) -> int:
        return 0x110000

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        names = {ord(" "): "Ġ", 0xFFFD: "<65533>"}
        return [names.get(token, chr(token)) for token in ids]

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))

"""Rows that exceed their share of a model's context: left out, and counted in words."""

from __future__ import annotations

from dataclasses import replace

from probes.data.labelled_rows import LabelledRows
from probes.data.template import Row
from probes.data.tokenization import Tokenizer, encode
from probes.errors import DataError


def without_long_rows(
    rows: LabelledRows, tokenizer: Tokenizer, longest: int
) -> LabelledRows:
    """Remove the rows that have more tokens than their share of the context.

    Raises:
        DataError: No row of a split is short enough.
    """
    described = rows.description
    extra = described.instruction + described.separator

    def short(split: tuple[Row, ...]) -> tuple[Row, ...]:
        texts = [extra + described.demonstrate(row) for row in split]
        lengths = map(len, encode(tokenizer, texts))
        fitting = tuple(r for r, n in zip(split, lengths, strict=True) if n <= longest)
        if not fitting:
            raise DataError(
                f"{rows.name} has no row of at most {longest} tokens, which is one "
                f"demonstration's share of the model's context. Expected some short "
                f"rows. Pass smaller --demos, or a model with a longer context."
            )
        return fitting

    return replace(rows, train=short(rows.train), test=short(rows.test))


def left_out_text(rows: LabelledRows, short: LabelledRows, longest: int) -> str:
    """Say how many rows were left out; nothing if there were none.

    Args:
        rows: All rows.
        short: Those that are short enough.
        longest: The most tokens of a row.
    """
    counts = {
        "train": (len(rows.train) - len(short.train), len(rows.train)),
        "test": (len(rows.test) - len(short.test), len(rows.test)),
    }
    if not any(n for n, _ in counts.values()):
        return ""
    parts = [f"{n} of {total} {split} rows" for split, (n, total) in counts.items()]
    return (
        f"{' and '.join(parts)} of {rows.name} have more than {longest} tokens, a "
        f"demonstration's share of the context, and were left out (--long-rows drop)"
    )

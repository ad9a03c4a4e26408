"""Name a claim in plain words, for readers who do not know its id.

A claim may state a title. Where a row has none, its id is written as words.
"""

from __future__ import annotations

from probes.report.matrix import plain, split_variant
from probes.results.rows import Row

TITLE_LIMIT = 60
CAPITALS = {
    "adam": "Adam",
    "gd": "GD",
    "gdpp": "GD++",
    "gds": "GD's",
    "icl": "ICL",
    "sgd": "SGD",
}
"""Words of ids that are written in capitals."""
WHOLE = ("W_K", "W_O", "W_Q", "W_V")
"""Names of weights, whose underscore stays."""


def title_of(row: Row) -> str:
    """Name the claim of a row, without its variant."""
    stated = plain(row.get("title"), TITLE_LIMIT)
    return stated or in_words(plain(split_variant(row["claim"])[0], 80))


def full_title_of(row: Row) -> str:
    """Name the claim of a row, with its variant if it has one."""
    variant = split_variant(row["claim"])[1]
    return (
        f"{title_of(row)} ({in_words(plain(variant, 80))})"
        if variant
        else title_of(row)
    )


def in_words(identifier: str) -> str:
    """Write an id as words, such as ``gd_middle_W_V`` as "GD middle W_V"."""
    for name in WHOLE:
        identifier = identifier.replace(name, name.replace("_", "\0"))
    words = [CAPITALS.get(word, word) for word in identifier.split("_")]
    text = " ".join(words).replace("\0", "_")
    return text[:1].upper() + text[1:]

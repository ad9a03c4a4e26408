"""Which tokens of a vocabulary end an answer, whatever the task."""

from __future__ import annotations

import re

from probes.data.tokenization import Tokenizer

NEW_LINE = re.compile("[\n\rĊč]|<0x0[AD]>")
"""Names of tokens with a new line: written out, by byte-level BPE, or as a byte."""


def line_ends(tokenizer: Tokenizer) -> list[int]:
    """List the tokens that end a line: those that begin a new one or end the text."""
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    may_end = [token for token, name in enumerate(names) if NEW_LINE.search(name or "")]
    ends = {t for t in may_end if tokenizer.decode([t]).lstrip(" ")[:1] in ("\n", "\r")}
    if tokenizer.eos_token_id is not None:
        ends.add(tokenizer.eos_token_id)
    return sorted(ends)

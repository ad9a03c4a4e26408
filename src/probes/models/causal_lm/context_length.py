"""How long a prompt may be."""

from __future__ import annotations

from typing import Any

from probes.models.llama.architecture import rope_settings

LONGEST = 1 << 30
"""Tokens that a model reads if its configuration sets no limit."""


def context_length(config: Any) -> int:
    """Read how many tokens a model reads, as one function of each prompt alone.

    LongRoPE has other rotary frequencies for prompts beyond the original context. A
    short prompt would be answered otherwise in a batch with a long one, and so would a
    prompt after cached keys of its beginning. So the original context is the limit.

    Args:
        config: The configuration of a Hugging Face causal language model.

    Reference:
        Ding et al. 2024, arXiv:2402.13753, §3.
    """
    text = config.get_text_config()
    longest = int(getattr(text, "max_position_embeddings", LONGEST))
    for rope in rope_settings(text):
        if isinstance(rope, dict) and rope.get("rope_type") == "longrope":
            original = rope.get("original_max_position_embeddings") or longest
            longest = min(longest, int(original))
    return longest

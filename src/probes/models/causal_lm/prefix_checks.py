"""Checks of a loaded model: that it is causal, and that prompts may share a prefix.

No table says this of every architecture, so a few short prompts are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes.errors import ModelError
from probes.models.causal_lm.loading_checks import first_sentence

N_PREFIX, N_SUFFIX = 6, 3


def require_causal(model: Any) -> None:
    """Refuse a model whose answers to a prefix change with what follows it.

    Args:
        model: A Hugging Face language model.

    Raises:
        ModelError: It is an encoder, its attention goes both ways, or it does not
            answer tokens alone.
    """
    try:
        with torch.inference_mode():
            answers = model(_prompts(model), use_cache=False, logits_to_keep=0)
        logits = answers.logits[:, :N_PREFIX].float()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # every architecture has its own
        raise ModelError(
            f"{type(model).__name__} does not answer a prompt of "
            f"{N_PREFIX + N_SUFFIX} tokens: {first_sentence(error)} Expected a causal "
            f"language model that reads tokens and nothing else. Take another model."
        ) from error
    if not agree(logits[1], logits[0], model.dtype):
        raise ModelError(
            f"{type(model).__name__} answers a prompt's beginning otherwise when other "
            f"tokens follow it. Expected a causal language model, in which no token "
            f"sees later ones. Take a model that was trained to predict the next token."
        )


def shares_prefixes(
    model: Any, prefill: Callable[[list[int]], Any], answer: Callable[..., Tensor]
) -> bool:
    """Say whether a model answers after cached keys and values as in whole prompts.

    Recurrent and hybrid models keep other states, which are not shared.

    Args:
        model: A Hugging Face causal language model.
        prefill: Runs a prefix and returns its cache.
        answer: Answers suffixes after a cached prefix, or whole prompts.
    """
    ids = _prompts(model).tolist()
    prefix, suffixes = ids[0][:N_PREFIX], [ids[0][N_PREFIX:], ids[1][N_PREFIX:-1]]
    read = [1] * len(suffixes)
    whole = answer([[*prefix, *suffix] for suffix in suffixes], None, 0, read)
    try:
        cached = answer(suffixes, prefill(prefix), N_PREFIX, read)
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, TypeError, ValueError, RuntimeError, IndexError):
        return False  # its cache is no list of keys and values
    return agree(cached, whole, model.dtype)


def agree(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    """Say whether logits are the same but for rounding in the model's precision."""
    eps = torch.finfo(dtype).eps
    allowed = max(16 * eps, 1e-4) * max(1.0, float(theirs.abs().max()))
    return float((ours - theirs).abs().max()) <= allowed


def _prompts(model: Any) -> Tensor:
    """Make two prompts that begin alike, shape (2, N_PREFIX + N_SUFFIX)."""
    n_vocab = model.get_input_embeddings().weight.shape[0]
    first = torch.arange(N_PREFIX + N_SUFFIX) * 7 + 1
    second = torch.cat([first[:N_PREFIX], first[N_PREFIX:] + 3])
    prompts: Tensor = torch.stack([first, second]) % n_vocab
    return prompts.to(torch.device(model.device))

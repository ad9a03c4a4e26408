"""lm-evaluation-harness as a peer: log-likelihoods of labels after prompts.

Its own loop (``HFLM._loglikelihood_tokens``) is given tokens, as our side is. It
answers both labels of a prompt from one row. Its batch size is the quicker of 1 and 16
here, tried on a part of the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from probes.models.causal_lm.causal_lm import CausalLM
from tests.benchmarks.llamas import N_VOCAB
from tests.benchmarks.quick import narrowed


@pytest.fixture(scope="module")
def harness() -> Callable[..., Any]:
    """Make the peer of a model, a batch size and perhaps a tokenizer."""
    huggingface = pytest.importorskip(
        "lm_eval.models.huggingface",
        reason="lm-eval is not installed; make bench installs it",
        exc_type=ImportError,
    )
    return lambda model, size, tokenizer=None: huggingface.HFLM(
        pretrained=model,
        backend="causal",
        tokenizer=tokenizer or _tokenizer(),
        batch_size=size,
    )


def quickest(
    harness: Callable[..., Any],
    model: CausalLM,
    prompts: list[list[int]],
    labels: list[int],
) -> Callable[[], Any]:
    ways = [partial(_score, harness(model.model, size)) for size in (1, 16)]
    times = []
    for way in ways:
        began = time.perf_counter()
        way(prompts[: narrowed(16, 4)], labels)
        times.append(time.perf_counter() - began)
    return partial(ways[int(np.argmin(times))], prompts, labels)


def _score(peer: Any, prompts: list[list[int]], labels: list[int]) -> Any:
    """Ask the peer for the log-likelihood of every label after every prompt."""
    asked = [
        ((str(i), str(label)), prompt, [label])
        for i, prompt in enumerate(prompts)
        for label in labels
    ]
    found = peer._loglikelihood_tokens(asked, disable_tqdm=True)
    return np.array([value for value, _ in found]).reshape(len(prompts), -1)


def _tokenizer() -> Any:
    """Build a tokenizer of as many words; tokens are handed over ready."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(N_VOCAB)}
    whole = Tokenizer(models.WordLevel(words, unk_token="w2"))
    return PreTrainedTokenizerFast(
        tokenizer_object=whole, bos_token="w0", eos_token="w1", pad_token="w1"
    )

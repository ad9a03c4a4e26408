"""Any Hugging Face causal language model, loaded: asking it quickly.

Right padding and explicit positions everywhere; logits are formed at the positions that
are read and nowhere else. How it is loaded stands in ``networks.loading``.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from probes.errors import NumericsError
from probes.networks.halving import in_halves
from probes.tokens import common_prefix

LogProbs = NDArray[np.float32]
TOKENS_A_BATCH = 8192


class CausalLM:
    """A loaded causal language model with its tokenizer.

    Attributes:
        model: The Hugging Face module, in evaluation mode, no gradients required.
        tokenizer: Its tokenizer.
        context: The longest input, in tokens.
        n_forward: Forward passes made so far.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.n_forward = 0
        self._tuned: Mapping[str, Tensor] = {}
        config = model.config.get_text_config()
        self.context = int(getattr(config, "max_position_embeddings", 1 << 30))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.model.device)

    @property
    def n_bytes(self) -> int:
        """The size of the weights in memory."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    @contextlib.contextmanager
    def tuned(self, parameters: Mapping[str, Tensor]) -> Iterator[None]:
        """Answer with other values of some parameters while the context is open.

        Args:
            parameters: By name, in the shapes of the model's own, which stay untouched.
        """
        self._tuned = parameters
        try:
            yield
        finally:
            self._tuned = {}

    def logits(self, ids: Tensor, positions: Tensor, **cache: Any) -> Tensor:
        """Run one forward pass and form the logits at some positions only.

        Args:
            ids: Token ids, shape (n_sequences, n_tokens), padded on the right.
            positions: Sorted positions to read, shape (n_positions,).
            cache: ``past_key_values`` and its ``attention_mask``, ``position_ids``.

        Returns:
            Logits, shape (n_sequences, n_positions, n_vocab), float32 or wider.
        """
        answer = self._run(
            input_ids=ids, logits_to_keep=positions, use_cache=bool(cache), **cache
        )
        logits: Tensor = answer.logits
        return logits.float() if logits.dtype.itemsize < 4 else logits

    def next_token_log_probs(self, prompts: Sequence[Sequence[int]]) -> LogProbs:
        """Compute the next-token log-probabilities after each prompt.

        The tokens that all prompts begin with are run once; their keys and values are
        shared by all prompts.

        Args:
            prompts: Token ids, at least one token each.

        Returns:
            Natural logarithms, shape (n_prompts, n_vocab), float32.

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        shared = min(common_prefix(prompts), min(map(len, prompts)) - 1)
        if len(prompts) < 2 or shared < 8:
            shared = 0
        prefix = list(prompts[0][:shared])
        with torch.inference_mode():
            cache = self._prefill(prefix) if prefix else None
            found: dict[int, Tensor] = {}

            def answer(chunk: Sequence[int]) -> Tensor:
                return self._answer([prompts[i][shared:] for i in chunk], cache, shared)

            for chunk in _by_length([p[shared:] for p in prompts], shared):
                for part, answers in in_halves(chunk, answer, what="one prompt"):
                    found.update(zip(part, answers, strict=True))
            logits = torch.stack([found[i] for i in range(len(prompts))])
            if not torch.isfinite(logits).all():
                raise NumericsError(
                    f"The model answered NaN or infinite logits for "
                    f"{int((~torch.isfinite(logits)).any(dim=1).sum())} of "
                    f"{len(prompts)} prompts. Expected finite logits. Pass --dtype "
                    f"float32, or check the weights."
                )
            log_probs = torch.log_softmax(logits.double(), dim=-1).float().cpu()
        return np.asarray(log_probs.numpy(), dtype=np.float32)

    def _run(self, **inputs: Any) -> Any:
        self.n_forward += 1
        if not self._tuned:
            return self.model(**inputs)
        return functional_call(self.model, dict(self._tuned), kwargs=inputs)

    def _prefill(self, prefix: list[int]) -> Any:
        ids = torch.tensor([prefix], device=self.device)
        return self._run(
            input_ids=ids, use_cache=True, logits_to_keep=1
        ).past_key_values

    def _answer(self, suffixes: list[Sequence[int]], cache: Any, shared: int) -> Tensor:
        ids, lengths = padded(suffixes, self.device)
        last = lengths - 1
        positions = torch.unique(last)  # sorted
        options: dict[str, Any] = {}
        if cache is not None:
            own = copy.deepcopy(
                cache
            )  # a forward pass appends to the cache it is given
            own.batch_repeat_interleave(len(suffixes))
            steps = torch.arange(ids.shape[1], device=self.device)
            fits = steps[None, :] < lengths[:, None]
            seen = torch.ones(
                len(suffixes), shared, dtype=torch.long, device=self.device
            )
            options = {
                "past_key_values": own,
                "attention_mask": torch.cat([seen, fits.long()], dim=1),
                "position_ids": (shared + steps).expand(len(suffixes), -1),
            }
        logits = self.logits(ids, positions, **options)
        column = torch.searchsorted(positions, last)
        return logits[torch.arange(len(suffixes), device=self.device), column]


def padded(
    sequences: Sequence[Sequence[int]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Pad on the right with token 0, which no causal position before it can see.

    Returns:
        Ids, shape (n_sequences, n_tokens), and lengths, shape (n_sequences,).
    """
    lengths = torch.tensor([len(s) for s in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(list(sequence))
    return ids.to(device), lengths.to(device)


def _by_length(suffixes: list[Sequence[int]], shared: int) -> Iterator[list[int]]:
    """Batch prompts of like length, so that little is padded."""
    order = sorted(range(len(suffixes)), key=lambda i: len(suffixes[i]))
    chunk: list[int] = []
    for index in order:
        cost = len(suffixes[index]) + shared
        if chunk and (len(chunk) + 1) * cost > TOKENS_A_BATCH * 4:
            yield chunk
            chunk = []
        chunk.append(index)
    yield chunk

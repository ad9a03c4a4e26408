"""Checks of a folder that come before and after the library loads its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probes.bounded_io import brief
from probes.errors import ModelError
from probes.models.files.untrusted_config import read_json_object

MOST_TOKENS_PER_ROW = 1.001
"""Of the embedding; tokens that stand for images may have no row."""
LEAST_TOKENS_PER_ROW = 0.5
"""Of the embedding; published models pad their vocabularies by less than 3 %."""


def require_plain_decoder(folder: Path) -> None:
    """Refuse models that the library loads only with packages of their own.

    Raises:
        ModelError: The weights are quantised, or the model has an encoder.
    """
    config = read_json_object(folder / "config.json")
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else None
        raise ModelError(
            f"{folder} stores its weights quantised ({brief(method or quantised)}). "
            f"Expected float32, bfloat16 or float16 in safetensors, or a GGUF file. "
            f"Take the checkpoint that is not quantised."
        )
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{folder} is a model with an encoder and a decoder "
            f"({brief(config.get('model_type'))}). Expected a causal language model, "
            f"which reads one sequence. Take another model."
        )


def require_fit(folder: Path, model: Any, tokenizer: Any, *, least: float) -> int:
    """Refuse another model's tokenizer, and count the rows of the embedding."""
    n_rows = int(model.get_input_embeddings().weight.shape[0])
    n_tokens = len(tokenizer)
    if n_tokens > MOST_TOKENS_PER_ROW * n_rows or n_tokens < least * n_rows:
        raise ModelError(
            f"The tokenizer in {folder} has {n_tokens} tokens, and the model embeds "
            f"{n_rows}. Expected the tokenizer that the model was trained with. Copy "
            f"the right tokenizer files."
        )
    return n_rows


def first_sentence(error: Exception) -> str:
    """Take the first sentence of a message that may have many lines."""
    first = " ".join(str(error).split())[:300].split(". ")[0]
    return first.removesuffix(".") + "."


def unused_text(model: str, names: list[str]) -> str:
    """Say which stored tensors a model does without; nothing if it uses all."""
    if not names:
        return ""
    return (
        f"{len(names)} stored {'tensor' if len(names) == 1 else 'tensors'} of "
        f"{model}, among them {names[0]}, do not belong to its configuration and "
        f"were left out (--unused-tensors allow)"
    )

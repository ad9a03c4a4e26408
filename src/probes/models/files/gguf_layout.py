"""How the architectures that can be read lie in a GGUF file, and what is refused.

Whatever the file says and the conversion would leave out is an error, because the
converted model would answer differently from the one in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probes.errors import ModelError
from probes.models.files.gguf_header import GGUFHeader
from probes.models.files.untrusted_config import LARGEST_SIZE, MOST_LAYERS

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How an architecture's weights in a GGUF file differ from the library's.

    Attributes:
        pairs_rotated_rows: Whether the two rows that rotary positions turn together lie
            next to each other in W_Q and W_K of a head, and not half a head apart.
        norm_offset: What the file adds to the weights of the norms.
    """

    pairs_rotated_rows: bool = False
    norm_offset: float = 0.0


LAYOUTS = {
    "llama": Layout(pairs_rotated_rows=True),
    "qwen2": Layout(),
    "qwen3": Layout(),
    "gemma2": Layout(norm_offset=1.0),
    "gemma3": Layout(norm_offset=1.0),
}
CONFIGURED = {
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "rope.dimension_count": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
"""Fields of a GGUF file that must say the same as the library's configuration."""
NEUTRAL = ("none", 0, 1)
"""Values with which a scaling of positions changes nothing."""


def require_known_architecture(header: GGUFHeader) -> None:
    """Refuse what cannot be converted, as far as the header tells.

    Raises:
        ModelError: The architecture is unknown; the file is a part of a model; its
            positions are scaled; it has experts; or a size is absurd.
    """
    path, name, metadata = header.path, header.architecture, header.metadata
    if name not in LAYOUTS:
        raise ModelError(
            f"{path} has the architecture {name[:60]!r}. Expected one of: "
            f"{', '.join(LAYOUTS)}. Pass the same model as a folder of safetensors."
        )
    n_parts = metadata.get("split.count", 1)
    if n_parts not in (0, 1):
        raise ModelError(
            f"{path} is one of {n_parts} parts of a model. Expected a whole model in "
            f"one file. Merge the parts with llama-gguf-split --merge."
        )
    scales = [k for k, v in metadata.items() if ".rope.scal" in k and v not in NEUTRAL]
    if scales:
        raise ModelError(
            f"{path} scales its rotary positions ({scales[0][:60]}), which the "
            f"conversion would leave out. Expected positions without scaling. Pass the "
            f"same model as a folder of safetensors."
        )
    for key, value in metadata.items():
        is_depth = key == f"{name}.block_count"
        most = MOST_LAYERS if is_depth else LARGEST_SIZE
        if key.startswith(f"{name}.") and type(value) is int and abs(value) > most:
            raise ModelError(
                f"{path} has {key[:60]} = {value}. Expected at most {most}: no model "
                f"is so large. Fetch the file again."
            )


def require_same_configuration(header: GGUFHeader, config: Mapping[str, Any]) -> None:
    """Refuse a file that says otherwise than the configuration made from it.

    Args:
        header: The file's.
        config: The library's configuration.

    Raises:
        ModelError: A field differs; the message names it.
    """
    for field, key in CONFIGURED.items():
        told = header.metadata.get(f"{header.architecture}.{field}")
        built = config.get(key)
        if told is not None and built is not None and told != built:
            raise ModelError(
                f"{header.path} says that {field} is {told}, and the library of "
                f"language models takes {key} = {built}. Expected the same. Pass the "
                f"same model as a folder of safetensors."
            )


def as_in_library(
    name: str, stored: Numbers, layout: Layout, config: Mapping[str, Any]
) -> Numbers:
    """Undo what the file did to a tensor.

    Args:
        name: The tensor's name in the file.
        stored: Its numbers, rows first.
        layout: The architecture's.
        config: The library's configuration.
    """
    if layout.norm_offset and name.endswith("norm.weight"):
        return stored - np.float32(layout.norm_offset)
    part = name.rpartition(".")[0]
    if not layout.pairs_rotated_rows or not part.endswith((".attn_q", ".attn_k")):
        return stored
    which = "num_attention_heads" if part[-1] == "q" else "num_key_value_heads"
    shape = (config[which], -1, 2, *stored.shape[1:])
    return stored.reshape(shape).swapaxes(1, 2).reshape(stored.shape)

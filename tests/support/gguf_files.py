"""Small GGUF files of random weights, in the ways in which real ones are stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gguf = pytest.importorskip("gguf", reason="the extra gguf is not installed")

D_MODEL, N_LAYERS, N_HEADS, N_KV_HEADS, D_HEAD = 256, 2, 4, 2, 64
D_INNER = 512  # K-quants need rows of a multiple of 256 numbers
TEXTS = ["Input: cat\nOutput: cats\n\nInput: dog\nOutput:", "a 12", " é <x>"]
LETTERS = [chr(c) for c in range(97, 123)]
WORDS = ["ca", "cat", "do", "dog", "In", "pu", "put", "Input", "Ou", "tput", "Output"]


def write_gguf(
    path: Path, architecture: str = "llama", stored: str = "Q8_0", **changes: Any
) -> Path:
    """Write a model of two layers.

    Args:
        path: The file.
        architecture: As GGUF names it.
        stored: "F16", "BF16", "Q4_1", "Q8_0" or "Q4_K_M".
        changes: Metadata to add or to replace, by name, with two underscores for each
            dot; None removes it.
    """
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, architecture)
    metadata = {**_sizes(architecture), **vocabulary(architecture)}
    metadata |= {name.replace("__", "."): value for name, value in changes.items()}
    for name, value in metadata.items():
        if value is not None:
            _add(writer, name, value)
    n_vocab = len(metadata["tokenizer.ggml.tokens"] or ()) or 300
    for number, (name, shape) in enumerate(_shapes(architecture, n_vocab)):
        _store(writer, name, shape, stored, number, rng)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _sizes(architecture: str) -> dict[str, Any]:
    sizes = {
        "context_length": 128,
        "block_count": N_LAYERS,
        "embedding_length": D_MODEL,
        "feed_forward_length": D_INNER,
        "attention.head_count": N_HEADS,
        "attention.head_count_kv": N_KV_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 50_000.0,
    }
    if architecture == "llama":
        sizes["rope.dimension_count"] = D_HEAD
    if architecture == "qwen3":  # whose heads the library takes to be of this size
        sizes["attention.key_length"] = 128
    if architecture.startswith("gemma"):
        sizes |= {"attention.key_length": D_HEAD, "attention.sliding_window": 16}
    return {f"{architecture}.{name}": value for name, value in sizes.items()}


def vocabulary(architecture: str) -> dict[str, Any]:
    """Describe a small tokenizer: sentencepiece for Gemma, else byte-level."""
    if architecture.startswith("gemma"):
        pieces = ["▁", *LETTERS, *"IO:", "\n", *WORDS, "▁" + "cat", "  "]
        tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *_bytes(), *pieces]
        kinds = [3, 3, 3, 2] + [6] * 256 + [1] * len(pieces)
        scores = [0.0] * 260 + [-float(i) for i in range(len(pieces))]
        told = {"model": "llama", "pre": "default", "scores": scores}
        special = {"bos": 2, "eos": 1, "unknown": 3, "padding": 0}
        told["add_bos_token"] = True
    else:
        merges = ["c a", "ca t", "d o", "do g", "Ġ ca", "Ġca t", "p u", "pu t"]
        joined = [merge.replace(" ", "") for merge in merges]
        tokens = ["<|endoftext|>", "<|start|>", *_byte_letters(), *joined]
        kinds = [3, 3] + [1] * (len(tokens) - 2)
        told = {"model": "gpt2", "pre": "gpt-2", "merges": merges}
        special = {"bos": 1, "eos": 0}
        told["add_bos_token"] = False
    told |= {"tokens": tokens, "token_type": kinds, "add_space_prefix": False}
    told |= {f"{name}_token_id": value for name, value in special.items()}
    return {f"tokenizer.ggml.{name}": value for name, value in told.items()}


def _bytes() -> list[str]:
    return [f"<0x{byte:02X}>" for byte in range(256)]


def _byte_letters() -> list[str]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return list(bytes_to_unicode().values())


def _add(writer: Any, name: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, int):
        writer.add_uint32(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    else:
        writer.add_array(name, value)


def _shapes(architecture: str, n_vocab: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    d_head = 128 if architecture == "qwen3" else D_HEAD
    d_all, d_kv = N_HEADS * d_head, N_KV_HEADS * d_head
    yield "token_embd.weight", (n_vocab, D_MODEL)
    yield "output_norm.weight", (D_MODEL,)
    if not architecture.startswith("gemma"):
        yield "output.weight", (n_vocab, D_MODEL)
    for layer in range(N_LAYERS):
        parts: dict[str, tuple[int, ...]] = {
            "attn_q": (d_all, D_MODEL),
            "attn_k": (d_kv, D_MODEL),
            "attn_v": (d_kv, D_MODEL),
            "attn_output": (D_MODEL, d_all),
            "ffn_gate": (D_INNER, D_MODEL),
            "ffn_up": (D_INNER, D_MODEL),
            "ffn_down": (D_MODEL, D_INNER),
            "attn_norm": (D_MODEL,),
            "ffn_norm": (D_MODEL,),
        }
        if architecture in ("qwen3", "gemma3"):
            parts |= {"attn_q_norm": (d_head,), "attn_k_norm": (d_head,)}
        if architecture.startswith("gemma"):
            parts |= {"post_attention_norm": (D_MODEL,), "post_ffw_norm": (D_MODEL,)}
        for part, shape in parts.items():
            yield f"blk.{layer}.{part}.weight", shape
        if architecture == "qwen2":
            for part in ("attn_q", "attn_k", "attn_v"):
                yield f"blk.{layer}.{part}.bias", parts[part][:1]


def _store(
    writer: Any, name: str, shape: tuple[int, ...], stored: str, number: int, rng: Any
) -> None:
    kinds = gguf.GGMLQuantizationType
    values = rng.normal(scale=0.08, size=shape).astype(np.float32)
    if len(shape) == 1 and stored != "BF16":
        writer.add_tensor(name, values + 1)
    elif stored == "F16":
        writer.add_tensor(name, values.astype(np.float16))
    elif stored == "Q4_K_M":  # a mixture, as real files are
        kind = kinds.Q4_K if number % 3 else kinds.Q6_K
        writer.add_tensor(name, _k_blocks(shape, kind, rng), raw_dtype=kind)
    else:
        kind = kinds[stored]
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)


def _k_blocks(shape: tuple[int, ...], kind: Any, rng: Any) -> Any:
    """Draw the blocks of a K-quant; the package reads them but does not make them."""
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (shape[0], shape[1] // block, n_bytes), np.uint8)
    scale = np.array([2e-4], np.float16).view(np.uint8)
    if kind == gguf.GGMLQuantizationType.Q4_K:
        blocks[..., 0:2] = scale  # of the numbers, and of the minima
        blocks[..., 2:4] = scale
    else:
        blocks[..., 192:208] = rng.integers(1, 30, blocks[..., 192:208].shape, np.uint8)
        blocks[..., 208:210] = scale
    return blocks.reshape(shape[0], -1)

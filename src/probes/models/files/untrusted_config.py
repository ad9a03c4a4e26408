"""What a model's folder asks for beyond its weights: code, other places, endless work.

Told from its JSON files alone, before any library reads them. Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from probes.bounded_io import parse_json, read_text, require_inside
from probes.errors import ModelError

LARGEST_CONFIG = 4_000_000
LARGEST_TOKENIZER = 256_000_000
"""Bytes; published tokenizers have at most 35 MB."""
MOST_LAYERS = 1000
"""Published models have about 200 at most; each costs memory before a weight does."""
LARGEST_SIZE = 1_000_000_000
"""Of any whole number of a configuration: published ones, base of rotary positions
included, stay below 1e8. Whether all sizes together fit is counted before loading."""
MOST_GROWTH = 64
"""Letters that a tokenizer's rules may make of one; Unicode's own make up to 18."""
CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")
TEXTS = ("special_tokens_map.json", "added_tokens.json", "vocab.json", "tokenizer.json")
ADAPTER = "adapter_config.json"
LAYER_KEYS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


def require_no_code(folder: Path) -> None:
    """Refuse a folder that asks for code, for other places, or for endless work.

    Raises:
        ModelError: ``auto_map`` or an attention of the Hub's asks for code; an adapter
            names another model; a file is a link that leads elsewhere, too large or no
            JSON; a size in a configuration or a rule of the tokenizer is a bomb.
    """
    for name in (*CONFIGS, *TEXTS, "tokenizer.model", "spiece.model", "merges.txt"):
        if (folder / name).exists():
            require_own(folder / name, folder)
    if (folder / ADAPTER).exists():
        raise ModelError(
            f"{folder} holds an adapter ({ADAPTER}), which names another model to "
            f"load. Expected a whole model. Merge the adapter and save the model."
        )
    for name in CONFIGS:
        if name == "config.json" or (folder / name).exists():
            _require_tame(folder, name, json_of(folder / name, limit=LARGEST_CONFIG))
    if (folder / "tokenizer.json").exists():
        found = json_of(folder / "tokenizer.json", limit=LARGEST_TOKENIZER)
        _require_bounded(folder, found)


def json_of(path: Path, *, limit: int = LARGEST_CONFIG * 16) -> dict[str, Any]:
    """Read a JSON object from a model's folder.

    Raises:
        ModelError: The file is missing, too large, or holds something else.
    """
    try:
        # A vocabulary is one flat table: its size is bounded by the file's.
        found = parse_json(read_text(path, limit=limit), most_values=limit)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} is not valid JSON: {error}. Expected what Hugging Face writes "
            f"beside a model. Save the model again."
        ) from error
    if not isinstance(found, dict):
        raise ModelError(
            f"{path} holds a {type(found).__name__}. Expected a JSON object. Save the "
            f"model again."
        )
    return found


def require_own(path: Path, folder: Path) -> None:
    """Refuse a file of a folder that is a link to somewhere else.

    Raises:
        ModelError: It is one.
    """
    try:
        require_inside(path, folder)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be used: {error}. Expected a file of the folder itself. "
            f"Copy it there."
        ) from error


def _require_tame(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    for key, value in _walk(config):
        if key == "auto_map":
            raise ModelError(
                f"{folder} asks to run its own code (auto_map in {name}). Expected an "
                f"architecture that transformers knows. Convert the model; code is "
                f"never run."
            )
        if key.endswith("attn_implementation") and "/" in str(value):
            raise ModelError(
                f"{folder} asks for code of {str(value)[:60]!r} ({key} in {name}). "
                f"Expected eager or sdpa. Remove the key; code is never fetched."
            )
        if key.endswith("_file") and _leads_elsewhere(value, folder):
            raise ModelError(
                f"{folder} names {str(value)[:60]!r} as its {key} in {name}. Expected "
                f"a file of the folder itself. Copy it there and remove the key."
            )
        most = MOST_LAYERS if key in LAYER_KEYS else LARGEST_SIZE
        if name == "config.json" and type(value) is int and abs(value) > most:
            raise ModelError(
                f"{folder} has {key} = {str(value)[:30]} in {name}. Expected at most "
                f"{most}: no model is so large. Save the model again."
            )


def _leads_elsewhere(value: Any, folder: Path) -> bool:
    """Say whether a configured file is one that is there, and not the folder's own.

    Published tokenizers often name a file of their maker's disk, which is not there.
    """
    if not isinstance(value, str) or not os.path.exists(folder / value):
        return False
    try:
        require_inside(folder / value, folder)
    except (OSError, ValueError):
        return True
    return False


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value; the nesting is bounded when JSON is read."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _require_bounded(folder: Path, tokenizer: Mapping[str, Any]) -> None:
    """Refuse rules that together blow a text up, one after another."""
    growth = 1.0
    for part in ("normalizer", "pre_tokenizer"):
        for step in _steps(tokenizer.get(part)):
            growth *= _growth_of(step)
    if growth > MOST_GROWTH:
        raise ModelError(
            f"{folder} has a tokenizer whose rules make up to {growth:.3g} letters of "
            f"one. Expected at most {MOST_GROWTH}. Fetch the tokenizer that belongs to "
            f"the model."
        )


def _steps(rule: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(rule, Mapping):
        return
    yield rule
    for key in ("normalizers", "pretokenizers"):
        for inner in rule.get(key) or () if isinstance(rule.get(key), list) else ():
            yield from _steps(inner)


def _growth_of(step: Mapping[str, Any]) -> float:
    """Bound the letters that a rule makes of one."""
    if step.get("type") != "Replace":
        return 1.0
    content, pattern = str(step.get("content", "")), step.get("pattern")
    literal = pattern.get("String") if isinstance(pattern, Mapping) else None
    # A regular expression may match between any two letters.
    if not literal:
        return 1.0 + len(content)
    return max(1.0, len(content) / max(1, len(str(literal))))

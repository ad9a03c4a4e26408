"""Refuse a model's folder that asks for code, for other files or for endless work.

Only its JSON files are read, before any library reads them. Imports no torch.
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
"""Largest integer in a configuration. Published ones stay below 1e8, the base of rotary
positions included. Loading checks separately whether all sizes together fit."""
MOST_GROWTH = 64
"""Most letters that a tokenizer may replace one by; Unicode's own rules reach 18."""
CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")
TEXTS = ("special_tokens_map.json", "added_tokens.json", "vocab.json", "tokenizer.json")
ADAPTER = "adapter_config.json"
LAYER_KEYS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


def require_harmless(folder: Path) -> None:
    """Refuse a folder that asks for code, for other files, or for endless work.

    Raises:
        ModelError: ``auto_map`` or an attention from the Hub asks for code; an adapter
            names another model; a file is too large, is not JSON, or links out of the
            folder; a size or a tokenizer's rule would exhaust memory.
    """
    for name in (*CONFIGS, *TEXTS, "tokenizer.model", "spiece.model", "merges.txt"):
        if (folder / name).exists():
            require_in_folder(folder / name, folder)
    if (folder / ADAPTER).exists():
        raise ModelError(
            f"{folder} holds an adapter ({ADAPTER}), which names another model to "
            f"load. Expected a whole model. Merge the adapter and save the model."
        )
    for name in CONFIGS:
        if name == "config.json" or (folder / name).exists():
            _require_harmless_values(
                folder, name, read_json_object(folder / name, limit=LARGEST_CONFIG)
            )
    if (folder / "tokenizer.json").exists():
        tokenizer = read_json_object(folder / "tokenizer.json", limit=LARGEST_TOKENIZER)
        _require_bounded(folder, tokenizer)


def read_json_object(path: Path, *, limit: int = LARGEST_CONFIG * 16) -> dict[str, Any]:
    """Read a JSON object from a model's folder.

    Raises:
        ModelError: The file is missing, too large, or holds something else.
    """
    try:
        # A vocabulary is one flat table: its size is bounded by the file's.
        content = parse_json(read_text(path, limit=limit), most_values=limit)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} is not valid JSON: {error}. Expected a file as save_pretrained "
            f"writes it. Save the model again."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path} holds a {type(content).__name__}. Expected a JSON object. Save "
            f"the model again."
        )
    return content


def require_in_folder(path: Path, folder: Path) -> None:
    """Refuse a file that links out of its folder.

    Raises:
        ModelError: The file is outside the folder.
    """
    try:
        require_inside(path, folder)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be used: {error}. Expected a file of the folder itself. "
            f"Copy the file into the folder."
        ) from error


def _require_harmless_values(
    folder: Path, name: str, config: Mapping[str, Any]
) -> None:
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
    """Say whether a configuration names an existing file outside the folder.

    Published tokenizers often name a file on their maker's disk; it does not exist.
    """
    if not isinstance(value, str) or not os.path.exists(folder / value):
        return False
    try:
        require_inside(folder / value, folder)
    except (OSError, ValueError):
        return True
    return False


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value; reading the JSON has bounded the nesting."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _require_bounded(folder: Path, tokenizer: Mapping[str, Any]) -> None:
    """Refuse rules that together make a text too long."""
    growth = 1.0
    for part in ("normalizer", "pre_tokenizer"):
        for step in _steps(tokenizer.get(part)):
            growth *= _growth_of(step)
    if growth > MOST_GROWTH:
        raise ModelError(
            f"{folder} has a tokenizer whose rules turn one letter into up to "
            f"{growth:.3g}. Expected at most {MOST_GROWTH}. Fetch the tokenizer that "
            f"belongs to the model."
        )


def _steps(rule: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(rule, Mapping):
        return
    yield rule
    for key in ("normalizers", "pretokenizers"):
        for inner in rule.get(key) or () if isinstance(rule.get(key), list) else ():
            yield from _steps(inner)


def _growth_of(step: Mapping[str, Any]) -> float:
    """Bound how many letters a rule makes from one."""
    if step.get("type") != "Replace":
        return 1.0
    content, pattern = str(step.get("content", "")), step.get("pattern")
    literal = pattern.get("String") if isinstance(pattern, Mapping) else None
    # A regular expression may match between any two letters.
    if not literal:
        return 1.0 + len(content)
    return max(1.0, len(content) / max(1, len(str(literal))))

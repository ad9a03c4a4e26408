"""What a model's weights are, told without loading them: the part of a content key."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.errors import ModelError
from probes.tasks import Checkpoint, Construction, ModelCard, Untrained, canonical

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
TEXTS = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "vocab.json",
    "merges.txt",
)


def fingerprint(model: ModelCard) -> Any:
    """Describe the content of the weights and the tokenizer, as JSON.

    Raises:
        ModelError: The folder is no model.
    """
    weights = model.weights
    if isinstance(weights, Construction):
        return canonical(weights)
    if isinstance(weights, Untrained):
        folder = resolve(weights.of)
        return {"untrained": _content(folder, TEXTS), "seed": weights.seed}
    return {"checkpoint": _content(resolve(weights), (*TEXTS, *WEIGHTS))}


@lru_cache(maxsize=64)
def resolve(checkpoint: Checkpoint) -> Path:
    """Find the local folder of a checkpoint, fetching it from the Hub if it is an id.

    Raises:
        ModelError: There is no such folder, and the Hub has no such model.
    """
    path = Path(checkpoint.location)
    if path.is_absolute():
        if not (path / "config.json").is_file():
            raise ModelError(
                f"{path} is no Hugging Face model: it has no config.json. Expected a "
                f"folder with config.json, tokenizer files and *.safetensors. Check "
                f"the path."
            )
        return path
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                checkpoint.location,
                revision=checkpoint.revision,
                allow_patterns=[*WEIGHTS, *TEXTS, "generation_config.json"],
            )
        )
    except Exception as error:  # the Hub's client raises many kinds
        raise ModelError(
            f"The Hub did not give the model {checkpoint.location!r} at revision "
            f"{checkpoint.revision!r}: {type(error).__name__}. Expected a public model "
            f"and a network, or a local folder. Pass --models PATH."
        ) from error


def _content(folder: Path, patterns: tuple[str, ...]) -> list[list[str]]:
    files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    stamps = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [[path.name, _hash(path, size, time)] for path, size, time in stamps]


@lru_cache(maxsize=1024)
def _hash(path: Path, size: int, time: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:32]

"""Fingerprint a model's weights without loading them, as part of a content key."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.cards import (
    Checkpoint,
    Construction,
    Learned,
    ModelCard,
    Untrained,
)
from probes.errors import ModelError, near_folders
from probes.hashing import canonical
from probes.models.files.converted_models import fetched_folder
from probes.models.files.packaged_checkpoint import PackagedCheckpoint

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
TEXTS = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "chat_template*",
)


def fingerprint(model: ModelCard) -> Any:
    """Describe the content of the weights and the tokenizer, as JSON.

    Raises:
        ModelError: The folder holds no model.
    """
    weights = model.weights
    if isinstance(weights, Construction):
        return canonical(weights)
    if isinstance(weights, Untrained):
        reads_weights = weights.keeps_trained_parts
        files = (*TEXTS, *WEIGHTS) if reads_weights else TEXTS
        content: dict[str, Any] = {
            "untrained": _content(_folder(weights.of), files),
            "seed": weights.seed,
        }
        return {**content, "keeps": weights.keeps} if reads_weights else content
    return {"checkpoint": _content(_folder(weights), (*TEXTS, *WEIGHTS))}


def _folder(source: Checkpoint | Learned) -> Path:
    return (
        Path(source.location) if isinstance(source, Learned) else local_folder(source)
    )


@lru_cache(maxsize=64)
def local_folder(checkpoint: Checkpoint) -> Path:
    """Find the local folder of a checkpoint; download the checkpoint of a Hub id.

    Raises:
        ModelError: There is no such folder, the Hub has no such model, or packages
            carry it and it has not been fetched.
    """
    if isinstance(checkpoint, PackagedCheckpoint):
        return fetched_folder(checkpoint)
    path = Path(checkpoint.location)
    if path.is_absolute():
        if not (path / "config.json").is_file():
            raise ModelError(
                f"{path} is not a Hugging Face model: it has no config.json. Expected "
                f"a folder with config.json, tokenizer files and *.safetensors. Check "
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
            f"There is no local folder {checkpoint.location!r}, and the Hub returned "
            f"no model of that name at revision {checkpoint.revision!r}: "
            f"{type(error).__name__}. Expected a folder, or a public model and a "
            f"network. {near_folders(path) or 'Check the spelling.'}"
        ) from error


def _content(folder: Path, patterns: tuple[str, ...]) -> list[list[str]]:
    files = _files(folder, patterns, folder.stat().st_mtime_ns)
    stamps = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [[stamp[0].name, file_hash(*stamp)[:32]] for stamp in stamps]


@lru_cache(maxsize=1024)
def _files(folder: Path, patterns: tuple[str, ...], time: int) -> list[Path]:
    """List a folder's files; the list is cached until the folder's time changes.

    A plan asks thousands of times, and matching patterns would dominate its cost. The
    time changes when a file appears or disappears.
    """
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


@lru_cache(maxsize=1024)
def file_hash(path: Path, size: int, time: int) -> str:
    """Compute a file's SHA-256; the hash is cached while size and time are the same."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

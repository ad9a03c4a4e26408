"""What a model's weights are, told without loading them: the part of a content key."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, Construction, Learned, ModelCard, Untrained
from probes.errors import ModelError, near_folders
from probes.hashing import canonical

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
        folder, keeps = _folder(weights.of), weights.keeps
        files = TEXTS if keeps == "nothing" else (*TEXTS, *WEIGHTS)
        content = {"untrained": _content(folder, files), "seed": weights.seed}
        return content if keeps == "nothing" else {**content, "keeps": keeps}
    return {"checkpoint": _content(_folder(weights), (*TEXTS, *WEIGHTS))}


def _folder(source: Checkpoint | Learned) -> Path:
    return Path(source.location) if isinstance(source, Learned) else resolve(source)


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
            f"There is no local folder {checkpoint.location!r}, and the Hub did not "
            f"give a model of that name at revision {checkpoint.revision!r}: "
            f"{type(error).__name__}. Expected a folder, or a public model and a "
            f"network. {near_folders(path) or 'Check the spelling.'}"
        ) from error


def _content(folder: Path, patterns: tuple[str, ...]) -> list[list[str]]:
    files = _files(folder, patterns, folder.stat().st_mtime_ns)
    stamps = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [[stamp[0].name, file_hash(*stamp)[:32]] for stamp in stamps]


@lru_cache(maxsize=1024)
def _files(folder: Path, patterns: tuple[str, ...], time: int) -> list[Path]:
    """List a folder's files, remembered until one comes or goes, which moves its time.

    A plan asks thousands of times, and matching patterns takes longer than all else.
    """
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


@lru_cache(maxsize=1024)
def file_hash(path: Path, size: int, time: int) -> str:
    """Hash a file: its SHA-256, remembered while its size and time stay the same."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

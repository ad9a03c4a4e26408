"""Read a checkpoint's tokenizer without its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, ModelCard
from probes.data.tokenization import Tokenizer
from probes.errors import ModelError, OptionError
from probes.models.causal_lm.context_length import context_length
from probes.models.causal_lm.loading_checks import first_sentence
from probes.models.files.fingerprint import local_folder
from probes.models.files.untrusted_config import require_harmless
from probes.models.quiet_transformers import quiet_transformers


@dataclass(frozen=True, kw_only=True)
class PromptModel:
    """What prompts depend on of a model (a ``prompt_encoding.TextModel``)."""

    tokenizer: Tokenizer
    context: int


def prompt_model(card: ModelCard) -> PromptModel:
    """Read the tokenizer and the longest input of a language model.

    Raises:
        OptionError: It is no language model.
        ModelError: Its folder cannot be used.
    """
    source = card.architecture_source
    if not isinstance(source, Checkpoint):
        raise OptionError(
            f"{card.name} answers regression tasks, which have no prompts. Expected a "
            f"language model. Name another one; pytest claims/ --list-models lists "
            f"them."
        )
    folder = local_folder(source)
    require_harmless(folder)
    try:
        config = quiet_transformers().AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        tokenizer = read_tokenizer(folder)
    except Exception as error:  # transformers raises many kinds
        raise ModelError(
            f"{folder} has no tokenizer that can be read: {first_sentence(error)} "
            f"Expected config.json and tokenizer files. Save the model again."
        ) from error
    return PromptModel(tokenizer=tokenizer, context=context_length(config))


def read_tokenizer(folder: Path) -> Any:
    """Read the tokenizer of a folder; none of its code runs."""
    return quiet_transformers().AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )

"""How large a request's model and prompts are, read without loading either.

Only the tokenizer's and the configuration's files are opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, DatasetCard, ModelCard
from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.shown_subsets import number_shown, sets_of_each
from probes.data.text_tasks import draw_text
from probes.models.files.fingerprint import local_folder
from probes.models.files.untrusted_config import LAYER_KEYS, read_json_object
from probes.models.parameter_count import n_parameters
from probes.observations.learner_cost import PromptSizes
from probes.observations.request import Request


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """How large a model is.

    Attributes:
        total: Parameters.
        head: Those of the output embeddings; 0 if no file tells.
        layers: Those in the layers, which every token goes through.
        n_layers: Layers; 1 if no file tells.
    """

    total: int
    head: int = 0
    layers: int
    n_layers: int = 1

    @classmethod
    def of(cls, total: int, config: Mapping[str, Any]) -> ModelSize:
        """Read the sizes of a model from its ``config.json``."""
        config = config.get("text_config", config)
        width = config.get("hidden_size") or config.get("n_embd") or 0
        head = int(width * config.get("vocab_size", 0))
        embeddings = head if config.get("tie_word_embeddings", True) else 2 * head
        n_layers = next((config[key] for key in LAYER_KEYS if config.get(key)), 1)
        if embeddings >= total:
            head = embeddings = 0
        layers = total - embeddings
        return cls(total=total, head=head, layers=layers, n_layers=int(n_layers))


def model_size_of(model: ModelCard) -> ModelSize | None:
    """Read how large a language model is; None if no local file tells.

    Raises:
        ModelError: A local file is unreadable.
    """
    total = n_parameters(model)
    if total is None or _tokenizer_file(model) is None:
        return None
    return ModelSize.of(total, _config_of(model))


def sizes_of(request: Request) -> tuple[ModelSize, PromptSizes] | None:
    """Count the model's parameters and the tokens of its prompts.

    Returns:
        Both; None for regression tasks, and for models whose size or tokenizer no local
        file tells.

    Raises:
        ProbesError: A local file or the rows cannot be read.
    """
    if not request.model.answers_text:
        return None
    size = model_size_of(request.model)
    sizes = _prompt_sizes(
        request.model, request.dataset, request.n_demonstrations, request.settings
    )
    if size is None or sizes is None:
        return None
    if request.queries == "calibration":
        sizes = replace(sizes, n_queries=sizes.n_calibration)
    if request.queries in ("demonstrated", "reversed"):
        sizes = replace(sizes, n_queries=sizes.n_demonstrations)
    sizes = _in_view(sizes, request)
    return size, replace(sizes, n_layers=size.n_layers)


def _in_view(sizes: PromptSizes, request: Request) -> PromptSizes:
    """Count only the demonstrations that are shown, in every set that is made."""
    n_shown = number_shown(request.shown, sizes.n_demonstrations)
    return replace(
        sizes,
        n_sets=sizes.n_sets * sets_of_each(request.shown, sizes.n_demonstrations),
        n_demonstrations=n_shown,
        demonstration_tokens=sizes.demonstration_tokens
        * n_shown
        / sizes.n_demonstrations,
    )


@lru_cache(maxsize=256)
def _prompt_sizes(
    model: ModelCard, dataset: DatasetCard, n_demonstrations: int, settings: Settings
) -> PromptSizes | None:
    """Tokenise the texts of a cell with the tokenizer alone."""
    from tokenizers import Tokenizer

    file = _tokenizer_file(model)
    if file is None:
        return None
    rows = read_rows(dataset, settings.data_dir)
    task = draw_text(rows, settings, n_demonstrations=n_demonstrations)
    tokenizer = Tokenizer.from_file(str(file))

    def mean(texts: list[str]) -> float:
        encoded = tokenizer.encode_batch(texts)
        return sum(len(e.ids) for e in encoded) / len(encoded)

    separator = task.description.separator
    shown = [
        separator.join(e.ask + e.answer for e in examples)
        for examples in task.demonstrations
    ]
    return PromptSizes(
        n_sets=settings.n_sets,
        n_queries=settings.n_queries,
        n_calibration=settings.n_calibration,
        n_demonstrations=n_demonstrations,
        demonstration_tokens=mean(shown),
        query_tokens=mean([e.ask for e in task.queries[0]]),
    )


def _tokenizer_file(model: ModelCard) -> Path | None:
    source = model.architecture_source
    if not isinstance(source, Checkpoint):
        return None
    file = local_folder(source) / "tokenizer.json"
    return file if file.is_file() else None


@lru_cache(maxsize=64)
def _config_of(model: ModelCard) -> Mapping[str, Any]:
    source = model.architecture_source
    assert isinstance(source, Checkpoint)  # it has a tokenizer's file
    return read_json_object(local_folder(source) / "config.json")

"""Which cells a run has: its models, datasets and numbers of demonstrations."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from probes.cards import (
    Checkpoint,
    DatasetCard,
    GridSize,
    ModelCard,
    TextRows,
)
from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.data.record_files import KINDS, SUFFIXES
from probes.data.right_answers import description_beside
from probes.errors import OptionError, UnknownNameError
from probes.models.files.converted_models import fetched_folder
from probes.models.files.gguf_conversion import converted_checkpoint
from probes.models.files.packaged_checkpoint import PackagedCheckpoint
from probes.models.untrained import UNTRAINED_PREFIXES, untrained_model
from probes.registry import Registry
from probes.run.named_cards import cards_named, entries_of, identifier_for
from probes.run.setups import Setup

MODELS: Registry[ModelCard] = Registry("model")
DATASETS: Registry[DatasetCard] = Registry("dataset")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The models, datasets and numbers of demonstrations of a run.

    Attributes:
        models: The models that are judged.
        datasets: The datasets that they are judged on.
        demonstrations: Numbers of demonstrations; empty takes each dataset's own.
        settings: The sizes of every cell.
        size: "default", or "full" with every variant and number of demonstrations.
        setup: The published set-up that names claims and their variants; None judges
            every claim with the variants of ``size``.
    """

    models: tuple[ModelCard, ...]
    datasets: tuple[DatasetCard, ...]
    demonstrations: tuple[int, ...]
    settings: Settings
    size: GridSize = "default"
    setup: Setup | None = None

    @property
    def can_exist(self) -> bool:
        """Whether at least one model can read at least one dataset."""
        return any(m.answers(d) for m in self.models for d in self.datasets)

    def no_cell(self, claims: Iterable[str] = ()) -> str:
        """Say why no claim has a cell.

        Args:
            claims: Names of the claims that were chosen, if they are known.
        """
        if self.can_exist:
            models = ", ".join(m.name for m in self.models)
            datasets = ", ".join(d.name for d in self.datasets)
            names = ", ".join(dict.fromkeys(claims)) or "the claims chosen"
            return (
                f"No cell is left: {names} cannot be asked of {models} on {datasets}. "
                f"Expected a claim about such a pair; some need a closed set of "
                f"labels, or tasks that can be reversed. Pass other --models or "
                f"--datasets, or choose other claims: --list-claims describes them."
            )
        models = ", ".join(f"{m.name} reads {m.language}" for m in self.models)
        datasets = ", ".join(f"{d.name} is {d.language}" for d in self.datasets)
        return (
            f"No cell can exist: {models}; {datasets}. Expected a model that reads "
            f"the language of a dataset, and a claim about such a pair. Pass other "
            f"--models or --datasets, or other claims."
        )

    def cells(self, claim: ClaimCard) -> list[Cell]:
        """List the cells of a claim, for the models and datasets that it applies to.

        A claim that is not among those of the set-up has none.
        """
        chosen = self.setup.claim_named(claim.name) if self.setup else None
        if self.setup and chosen is None:
            return []
        named = chosen.variants if chosen else ()
        numbers = (chosen.demonstrations if chosen else ()) or self.demonstrations
        return [
            Cell(
                model=model,
                dataset=dataset,
                n_demonstrations=n,
                settings=self.settings,
                variant=variant,
                nearest_in=claim.nearest_by,
            )
            for model in self.models
            for dataset in self.datasets
            if claim.applies_to(model, dataset)
            for n in numbers or dataset.demonstrations_of(self.size)
            if n >= claim.least_demonstrations
            for variant in claim.variants_of(self.size, dataset, named)
        ]


def parse_models(text: str | None) -> tuple[ModelCard, ...]:
    """Read ``--models``.

    Args:
        text: Names separated by commas, each perhaps as alias=name; None for every
            model that ships.

    Raises:
        UnknownNameError: A name is not that of a model.
        OptionError: A name cannot be used.
        ModelError: A model has not been fetched, or a GGUF file cannot be converted.
    """
    if text is None:
        return tuple(card for card in MODELS if card.shipped)
    named = cards_named(text, "--models", registered=MODELS, find=model_named)
    return tuple(replace(card, default_claims=()) for card in named)


def model_named(name: str) -> ModelCard:
    """Find a model: registered, untrained, a folder, a GGUF file or a Hub id.

    Raises:
        UnknownNameError: It is none of these.
        OptionError: The untrained model cannot be made.
        ModelError: It has not been fetched, or the GGUF file cannot be converted.
    """
    for keeps, prefix in UNTRAINED_PREFIXES.items():
        if name.startswith(f"{prefix}:"):
            of = model_named(name.removeprefix(f"{prefix}:"))
            return untrained_model(of, keeps=keeps)
    if name in MODELS:
        card = MODELS.get(name)
        if isinstance(card.weights, PackagedCheckpoint):
            fetched_folder(card.weights)  # raises before anything is measured
        return card
    folder = _path_of(name)
    if os.path.isdir(folder):
        location = str(folder.resolve())
        return _any_model(folder.resolve().name, Checkpoint(location=location), name)
    if folder.suffix.lower() == ".gguf":
        return _any_model(folder.stem, converted_checkpoint(folder), name)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        hub_id, _, revision = name.partition("@")
        source = Checkpoint(location=hub_id, revision=revision or "main")
        return _any_model(name.partition("/")[2], source, name)
    if "/" in name or name.startswith((".", "~")):
        raise UnknownNameError.of_folder("model", folder)
    raise UnknownNameError.of("model", name, (card.name for card in MODELS))


def _path_of(name: str) -> Path:
    """Read a name as a path.

    Callers ask ``os.path`` about it, which never raises; methods of ``Path`` may.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError:  # there is no such user
        return Path(name)


def _any_model(short: str, weights: Checkpoint, given: str) -> ModelCard:
    return ModelCard(
        name=identifier_for(short, given, MODELS),
        kind="pretrained",
        family="text",
        summary=f"Given as {given}.",
        weights=weights,
    )


def parse_datasets(
    text: str | None, size: GridSize = "default"
) -> tuple[DatasetCard, ...]:
    """Read ``--datasets``.

    Args:
        text: Names separated by commas, each perhaps as alias=name; None for every
            dataset that ships.
        size: The grid; the full one has more datasets.

    Raises:
        UnknownNameError: A name is neither registered nor a file nor a folder.
        OptionError: A file does not exist.
    """
    if text is None:
        shipped = (card for card in DATASETS if card.shipped)
        return tuple(c for c in shipped if size == "full" or not c.full_only)
    return cards_named(text, "--datasets", registered=DATASETS, find=dataset_named)


def dataset_named(name: str) -> DatasetCard:
    """Find a dataset: registered, or a file or folder of rows.

    Raises:
        UnknownNameError: It is none of these.
        OptionError: It names a file that does not exist.
    """
    if name in DATASETS:
        return DATASETS.get(name)
    path = _path_of(name)
    if path.suffix in SUFFIXES and not os.path.exists(path):
        raise OptionError(
            f"--datasets has {name!r}, but there is no such file. Expected a file of "
            f"rows ({KINDS}), or a folder with train and test files. Check the path."
        )
    if os.path.isfile(path) and path.suffix not in SUFFIXES:
        raise OptionError(
            f"--datasets has {name!r}, whose rows are of no known kind. Expected "
            f"{KINDS}, or a folder with train and test files. Save the rows as one of "
            f"these; a file that is one needs the ending."
        )
    if os.path.isdir(path) or path.suffix in SUFFIXES:
        full = path.resolve()
        described = description_beside(full)
        return DatasetCard(
            name=identifier_for(full.stem, name, DATASETS),
            family="text",
            summary=f"Given as {name}.",
            rows=TextRows(
                location=str(full),
                answers=described.answers,
                reversible=bool(described.reversed),
            ),
        )
    raise UnknownNameError.of("dataset", name, (card.name for card in DATASETS))


def parse_demonstrations(text: str | None) -> tuple[int, ...]:
    """Read ``--demos``.

    Args:
        text: Numbers of at least 1, separated by commas; None for none.

    Raises:
        OptionError: A part of the text is no such number.
    """
    if text is None:
        return ()
    numbers = []
    for part in entries_of(text, "--demos"):
        if not part.isdecimal() or len(part) > 9 or int(part) < 1:
            raise OptionError(
                f"--demos has {part!r}. Expected numbers of demonstrations of at least "
                f"1, separated by commas. Pass for instance --demos 1,2,4,8."
            )
        numbers.append(int(part))
    return tuple(dict.fromkeys(numbers))

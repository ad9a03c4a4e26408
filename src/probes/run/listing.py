"""The lists that ``--list-claims``, ``--list-models`` and their like print."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from probes.cards import DatasetCard, ModelCard
from probes.claims import ClaimCard
from probes.data.label_counts import count_labels, label_count_lines
from probes.errors import ClaimError, ProbesError
from probes.models.parameter_count import describe_size
from probes.run.grid import DATASETS, MODELS
from probes.run.option_help import options_in_full
from probes.run.parsed_options import datasets_of
from probes.run.setups import SETUPS, describe_setup

INDENT = " " * 4
MANY = 99
"""A highest number of layers from which on a claim means any number."""

LIST_OPTIONS = {
    "--help-all": "explain every option of a run in full and stop",
    "--list-claims": "print the catalogue of claims and stop",
    "--list-models": "print the registered models and stop",
    "--list-datasets": "print the registered datasets and stop; with --datasets, those "
    "and how many rows of each label they have",
    "--list-setups": "print the set-ups of published studies and stop: what each sets, "
    "and what it leaves open",
}


def listing(asked: str, places: Sequence[str], option: Any) -> str:
    """Write the list that an option asks for.

    Args:
        asked: One of ``LIST_OPTIONS``.
        places: The files and folders given on the command line, for claims.
        option: Parsed options: ``--datasets`` narrows its list, and counts rows;
            ``--template`` chooses how they are read.

    Raises:
        ProbesError: A dataset or a file of claims cannot be read.
    """
    if asked == "--help-all":
        return options_in_full()
    if asked == "--list-setups":
        return "\n".join(map(describe_setup, SETUPS))
    if asked == "--list-models":
        return "\n".join(map(_model, MODELS))
    if asked == "--list-datasets":
        if not option.datasets:
            return "\n".join(map(_dataset, DATASETS))
        given = datasets_of(option)
        return "\n".join(_counted(card, option.data_dir) for card in given)
    return "\n".join(_described(card) for card in find_claims(places))


def _model(card: ModelCard) -> str:
    ships = ", ships" if card.shipped else ""
    return (
        f"{card.name}  ({card.kind}, {card.family}{ships}; {describe_size(card)})\n"
        f"{INDENT}{card.summary}"
    )


def _dataset(card: DatasetCard) -> str:
    demonstrations = ", ".join(map(str, card.demonstrations))
    ships = ", ships" if card.shipped else ""
    full = ", with --grid full" if card.full_only else ""
    return (
        f"{card.name}  ({card.family}{ships}{full}; demonstrations {demonstrations}"
        f"{_templates(card)})\n{INDENT}{card.summary}"
    )


def _templates(card: DatasetCard) -> str:
    """Name the present template, and the others that ``--template`` may choose."""
    present, *others = card.templates or ("",)
    if not present:
        return ""
    return f"; template {' or '.join([present, *others])}"


def _counted(card: DatasetCard, data_dir: str | None) -> str:
    found = count_labels(card, data_dir)
    lines = [] if found is None else label_count_lines(card.name, found)
    return "\n".join([_dataset(card), *(INDENT + line for line in lines)])


def _described(card: ClaimCard) -> str:
    named = card.name + (f" [{', '.join(card.variants)}]" if card.variants else "")
    gated = "; where demonstrations teach the model" if card.needs_icl else ""
    layers = "" if card.layers is None else f"; {_layers(*card.layers)}"
    identity = "; an identity, true of any network" if card.identity else ""
    least = (
        f"; from {card.least_demonstrations} demonstrations on"
        if card.least_demonstrations > 1
        else ""
    )
    more = ", ".join(card.full_variants)
    full = f"\n{INDENT}With --grid full also: {more}" if more else ""
    return (
        f"{named}\n{INDENT}{card.sentence}\n{INDENT}Source: {card.source}\n"
        f"{INDENT}On: {card.on}{layers}{least}{gated}{identity}{full}"
    )


def _layers(least: int, most: int) -> str:
    noun = "layer" if least == 1 else "layers"
    if least == most:
        return f"{least} {noun}"
    return f"{least} {noun} or more" if most >= MANY else f"{least} to {most} layers"


def find_claims(places: Sequence[str]) -> list[ClaimCard]:
    """Import the test files under some paths and gather their claims.

    Raises:
        ClaimError: A file cannot be imported.
    """
    claims: dict[str, ClaimCard] = {}
    for path in _test_files(places):
        for value in vars(_imported(path)).values():
            card = getattr(value, "claim", None)
            if isinstance(card, ClaimCard):
                claims[card.name] = card
    return list(claims.values())


def find_claim(path: Path, name: str, places: Sequence[str]) -> ClaimCard | None:
    """Find a claim by name in its file; None if the file cannot be imported.

    Args:
        path: The file, as in the test's id.
        name: The claim.
        places: The paths on the command line. The id of a test outside the root names
            no path.
    """
    try:
        cards = find_claims([str(path)] if path.exists() else places)
    except ProbesError:
        return None
    return next((card for card in cards if card.name == name), None)


def _test_files(places: Iterable[str]) -> list[Path]:
    paths = [Path(place.partition("::")[0]) for place in places]
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    return files


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_claims_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a file of claims may raise
        raise ClaimError(
            f"{path} cannot be imported: {type(error).__name__}: {error}. Expected a "
            f"file of claims. Fix it; pytest {path} shows where."
        ) from error
    return module


def listed_option(option: Any, names: Iterable[str]) -> str | None:
    """Return the first list option that is set."""
    for name in names:
        if getattr(option, name.lstrip("-").replace("-", "_")):
            return name
    return None

"""Fetch models that packages carry, or list them.

A run never downloads a package: a model that it needs and that has not been fetched is
an error. Fetched models are kept in the folder that the environment variable
PROBES_MODELS names, by default in probes/models of the user's cache.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

from probes.cards import ModelCard
from probes.errors import OptionError
from probes.models.fetching import fetch_model
from probes.models.files.converted_models import (
    converted_folder,
    converted_models,
    is_converted,
)
from probes.models.files.packaged_checkpoint import PackagedCheckpoint
from probes.models.parameter_count import describe_size
from probes.run.grid import MODELS

REGISTERED = "probes_fixtures.models"
"""The module that registers the models."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``probes models``."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "print each model that packages carry, and whether it has been fetched"
    listed = actions.add_parser("list", help=text, description=text)
    listed.set_defaults(do=_list)
    text = "download a model's packages, check them and convert the model"
    fetch = actions.add_parser("fetch", help=text, description=text)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="a registered model")
    fetch.set_defaults(do=_fetch)


def run(given: argparse.Namespace) -> int:
    """Do what the command line names.

    Raises:
        ProbesError: A name is not that of a packaged model, or it cannot be fetched.
    """
    given.do(given)
    return 0


def _list(given: argparse.Namespace) -> None:
    for card, source in packaged_models():
        has = is_converted(source.sha256)
        print(f"{card.name}  ({'fetched' if has else 'not fetched'})")
        print("\n".join(f"    {line}" for line in _facts(card, source)))
    print(f"Fetched models are kept in {converted_models()}")


def _fetch(given: argparse.Namespace) -> None:
    packaged = {card.name: (card, source) for card, source in packaged_models()}
    for name in given.names:
        if name not in packaged:
            card = MODELS.get(name)  # raises if there is no such model
            raise OptionError(
                f"{card.name} is not fetched from packages: {card.summary} Expected "
                f"one of: {', '.join(packaged)}. Pass its name to --models as it is."
            )
    for name in given.names:
        card, source = packaged[name]
        print("\n    ".join([name, *_facts(card, source)]), flush=True)
        fetch_model(source, lambda line: print(line, flush=True))


def packaged_models() -> Iterator[tuple[ModelCard, PackagedCheckpoint]]:
    """Yield each registered model that packages carry, and its packages."""
    importlib.import_module(REGISTERED)
    for card in MODELS:
        if isinstance(card.weights, PackagedCheckpoint):
            yield card, card.weights


def _facts(card: ModelCard, source: PackagedCheckpoint) -> list[str]:
    packages = ", ".join(part.package for part in source.parts)
    return [
        card.summary,
        f"licence: {source.licence}",
        f"size: {describe_size(card)}, {source.n_bytes / 1e6:.0f} MB to download, "
        f"{4 * (card.n_parameters or 0) / 1e6:.0f} MB once converted",
        f"quantisation: {source.quantisation}; a run uses the de-quantised weights",
        f"from: {packages}",
        f"folder: {converted_folder(source.sha256)}",
    ]

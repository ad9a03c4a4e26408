"""Show one prompt of a run, token by token, and the answers that are scored.

The prompt is the one that a run with the same sizes and seed asks. Only the tokenizer
is read. Places are counted from 0, sets and queries from 1.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import replace

from probes.cards import DatasetCard, TextRows
from probes.cell import Settings
from probes.data.chat import chat_description
from probes.data.datasets import read_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.prompt_listing import prompt_lines
from probes.data.text_tasks import draw_text
from probes.errors import OptionError
from probes.run.grid import dataset_named, model_named

REGISTERED = ("probes_fixtures.models", "probes_fixtures.datasets")
"""The modules that register models and datasets."""
DEFAULTS = Settings()
SIZES = {
    "--sets": (DEFAULTS.n_sets, "demonstration sets of the run"),
    "--queries": (DEFAULTS.n_queries, "queries of the run after each set"),
    "--calibration": (DEFAULTS.n_calibration, "calibration queries of the run"),
    "--seed": (DEFAULTS.seed, "seed of the run"),
    "--set": (1, "which set is shown"),
    "--query": (1, "which query is shown"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes prompt``."""
    parser.add_argument("model", metavar="MODEL", help="as --models takes it")
    parser.add_argument("dataset", metavar="DATASET", help="as --datasets takes it")
    parser.add_argument(
        "--demos",
        type=int,
        metavar="N",
        help="demonstrations before the query (default: the dataset's first number)",
    )
    parser.add_argument(
        "--template", metavar="NAME", help="as of a run (default: the dataset's own)"
    )
    parser.add_argument(
        "--chat", action="store_true", help="write the prompt as a chat, as in a run"
    )
    parser.add_argument("--data-dir", metavar="FOLDER", help="as of a run")
    for name, (default, text) in SIZES.items():
        parser.add_argument(
            name,
            type=int,
            default=default,
            metavar="N",
            help=f"{text} (default: {default})",
        )


def run(given: argparse.Namespace) -> int:
    """Print the prompt that the command line names.

    Raises:
        ProbesError: A name is not known, or the prompt cannot be made.
    """
    from probes.models.causal_lm.tokenizers import prompt_model

    for module in REGISTERED:
        importlib.import_module(module)
    model, dataset = model_named(given.model), _dataset(given)
    n_demonstrations = given.demos or dataset.demonstrations[0]
    settings = Settings(
        n_sets=given.sets,
        n_queries=given.queries,
        n_calibration=given.calibration,
        seed=given.seed,
    )
    rows, read = read_rows(dataset, given.data_dir), prompt_model(model)
    if given.chat:
        chat = chat_description(rows.description, read.tokenizer)
        rows = replace(rows, description=chat)
    task = draw_text(rows, settings, n_demonstrations=n_demonstrations)
    prompts = EncodedPrompts.of(read, task)
    print(f"{model.name} on {dataset.name}, {n_demonstrations} demonstrations")
    print("\n".join(prompt_lines(prompts, given.set - 1, given.query - 1)))
    return 0


def _dataset(given: argparse.Namespace) -> DatasetCard:
    """Find the dataset, with the template that was asked for."""
    card = dataset_named(given.dataset)
    if not isinstance(card.rows, TextRows):
        raise OptionError(
            f"{card.name} has regression tasks, which have no prompts. Expected rows "
            f"of text. Name another dataset; pytest claims/ --list-datasets lists them."
        )
    if given.template and given.template not in card.templates:
        known = ", ".join(card.templates) or "none that has a name"
        raise OptionError(
            f"--template is {given.template!r}. Expected one of {card.name}'s: "
            f"{known}. Pass one of these, or leave it out."
        )
    return card.with_template(given.template) if given.template else card

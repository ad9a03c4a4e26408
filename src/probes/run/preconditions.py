"""What a run needs of its machine and its models, checked before anything is measured.

Options alone are checked where they are parsed.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, ModelCard, TextRows, Untrained
from probes.data.chat import chat_description
from probes.data.datasets import read_rows
from probes.data.template import Description
from probes.errors import DataError, OptionError
from probes.models.causal_lm.loading_checks import require_plain_decoder
from probes.models.files.fingerprint import local_folder
from probes.models.files.safetensors_headers import require_loadable
from probes.models.runtime.devices import require_device
from probes.run.grid import Grid


def require_needs(grid: Grid, option: Any, reports: Path) -> None:
    """Refuse a run whose device, models, datasets or report cannot be had.

    Args:
        grid: Its models, datasets and settings.
        option: Parsed options.
        reports: The folder of its report.

    Raises:
        ProbesError: One of them cannot be used; the message says which.
    """
    is_elsewhere = str(option.engine or "").startswith("ray") and not option.plan
    require_device(grid.settings.device, is_here=not is_elsewhere)
    for dataset in grid.datasets if option.datasets else ():
        if isinstance(dataset.rows, TextRows):
            read_rows(dataset, grid.settings.data_dir)
    for model in grid.models:
        require_model_files(model)
        if grid.settings.chat and model.answers_text:
            require_chat(model)
    if not (option.plan or option.shard or option.collectonly):
        require_writable(reports, "--reports")


def require_model_files(card: ModelCard) -> None:
    """Refuse a language model whose folder cannot be loaded; nothing is loaded.

    Raises:
        ModelError: The folder is missing or incomplete, or packages or the Hub carry
            the model and it cannot be had.
    """
    source, weights = card.architecture_source, card.weights
    if not isinstance(source, Checkpoint):
        return
    is_random = isinstance(weights, Untrained) and not weights.keeps_trained_parts
    folder = local_folder(source)
    require_loadable(folder, needs_weights=not is_random)
    require_plain_decoder(folder)


def require_chat(card: ModelCard) -> None:
    """Refuse a language model whose tokenizer cannot write a chat.

    Raises:
        OptionError: It has no chat template, or one whose turns depend on their place.
    """
    from probes.models.causal_lm.tokenizers import prompt_model

    try:
        chat_description(Description(), prompt_model(card).tokenizer)
    except DataError as error:
        raise OptionError(f"--chat cannot be used with {card.name}. {error}") from error


def require_writable(folder: Path, option: str) -> None:
    """Refuse a folder in which no file can be written; leave no trace.

    Args:
        folder: The folder, which need not exist.
        option: The option that names it, for the message.

    Raises:
        OptionError: It cannot be made, or no file in it.
    """
    made: list[Path] = []
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OptionError(
            f"{option} is {str(folder)!r}, where nothing can be written: "
            f"{error.strerror or error}. Expected a folder of yours with room. Pass "
            f"{option} FOLDER with another one."
        ) from error
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()

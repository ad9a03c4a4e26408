"""Rows from the Hugging Face Hub, with the extra ``hub``. Never runs remote code."""

from __future__ import annotations

from typing import Any

from probes.cards import TextRows
from probes.data.labelled_rows import LabelledRows, assemble
from probes.data.row_files import labelled_row
from probes.data.template import Description, read_description
from probes.errors import DataError
from probes.hashing import digest


def read_from_hub(name: str, source: TextRows) -> LabelledRows:
    """Read the train and test (or validation) split of a Hub dataset.

    Integer labels are replaced by their names in the dataset's features.

    Raises:
        DataError: The extra is not installed, or the Hub does not answer.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"The dataset {name!r} is on the Hub ({source.hub}), and the package "
            f"'datasets' is not installed. Expected a local folder or the extra 'hub'. "
            f"Pass --data-dir FOLDER, or pip install 'icl-gd-probes[hub]'."
        ) from error
    try:
        loaded = datasets.load_dataset(*source.hub.split(":"))
    except Exception as error:  # the Hub's client raises many kinds
        raise DataError(
            f"The Hub did not give {source.hub!r}: {error}. Expected a public dataset "
            f"and a network. Pass --data-dir FOLDER to read local rows."
        ) from error
    from pathlib import Path

    description, described = read_description(Path(source.location), source.description)
    test = "test" if name in ("agnews", "mr") else "validation"
    rows = {
        split: tuple(_rows(loaded[hub_split], description, hub_split))
        for split, hub_split in (("train", "train"), ("test", test))
    }
    content = [[r.fields, r.label] for split in rows.values() for r in split]
    return assemble(name, rows, description, digest([described, content]))


def _rows(split: Any, description: Description, name: str) -> Any:
    label = split.features[description.label_column]
    for number, record in enumerate(split):
        value = record[description.label_column]
        if hasattr(label, "int2str"):
            record = {**record, description.label_column: label.int2str(value)}
        record.pop("idx", None)
        yield labelled_row(record, description, f"{name} row {number}")

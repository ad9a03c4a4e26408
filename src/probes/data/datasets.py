"""Find a text dataset on disk or on the Hub, and read it once for each process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from probes.cards import DatasetCard, TextRows
from probes.data.labelled_rows import LabelledRows, assemble
from probes.data.record_files import KINDS, SUFFIXES
from probes.data.row_files import read_labelled, split_files
from probes.data.template import Description, Row, read_description
from probes.errors import DataError
from probes.hashing import digest, seed_of


def read_rows(card: DatasetCard, data_dir: str | None) -> LabelledRows:
    """Read a text dataset, once for each process.

    Args:
        card: A card whose rows are :class:`TextRows`.
        data_dir: The folder of datasets with a relative location.

    Raises:
        DataError: The dataset is missing, or a row is malformed.
    """
    assert isinstance(card.rows, TextRows)
    return _read(card.name, card.rows, data_dir)


@lru_cache(maxsize=64)
def _read(name: str, source: TextRows, data_dir: str | None) -> LabelledRows:
    path = locate(name, source, data_dir)
    if path is None:
        from probes.data.hub import read_from_hub

        return read_from_hub(name, source).without_repeats()
    description, described = read_description(path, source.description)
    _require_same_answers(name, source, description)
    train, test = split_files(path)
    rows = {
        split: tuple(read_labelled(file, description))
        for split, file in (("train", train), ("test", test))
    }
    if train == test:
        rows = _halved(rows["train"])
    parts = [
        described.encode(),
        *(p.read_bytes() for p in dict.fromkeys((train, test))),
    ]
    content = [hashlib.sha256(part).hexdigest() for part in parts]
    if source.keeps_repeats:
        return assemble(name, rows, description, digest(["repeats", *content]))
    return assemble(name, rows, description, digest(content)).without_repeats()


def locate(name: str, source: TextRows, data_dir: str | None) -> Path | None:
    """Find the folder or file of a dataset; None if it is on the Hub only.

    Raises:
        DataError: The dataset is missing and has no Hub id.
    """
    direct = Path(source.location)
    if direct.is_absolute():
        candidates = [direct]
    else:
        candidates = [Path(data_dir) / source.location] if data_dir else []
    for candidate in candidates:
        named = (Path(f"{candidate}{suffix}") for suffix in SUFFIXES)
        for path in (candidate, *named):
            if path.exists():
                return path
    if source.hub and data_dir is None:
        return None
    looked = ", ".join(str(c) for c in candidates) or "nowhere, as no folder is given"
    fix = "Pass --data-dir FOLDER, the folder that holds it."
    if direct.is_absolute():
        fix = "Check the path."
    elif source.hub:
        fix = "Check --data-dir, or omit it to read the Hub (the extra 'hub')."
    raise DataError(
        f"The dataset {name!r} was not found (looked in: {looked}). Expected a folder "
        f"with train and test files, or one file of rows ({KINDS}). {fix}"
    )


def _require_same_answers(
    name: str, source: TextRows, description: Description
) -> None:
    """Refuse a card that declares other answers than the description of its rows."""
    if source.answers != description.answers:
        raise DataError(
            f"The card of {name!r} says answers={source.answers!r}, and the "
            f"description of its rows says {description.answers!r}. Expected the same, "
            f"because claims are chosen by the card. Pass "
            f"answers={description.answers!r} to TextRows, or mend the TOML file."
        )


def _halved(rows: tuple[Row, ...]) -> dict[str, tuple[Row, ...]]:
    ranked = sorted(
        rows, key=lambda row: seed_of("halve", sorted(row.fields.items()), row.label)
    )
    middle = len(ranked) // 2
    return {"train": tuple(ranked[:middle]), "test": tuple(ranked[middle:])}

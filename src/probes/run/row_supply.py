"""Numbers of demonstrations for which a dataset has too few rows, before a run."""

from __future__ import annotations

from probes.cards import DatasetCard, TextRows
from probes.cell import Settings
from probes.data.datasets import locate, read_rows
from probes.data.text_tasks import draw_text
from probes.errors import DataError, ProbesError
from probes.run.grid import Grid


def shortage_lines(grid: Grid) -> list[str]:
    """Say which cells will be errors because no rows can be drawn for them.

    Args:
        grid: Its datasets are read as far as they are on disk and a model reads them.
    """
    cards = [d for d in grid.datasets if any(m.answers(d) for m in grid.models)]
    return [line for card in cards for line in _lines_of(card, grid)]


def row_counts(settings: Settings) -> tuple[int, int, int]:
    """Give the sizes on which it depends how many rows a cell needs."""
    return settings.n_sets, settings.n_queries, settings.n_calibration


def _lines_of(card: DatasetCard, grid: Grid) -> list[str]:
    data_dir, reasons = grid.settings.data_dir, dict[int, str]()
    if not isinstance(card.rows, TextRows):
        return []
    try:
        if locate(card.name, card.rows, data_dir) is None:
            return []
        rows = read_rows(card, data_dir)
    except ProbesError:  # its cells report it
        return []
    for n in sorted(grid.demonstrations or card.demonstrations_of(grid.size)):
        try:
            draw_text(rows, grid.settings, n_demonstrations=n)
        except DataError as error:
            reasons[n] = str(error)
    if not reasons:
        return []
    numbers = ", ".join(map(str, reasons))
    return [
        f"Warning: cells of {card.name} with {numbers} demonstrations will be errors. "
        f"{next(iter(reasons.values()))}"
    ]

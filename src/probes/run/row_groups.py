"""Which groups of rows a cell has, and of which ones its verdict speaks."""

from __future__ import annotations

from typing import Any

from probes.cards import TextRows
from probes.cell import Cell
from probes.data.datasets import read_rows
from probes.data.row_pools import groups_of
from probes.errors import OptionError, ProbesError
from probes.verdicts.group_means import Population, RowGroups


def population_of(option: Any) -> Population:
    """Read ``--new-groups`` from parsed options.

    Raises:
        OptionError: ``--long-rows drop`` may leave out whole groups.
    """
    if option.new_groups and option.long_rows == "drop":
        raise OptionError(
            "--new-groups and --long-rows drop were both given. Expected groups of "
            "rows that are the same for every model; rows that are too long may be all "
            "rows of a group. Leave out one of the two options."
        )
    return "new groups" if option.new_groups else "these groups"


def row_groups(cell: Cell, speaks_of: Population) -> RowGroups | None:
    """Count the groups of a cell's rows.

    Args:
        cell: The cell.
        speaks_of: The population of the run's verdicts.

    Returns:
        The groups; None if there are no two, if some may be left out because their rows
        are too long, or if the rows cannot be read, which the cell's test reports.
    """
    settings = cell.settings
    if not isinstance(cell.dataset.rows, TextRows) or settings.long_rows == "drop":
        return None
    try:
        n_groups = len(groups_of(read_rows(cell.dataset, settings.data_dir)))
    except ProbesError:
        return None
    return RowGroups(n_groups=n_groups, speaks_of=speaks_of) if n_groups > 1 else None

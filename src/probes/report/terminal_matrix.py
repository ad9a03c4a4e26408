"""Draw the matrix as lines of text: all of it, or folded to a line for each claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from probes.report.claim_lines import UNJUDGED, ClaimLine, lines_by_kind
from probes.report.entry_summary import summarise_entry
from probes.report.headline import models_by_kind
from probes.report.matrix import IDENTITY, Matrix, plain
from probes.report.terminal_text import columns, cut, cut_name, fold, pad

GAP = 2


def folded_block(matrix: Matrix, width: int, *, room: int) -> list[str]:
    """Draw a line for each claim, with letters and effects.

    Args:
        matrix: The rows, arranged.
        width: Columns of the terminal.
        room: The number of lines that there is room for, with the header.

    Returns:
        One column for each model if they fit, else for each kind of network. Claims
        that were judged on the first kind come first; those that do not fit are
        counted, and those that no cell judged are named.
    """
    groups = dict(lines_by_kind(matrix))
    unjudged = groups.pop(UNJUDGED, [])
    lines = [line for group in groups.values() for line in group]
    named = ", ".join(_marked(matrix, line) for line in unjudged)
    last = [cut(f"Not judged, or ≡ no evidence: {named}", width)] if unjudged else []
    most = max(1, room - 1 - len(last))
    if len(lines) > most:
        last.insert(0, f"and {len(lines) - most + 1} more claims: -v, or the page")
        lines = lines[: most - 1]
    return [*_folded_table(matrix, lines, width), *last] if lines else last


def _marked(matrix: Matrix, line: ClaimLine) -> str:
    """Name a claim, with a mark for an identity."""
    is_identity = matrix.claims[line.claims[0]].get("identity")
    return f"{IDENTITY} {plain(line.name)}" if is_identity else plain(line.name)


def _folded_table(matrix: Matrix, lines: Sequence[ClaimLine], width: int) -> list[str]:
    kinds = models_by_kind(matrix)
    names = [plain(line.name) for line in lines]
    first = min(max(map(columns, names)), max(16, width * 2 // 5))
    alone = {plain(model): [model] for model in matrix.models}
    together = {f"{plain(k, 40)} ({len(own)})": own for k, own in kinds.items()}
    for shown in (alone, together):
        table = [list(shown)] + [
            [summarise_entry(line.cells(matrix, own)).short for own in shown.values()]
            for line in lines
        ]
        widths = [max(map(columns, column)) for column in zip(*table, strict=True)]
        if first + sum(GAP + w for w in widths) <= width:
            break
    return [
        cut(
            (" " * GAP)
            .join((pad(cut_name(name, first), first), *map(pad, entries, widths)))
            .rstrip(),
            width,
        )
        for name, entries in zip(["", *names], table, strict=True)
    ]


def full_block(matrix: Matrix, width: int) -> list[str]:
    """Draw claims × models, in as many blocks of columns as the width requires."""
    if not matrix.claims:
        return []
    models = list(matrix.models)
    first = min(
        max(map(columns, map(matrix.label, matrix.claims))), max(16, width * 2 // 5)
    )
    names = [plain(model) for model in models]
    widths = _column_widths(matrix, names)
    legend: list[str] = []
    if first + sum(GAP + w for w in widths) > width:
        legend = _model_legend(matrix, width)
        names = [f"M{i}" for i in range(1, len(models) + 1)]
        widths = _column_widths(matrix, names)
    lines = []
    for block in _blocks(widths, width - first):
        cells = [(pad("", first), *(pad(names[i], widths[i]) for i in block))]
        for claim in matrix.claims:
            entries = (pad(matrix.entry(claim, models[i]), widths[i]) for i in block)
            cells.append((pad(cut_name(matrix.label(claim), first), first), *entries))
        lines += [(" " * GAP).join(line).rstrip() for line in cells] + [""]
    return [*lines, *legend]


def _column_widths(matrix: Matrix, names: Sequence[str]) -> list[int]:
    return [
        max(columns(name), *(len(matrix.entry(c, model)) for c in matrix.claims))
        for name, model in zip(names, matrix.models, strict=True)
    ]


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Split columns into blocks that fit the width."""
    block: list[int] = []
    used = 0
    for i, w in enumerate(widths):
        if block and used + GAP + w > room:
            yield block
            block, used = [], 0
        block.append(i)
        used += GAP + w
    yield block


def _model_legend(matrix: Matrix, width: int) -> list[str]:
    numbered = enumerate(matrix.models.items(), start=1)
    lines = []
    for kind, group in groupby(numbered, key=lambda item: item[1][1]):
        named = ", ".join(f"M{i} {plain(name, 80)}" for i, (name, _) in group)
        lines += fold(f"{plain(kind, 40)}: {named}", width)
    return lines

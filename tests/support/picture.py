"""Draws the house from its imports: run ``python -m tests.support.picture``.

The picture is the block between two marks in ``docs/architecture.md``. A test compares
it with what this module draws.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.support.imports import FLOORS, PUBLIC, arrows, module_files, room_of
from tests.support.running import ROOT

PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- picture: begin -->", "<!-- picture: end -->"
WIDTH = 74


def picture() -> str:
    """Draw the floors, the top one first, and list what each room imports."""
    files = module_files()
    imported: dict[str, set[str]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for module, targets in arrows(files).items():
        if module in PUBLIC:
            continue
        room = room_of(module)
        sizes[room] += files[module].name != "__init__.py"
        imported[room] |= {room_of(target) for target in targets} - {room}
    lines = ["```text", *_floors(sizes), "```", "", "| room | imports |", "|---|---|"]
    for floor in reversed(FLOORS):
        for room in floor:
            below = [r for f in reversed(FLOORS) for r in f if r in imported[room]]
            lines.append(f"| `{room}` | {', '.join(below) or 'nothing'} |")
    return "\n".join(lines)


def _floors(sizes: dict[str, int]) -> list[str]:
    edge = "+" + "-" * WIDTH + "+"
    lines = [edge]
    for floor in reversed(FLOORS):
        names = [
            f"{room} ({sizes[room]})" if sizes[room] > 1 else room for room in floor
        ]
        lines += [f"|{'   '.join(names):^{WIDTH}}|", edge]
    return lines


def renewed(page: str) -> str:
    """Put today's picture into a page."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


def main(page: Path = PAGE) -> None:
    """Renew the picture in the page."""
    page.write_text(renewed(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

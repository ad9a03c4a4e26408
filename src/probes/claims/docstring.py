"""Read what a claim says: the sentence and the sections of its test's docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from probes.errors import ClaimError

SECTIONS = ("Title", "Source", "Measured", "Reported", "Controls", "Margin")
"""The sections that a docstring may have after its sentence."""
HEADING = re.compile(r"([A-Z]\w*):(.*)")
"""A line such as ``Source:``. The text follows below it, or on the same line."""


@dataclass(frozen=True, kw_only=True)
class ClaimText:
    """What the docstring of a claim says; a section that is missing is empty.

    Attributes:
        sentence: The first paragraph.
        title: A short name in plain words, for heads of tables.
        source: Paper and place, with who disputes it.
        measured: What is measured, in symbols or words.
        reported: What the papers found; "not measured" if they did not look.
        controls: Controls that are not observations, such as the models in the grid.
        margin: Why the margin is as large as it is.
    """

    sentence: str
    title: str = ""
    source: str = ""
    measured: str = ""
    reported: str = ""
    controls: str = ""
    margin: str = ""


def read_docstring(name: str, docstring: str | None) -> ClaimText:
    """Read the sentence and the sections of a claim's docstring.

    Paragraphs between the sentence and the first section explain the code. They are
    not part of the claim.

    Args:
        name: The name of the test, for the messages.
        docstring: The docstring of the test; None counts as empty.

    Raises:
        ClaimError: The sentence or the source is missing, or a section is unknown,
            empty or there twice.
    """
    texts: dict[str, list[str]] = {"Sentence": []}
    part = "Sentence"
    for line in inspect.cleandoc(docstring or "").splitlines():
        if heading := HEADING.match(line):
            part, line = heading[1], heading[2]
            _require_new_section(name, part, texts)
        elif part == "Sentence" and not line.strip():
            part = "Remarks"
        texts.setdefault(part, []).append(line)
    said = {part: " ".join(" ".join(lines).split()) for part, lines in texts.items()}
    said.pop("Remarks", None)
    _require_statement(name, said)
    return ClaimText(**{part.lower(): text for part, text in said.items()})


def _require_new_section(name: str, section: str, known: Container[str]) -> None:
    """Refuse a heading that the catalogue has no place for."""
    if section not in SECTIONS:
        raise ClaimError(
            f"The docstring of the claim {name!r} has a section {section!r}. Expected "
            f"{', '.join(SECTIONS)}. Rename the section. If the line is no heading, "
            f"begin it with other words than '{section}:'."
        )
    if section in known:
        raise ClaimError(
            f"The docstring of the claim {name!r} has two sections {section!r}. "
            f"Expected each at most once. Put both texts under one heading."
        )


def _require_statement(name: str, said: Mapping[str, str]) -> None:
    """Refuse a claim that does not say what it claims, or who claims it."""
    if not said["Sentence"]:
        raise ClaimError(
            f"The claim {name!r} has no sentence. Expected a claim to say what it "
            f"claims. Write the sentence as the first line of the test's docstring."
        )
    for section, text in said.items():
        if not text:
            raise ClaimError(
                f"The docstring of the claim {name!r} has an empty section "
                f"{section!r}. Expected text below the heading. Write it, or remove "
                f"the heading."
            )
    if "Source" not in said:
        raise ClaimError(
            f"The claim {name!r} has no source. Expected a claim to say who claims it. "
            f"Add a section 'Source:' to the test's docstring."
        )

"""Say which files of the repository become pages, for mkdocs.

The site mirrors the repository, so the links between pages stay as they are. Examples
stay where tests run them: in README and ``docs/``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
ASSETS = {
    "assets/iframe-worker.js": "docs/site/iframe_worker.js",
    "assets/site.css": "docs/site/site.css",
}
REPORTS = ("sample", "natural")
"""Folders of ``reports/`` with the report of a run: its page is shown as it is."""
SAMPLE = "sample_report.md"
SAMPLE_PAGE = """\
---
hide: [toc]
---
# Sample report

This is the page that a run writes, here of the shipped matrix. It is live: open a cell,
sort, filter. [Open it alone](reports/sample/index.html), or learn
[how to read it](docs/reading.md).

<iframe class="report" src="reports/sample/index.html" title="Sample report"></iframe>
"""
AS_TEXT = re.compile(r"\]\([\w./]*sample/matrix\.md\)")
NATURAL_AS_TEXT = re.compile(r"(\]\([\w./]*natural)/matrix\.md\)")
NETWORKS = "fixtures/checkpoints/*/README.md"
FENCE = re.compile(r"^```(\w+) (\S+)=(\S+)$", flags=re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Replace the content of ``docs/`` by the pages, at their places in the repository.

    Returns:
        The pages, the reports of runs, and the files of the theme.
    """
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for name in page_names():
        files.append(_held(config, name, name))
    for name in REPORTS:
        page = f"reports/{name}/index.html"
        if (ROOT / page).is_file():
            files.append(_held(config, page, page))
    for name, source in ASSETS.items():
        files.append(_held(config, name, source))
    files.append(File.generated(config, SAMPLE, content=SAMPLE_PAGE))
    return files


def page_names() -> list[str]:
    """List the Markdown files that become pages, relative to the repository."""
    found = [path for folder in ("docs", "reports") for path in _pages_below(folder)]
    networks = [path.relative_to(ROOT).as_posix() for path in ROOT.glob(NETWORKS)]
    return ["README.md", "CHANGELOG.md", *sorted(found), *sorted(networks)]


def _pages_below(folder: str) -> list[str]:
    names = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.md"))
    return [name.as_posix() for name in names if name.parts[1] not in REPORTS]


def _held(config: MkDocsConfig, name: str, source: str) -> File:
    return File.generated(config, name, abs_src_path=str(ROOT / source))


def on_page_markdown(markdown: str, *, page: Page, **given: Any) -> str:
    """Adapt what GitHub shows otherwise: titles of examples, and reports as text."""
    # As a page, the sample's 600 kB of tables would be a poor copy of its report.
    sample = posixpath.relpath(SAMPLE, posixpath.dirname(page.file.src_uri))
    markdown = NATURAL_AS_TEXT.sub(r"\1/index.html)", FENCE.sub(_fence, markdown))
    return AS_TEXT.sub(f"]({sample})", markdown)


def _fence(match: re.Match[str]) -> str:
    """Give an example its file name as a title; leave other words of a test out."""
    language, key, value = match.groups()
    return f'```{language} title="{value}"' if key == "file" else f"```{language}"

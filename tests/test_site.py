"""The documents as a site: every link leads somewhere, and nothing needs a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import util
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import as_new, browser, needs_browser, sent_addresses
from tests.support.running import ROOT, environment
from tests.support.spawning import python

__all__ = ["as_new", "browser"]  # fixtures, for pytest to find
pytestmark = pytest.mark.skipif(
    not util.find_spec("material"), reason="make docs installs what builds the site"
)
FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}
"""Attributes whose address a browser asks for while it shows a page."""
NOT_FETCHED = ("canonical", "prev", "next")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder))
    done = python(*words, cwd=ROOT, env=environment(NO_MKDOCS_2_WARNING="1"))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """Collects the ids of a page, its links, and what a browser fetches for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.counts = dict.fromkeys(("table", "li", "pre"), 0)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag in self.counts:
            self.counts[tag] += 1
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for name, value in given.items():
            if (tag, name) in FETCHED and given.get("rel") not in NOT_FETCHED:
                self.fetched.append(value)


def pages(site: Path) -> Iterator[tuple[Path, Links]]:
    """Read every page but the error page and those of runs, which have own tests."""
    for path in site.rglob("*.html"):
        is_of_a_run = path.parent.name in ("sample", "natural")
        if not is_of_a_run and path.name != "404.html":
            yield path, Links(path.read_text("utf-8"))


def test_every_link_and_every_file_of_the_site_is_there(site: Path) -> None:
    found = dict(pages(site))
    n_links = 0
    for path, page in found.items():
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            target = target if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment and target in found:
                ids = found[target].ids
                assert unquote(parts.fragment) in ids, f"{path.name}: {link}"
            n_links += 1
    assert n_links > 1000


def test_no_page_fetches_anything_from_a_network(site: Path) -> None:
    for path, page in pages(site):
        remote = [link for link in page.fetched if urlsplit(link).netloc]
        assert remote == [], path.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text("utf-8"))


def test_every_page_of_the_repository_is_a_page_of_the_site(site: Path) -> None:
    sources = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for source in [*sources, ROOT / "reports/catalogue.md"]:
        name = source.relative_to(ROOT).with_suffix(".html")
        name = name.with_name("index.html") if source.stem == "README" else name
        shown = Links((site / name).read_text("utf-8"))
        text = source.read_text("utf-8")
        # A list or a table that follows a text at once would be lost in it.
        n_tables = len(re.findall(r"^\|(?: ?:?-+:? ?\|)+$", text, flags=re.MULTILINE))
        assert shown.counts["table"] >= n_tables, source.name
        main = (site / name).read_text("utf-8").partition("<article")[2]
        items = Links(main.partition("</article>")[0]).counts["li"]
        assert items == len(re.findall(r"^ *(?:[-*]|\d+\.) ", text, re.MULTILINE)), (
            source
        )
    assert (site / "index.html").read_text("utf-8").count("What it says about models")


def test_the_sample_report_is_embedded(site: Path) -> None:
    page = Links((site / "sample_report.html").read_text("utf-8"))
    assert "reports/sample/index.html" in page.fetched
    shown = (site / "reports/sample/index.html").read_bytes()
    assert shown == (ROOT / "reports/sample/index.html").read_bytes()


@needs_browser
def test_from_disk_pages_open_without_a_request_and_the_search_finds(
    browser: Any, site: Path
) -> None:
    browser.get("about:blank")
    browser.get_log("performance")
    for name in ("index.html", "docs/options.html", "sample_report.html"):
        browser.get((site / name).as_uri())
    browser.get((site / "docs/verdicts.html").as_uri())
    box = browser.find_element(By.CSS_SELECTOR, "input.md-search__input")
    browser.execute_script("arguments[0].focus()", box)
    box.send_keys("tokenizer")
    found = "return document.querySelectorAll('.md-search-result__item').length"
    WebDriverWait(browser, 60).until(lambda b: b.execute_script(found))
    sent = sent_addresses(browser)
    assert len(sent) > 5
    local = ("file:", "data:", "about:", "blob:")
    assert [address for address in sent if not address.startswith(local)] == []

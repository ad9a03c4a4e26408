"""A headless Chromium for tests, and what they do with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from probes.report.page import matrix_page
from probes.results.rows import Row
from tests.support.rows import run_of

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
LEAST_CONTRAST = 4.5  # WCAG 2.1, success criterion 1.4.3, level AA
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text("utf-8")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on the path"
)
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--window-size=1400,1000",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in SWITCHES:
        options.add_argument(switch)
    downloads = tmp_path_factory.mktemp("downloads")
    chosen = {"download.default_directory": str(downloads)}
    options.add_experimental_option("prefs", chosen)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def as_new(request: pytest.FixtureRequest) -> Iterator[None]:
    if "browser" not in request.fixturenames:  # the others run where there is none
        yield
        return
    browser = request.getfixturevalue("browser")
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def screen(browser: Any, width: int, height: int) -> None:
    """Set the size of the window; ``as_new`` takes it back."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def show(browser: Any, folder: Path, rows: list[Row], state: str = "") -> str:
    return show_text(browser, folder, matrix_page(rows, run_of(rows)), state)


def show_text(browser: Any, folder: Path, text: str, state: str = "") -> str:
    path = folder / "index.html"
    path.write_text(text, "utf-8")
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri() + state)
    wait_until_ready(browser)
    return path.as_uri()


def media(browser: Any, theme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def faults_of(browser: Any) -> list[tuple[str, str, str]]:
    """List the serious faults of accessibility of the page that is shown.

    Contrast, which takes axe most of its time, is what :func:`faint_texts` measures.
    """
    options = {
        "runOnly": {"type": "tag", "values": AXE_TAGS},
        "rules": {"color-contrast": {"enabled": False}},
    }
    found = Axe().run(browser, options=json.dumps(options))  # as JavaScript
    assert len(found["passes"]) > 15
    return [
        (fault["id"], fault["impact"], fault["nodes"][0]["html"][:120])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def faint_texts(browser: Any) -> tuple[int, list[Any]]:
    """Count the texts that are shown, and list those with too little contrast."""
    found = browser.execute_script(CONTRASTS)
    return len(found), [text for text in found if text[0] < LEAST_CONTRAST]


def sent_addresses(browser: Any) -> set[str]:
    """Name every address that was asked for since the log was last read."""
    events = [
        json.loads(e["message"])["message"] for e in browser.get_log("performance")
    ]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return {event["request"]["url"] for event in sent}


def wait_until_ready(browser: Any) -> None:
    ready = "return performance.getEntriesByName('ready').length"
    WebDriverWait(browser, 20).until(lambda b: b.execute_script(ready))


def find(browser: Any, selector: str) -> list[Any]:
    return list(browser.find_elements(By.CSS_SELECTOR, selector))

"""A Chromium for the browser tests, and pages of the picture in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inplace.render.diagram import Diagram
from inplace.render.html import page as page_of

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium; tests are skipped where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: set CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens diagrams as one HTML page; no page may raise, warn or ask the network for anything."""
    faults: list[str] = []
    pages: list[Any] = []

    def opened(*diagrams: Diagram, width: int = 1360, scheme: str = "light") -> Any:
        path = tmp_path / f"picture{len(pages)}.html"
        path.write_text(page_of("picture", diagrams), encoding="utf-8")
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("request", lambda asked: None if asked.url == path.as_uri() else faults.append(asked.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".ip-call")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert faults == []

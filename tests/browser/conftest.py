"""Pages of the picture in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inplace.render.diagram import Diagram
from inplace.render.html import page as page_of

Open = Callable[..., Any]


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

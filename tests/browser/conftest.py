"""Pages of the picture in a browser, and notebooks in a real Jupyter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import Diagram
from inplace.render.picture.html import page as page_of
from tests.jupyter.conftest import serving

Open = Callable[..., Any]

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
READY = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady"
SHOWN = "window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length"


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


@dataclass
class Notebook:
    """A notebook that is open in a browser."""

    page: Any
    file: Path
    faults: list[str] = field(default_factory=list)
    """What the page raised since it was ready, and the errors on its console."""

    def command(self, name: str) -> Any:
        """What one of the host's own commands gives, once it is done."""
        return self.page.evaluate("name => window.jupyterapp.commands.execute(name).then(() => null)", name)

    def cell(self, number: int) -> Any:
        """A cell, counted from 0; the host takes cells far from what is seen out of the page."""
        return self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}']")

    def count(self) -> int:
        """How many cells there are, on the page or not."""
        return int(self.page.evaluate("window.jupyterapp.shell.currentWidget.content.model.cells.length"))

    def run(self) -> None:
        """Run all cells, to their end."""
        self.command("notebook:run-all-cells")


@dataclass
class Jupyter:
    """A Jupyter server, and the browser that its notebooks are opened in."""

    address: str
    folder: Path
    browser: Any
    home: str
    """Path of its notebooks on the server: `lab/tree` or `notebooks`."""
    pages: list[Any] = field(default_factory=list)

    def write(self, name: str, *cells: str) -> Path:
        """A notebook that was never run; a cell that raises does not keep the next from running."""
        from nbformat import write
        from nbformat.v4 import new_code_cell, new_notebook

        file = self.folder / name
        made = [new_code_cell(cell, metadata={"tags": ["raises-exception"]}) for cell in cells]
        write(new_notebook(cells=made, metadata=KERNEL), file)
        return file

    def open(self, file: Path, *, kernel: bool = True, script: str = "") -> Notebook:
        """A notebook in a page of its own, with its kernel ready unless `kernel` is False; `script` runs before all."""
        page = self.browser.new_page(viewport={"width": 1400, "height": 1400})
        self.pages.append(page)
        page.add_init_script(script)
        page.set_default_timeout(60_000)
        opened = Notebook(page, file)
        page.goto(f"{self.address}/{self.home}/{file.name}?token=here&reset")
        page.wait_for_function(READY if kernel else SHOWN)
        page.on(
            "pageerror", lambda error: opened.faults.append(str(error))
        )  # not before: Notebook 7 has some of its own
        page.on("console", lambda said: opened.faults.append(said.text) if said.type == "error" else None)
        return opened


@pytest.fixture(scope="module")
def server(request: Any, chromium: Any, tmp_path_factory: Any) -> Iterator[Jupyter]:
    """The Jupyter that a module of tests shares: the one that its `APP` names, `jupyterlab` or `notebook`."""
    app = request.module.APP
    pytest.importorskip(app)
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "work"
    folder.mkdir()
    with serving(folder, home, app) as address:
        yield Jupyter(address, folder, chromium, "notebooks" if app == "notebook" else "lab/tree")


@pytest.fixture
def jupyter(server: Jupyter) -> Iterator[Jupyter]:
    """The shared server; what a test opened there is closed behind it."""
    yield server
    while server.pages:
        server.pages.pop().close()

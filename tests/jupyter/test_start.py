"""`./start`, the README's first command: the tutorial opens with its widgets, or becomes a page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.conftest import environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
INSTALLS = 'case "$*" in *" pip "*) exit 0;; esac'
OPENS = 'case "$1" in lab) echo "opens $2"; exit 0;; esac'


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., str]:
    """Runs `./start` in this environment, with nothing to install and no browser to open; gives what it prints."""
    for name, instead, module in (("python", INSTALLS, ""), ("jupyter", OPENS, "-m jupyter")):
        stand_in = tmp_path / "venv" / "bin" / name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(f'#!/bin/sh\n{instead}\nexec "{sys.executable}" {module} "$@"\n')
        stand_in.chmod(0o755)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def started(*arguments: str, display: str) -> str:
        settings = {"VENV": str(tmp_path / "venv"), "DISPLAY": display, "WAYLAND_DISPLAY": "", "PATH": path}
        return subprocess.run(
            [ROOT / "start", *arguments],
            env={**environment(tmp_path), **settings},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    return started


@pytest.mark.one_of(2)
@pytest.mark.parametrize(("arguments", "display"), [(["--headless"], ":0"), ([], "")])
def test_without_a_display_a_page_is_left(start: Callable[..., str], arguments: list[str], display: str) -> None:
    """The last line is the path of an HTML page that shows the finding as a picture."""
    said = start(*arguments, display=display)

    page = Path(said.splitlines()[-1]).read_text()
    pictures = [b64decode(found).decode() for found in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page)]
    assert any("h.relu_()" in picture for picture in pictures)


@pytest.mark.browser
def test_the_tutorial_opens_with_its_widgets(
    start: Callable[..., str], open_notebook: Callable[..., Any], tmp_path: Path
) -> None:
    """JupyterLab shows the widgets of the run notebook at once: nothing has to be run, and every one is found."""
    said = start(display=":0")

    assert said.splitlines()[-1] == "opens build/tutorial/01-start-here.ipynb"
    page = open_notebook(ROOT / "build" / "tutorial", tmp_path, "01-start-here.ipynb")
    page.locator(".ip-headline").first.wait_for(state="visible")
    assert page.locator("text=model not found").count() == 0
    assert "h.relu_()" in page.locator(".ip-headline").nth(1).inner_text()

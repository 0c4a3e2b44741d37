"""The drawing of the package is the package: few rooms, few arrows, none that runs up."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def drawer() -> ModuleType:
    """The command that draws the architecture."""
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "tools" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_shows_the_imports_as_they_are(drawer: ModuleType) -> None:
    """The committed picture has an arrow for each pair of rooms of which one imports the other, and no more."""
    assert drawer.drawn(drawer.TARGET.read_text()) == set(drawer.arrows())


def test_every_folder_is_a_room(drawer: ModuleType) -> None:
    """No folder of the package is left out of the drawing."""
    folders = {path.name for path in drawer.SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders == set(drawer.ROOMS)


def test_no_arrow_runs_up(drawer: ModuleType) -> None:
    """Who imports stands above, or beside, what it imports."""
    top = {name: room[1] for name, room in drawer.ROOMS.items()}
    arrows = drawer.arrows()

    assert len(arrows) <= 40
    assert [pair for pair in arrows if top[pair[0]] > top[pair[1]]] == []


def test_no_arrow_runs_up_within_reading(drawer: ModuleType) -> None:
    """Its folders stand on each other as its own words say: each imports those before it only."""
    order = ("source", "trace", "gradients", "sharing", "writes", "ranks")
    folder = drawer.SOURCE / "reading"
    assert {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(order)
    for path in folder.rglob("*.py"):
        rooms = [name.split(".")[2] for name in drawer._imported(path) if name.startswith("inplace.reading.")]
        above = order[order.index(path.parent.name) + 1 :] if path.parent != folder else order
        assert set(rooms).isdisjoint(above), path


def test_a_wrong_arrow_is_noticed(drawer: ModuleType) -> None:
    """The comparison can fail: a drawing without one of its arrows is another one."""
    text = drawer.TARGET.read_text()
    one, two = next(iter(drawer.arrows()))

    assert drawer.drawn(text.replace(f'data-from="{one}" data-to="{two}"', "", 1)) != set(drawer.arrows())

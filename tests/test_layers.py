"""Who imports whom: the modules keep to the table in STYLE.md and the README."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "inplace"
STANDARD = set(sys.stdlib_module_names) | {"__future__", "typing_extensions"}

# What each part may import: from this package, and from outside beside the standard library.
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "model": (set(), set()),
    "rows": ({"model"}, set()),
    "errors": (set(), set()),
    "pause": (set(), set()),
    "progress": (set(), set()),
    "analysis": ({"model", "rows", "pause", "progress", "analysis"}, set()),
    "consistency": ({"model"}, set()),
    "codec": ({"model", "errors", "consistency"}, set()),
    "contract": ({"model", "analysis", "render"}, set()),
    "render": ({"model", "rows", "pause", "progress", "analysis", "render", "examples"}, {"graphviz", "pygraphviz"}),
    "render.widget": ({"render"}, {"anywidget", "traitlets", "ipywidgets"}),
    "capture": ({"model", "rows", "errors", "pause", "capture"}, {"torch"}),
    "public": ({"model", "errors", "progress", "verify", "analysis", "codec", "contract", "render", "capture"}, set()),
    "after": ({"capture"}, set()),
    "script": (set(), set()),
    "verify": ({"analysis", "compare", "start"}, {"torch"}),
    "start": (set(), {"torch", "cloudpickle"}),
    "compare": ({"analysis"}, {"torch"}),
    "replay": ({"fence", "rerun"}, set()),
    "rerun": ({"model", "analysis", "capture", "fence", "witness"}, {"torch", "numpy"}),
    "fence": (set(), set()),
    "witness": (set(), {"torch"}),
    "deferred": ({"model", "errors", "capture"}, set()),
    "outputs": ({"model", "errors", "progress", "analysis", "codec", "contract", "render", "script"}, set()),
    "cli": (
        {"model", "errors", "analysis", "verify", "codec", "capture", "deferred", "script", "outputs", "tour", ""},
        set(),
    ),
    "tour": ({"outputs"}, set()),
    "examples": ({"examples"}, {"torch"}),
    "magic": ({"*"}, {"IPython"}),
    "shell": ({"*"}, {"IPython"}),
    "cells": ({"*"}, {"IPython"}),
    "": ({"*"}, set()),
    "__main__": ({"cli"}, set()),
}


def part_of(module: str) -> str:
    """The row of the table that a module falls under."""
    if module in TABLE:
        return module
    first = module.split(".", maxsplit=1)[0]
    return next((row for row in (first, first.split("_", maxsplit=1)[0]) if row in TABLE), first)


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, by full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def offences(path: Path, module: str) -> list[str]:
    """The imports of a module that the table forbids."""
    inside, outside = TABLE[part_of(module)]
    found = []
    for name in imports(path):
        root, _, rest = name.partition(".")
        if root == "inplace":
            part = part_of(rest).split(".", maxsplit=1)[0] if rest else ""
            if "*" not in inside and part not in inside:
                found.append(f"{module} imports {name}")
        elif root not in STANDARD | outside:
            found.append(f"{module} imports {name}")
    return found


def modules() -> Iterator[tuple[Path, str]]:
    """Every module of the package with its name below it."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        yield path, name.removesuffix("__init__").removesuffix(".")


def test_modules_keep_to_the_table() -> None:
    """No module imports what its row does not allow."""
    assert [offence for path, module in modules() for offence in offences(path, module)] == []


def test_an_offence_is_noticed(tmp_path: Path) -> None:
    """The check above can fail: analysis that imports torch or capture is caught."""
    path = tmp_path / "version.py"
    path.write_text("import torch\nfrom inplace.capture.record import Recorder\n")

    found = offences(path, "analysis.version")

    assert found == ["analysis.version imports torch", "analysis.version imports inplace.capture.record"]


def test_modules_are_short() -> None:
    """A module has one subject and stays below 340 lines; the model is the contract and stays in one place."""
    long = [name for path, name in modules() if len(path.read_text().splitlines()) >= 340]

    assert [name for name in long if name != "model"] == []


def test_parts_of_the_script_are_short_and_all_used() -> None:
    """So are the parts of the widget's script, and there is none that the widget doesn't load."""
    from inplace.render.script import PARTS

    parts = {path.stem: path for path in (SOURCE / "render" / "js").glob("*.js")}

    assert set(parts) == set(PARTS)
    assert max(len(path.read_text().splitlines()) for path in parts.values()) < 340

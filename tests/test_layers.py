"""Who imports whom: the modules keep to the table in docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "inplace"
STANDARD = set(sys.stdlib_module_names) | {"__future__", "typing_extensions"}

# What each room may import: from this package, by folder or module, and from outside beside the standard library.
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "facts": ({"facts"}, {"msgspec"}),
    "capture": ({"facts", "capture"}, {"torch"}),
    "capture.code.executed": ({"facts"}, {"executing"}),
    "reading": ({"facts", "reading"}, {"numpy", "msgspec"}),
    "checks": ({"facts", "reading", "checks"}, set()),
    "fixes": ({"facts", "reading", "checks", "fixes"}, set()),
    "render": ({"facts", "reading", "checks", "render", "examples"}, {"graphviz", "pygraphviz", "wcwidth"}),
    "render.picture.widget": ({"render"}, {"anywidget", "traitlets"}),
    "judge": ({"facts", "reading", "checks", "fixes", "capture", "judge"}, {"torch", "numpy", "cloudpickle"}),
    "examples": ({"examples"}, {"torch"}),
    "shells": ({"*"}, set()),
    "shells.notebook": ({"*"}, {"IPython"}),
    "shells.terminal": ({"*"}, {"greenlet"}),
    "shells.testing": ({"*"}, {"pytest"}),
    "shells.training": ({"*"}, set()),
    "": ({"facts", "checks", "shells"}, set()),
    "__main__": ({"shells"}, set()),
}


def room_of(module: str) -> str:
    """The row of the table that a module falls under: the longest that it begins with."""
    parts = module.split(".")
    rows = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((row for row in rows if row in TABLE), module)


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, by full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def offences(path: Path, module: str) -> list[str]:
    """The imports of a module that the table forbids."""
    inside, outside = TABLE[room_of(module)]
    found = []
    for name in imports(path):
        root, _, rest = name.partition(".")
        if root == "inplace":
            known = rest.partition(".")[0]
            if not known or ("*" not in inside and known not in inside):  # nobody imports the package itself
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
    """The check above can fail: a check that imports torch or capture is caught."""
    path = tmp_path / "version.py"
    path.write_text("import torch\nfrom inplace.capture.record import Recorder\n")

    found = offences(path, "checks.safe_in_place")

    assert found == ["checks.safe_in_place imports torch", "checks.safe_in_place imports inplace.capture.record"]


def test_parts_of_the_script_are_all_used() -> None:
    """There is no part of the widget's script that the widget doesn't load."""
    from inplace.render.picture.script import PARTS

    parts = {path.stem: path for path in (SOURCE / "render" / "js").glob("*.js")}

    assert set(parts) == set(PARTS)

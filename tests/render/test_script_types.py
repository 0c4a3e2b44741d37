"""The widget's script is typed: the TypeScript compiler finds no fault in its parts, joined as front ends load them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import inplace.render
from inplace.render.picture.script import PARTS, script

FOLDER = Path(inplace.render.__file__).parent / "js"
STRICT = ["--allowJs", "--checkJs", "--noEmit", "--strict", "--noUnusedLocals", "--noUnusedParameters"]
STRICT += ["--noImplicitReturns", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom,dom.iterable"]
FAULT = re.compile(r"^(?P<file>\w+)\.js\((?P<line>\d+),\d+\): error (?P<says>.*)$", re.MULTILINE)
# One mistake of each kind that plain JavaScript would only show in a browser: a wrong type, a name that is not there.
MISTAKES = 'summed("steps");\nnew Board(document.body, {}, {}).chose(1);\n'


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the compiler says of the script, and of the script with the mistakes at its end."""
    compiler = shutil.which(os.environ.get("TSC", "tsc"))
    if compiler is None:
        pytest.skip("no TypeScript compiler: install Debian's node-typescript, or set TSC to the path of a tsc")
    folder = tmp_path_factory.mktemp("script")
    texts = {"whole": script(), "mistaken": f"{script()}\n{MISTAKES}"}
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [compiler, *STRICT, *(f"{name}.js" for name in texts)], cwd=folder, capture_output=True, text=True, check=False
    )
    found: dict[str, list[str]] = {name: [] for name in texts}
    for fault in FAULT.finditer(ran.stdout):
        found[fault["file"]].append(f"{place_of(int(fault['line']))}: {fault['says']}")
    assert ran.returncode in {1, 2}, ran.stdout + ran.stderr  # it ran, and saw the mistakes at least
    return found


def place_of(line: int) -> str:
    """The part of the script and the line in it, both of which a reader can open."""
    for part in PARTS:
        lines = (FOLDER / f"{part}.js").read_text(encoding="utf-8").count("\n") + 1
        if line <= lines:
            return f"{part}.js:{line}"
        line -= lines
    return f"after the script, line {line}"


def test_the_script_has_no_type_error(faults: dict[str, list[str]]) -> None:
    """Every name, argument and property that the parts use is there, with the type that is written at it."""
    assert faults["whole"] == []


def test_the_compiler_sees_a_mistake(faults: dict[str, list[str]]) -> None:
    """A wrong argument and a method that does not exist are told, so the check above can fail."""
    assert [said.split(": ")[1] for said in faults["mistaken"]][-2:] == ["TS2345", "TS2551"]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_asks_to_be_checked(part: str) -> None:
    """An editor checks each part as the test does, and no part switches that off for a line."""
    text = (FOLDER / f"{part}.js").read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    assert "@ts-ignore" not in text
    assert "@ts-expect-error" not in text
    assert "@ts-nocheck" not in text

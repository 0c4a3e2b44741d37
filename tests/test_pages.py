"""The pages that are made from PyTorch or from our own data are those that the tools make now."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from inplace.checks.kinds import KINDS
from inplace.examples import ALL

ROOT = Path(__file__).parents[1]
MADE_WITH = re.search(r"^torch==([\d.]+)", (ROOT / "tests" / "constraints.txt").read_text(), re.MULTILINE)


def test_the_cheat_sheet_is_what_pytorch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each call keeps, and what comes of a write, is as the page says; the table in its words agrees with it."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import make_cheat_sheet

    text = (ROOT / "docs" / "cheat-sheet.md").read_text()
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == list(make_cheat_sheet.CALLS)
    for _, keeps, of_result, of_input in rows:
        assert ("result" in keeps) == (of_result == "raises")
        assert ("input" in keeps) == (of_input == "raises")
    if MADE_WITH is not None and torch.__version__.partition("+")[0] == MADE_WITH[1]:
        assert text == make_cheat_sheet.page()


def test_the_page_of_sentences_is_the_table() -> None:
    """Every row of the one table is there with its sentence, verdict, limit and lesson."""
    text = (ROOT / "docs" / "claims.md").read_text()
    rows = re.findall(r"^\| (E\d\d) \| (.*?) \| (.*?) \| \*\*(\w+)\*\*(?:: (.*?))? \| (.*?) \|$", text, re.MULTILINE)
    assert [(row[0], row[1], row[3], row[4], row[5]) for row in rows] == [
        (each.id, each.claim, each.verdict, each.limit, each.lesson) for each in ALL
    ]


def test_the_reference_has_every_kind_of_finding() -> None:
    """Each class of findings is in the reference, as are the parts that one works with."""
    text = (ROOT / "docs" / "api.md").read_text()
    wanted = [f"::: {kind.finding.__module__}.{kind.finding.__name__}" for kind in KINDS]
    wanted += ["::: inplace.shells.explanation.Explanation", "::: inplace.Trace", "::: inplace.facts.model.Call"]
    assert [name for name in wanted if f"{name}\n" not in text] == []


def fields(node: Any, path: str = "") -> dict[str, Any]:
    """The fields that a schema describes, by their path."""
    found: dict[str, Any] = {}
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            found[f"{path}/{name}"] = value
        for name, value in node.items():
            found |= fields(value, f"{path}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found |= fields(value, f"{path}/{number}")
    return found


def test_every_field_of_the_schema_has_a_sentence() -> None:
    """The JSON Schema says of each field what it is."""
    schema = json.loads((ROOT / "src" / "inplace" / "render" / "words" / "diagnoses.schema.json").read_text())
    without = [path for path, field in fields(schema).items() if not field.get("description")]
    assert without == []
    assert len(fields(schema)) > 60

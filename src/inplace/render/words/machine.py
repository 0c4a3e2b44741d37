"""The findings in forms that editors and code hosts read: SARIF, and GitHub's workflow commands.

Both are made of the public JSON value (docs/json-contract.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inplace.facts.version import __version__

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(value: Mapping[str, Any]) -> dict[str, Any]:
    """A SARIF 2.1.0 log of the diagnoses of one run."""
    found = value["diagnoses"]
    kinds = list(dict.fromkeys(one["kind"] for one in found))
    driver = {"name": "torch-inplace", "version": __version__, "rules": [{"id": kind} for kind in kinds]}
    return {"version": "2.1.0", "$schema": _SCHEMA, "runs": [{"tool": {"driver": driver}, "results": _results(found)}]}


def _results(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    results = []
    for one in found:
        result: dict[str, Any] = {
            "ruleId": one["kind"],
            "level": _LEVELS[one["severity"]],
            "message": {"text": one["message"]},
            "locations": [{"physicalLocation": _location(place)} for place in one["culprits"][:1]],
        }
        others = [*one["culprits"][1:], *([one["victim"]] if one["victim"] else [])]
        if others:
            result["relatedLocations"] = [{"physicalLocation": _location(place)} for place in others]
        results.append(result)
    return results


def _location(place: Mapping[str, Any]) -> dict[str, Any]:
    """A range, of which SARIF counts columns from 1."""
    region = {
        "startLine": place["line"],
        "startColumn": place["col"] + 1,
        "endLine": place["end_line"],
        "endColumn": place["end_col"] + 1,
    }
    return {"artifactLocation": {"uri": _uri(place["file"])}, "region": region}


def _uri(file: str) -> str:
    """A path from the folder that we are in, as code hosts want it; another as it is."""
    try:
        return Path(file).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file


def to_github(value: Mapping[str, Any]) -> str:
    """The diagnoses as workflow commands, one a line, which GitHub shows at the lines of a change."""
    lines = []
    for one in value["diagnoses"]:
        place = one["culprits"][0] if one["culprits"] else one["victim"]
        if place is None or one["severity"] == "info":
            continue
        where = f"file={_escaped(_uri(place['file']), more=',:')},line={place['line']},endLine={place['end_line']}"
        lines.append(
            f"::{_COMMANDS[one['severity']]} {where},title=inplace: {one['kind']}::{_escaped(one['message'])}\n"
        )
    return "".join(lines)


def _escaped(text: str, more: str = "") -> str:
    for sign in "%\r\n" + more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text

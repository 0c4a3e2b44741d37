"""SARIF and GitHub's workflow commands say where a finding is, as those who read them count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inplace.render.words.machine import to_github, to_sarif

PLACE = {"file": "", "line": 3, "col": 4, "end_line": 3, "end_col": 13, "code": "h.relu_()"}


def _value(severity: str, file: str, message: str = "h changed, 100% sure") -> dict[str, Any]:
    culprit = {**PLACE, "file": file}
    found = {"kind": "saved-tensor-modified", "severity": severity, "culprits": [culprit], "victim": culprit}
    return {"diagnoses": [{**found, "message": message}]}


def test_sarif_counts_columns_from_one() -> None:
    """A culprit is the location of a result, the victim a related one, and paths are those from here."""
    log = to_sarif(_value("error", str(Path.cwd() / "a" / "train.py")))

    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a/train.py"
    assert place["region"] == {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 14}
    assert (result["ruleId"], result["level"]) == ("saved-tensor-modified", "error")
    assert result["message"]["text"] == "h changed, 100% sure"
    assert result["relatedLocations"][0]["physicalLocation"] == place
    assert log["version"] == "2.1.0"
    assert log["runs"][0]["tool"]["driver"]["rules"] == [{"id": "saved-tensor-modified"}]


def test_github_is_told_in_one_line() -> None:
    """Its signs are escaped, and what is only worth knowing is left out."""
    told = to_github(_value("warning", "/a,b.py", "one\ntwo 5%"))

    assert told == ("::warning file=/a%2Cb.py,line=3,endLine=3,title=inplace: saved-tensor-modified::one%0Atwo 5%25\n")
    assert to_github(_value("info", "x.py")) == ""

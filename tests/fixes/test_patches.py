"""Changes as unified diffs: `git apply` takes them, and they are read back as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inplace.checks.finding import Rewrite
from inplace.fixes.patches import PatchError, changed_text, rewrites_of, unified
from tests.commands import git

TEXTS = {
    "plain": "a\nb\nc\nd\ne\nf\ng\n",
    "no end": "a\nb\nc\nd\ne\nf\ng",
    "carriage returns": "a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\n",
    "a form feed": "a\nb \f b\nc\nd\ne\nf\ng\n",
}
CHANGES = {
    "a line": [(2, None, "x")],
    "the last line": [(7, None, "x")],
    "put in": [(3, None, "x\nc")],
    "two": [(1, None, "x"), (6, None, "y\nz")],
    "taken out": [(2, None, "")],
}


def rewrites(file: Path, text: str, name: str) -> list[Rewrite]:
    """The changes of a name, for a text."""
    lines = text.replace("\r", "").split("\n")
    return [Rewrite(str(file), line, lines[line - 1], new) for line, _, new in CHANGES[name]]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("change", CHANGES)
def test_git_takes_a_diff(text: str, change: str, tmp_path: Path) -> None:
    """What it makes of the file is the changed text, with line ends and the missing end as they were."""
    git(tmp_path, "init", "-q", ".")
    file = tmp_path / "train.py"
    file.write_bytes(TEXTS[text].encode())
    new = changed_text(TEXTS[text], rewrites(file, TEXTS[text], change))

    diff = unified(str(file), TEXTS[text], new, str(tmp_path))
    git(tmp_path, "apply", "-", stdin=diff)

    assert file.read_bytes() == new.encode()
    assert new != TEXTS[text]


@pytest.mark.parametrize("change", CHANGES)
def test_a_diff_is_read_back(change: str, tmp_path: Path) -> None:
    """Its hunks make the same text."""
    file, text = tmp_path / "train.py", TEXTS["plain"]
    new = changed_text(text, rewrites(file, text, change))

    back = rewrites_of(unified(str(file), text, new, str(tmp_path)), str(tmp_path))

    assert {one.file for one in back} == {str(file)}
    assert changed_text(text, back) == new


def test_changes_may_be_json(tmp_path: Path) -> None:
    """One, or several, as `fix.rewrite` has them."""
    one = {"file": "train.py", "line": 2, "old": "b", "new": "x"}

    assert rewrites_of(json.dumps(one), str(tmp_path)) == rewrites_of(json.dumps([one]), str(tmp_path))
    assert rewrites_of(json.dumps(one), str(tmp_path)) == (Rewrite(str(tmp_path / "train.py"), 2, "b", "x"),)


@pytest.mark.parametrize(
    "patch",
    ["", "nothing", "[]", "{", '{"file": "a"}', "--- a\n+++ b\n", "--- a\n+++ b\n@@ -1,2 +1,1 @@\n-a\n", "[1]"],
)
def test_what_is_no_patch_is_refused(patch: str) -> None:
    """By an error of its own."""
    with pytest.raises(PatchError):
        rewrites_of(patch, "/")


def test_what_does_not_fit_is_refused() -> None:
    """Other lines stand there, or two changes are of one line."""
    for made in ([Rewrite("f", 2, "z", "x")], [Rewrite("f", 2, "b", "x"), Rewrite("f", 2, "b", "y")]):
        with pytest.raises(PatchError):
            changed_text("a\nb\n", made)

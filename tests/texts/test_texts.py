"""Each of PyTorch's texts about autograd, views and in-place calls is explained: kind, line, names and remedy."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import re
import warnings
from typing import Any

import pytest

from inplace.render.words.contract import diagnoses
from tests.recording import record_text
from tests.texts import custom, leaves, others, warned
from tests.texts.script import Script

SCRIPTS = {
    f"{name} {number}: {script.text[:50]}": script
    for name, scripts in (
        ("leaves", leaves.SCRIPTS),
        ("custom", custom.SCRIPTS),
        ("others", others.SCRIPTS),
        ("warned", warned.SCRIPTS),
    )
    for number, script in enumerate(scripts)
}


def _run(script: Script, answer: Any) -> None:
    """In a child process: record a script, and send what it raised and what was found."""
    warnings.simplefilter("ignore")  # the scripts are users' code
    with contextlib.redirect_stdout(io.StringIO()):
        recorded = record_text(script.code)
    answer.send((str(recorded.error), diagnoses(recorded.report)["diagnoses"]))


def told_of(script: Script) -> tuple[str, list[dict[str, Any]]]:
    """What a script raises, and what is found: in a process of its own, since some leave something behind."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_run, args=(script, theirs))
    process.start()
    theirs.close()
    try:
        answer: tuple[str, list[dict[str, Any]]] = mine.recv()
    except EOFError:
        pytest.fail("the script ended without an answer")
    process.join()
    return answer


def wrong_with(script: Script) -> list[str]:
    """What is wrong with the diagnosis of a script."""
    raised, found = told_of(script)
    wrong = [] if not script.raises or script.text[:40] in raised else [f"it raised {raised}"]
    loud = [one for one in found if one["severity"] != "info"]
    if not script.kind:
        return [*wrong, *(f"loud: {one['message']}" for one in loud)]
    same = [one for one in loud if one["kind"] == script.kind]
    wrong += [f"also {one['kind']}" for one in loud if one not in same]
    if not same:
        return [*wrong, f"no {script.kind}"]
    lines = [{place["line"] for place in one["culprits"]} for one in same]
    if not any(script.lines & one for one in lines):
        wrong.append(f"lines {lines}")
    names = {part for one in same for name in one["names"] for part in (name, *re.findall(r"\w+", name))}
    if script.names and names.isdisjoint(script.names.split()):
        wrong.append(f"names {sorted(names)}")
    remedies = [one["fix"]["summary"] + str((one["fix"]["rewrite"] or {}).get("new", "")) for one in same]
    if script.remedy and not any(word in remedy for remedy in remedies for word in script.remedy.split("|")):
        wrong.append(f"remedies {remedies}")
    return wrong


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_text_is_explained(name: str) -> None:
    """The text comes, and one finding has the kind, a line to blame, a name and a remedy for this cause; no other."""
    assert wrong_with(SCRIPTS[name]) == []


def test_a_wrong_expectation_is_noticed() -> None:
    """The judge above can fail."""
    right = leaves.SCRIPTS[0]

    assert wrong_with(Script(right.text, "graph-detached", right.source)) != []
    assert wrong_with(Script(right.text, right.kind, right.source.replace("# here", ""))) != []
    assert wrong_with(Script(right.text, right.kind, right.source, names="other")) != []
    assert wrong_with(Script(right.text, right.kind, right.source, remedy="zebra")) != []

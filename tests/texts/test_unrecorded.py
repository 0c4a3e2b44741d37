"""A cell that failed without a recording is explained by its traceback's line and its variables alone."""

from __future__ import annotations

import contextlib
import io
import linecache
import multiprocessing
import warnings
from typing import Any

import pytest
import torch

from inplace.shells.notebook.unrecorded import _alive
from tests.texts import custom, leaves, others
from tests.texts.script import Script

SCRIPTS = {
    f"{name} {number}: {script.text[:50]}": script
    for name, scripts in (("leaves", leaves.SCRIPTS), ("custom", custom.SCRIPTS), ("others", others.SCRIPTS))
    for number, script in enumerate(scripts)
    if script.raises
}
CELL = "<ipython-input-3-0>"


def _fail(script: Script, answer: Any) -> None:
    """In a child process: run a script as a cell that nobody records, and send what is told of its error."""
    warnings.simplefilter("ignore")
    linecache.cache[CELL] = (len(script.code), None, script.code.splitlines(keepends=True), CELL)
    variables: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "__main__"}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(script.code, CELL, "exec"), variables)
    except Exception as error:
        answer.send(_alive(error, variables))


def told_of(script: Script) -> str:
    """What is told of a script's error."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_fail, args=(script, theirs))
    process.start()
    theirs.close()
    told: str = mine.recv()
    process.join()
    return told


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_unrecorded_failure_is_explained(name: str) -> None:
    """The line is named, or what backward found overwritten, and what to do about an error of this sort."""
    told = told_of(SCRIPTS[name])

    assert "was not recorded. What its error" in told or "is still alive, and shows why" in told
    assert "line " in told or "which was overwritten" in told
    known = bool(SCRIPTS[name].kind)
    assert len(told.splitlines()) >= 3 + known  # what happened, what to do; and why, where it is a text that we know


def test_what_was_on_the_line_is_told_of_other_errors() -> None:
    """Of an error that we don't know: the tensors of its line; of one without tensors no more than its name."""
    known = told_of(Script("", "", "x = torch.ones(3, 2, requires_grad=True)\nx[5]"))
    none = told_of(Script("", "", "{}['key']"))

    assert "x is float32 [3, 2], requires grad, a leaf" in known
    assert none.startswith("the last cell ended with KeyError, and was not recorded.")


def test_a_tensor_that_a_failed_resize_has_broken_is_not_read() -> None:
    """Its strides may point nowhere: to read them ends the process."""
    told = told_of(Script("", "", "import numpy\nt = torch.from_numpy(numpy.zeros(3))\nt.resize_(1000, 1000)"))

    assert "its memory is not PyTorch's" in told

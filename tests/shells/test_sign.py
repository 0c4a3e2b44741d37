"""The sign of life below a cell that takes long while it is recorded."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from inplace.shells.notebook.sign import APART, DELAY, Sign

SET_UP = """\
import threading, torch
from inplace.shells.notebook import sign
sign.DELAY = {delay}
%load_ext inplace
before = threading.active_count()
"""
LONG = "%%inplace\nx = torch.zeros(1)\nfor _ in range(60_000):\n    x.add_(1)\nduring = threading.active_count()"


class Kernel:
    """A shell whose thread that sends does what it is asked to when it is told so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Any]] = []
        self.sent: list[tuple[str, str, str]] = []
        self.now = 0.0
        loop = SimpleNamespace(
            add_callback=lambda ask, *given: ask(*given),
            call_later=lambda after, ask: self.waiting.append((after, ask)),
        )
        session = SimpleNamespace(send=self._send)
        self.kernel = SimpleNamespace(session=session, iopub_thread=SimpleNamespace(io_loop=loop))
        self.display_pub = SimpleNamespace(pub_socket="socket", topic=b"topic")

    def get_parent(self) -> dict[str, str]:
        """The request that runs the cell."""
        return {"msg_id": "cell"}

    def _send(self, _: object, kind: str, content: Any, parent: dict[str, str], ident: bytes) -> None:
        assert (parent, ident) == ({"msg_id": "cell"}, b"topic")
        self.sent.append((kind, content["data"]["text/plain"], content["transient"]["display_id"]))

    def pass_time(self) -> float:
        """Let the time come at which something is to be done; how long that was."""
        after, ask = self.waiting.pop(0)
        self.now += after
        ask()
        return after


def test_it_counts_once_a_second_in_one_line() -> None:
    """Nothing within two seconds, then one line that is shown anew each second, and says in the end how many."""
    kernel = Kernel()
    counts = iter([1_234, 2_468, 3_000])
    sign = Sign(kernel, lambda: next(counts), lambda: kernel.now)

    assert kernel.sent == []
    assert [kernel.pass_time(), kernel.pass_time()] == [DELAY, APART]
    sign.end()
    kernel.pass_time()

    kinds, texts, ids = zip(*kernel.sent, strict=True)
    assert kinds == ("display_data", "update_display_data", "update_display_data")
    assert texts == (
        "inplace: recording, 1,234 calls so far, 2 s",
        "inplace: recording, 2,468 calls so far, 3 s",
        "inplace: recorded 3,000 calls in 3 s",
    )
    assert len(set(ids)) == 1
    assert kernel.waiting == []


def test_a_short_cell_shows_none() -> None:
    """A cell that has ended before is told of by its result alone."""
    kernel = Kernel()

    Sign(kernel, lambda: 0, lambda: kernel.now).end()
    kernel.pass_time()

    assert kernel.sent == []


def test_a_kernel_of_another_make_has_none() -> None:
    """Where there is no such thread, the cell is recorded all the same."""
    assert Sign.of(SimpleNamespace(kernel=SimpleNamespace()), lambda: 0) is None


@pytest.mark.one_of(2)
@pytest.mark.parametrize(("delay", "shown"), [(0, True), (1e9, False)])
def test_a_real_kernel_shows_it_above_the_picture(delay: float, *, shown: bool) -> None:
    """The line stays with the number of calls; there is no thread more while the cell runs."""
    cells = [SET_UP.format(delay=delay), LONG, "print(during - before)"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])

    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(env={**os.environ, "INPLACE_STATIC": "0"})

    texts = [output.data["text/plain"] for output in notebook.cells[1].outputs]
    assert texts[0].startswith("inplace: recorded 60,001 calls in ") == shown
    assert "60001 calls, 60000 in place" in texts[-1]
    assert notebook.cells[2].outputs[0].text == "0\n"

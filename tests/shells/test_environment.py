"""What a cell is called, by each IPython."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inplace.shells import environment


class OldCompiler:
    """IPython 7 with ipykernel 6: the name is of the text alone, and nobody says which cell it is."""

    def get_code_name(self, raw: str, code: str, number: int) -> str:
        """A name that is the same for the same text."""
        return f"/kernel/{len(raw)}.py"


def _shell(compiler: Any, *texts: str) -> Any:
    return SimpleNamespace(compile=compiler, history_manager=SimpleNamespace(input_hist_raw=["", *texts]))


def test_old_ipython_is_asked_by_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last run with that text counts; a file that no cell has is none."""
    shell = _shell(OldCompiler(), "a", "bb", "a", "cccc\n"[:-1])
    monkeypatch.setattr(environment, "running_shell", lambda: shell)

    assert environment.cell_name("/kernel/1.py") == "In[3]"
    assert environment.cell_name("/kernel/5.py") == "In[4]"
    assert environment.cell_name("/home/me/train.py") is None
    assert environment.cell_name("<ipython-input-12-0123456789ab>") == "In[12]"


def test_new_ipython_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own answer is taken."""
    compiler = SimpleNamespace(format_code_name=lambda file: ("Cell", "In[2]") if file == "here" else None)
    monkeypatch.setattr(environment, "running_shell", lambda: _shell(compiler))

    assert environment.cell_name("here") == "In[2]"
    assert environment.cell_name("there") is None


def test_cell_of_marimo_is_called_one() -> None:
    """By the id that marimo gives it."""
    assert environment.cell_name("/cells/__marimo__cell_MJUe_.py") == "cell MJUe"

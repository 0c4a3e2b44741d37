"""`inplace run -c CODE` and `inplace run -`: as `python -c CODE` and `python -` run it, with a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import python

STALE = "import torch\nx = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.relu_()\nh.sum().backward()"
PROGRAMS = {
    "names": "import sys\nprint(sys.argv, sys.path[0], __name__, __spec__, __package__, __doc__, __loader__)",
    "globals": "print(sorted(globals()))",
    "main module": "import __main__\nx = 3\nprint(__main__.x)",
    "status": "import sys; sys.exit(7)",
    "exception": "def f():\n    return 1 / 0\nf()",
    "syntax error": "x = (",
    "cookie": "# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))",
    "future": "def f(x: int): pass\nprint(f.__annotations__)",
    "torch": STALE,
    "rest of the input": "import sys\nprint(repr(sys.stdin.read()))",
    "empty": "",
}


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", PROGRAMS)
def test_code_on_the_command_line_runs_as_in_python(name: str) -> None:
    """The same output, traceback and exit status; the report follows."""
    plain = python("-c", PROGRAMS[name], "a", "--json", stdin="left\n")
    ours = python("-m", "inplace", "run", "-c", PROGRAMS[name], "a", "--json", stdin="left\n")

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr.startswith(plain.stderr)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"cookie"}))  # Python 3.11 can't seek in a pipe for it
def test_standard_input_runs_as_in_python(name: str) -> None:
    """The same output, traceback and exit status; the report follows."""
    plain = python("-", "a", "--json", stdin=PROGRAMS[name])
    ours = python("-m", "inplace", "run", "-", "a", "--json", stdin=PROGRAMS[name])

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr.startswith(plain.stderr)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("given", [("-c", STALE), ("-c" + STALE,), ("-",)])
def test_what_is_found_is_told(given: tuple[str, ...], tmp_path: Path) -> None:
    """The text and the JSON name the lines, and the code of each."""
    done = python("-m", "inplace", "run", "--json", tmp_path / "out.json", *given, stdin=STALE)

    assert "line 4: h.relu_() changed h after line 3 saved it" in " ".join(done.stderr.split())
    found = json.loads((tmp_path / "out.json").read_text())
    (diagnosis,) = [one for one in found["diagnoses"] if one["severity"] == "error"]
    assert [(one["file"], one["line"], one["code"]) for one in diagnosis["culprits"]] == [
        ("<stdin>" if given == ("-",) else "<string>", 4, "h.relu_()")
    ]
    assert found["error"]["line"] == 5


def test_what_others_compile_under_the_same_name_is_not_the_code() -> None:
    """A dataclass has an `__init__` called `<string>`, whose lines are not those of the code."""
    code = (
        "import torch\nfrom dataclasses import dataclass, field\n\n\n@dataclass\nclass State:\n"
        "    h: torch.Tensor = field(default_factory=lambda: torch.ones(3, requires_grad=True).sigmoid())\n"
        "state = State()\nstate.h.relu_()\nstate.h.sum().backward()"
    )

    told = " ".join(python("-m", "inplace", "run", "-c", code).stderr.split())

    assert "line 9: state.h.relu_() changed state.h after line 7 saved it" in told


@pytest.mark.parametrize("option", ["--verify", "--patch"])
def test_what_needs_a_file_is_said_at_once(option: str) -> None:
    """A replay and a diff are of a script in a file; nothing runs."""
    value = ["out.diff"] if option == "--patch" else []

    done = python("-m", "inplace", "run", option, *value, "-c", "print('ran')")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"inplace: {option} needs a script in a file, and this is code without a file.\n"

"""A wrong rewrite is never proved, whatever it silences; nor can a replay change a file by any way we know of."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from inplace.capture.record import Recorder
from inplace.checks.finding import Finding, Rewrite
from inplace.fixes.diagnose import analyze
from inplace.judge import judge
from tests.commands import python, script

START = "import torch\nx = torch.rand(3, requires_grad=True)\n"
END = "h.sum().backward()\n"


def judged(folder: Path, text: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> Finding:
    """The first finding of a script, with a rewrite of ours judged in place of what would be proposed."""
    path = script(folder, START + text)
    lines = (START + text).splitlines()
    rewrite = Rewrite(str(path), lines.index(old) + 1, old, new)
    namespace = {"__name__": "__main__", "__file__": str(path)}
    recorder = Recorder(title="script.py", is_cell=lambda name: name == str(path), namespace=namespace)
    recorder.start()
    error = None
    try:
        exec(compile(START + text, str(path), "exec"), namespace)
    except RuntimeError as raised:
        error = raised
    report = analyze(recorder.stop(error))
    monkeypatch.setattr(judge, "rewrites", lambda _, finding: (rewrite,) if finding is report.findings[0] else ())
    monkeypatch.setattr(judge, "_AT_ONCE", 1)
    return judge.prove(report, judge.script_start(str(path), [str(path)])).findings[0]


WRONG = {
    "parameter rebound": (
        "h = (x * x).sum()\nwith torch.no_grad():\n    x -= 0.1\nh.backward()\n",
        "    x -= 0.1",
        "    x = x - 0.1",
        "with this change x is no longer a leaf that requires grad",
    ),
    "write lost": (
        "h = torch.exp(x)\nk = h\nh.mul_(2)\n(h * k.detach()).sum().backward()\n",
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x is not the same as in a run where every saved tensor is a copy",
    ),
    "only a value lost": (
        "h = torch.exp(x)\nk = h.view(3)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "it runs with the same gradients, but k ends with another value",
    ),
    "gradient detached": (
        "h = torch.exp(x)\nh.mul_(2)\n(h + x).sum().backward()\n",
        "h.mul_(2)",
        "h = h.detach().mul(2)",
        "the gradient of x is not the same as in a run where every saved tensor is a copy",
    ),
    "write left out": (
        "h = torch.exp(x)\nh.add_(1)\n" + END,
        "h.add_(1)",
        "pass",
        "it runs with the same gradients, but h ends with another value",
    ),
    "backward left out": (
        "h = torch.exp(x)\nh.add_(1)\n" + END,
        "h.add_(1)",
        "raise SystemExit",
        "the gradient of x is not the same as in a run where every saved tensor is a copy",
    ),
    "inside a function": (
        "def main():\n    w = torch.ones(3, requires_grad=True)\n    h = torch.exp(w)\n    h.mul_(2)\n"
        "    (h + w).sum().backward()\nmain()\n",
        "    h.mul_(2)",
        "    h = h.detach().mul(2)",
        "the gradient of a leaf without a name is not the same as in a run where every saved tensor is a copy",
    ),
    "given by autograd.grad": (
        "def main():\n    w = torch.ones(3, requires_grad=True)\n    h = torch.exp(w)\n    h.mul_(2)\n"
        "    return (h + w).sum(), w\ng = torch.autograd.grad(*main())[0].tolist()\n",
        "    h.mul_(2)",
        "    h = h.detach().mul(2)",
        "what autograd.grad gives is not the same as in a run where every saved tensor is a copy",
    ),
    "buffer that no variable reaches": (
        "def main():\n    n = torch.nn.BatchNorm1d(1, affine=False).eval()\n    h = n(x[:, None])\n"
        "    n.running_var.mul_(2)\n    h.sum().backward()\nmain()\n",
        "    n.running_var.mul_(2)",
        "    n.running_var.mul(2)",
        "it runs with the same gradients, but a tensor without a name ends with another value",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rewrite_is_not_proved(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs without an error, and what it changes is said."""
    text, old, new, why = WRONG[name]

    proof = judged(tmp_path, text, old, new, monkeypatch).proof

    assert proof is not None
    assert not proof.verified
    assert why in proof.text


RIGHT = {
    "leaf in a function": (
        "def main():\n    w = torch.ones(3, requires_grad=True)\n    h = torch.exp(w)\n    h.mul_(2)\n"
        "    (h + w).sum().backward()\nmain()\n",
        "    h.mul_(2)",
        "    h = h.mul(2)",
        "the gradient of 1 leaf without a name is the same as",
    ),
    "autograd.grad": (
        "h = torch.exp(x)\nh.mul_(2)\ng = torch.autograd.grad(h.sum(), x)\n",
        "h.mul_(2)",
        "h = h.mul(2)",
        "what autograd.grad gives is the same as",
    ),
    "second derivative": (
        "(g,) = torch.autograd.grad(torch.sigmoid(x).pow(2).sum(), x, create_graph=True)\n"
        "g.pow(2).sum().backward()\nh = torch.exp(x)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x is the same as",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rewrite_is_proved(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are compared wherever they arrive."""
    text, old, new, why = RIGHT[name]

    proof = judged(tmp_path, text, old, new, monkeypatch).proof

    assert proof is not None
    assert proof.verified
    assert proof.gradients
    assert why in proof.text


def test_what_cannot_be_compared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch refuses the code as it is, so that no run tells what the gradients should be."""
    proof = judged(tmp_path, "x.add_(1)\n", "x.add_(1)", "with torch.no_grad():\n    x.add_(1)", monkeypatch).proof

    assert proof is not None
    assert (proof.verified, proof.gradients) == (True, False)
    assert "there is no gradient to compare with" in proof.text


def test_two_writes_are_mended_together(tmp_path: Path) -> None:
    """The first error hides the second: the rewrite grows until the script runs."""
    text = "h = torch.exp(x)\nh.mul_(2)\nk = torch.sigmoid(x)\nk.mul_(3)\n(h + k).sum().backward()\n"
    path = script(tmp_path, START + text)

    ours = python("-m", "inplace", "run", "--verify", path)

    assert "- h.mul_(2)" in ours.stderr
    assert "+ h = h.mul(2)" in ours.stderr
    assert "+ k = k.mul(3)" in ours.stderr
    assert "proved by a replay: nothing raises" in ours.stderr


WRITES = {
    "open": "open(TARGET, 'w').write('theirs')",
    "open for both": "open(TARGET, 'r+').write('theirs')",
    "os.open": "import os\nos.write(os.open(TARGET, os.O_WRONLY | os.O_TRUNC), b'theirs')",
    "torch.save": "torch.save(x, TARGET)",
    "torch.jit.save": "torch.jit.save(torch.jit.script(torch.nn.ReLU()), TARGET)",
    "sqlite3": "import sqlite3\nsqlite3.connect(TARGET + '.db').execute('create table theirs (n int)')",
    "moved over": (
        "import os, tempfile\nhandle, name = tempfile.mkstemp()\nos.write(handle, b'theirs')\nos.replace(name, TARGET)"
    ),
    "copied over": (
        "import shutil, tempfile\nhandle, name = tempfile.mkstemp()\nopen(name, 'w').write('theirs')\n"
        "shutil.copyfile(name, TARGET)"
    ),
    "removed": "import os\nos.remove(TARGET)",
    "truncated": "import os\nos.truncate(TARGET, 0)",
    "out of the folder": "import tempfile\nopen(tempfile.gettempdir() + '/../../' * 20 + TARGET, 'w').write('theirs')",
    "through a link": (
        "import os, tempfile\nname = tempfile.mkdtemp() + '/link'\nos.symlink(TARGET, name)\n"
        "open(name, 'w').write('theirs')"
    ),
    "another process": "import subprocess\nsubprocess.run(['rm', TARGET])",
}


@pytest.mark.parametrize("name", WRITES)
def test_no_file_is_touched(name: str, tmp_path: Path) -> None:
    """By whatever way a script writes, its replays don't, even where it goes on after the refusal."""
    target = tmp_path / "mine"
    guard = f"import sys\nTARGET = {str(target)!r}\n"
    indented = "\n".join(f"        {line}" for line in WRITES[name].splitlines())
    # Only replays write: it is they that have `inplace.judge.rerun`.
    act = f"if 'inplace.judge.rerun' in sys.modules:\n    try:\n{indented}\n    except Exception:\n        pass\n"
    path = script(tmp_path, START + guard + act + "h = torch.exp(x)\nh.mul_(2)\n" + END)
    target.write_text("mine")
    sqlite3.connect(f"{target}.db").close()
    before = sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.is_file())

    ours = python("-m", "inplace", "run", "--verify", path)

    assert sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.is_file()) == before
    assert "proved" in ours.stderr


def test_a_replay_may_use_its_own_folder(tmp_path: Path) -> None:
    """Temporary files are no reason to refuse."""
    text = (
        "import os, tempfile\nwith tempfile.TemporaryDirectory() as folder:\n"
        "    torch.save(x.detach(), folder + '/x.pt')\n    os.rename(folder + '/x.pt', folder + '/y.pt')\n"
        "h = torch.exp(x)\nh.mul_(2)\n"
    )
    path = script(tmp_path, START + text + END)

    ours = python("-m", "inplace", "run", "--verify", path)

    assert "proved by a replay: nothing raises" in ours.stderr

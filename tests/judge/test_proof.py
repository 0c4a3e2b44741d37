"""A wrong rewrite is never proved, whatever it silences; nor can a replay change a file by any way we know of."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from inplace.capture.record import Recorder
from inplace.checks.finding import Proof, Rewrite
from inplace.fixes.candidate import Look
from inplace.fixes.diagnose import analyze
from inplace.judge.about import About
from inplace.judge.judge import Judge, script_start
from tests.commands import run_inplace, script
from tests.judge.unfenced import Unfenced

START = "import torch\nx = torch.rand(3, requires_grad=True)\n"
END = "h.sum().backward()\n"


FENCED = {"a child that computes", "what is taken out of the graph", "write lost", "gradient cut"}
"""Those of the programs below that are judged behind the fence, as users' are; the others are by forks, quickly."""


def judged(folder: Path, text: str, old: str, new: str, *, fenced: bool = True) -> Proof:
    """What is said of a rewrite of ours for the first finding of a script."""
    path = script(folder, START + text)
    lines = (START + text).splitlines()
    rewrite = Rewrite(str(path), lines.index(old.splitlines()[0]) + 1, old, new)
    namespace = {"__name__": "__main__", "__file__": str(path)}
    recorder = Recorder(title="script.py", is_cell=lambda name: name == str(path), namespace=namespace)
    recorder.start()
    error = None
    try:
        exec(compile(START + text, str(path), "exec"), namespace)
    except RuntimeError as raised:
        error = raised
    report = analyze(recorder.stop(error))
    about = About.of(Look(report.index), report.findings[0])
    start = script_start(str(path), [str(path)])
    judge = Judge(start)
    if not fenced:
        judge._fenced = Unfenced()
    try:
        return judge.verdict(about, (rewrite,))
    finally:
        start.close()


# Right fixes, slightly broken, and others that silence the error: a program, the lines, what is put in, what is said.
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
        "k ends with another value",
    ),
    "only a value lost": (
        "h = torch.exp(x)\nk = h.view(3)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "k ends with another value",
    ),
    "gradient detached": (
        "h = torch.exp(x)\nh.mul_(2)\n(h + x).sum().backward()\n",
        "h.mul_(2)",
        "h = h.clone()\nh.data.mul_(2)",
        "silent-corruption is found in the lines that it puts in",
    ),
    "another factor": (
        "h = torch.exp(x)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(3)",
        "h ends with another value",
    ),
    "write left out": (
        "h = torch.exp(x)\nh.add_(1)\n" + END,
        "h.add_(1)",
        "pass",
        "h ends with another value",
    ),
    "backward left out": (
        "h = torch.exp(x)\nh.add_(1)\n" + END,
        "h.add_(1)",
        "raise SystemExit",
        "ends with another value",
    ),
    "result not assigned": (
        "h = torch.exp(x)\nh.add_(1)\n" + END,
        "h.add_(1)",
        "h.add(1)",
        "lost-write is found in the lines that it puts in",
    ),
    "clone behind the write": (
        "h = torch.exp(x)\nh.add_(1)\n" + END,
        "h.add_(1)",
        "h.add_(1)\nh = h.clone()",
        "with this change it raises RuntimeError",
    ),
    "a write through data on a clone": (
        "y = x.sigmoid()\ny.data.mul_(2)\ny.sum().backward()\n",
        "y.data.mul_(2)",
        "y = y.clone()\ny.data.mul_(2)",
        "the same is found again at its place",
    ),
    "a write under no_grad on a clone": (
        "h = torch.exp(x)\nwith torch.no_grad():\n    h.mul_(2)\n" + END,
        "    h.mul_(2)",
        "    h = h * 2",
        "with this change it raises RuntimeError: element 0 of tensors does not require grad",
    ),
    "a dropped write to a row": (
        "h = x.view(3, 1) * torch.ones(2)\nwith torch.no_grad():\n    row = h[0]\nrow *= 10\n" + END,
        "row *= 10",
        "row = row.clone()\nrow *= 10",
        "a write is lost",
    ),
    "inside a function": (
        "def main():\n    w = torch.ones(3, requires_grad=True)\n    h = torch.exp(w)\n    h.mul_(2)\n"
        "    (h + w).sum().backward()\nmain()\n",
        "    h.mul_(2)",
        "    h = h.detach().mul(2)",
        "the gradient of a leaf without a name is not the same as in a run in which every saved tensor is a copy",
    ),
    "gradient cut": (
        "h = torch.exp(x)\nh.mul_(2)\n(h + x).sum().backward()\n",
        "h.mul_(2)",
        "h = h.detach().mul(2)",
        "the gradient of x is not the same as in a run in which every saved tensor is a copy",
    ),
    "given by autograd.grad": (
        "def main():\n    w = torch.ones(3, requires_grad=True)\n    h = torch.exp(w)\n    h.mul_(2)\n"
        "    return (h + w).sum(), w\ng = torch.autograd.grad(*main())[0].tolist()\n",
        "    h.mul_(2)",
        "    h = h.detach().mul(2)",
        "what autograd.grad gives is not the same as in a run in which every saved tensor is a copy",
    ),
    "other random numbers": (
        "h = torch.exp(x)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)\ntorch.rand(1)",
        "it draws other random numbers before the backward",
    ),
    "something printed": (
        "h = torch.exp(x)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)\nprint('h')",
        "it prints something else before the backward",
    ),
    "a moved step": (
        "net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\none, two = net(x), net(x + 1)\none.backward()\n"
        "optimizer.step()\ntwo.backward()\n",
        "optimizer.step()\ntwo.backward()",
        "two.backward()\noptimizer.step()",
        "ends with another value",
    ),
    "buffer that no variable reaches": (
        "def main():\n    n = torch.nn.BatchNorm1d(1, affine=False).eval()\n    h = n(x[:, None])\n"
        "    n.running_var.mul_(2)\n    h.sum().backward()\nmain()\n",
        "    n.running_var.mul_(2)",
        "    n.running_var.mul(2)",
        "a tensor without a name ends with another value",
    ),
}


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rewrite_is_not_proved(name: str, tmp_path: Path) -> None:
    """It runs without an error or not, and what it changes is said."""
    text, old, new, why = WRONG[name]

    proof = judged(tmp_path, text, old, new, fenced=name in FENCED)

    assert not proof.verified
    assert why in proof.text


RIGHT = {
    "leaf in a function": (
        "def main():\n    w = torch.ones(3, requires_grad=True)\n    h = torch.exp(w)\n    h.mul_(2)\n"
        "    (h + w).sum().backward()\nmain()\n",
        "    h.mul_(2)",
        "    h = h.mul(2)",
        "the gradient of 1 leaf without a name agrees with finite differences",
    ),
    "autograd.grad": (
        "h = torch.exp(x)\nh.mul_(2)\ng = torch.autograd.grad(h.sum(), x)\n",
        "h.mul_(2)",
        "h = h.mul(2)",
        "what autograd.grad gives agrees with finite differences",
    ),
    "second derivative": (
        "(g,) = torch.autograd.grad(torch.sigmoid(x).pow(2).sum(), x, create_graph=True)\n"
        "g.pow(2).sum().backward()\nh = torch.exp(x)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x agrees with finite differences",
    ),
    "what is taken out of the graph": (
        "h = torch.exp(x)\nt = (h * 3).detach()\ns = h.sum().item()\nh.mul_(2)\n"
        "((h - t) * s).pow(2).sum().backward()\n",
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x agrees with finite differences",
    ),
    "a custom function": (
        "class Double(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, t):\n        return t * 2\n"
        "    @staticmethod\n    def backward(ctx, g):\n        return g * 2\n"
        "h = torch.exp(Double.apply(x))\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x agrees with finite differences",
    ),
    "a child that computes": (
        "import os\nchild = os.fork()\nif child == 0:\n"
        "    torch.ones(2, requires_grad=True).exp().sum().backward()\n    os._exit(0)\n"
        "os.waitpid(child, 0)\nh = torch.exp(x)\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x agrees with finite differences",
    ),
    "a module that remembers": (
        "torch.calls = getattr(torch, 'calls', 0) + 1\n"
        "h = torch.exp(x) if torch.calls == 1 else x.tanh()\nh.mul_(2)\n" + END,
        "h.mul_(2)",
        "h = h.mul(2)",
        "the gradient of x agrees with finite differences",
    ),
    "a row": (
        "h = x.view(3, 1) * torch.ones(2)\nwith torch.no_grad():\n    row = h[0]\nrow *= 10\n" + END,
        "    row = h[0]",
        "    with torch.enable_grad():\n        row = h[0]",
        "what backward is called on is what the code computes where nothing is refused",
    ),
}


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rewrite_is_proved(name: str, tmp_path: Path) -> None:
    """Gradients are compared wherever they arrive, and it is said what was compared."""
    text, old, new, why = RIGHT[name]

    proof = judged(tmp_path, text, old, new, fenced=name in FENCED)

    assert proof.verified
    assert proof.gradients
    assert why in proof.text


def test_a_leaf_that_is_written_to_has_no_gradient_to_compare(tmp_path: Path) -> None:
    """PyTorch refuses the code as it is, and no backward follows."""
    proof = judged(tmp_path, "x.add_(1)\n", "x.add_(1)", "with torch.no_grad():\n    x.add_(1)")

    assert (proof.verified, proof.gradients) == (True, False)
    assert "there is no gradient to compare" in proof.text


def test_a_custom_derivative_is_not_compared(tmp_path: Path) -> None:
    """Whether it is meant to be another one, no finite difference can tell."""
    text = (
        "class Double(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, t):\n        return t * 2\n"
        "    @staticmethod\n    def backward(ctx, g):\n        return g\n"
        "h = torch.exp(Double.apply(x))\nh.mul_(2)\n"
    )

    proof = judged(tmp_path, text + END, "h.mul_(2)", "h = h.mul(2)")

    assert (proof.verified, proof.disproved) == (False, False)
    assert "a custom function has a derivative of its own" in proof.text


@pytest.mark.whole
def test_two_writes_are_mended_together(tmp_path: Path) -> None:
    """One backward refuses both: the change that is shown mends both."""
    text = "h = torch.exp(x)\nh.mul_(2)\nk = torch.sigmoid(x)\nk.mul_(3)\n(h + k).sum().backward()\n"
    path = script(tmp_path, START + text)

    ours = run_inplace("run", "--verify", path)

    assert "- h.mul_(2)" in ours.stderr
    assert "+ h = h.mul(2)" in ours.stderr
    assert "+ k = k.mul(3)" in ours.stderr
    assert "proved by a replay: nothing raises" in ours.stderr


@pytest.mark.whole
def test_independent_faults_are_proved_one_by_one(tmp_path: Path) -> None:
    """The fix of one does not carry the other's, and the other is found all the same."""
    one = "{0} = torch.{1}(x)\n{0}.mul_(2)\ntry:\n    {0}.sum().backward()\nexcept RuntimeError:\n    pass\n"
    path = script(tmp_path, START + one.format("a", "sigmoid") + one.format("b", "tanh"))

    ours = run_inplace("run", "--quiet", "--verify", "--json", "-", path)

    fixes = [one["fix"] for one in json.loads(ours.stdout)["diagnoses"] if one["kind"] == "saved-tensor-modified"]
    assert [(fix["rewrite"]["new"], fix["verified"]) for fix in fixes] == [
        ("a = a.mul(2)", True),
        ("b = b.mul(2)", True),
    ]


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


@pytest.mark.one_of(4)
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

    ours = run_inplace("run", "--verify", path)

    assert sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.is_file()) == before
    assert "proved" in ours.stderr


@pytest.mark.whole
def test_a_replay_may_use_its_own_folder(tmp_path: Path) -> None:
    """Temporary files are no reason to refuse."""
    text = (
        "import os, tempfile\nwith tempfile.TemporaryDirectory() as folder:\n"
        "    torch.save(x.detach(), folder + '/x.pt')\n    os.rename(folder + '/x.pt', folder + '/y.pt')\n"
        "h = torch.exp(x)\nh.mul_(2)\n"
    )
    path = script(tmp_path, START + text + END)

    ours = run_inplace("run", "--verify", path)

    assert "proved by a replay: nothing raises" in ours.stderr

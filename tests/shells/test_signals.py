"""A script that SIGTERM ends leaves its report, and neither it nor its children notice that we wait for it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.commands import POSIX, SCRIPT, python, run_inplace, run_script, script

pytestmark = POSIX

RECORDED = "import os, signal, sys, torch\nx = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.mul_(2)\n"
REFUSED = "try:\n    h.sum().backward()\nexcept RuntimeError:\n    pass\n"
END = "os.kill(os.getpid(), signal.SIGTERM)\n"
ENDINGS = {
    "at top level": END,
    "in a function": f"def f():\n    {END}f()\n",
    "in a block that catches all": f"try:\n    {END}except BaseException:\n    print('caught', flush=True)\n"
    "finally:\n    print('finally', flush=True)\n",
    "in a hook of a backward": "y = x * 2\ny.register_hook(lambda grad: os.kill(os.getpid(), signal.SIGTERM))\n"
    "y.sum().backward()\n",
    "in a function of PyTorch's": "class F(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
    "        os.kill(os.getpid(), signal.SIGTERM)\n        return x * 2\n"
    "    @staticmethod\n    def backward(ctx, grad):\n        return grad\nF.apply(x)\n",
    "in a step": "p = torch.nn.Parameter(torch.ones(1))\np.grad = torch.ones(1)\n"
    "class SGD(torch.optim.SGD):\n    def step(self, closure=None):\n        super().step()\n        "
    "os.kill(os.getpid(), signal.SIGTERM)\nSGD([p]).step()\n",
    "under modes": "with torch.inference_mode(), torch.device('meta'):\n    os.kill(os.getpid(), signal.SIGTERM)\n",
    "from a thread": "import threading\nthreading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
    "while True:\n    torch.ones(2).add_(1)\n",
    "with a handler that was taken away": "print(signal.signal(signal.SIGTERM, print), flush=True)\n"
    f"print(signal.signal(signal.SIGTERM, signal.SIG_DFL) is print, flush=True)\n{END}",
    "deep in a recursion": f"def f(n):\n    if n:\n        return f(n - 1)\n    {END}f(900)\n",
}


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", ENDINGS)
def test_a_script_that_is_ended_leaves_its_report(name: str, tmp_path: Path) -> None:
    """It ends as it would without us, with no code of its own run, and what it did until then is reported as that."""
    script(tmp_path, f"{RECORDED}{REFUSED}{ENDINGS[name]}print('not reached', flush=True)\n")

    plain = run_script(tmp_path)
    ours = run_inplace("run", "--json", "out.json", SCRIPT, folder=tmp_path)

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert plain.returncode == -signal.SIGTERM
    assert "h.mul_(2) changed h after line 3 saved it" in ours.stderr
    assert "note: SIGTERM ended the script before its end" in ours.stderr
    assert "fault of ours" not in ours.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["complete"] is False
    assert found["reason"].startswith("SIGTERM ended the script before its end")
    assert "saved-tensor-modified" in [one["kind"] for one in found["diagnoses"]]


def test_it_is_not_said_that_nothing_is_wrong(tmp_path: Path) -> None:
    """What was recorded is not all; what the script had printed and not yet written is lost as ever."""
    path = script(
        tmp_path,
        f"import os, signal, torch\ntorch.ones(2)\nout = open(1, 'w', closefd=False)\nprint('lost', file=out)\n{END}",
    )

    plain, ours = python(path), run_inplace("run", path)

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr.endswith("1 call, 0 in place: nothing wrong in what was recorded\n")


def test_before_torch(tmp_path: Path) -> None:
    """A script that is ended before it has imported torch has nothing to show, which is said."""
    path = script(tmp_path, f"import os, signal\n{END}")

    ours = python("-m", "inplace", "run", "--json", "-", path)

    assert ours.returncode == -signal.SIGTERM
    assert (json.loads(ours.stdout)["calls"], json.loads(ours.stdout)["complete"]) == (0, False)
    assert ours.stderr.endswith("0 calls, 0 in place: nothing can be said\n")


UNNOTICED = {
    "asked": "print(signal.getsignal(signal.SIGTERM), signal.getsignal(15) is signal.SIG_DFL)",
    "its own handler": "def mine(*_):\n    print('mine', flush=True)\n    raise SystemExit(3)\n"
    f"print(signal.signal(signal.SIGTERM, mine), signal.getsignal(15) is mine)\n{END}",
    "ignored": f"print(signal.signal(15, signal.SIG_IGN))\n{END}print(signal.getsignal(15), 'alive')",
    "put back": "before = signal.signal(15, print)\nprint(signal.signal(15, before), signal.getsignal(15))",
    "a handler that is none": "try:\n    signal.signal(15, 'x')\nexcept TypeError as refused:\n    print(refused)",
    "no such signal": "try:\n    signal.signal(1000, print)\nexcept ValueError as refused:\n    print(refused)",
    "its functions": "from signal import getsignal\n"
    "print(signal.signal.__name__, signal.signal.__module__, getsignal is signal.getsignal, len(dir(signal)))",
    "a forked child": f"child = os.fork()\nif not child:\n    print(signal.getsignal(15), flush=True)\n    {END}"
    "print(os.waitpid(child, 0)[1])",
    "a child that is ended": "import multiprocessing as mp\nimport time\n"
    "one = mp.get_context('fork').Process(target=time.sleep, args=(100,))\none.start()\none.terminate()\none.join()\n"
    "print(one.exitcode)",
    "a child of another program": "import subprocess\n"
    "one = subprocess.Popen([sys.executable, '-c', 'import signal; print(signal.getsignal(15)); input()'],"
    " stdout=-1, stdin=-1, text=True)\n"
    "print(one.stdout.readline())\none.terminate()\nprint(one.wait())",
    "asyncio": "import asyncio\nasync def main():\n    loop = asyncio.get_running_loop()\n    came = asyncio.Event()\n"
    f"    loop.add_signal_handler(15, came.set)\n    {END}    await came.wait()\n    print('came')\n"
    "    print(loop.remove_signal_handler(15), signal.getsignal(15))\nasyncio.run(main())",
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", UNNOTICED)
def test_the_script_does_not_notice(name: str, tmp_path: Path) -> None:
    """What it asks of SIGTERM, and what it does with it, is as without us, for its children too."""
    script(tmp_path, f"import os, signal, sys, torch\ntorch.ones(1)\n{UNNOTICED[name]}\n")

    plain, ours = run_script(tmp_path), run_inplace("run", "--quiet", SCRIPT, folder=tmp_path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """Who starts us with SIGTERM ignored, as a supervisor may, has it ignored."""
    path = script(tmp_path, f"import os, signal\n{END}print('alive')\n")
    text = f"import os, signal\nsignal.signal(15, signal.SIG_IGN)\nos.execv({sys.executable!r}, "

    ours = python("-c", f"{text}[{sys.executable!r}, '-m', 'inplace', 'run', '--quiet', {str(path)!r}])")

    assert (ours.returncode, ours.stdout) == (0, "alive\n")


CHILDREN = """
import ctypes, multiprocessing as mp, signal, time, torch
torch.ones(1)
def stuck(ready, over):
    torch.ones(1)
    code, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    ready.set()
    code.pthread_mutex_lock(lock)
    code.pthread_mutex_lock(lock)
def works(ready, over):
    while True:
        torch.ones(2).add_(1)
        ready.set()
def waits(ready, over):
    ready.set()
    over.wait()
def handles(ready, over):
    came = []
    signal.signal(15, lambda *_: came.append(1))
    ready.set()
    over.wait()
    print("came", len(came), flush=True)
def handles_no_more(ready, over):
    signal.signal(15, signal.signal(15, print))
    waits(ready, over)
def ignores(ready, over):
    signal.signal(15, signal.SIG_IGN)
    waits(ready, over)
def ended(work, how="fork"):
    context = mp.get_context(how)
    ready, over = context.Event(), context.Event()
    child = context.Process(target=work, args=(ready, over))
    child.start()
    ready.wait()
    child.terminate()
    if work in (handles, ignores):
        over.set()
    child.join()
    print(child.exitcode)
if __name__ == "__main__":
    """
TOLD_TO_END = {
    "pools": "for _ in range(30):\n        with mp.get_context('fork').Pool(2) as pool:\n"
    "            print(pool.map(abs, [-1, 2]))",
    "stuck in native code": "ended(stuck)",
    "at work": "ended(works)",
    "waiting": "ended(waits)",
    "with a handler of its own": "ended(handles)",
    "with a handler that was taken away": "ended(handles_no_more)",
    "ignoring it": "ended(ignores)",
    "spawned": "ended(waits, 'spawn')",
    "of a fork server": "ended(waits, 'forkserver')",
    "below a child": "child = mp.get_context('fork').Process(target=ended, args=(works,))\n"
    "    child.start()\n    child.join()",
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", TOLD_TO_END)
def test_a_child_that_is_told_to_end_ends(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is then, its parent's `terminate` and `join` do what they do without us, and no mark is left."""
    script(tmp_path, f"{CHILDREN}{TOLD_TO_END[name]}\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    plain, ours = run_script(tmp_path), run_inplace("run", "--quiet", SCRIPT, folder=tmp_path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert list(temporary.glob("inplace-*")) == []

"""Replays of programs that act, and of sound ones that only look as if they did."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from inplace.checks.report import Report
from inplace.judge import judge
from inplace.judge.fenced import Fenced
from tests.commands import run_inplace, script
from tests.some import WHOLE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no fence, and nothing is replayed")

START = "import torch\nx = torch.rand(3, requires_grad=True)\n"
WRONG = "h = torch.exp(x)\nh.mul_(2)\nh.sum().backward()\n"

ACTS = {
    "a store": (
        "from datetime import timedelta\nfrom torch.distributed import TCPStore\n"
        "try:\n    TCPStore('127.0.0.1', PORT, None, False, timedelta(seconds=1), wait_for_workers=False)\n"
        "except Exception:\n    pass\n",
        "not proved: the code does what a replay may not do (",
    ),
    "a map": (
        "torch.from_file(FILE, shared=True, size=4).add_(1)\n",
        "not proved: the code does what a replay may not do (open ",
    ),
    "a script module": (
        "try:\n    torch.jit.save(torch.jit.script(torch.nn.ReLU()), FILE)\nexcept Exception:\n    pass\n",
        "not proved: the code does what a replay may not do (open ",
    ),
    "a child that is spawned": (
        "import subprocess\n"
        "subprocess.run([sys.executable, '-c', f'import socket; socket.create_connection((\"127.0.0.1\", {PORT}))'])\n",
        "not proved: the code does what a replay may not do (connect 127.0.0.1:",
    ),
    "the end": (
        "import atexit, socket\natexit.register(lambda: socket.create_connection(('127.0.0.1', PORT)))\n"
        "class W:\n    def __del__(self, socket=socket):\n        socket.create_connection(('127.0.0.1', PORT))\n"
        "w = W()\n",
        "proved by a replay: nothing raises",
    ),
}


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", ACTS)
def test_a_replay_does_not_act(name: str, tmp_path: Path) -> None:
    """Only replays act in these scripts, and nobody hears of it; what came after the code takes no proof away."""
    code, told = ACTS[name]
    target = tmp_path / "mine"
    target.write_bytes(bytes(16))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        names = f"import sys\nFILE, PORT = {str(target)!r}, {server.getsockname()[1]}\n"
        acting = "".join(f"    {line}\n" for line in code.splitlines())
        path = script(tmp_path, START + names + f"if 'inplace.judge.rerun' in sys.modules:\n{acting}" + WRONG)

        ours = run_inplace("run", "--verify", path)

        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert target.read_bytes() == bytes(16)
    assert told in " ".join(ours.stderr.split())


SOUND = {
    "workers": (
        "from torch.utils.data import DataLoader\n"
        "for b in DataLoader(torch.arange(6.0).view(2, 3), batch_size=1, num_workers=2):\n    y = x * b\n"
    ),
    "a pool": (
        "import torch.multiprocessing as m\n"
        "with m.get_context('fork').Pool(1) as pool:\n    y = x * pool.apply(torch.ones, (3,))\n"
    ),
    "a pool that is asked again": (
        "import torch.multiprocessing as m\n"
        "with m.get_context('fork').Pool(2) as pool:\n"
        "    for _ in range(3):\n        y = x * sum(pool.map(torch.ones, [3, 3]))\n"
    ),
    "shared tensors": "y = torch.ones(3).share_memory_().add_(1)\n",
    "a compiled model": (
        "net = torch.compile(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh()), backend='aot_eager')\n"
        "x = net(x)\n"
    ),
    "an unused port": "import socket\nsocket.socket().bind(('127.0.0.1', 0))\n",
}
if WHOLE:
    SOUND["compiled code"] = "torch.compile(lambda t: t.sin() * 2, backend='aot_eager')(torch.ones(3))\n"


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", SOUND)
def test_what_does_not_act_is_replayed(name: str, tmp_path: Path) -> None:
    """Workers, shared memory and compilers of its own keep no fix from being proved."""
    path = script(tmp_path, START + SOUND[name] + WRONG)

    ours = run_inplace("run", "--verify", path)

    assert "proved by a replay: nothing raises" in ours.stderr


def test_a_replay_joins_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't find the other processes of a job, and that is said."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("RANK", "0")
    path = script(tmp_path, START + "import os\nos.environ['RANK']\n" + WRONG)

    ours = run_inplace("run", "--verify", path)

    assert (
        "not proved: the code is one process of a job (MASTER_ADDR is set), which a replay does not join."
        in " ".join(ours.stderr.split())
    )


def test_an_interrupt_ends_both_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one beside is not waited for, and the copies are removed."""
    stopped = threading.Event()

    class Interrupted(Fenced):
        def run(self, folder: Path, *_: Any) -> str:
            if '"twin": true' in (folder / "order.json").read_text():
                assert stopped.wait(600)
                return "it was interrupted"
            raise KeyboardInterrupt

        def stop(self) -> None:
            stopped.set()

    monkeypatch.setattr(judge, "Fenced", Interrupted)
    path = script(tmp_path, START + WRONG)
    start = judge.script_start(str(path), [str(path)])

    with pytest.raises(KeyboardInterrupt):
        judge.prove(report_of(path), start)

    assert not Path(start.folder.name).exists()


def report_of(path: Path) -> Report:
    """What a script's recording shows."""
    from inplace.capture.record import Recorder
    from inplace.fixes.diagnose import analyze

    namespace = {"__name__": "__main__", "__file__": str(path)}
    recorder = Recorder(title="script.py", is_cell=lambda name: name == str(path), namespace=namespace)
    recorder.start()
    try:
        exec(compile(path.read_text(), str(path), "exec"), namespace)
    except RuntimeError as raised:
        return analyze(recorder.stop(raised))
    raise AssertionError

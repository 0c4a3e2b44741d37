"""A script runs under `inplace run` exactly as it does in plain Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import POSIX, python, script

PROGRAMS = {
    "status": "import sys; sys.exit(7)",
    "sentence": "import sys; sys.exit('sorry')",
    "true": "import sys; sys.exit(True)",
    "no status": "raise SystemExit",
    "exception": "def f():\n    return 1 / 0\nf()",
    "cause": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('x') from error",
    "cause that was never raised": "raise ValueError('x') from KeyError('y')",
    "context": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError('k')",
    "refused by torch": "import torch\nx = torch.ones(2, requires_grad=True)\nx.add_(1)",
    "syntax error": "x = (",
    "indentation": "if 1:\nx = 1",
    "input": "print(input())",
    "names": "import sys; print(__file__, sys.argv, sys.path[0], __name__, __spec__, __package__, __doc__)",
    "globals": "'''doc'''\nprint(sorted(globals()), __doc__, type(__loader__), type(__builtins__))",
    "main module": "import __main__\nx = 3\nprint(__main__.x, __main__.__file__)",
    "annotations": "def f(x: int): pass\nprint(f.__annotations__)",
    "class variables": (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "@dataclass\nclass A:\n    x: int\n    y: 'ClassVar[int]' = 3\nprint(A(1))"
    ),
    "encoding": "# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))",
    "warnings": "print((x := 1) is 1)\nimport warnings\nwarnings.warn('w', DeprecationWarning)",
    "other folder": "import os\nos.chdir('/')\n1 / 0",
    "own hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0], a[1])\n1 / 0",
    "hook that fails": "import sys\ndef hook(*a): raise ValueError('x')\nsys.excepthook = hook\n1 / 0",
    "closed output": "import sys\nsys.stdout.close()",
    "closed errors": "import sys\nsys.stderr.close()",
    "other output": "import sys, io\nprint('x')\nsys.stdout = io.StringIO()\nprint('y')",
    "last words": "import atexit\natexit.register(lambda: print('bye'))\nprint('hi')\nraise SystemExit('m')",
    "last exception": "import atexit, sys\natexit.register(lambda: print(sys.last_type, sys.last_value))\n1 / 0",
    "thread": (
        "import threading\ngo = threading.Event()\n"
        "threading.Thread(target=lambda: (go.wait(), print('late'))).start()\nprint('main')\ngo.set()"
    ),
    "pickle": "class A: pass\nimport pickle\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "no output": "import sys\nsys.stdout = None\nsys.exit('x')",
    "environment": "import os\nos.environ['OMP_NUM_THREADS'] = '1'\nimport torch\nprint(torch.get_num_threads())",
    "modules": "import sys\nprint({'torch', 'numpy', 'json'} & set(sys.modules))",
    "import hooks": "import torch, sys\nprint(len(sys.meta_path), vars(torch.__loader__), torch.__spec__.origin)",
    "import that fails": (
        "import sys, traceback\nfrom importlib.machinery import SourceFileLoader\n"
        "def broken(*a): raise ImportError('libcudart.so: not found')\n"
        "whole, SourceFileLoader.exec_module = SourceFileLoader.exec_module, broken\n"
        "try:\n    import torch\nexcept ImportError as error:\n    print(error)\n"
        "SourceFileLoader.exec_module = whole\nimport torch\nprint(torch.ones(1))\n"
        "del sys.modules['torch']\nSourceFileLoader.exec_module = broken\n"
        "try:\n    import torch\nfinally:\n    SourceFileLoader.exec_module = whole"
    ),
    "below it": (
        "import inspect, sys, traceback\n"
        "print(sys._getframe().f_back, len(inspect.stack()))\n"
        "try:\n    sys._getframe(1)\nexcept ValueError as error:\n    print(error)\ntraceback.print_stack()"
    ),
    "warnings above it": (
        "import warnings\nwarnings.warn('a', stacklevel=2)\ndef f(): warnings.warn('b', stacklevel=3)\nf()\n"
        "warnings.warn('c', DeprecationWarning, stacklevel=2)"
    ),
    "log above it": (
        "import logging\nlogging.basicConfig(format='%(filename)s:%(lineno)d:%(funcName)s %(message)s')\n"
        "logging.warning('a', stacklevel=3)\nlogging.warning('b', stack_info=True)"
    ),
    "below its hook": (
        "import sys, traceback\ndef hook(*given): traceback.print_stack()\nsys.excepthook = hook\n1 / 0"
    ),
    "context variables": (
        "import atexit, contextvars\nx = contextvars.ContextVar('x')\nmark = x.set(1)\n"
        "atexit.register(lambda: (print(x.get()), x.reset(mark)))"
    ),
    "recursion": (
        "import sys, threading\ndef deep(n):\n    try:\n        return deep(n + 1)\n"
        "    except RecursionError:\n        return n\n"
        "print(deep(0), sys.getrecursionlimit())\nsys.setrecursionlimit(500)\nprint(deep(0), sys.getrecursionlimit())\n"
        "try:\n    sys.setrecursionlimit(0)\nexcept ValueError as error:\n    print(error)"
    ),
    "recursion that ends it": "def deep(): deep()\ndeep()",
    "greenlets": "import sys\nprint([name for name in sys.modules if 'greenlet' in name])",
    "sudden end": "import os\nprint('a', flush=True)\nos._exit(5)",
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", PROGRAMS)
def test_scripts_run_as_in_plain_python(name: str, tmp_path: Path) -> None:
    """Exit status, stdout and stderr are the same, whatever the script asks or ends with."""
    script(tmp_path, "").write_bytes((PROGRAMS[name] + "\n").encode("latin-1"))
    command = ["script.py", "a", "--", "-x", "--json", "--help"]

    plain = python(*command, stdin="line\n", folder=tmp_path)
    ours = python("-m", "inplace", "run", "--quiet", *command, stdin="line\n", folder=tmp_path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


# Whoever runs the tests may have it ignored, as a shell does for what it runs in the background.
SIGNAL = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nsignal.raise_signal(signal.SIGINT)"


@POSIX
@pytest.mark.parametrize("text", ["raise KeyboardInterrupt", SIGNAL])
def test_an_interrupt_ends_it_as_python_ends(text: str, tmp_path: Path) -> None:
    """An interrupted script ends with the signal itself, as a shell's loop needs it, after its traceback."""
    path = script(tmp_path, text + "\n")

    plain = python(path)
    ours = python("-m", "inplace", "run", "--quiet", "--json", tmp_path / "out.json", path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert json.loads((tmp_path / "out.json").read_text())["error"]["type"] == "KeyboardInterrupt"


@POSIX
def test_a_fork_of_the_script_reports_nothing(tmp_path: Path) -> None:
    """Only the process that was asked reports."""
    path = script(
        tmp_path,
        "import os, torch\ntorch.ones(1).add_(1)\nif os.fork() == 0:\n    raise SystemExit\nos.wait()\n",
    )

    ours = python("-m", "inplace", "run", "--json", "-", path)

    assert json.loads(ours.stdout)["calls"] == 2
    assert ours.stderr.count("2 calls") == 1


def test_workers_import_the_script(tmp_path: Path) -> None:
    """Spawned processes find the script as their main module."""
    path = script(
        tmp_path,
        "import multiprocessing as mp\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n        print(pool.map(double, [1, 2]))\n",
    )

    ours = python("-m", "inplace", "run", "--quiet", path)

    assert (ours.stdout, ours.returncode) == ("[2, 4]\n", 0)


WORKERS = """\
import sys
import torch
from torch.utils.data import DataLoader, Dataset

class Numbers(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, number):
        return torch.full((1,), float(number)).add_(1)

if __name__ == "__main__":
    for batch in DataLoader(Numbers(), batch_size=2, num_workers=1, multiprocessing_context=sys.argv[1]):
        print(batch.tolist())
"""


@POSIX
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_load_data(context: str, tmp_path: Path) -> None:
    """The worker processes of a DataLoader run and end as ever, and report nothing."""
    path = script(tmp_path, WORKERS)

    ours = python("-m", "inplace", "run", "--quiet", "--json", tmp_path / "out.json", path, context)

    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "[[1.0], [2.0]]\n[[3.0], [4.0]]\n", "")
    assert json.loads((tmp_path / "out.json").read_text())["error"] is None


# ------------------------------------------------------------ when recording begins


def test_recording_begins_with_torch(tmp_path: Path) -> None:
    """Calls are recorded wherever in the script torch is imported first."""
    (tmp_path / "helper.py").write_text("def f():\n    from torch import ones\n    return ones(2)\n")
    path = script(tmp_path, "import helper\nx = helper.f()\nx.add_(1)\n")

    ours = python("-m", "inplace", "run", "--quiet", "--json", "-", path)

    assert json.loads(ours.stdout)["calls"] == 2


def test_another_thread_brings_torch(tmp_path: Path) -> None:
    """Where another thread has imported torch we say in one sentence that nothing was recorded."""
    text = "import threading\ndef f():\n    import torch\nt = threading.Thread(target=f)\nt.start()\nt.join()\n"
    path = script(tmp_path, text + "import torch\nprint(torch.ones(1))\n")

    ours = python("-m", "inplace", "run", path)

    assert (ours.returncode, ours.stdout) == (0, "tensor([1.])\n")
    assert ours.stderr.startswith("inplace: torch was first imported by another thread, so nothing was recorded")
    assert ours.stderr.count("\n") == 1

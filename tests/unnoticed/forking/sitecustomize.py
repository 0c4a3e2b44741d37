"""Imports torch once for many runs of one command line: each is a fork that goes on from here as Python ever does.

Python imports a module of this name before it looks at what it is to run, so the script, or `-m inplace`, is run, and
ended, by Python itself, below nothing of ours. A letter on the pipe is one run; what it answers is the exit status.
To end as Python does takes longer than most programs, so it is left out where the letter is not that of `WHOLE`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import resource
import signal
import sys
import time
from types import ModuleType

WHOLE = b"w"
LIMIT = 60  # seconds of a run, from which on it hangs


def _serve(requests: int, answers: int) -> None:
    while True:
        letter = os.read(requests, 1)
        if not letter:
            os._exit(0)
        child = os.fork()
        if not child:
            os.close(requests)
            os.close(answers)
            _begin(whole=letter == WHOLE)
            return
        os.write(answers, b"%d\n" % _ended(child))


def _ended(child: int) -> int:
    """The status with which a run ends, below 0 for a signal."""
    for _ in range(LIMIT * 200):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -999


def _begin(*, whole: bool) -> None:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    main = ModuleType("__main__")  # as the one that is there, which the collector doesn't look at any more
    vars(main).update(vars(sys.modules["__main__"]))
    sys.modules["__main__"] = main
    process = os.getpid()
    atexit.register(lambda: os.getpid() == process and _end(grown, whole=whole))


def _end(grown: int, *, whole: bool) -> None:
    """The last of a run before Python takes its modules apart."""
    _tell(grown)
    if not whole:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1 if hasattr(sys, "last_value") else 0)


def _tell(grown: int) -> None:
    """Write down what the run has left behind."""
    import hashlib
    import random

    import numpy as np
    import torch

    state = torch.get_rng_state().numpy().tobytes() + repr((random.getstate(), np.random.get_state()[1:3])).encode()  # noqa: NPY002
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown
    found = {
        "random": hashlib.sha256(state).hexdigest(),
        "modes": [str(type(mode)) for mode in torch.overrides._get_current_function_mode_stack()],
        "grad": [torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()],
        "kilobytes": peak,
    }
    file = os.open("end", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(file, json.dumps(found).encode())


if "UNNOTICED" in os.environ:
    _requests, _answers, *_modules = os.environ.pop("UNNOTICED").split()
    for _module in _modules:
        __import__(_module)
    sys.modules["torch"].set_num_threads(1)  # threads of a pool would be missing in the forks
    gc.collect()
    gc.freeze()  # forks then neither copy nor go through what is there
    os.write(int(_answers), b"0\n")
    _serve(int(_requests), int(_answers))

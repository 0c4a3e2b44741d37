"""Does a piece of work in a forked process, so that each piece begins from the same state."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def apart(work: Callable[[], Any], file: Path) -> Any:
    """What `work` gives in a process that is forked for it, and ended with all of its group as soon as it is there.

    Args:
        work: whose result can be pickled with what this process knows.
        file: for the result, on its way.

    Returns:
        The result; None if the process ended without one, or if it can't be handed on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 and on warns of threads
        child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            torch.save(work(), file)
        except BaseException as raised:
            file.unlink(missing_ok=True)
            sys.stderr.write(f"{type(raised).__name__}: {raised}\n")
            sys.stderr.flush()
        finally:
            os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.killpg(child, signal.SIGKILL)  # what it has left running; as long as nobody else can have its number
    os.waitpid(child, 0)
    try:
        return torch.load(file, weights_only=False)
    except Exception:  # it holds an object of the code's own, say
        return None
    finally:
        file.unlink(missing_ok=True)

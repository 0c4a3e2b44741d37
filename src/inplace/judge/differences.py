"""The gradient of one backward against finite differences, in double precision, along a few random directions.

NOTE [ Finite differences of a program ]
The code runs again and again, each time up to the backward that is judged: once to take its gradient, and twice for
each direction with every leaf moved a little forth and back, right before the first call of that backward's graph that
uses it. Calls are known by their number, so runs that do not call the same functions show nothing; each begins in a
process of its own, for what compilers and modules remember. Our mode is off where PyTorch would do something else
because of it. What is compared is what was called backward on. What the code takes out of the graph
on purpose (`detach`, `no_grad`, `.item()`) has to stay what it was: such results are kept from the first run and given
out again in the others, but for aliases through which something is written, as in `y.data.mul_(2)`: that write changes
what the code computes, and a gradient that does not know of it is wrong. Of lines that a rewrite puts in nobody knows
that it is on purpose: where they take something out, what they do is measured a second time, without holding it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from inplace.capture.patches.ledger import Ledger
from inplace.capture.patches.mode_off import ModeOff
from inplace.judge.moved_run import NOT_TWICE, First, Move, ReachedError, Run, Told, direction_of
from inplace.judge.put_in import PutIn

DIRECTIONS = 2
RUNS = 1 + 4 * DIRECTIONS  # of the code, at most
_STEP = 1e-6
_RELATIVE, _ABSOLUTE = 1e-4, 1e-7
_TOLD = 120  # characters of an exception's message
_ENGINE = "_engine_run_backward"


def _here(work: Callable[[], Any]) -> Any:
    """Do a run in this process."""
    return work()


def differences(
    begin: Callable[[], Callable[[], None]],
    wanted: int,
    apart: Callable[[Callable[[], Any]], Any] = _here,
    put_in: Mapping[str, PutIn] = MappingProxyType({}),
) -> dict[str, Any]:
    """Compare the gradient of one backward with finite differences.

    Args:
        begin: makes ready for a run of the code from its beginning, and gives what runs it.
        wanted: the number of the backward, from 0.
        apart: does one run where it leaves nothing behind for the next; None is for one that ended without a result.
        put_in: by file, the lines of which it is asked besides whether what they take out of the graph is missed.

    Returns:
        `agree` (None where they can't be compared, and `why`), the `gradients` of leaves, how many `directions`, and
        `missing`: the expressions that were put in and take out of the graph a value that the result changes with;
        `early`: those that an earlier backward may miss something of.
    """
    begun: Told | None = apart(lambda: _one(begin, First(), wanted, None, put_in))
    if begun is None:
        return _undecided("a run ends without an answer")
    if begun.why is not None or begun.value is None or not begun.gradient:
        return _undecided(begun.why or "the backward is not reached in double precision")

    def run(move: Move) -> Told | None:
        told: Told | None = apart(partial(_one, begin, begun.first, wanted, move, {}))
        return told

    apart_by = _difference(run, begun, holds_all=True)
    if isinstance(apart_by, str) or (apart_by is not None and begun.own is not None):
        return _undecided(apart_by if isinstance(apart_by, str) else str(begun.own))
    if apart_by is not None:
        told, measured = apart_by
        return {"agree": False, "why": f"{told:.6g} along a direction where the loss changes by {measured:.6g}"}
    missed = begun.first.put_in and _difference(run, begun, holds_all=False)
    if isinstance(missed, str):
        return _undecided(missed)
    gradients = [None if grad is None else grad.detach().clone() for _, grad in begun.gradient]
    missing = list(dict.fromkeys(begun.first.put_in.values())) if missed else []
    more = {"missing": missing, "early": list(dict.fromkeys(begun.first.early))}
    return {"agree": True, "why": None, "gradients": gradients, "directions": DIRECTIONS, **more}


def _difference(
    run: Callable[[Move], Told | None], begun: Told, *, holds_all: bool
) -> tuple[float, float] | str | None:
    """What the gradient says along the first direction in which the result changes by something else, and by what.

    None where they agree in all directions; a text says why nothing can be compared.
    """
    scale = max(1.0, abs(begun.value or 0.0))
    known = [(leaf, grad) for leaf, grad in begun.gradient if grad is not None]
    for direction in range(DIRECTIONS):
        values = []
        for step in (_STEP, -_STEP):
            moved = run(Move(direction, step, holds_all))
            if moved is None or moved.value is None or abs(moved.value - (begun.value or 0.0)) > scale / 100:
                return (moved and moved.why) or NOT_TWICE
            values.append(moved.value)
        measured = (values[0] - values[1]) / (2 * _STEP)
        told = sum(float((grad * direction_of(grad, leaf, direction)).sum()) for leaf, grad in known)
        if abs(measured - told) > _RELATIVE * max(abs(measured), abs(told)) + _ABSOLUTE * scale:
            return told, measured
    return None


def _undecided(why: str) -> dict[str, Any]:
    return {"agree": None, "why": why}


def _one(
    begin: Callable[[], Callable[[], None]],
    first: First,
    wanted: int,
    move: Move | None,
    put_in: Mapping[str, PutIn],
) -> Told:
    mode = Run(first, wanted, move, put_in)
    ledger = Ledger()

    def applying(apply: Any) -> Any:
        def applied(cls: Any, *args: Any, **kwargs: Any) -> Any:
            call = partial(apply.__func__, cls, *args, **kwargs)
            return mode.apply(cls.__name__, call, [*args, *kwargs.values()])

        return classmethod(applied)

    try:
        run = begin()
        ModeOff(mode, ledger).start()
        ledger.replace(torch.autograd, _ENGINE, mode.watched)
        ledger.replace(torch.autograd.Function, "apply", applying)
        with mode:
            run()
    except ReachedError:
        pass
    except BaseException as raised:
        told = f"{type(raised).__name__}: {raised}".partition("\n")[0][:_TOLD]
        mode.told.why = mode.told.why or f"in double precision it raises {told}"
    finally:
        ledger.undo()
    return mode.told

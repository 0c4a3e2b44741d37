"""What Python tells of an object's weak references, without those by which we know a tensor."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from inplace.capture.patches.ledger import Replace
from inplace.capture.tables.refs import TensorRef

_of = weakref.getweakrefs


def leave_ours_out(replace: Replace) -> None:
    """Have `weakref` count and list the references of others only."""
    replace(weakref, "getweakrefs", _listed)
    replace(weakref, "getweakrefcount", _counted)


def forgetting(theirs: Any, forget: Callable[[Any], None]) -> Any:
    """`weakref` as `torch.utils.swap_tensors` is to see it, which swaps no tensor that has weak references.

    Args:
        theirs: the module.
        forget: lets go of our references to a tensor.
    """

    def getweakrefs(tensor: Any) -> list[Any]:
        forget(tensor)
        return list(theirs.getweakrefs(tensor))

    return SimpleNamespace(**{**vars(theirs), "getweakrefs": getweakrefs})


def _listed(theirs: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    @functools.wraps(theirs)
    def getweakrefs(value: Any, /) -> list[Any]:
        return [ref for ref in theirs(value) if type(ref) is not TensorRef]

    return getweakrefs


def _counted(theirs: Callable[[Any], int]) -> Callable[[Any], int]:
    @functools.wraps(theirs)
    def getweakrefcount(value: Any, /) -> int:
        return theirs(value) - sum(type(ref) is TensorRef for ref in _of(value))

    return getweakrefcount

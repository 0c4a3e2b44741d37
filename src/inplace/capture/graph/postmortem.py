"""A cell has failed without a recording: what its graph, where it is still alive, tells of the saves that went stale.

The graph knows which save went stale, and the names that reach its bytes; it has never known the line that wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from inplace.capture.code.names import borrow_locals, scan
from inplace.capture.code.stacks import USER, role_of_file
from inplace.capture.graph.handles import is_packed, overwritten_version, raw_saves, shown
from inplace.capture.graph.walk import LIMIT, NodesBelow
from inplace.capture.tables.tensor_facts import node_of


@dataclass(frozen=True, slots=True)
class StaleNode:
    """A node that can't run any more: `saved` is the save that was overwritten, `names` reach its bytes now."""

    node: str
    saved: str
    shape: tuple[int, ...]
    version: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StaleNodes:
    """The nodes that can't run any more; not `complete` where some of the graph was not looked at, as it is large."""

    found: tuple[StaleNode, ...]
    complete: bool


def is_stale_save(error: BaseException) -> bool:
    """Whether this is the error with which autograd refuses an overwritten save."""
    return overwritten_version(error) is not None


def stale_nodes(error: BaseException, namespace: Mapping[str, object]) -> StaleNodes:
    """The nodes with an overwritten save that the variables of a namespace, and of the user's failed functions, reach.

    What ran those functions, such as a shell, reaches the same by names of its own, which nobody knows.
    """
    named: list[tuple[str, torch.Tensor]] = []
    with torch._C.DisableTorchFunction():
        _take(namespace, named)
        entry = error.__traceback__
        while entry is not None:
            frame = entry.tb_frame
            if role_of_file(frame.f_code.co_filename) == USER and frame.f_locals is not frame.f_globals:
                borrow_locals(frame, lambda found: _take(found, named))
            entry = entry.tb_next
        below = NodesBelow((node for _, tensor in named if (node := node_of(tensor)) is not None), LIMIT)
        found = [_as_stale_node(node, name, kept, named) for node, _ in below for name, kept in _refused_saves(node)]
        return StaleNodes(tuple(found), below.is_complete)


def _take(namespace: Mapping[str, object], named: list[tuple[str, torch.Tensor]]) -> None:
    named += [(path, value) for path, value in scan(namespace) if isinstance(value, torch.Tensor)]


def _refused_saves(node: Any) -> list[tuple[str, torch.Tensor]]:
    """The saves of a node that it refuses to give out; those that a hook packed are not asked for."""
    found = []
    for name, handle in raw_saves(node):
        if isinstance(handle, tuple | list) or is_packed(handle):
            continue
        kept = shown(handle)
        try:
            getattr(node, f"_saved_{name}")
        except RuntimeError as refused:
            if kept is not None and is_stale_save(refused):
                found.append((name, kept))
    return found


def _as_stale_node(node: Any, name: str, kept: torch.Tensor, named: list[tuple[str, torch.Tensor]]) -> StaleNode:
    storage = kept.untyped_storage()._cdata
    names = dict.fromkeys(path for path, tensor in named if _storage_of(tensor) == storage)
    return StaleNode(
        str(node.name()).removeprefix("torch::autograd::"), name, tuple(kept.shape), kept._version, tuple(names)
    )


def _storage_of(tensor: torch.Tensor) -> int | None:
    try:
        return int(tensor.untyped_storage()._cdata)
    except RuntimeError:
        return None

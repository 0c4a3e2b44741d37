"""What a run worked with that its variables may not name, and what its backwards gave: for comparing two runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.modules.module import _global_forward_pre_hooks, register_module_forward_pre_hook
from torch.optim.optimizer import _global_optimizer_post_hooks, register_optimizer_step_post_hook
from typing_extensions import Self

from inplace.capture.bytes.readable import is_covered
from inplace.capture.graph.walk import NodesBelow
from inplace.capture.patches.ledger import Hooked, Ledger
from inplace.judge.tracing import is_traced

_ENGINE = "_engine_run_backward"
_MOST = 2000  # tensors kept of each sort; both runs keep the first ones


class BackwardsSeen:
    """Sees every backward while it is entered: `Tensor.backward`, `autograd.backward` and `autograd.grad`.

    Attributes:
        roots: copies of the tensors that backwards were called on.
        given: copies of what `autograd.grad` gave out.
        entered: how many backwards were begun.
        reached: the leaves that backwards reached, by id.
        met: these, and the parameters and buffers of the modules that were called, in the
            order they were first met.
        steps: how many steps optimizers have made.
    """

    def __init__(self, wanted: int, begins: Callable[[], None], *, retains: bool = False) -> None:
        """See the backwards; `begins` is called before the one with the number `wanted`.

        Where it `retains`, none of them frees its graph.
        """
        self._wanted, self._begins, self._retains = wanted, begins, retains
        self.entered = self.steps = 0
        self.roots: list[torch.Tensor | None] = []
        self.given: list[torch.Tensor | None] = []
        self.met: list[torch.Tensor] = []
        self._ids: set[int] = set()  # of what was met, which we keep alive
        self.reached: dict[int, torch.Tensor] = {}
        self._ledger = Ledger()

    def __enter__(self) -> Self:
        self._ledger.make(Hooked(register_module_forward_pre_hook, self._see_module, _global_forward_pre_hooks))
        self._ledger.make(Hooked(register_optimizer_step_post_hook, self._see_step, _global_optimizer_post_hooks))
        if hasattr(torch.autograd, _ENGINE):
            self._ledger.replace(torch.autograd, _ENGINE, self._watched)
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.undo()

    def _watched(self, engine: Callable[..., Any]) -> Callable[..., Any]:
        def run(roots: Any, grads: Any, retain_graph: Any, *args: Any, **kwargs: Any) -> Any:
            args = (grads, self._retains or retain_graph, *args)
            if is_traced():
                return engine(roots, *args, **kwargs)
            with torch._C.DisableTorchFunction():
                if self.entered == self._wanted:
                    self._begins()
                self.entered += 1
                self.roots.extend(_snapshot(root) for root in tuple(roots)[: _MOST - len(self.roots)])
                self._meet(roots)
            given = engine(roots, *args, **kwargs)
            if not kwargs.get("accumulate_grad", True):
                with torch._C.DisableTorchFunction():
                    found = [None if one is None else _snapshot(one) for one in given]
                self.given.extend(found[: _MOST - len(self.given)])
            return given

        return run

    def _see_module(self, module: torch.nn.Module, _: Any) -> None:
        """A target network, say, is reached by no backward, yet what is written to it counts."""
        if torch.compiler.is_compiling():  # what is compiled takes hooks as part of it
            return
        for kind in (module._parameters, module._buffers):
            for tensor in kind.values():
                if tensor is not None:
                    self._note(tensor)

    def _see_step(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self.steps += 1

    def _note(self, tensor: torch.Tensor) -> None:
        if id(tensor) not in self._ids and len(self.met) < _MOST:
            self._ids.add(id(tensor))
            self.met.append(tensor)

    def _meet(self, roots: Any) -> None:
        """Note the leaves below some roots, in the order of the edges: the same in two runs of one program."""
        nodes = [root.grad_fn for root in roots if isinstance(root, torch.Tensor) and root.grad_fn is not None]
        for node in NodesBelow(nodes, limit=None).depth_first():
            if node.name().endswith("AccumulateGrad"):
                if len(self.reached) < _MOST:
                    self.reached[id(node.variable)] = node.variable
                self._note(node.variable)


def _snapshot(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.detach().clone() if is_covered(tensor) else None

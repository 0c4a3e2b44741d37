"""The parts of a trace as they are in another one, where ids and steps are other numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from msgspec.structs import replace as struct_replace

from inplace.facts.model import (
    BEFORE,
    Act,
    Argument,
    Call,
    ContentChange,
    CounterId,
    Edge,
    GradientAct,
    GraphWalk,
    Name,
    Node,
    NodeId,
    NotLookedAt,
    Optimizer,
    SavedTensor,
    SavedUse,
    SharedBytes,
    Site,
    Stack,
    StackFrame,
    Storage,
    Tensor,
    TensorState,
)

Places = Mapping[Any, Any] | Sequence[Any]
Value = TypeVar("Value")
Made = TypeVar("Made")
_replaced: Any = struct_replace


def optional(make: Callable[[Value], Made], value: Value | None) -> Made | None:
    """What a function makes of a value; None stays None."""
    return None if value is None else make(value)


class Renumbered(ABC):
    """Builds each part of a trace with other numbers; what a number becomes is said by subclasses.

    Attributes:
        tensors: what the ids of tensors become, by those they have.
        storages: the same of storages.
        states: the same of tensor states.
        sources: the places of sources.
        sites: the places of sites.
        modules: the places of modules.
    """

    tensors: Places
    storages: Places
    states: Places
    sources: Places
    sites: Places
    modules: Places

    def __init__(self) -> None:
        self._stacks: dict[Stack, Stack] = {}

    # ------------------------------------------------------------ what a number becomes

    @abstractmethod
    def counter_id(self, counter: CounterId) -> CounterId:
        """What the id of a version counter becomes."""

    @abstractmethod
    def node_id(self, node: NodeId) -> NodeId:
        """What the id of a node becomes."""

    @abstractmethod
    def step(self, step: int) -> int | None:
        """The step of a call; None where the other trace is without it."""

    @abstractmethod
    def moment(self, step: int) -> int:
        """A number of calls made by then, `BEFORE` where something was there before the first."""

    def lived(self, step: int) -> int:
        """When a tensor or storage was first seen or died; `BEFORE` is before everything, in each trace."""
        return BEFORE if step == BEFORE else self.moment(step)

    def _origin(self, step: int) -> int:
        """The call that gave a tensor out; one that the other trace is without was before what it has."""
        found = None if step == BEFORE else self.step(step)
        return BEFORE if found is None else found

    # ------------------------------------------------------------ the user's code

    def site(self, site: Site) -> Site:
        """A place in the user's code."""
        return replace(site, source=self.sources[site.source])

    def stack(self, stack: Stack) -> Stack:
        """A stack; equal ones are one object."""
        found = self._stacks.get(stack)
        if found is None:
            frames = tuple(StackFrame(self.sites[frame.site], frame.entry) for frame in stack.frames)
            found = self._stacks[stack] = Stack(frames)
        return found

    # ------------------------------------------------------------ calls and what they saw

    def call(self, call: Call) -> Call:
        """A call."""
        states, modules = self.states, self.modules
        return _replaced(  # type: ignore[no-any-return]
            call,
            step=self.step(call.step),
            stack=self.stack(call.stack),
            inputs=tuple([Argument(one.path, states[one.before], states[one.after]) for one in call.inputs]),
            outputs=tuple([states[state] for state in call.outputs]),
            module=optional(modules.__getitem__, call.module),
            within=optional(self.step, call.within),
        )

    def state(self, state: TensorState) -> TensorState:
        """A tensor state; a `grad_fn` has a sequence number, which PyTorch gives out once."""
        return _replaced(  # type: ignore[no-any-return]
            state,
            tensor=self.tensors[state.tensor],
            storage=optional(self.storages.__getitem__, state.storage),
            counter=optional(self.counter_id, state.counter),
            base=optional(self.tensors.__getitem__, state.base),
        )

    def tensor(self, one: Tensor) -> Tensor:
        """A tensor."""
        return _replaced(  # type: ignore[no-any-return]
            one,
            id=self.tensors[one.id],
            origin=optional(self._origin, one.origin),
            first_seen=self.lived(one.first_seen),
            died=optional(self.lived, one.died),
        )

    def storage(self, one: Storage) -> Storage:
        """A storage."""
        return _replaced(  # type: ignore[no-any-return]
            one,
            id=self.storages[one.id],
            born=self.lived(one.born),
            died=optional(self.lived, one.died),
        )

    # ------------------------------------------------------------ autograd

    def node(self, node: Node) -> Node:
        """A node."""
        return replace(
            node,
            id=self.node_id(node.id),
            step=optional(self.step, node.step),
            edges=tuple(Edge(self.node_id(edge.node), edge.input) for edge in node.edges),
            saved=tuple(map(self._saved, node.saved)),
            leaf=optional(self.tensors.__getitem__, node.leaf),
        )

    def _saved(self, saved: SavedTensor) -> SavedTensor:
        tensor = optional(self.tensors.__getitem__, saved.tensor)
        return replace(saved, tensor=tensor, storage=optional(self.storages.__getitem__, saved.storage))

    def use(self, use: SavedUse) -> SavedUse:
        """A saved tensor at the moment of a walk."""
        return replace(use, node=self.node_id(use.node), counter=optional(self.counter_id, use.counter))

    def walk(self, walk: GraphWalk, uses: Iterable[SavedUse]) -> GraphWalk:
        """A walk, with uses that have their new numbers."""
        return replace(
            walk,
            step=self.moment(walk.step),
            roots=tuple(map(self.node_id, walk.roots)),
            reached=tuple(map(self.node_id, walk.reached)),
            released=tuple(map(self.node_id, walk.released)),
            uses=tuple(uses),
        )

    # ------------------------------------------------------------ beside the calls

    def change(self, change: ContentChange) -> ContentChange:
        """A change of bytes that no call made."""
        return replace(
            change,
            storage=self.storages[change.storage],
            after=self.moment(change.after + 1) - 1,  # the last call made by then, if that itself is not there
            before=self.moment(change.before),
            stack=optional(self.stack, change.stack),
        )

    def shared(self, one: SharedBytes) -> SharedBytes:
        """Where a storage lies in shared memory."""
        return replace(one, storage=self.storages[one.storage], since=self.moment(one.since))

    def act(self, act: GradientAct) -> GradientAct:
        """Something that happened to gradients."""
        number = self.node_id if act.act is Act.SINGULAR else self.tensors.__getitem__
        numbers = tuple([number(NodeId(one)) for one in act.numbers])
        return _replaced(act, step=self.moment(act.step), stack=self.stack(act.stack), numbers=numbers)  # type: ignore[no-any-return]

    def name(self, name: Name) -> Name:
        """A name of the user's."""
        return Name(name.path, self.tensors[name.tensor], self.moment(name.step))

    def optimizer(self, one: Optimizer) -> Optimizer:
        """An optimizer of the user's."""
        return replace(one, params=tuple(self.tensors[param] for param in one.params))

    def left_out(self, one: NotLookedAt) -> NotLookedAt:
        """Something that was not looked at."""
        stack, storage = optional(self.stack, one.stack), optional(self.storages.__getitem__, one.storage)
        return replace(one, first=self.moment(one.first), stack=stack, storage=storage)

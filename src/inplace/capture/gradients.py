"""Notes what happens to gradients beside the recorded calls: who clears them, which optimizer uses which, as they are.

NOTE [ Values of gradients ]
Whether a gradient is zero everywhere or not finite is asked of all gradients of an optimizer by one call, before its
step: at the first steps of a line and ever more rarely then, at every step where all of them are small. It is not asked
on other devices, where the question would wait for them; nor under a dispatch mode or a profiler, which would see it.

NOTE [ Gradients that are added to, step by step ]
Backward adds to a gradient in place, which moves its version counter by one; a new gradient has a counter of its own,
which begins anew. So counters that rise from step to step are those of gradients that nobody has let go of. They are
asked for at the first steps of an optimizer, until one finds no such gradient.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Any

import torch

from inplace.capture.code.objects import attributes_of, is_a, is_one_of
from inplace.capture.code.optimizers import is_of_torch, params_of, states_of
from inplace.capture.code.stacks import Stacks
from inplace.capture.tables.call_log import CallLog
from inplace.capture.tables.identities import Identities
from inplace.capture.tables.numbers import Numbers
from inplace.capture.tables.tensor_facts import is_watched
from inplace.capture.tables.tensors import PLAIN, TYPES
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Act, GradientAct, Stack, TensorId

_WIDTH = 5  # step, act, stack, parameters, what was found
_ACTS = tuple(Act)
_NUMBERS = {act: number for number, act in enumerate(_ACTS)}
_SHOWN = 8  # steps of one line before which values are looked at; then ever more rarely
_MANY = 9  # writes of a gradient between two steps that are counted
_SMALL = 4096  # elements of all gradients of an optimizer up to which they are looked at before every step
_MODULES = 2000  # modules looked at for others that they hold without registering them, and items for those
_DEEP = 3  # plain containers within each other that are looked into
_KEPT_BY_TORCH = frozenset({"_parameters", "_buffers", "_modules"})


class Gradients:
    """What is done to gradients in one recording.

    Args:
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        log: the calls, by whose number moments are told.
    """

    def __init__(self, seen: TensorsSeen, stacks: Stacks, log: CallLog) -> None:
        self._seen, self._stacks, self._log = seen, stacks, log
        self._rows = array("i")
        self._numbers: Numbers[tuple[int, ...]] = Numbers()
        self._found: Numbers[str] = Numbers()
        self._times: dict[int, int] = {}  # steps made from each stack
        self._small: dict[int, bool] = {}  # by the number of some parameters whether they are looked at at every step
        self._counters: dict[int, list[int] | None] = {}  # by the number of some parameters, at their last step
        self._looks: dict[int, int] = {}  # how often they were asked for
        self._optimizers = Identities()  # those at whose first step modules were looked at
        self._asked: dict[int, int] = {}  # their steps
        self._flagged = Identities()  # modules that somebody set a flag on
        self._flags: dict[int, bool] = {}  # as it was seen last
        self._unread: set[int] = set()  # parameters of modules that somebody set a flag on
        self._attributes: dict[int, int] = {}  # how many attributes those optimizers had when they were last looked at

    def switched_off(self, frame: FrameType) -> None:
        """Gradient mode is switched off by a line of the user's."""
        self._note(Act.SWITCHED_OFF, self._stacks.key_of(frame)[0], (), "")

    def cleared(self, owner: Any, frame: FrameType) -> None:
        """`zero_grad` of an optimizer or a module is about to run."""
        params = _params_of(owner)
        found = _there([param.grad for param in params])
        self._note(Act.CLEARED, self._stacks.key_of(frame)[0], self._ids(params), found)

    def built(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        """A group of parameters is now an optimizer's."""
        params = _params_of(optimizer)
        self._note(Act.BUILT, self._stacks.key_of(frame)[0], self._ids(params), "")

    def stepped(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        """An optimizer is about to use the gradients of its parameters."""
        stack = self._stacks.key_of(frame)[0]
        params = _params_of(optimizer)
        if self._has_option(optimizer):
            self._note(Act.OPTION, stack, self._ids(params), "")
        grads = [param.grad for param in params]
        times = self._times[stack] = self._times.get(stack, 0) + 1
        known = self._numbers.of(self._ids(params))
        if is_of_torch(optimizer):
            self._note_added(stack, known, grads)
        is_due = times <= _SHOWN or not times & (times - 1) or self._are_small(known, params)
        self._add(Act.STEPPED, stack, known, (_found_in(grads) if is_due else None) or _there(grads))

    def _note_added(self, stack: int, known: int, grads: Sequence[torch.Tensor | None]) -> None:
        """Note which gradients were written since the step before, and how often."""
        before = self._counters.get(known, [])
        if before is None:
            return
        now = [_counter_of(grad) for grad in grads]
        looks = self._looks[known] = self._looks.get(known, 0) + 1
        moved = [new - old if old >= 0 else 0 for old, new in zip(before, now, strict=False)]
        found = "".join([str(min(count, _MANY)) if count > 0 else "-" for count in moved])
        if found.strip("-"):
            self._add(Act.ADDED, stack, known, found)
        had = max(before, default=-1) >= 0  # before the first step with a closure there is none
        self._counters[known] = None if looks == _SHOWN or (had and not found.strip("-")) else now

    @property
    def counters(self) -> dict[tuple[TensorId, ...], list[int]]:
        """The versions that the gradients of some parameters had at the last step over them, where they are known."""
        found = ((self._numbers.values[known], versions) for known, versions in self._counters.items())
        return {tuple(map(TensorId, numbers)): versions for numbers, versions in found if versions is not None}

    def go_on(self, counters: Mapping[tuple[TensorId, ...], list[int]]) -> None:
        """Know the versions that they had at the last step of an earlier run."""
        self._counters.update({self._numbers.of(leaves): versions for leaves, versions in counters.items()})

    def _has_option(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether one of PyTorch's own was given an attribute, since it was last asked, that is called as an option."""
        own, number = attributes_of(optimizer) or {}, self._optimizers.of(optimizer)
        count = len(own)
        if number is None or self._attributes.get(number) == count:
            return False
        self._attributes[number] = count
        if not is_of_torch(optimizer):
            return False
        options = own.get("defaults")
        return type(options) is dict and not options.keys().isdisjoint(own)

    def knows(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether modules were looked at for an optimizer."""
        return self._optimizers.of(optimizer) is not None

    def hidden(
        self, known: Callable[[], list[torch.nn.Module]], optimizer: torch.optim.Optimizer, frame: FrameType
    ) -> None:
        """Note, at the first step of an optimizer, the parameters of modules that others hold but do not register.

        With them those of modules on which somebody set a flag that no module reads.
        """
        self._optimizers.give(optimizer)
        modules = [*known(), *self._global_modules(frame)]
        self._note_unread(modules, frame)
        params = _hidden_in(modules)
        if params:
            self._note(Act.HIDDEN, self._stacks.key_of(frame)[0], self._ids(params), "")

    def flagged(
        self, known: Callable[[], list[torch.nn.Module]], optimizer: torch.optim.Optimizer, frame: FrameType
    ) -> None:
        """Note what a flag was set on since, at the first later steps of an optimizer and ever more rarely then."""
        number = self._optimizers.of(optimizer)
        if number is not None:
            times = self._asked[number] = self._asked.get(number, 1) + 1
            if times <= _SHOWN or not times & (times - 1):
                self._note_unread([*known(), *self._global_modules(frame)], frame)

    def _note_unread(self, modules: Iterable[torch.nn.Module], frame: FrameType) -> None:
        """Note the parameters of modules that were given an attribute `requires_grad`, and that have it otherwise.

        What is said later to parameters that had it so when the attribute was seen first is another matter.
        """
        found: dict[int, torch.Tensor] = {}
        for module in _all_modules(modules):
            flag = (attributes_of(module) or {}).get("requires_grad")
            if type(flag) is bool and self._is_new(module, flag):
                params = [param for param in module.parameters() if type(param) in PLAIN]
                found.update({id(param): param for param in params if param.requires_grad is not flag})
        new = tuple(number for number in self._ids([*found.values()]) if number not in self._unread)
        if new:
            self._unread.update(new)
            self._note(Act.UNREAD, self._stacks.key_of(frame)[0], new, "")

    def _is_new(self, module: torch.nn.Module, flag: bool) -> bool:  # noqa: FBT001  # what an attribute is
        """Whether a module was not seen with such an attribute before."""
        if self._flagged.of(module) is None:
            self._flagged.give(module)
        number = self._flagged.of(module)
        if number is None or self._flags.get(number) is flag:
            return False
        self._flags[number] = flag
        return True

    def _global_modules(self, frame: FrameType) -> list[torch.nn.Module]:
        """The modules that are global variables of the user's frames.

        Those of local variables are known once their forward has run. The variables are not asked for: up to Python
        3.12 that leaves a copy of them, which would lengthen lives.
        """
        found: list[torch.nn.Module] = []
        around: FrameType | None = frame
        while around is not None:
            if self._stacks.is_user(around.f_code):
                found += [one for one in list(around.f_globals.values()) if isinstance(one, torch.nn.Module)]
            around = around.f_back
        return found

    def states(self, optimizer: torch.optim.Optimizer) -> tuple[int, ...]:
        """The tensors that one of PyTorch's optimizers has of its parameters' state, one of each parameter."""
        own = states_of(optimizer) if is_of_torch(optimizer) else []
        return self._ids([state for state in own if type(state) in PLAIN])

    def state_given(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        """An optimizer has given out its state, in which its tensors themselves are."""
        self._note_states(Act.STATE_GIVEN, optimizer, self.states(optimizer), frame)

    def state_loaded(self, optimizer: torch.optim.Optimizer, before: tuple[int, ...], frame: FrameType) -> None:
        """An optimizer has loaded a state, where it had some tensors before."""
        self._note_states(Act.STATE_LOADED, optimizer, before, frame)

    def _note_states(
        self, act: Act, optimizer: torch.optim.Optimizer, before: tuple[int, ...], frame: FrameType
    ) -> None:
        states = self.states(optimizer)
        if states:
            params = self._ids(_params_of(optimizer))
            found = "p" * len(params) + "".join(["o" if one in before else "t" for one in states])
            self._note(act, self._stacks.key_of(frame)[0], (*params, *states), found)

    def singular(self, nodes: Sequence[int], stack: int) -> None:
        """Before a backward: nodes whose derivative is not finite where they were computed."""
        if nodes:
            self._note(Act.SINGULAR, stack, tuple(nodes), "")

    def _ids(self, params: Sequence[torch.Tensor]) -> tuple[int, ...]:
        if self._seen.dead:
            self._seen.bury()
        refs = self._seen.refs
        try:
            return tuple([refs[id(param)].tensor for param in params])
        except KeyError:  # one was not met before
            return tuple([self._seen.id_of(param) for param in params])

    def _are_small(self, known: int, params: Sequence[torch.Tensor]) -> bool:
        """Whether the gradients of some parameters have few elements together."""
        small = self._small.get(known)
        if small is None:
            small = self._small[known] = sum([param.numel() for param in params]) <= _SMALL
        return small

    def _note(self, act: Act, stack: int, numbers: tuple[int, ...], found: str) -> None:
        self._add(act, stack, self._numbers.of(numbers), found)

    def _add(self, act: Act, stack: int, known: int, found: str) -> None:
        self._rows.extend((len(self._log), _NUMBERS[act], stack, known, self._found.of(found)))

    def frozen(self, stacks: Sequence[Stack]) -> tuple[GradientAct, ...]:
        """The acts as a trace has them, in order."""
        rows = self._rows
        return tuple(
            GradientAct(
                rows[at],
                _ACTS[rows[at + 1]],
                stacks[rows[at + 2]],
                self._numbers.values[rows[at + 3]],
                self._found.values[rows[at + 4]],
            )
            for at in range(0, len(rows), _WIDTH)
        )


def _params_of(owner: Any) -> list[torch.Tensor]:
    """The plain ones among the parameters of an optimizer or a module."""
    params = owner.parameters() if isinstance(owner, torch.nn.Module) else params_of(owner)
    return [param for param in params if type(param) in PLAIN]


def _counter_of(grad: torch.Tensor | None) -> int:
    """The version of a gradient, -1 where it has none."""
    return grad._version if type(grad) in PLAIN and not grad.is_inference() else -1  # type: ignore[union-attr]


def _there(grads: Sequence[torch.Tensor | None]) -> str:
    """A letter for each gradient whose values are not looked at: `-` for none, `?` for one that is there."""
    return "".join(["-" if grad is None else "?" for grad in grads])


def _found_in(grads: Sequence[torch.Tensor | None]) -> str | None:
    """A letter for each gradient by its values, `0` zero everywhere, `f` finite, `x` not finite; None if unreadable."""
    there = [grad for grad in grads if grad is not None]
    readable = [grad for grad in there if type(grad) in PLAIN and _is_readable(grad)]
    if not there or len(readable) < len(there) or is_watched():
        return None
    largest = iter(_largest([grad.detach() if grad.requires_grad else grad for grad in there]))
    return "".join(["-" if grad is None else _letter(next(largest)) for grad in grads])


def _is_readable(grad: torch.Tensor) -> bool:
    return grad.device.type == "cpu" and grad.layout is torch.strided and grad.numel() > 0


def _largest(grads: list[torch.Tensor]) -> list[float]:
    """The largest absolute value in each of some tensors; nan where one is not a number.

    No generator: an interrupt in one that is closed would be lost.
    """
    return [norm.item() for norm in torch._foreach_norm(grads, math.inf)]


def _letter(largest: float) -> str:
    return "x" if not math.isfinite(largest) else "f" if largest else "0"


def _all_modules(modules: Iterable[torch.nn.Module]) -> list[torch.nn.Module]:
    """Some modules and those registered in them, each once."""
    every: dict[int, torch.nn.Module] = {}
    for module in modules:
        for one in module.modules():
            if len(every) < _MODULES:
                every[id(one)] = one
    return list(every.values())


def _hidden_in(modules: Iterable[torch.nn.Module]) -> list[torch.Tensor]:
    """What modules could have registered and have not: leaves and modules in plain lists and dicts, and plain leaves.

    No generator: an interrupt in one that is closed would be lost.
    """
    every = _all_modules(modules)
    registered = {id(child) for one in every for child in one.children() if child is not one}
    owned = {id(param) for one in every for param in one.parameters(recurse=False)}
    found: dict[int, torch.Tensor] = {}
    for module in every:
        held = [value for name, value in list(vars(module).items()) if name not in _KEPT_BY_TORCH]
        for item in _flat(held):
            if is_a(item, torch.nn.Module):
                params = list(item.parameters()) if id(item) not in registered else []
                found.update({id(param): param for param in params if type(param) in PLAIN})
            elif is_one_of(item, TYPES) and id(item) not in owned and item.is_leaf and item.requires_grad:
                found[id(item)] = item
    return list(found.values())


def _flat(values: list[Any]) -> list[Any]:
    """The items of some values that are plain containers, and of those within them; the others as they are."""
    found: list[Any] = []
    left = [(value, 0) for value in values]
    while left and len(found) < _MODULES:
        value, depth = left.pop()
        if not is_one_of(value, (dict, list, tuple)):
            found.append(value)
        elif depth < _DEEP:
            items = value.values() if type(value) is dict else value
            left += [(item, depth + 1) for item in list(items)[:_MODULES]]
    return found

"""Trace and its parts: what was observed, as plain frozen values.

Nothing here imports torch and nothing here holds a tensor, so a trace can be written to JSON, read back and analysed on
a machine that has no torch.

Units: sizes and offsets named `bytes` are bytes, those named `offset` and `strides` are elements, a `step` counts calls
from 0.
Ids are small integers given out in order of first sight, and never given out twice in one trace.
What a trace has by the million is a `msgspec.Struct`, which is built in a third of the time of a frozen dataclass; none
of them can be part of a cycle, so the garbage collector need not look at them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NewType

from msgspec import Struct

from inplace.facts.collectives import is_collective
from inplace.facts.lines import lines_of

TensorId = NewType("TensorId", int)
StorageId = NewType("StorageId", int)
CounterId = NewType("CounterId", int)
NodeId = NewType("NodeId", int)
StateId = NewType("StateId", int)

BEFORE = -1
"""The step of things that were there before the first recorded call."""


class GradMode(Enum):
    """Grad mode at the time of a call (`c10/core/GradMode.h`, `InferenceMode.h`)."""

    GRAD = "grad"
    NO_GRAD = "no-grad"
    INFERENCE = "inference"


class Kind(Enum):
    """What a recorded function does, as far as a reader of the trace must tell them apart."""

    OP = "op"
    GETTER = "getter"
    SETTER = "setter"
    BACKWARD = "backward"
    TO_PYTHON = "to-python"
    EXPORT = "export"


ARRAYS = frozenset({"numpy", "__array__", "__dlpack__", "data_ptr"})
"""The exports by which somebody outside PyTorch gets to write the bytes of a tensor; others share it with PyTorch."""


# ---------------------------------------------------------------- where


@dataclass(frozen=True, slots=True)
class Position:
    """A range of source text: lines from 1, columns from 0 in UTF-8 bytes, as Python's `ast` counts them."""

    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def start(self) -> tuple[int, int]:
        """Line and column of the first byte."""
        return self.line, self.column

    @property
    def end(self) -> tuple[int, int]:
        """Line and column behind the last byte."""
        return self.end_line, self.end_column

    def holds(self, other: Position) -> bool:
        """Whether another range of the same source lies in this one."""
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, slots=True)
class Source:
    """One file or cell of the user.

    `label` is what people are shown (`In[3]`, `train.py`), `file` what Python calls it, `text` is None where no text
    could be found. `is_cell` marks the code that was asked to be recorded, as against helpers it calls.
    """

    label: str
    file: str
    text: str | None
    is_cell: bool

    def lines(self) -> tuple[str, ...]:
        """The lines of the text as Python counts them, without their ends; none where there is no text."""
        return lines_of(self.text or "")


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the user's code that was being run: `source` indexes `Trace.sources`.

    `function` is the qualified name of the function it lies in (the bare name on Python 3.10).
    """

    source: int
    function: str
    position: Position


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One user frame of a call.

    `site` indexes `Trace.sites`; `entry` names the library function that this frame called on the way to the call
    (`Optimizer.step`, `Module._call_impl`, `Function.apply`), None where the user's code made the call itself.
    """

    site: int
    entry: str | None

    @property
    def builds(self) -> bool:
        """Whether it makes an object of a library's class, such as a module, which sets its first values."""
        return self.entry is not None and self.entry.endswith("__init__")


@dataclass(frozen=True, slots=True)
class Stack:
    """The user's frames under a call, innermost first; library frames are left out, but named as `entry`."""

    frames: tuple[StackFrame, ...]


# ---------------------------------------------------------------- what


@dataclass(frozen=True, slots=True)
class Function:
    """A function that was called: `name` as PyTorch exports it (`torch.Tensor.add_`), `label` as written (`add_`).

    `writes` are the arguments that its schema marks as changed (`alias_info.h`, `isWrite`), by `Argument.path`;
    also `out`, and those few buffers that PyTorch changes without saying so in the schema (`batch_norm`).
    """

    name: str
    label: str
    kind: Kind
    writes: tuple[str, ...]


class Storage(Struct, frozen=True, gc=False):
    """A block of bytes behind one or more tensors.

    `external` storages belong to somebody else (numpy, shared memory, a buffer), who can write without PyTorch knowing.
    `died` is the first step at which no recorded tensor reached it any more, None if one did to the end.
    """

    id: StorageId
    bytes: int
    device: str
    external: bool
    born: int
    died: int | None


class Tensor(Struct, frozen=True, gc=False):
    """One tensor object: identity only, what changes is in `TensorState`.

    `type` is the class name (`Tensor`, `Parameter`). `origin` is the step of the call that gave it out, `BEFORE` if it
    was there earlier, None if it appeared between calls (`torch.Tensor(...)`, `from_numpy`, a custom function).
    """

    id: TensorId
    type: str
    origin: int | None
    first_seen: int
    died: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape and strides in elements, and what one element is; shared by many states."""

    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: str
    itemsize: int
    device: str

    @property
    def numel(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


class TensorState(Struct, frozen=True, gc=False):
    """What was true of a tensor at some step.

    `storage` is None for tensors without one that can be read (sparse, fake, functorch-wrapped): their layout is known,
    their bytes are not. `version` is None for inference tensors, which have no counter. `node` is the `grad_fn`.
    `base` is the tensor this one is a view of. `creation` is PyTorch's `CreationMeta` for views, in lower case.
    `values` are the elements in row order, kept for small tensors only.
    """

    tensor: TensorId
    storage: StorageId | None
    counter: CounterId | None
    offset: int
    layout: Layout
    version: int | None
    requires_grad: bool
    is_leaf: bool
    node: NodeId | None
    base: TensorId | None
    creation: str | None
    values: tuple[float | int | bool | str, ...] | None


class Argument(Struct, frozen=True, gc=False):
    """A tensor that went into a call.

    `path` says where: `0`, `1` for positions, the name for keywords, `0[2]` inside lists.
    `before` and `after` index `Trace.states`; they are equal where nothing changed.
    """

    path: str
    before: StateId
    after: StateId


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that left a call."""

    type: str
    message: str


class Call(Struct, frozen=True, gc=False):
    """One function that the user's code invoked, directly or through a library.

    `nodes` are the sequence numbers of the autograd nodes made during the call.
    `module` indexes `Trace.modules`: the innermost `nn.Module` whose forward was running.
    `allocated` counts bytes of the storages that first appeared in the outputs.
    `result` is the Python number that a `TO_PYTHON` call gave out.
    `within` is the step of the backward that was running (a hook, a custom backward or a
    checkpoint made the call).
    """

    step: int
    function: Function
    stack: Stack
    inputs: tuple[Argument, ...]
    outputs: tuple[StateId, ...]
    grad_mode: GradMode
    nodes: range
    module: int | None
    raised: Raised | None
    allocated: int
    thread: int
    result: float | int | None
    within: int | None


# ---------------------------------------------------------------- autograd


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a gradient flows on to: input number `input` of node `node` (`torch/csrc/autograd/edge.h`)."""

    node: NodeId
    input: int


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A tensor that a node keeps for backward (`torch/csrc/autograd/saved_variable.h`).

    `name` is PyTorch's (`result`, `self`), or the attribute for a tensor kept on a custom function's `ctx`
    (`counted` is then False: autograd doesn't check it).
    `tensor` is the recorded tensor with the same bytes, None for one that only the node knows.
    `storage`, `offset` and `layout` say which bytes; None where the save was packed by a hook.
    """

    name: str
    tensor: TensorId | None
    storage: StorageId | None
    offset: int
    layout: Layout | None
    counted: bool


@dataclass(frozen=True, slots=True)
class Node:
    """One backward function, found by walking the graph from a tensor.

    `step` is the call that made it, None for nodes made between calls (a custom function's own node).
    `leaf` is the tensor an accumulate-grad node adds into. `custom` marks `torch.autograd.Function` subclasses.
    """

    id: NodeId
    name: str
    step: int | None
    edges: tuple[Edge, ...]
    saved: tuple[SavedTensor, ...]
    leaf: TensorId | None
    custom: bool


@dataclass(frozen=True, slots=True)
class SavedUse:
    """A saved tensor at the moment a backward was about to read it.

    `counter` is the version counter that the save shares. `version_saved` is its value when the node was made,
    `version` its value at use: backward raises if they differ.
    `changed` is whether the elements differ from those saved; None where they were not both read (large tensors).
    """

    node: NodeId
    saved: int
    counter: CounterId | None
    version_saved: int | None
    version: int | None
    changed: bool | None


@dataclass(frozen=True, slots=True)
class GraphWalk:
    """What autograd held at one moment: just before the call `step` (a backward), or at the end of the recording.

    `roots` are the nodes the walk began from, `reached` the nodes found, `uses` their saved tensors then.
    `complete` is False where the walk stopped at its limit.
    `released` are the nodes whose saved tensors were gone: a backward frees those it went through, unless told not to.
    A walk is made before its backward, or once that has raised: then what it had freed itself is among them.
    """

    step: int
    is_backward: bool
    roots: tuple[NodeId, ...]
    reached: tuple[NodeId, ...]
    uses: tuple[SavedUse, ...]
    complete: bool
    released: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentChange:
    """Bytes of a storage that changed though no recorded call wrote them (numpy, dlpack, shared memory).

    It happened after call `after` and before call `before`; `stack` is the line that was running, None if unknown.
    `start` and `stop` are bytes from the start of the storage. Where it `is_sampled`, nobody was known to have the
    bytes: another thread, or compiled or foreign code, has written them, and no more of them than a sample was read.
    Where other processes are known to have written those bytes, `processes` are their ids and `stack` is their line;
    see NOTE [ Written by another process ].
    """

    storage: StorageId
    after: int
    before: int
    start: int
    stop: int
    stack: Stack | None
    processes: tuple[int, ...] = ()
    is_sampled: bool = False


@dataclass(frozen=True, slots=True)
class SharedBytes:
    """Where a storage lies in memory that several processes may have.

    `memory` is what the machine calls that memory, the same in every process that has it; the storage begins at byte
    `start` of it, from the call `since` on. `processes` are the ids of the others that are known to have it.
    """

    storage: StorageId
    memory: str
    start: int
    since: int
    processes: tuple[int, ...] = ()


class Look(Enum):
    """What is looked at up to a bound of ours, which is given in the unit named here.

    BACKWARD: the graph before a backward of a line, after a write that no counter shows; in walks of that line.
    GRAPH: the nodes of a graph, in one walk or before one write in strict mode; in nodes.
    CONTENTS: the bytes of a storage that others can write; in bytes, 0 where none of such memory are read.
    LINES: the line between two calls on which such bytes changed; in lines followed or bytes compared, 0 where somebody
    else follows the lines.
    NAMES: what the user's variables reach; in steps from a variable, items of one container, or objects.
    FRAMES: the user's frames of a stack; in frames.
    OVERLAP: whether two tensors share bytes; in candidate solutions tried.
    HISTORY: what cells did before the recorded one; in calls kept of them.
    """

    BACKWARD = "backward"
    GRAPH = "graph"
    CONTENTS = "contents"
    LINES = "lines"
    NAMES = "names"
    FRAMES = "frames"
    OVERLAP = "overlap"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class NotLookedAt:
    """Something that could have shown more, and was left out because a bound of ours was reached.

    `count` is how often that was so, `first` the step at which it was first (the number of calls made by then for what
    was left out between calls, `BEFORE` for the start). `stack` is the line it belongs to: that of the backward, of the
    calls, or the one that gave others access to `storage`, the first of several that the line gave.
    """

    what: Look
    bound: int
    count: int
    first: int
    stack: Stack | None
    storage: StorageId | None


# ---------------------------------------------------------------- gradients


class Act(Enum):
    """What happens to gradients, or to whether there will be some, beside the recorded calls.

    SWITCHED_OFF: gradient mode is switched off.
    BUILT: parameters become those of an optimizer; all that it has then.
    HIDDEN: parameters belong to modules that others hold in a plain list or dict, which registers nothing.
    CLEARED: `zero_grad` is about to drop gradients.
    STEPPED: an optimizer is about to use gradients.
    UNREAD: the parameters of modules on which somebody set an attribute `requires_grad`, and which have it otherwise.
    OPTION: the parameters of an optimizer of PyTorch's on which somebody set one of its options as an attribute: it
    reads them from its groups.
    ADDED: an optimizer of PyTorch's is about to use gradients that it used at its step before too, which were written
    since.
    SINGULAR: before a backward, nodes whose derivative is not finite at what they were computed from.
    STATE_GIVEN: an optimizer of PyTorch's has given out its `state_dict`: the parameters, and a tensor of each's state.
    STATE_LOADED: it has loaded one: the parameters, and a tensor of each's state that it has now.
    """

    SWITCHED_OFF = "switched-off"
    BUILT = "built"
    HIDDEN = "hidden"
    CLEARED = "cleared"
    STEPPED = "stepped"
    UNREAD = "unread"
    OPTION = "option"
    ADDED = "added"
    SINGULAR = "singular"
    STATE_GIVEN = "state-given"
    STATE_LOADED = "state-loaded"


class GradientAct(Struct, frozen=True, gc=False):
    """Something that happened to gradients; `step` is the number of calls made by then.

    `numbers` are the tensors it is about; nodes for `SINGULAR`. `found` has a letter for the gradient of each: `-` for
    none, `0` for zero everywhere, `f` for finite, `x` for not finite, `?` where its values were not looked at; for
    `ADDED` a digit, how often it was written since, 9 for more, and `-` where it is another one or was not. Of states
    it has `p` for each parameter, and for a tensor of its state `o` where the optimizer had the same one before, `t`
    where it took it over. It is empty where the gradients were not asked for.
    """

    step: int
    act: Act
    stack: Stack
    numbers: tuple[int, ...]
    found: str


# ---------------------------------------------------------------- names


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the user's that reached a tensor: `model.fc1.weight`, `history[2]`.

    `step` is when it was looked at: `BEFORE` for the start, otherwise the number of calls made by then.
    """

    path: str
    tensor: TensorId
    step: int


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer of the user's and the tensors it was built over; `name` is None where no variable reached it."""

    name: str | None
    type: str
    params: tuple[TensorId, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something the recorder could not do, in one sentence for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The exception that ended the recorded code; `stack` is where, None if no line of the user's is known.

    `there` are the tensors that the innermost line of the user's mentions, under the names that they have there.
    `custom` is the class of the `torch.autograd.Function` that was at work when it was raised, empty where none was.
    """

    type: str
    message: str
    stack: Stack | None
    there: tuple[Name, ...] = ()
    custom: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """The process that was recorded, where it is one of several.

    `rank`, `local_rank` and `world_size` are None where no process group was set up. `started_as` says how it came to
    be: `torchrun`, `script`, or as a child by `fork`, `spawn` or `forkserver`. `parent` is the id of the process whose
    recording it is a child of, None where there is none.
    """

    rank: int | None
    local_rank: int | None
    world_size: int | None
    host: str
    pid: int
    started_as: str
    parent: int | None


@dataclass(frozen=True, slots=True)
class Collective:
    """What is known of a call that talks to other processes beside its arguments.

    `group` are the ranks that take part, in order; empty where they could not be told. `is_async` is whether the call
    came back before the others had answered.
    """

    step: int
    group: tuple[int, ...]
    is_async: bool


@dataclass(frozen=True, slots=True)
class CellRun:
    """One run of a notebook's cell in a trace of several: what it is called, its first step, and what ended it.

    A long run may be several, its windows: `continues` is whether the one before it goes on in it, and `goes_on`
    whether it was not over yet. `is_cell` is whether other cells may come behind it, which can use what it leaves.
    """

    title: str
    begin: int
    failure: Failure | None
    is_cell: bool = True
    continues: bool = False
    goes_on: bool = False


@dataclass(frozen=True)
class Trace:
    """Everything that was observed of one run, in the order in which it happened.

    In a notebook what is kept of the runs of cells before it comes first, in a long run that of its earlier windows:
    `runs` are they and, last, the run that the trace is of; none where there was nothing before it. `failure` and
    `title` are those of the last.
    `calls`, `states`, `tensors` and `storages` may build their items when asked for them: keep what you need of an
    item, not a list of all; `rows.column` gives a field of all.
    `process` is None where the recording knows of one process only.
    """

    torch: str
    sources: tuple[Source, ...]
    sites: tuple[Site, ...]
    calls: Sequence[Call]
    states: Sequence[TensorState]
    tensors: Sequence[Tensor]
    storages: Sequence[Storage]
    nodes: tuple[Node, ...]
    walks: tuple[GraphWalk, ...]
    changes: tuple[ContentChange, ...]
    names: tuple[Name, ...]
    modules: tuple[str, ...]
    optimizers: tuple[Optimizer, ...]
    notes: tuple[Note, ...]
    failure: Failure | None = None
    title: str = field(default="")
    not_looked_at: tuple[NotLookedAt, ...] = ()
    acts: tuple[GradientAct, ...] = ()
    runs: tuple[CellRun, ...] = ()
    process: Process | None = None
    collectives: tuple[Collective, ...] = ()
    shared: tuple[SharedBytes, ...] = ()

    @property
    def fresh(self) -> int:
        """The first step that was not looked at before: that of the last window of the run, or of the run."""
        return self.runs[-1].begin if self.runs else 0

    @property
    def begin(self) -> int:
        """The first step of the run that the trace is of, as far as its windows are here."""
        return next((run.begin for run in reversed(self.runs) if not run.continues), 0)

    @property
    def is_session(self) -> bool:
        """Whether other cells were run before it, or may be run behind it."""
        return any(run.is_cell for run in self.runs)

    @property
    def goes_on(self) -> bool:
        """Whether the code was not over yet."""
        return bool(self.runs) and self.runs[-1].goes_on

    def window_of(self, step: int) -> int:
        """The place in `runs` of the one that made a call, 0 where there is only one."""
        return max(0, bisect_right(self.runs, step, key=lambda run: run.begin) - 1)

    def run_of(self, step: int) -> int:
        """The same of its first window: a number for each run, however many windows it has."""
        place = self.window_of(step)
        while place and self.runs[place].continues:
            place -= 1
        return place

    @cached_property
    def node_by_id(self) -> dict[NodeId, Node]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    def tensor(self, tensor: TensorId) -> Tensor:
        """The tensor with this id."""
        return self.tensors[tensor]

    def storage(self, storage: StorageId) -> Storage:
        """The storage with this id."""
        return self.storages[storage]

    def state(self, state: StateId) -> TensorState:
        """The tensor state with this id."""
        return self.states[state]

    def site(self, frame: StackFrame) -> Site:
        """The place a stack frame was at."""
        return self.sites[frame.site]

    def writes(self, call: Call) -> Iterator[Argument]:
        """The arguments of `call` that it changed, or would have changed had it not raised.

        Found from what moved (version counter, storage) and from what the function's schema says, never from its name.
        """
        declared = [a for a in call.inputs if a.path.split("[", 1)[0] in call.function.writes]
        if is_collective(call.function.name):  # NOTE [ Collectives ]
            declared = [a for a in declared if a.before != a.after]
        yield from declared
        others = [a for a in call.inputs if a.before != a.after and a not in declared]
        if others:
            # A view of the written tensor counts with it, so its version moves too although nobody wrote to it.
            counters = {self.states[argument.before].counter for argument in declared}
            yield from (a for a in others if self.states[a.before].counter not in counters and self._moved(a))

    def _moved(self, argument: Argument) -> bool:
        before, after = self.states[argument.before], self.states[argument.after]
        return before.version != after.version or before.storage != after.storage

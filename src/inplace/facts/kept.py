"""What is kept of the runs of cells before the next one: what can still matter to it, and no more.

NOTE [ What can still matter ]
A later cell can meet tensors that are alive, storages that a live tensor or a live graph reaches, and graph nodes that
are alive. So calls that made one of those nodes, or that saw one of those tensors or storages, are kept; of a line that
did the same to the same memory many times in one run, the first and the last two, and of a cell that was run many
times, what the first and the last three runs of a line did; and with them the calls that made what they were given.
Where there is room, what the first backward of each line was computed from is kept as well, and numbers that left.
Beyond bounds the oldest go, which is said.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from inplace.facts.model import (
    BEFORE,
    Act,
    CellRun,
    CounterId,
    Failure,
    GradientAct,
    GraphWalk,
    Kind,
    Look,
    Name,
    Node,
    NodeId,
    NotLookedAt,
    Stack,
    StateId,
    StorageId,
    TensorId,
    TensorState,
    Trace,
)
from inplace.facts.renumbered import Renumbered
from inplace.facts.rows import NOTHING, call_columns, column

CALLS = 4_000
"""Calls that are kept of all earlier runs, at most."""

RUNS = 256
"""Earlier runs of which anything is kept, at most."""

_FIRST, _LAST = 1, 2  # calls of one line with the same memory that are kept of one run
_FIRST_RUNS, _LAST_RUNS = 1, 3  # runs of one line with the same memory of which calls are kept
_WALKS = 2  # backwards of one line that are kept of one run
Item = TypeVar("Item")


def kept(trace: Trace, since: int | None = None) -> tuple[Trace, Mapping[TensorId, TensorId]]:
    """The part of a trace that a later run can meet again, and the ids that its tensors have there.

    From the call `since` on all is kept, if one is given; see NOTE [ The border of a window ].
    """
    alive = _Alive(trace, len(trace.calls) if since is None else since)
    found = _steps(trace, alive)
    if since is not None:
        found = _with_examples(trace, found)
    steps, dropped = _bounded(trace, sorted(found))
    cut = _Cut(trace, alive, steps, dropped)
    return cut.trace(), cut.tensors


class _Alive:
    """What is alive at the end of a trace: tensors, storages, and the nodes of graphs that live tensors reach.

    Nodes that were made from the call `since` on count as alive.
    """

    def __init__(self, trace: Trace, since: int) -> None:
        self.since = since
        self.tensors = {TensorId(n) for n, died in enumerate(column(trace.tensors, "died")) if died == NOTHING}
        last = trace.walks[-1] if trace.walks else None
        ended = last is not None and not last.is_backward and last.step == len(trace.calls)
        self.walk = last if ended else None
        reached = set(last.reached) if last is not None and ended else set()
        self.nodes = [
            node
            for node in trace.nodes
            if node.id in reached or node.leaf in self.tensors or (node.step is not None and node.step >= since)
        ]
        saved = {one.storage for node in self.nodes for one in node.saved if one.storage is not None}
        dead = column(trace.storages, "died")
        self.storages = saved | {StorageId(number) for number, died in enumerate(dead) if died == NOTHING}
        self.ids = {node.id for node in self.nodes}


def _steps(trace: Trace, alive: _Alive) -> set[int]:
    columns = call_columns(trace.calls)
    tensors, storages = column(trace.states, "tensor"), column(trace.states, "storage")
    seen = [t in alive.tensors or s in alive.storages for t, s in zip(tensors, storages, strict=True)]
    lines: dict[tuple[int, int, int, int], list[int]] = defaultdict(list)
    for step in columns.seeing(seen):
        lines[trace.window_of(step), columns.stack[step], columns.function[step], _memory(trace, step, seen)].append(
            step
        )
    same: dict[object, list[list[int]]] = defaultdict(list)
    texts = [_text_of(trace, stack) for stack in columns.stacks]
    for (_, stack, function, memory), steps in lines.items():
        same[texts[stack], columns.functions[function].name, memory].append([*steps[:_FIRST], *steps[-_LAST:]])
    found = {s for runs in same.values() for steps in (*runs[:_FIRST_RUNS], *runs[-_LAST_RUNS:]) for s in steps}
    found |= {node.step for node in alive.nodes if node.step is not None}
    found.update(range(alive.since, len(trace.calls)))
    walks = _walks(trace, alive)
    found |= {walk.step for walk in walks} | _last_backwards(trace, walks)
    return _with_makers(trace, found)


def _with_examples(trace: Trace, found: set[int]) -> set[int]:
    """Some calls, and examples of what the run did that leaves no tensor behind, with what led there; if there is room.

    They are the first backward of each line, as which later ones were computed, mostly, and the last numbers that each
    line took out of tensors: they may come back in.
    """
    columns = call_columns(trace.calls)
    backwards = columns.steps_of(lambda function: function.kind is Kind.BACKWARD)
    numbers = columns.steps_of(lambda function: function.kind is Kind.TO_PYTHON)
    firsts = {columns.stack[step]: step for step in reversed(backwards) if step >= trace.begin}
    lasts = {columns.stack[step]: step for step in numbers if step >= trace.begin}
    whole = found | _with_makers(trace, {*firsts.values(), *lasts.values()})
    return whole if len(whole) <= CALLS else found


def _memory(trace: Trace, step: int, seen: Sequence[bool]) -> int:
    """The first storage of those that matter that a call saw."""
    columns, storages = call_columns(trace.calls), column(trace.states, "storage")
    given = columns.before[columns.begins[step] : columns.begins[step + 1]]
    return next((storages[state] for state in (*given, *columns.outputs_of(step)) if seen[state]), NOTHING)


def _walks(trace: Trace, alive: _Alive) -> list[GraphWalk]:
    """The last backwards of each line of each run that went to something that is alive."""
    lines: dict[tuple[int, Stack], list[GraphWalk]] = defaultdict(list)
    for walk in trace.walks:
        if walk.is_backward and not alive.ids.isdisjoint(walk.reached):
            lines[trace.window_of(walk.step), trace.calls[walk.step].stack].append(walk)
    same: dict[object, list[list[GraphWalk]]] = defaultdict(list)
    for (_, stack), walks in lines.items():
        same[_text_of(trace, stack)].append(walks[-_WALKS:])
    kept_runs = [walks for runs in same.values() for walks in (*runs[:_FIRST_RUNS], *runs[-_LAST_RUNS:])]
    kept_runs.append([walk for walk in trace.walks if walk.is_backward and walk.step >= alive.since])
    return sorted({walk.step: walk for walks in kept_runs for walk in walks}.values(), key=lambda walk: walk.step)


def _last_backwards(trace: Trace, walks: Iterable[GraphWalk]) -> set[int]:
    """The last backwards of the lines of some walks: what a later run does to gradients comes after them."""
    columns, lines = call_columns(trace.calls), {trace.calls[walk.step].stack for walk in walks}
    is_backward = [function.kind is Kind.BACKWARD for function in columns.functions]
    last = {columns.stack[step]: step for step, one in enumerate(columns.function) if is_backward[one]}
    return {step for stack, step in last.items() if columns.stacks[stack] in lines}


def _text_of(trace: Trace, stack: Stack) -> tuple[object, ...]:
    """The lines of a stack, the same for two runs of one cell, which is known by its text: each run may have a file."""
    found = []
    for frame in stack.frames:
        site = trace.sites[frame.site]
        source = trace.sources[site.source]
        found.append((source.text if source.is_cell else source.file, site.position, frame.entry))
    return tuple(found)


def _acts(trace: Trace, alive: _Alive) -> Iterator[GradientAct]:
    """What happened to gradients of tensors that are alive, and who switched grad mode off.

    Of a line that did the same again and again, the first and the last runs tell enough, and the last acts of each.
    """
    lines: dict[tuple[int, Stack, Act, tuple[int, ...]], list[tuple[int, GradientAct]]] = defaultdict(list)
    recent: list[tuple[int, GradientAct]] = []
    for place, act in enumerate(trace.acts):
        if act.step >= alive.since and (act.act is not Act.SINGULAR or alive.ids.issuperset(map(NodeId, act.numbers))):
            recent.append((place, act))
        elif act.act is not Act.SINGULAR and alive.tensors.issuperset(map(TensorId, act.numbers)):
            lines[trace.window_of(act.step), act.stack, act.act, act.numbers].append((place, act))
    same: dict[object, list[list[tuple[int, GradientAct]]]] = defaultdict(list)
    for (_, stack, kind, numbers), acts in lines.items():
        same[_text_of(trace, stack), kind, numbers].append([*acts[:_FIRST], *acts[-_LAST:]])
    kept_runs = [acts for runs in same.values() for acts in (*runs[:_FIRST_RUNS], *runs[-_LAST_RUNS:])]
    yield from dict(sorted({place: act for acts in (*kept_runs, recent) for place, act in acts}.items())).values()


def _with_makers(trace: Trace, steps: set[int]) -> set[int]:
    """Some calls, those that first gave out what they were given, and the backwards during which they ran."""
    columns, tensors = call_columns(trace.calls), column(trace.states, "tensor")
    origins = column(trace.tensors, "origin")
    found, left = set(steps), list(steps)
    while left and len(found) <= CALLS:
        step = left.pop()
        given = columns.before[columns.begins[step] : columns.begins[step + 1]]
        new = {origin for state in given if (origin := origins[tensors[state]]) >= 0}
        within = trace.calls[step].within
        new = (new | ({within} if within is not None else set())) - found
        found |= new
        left += new
    return found


def _bounded(trace: Trace, steps: list[int]) -> tuple[list[int], int]:
    """The steps that are kept within our bounds, and how many are not."""
    first = trace.runs[-RUNS].begin if len(trace.runs) > RUNS else 0
    within = steps[max(bisect_left(steps, first), len(steps) - CALLS) :]
    return within, len(steps) - len(within)


class _Cut(Renumbered):
    """A trace with some of its calls only, and what belongs to them."""

    tensors: dict[TensorId, TensorId]

    def __init__(self, trace: Trace, alive: _Alive, steps: list[int], dropped: int) -> None:
        super().__init__()
        self._trace, self._alive, self._steps, self._dropped = trace, alive, steps, dropped
        self._calls = [trace.calls[step] for step in steps]
        self._kept_names = self._names()
        self._runs = _left_of(trace, {trace.window_of(step) for step in steps})
        self.modules = _places(call.module for call in self._calls if call.module is not None)
        changes = (one for one in trace.changes if one.storage in alive.storages or one.after >= alive.since)
        self._changes = [*changes][-CALLS:]
        self._optimizers = [one for one in trace.optimizers if not alive.tensors.isdisjoint(one.params)]
        self._acts = list(_acts(trace, alive))
        self.states = self._all_states()
        states = [trace.states[state] for state in self.states]
        self.tensors = {old: TensorId(new) for old, new in _places(sorted(self._all_tensors(states))).items()}
        self.storages = _places(
            sorted(
                {state.storage for state in states if state.storage is not None}
                | {one.storage for node in alive.nodes for one in node.saved if one.storage is not None}
                | {change.storage for change in self._changes}
            )
        )
        uses = [use.counter for walk in trace.walks for use in walk.uses if use.node in alive.ids]
        counters = {state.counter for state in states if state.counter is not None}
        self._counters = _places(sorted(counters.union(one for one in uses if one is not None)))
        stacks = [call.stack for call in self._calls]
        stacks += [one.stack for one in self._changes if one.stack is not None]
        stacks += [act.stack for act in self._acts]
        self.sites = _places(sorted({frame.site for stack in stacks for frame in stack.frames}))
        self.sources = _places(sorted({trace.sites[site].source for site in self.sites}))

    def trace(self) -> Trace:
        whole = self._trace
        return Trace(
            torch=whole.torch,
            sources=tuple(whole.sources[number] for number in self.sources),
            sites=tuple(self.site(whole.sites[site]) for site in self.sites),
            calls=[self.call(call) for call in self._calls],
            states=[self.state(whole.states[state]) for state in self.states],
            tensors=[self.tensor(whole.tensors[one]) for one in self.tensors],
            storages=[self.storage(whole.storages[one]) for one in self.storages],
            nodes=tuple(self._nodes()),
            walks=tuple(self._walks()),
            changes=tuple(map(self.change, self._changes)),
            shared=tuple(self.shared(one) for one in whole.shared if one.storage in self.storages),
            names=tuple(map(self.name, self._kept_names)),
            modules=tuple(whole.modules[number] for number in self.modules),
            optimizers=tuple(map(self.optimizer, self._optimizers)),
            notes=(),
            failure=None,
            title=whole.title,
            not_looked_at=tuple(self._left_out()),
            acts=tuple(map(self.act, self._acts)),
            runs=tuple(self._run(run) for run in self._runs),
        )

    # ------------------------------------------------------------ what belongs to the calls

    def _names(self) -> list[Name]:
        """The names of live tensors: the first and the last look at which each reached its tensor."""
        looks: dict[tuple[str, TensorId], list[Name]] = defaultdict(list)
        for name in self._trace.names:
            if name.tensor in self._alive.tensors or name.step >= self._alive.since:
                looks[name.path, name.tensor].append(name)
        found = dict.fromkeys(name for names in looks.values() for name in (names[0], names[-1]))
        return sorted(found, key=lambda name: name.step)

    def _all_states(self) -> dict[int, StateId]:
        alive, seen = self._alive.tensors, enumerate(column(self._trace.states, "tensor"))
        last = {tensor: number for number, tensor in seen if tensor in alive}
        used = {state for call in self._calls for one in call.inputs for state in (one.before, one.after)}
        used.update(state for call in self._calls for state in call.outputs)
        named = {name.tensor for name in self._kept_names}
        named.update(param for one in self._optimizers for param in one.params)
        named.update(self._acted_on())
        wanted = {self._trace.states[state].tensor for state in used} | named
        return {old: StateId(new) for new, old in enumerate(sorted(used.union(last[t] for t in wanted if t in last)))}

    def _acted_on(self) -> Iterator[TensorId]:
        """The tensors to whose gradients something happened."""
        acts = (act for act in self._acts if act.act is not Act.SINGULAR)  # which is about nodes
        return (TensorId(number) for act in acts for number in act.numbers)

    def _all_tensors(self, states: Iterable[TensorState]) -> Iterator[TensorId]:
        found = {state.tensor for state in states}
        found.update(state.base for state in states if state.base is not None)
        found.update(name.tensor for name in self._kept_names)
        found.update(param for one in self._optimizers for param in one.params)
        found.update(self._acted_on())
        found.update(node.leaf for node in self._alive.nodes if node.leaf is not None)
        found.update(one.tensor for node in self._alive.nodes for one in node.saved if one.tensor is not None)
        yield from found

    # ------------------------------------------------------------ with new numbers

    def counter_id(self, counter: CounterId) -> CounterId:
        return CounterId(self._counters[counter])

    def node_id(self, node: NodeId) -> NodeId:
        leaf = self._trace.node_by_id[node].leaf if node in self._trace.node_by_id else None
        return node if leaf is None else NodeId(-1 - self.tensors[leaf])

    def step(self, step: int) -> int | None:
        place = bisect_left(self._steps, step)
        return place if place < len(self._steps) and self._steps[place] == step else None

    def moment(self, step: int) -> int:
        return step if step == BEFORE else bisect_left(self._steps, step)

    def _nodes(self) -> Iterator[Node]:
        for node in self._alive.nodes:
            edges = tuple(edge for edge in node.edges if edge.node in self._alive.ids)
            yield self.node(replace(node, edges=edges))

    def _walks(self) -> Iterator[GraphWalk]:
        ends = () if self._alive.walk is None else (self._alive.walk,)
        for walk in (*(one for one in _walks(self._trace, self._alive) if self.step(one.step) is not None), *ends):
            among = self._alive.ids.__contains__
            roots, reached, released = (
                tuple(filter(among, nodes)) for nodes in (walk.roots, walk.reached, walk.released)
            )
            uses = [self.use(use) for use in walk.uses if use.node in self._alive.ids]
            yield self.walk(replace(walk, roots=roots, reached=reached, released=released), uses)

    def _left_out(self) -> Iterator[NotLookedAt]:
        """What was dropped of all runs so far; what else was not looked at was said below its own cell."""
        earlier = [one.count for one in self._trace.not_looked_at if one.what is Look.HISTORY]
        count = self._dropped + sum(earlier)
        if count:
            yield NotLookedAt(Look.HISTORY, CALLS, count, BEFORE, None, None)

    def _run(self, run: CellRun) -> CellRun:
        failure: Failure | None = None if run.failure is None else replace(run.failure, stack=None, there=())
        return replace(run, begin=self.moment(run.begin), failure=failure)


def _left_of(trace: Trace, windows: set[int]) -> list[CellRun]:
    """The windows of which calls are kept, and the last; a run begins with the first of its own that is left."""
    found, begun = list[CellRun](), False
    for place, run in enumerate(trace.runs):
        begun = begun and run.continues
        if place in windows or place == len(trace.runs) - 1:
            found.append(replace(run, continues=run.continues and (begun or not found)))
            begun = True
    return found


def _places(items: Iterable[Item]) -> dict[Item, int]:
    """Items, each with its place among those that differ."""
    return {item: place for place, item in enumerate(dict.fromkeys(items))}

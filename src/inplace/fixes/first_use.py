"""Changes of what one of two backwards goes through: it stops at a tensor beyond which nobody wants it to go."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from inplace.checks.finding import Finding
from inplace.facts.model import Act, Call, GraphWalk, TensorId
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind
from inplace.fixes.statement import Statement
from inplace.reading.gradients.zero import leaves_below
from inplace.reading.trace.gradient_events import reads_grad


def detaches_use(look: Look, finding: Finding) -> Candidates:
    """`d_loss = bce(D(fake), 0)` -> `D(fake.detach())`, where what the first backward adds behind `fake` is cleared.

    It is where a discriminator is trained on what a generator made, and the generator then through the discriminator.
    Where an optimizer has used those gradients already, it is the second that stops: `-(logp * advantage.detach())`.
    """
    first = look.call_of(finding.culprits[0]) if finding.culprits else None
    second = look.call_of(finding.victim.place) if finding.victim is not None else None
    shared = finding.tensors()
    if first is None or second is None or len(shared) != 1 or first.step >= second.step:
        return
    walks = {walk.step: walk for walk in look.index.trace.walks if walk.is_backward}
    before, after = walks.get(first.step), walks.get(second.step)
    state = look.index.history.last_state(shared[0])
    if before is None or after is None or state is None or state.node is None:
        return
    beyond = leaves_below(look.index, [state.node], frozenset())
    before_second = _Gradients.of(look, beyond, before, first.step, second.step)
    whole = all(use.version == use.version_saved for use in after.uses)
    uses = _uses(look, shared[0], range(first.step), before)
    yield from _detached(uses, fits=whole and _is_wasted(look, before_second, first.step, second.step))
    behind_second = _Gradients.of(look, beyond, after, first.step, second.step)
    uses = _uses(look, shared[0], range(first.step, second.step), after)
    yield from _detached(uses, fits=behind_second.are_done_with)


def detaches_taken(look: Look, first: Call, second: Call, shared: TensorId, *, fits: bool) -> Candidates:
    """`h = rnn(x, h.detach())` in a cell that is run again, where its run before was given a tensor there too."""
    walk = next((one for one in look.index.trace.walks if one.is_backward and one.step == second.step), None)
    if walk is not None:
        uses = _uses(look, shared, range(first.step, second.step), walk)
        calls = [look.index.trace.calls[step] for step, _ in look.index.history.sightings.get(shared, ())]
        later = [call for call in calls if first.step < call.step < second.step]
        yield from _detached(uses, fits=fits and bool(uses) and all(_was_given(look, one, first) for one in later))


def _was_given(look: Look, call: Call, first: Call) -> bool:
    """Whether the same line made the same call with as many tensors before."""
    places = look.index.places
    place, before = places.of(call), look.index.history.calls_of(lambda one: one == call.function, before=first.step)
    alike = [one for one in before if place and (at := places.of(one)) is not None and places.are_one_line(at, place)]
    return bool(alike) and all(len(one.inputs) == len(call.inputs) for one in alike)


def _detached(uses: list[tuple[Statement, ast.Name | None]], *, fits: bool) -> Candidates:
    """The variables of one statement that stand for the shared tensor, without its graph."""
    sites = {id(site.statement): site for site, _ in uses}
    names = {id(name): name for _, name in uses if name is not None}
    if len(sites) == 1 and names:
        edits = [behind(one, ".detach()") for one in names.values()]
        yield Candidate(next(iter(sites.values())), edits, fits and all(name is not None for _, name in uses))


def _uses(look: Look, shared: TensorId, steps: range, walk: GraphWalk) -> list[tuple[Statement, ast.Name | None]]:
    """Where a tensor went into what a backward goes through: the statement, and the variable in it, if it is one."""
    found = []
    reached, named = {*walk.reached}, {*look.index.names.of(shared)}
    for step, _ in look.index.history.sightings.get(shared, ()):
        call = look.index.trace.calls[step]
        if step not in steps or reached.isdisjoint(call.nodes) or not _takes(look, call, shared):
            continue
        for frame in call.stack.frames:
            place = look.index.places.at(frame, step)
            site = look.site(place)
            given = [] if site is None else [one for one in ast.walk(site.statement) if _is_read(one, named)]
            if site is not None and given:
                name = given[0] if len(given) == 1 and isinstance(given[0], ast.Name) else None
                found.append((site, name))
                break
        else:
            return []
    return found


def _is_read(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names


def _takes(look: Look, call: Call, tensor: TensorId) -> bool:
    return any(look.index.trace.states[one.before].tensor == tensor for one in call.inputs)


@dataclass(frozen=True, slots=True)
class _Gradients:
    """What becomes of the leaves that a backward goes to, between the two: which an optimizer uses, which are cleared.

    `beyond` are those behind the shared tensor, `others` are those besides.
    """

    beyond: set[TensorId]
    others: set[TensorId]
    used: set[TensorId]
    cleared: set[TensorId]

    @classmethod
    def of(cls, look: Look, beyond: set[TensorId], walk: GraphWalk, first: int, second: int) -> _Gradients:
        nodes = look.index.trace.node_by_id
        others = {leaf for node in walk.reached if (leaf := nodes[node].leaf) is not None} - beyond
        acts = [one for one in look.index.trace.acts if first < one.step <= second]
        used = {TensorId(one) for act in acts if act.act is Act.STEPPED for one in act.numbers}
        cleared = {TensorId(one) for act in acts if act.act is Act.CLEARED for one in act.numbers}
        return cls(beyond, others, used, cleared)

    @property
    def are_done_with(self) -> bool:
        """Whether an optimizer has stepped with those behind, and others are what is now cleared for."""
        is_used = bool(self.beyond) and self.beyond <= self.used
        return is_used and bool(self.others & self.cleared) and not self.beyond & self.cleared


def _is_wasted(look: Look, found: _Gradients, first: int, second: int) -> bool:
    """Whether what a backward adds behind the shared tensor is cleared unused, and it goes to others as well."""
    for call in look.index.history.calls_of(reads_grad, before=second):
        if call.step > first and any(_takes(look, call, one) for one in found.beyond):
            return False
    is_cleared = bool(found.beyond) and found.beyond <= found.cleared
    return bool(found.others) and is_cleared and not found.used & found.beyond

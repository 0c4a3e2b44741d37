"""Diagram and its parts: everything the picture shows, as as_json frozen values that JSON can carry.

Long sequences are columns (`panes_columns`): a row for each of 100,000 calls would be too much to send.
Positions inside the autograd pane are pixels at 100 %; columns of source text count characters, not bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite
from typing import Literal

from inplace.render.picture.film_model import Film, NameSpan
from inplace.render.picture.ledger_model import NO_LEDGER, LedgerPane
from inplace.render.picture.spot import Spot
from inplace.render.picture.timeline_model import Calls, Scalar
from inplace.render.words.phrase import Runs

FORMAT = 1

Role = Literal["culprit", "victim", "write", "cut", "alias", "bound", "raised"]


@dataclass(frozen=True, slots=True)
class Diff:
    """A proposed change from a line of the user's on, each line after `- `, `+ ` or two spaces.

    `verified` and `proof` are what a replay with the change showed; None where none was made.
    """

    line: int
    lines: tuple[str, ...]
    verified: bool | None
    proof: str | None


@dataclass(frozen=True, slots=True)
class Lesson:
    """A worked example: what one hears, code that shows it, and what PyTorch really does."""

    id: str
    title: str
    claim: str
    verdict: str
    lesson: str
    code: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One finding, told: the sentences, the places, and what it has to do with in the other panes.

    Sentences are pieces of prose and code by turns, prose first. `did` says in a few words what the culprits do,
    `also` what is said of each culprit after the first (mostly nothing), `needs` what the victim is to that; `role` is
    what the first culprit is marked as. `bounds` are the lines between which it happened, where no more is known, and
    `bounds_are` says what each is.
    `example` is the id of the worked example that teaches the same thing, empty for none; see `Diagram.lessons`.
    """

    severity: str
    kind: str
    role: Role
    headline: Runs
    why: Runs
    fix: Runs
    facts: Runs
    did: str
    also: tuple[str, ...]
    needs: str
    diff: Diff | None
    culprits: tuple[Spot, ...]
    victim: Spot | None
    bounds: tuple[Spot, ...]
    bounds_are: tuple[str, ...]
    names: tuple[str, ...]
    names_hidden: int
    steps: tuple[int, ...]
    tensors: tuple[int, ...]
    storages: tuple[int, ...]
    memory: tuple[int, ...]
    nodes: tuple[int, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked range of source text; `finding` indexes `Diagram.findings`, -1 for marks that are none of theirs."""

    line: int
    column: int
    end_line: int
    end_column: int
    role: Role
    finding: int
    step: int | None
    times: int


@dataclass(frozen=True, slots=True)
class SourcePane:
    """The lines of one source around what ran; `first` is the number of `lines[0]`.

    `hidden` counts lines left out, `above` those of them that stand before the first. Empty lines at the beginning are
    not counted: of a cell that is where its magics were.
    """

    label: str
    is_cell: bool
    first: int
    lines: tuple[str, ...]
    hidden: int
    marks: tuple[Mark, ...]
    above: int = 0


@dataclass(frozen=True, slots=True)
class TensorBox:
    """One tensor of the references pane; `storage`, `base`, `counter` are ids or -1, `died` is a step or -1.

    `was` is the name its source gave it, for a tensor that no name reaches any more. `pieces` are byte ranges of the
    storage (a strided tensor has several); not `exact` where they are one span with gaps. `cells` are the elements
    of its storage that it shows, in row order, empty where there are too many. `touched` are the steps of calls it went
    into or came out of, as differences to the previous one. `called` is when it had which name.
    """

    id: int
    names: tuple[str, ...]
    names_hidden: int
    was: str
    type: str
    dtype: str
    shape: tuple[int, ...]
    requires_grad: bool
    is_leaf: bool
    storage: int
    base: int
    counter: int
    born: int
    died: int
    pieces: tuple[tuple[int, int], ...]
    exact: bool
    cells: tuple[int, ...]
    touched: tuple[int, ...]
    touched_hidden: int
    called: tuple[NameSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class CounterBox:
    """One version counter: `versions` were seen from after the calls `steps` on, up to `until` (-1: to the end).

    Both are differences to the previous one. Tensors that share a counter move together.
    """

    id: int
    steps: tuple[int, ...]
    versions: tuple[int, ...]
    until: int


@dataclass(frozen=True, slots=True)
class StorageBox:
    """One block of bytes; `values` are (step, ((element, value), ...)) as they were seen to change, up to `until`.

    A value is None from where it is known to have changed, but not to what.
    `elements` is 0 where no values are shown. `shared` are byte ranges that several shown tensors reach.
    """

    id: int
    bytes: int
    device: str
    external: bool
    born: int
    died: int
    itemsize: int
    elements: int
    tensors: tuple[int, ...]
    tensors_hidden: int
    shared: tuple[tuple[int, int], ...]
    values: tuple[tuple[int, tuple[tuple[int, Scalar | None], ...]], ...]
    until: int
    film: Film = field(default_factory=Film)


@dataclass(frozen=True, slots=True)
class References:
    """Names, tensors, counters and storages; the hidden counts say what is not drawn."""

    tensors: tuple[TensorBox, ...]
    storages: tuple[StorageBox, ...]
    counters: tuple[CounterBox, ...]
    tensors_hidden: int
    storages_hidden: int


@dataclass(frozen=True, slots=True)
class Keep:
    """A saved tensor on its node; `stale` where backward will refuse it, `silent` where it reads other values."""

    name: str
    tensor: int
    text: str
    saved: int | None
    now: int | None
    stale: bool
    silent: bool


@dataclass(frozen=True, slots=True)
class NodeBox:
    """A box of the autograd pane: a node, a leaf, or (`kind` culprit) the call that broke a save. Centre and size."""

    id: int
    kind: Literal["node", "leaf", "custom", "rebase", "culprit", "more"]
    title: str
    subtitle: str
    step: int
    tensor: int
    finding: int
    keeps: tuple[Keep, ...]
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class NodeLink:
    """A routed line of the autograd pane: the points of a chain of cubic Bezier curves, from data to what it made."""

    tail: int
    head: int
    kind: Literal["flow", "overwrite", "more"]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Autograd:
    """The autograd pane; `hidden` counts nodes left out of it, `note` says why there is no drawing."""

    width: float
    height: float
    boxes: tuple[NodeBox, ...]
    links: tuple[NodeLink, ...]
    total: int
    hidden: int
    note: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The exception that ended the recorded code."""

    type: str
    message: str
    spot: Spot | None


@dataclass(frozen=True, slots=True)
class RunSpan:
    """One run of a cell in a picture of several: what it is called, its first call, and whether it was broken off."""

    title: str
    begin: int
    ended_by: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """The whole picture of one run; `lessons` are the worked examples of its findings.

    `all_clear` is what is said where there are no findings. `runs` are the runs of cells that it shows, none for one.
    """

    title: str
    torch: str
    findings: tuple[Verdict, ...]
    findings_hidden: int
    lessons: tuple[Lesson, ...]
    sources: tuple[SourcePane, ...]
    references: References
    autograd: Autograd
    calls: Calls
    notes: tuple[str, ...]
    all_clear: str
    ending: Ending | None
    runs: tuple[RunSpan, ...] = ()
    gradients: LedgerPane = NO_LEDGER
    format: int = FORMAT

    def to_json(self) -> dict[str, object]:
        """The diagram as dicts, lists, strings, numbers and None."""
        found = as_json(self)
        assert isinstance(found, dict)
        return found


def as_json(value: object) -> object:
    """A value of this module as JSON values; numbers that JSON has no word for become strings."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        if value and type(value[0]) in (int, str):  # a long column: of one type, or already as_json
            return [as_json(one) if isinstance(one, tuple) or type(one) is float else one for one in value]
        return [as_json(one) for one in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value

"""Finding types and Report: what the analysis concludes, as data. The sentences are in `render/wording.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from inplace.facts.model import NodeId, StorageId, TensorId, Trace
from inplace.reading.index import Index
from inplace.reading.place import Place

Severity = Literal["error", "warning", "info"]
F = TypeVar("F", bound="Finding")


@dataclass(frozen=True, slots=True)
class Victim:
    """The call that suffers: for a stale save the one whose node had kept the overwritten tensor."""

    place: Place
    node: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A proposed change of the user's source: from `line` on, the whole lines `old` become the whole lines `new`."""

    file: str
    line: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a replay with a rewrite made: whether it is proved to mend the finding, and what was seen.

    `gradients` is whether its gradients were compared with those of a run in which every save is a copy, and are equal.
    """

    verified: bool
    text: str
    gradients: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something worth telling. Subclasses say which kind, and carry the evidence that wording needs."""

    kind: ClassVar[str]
    severity: Severity
    culprits: tuple[Place, ...]
    victim: Victim | None
    names: tuple[str, ...]
    rewrite: Rewrite | None = None
    proof: Proof | None = None

    @property
    def lines(self) -> tuple[object, ...]:
        """What tells two findings apart for a reader: the places, whatever call or iteration showed them."""
        places = [*self.culprits, *([self.victim.place] if self.victim is not None else [])]
        return (self.kind, self.victim is None, *((place.file, place.position) for place in places))


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSave(Finding):
    """A saved tensor whose version has moved on: backward raises where it reads it."""

    kind = "saved-tensor-modified"
    node: NodeId
    saved: str
    storage: StorageId | None
    version_saved: int | None
    version_now: int | None
    disjoint: bool = False
    """True where the bytes written and the bytes saved share no byte: only the counter is shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomFunction(Finding):
    """A custom autograd function whose save, context or gradient was edited."""

    kind = "custom-function"
    node: NodeId | None
    saved: str
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenWrite(Finding):
    """A write to saved bytes that the save's counter does not show: the gradient is silently wrong."""

    kind = "silent-corruption"
    node: NodeId
    saved: str
    storage: StorageId | None
    how: str
    """How the write escaped the counter: `data`, `external`, `buffers`, `replaced`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafWrite(Finding):
    """An in-place call on a leaf that requires grad, refused by PyTorch."""

    kind = "leaf-inplace"
    tensor: TensorId


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafViewWrite(Finding):
    """An in-place call on a view of a leaf that requires grad, refused by PyTorch."""

    kind = "view-of-leaf-inplace"
    tensor: TensorId
    base: TensorId


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiOutputWrite(Finding):
    """An in-place call on one of several views that one call returned, or on a view made under no_grad."""

    kind = "multi-output-view-inplace"
    tensor: TensorId
    creation: str
    made: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlappingWrite(Finding):
    """A write whose target overlaps itself or what is read: the result depends on the order of elements."""

    kind = "overlapping-write"
    tensor: TensorId
    how: str
    """`expanded` (several elements share bytes), `partial` (input and output share some), `indices` (repeated)."""
    raised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceTensor(Finding):
    """A tensor made under inference_mode that autograd was asked to save or to change."""

    kind = "inference-tensor"
    tensor: TensorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Finding):
    """The data flows on but the autograd path ends: a parameter gets no gradient."""

    kind = "graph-detached"
    how: str
    """`detach`, `data`, `item`, `numpy`, `rebuilt`, `no-grad`, `dtype`, `frozen`."""
    without_grad: tuple[str, ...]
    raised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReboundLeaf(Finding):
    """A name that stood for a leaf now stands for a tensor computed from it: its `.grad` stays None.

    `named` is whether the name stood for the leaf before, as against `w = torch.ones(2, requires_grad=True) * 2`.
    """

    kind = "rebound-leaf"
    leaf: TensorId
    now: TensorId | None
    named: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedReference(Finding):
    """Names or container items that reach the same bytes, where one of them was written and another read later."""

    kind = "shared-reference"
    storage: StorageId
    how: str
    """`repeated` (one tensor several times in a list), `snapshot` (an alias kept across a write), `swap`."""
    reaching: tuple[str, ...] = ()
    """The names that were seen to reach the bytes; `names` also has those the places mention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeWrite(Finding):
    """An in-place call that harms nothing, and why."""

    kind = "saved-tensor-modified"
    why: str
    """`nothing-saved` (the node before it keeps nothing), `inputs-only` (it keeps its inputs, not its result)."""
    node: str = ""
    """The node that made the value which was overwritten (`AddmmBackward0`)."""
    saved: tuple[str, ...] = ()
    """What that node keeps instead (`mat1`, `mat2`)."""


@dataclass(frozen=True)
class Report:
    """The findings of one trace, the worst first, and the index of the trace that they were found with."""

    index: Index
    findings: tuple[Finding, ...]

    @property
    def trace(self) -> Trace:
        """The trace that was looked at."""
        return self.index.trace

    def of_type(self, kind: type[F]) -> list[F]:
        """The findings of one type, in order."""
        return [finding for finding in self.findings if isinstance(finding, kind)]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity among the findings, None if there are none."""
        present = {finding.severity for finding in self.findings}
        order: tuple[Severity, ...] = ("error", "warning", "info")
        return next((severity for severity in order if severity in present), None)

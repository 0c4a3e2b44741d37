"""What every kind of finding has: where, how grave, what it is about, and what may mend it. Sentences are in `words`.

A kind is one file beside this one, with its class and what it looks for; `kinds.py` lists them. What a reader is told
of it stands in a file of the same name under `render/words`.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Literal

from inplace.facts.model import NodeId, StorageId, TensorId, Trace
from inplace.reading.trace.place import Place

Severity = Literal["error", "warning", "info"]
Role = Literal["culprit", "cut", "alias"]
Basis = Literal["recording", "replay"]


@dataclass(frozen=True, slots=True)
class Victim:
    """The call that suffers: for a stale save the one whose node had kept the overwritten tensor."""

    place: Place
    node: str

    @classmethod
    def at(cls, place: Place | None, node: str = "") -> Victim | None:
        """The victim at a place; none where no line of the user's is known."""
        return cls(place, node) if place is not None else None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A proposed change of the user's source: from `line` on, the whole lines `old` become the whole lines `new`.

    `cure` is the way in which it does so, None for one that came from outside.
    """

    file: str
    line: int
    old: str
    new: str
    cure: Cure | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a replay with a rewrite made: whether it is proved to mend the finding, and what was compared.

    `gradients` is whether its gradients were compared, and are right. `disproved` is whether the replay has shown that
    the rewrite does not mend the finding, as against having shown nothing.
    """

    verified: bool
    text: str
    gradients: bool = False
    disproved: bool = False


class Cure(Enum):
    """A way to change the source that may mend a finding; `fixes/proposals.py` says where the rule of each stands."""

    OUT_OF_PLACE = "out of place"
    NO_FLAG = "no inplace flag"
    CLONE_BEFORE = "a clone before the write"
    CLONE_VALUE = "a clone of what is read"
    CLONE_MADE = "a clone where it was made"
    CLONE_SAVED = "a clone where it was saved"
    CLONE_GIVEN = "a clone that a call is given"
    STACKED = "a stack of new pieces"
    ACCUMULATED = "a sum over repeated indices"
    BEHIND_BACKWARD = "behind backward"
    FORWARD_AGAIN = "the forward once more"
    WITHOUT_GRAD = "under no_grad"
    WITH_GRAD = "under enable_grad"
    MODE_IN_BLOCK = "gradient mode off in a block"
    VIEW_RECORDED = "a view that is recorded"
    UPDATE_LEAF = "an update of the leaf"
    AS_LEAF = "a new leaf"
    UNCUT = "no cut"
    TENSORS_KEPT = "tensors instead of numbers"
    RESULT_USED = "the result itself"
    RETAIN_GRAD = "a gradient that is kept"
    DETACHED = "a detached name"
    TRAINED = "a leaf that requires grad"
    CREATE_GRAPH = "a graph of the gradient"
    FLOATING = "a floating point tensor"
    EXPORT_DETACHED = "an export without history"
    CAST = "a cast of what is written"
    RETAIN_GRAPH = "a graph that is kept"
    USE_DETACHED = "a use without history"
    CARRIED_DETACHED = "a carried value without history"
    REGISTERED = "a registered container"
    GROUP_ADDED = "a parameter group"
    CLEARED_LATER = "a clear behind the step"
    CLEARED_FIRST = "a clear before backward"
    CLIPPED_LATER = "a clip behind backward"
    UNSCALED = "unscaled gradients"
    COPY_KEPT = "a copy where it was kept"
    COPY_SWAPPED = "copies of both ends"
    WRITE_RECORDED = "a write that autograd records"
    INDEXED_ONCE = "one index"
    METHOD_CALLED = "a call of the method"
    RESULT_KEPT = "a result that is kept"
    WRITTEN_INTO = "a write into the tensor itself"
    OPTION_SET = "an option of the groups"
    COPY_MADE = "a copy where the alias was made"
    ARGUMENT_SPARED = "an argument that is left as it was"
    MADE_EACH_TIME = "a default that is made each time"
    ITEM_COPIED = "a copy of the item"
    MADE_APART = "a copy of the module"
    CUSTOM_ASKED = "what autograd asks of custom code"
    MARKED = "mark_dirty"
    CUT_SHORT = "a tensor instead of its number"
    WRAPPED_COPY = "a copy of the array"
    UNMARKED = "no mark_dirty"
    FULL_HOOK = "a full backward hook"
    NUMBER_KEPT = "a number as an attribute of ctx"
    SETUP_CONTEXT = "setup_context"
    NOT_REENTRANT = "a checkpoint that is not reentrant"
    NO_GRAD_MODE = "no_grad in place of inference_mode"
    LEFT_TO_TRANSFORM = "left to the transform"
    MADE_OF_ARGUMENT = "a tensor made of the argument"
    REDUCED = "a mean"
    KEPT_AWAY = "an argument kept away from there"
    STRAIGHT_THROUGH = "a gradient that passes straight through"
    WHOLE_ASKED = "the gradient of the tensor that went in"
    GRADIENT_HOOK = "a hook on the gradient"
    ATTRIBUTE_DETACHED = "an attribute without history"
    GIVEN_ALIKE = "a value of the same dtype and shape"
    COPIED_INTO = "a copy into the leaf"
    RESHAPED = "a reshape"
    OWN_MEMORY = "memory of its own"
    VIEWS_LATER = "views taken behind the write"


@dataclass(frozen=True, slots=True)
class Broken:
    """A save that a finding is about: the node, the name under which it keeps it, and how backward meets it.

    It is `stale` where backward refuses it, `silent` where backward reads other values than were saved.
    `versions` are those when it was saved and when backward came, None where they say nothing.
    """

    node: NodeId
    saved: str
    how: Literal["stale", "silent"]
    versions: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something worth telling. Each kind is a subclass with the evidence that its sentences need.

    `at` is the step of the backward, or other call, that showed it, where none of its places is that call's.
    `basis` says how it is known that its rewrite mends it: the preconditions of its rule hold on the recording, or a
    replay has shown it.
    """

    kind: ClassVar[str]
    role: ClassVar[Role] = "culprit"
    """What the first culprit is marked as in the source."""
    further_role: ClassVar[Role] = "culprit"
    """What the further culprits are marked as."""
    reassures: ClassVar[bool] = False
    """Whether it says that something is right."""
    yields: ClassVar[bool] = False
    """Whether it says no more than that the code was ended, and is left out where an error says why."""
    keeps_values: ClassVar[bool] = False
    """Whether what mends it leaves all values as they were: only the gradients were wrong, or not to be had."""
    keeps_loss: ClassVar[bool] = False
    """Whether what mends it leaves the loss that the code computes first as it was, where that is a finite number."""

    severity: Severity
    culprits: tuple[Place, ...]
    victim: Victim | None
    names: tuple[str, ...]
    rewrite: Rewrite | None = None
    basis: Basis | None = None
    proof: Proof | None = None
    at: int | None = None

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the calls that it rests on, as far as they are known."""
        return tuple(step for step in (*(place.step for place in self.places), self.at) if step is not None)

    @property
    def places(self) -> tuple[Place, ...]:
        """The culprits, then the victim."""
        return (*self.culprits, *([self.victim.place] if self.victim is not None else []))

    @property
    def lines(self) -> tuple[object, ...]:
        """What tells two findings apart for a reader: the places, whatever call or iteration showed them."""
        return (self.kind, self.victim is None, *(place.spot for place in self.places))

    def told_by(self, trace: Trace) -> tuple[object, ...]:
        """What tells two findings of a session apart: their lines, and the run of a cell that showed them."""
        return (*self.lines, trace.run_of(max(self.steps, default=0)))

    def is_of_before(self, trace: Trace) -> bool:
        """Whether it rests on nothing that the last window of a run has shown."""
        return max(self.steps, default=trace.fresh) < trace.fresh

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensors it is about, the most important first; what its culprits wrote comes besides."""
        return ()

    def storages(self) -> tuple[StorageId, ...]:
        """The storages it is about."""
        return ()

    def broken(self) -> Broken | None:
        """The save that it says is broken."""
        return None

    def bounds(self) -> tuple[Place, ...]:
        """The two lines between which it happened, where that is all that is known: not yet there, and seen there."""
        return ()

    def cures(self) -> tuple[Cure, ...]:
        """What may mend it, the likeliest first."""
        return ()

    def reads_what_it_writes(self) -> bool:
        """Whether one call read a part of what it wrote, so that a copy under the same name would be read as well."""
        return False

    def kept_at(self) -> Place | None:
        """Where a second reference to the bytes that it is about was kept, or handed over, if that is its matter."""
        return None

    def without_gradient(self) -> tuple[str, ...] | None:
        """What gets a gradient once it is mended; None where a gradient is there already, or is none of its matter."""
        return None

    @property
    def is_flat(self) -> bool:
        """Whether a gradient is missed since a derivative is zero by definition: what mends it gives another."""
        return False

    def blamed(self) -> tuple[Place, ...]:
        """Where it lies: at the culprits, and at whatever else does the same beside them, told or not."""
        return self.culprits

    @property
    def stands(self) -> bool:
        """Whether it is a warning of what a later run would meet, and holds until then."""
        return False

    def is_told_with(self, broken: AbstractSet[StorageId]) -> bool:  # noqa: ARG002  # for kinds that look at them
        """Whether findings about broken saves in these storages tell all that this one does."""
        return False

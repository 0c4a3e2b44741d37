"""What one recording knows of the functions that are called."""

from __future__ import annotations

from inplace.capture.calls.functions import BUFFERS, FunctionFacts, drops
from inplace.facts.collectives import is_collective
from inplace.facts.model import Kind

VIEWS = frozenset({"T", "mT", "H", "mH"})  # getters that give out a view and do no more
_OF_MEMORY = frozenset({"untyped_storage", "data_ptr"})


class Known:
    """What one recording knows of a function, and whether it can be passed without a record.

    Attributes:
        id: its number in the recording, -1 before it is given one.
        writing: the same for what it is when a flag among its arguments makes it change one of them.
        short: whether what it gives out may be a new tensor.
        collective: whether it talks to other processes.
        switches: whether it switches gradient mode on or off.
        slot: whether it reads or sets a gradient.
        asked: whether it is passed where PyTorch itself calls it.
        numbers: whether it gives out numbers of Python.
        buffers: whether it may change those of a module, as a flag among its arguments says.
        brief: whether its calls may be noted in short.
        quick: whether they may by what is compiled: such as nobody but the user makes.
        in_place: whether it changes its first argument and no other.
        changes: whether it may change any, of those whose calls may be noted in short.
        last: for each number of nodes that a call may make, how often the last of them was that of its result, of the
            times that we looked; -1 where it once was not.
    """

    __slots__ = (
        "aliases",
        "asked",
        "backward",
        "brief",
        "buffers",
        "changes",
        "collective",
        "drops",
        "facts",
        "fresh",
        "id",
        "in_place",
        "kind",
        "label",
        "last",
        "numbers",
        "open",
        "own",
        "passed",
        "plain",
        "pure",
        "quick",
        "reread",
        "short",
        "slot",
        "switches",
        "varies",
        "writing",
    )

    def __init__(self, facts: FunctionFacts) -> None:
        self.facts = facts
        self.kind, self.label = facts.function.kind, facts.function.label
        self.passed, self.pure, self.varies = facts.is_question, facts.is_pure, facts.varies
        self.fresh, self.open, self.aliases = facts.is_fresh, facts.is_open, facts.aliases
        self.buffers = facts.name in BUFFERS
        self.switches = self.label == "_set_grad_enabled"
        self.drops = drops(self.label)
        self.short = self.fresh or self.open
        views = self.kind is Kind.GETTER and self.label in VIEWS
        self.numbers = self.kind is Kind.TO_PYTHON
        self.brief = self.pure or self.open or self.numbers or views
        self.collective = is_collective(facts.name)
        self.plain = self.kind is Kind.OP and not self.collective
        self.backward, self.own = self.kind is Kind.BACKWARD, self.label == "data"
        self.reread = self.kind is Kind.SETTER or self.label == "requires_grad_"
        self.slot = self.label == "grad" and self.kind in (Kind.GETTER, Kind.SETTER)
        self.asked = self.slot or self.label in _OF_MEMORY
        self.in_place = self.plain and self.aliases == 1 and not self.reread
        self.changes = self.open or self.in_place
        self.quick = (self.brief or self.in_place) and not (self.passed or self.asked or self.backward)
        self.id = self.writing = -1
        self.last: dict[int, int] = {}

"""The timeline: calls in columns, how they fold into lines and iterations, and the bytes that are live at each step."""

from __future__ import annotations

from collections import Counter

from inplace.facts.model import Call, GradMode, Kind, Position, Stack
from inplace.reading.trace.history import History
from inplace.render.picture.curves import kept_bytes, live_bytes
from inplace.render.picture.source import Loop, Texts
from inplace.render.picture.timeline_model import CallPlace, Calls, Folds, Form, Scalar, steps_apart

_WRITES = 100_000
_ROUNDS = 60_000
_LINES = 100_000
_RESULTS = 500
_INIT = ".__init__"
_MODES = (GradMode.GRAD, GradMode.NO_GRAD, GradMode.INFERENCE)

WRITES, RAISED, BACKWARD, TO_PYTHON, WITHIN, LIBRARY = 1, 2, 4, 8, 16, 32
"""Flags of a form: it changed a tensor, raised, is a backward, gave a number to Python, ran in one, was a library's."""


class Timeline:
    """The calls of a trace, turned into columns."""

    def __init__(self, history: History, texts: Texts) -> None:
        self._history, self._trace, self._texts = history, history.trace, texts
        self._may_write = set(history.columns.may_write)
        self._strings: dict[str, int] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self._spot_of: dict[int, tuple[int, Position] | None] = {}
        self._forms: dict[tuple[object, ...], int] = {}
        self._made: list[Form] = []
        self._places: dict[Stack, int] = {}
        self._spots: list[tuple[int, CallPlace]] = []
        self._loops: list[Loop | None] = []
        self._form: list[int] = []
        self._writes: list[tuple[int, int, int, int]] = []
        self._raised: list[tuple[int, str]] = []
        self._results: list[tuple[int, Scalar]] = []
        self.written: Counter[tuple[int, Position]] = Counter()
        self.first_written: dict[tuple[int, Position], int] = {}

    def add(self, call: Call) -> None:
        """Note a call of the first `CALLS`; calls come in order."""
        changed = self._changes(call)
        # By identity first: calls of one line share these objects of the trace, and hashing them by value takes long.
        known = (
            id(call.function), id(call.stack), id(call.grad_mode), call.module, call.allocated,
            changed, call.raised is None, call.within is None,
        )  # fmt: skip
        form = self._known.get(known)
        if form is None:
            form = self._known[known] = self._form_of(call, changed=changed)
        self._form.append(form)
        if call.raised is not None and len(self._raised) < _RESULTS:
            self._raised.append((call.step, f"{call.raised.type}: {call.raised.message[:400]}"))
        if call.result is not None and len(self._results) < _RESULTS:
            self._results.append((call.step, call.result))

    def _form_of(self, call: Call, *, changed: bool) -> int:
        place = self._places.get(call.stack)
        if place is None:
            place = self._places[call.stack] = self._new_place(call.stack)
        flags = (WRITES if changed else 0) | self._flags(call)
        key = (call.function.label, place, call.module, call.grad_mode, flags, call.allocated)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._new_form(call, place, flags)
        return form

    def _flags(self, call: Call) -> int:
        kind = call.function.kind
        return (
            (RAISED if call.raised is not None else 0)
            | (BACKWARD if kind is Kind.BACKWARD else 0)
            | (TO_PYTHON if kind in (Kind.TO_PYTHON, Kind.EXPORT) else 0)
            | (WITHIN if call.within is not None else 0)
            | (LIBRARY if call.stack.frames and call.stack.frames[0].entry is not None else 0)
        )

    def _changes(self, call: Call) -> bool:
        if call.step not in self._may_write:
            return False
        states, found = self._trace.states, False
        for argument in self._trace.writes(call):
            before, after = states[argument.before], states[argument.after]
            moved = (after.version or 0) - (before.version or 0)
            if len(self._writes) < _WRITES:
                known = -1 if before.version is None else before.version
                self._writes.append((call.step, before.tensor, known, moved))
            found = True
        spot = self._written_at(call.stack) if found else None
        if spot is not None:
            self.written[spot] += 1
            self.first_written.setdefault(spot, call.step)
        return found

    def _written_at(self, stack: Stack) -> tuple[int, Position] | None:
        found = self._spot_of.get(id(stack), ...)
        if found is ...:
            site = self._texts.innermost(stack)
            found = self._spot_of[id(stack)] = None if site is None else (site.source, site.position)
        return found

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _new_place(self, stack: Stack) -> int:
        site, texts = self._texts.innermost(stack), self._texts
        self._loops.append(texts.loop(stack))
        if site is None:
            self._spots.append((-1, CallPlace(-1, 0, 0, 0, 0, 0, self._string(""))))
            return len(self._spots) - 1
        at, entry = site.position, stack.frames[0].entry or ""
        cell = next(texts.in_cell(stack), None)
        place = CallPlace(
            source=-1,
            line=at.line,
            column=texts.column(site.source, at.line, at.column),
            end_line=at.end_line,
            end_column=texts.column(site.source, at.end_line, at.end_column),
            cell_line=cell.position.line if cell is not None else 0,
            function=self._string(site.function[:80]),
            built=self._string(entry.removesuffix(_INIT)[-60:]) if entry.endswith(_INIT) else -1,
        )
        self._spots.append((site.source, place))
        return len(self._spots) - 1

    def _new_form(self, call: Call, place: int, flags: int) -> int:
        site = self._texts.innermost(call.stack)
        code = self._string(self._texts.piece(site) if site is not None else "")
        module = self._string(self._trace.modules[call.module][:120]) if call.module is not None else -1
        mode = _MODES.index(call.grad_mode)
        self._made.append(
            Form(self._string(call.function.label[:80]), place, code, module, mode, flags, call.allocated)
        )
        return len(self._made) - 1

    def count_visits(self) -> Counter[int]:
        """How many kinds of calls were made from each source."""
        return Counter(source for source, _ in self._spots if source >= 0)

    def calls(self, shown: dict[int, int]) -> Calls:
        """The columns, with sources numbered as in the picture."""
        rows = self._writes
        return Calls(
            count=len(self._form),
            hidden=len(self._trace.calls) - len(self._form),
            texts=tuple(self._strings),
            forms=tuple(self._made),
            places=tuple(_numbered(place, shown.get(source, -1)) for source, place in self._spots),
            form=tuple(self._form),
            write_steps=steps_apart([row[0] for row in rows]),
            write_tensors=tuple(row[1] for row in rows),
            write_from=tuple(row[2] for row in rows),
            write_moved=tuple(row[3] for row in rows),
            memory=live_bytes(self._trace),
            kept=kept_bytes(self._history),
            raised=tuple(self._raised),
            results=tuple(self._results),
            folds=self._folds(),
        )

    def _folds(self) -> Folds:
        places = [form.place for form in self._made]
        lines, rounds, loops = list[int](), list[int](), list[int]()
        last_line, loop, statement = -1, -1, -1
        begins = {run.begin for run in self._trace.runs}
        for step, form in enumerate(self._form):
            if step in begins:  # two runs have nothing in common that would fold
                last_line, loop, statement = -1, -1, -1
            place = places[form]
            spot, now = self._spots[place][1], self._loops[place]
            begin, at = now if now is not None else (0, 0)
            if begin != loop or (begin and at < statement):
                rounds.append(step)
                loops.append(begin)
                last_line = -1
            loop, statement = begin, at
            line = spot.cell_line or spot.line
            if line != last_line:
                lines.append(step)
                last_line = line
        return Folds(steps_apart(lines[:_LINES]), steps_apart(rounds[:_ROUNDS]), tuple(loops[:_ROUNDS]))


def _numbered(place: CallPlace, source: int) -> CallPlace:
    return CallPlace(
        source,
        place.line,
        place.column,
        place.end_line,
        place.end_column,
        place.cell_line,
        place.function,
        place.built,
    )

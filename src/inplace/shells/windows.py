"""A long recording looked at window by window, and what was found in all of them as one explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inplace.facts.progress import Tell, silent
from inplace.shells.explanation import Explanation
from inplace.shells.keep import WINDOW, calls_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.facts.model import Trace
    from inplace.render.picture.diagram import Diagram
    from inplace.render.words.earlier import Earlier

_GRAVE = ("info", "warning", "error")


class WindowsSeen:
    """What was found in the windows of one recording, each of so many calls."""

    def __init__(self, calls: int = calls_of(WINDOW)) -> None:
        self.calls = calls
        self._earlier: Earlier | None = None
        self._worst: Explanation | None = None  # of the first window with the gravest findings

    @property
    def has_let_go(self) -> bool:
        """Whether there was a window before the last, whose calls are gone."""
        return self._earlier is not None

    def told(self, session: Trace, run: Trace) -> None:
        """Look at a window, and let go of it."""
        from inplace.render.words.earlier import Earlier

        found = Explanation.of_run(session, run)
        if self._earlier is None:
            self._earlier = Earlier()
        self._earlier.add(found)
        if _gravity(found) > max(_gravity(self._worst), 0):
            self._worst = found

    @property
    def is_loud(self) -> bool:
        """Whether there was an error or a warning in a window before the last."""
        return _gravity(self._worst) > 0

    @property
    def past(self) -> dict[str, Any] | None:
        """What was told of the windows so far as a JSON value, None where there was none."""
        return None if self._earlier is None else self._earlier.to_json()

    @classmethod
    def after(cls, past: dict[str, Any]) -> Self:
        """What was found in the windows of a recording in another process, which has said what is `past`.

        Raises:
            KeyError, TypeError: if it is no such value.
        """
        from inplace.render.words.earlier import Earlier

        found = cls()
        found._earlier = Earlier.from_json(past)
        return found

    def ended(self, session: Trace, run: Trace, tell: Tell = silent) -> Explanation:
        """What the whole run shows; its last window is given."""
        last = Explanation.of_run(session, run, tell)
        earlier = self._earlier
        if earlier is None:
            return last
        fresh = [one for one in last.findings if not (one.is_of_before(last.trace) and earlier.knows(one))]
        return LongExplanation.of_windows(Explanation(last.index, tuple(fresh)), earlier, self._worst)


class LongExplanation(Explanation):
    """What a long run shows: the last window, what was told of those before it, and the picture of the worst."""

    @classmethod
    def of_windows(cls, last: Explanation, earlier: Earlier, worst: Explanation | None) -> Self:
        """The last window behind what was told of the others; `worst` is the gravest of those."""
        found = cls(last.index, last.findings)
        vars(found)["_earlier"] = earlier
        vars(found)["_pictured"] = worst if _gravity(worst) > _gravity(last) else None
        return found

    def __str__(self) -> str:
        from inplace.render.words.text import to_text

        return to_text(self, earlier=self._earlier)

    def to_json(self) -> dict[str, Any]:
        """The public JSON value: see docs/json-contract.md."""
        return self._earlier.with_earlier(super().to_json(), self)

    def diagram(self, tell: Tell = silent) -> Diagram:
        """What the pictures show."""
        return super().diagram(tell) if self._pictured is None else self._pictured.diagram(tell)

    def to_svg(self) -> str:
        """One self-contained picture."""
        return super().to_svg() if self._pictured is None else self._pictured.to_svg()

    _earlier: Earlier
    _pictured: Explanation | None


def _gravity(found: Explanation | None) -> int:
    """How grave the gravest finding is, -1 where there is none."""
    worst = None if found is None else found.worst
    return -1 if worst is None else _GRAVE.index(worst)

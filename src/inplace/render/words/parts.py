"""Parts of sentences that several kinds of findings share: places, quotes, names, and forms out of place."""

from __future__ import annotations

from inplace.checks.finding import Finding
from inplace.facts.model import Trace
from inplace.reading.trace.place import Place
from inplace.render.words.phrase import code

_NOTEBOOK = ".ipynb"  # as the title of a recording: a whole notebook, which is called by its cells
_LONGEST = 60  # characters of code quoted in a sentence
_LATER = "Write out of place, change a clone, or run `backward()` first."
_NONE_SHOWN = "Which of them keeps all that others read, the recording does not tell."


def where(place: Place, trace: Trace) -> str:
    """`line 4`, or `In[2], line 4` where it isn't in the recorded cell or script itself."""
    own = any(source.is_cell and source.file == place.file for source in trace.sources)
    if trace.is_session or trace.title.endswith(_NOTEBOOK):  # other cells are among the sources too
        own = own and place.label.startswith(trace.title)
    return f"line {place.position.line}" if own else f"{place.label}, line {place.position.line}"


def quote(place: Place) -> str:
    """The code of a place on one short line, marked as code."""
    text = _on_one_line(place)
    return code(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def quote_whole(place: Place) -> str:
    """The code of a place on one line, marked as code."""
    return code(_on_one_line(place))


def _on_one_line(place: Place) -> str:
    return " ".join(place.code.split())


def culprits(finding: Finding, trace: Trace) -> str:
    """`line 4: h.relu_()`, and how many more."""
    if not finding.culprits:
        return "a write that no recorded call made"
    first = finding.culprits[0]
    more = len({(place.file, place.position.line) for place in finding.culprits}) - 1
    rest = f" (and {more} more line{'s' if more > 1 else ''})" if more else ""
    return f"{where(first, trace)}: {quote(first)}{rest}"


def name(finding: Finding, suffix: str = "") -> str:
    """The name of a finding that is said first, with `suffix` to it; `a tensor` where it has none."""
    return code(finding.names[0] + suffix) if finding.names else "a tensor" + suffix


def victim(finding: Finding, trace: Trace) -> str:
    """Where the victim is."""
    return where(finding.victim.place, trace) if finding.victim is not None else "an earlier line"


def joined(names: tuple[str, ...]) -> str:
    """Up to three names, and how many more."""
    shown = [code(one) for one in names[:3]]
    if len(names) > len(shown):
        return f"{', '.join(shown)} and {len(names) - len(shown)} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown) or "a parameter"


# ---------------------------------------------------------------- what to write instead


def instead(finding: Finding, trace: Trace) -> str:
    """What kind of change helps with a write to something that backward still needs, where none is shown."""
    place = finding.culprits[0] if finding.culprits else None
    if place is None:
        return _LATER
    whole = quote_whole(place)
    if ".step(" in place.code:
        return f"Call {whole} after every `backward()` that needs the old weights, or run the forward again."
    if _is_leaf_update(place, trace):
        return f"Move {whole} behind the `backward()` that needs the old values, or run the forward again."
    return f"{_LATER} {_NONE_SHOWN}"


def leaf_update(finding: Finding, _: Trace) -> str:
    """What to do about a refused update of a leaf."""
    example = code(f"new = {finding.names[0]} + ...") if finding.names else "`new = w + ...`"
    return f"Put the update under `torch.no_grad()`, or write out of place under another name: {example}"


def _is_leaf_update(place: Place, trace: Trace) -> bool:
    """Whether a place wrote to a leaf that requires grad: out of place it would not be that leaf any more."""
    if place.step is None or not 0 <= place.step < len(trace.calls):
        return False
    written = [trace.states[argument.before] for argument in trace.writes(trace.calls[place.step])]
    return any(state.requires_grad and state.is_leaf for state in written)

"""What `%inplace example` and `%inplace claims` answer."""

from __future__ import annotations

from dataclasses import dataclass

from inplace.examples import ALL, Example, find

_IDS = 8
"""More words than this are a text, and not a list of ids."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to display, by type, and the code to put into the next cell, if any."""

    shown: dict[str, str]
    code: str | None = None


def example(asked: str) -> Answer:
    """The list of examples; or the first that was asked for, with the titles of the others."""
    found, missing = _look_up(asked)
    if missing:
        return _sorry(missing)
    if not asked:
        return Answer({"text/plain": _titles(found)})
    first, others = found[0], found[1:]
    also = f"\nSee also:\n{_titles(others)}" if others else ""
    return Answer({"text/plain": f"inplace: {first.id} {first.title}. {first.lesson}{also}"}, first.code.rstrip())


def claims(asked: str) -> Answer:
    """The table of the claims that were asked for, or of all, checked now."""
    found, missing = _look_up(asked)
    if missing:
        return _sorry(missing)
    from inplace.examples.table import html_of, rows, text_of

    table = list(rows(found))
    return Answer({"text/plain": text_of(table), "text/html": html_of(table)})


def _look_up(asked: str) -> tuple[list[Example], str]:
    """The examples that all the words together ask for, else each of them, each once; and what asks for none."""
    if not asked:
        return list(ALL), ""
    if together := find(asked):
        return list(together), ""
    words = asked.split()
    missing = next((word for word in words if not find(word)), "")
    if missing and len(words) > _IDS:
        missing = asked
    return list(dict.fromkeys(each for word in words for each in find(word))), missing


def _titles(examples: list[Example]) -> str:
    return "\n".join(f"{each.id} {each.title}" for each in examples)


def _sorry(word: str) -> Answer:
    topics = ", ".join(sorted({each.topic for each in ALL}))
    note = (
        f"inplace: there is no example for {word!r}: type %inplace example for the list, "
        "or put after it an id such as E23, a function such as clone, a few words of an error, "
        f"or one of these topics: {topics}."
    )
    return Answer({"text/plain": note})

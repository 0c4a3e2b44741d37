"""What makes a command line unusable, said before anything runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from inplace.shells.keep import first_needing, refused
from inplace.shells.terminal.options import STDIN


def problem_of(options: argparse.Namespace, *, is_left: bool) -> str | None:
    """What makes the command line unusable, in one sentence; None if nothing does.

    Args:
        options: what it asks for.
        is_left: whether what is written is left to a launcher.
    """
    return _of_files(options) or _needs_all_calls(options, is_left=is_left) or _needs_gradients(options)


def is_notebook(given: str | None) -> bool:
    """Whether a script is a notebook, by its name."""
    return given is not None and given.endswith(".ipynb")


def _of_files(options: argparse.Namespace) -> str | None:
    """Which file can't be read or written, or is asked for twice."""
    kind = {"show": "trace file", "merge": "report"}.get(options.command, "script")
    read = options.files if options.command == "merge" else [options.script if kind == "script" else options.trace]
    if kind == "script" and (options.module is not None or options.code is not None or options.script == STDIN):
        read = []
    without = None if kind != "script" else _without_file(options)
    if without is not None:
        return without
    for given in read:
        if Path(given).is_dir():
            return f"{given} is a directory: name a {kind} in it."
        try:
            _try_to_read(Path(given))
        except (OSError, ValueError) as error:
            return f"{given} can't be read ({_reason(error)}): check the path of the {kind}."
    asked = [
        ("--json", options.json),
        ("--html", options.html),
        ("--trace", options.write),
        ("--sarif", options.sarif),
    ]
    asked += [("--patch", options.patch)] if options.command == "run" else []
    wanted = [(option, target) for option, target in asked if target is not None]
    if sum(target == "-" for _, target in wanted) > 1:
        return "--json and --patch both name standard output: choose a file for one of them."
    for number, (option, target) in enumerate(wanted):
        if target == "-" and option in {"--json", "--patch"}:
            continue
        if any(_is_same(target, given) for given in read):
            return f"{target} is the {kind} itself and would be overwritten: choose another file."
        try:
            _try_to_write(Path(target))
        except (OSError, ValueError) as error:
            return f"{target} can't be written ({_reason(error)}): choose another file."
        for other, theirs in wanted[:number]:
            if target != os.devnull and _is_same(target, "/dev/stdout" if theirs == "-" else theirs):
                return f"{other} and {option} name the same file ({target}): choose another for one of them."
    return None


def _without_file(options: argparse.Namespace) -> str | None:
    """What can't be asked of code that is in no script's file, in one sentence."""
    if is_notebook(options.script):
        what = "a notebook"
    elif options.code is not None or (options.script == STDIN and options.command == "run"):
        what = "code without a file"
    else:
        return None
    if options.command != "run":
        return f"inplace {options.command} needs a script in a file, and this is {what}."
    asked = {"--verify": options.verify, "--patch": options.patch is not None}
    option = next((option for option, given in asked.items() if given), None)
    return None if option is None else f"{option} needs a script in a file, and this is {what}."


def _needs_all_calls(options: argparse.Namespace, *, is_left: bool) -> str | None:
    """Which option asks for what a run with --keep has let go of, in a sentence; None if none does.

    Where the trace `is_left` to a launcher, nobody has asked for it.
    """
    if options.command != "run":
        return None
    trace = None if is_left else options.write
    whole = {"--trace": trace, "--patch": options.patch, "--verify": options.verify, "--advise": options.advise}
    found = first_needing(options.keep, whole)
    return found and f"{refused(found)}."


def _needs_gradients(options: argparse.Namespace) -> str | None:
    """That a run with --light is asked for the gradients that it does not note, in a sentence; None if it isn't."""
    asked = options.command == "run" and options.light and options.gradients
    return "--light notes no gradients, and --gradients prints them: leave one of the two out." if asked else None


def _is_same(one: str, other: str) -> bool:
    """Whether two names lead to one file, which need not be there yet."""
    first, second = Path(one), Path(other)
    if first.exists() and second.exists():
        return first.samefile(second)
    return os.path.realpath(first) == os.path.realpath(second)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _try_to_read(path: Path) -> None:
    if not path.exists() or path.is_file():  # a pipe can be opened once only
        path.open("rb").close()


def _try_to_write(path: Path) -> None:
    there = path.exists()
    if there and not (path.is_file() or path.is_dir()):
        return
    path = Path(os.path.realpath(path))  # a link that leads to nothing yet stays
    path.open("ab").close()
    if not there:
        path.unlink()

"""`%%inplace` as IPython knows it: its options and its help. Above a cell, it is `session` that sees to them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from inplace.shells.keep import WINDOW, refused, window_of
from inplace.shells.notebook.cells import MAGIC


@magic_arguments(MAGIC.removeprefix("%"))  # IPython's help puts one % before the name
@argument(
    "--quiet", action="store_true", help="show nothing; the recording is `inplace.last`, and `%%inplace why` shows it"
)
@argument(
    "--advise",
    action="store_true",
    help="say which calls could be in place, and what is kept for backward, by bytes",
)
@argument(
    "--strict",
    action="store_true",
    help="stop at a write that would destroy what a live graph has saved, instead of in backward",
)
@argument(
    "--verify",
    action="store_true",
    help="replay the cell with the fixes in a process of its own, and say which are proved",
)
@argument(
    "--gradients",
    action="store_true",
    help="print what reached, cleared, clipped and used each gradient, parameters by steps",
)
@argument(
    "--light",
    action="store_true",
    help="note versions, saves and writes only: no values, names or gradients",
)
@argument(
    "--keep",
    metavar="MB",
    nargs="?",
    const="on",
    help=f"for what never ends: let go of what can't matter any more, each {WINDOW:g} MB (or --keep=MB)",
)
def cell_magic(shell: Any, line: str, cell: str) -> None:
    """Record this cell and show, below its output, what was written in place and what that did to autograd.

    The cell runs exactly as it does without this line. Another cell magic may follow on the next line.
    """
    # Reached by `run_cell_magic` only: above a cell, the line is taken away before IPython looks for magics.
    shell.run_cell(f"{MAGIC} {line}".rstrip() + f"\n{cell}")


cell_magic.parser.allow_abbrev = False  # what is no option is to be named, not guessed
OPTIONS = tuple(action.option_strings[0] for action in cell_magic.parser._actions)
WITHOUT_GRADIENTS = "--light notes no gradients, and --gradients prints them: leave one of the two out"
_NEED_ALL = ("verify", "advise")  # which need every call


def options_of(lines: Iterable[str], given: Namespace | None = None) -> tuple[Namespace, list[str]]:
    """The options on the lines of one cell, with those `given` before, and the words that are none.

    Each is true or false, but `keep`: the megabytes of a window, None where every call is kept.
    """
    options, unknown = cell_magic.parser.parse_args([]), []
    vars(options).update({} if given is None else vars(given))
    for word in " ".join(lines).split():
        try:
            options, others = cell_magic.parser.parse_known_args([word], options)
        except UsageError:  # such as a value where none is taken
            others = [word]
        unknown += others
    return options, unknown


def settled(options: Namespace) -> tuple[Namespace, list[str]]:
    """The options that are followed, and a sentence for each that is not."""
    told = []
    try:
        options.keep = window_of(options.keep, "--keep")
    except ValueError as wrong:
        told.append(f"{wrong}; every call of it is kept.")
        options.keep = None
    for name in _NEED_ALL if options.keep is not None else ():
        if vars(options)[name]:
            told.append(f"{refused(f'--{name}')}; now it is --{name}.")
            vars(options)[name] = False
    if options.light and options.gradients:
        told.append(f"{WITHOUT_GRADIENTS}; now it is --gradients.")
        options.gradients = False
    return options, told

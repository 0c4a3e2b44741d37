"""The words of our command line: which are ours, which the script's, and what each of ours asks for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from inplace.facts.version import __version__
from inplace.shells.keep import WINDOW, first_needing, refused, window_of
from inplace.shells.terminal.complaint import UNUSABLE, complain

STDIN = "-"
"""The script that comes on standard input."""
_GRADIENTS = "print what reached, cleared, clipped and used each gradient, parameters by steps"
_WITH_VALUE = {"--json", "--html", "--trace", "--sarif", "--patch"}
_OF_SCRIPTS = {"run", "fix", "judge"}


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our options with the script, and the script's own arguments, which argparse would not leave as they are."""
    if not arguments or arguments[0] not in _OF_SCRIPTS:
        return list(arguments), []
    position = 1
    while position < len(arguments):
        word = arguments[position]
        if word in {"-m", "-c"}:
            position += 1
            break
        if word.startswith(("-m", "-c")) or word == STDIN:
            break
        if word == "--" or not word.startswith("-"):
            position += word == "--"
            break
        position += 2 if word in _WITH_VALUE else 1
    return _switched(arguments[: position + 1]), list(arguments[position + 1 :])


def _switched(words: Sequence[str]) -> list[str]:
    """Our options, of which `--keep` takes a value behind `=` only: what stands behind it is the script."""
    return ["--keep=on" if word == "--keep" else word for word in words]


def options_of_run(words: Sequence[str]) -> argparse.Namespace:
    """What options of `inplace run` ask for, that a script which has begun can be given.

    Raises:
        ValueError: if a word is none of them, or one that such a script can't be given.
    """
    parser = parser_of_commands(_Raising)
    options = parser.parse_args(["run", *_switched(words), "-c", ""])
    if options.verify or options.patch is not None:
        raise ValueError("--verify and --patch are those of inplace run alone")
    options.keep = window_of(options.keep, "--keep")
    option = first_needing(options.keep, {"--trace": options.write is not None, "--advise": options.advise})
    if option is not None:
        raise ValueError(refused(option))
    return options


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message} (see {self.prog} --help).")
        sys.exit(UNUSABLE)


class _Raising(argparse.ArgumentParser):
    """Raises what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parser_of_commands(kind: type[argparse.ArgumentParser] = _Parser) -> argparse.ArgumentParser:
    """What reads our options; each command has its own."""
    parser = kind(prog="inplace", description="Names the line that overwrote what autograd needed.")
    version = f"torch-inplace {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=kind)
    run = commands.add_parser(
        "run",
        help="run a script and report on its tensors",
        usage="inplace run [--json FILE] [--html FILE] [--trace FILE] [--quiet] [--strict] [--advise] [--verify] "
        "[--gradients] [--patch FILE] [--keep[=MB]] [--light] (SCRIPT | NOTEBOOK | -m MODULE | -c CODE | -) [ARGS...]",
        allow_abbrev=False,
    )
    run.add_argument("--trace", metavar="FILE", dest="write", help="write the trace, for `inplace show`")
    run.add_argument("--strict", action="store_true", help="stop at a write that destroys what backward needs")
    run.add_argument("--advise", action="store_true", help="say which calls could be in place, and what backward keeps")
    run.add_argument("--verify", action="store_true", help="replay the script with the fixes, and say which are proved")
    run.add_argument(
        "--keep",
        metavar="MB",
        nargs="?",
        help=f"for runs that never end: let go of what can't matter any more, each {WINDOW:g} MB (or --keep=MB)",
    )
    run.add_argument(
        "--light", action="store_true", help="note versions, saves and writes only: no values, names or gradients"
    )
    run.add_argument("--patch", metavar="FILE", help="write the changes that are shown as a diff; - is standard output")
    run.add_argument("--no-children", dest="children", action="store_false", help="record no child processes")
    what = run.add_mutually_exclusive_group(required=True)
    what.add_argument("-m", metavar="MODULE", dest="module", help="a module in place of a script, as of python -m")
    what.add_argument("-c", metavar="CODE", dest="code", help="code in place of a script, as of python -c")
    what.add_argument(
        "script",
        metavar="SCRIPT",
        nargs="?",
        help="a script, a notebook, or - for what comes on standard input; what is behind it goes to the script",
    )
    show = commands.add_parser("show", help="print the report of a trace file", allow_abbrev=False)
    show.add_argument("trace", metavar="TRACE")
    show.add_argument(
        "--advise", action="store_true", help="say which calls could be in place, and what backward keeps"
    )
    show.set_defaults(write=None, patch=None)
    merge = commands.add_parser("merge", help="join the reports of several processes into one", allow_abbrev=False)
    merge.add_argument(
        "files", metavar="FILE", nargs="+", help="written by --json, or by --trace: a page (--html) needs traces"
    )
    merge.set_defaults(write=None, advise=False, patch=None)
    for command in (run, show, merge):
        command.add_argument("--json", metavar="FILE", help="write the diagnoses as JSON; - is standard output")
        command.add_argument("--html", metavar="FILE", help="write the interactive page")
        command.add_argument("--sarif", metavar="FILE", help="write the diagnoses as SARIF, for editors and code hosts")
        command.add_argument("--github", action="store_true", help="print the diagnoses as GitHub's workflow commands")
        command.add_argument("--gradients", action="store_true", help=_GRADIENTS)
        command.add_argument("--quiet", action="store_true", help="print no report")
    _add_patching(commands)
    _add_tour(commands)
    return parser


def _add_patching(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fix = commands.add_parser(
        "fix",
        help="run a script, show the changes that mend it, and write them if asked to",
        usage="inplace fix [--write] SCRIPT [ARGS...]",
        allow_abbrev=False,
    )
    fix.add_argument("--write", action="store_true", dest="writes", help="write the changes without asking")
    fix.set_defaults(json=None, patch=None)
    judge = commands.add_parser(
        "judge",
        help="have a change of a script judged by replays",
        usage="inplace judge --patch FILE [--json FILE] SCRIPT [ARGS...]",
        allow_abbrev=False,
    )
    judge.add_argument(
        "--patch", metavar="FILE", required=True, help="a unified diff, or JSON as in fix.rewrite; - is standard input"
    )
    judge.add_argument("--json", metavar="FILE", help="write the verdict as JSON; - is standard output")
    for command in (fix, judge):
        command.add_argument("script", metavar="SCRIPT", help="what is behind it goes to the script")
        command.set_defaults(html=None, write=None, module=None, code=None, sarif=None)


def _add_tour(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("tour", help="open the tutorial notebooks in JupyterLab", allow_abbrev=False)
    command.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=Path("inplace-tour"),
        help="where copies of the notebooks go (default: inplace-tour); a file that is there is not overwritten",
    )
    only = command.add_mutually_exclusive_group()
    only.add_argument("--list", action="store_true", help="print the notebooks and their titles, and do nothing else")
    only.add_argument("--copy-only", action="store_true", help="copy the notebooks and open nothing")
    only.add_argument("--no-browser", action="store_true", help="have JupyterLab print its address only")
    command.add_argument(
        "--answers",
        action="store_true",
        help="copy the notebooks as they were run, with outputs and explanations in sight",
    )

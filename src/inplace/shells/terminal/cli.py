"""Reads the command line of `inplace run`, `show`, `merge`, `fix`, `judge` and `tour`, and calls what it asks for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inplace.facts.errors import TraceFormatError
from inplace.shells.keep import window_of
from inplace.shells.terminal.children import Family, parent_here
from inplace.shells.terminal.complaint import UNUSABLE, UnusableError, complain
from inplace.shells.terminal.enabled import take
from inplace.shells.terminal.given import Command, StandardInput
from inplace.shells.terminal.options import STDIN, parser_of_commands, split
from inplace.shells.terminal.outputs import Outputs
from inplace.shells.terminal.per_process import file_of_rank
from inplace.shells.terminal.run import run
from inplace.shells.terminal.script import Script
from inplace.shells.terminal.unusable import is_notebook, problem_of

_HINTED = {
    *("--json", "--html", "--trace", "--sarif", "--github", "--patch"),
    *("--strict", "--advise", "--verify", "--gradients", "--keep", "--light"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status. 2 means that the command line itself was unusable."""
    ours, theirs = split(sys.argv[1:] if arguments is None else arguments)
    parser = parser_of_commands()
    options = parser.parse_args(ours)
    if options.command is None:
        parser.print_help(sys.stderr)
        return UNUSABLE
    if options.command == "tour":
        return _tour(options)
    take()
    if options.command == "run":
        try:
            options.keep = window_of(options.keep, "--keep")
        except ValueError as wrong:
            complain(f"{wrong}, as in --keep=32.")
            return UNUSABLE
    launcher = parent_here() if options.command == "run" else None
    if launcher is not None:
        _leave_to(launcher, options)
    elif options.command == "run":
        _name_by_rank(options)
    problem = problem_of(options, is_left=launcher is not None)
    if problem is not None:
        complain(problem)
        return UNUSABLE
    if options.command in {"fix", "judge"}:
        return _patching(options, theirs)
    shown = options.command in {"show", "merge"}
    with Outputs(
        json=options.json,
        html=options.html,
        trace=options.write,
        patch=options.patch,
        quiet=options.quiet,
        advise=options.advise and launcher is None,
        gradients=options.gradients,
        sarif=options.sarif,
        github=options.github,
        text=1 if shown and options.json != "-" else 2,
    ) as outputs:
        if options.command == "merge":
            return _merge(options.files, outputs)
        if shown:
            return _show(options.trace, outputs)
        try:
            script = _script(options, theirs)
        except UnusableError as unusable:
            complain(f"{options.script} can't be run: {unusable}.")
            return UNUSABLE
        status = run(
            script,
            outputs,
            strict=options.strict,
            thorough=options.advise,
            verify=options.verify,
            keep=options.keep,
            light=options.light,
            family=_family(options, script, launcher),
            child=None if launcher is None else ("torchrun", launcher[0]),
        )
        if not options.quiet:
            _hint(script, theirs)
        return status


def _script(options: argparse.Namespace, theirs: Sequence[str]) -> Script:
    """What is to be run."""
    if options.module is not None:
        return Script.of_module(options.module, theirs)
    if options.code is not None:
        return Command(options.code, theirs)
    if options.script == STDIN:
        return StandardInput(theirs)
    if is_notebook(options.script):
        from inplace.shells.notebook.whole import Notebook  # which needs IPython

        return Notebook(options.script, theirs)
    return Script(options.script, theirs)


def _hint(script: Script, theirs: Sequence[str]) -> None:
    """Tell of an option of ours that stands behind the script, which has no such option."""
    for word in theirs:
        option = word.partition("=")[0]
        if option in _HINTED and script.source is not None and option[2:].encode() not in script.source:
            complain(f"{option} stands behind the script, and so is the script's; put it before the script for us.")


# ---------------------------------------------------------------- fix and judge


def _patching(options: argparse.Namespace, theirs: Sequence[str]) -> int:
    from inplace.shells.terminal import patching

    if options.command == "fix":
        return patching.fix(options.script, theirs, write=options.writes)
    return patching.judge(options.script, theirs, options.patch, options.json)


# ---------------------------------------------------------------- tour


def _tour(options: argparse.Namespace) -> int:
    from inplace.shells.terminal.tour import show_list, tour  # with what a script must not find imported

    if options.list:
        return show_list()
    return tour(options.folder, opened=not options.copy_only, browser=not options.no_browser, answers=options.answers)


# ---------------------------------------------------------------- several processes


def _name_by_rank(options: argparse.Namespace) -> None:
    """Have each process of a job write files of its own."""
    for name in ("json", "html", "write"):
        given = getattr(options, name)
        if given is not None:
            setattr(options, name, file_of_rank(given))


def _merge(files: Sequence[str], outputs: Outputs) -> int:
    from inplace.shells.terminal.merge import merge

    return merge(files, outputs)


def _leave_to(launcher: tuple[int, str], options: argparse.Namespace) -> None:
    """Have this process, which a launcher under `inplace run` has started, leave its trace to that and say nothing."""
    options.json = options.html = None
    options.write = str(Path(launcher[1]) / f"{os.getpid()}.trace")
    options.quiet = True


def _family(options: argparse.Namespace, script: Script, launcher: tuple[int, str] | None) -> Family | None:
    """What the children of a script are to know; None where they are left alone."""
    if not options.children:
        return None
    folder = Family.new_folder() if launcher is None else launcher[1]
    how = {"strict": options.strict, "thorough": options.advise, "light": options.light, "keep": options.keep}
    return Family(script.file, folder, **how)


# ---------------------------------------------------------------- show


def _show(file: str, outputs: Outputs) -> int:
    from inplace.facts.codec import load

    try:
        trace = load(file)
    except (TraceFormatError, OSError) as error:
        complain(f"{file}: {error}.")
        return UNUSABLE
    outputs.report(trace)
    return 0

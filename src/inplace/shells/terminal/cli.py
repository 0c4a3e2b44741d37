"""Reads the command line of `inplace run`, `show`, `merge`, `fix`, `judge` and `tour`, and calls what it asks for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from inplace.facts.errors import TraceFormatError
from inplace.facts.version import __version__
from inplace.shells.keep import WINDOW, first_needing, refused, window_of
from inplace.shells.terminal.children import Family, parent_here
from inplace.shells.terminal.complaint import UNUSABLE, UnusableError, complain
from inplace.shells.terminal.enabled import take
from inplace.shells.terminal.given import Command, StandardInput
from inplace.shells.terminal.outputs import Outputs
from inplace.shells.terminal.per_process import file_of_rank
from inplace.shells.terminal.run import run
from inplace.shells.terminal.script import Script

_GRADIENTS = "print what reached, cleared, clipped and used each gradient, parameters by steps"
_HINTED = {
    *("--json", "--html", "--trace", "--sarif", "--github", "--patch"),
    *("--strict", "--advise", "--verify", "--gradients", "--keep", "--light"),
}
_WITH_VALUE = {"--json", "--html", "--trace", "--sarif", "--patch"}
_STDIN = "-"
_OF_SCRIPTS = {"run", "fix", "judge"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status. 2 means that the command line itself was unusable."""
    ours, theirs = _split(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
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
    problem = _problem(options) or _needs_all_calls(options, is_left=launcher is not None) or _needs_gradients(options)
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
    if options.script == _STDIN:
        return StandardInput(theirs)
    if _is_notebook(options.script):
        from inplace.shells.notebook.whole import Notebook  # which needs IPython

        return Notebook(options.script, theirs)
    return Script(options.script, theirs)


def _is_notebook(given: str | None) -> bool:
    return given is not None and given.endswith(".ipynb")


def _hint(script: Script, theirs: Sequence[str]) -> None:
    """Tell of an option of ours that stands behind the script, which has no such option."""
    for word in theirs:
        option = word.partition("=")[0]
        if option in _HINTED and script.source is not None and option[2:].encode() not in script.source:
            complain(f"{option} stands behind the script, and so is the script's; put it before the script for us.")


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our options with the script, and the script's own arguments, which argparse would not leave as they are."""
    if not arguments or arguments[0] not in _OF_SCRIPTS:
        return list(arguments), []
    position = 1
    while position < len(arguments):
        word = arguments[position]
        if word in {"-m", "-c"}:
            position += 1
            break
        if word.startswith(("-m", "-c")) or word == _STDIN:
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
    parser = _parser(_Raising)
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


def _parser(kind: type[argparse.ArgumentParser] = _Parser) -> argparse.ArgumentParser:
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


def _problem(options: argparse.Namespace) -> str | None:
    """What makes the command line unusable, in one sentence; None if nothing does."""
    kind = {"show": "trace file", "merge": "report"}.get(options.command, "script")
    read = options.files if options.command == "merge" else [options.script if kind == "script" else options.trace]
    if kind == "script" and (options.module is not None or options.code is not None or options.script == _STDIN):
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
    if _is_notebook(options.script):
        what = "a notebook"
    elif options.code is not None or (options.script == _STDIN and options.command == "run"):
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

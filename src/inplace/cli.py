"""`inplace run SCRIPT` and `inplace show TRACE`: reads options, calls, prints. No logic of its own."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status. 2 means that the command line itself was unusable."""
    options = _parser().parse_args(arguments)
    if options.command == "show":
        return _show(options)
    problem = _problem(options)
    if problem is not None:
        print(f"inplace: {problem}", file=sys.stderr)
        return _UNUSABLE
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inplace", description="Names the line that overwrote what autograd needed.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a script and report on its tensors", allow_abbrev=False)
    run.add_argument("--json", metavar="FILE", help="write the diagnoses as JSON; - is standard output")
    run.add_argument("--html", metavar="FILE", help="write the interactive page")
    run.add_argument("--trace", metavar="FILE", help="write the trace, to be shown later with `inplace show`")
    run.add_argument("--quiet", action="store_true", help="print no report")
    run.add_argument("script", metavar="SCRIPT")
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS")
    show = commands.add_parser("show", help="print the report of a trace file")
    show.add_argument("trace", metavar="TRACE")
    show.add_argument("--html", metavar="FILE", help="write the interactive page")
    return parser


def _problem(options: argparse.Namespace) -> str | None:
    """What makes the command line unusable, in one sentence; None if nothing does."""
    script = Path(options.script)
    if script.is_dir():
        return f"{options.script} is a directory: name the script in it that is to be run."
    try:
        script.read_bytes()
    except OSError as error:
        return f"{options.script} can't be read ({error.strerror}): check the path of the script."
    for target in (options.json, options.html, options.trace):
        if target not in {None, "-"}:
            try:
                with Path(target).open("a"):
                    pass
            except OSError as error:
                return f"{target} can't be written ({error.strerror}): choose another file."
    return None


# ---------------------------------------------------------------- run


def _run(options: argparse.Namespace) -> int:
    from inplace.capture.record import Recorder

    module = _as_main(options.script, options.arguments)
    file = options.script
    recorder = Recorder(
        title=Path(file).name,
        is_cell=lambda name: name == file,
        namespace=module.__dict__,
    )
    error: BaseException | None = None
    try:
        code = compile(_text(file), file, "exec")
    except (SyntaxError, ValueError) as unparsed:
        sys.excepthook(type(unparsed), unparsed.with_traceback(None), None)
        return 1
    recorder.start()
    try:
        exec(code, module.__dict__)
    except BaseException as raised:
        error = raised
    try:
        recorder.stop(error)
    except Exception as fault:
        _complain(fault)
    status = _status(error)
    sys.stdout.flush()
    _report(recorder, options)
    return status


def _text(file: str) -> str:
    with io.open_code(str(Path(file).resolve())) as source:
        return io.TextIOWrapper(io.BytesIO(source.read()), encoding="utf-8").read()


def _as_main(script: str, arguments: list[str]) -> ModuleType:
    """Make the module that the script will run in, the way `python SCRIPT ARGS` does."""
    module = ModuleType("__main__")
    module.__dict__.update({"__file__": script, "__builtins__": builtins, "__spec__": None, "__cached__": None})
    sys.modules["__main__"] = module
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    return module


def _status(error: BaseException | None) -> int:
    """The exit status plain Python would give, after printing what it would print."""
    from inplace.capture.record import Recorder

    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    Recorder.strip(error)
    sys.stdout.flush()
    sys.excepthook(type(error), error, error.__traceback__)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _report(recorder: Any, options: argparse.Namespace) -> None:
    """Print and write what was asked for; a fault of ours is one line, and never the script's exit status."""
    try:
        from inplace.analysis import analyze

        _write(analyze(recorder.trace), options)
    except Exception as fault:
        _complain(fault)
        if options.json is not None:
            _put(options.json, json.dumps({"format": 1, "error": None, "calls": 0, "diagnoses": []}))


def _write(report: Any, options: argparse.Namespace) -> None:
    from inplace.contract import diagnoses
    from inplace.render.text import to_text

    if options.json is not None:
        _put(options.json, json.dumps(diagnoses(report), indent=2) + "\n")
    if options.trace is not None:
        from inplace.codec import dump

        dump(report.trace, options.trace)
    if options.html is not None:
        _put(options.html, _page(report))
    if not options.quiet:
        print(to_text(report), file=sys.stderr)


def _page(report: Any) -> str:
    from inplace.render.diagram import diagram
    from inplace.render.html import to_html

    return to_html(diagram(report))


def _put(target: str, text: str) -> None:
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(target).write_text(text, encoding="utf-8")


def _complain(fault: Exception) -> None:
    print(
        f"inplace: no full report, because of a fault of ours ({type(fault).__name__}: {fault}). "
        "Your script was not affected; please report it.",
        file=sys.stderr,
    )


# ---------------------------------------------------------------- show


def _show(options: argparse.Namespace) -> int:
    from inplace.analysis import analyze
    from inplace.codec import load
    from inplace.errors import TraceFormatError
    from inplace.render.text import to_text

    try:
        report = analyze(load(options.trace))
    except (TraceFormatError, OSError) as error:
        print(f"inplace: {options.trace}: {error}", file=sys.stderr)
        return _UNUSABLE
    print(to_text(report))
    if options.html is not None:
        _put(options.html, _page(report))
    return 0

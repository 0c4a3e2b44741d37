"""`inplace fix` and `inplace judge`: the changes that are shown are written, and one from outside is judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inplace.shells.terminal.complaint import UNUSABLE, complain
from inplace.shells.terminal.forms import shown_changes
from inplace.shells.terminal.outputs import Outputs
from inplace.shells.terminal.run import run
from inplace.shells.terminal.script import Script

if TYPE_CHECKING:
    from inplace.checks.finding import Rewrite

_PROJECT = (".git", "pyproject.toml", "setup.py", "setup.cfg")  # one of them lies in a project's folder
_FORMAT = 1


def fix(script: str, arguments: Sequence[str], *, write: bool) -> int:
    """Show the changes that are proved, or fit the recording, and write them where that is asked for.

    The script runs once, as with `inplace run`. The exit status is 0 where nothing is wrong, or all of it is mended by
    what was written; else 1.
    """
    folder = Path.cwd()
    with Outputs(json=None, html=None, trace=None, patch="/dev/stdout", quiet=False, text=2) as outputs:
        ran = Script(script, arguments)
        run(ran, outputs, strict=False, thorough=False, verify=True)
        report = outputs.found
    if report is None:
        return 1
    loud = [finding for finding in report.findings if finding.severity != "info"]
    changes = shown_changes(report)
    if not loud or not changes:
        return 1 if loud else 0
    if not write and not _asked():
        return 1
    known = {ran.file: ran.source}
    mended = all(finding.rewrite is not None for finding in loud)
    return 0 if _written(changes, _project_of(folder), known) and mended else 1


def _asked() -> bool:
    """Whether somebody at a terminal says that the changes are to be written."""
    if sys.stdin is None or not sys.stdin.isatty():
        complain("nothing was written (--write does).")
        return False
    sys.stderr.write("Write these changes? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _written(changes: dict[str, list[Rewrite]], project: Path, known: dict[str, bytes | None]) -> bool:
    """Write the changes to files of the user's project, none of which may have changed since it ran."""
    from inplace.facts.whole_file import replacing
    from inplace.fixes.patches import PatchError, changed_text

    texts: dict[str, bytes] = {}
    for file, made in changes.items():
        own = Path(file).resolve()
        if not own.is_relative_to(project) or "site-packages" in own.parts:
            complain(f"{file} does not belong to the project in {project}: nothing was written.")
            return False
        raw = own.read_bytes()
        encoding = _encoding_of(raw)
        try:
            if known.get(file, raw) != raw:
                raise PatchError("it has changed since it ran")
            texts[file] = changed_text(raw.decode(encoding), made).encode(encoding)
        except ValueError as error:
            complain(f"{file} can't be changed ({error}): nothing was written.")
            return False
    for file, text in texts.items():
        with replacing(file) as whole:
            whole.write_bytes(text)
    return True


def _encoding_of(raw: bytes) -> str:
    """How a source is encoded, as its bytes say."""
    import io
    import tokenize

    return tokenize.detect_encoding(io.BytesIO(raw).readline)[0]


def _project_of(folder: Path) -> Path:
    """The folder of the project that a folder is in; itself where nothing tells."""
    here = folder.resolve()
    return next((one for one in (here, *here.parents) if any((one / name).exists() for name in _PROJECT)), here)


# ---------------------------------------------------------------- judge


def judge(script: str, arguments: Sequence[str], patch: str, target: str | None) -> int:
    """Judge a patch from outside; the script runs behind the fence only. The exit status is 0 where it is proved.

    Args:
        script: the script.
        arguments: its own.
        patch: the file with the patch, `-` for standard input.
        target: the file for the verdict as JSON, `-` for standard output, None for none.
    """
    import json

    from inplace.fixes.patches import rewrites_of

    try:
        text = sys.stdin.read() if patch == "-" else Path(patch).read_text(encoding="utf-8")
        rewrites = rewrites_of(text, str(Path.cwd()))
    except (OSError, ValueError) as error:
        complain(f"{patch} can't be used as a patch ({error}).")
        return UNUSABLE
    value = _verdicts(script, arguments, rewrites)
    told = json.dumps(value, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(told)
    else:
        if target is not None:
            Path(target).write_text(told, encoding="utf-8")
        places = [f", line {one['places'][0]['line']}" if one["places"] else "" for one in value["findings"]]
        lines = [f"{one['kind']}{place}: {one['text']}" for one, place in zip(value["findings"], places, strict=True)]
        sys.stdout.write("\n".join([*lines, value["text"]]) + "\n")
    return 0 if value["verdict"] == "proved" else 1


def _verdicts(script: str, arguments: Sequence[str], rewrites: tuple[Rewrite, ...]) -> dict[str, Any]:
    """What replays show of a patch, for each thing that is wrong with the script as it is."""
    from inplace.judge.judge import Judge, script_start

    file = os.path.abspath(script)  # noqa: PTH100  # as Python calls it: links stay
    start = script_start(file, [script, *arguments])
    verdicts = []
    try:
        court = Judge(start)
        found = court.findings()
        if isinstance(found, str):
            return _value([], f"The script could not be replayed: {found}.")
        for about in found:
            proof = court.verdict(about, rewrites)
            verdict = "proved" if proof.verified else "refused" if proof.disproved else "undecided"
            places = [{"file": own, "line": line} for own, line in about.spots]
            verdicts.append({"kind": about.kind, "places": places, "verdict": verdict, "text": proof.text})
    finally:
        start.close()
    return _value(verdicts, None)


def _value(verdicts: list[dict[str, Any]], why: str | None) -> dict[str, Any]:
    """The JSON value: proved where the patch mends something that was found, and this is proved."""
    told = {one["verdict"] for one in verdicts}
    if why is None and not verdicts:
        why = "Nothing is wrong with the script as it is, so there is nothing to mend."
    verdict = "proved" if "proved" in told else "refused" if told == {"refused"} else "undecided"
    proved = sum(one["verdict"] == "proved" for one in verdicts)
    text = why or f"The patch is proved to mend {proved} of {len(verdicts)} findings."
    return {"format": _FORMAT, "verdict": verdict, "text": text, "findings": verdicts}

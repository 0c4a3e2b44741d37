"""The ranks of one machine that somebody else has started (torchrun), so that they print one report and not one each.

NOTE [ Who prints ]
Nobody waits for anybody. Each rank leaves its report in a folder that only those of this job and machine know; the one
that finds the reports of all others there, but for those that have died, prints what they say together. One that was
ended by an error prints its own at once, for the others may never come to an end, and that is not said again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OF_JOB = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")


@dataclass(frozen=True)
class Job:
    """The ranks of this machine: where they leave their reports, and which of them this one is."""

    folder: Path
    rank: int

    @classmethod
    def here(cls) -> Job | None:
        """The job that this process is one of several of, which torchrun has started; None for others."""
        rank, size = os.environ.get("RANK", ""), os.environ.get("LOCAL_WORLD_SIZE", "")
        known = [os.environ.get(name, "") for name in _OF_JOB]
        if not known[0] or not rank.isdecimal() or size in {"", "1"} or not hasattr(os, "getuid"):
            return None
        name = hashlib.sha256("\0".join([*known, str(os.getppid())]).encode()).hexdigest()[:16]
        return cls(Path(tempfile.gettempdir()) / f"inplace-{os.getuid()}-{name}", int(rank))

    def arrive(self) -> bool:
        """Say that this rank is there; whether it could be said."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.folder.stat().st_uid != os.getuid():
                return False
            self._leave("pid", str(os.getpid()))
        except OSError:
            return False
        return True

    def say(self, value: dict[str, Any]) -> str | None:
        """What this rank is to print at its end: its own report, that of all, or nothing yet."""
        import json  # only now: a script sees which modules are loaded

        from inplace.render.words.merged import is_lost, merged
        from inplace.render.words.merged_text import to_text

        own = to_text({**merged([value]), "differences": []})
        failed = value["error"] is not None and not is_lost(value["error"])
        try:
            self._leave("json", json.dumps(value))
            if failed:
                self._leave("told", "")
            text = None if self._is_awaiting("json") else self._of_all()
            return "\n\n".join([own, *([text] if text else [])]) if failed else text
        except (OSError, ValueError, KeyError):  # somebody has removed the folder
            return own
        finally:
            self._go()

    def _leave(self, kind: str, text: str) -> None:
        path = self.folder / f"{self.rank}.{kind}"
        whole = path.with_suffix(f".{kind}.part")
        whole.write_text(text, encoding="utf-8")
        whole.replace(path)

    def _ranks(self, kind: str) -> set[int]:
        return {int(path.stem) for path in self.folder.glob(f"*.{kind}")}

    def _is_awaiting(self, kind: str) -> bool:
        """Whether a rank that has arrived, and is alive, has yet to leave something."""
        missing = self._ranks("pid") - self._ranks(kind)
        return any(_is_alive(int((self.folder / f"{rank}.pid").read_text())) for rank in missing)

    def _of_all(self) -> str | None:
        """The text of all that have left a report; None where another rank is printing it, with this one's in it."""
        import json

        from inplace.render.words.merged import merged
        from inplace.render.words.merged_text import to_text

        ranks = sorted(self._ranks("json"))
        list_of_mine = self.folder / f"{self.rank}.all"
        list_of_mine.write_text(json.dumps(ranks))
        try:
            os.link(list_of_mine, self.folder / "printed")
        except FileExistsError:
            there = json.loads((self.folder / "printed").read_text())
            if self.rank in there:
                return None
            ranks = [self.rank]
        values = [json.loads((self.folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in ranks]
        told = self._ranks("told")
        if len(ranks) == 1 and told:
            return None
        return to_text(merged(values), told=frozenset(told))

    def _go(self) -> None:
        """This rank has said all; the last one to go removes the folder."""
        with contextlib.suppress(OSError):
            self._leave("left", "")
            if not self._is_awaiting("left"):
                shutil.rmtree(self.folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

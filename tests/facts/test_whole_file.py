"""A file is replaced only by a new one that is whole, and keeps what it has besides its content."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

import inplace
from inplace.facts.whole_file import replacing
from tests.commands import POSIX


def write(path: Path, text: str) -> None:
    """Write a file whole."""
    with replacing(path) as file:
        file.write_text(text)


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """Whoever reads meanwhile reads the old one."""
    path = tmp_path / "a"
    path.write_text("old")

    with replacing(path) as file:
        file.write_text("ne")
        assert path.read_text() == "old"
        file.write_text("new")

    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("there", [["old"], []])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    fault: type[BaseException], there: list[str], tmp_path: Path
) -> None:
    """A block that is left by an exception has changed nothing."""
    path = tmp_path / "a"
    for text in there:
        path.write_text(text)

    with pytest.raises(fault), replacing(path) as file:
        file.write_text("ne")
        raise fault

    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a", text) for text in there]


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_permissions_stay(mode: int, tmp_path: Path) -> None:
    """The new file may be read and written by whom the old one could be."""
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(mode)

    write(path, "new")

    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (mode, "new")


@POSIX
def test_a_new_file_is_made_as_any_other(tmp_path: Path) -> None:
    """The permissions of a file that was not there are those that the user's mask leaves."""
    (tmp_path / "plain").write_text("")

    write(tmp_path / "ours", "")

    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@POSIX
def test_links_stay(tmp_path: Path) -> None:
    """What a link leads to is replaced, be it there or not, and the link goes on to lead to it."""
    (tmp_path / "folder").mkdir()
    there = tmp_path / "folder" / "there"
    there.write_text("old")
    for name in ("there", "missing"):
        (tmp_path / name).symlink_to(Path("folder") / name)
        write(tmp_path / name, "new")

    assert [(tmp_path / name).is_symlink() for name in ("there", "missing")] == [True, True]
    assert [(tmp_path / "folder" / name).read_text() for name in ("there", "missing")] == ["new", "new"]


@POSIX
def test_a_pipe_is_written_itself(tmp_path: Path) -> None:
    """A pipe stays one, and its reader reads all."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()

    write(path, "new")

    reader.join()
    assert read == ["new"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@POSIX
def test_a_name_that_is_held_fast_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be renamed over, as one that a container was given by itself, has the new content."""
    path = tmp_path / "a"
    path.write_text("old and longer")
    number = path.stat().st_ino

    def refused(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", refused)
    write(path, "new")

    assert (path.read_text(), path.stat().st_ino) == ("new", number)
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_recording_is_saved_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Recording.save` that fails leaves the trace that was there."""
    path = tmp_path / "trace.json"
    with inplace.record() as recording:
        pass
    recording.save(path)
    before = path.read_text()

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inplace.facts.codec._pieces", broken)
    with pytest.raises(OSError, match="No space left"):
        recording.save(path)

    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("trace.json", before)]

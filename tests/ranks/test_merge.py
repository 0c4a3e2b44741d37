"""Reports of several processes as one, by small reports: what differs between ranks, and files that lie elsewhere."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from inplace.render.picture.ranks import ranks_page
from inplace.render.words.merged import merged
from inplace.render.words.merged_text import to_text
from tests.ranks.test_command import SCHEMA

Value = dict[str, Any]
FILE = "/home/me/train.py"


def collective(
    name: str, line: int, *shape: int, group: tuple[int, ...] = (0, 1), dtype: str = "torch.float32"
) -> Value:
    """A call of a collective."""
    what = {"name": name, "group": list(group), "shape": list(shape), "dtype": dtype}
    return {**what, "file": FILE, "line": line, "code": f"dist.{name}(x)"}


def report(
    rank: int,
    *collectives: Value,
    size: int = 2,
    lines: tuple[int, ...] = (),
    reached: tuple[str, ...] = (),
    error: str = "",
    found: tuple[Value, ...] = (),
    file: str = FILE,
    host: str = "here",
) -> Value:
    """The public JSON value of one rank."""
    compared = {
        "collectives": [{**one, "file": file} for one in collectives],
        "order": list(range(len(collectives))),
        "collectives_called": len(collectives),
        "lines": [{"file": file, "function": "<module>", "lines": list(lines)}],
        "reached": list(reached),
    }
    kind, _, message = error.partition(": ")
    return {
        "format": 1,
        "complete": True,
        "reason": None,
        "error": {"type": kind, "message": message, "file": file, "line": 9} if error else None,
        "calls": 3,
        "diagnoses": list(found),
        "not_looked_at": [],
        "gradients": None,
        "process": {
            "rank": rank,
            "local_rank": rank,
            "world_size": size,
            "host": host,
            "pid": 100 + rank,
            "started_as": "torchrun",
            "parent": None,
        },
        "compared": compared,
    }


def diagnosis(file: str = FILE, line: int = 5, severity: str = "error") -> Value:
    """A finding at a line."""
    place = {
        "cell": "train.py",
        "file": file,
        "line": line,
        "col": 0,
        "end_line": line,
        "end_col": 8,
        "code": "h.mul_(2)",
    }
    return {
        "kind": "saved-tensor-modified",
        "severity": severity,
        "culprits": [place],
        "victim": {**place, "line": line - 1, "node": "SigmoidBackward0"},
        "names": ["h"],
        "example": "E05",
        "message": "line 5: h.mul_(2) changed h.\nbackward() raises.\nWrite h = h.mul(2) instead.",
        "fix": {
            "summary": "Write h = h.mul(2) instead.",
            "rewrite": None,
            "proof": None,
            "verified": None,
            "basis": None,
        },
    }


def differences(*values: Value) -> list[str]:
    """What differs between some ranks."""
    value = merged(values)
    jsonschema.validate(value, SCHEMA)
    return [one["message"] for one in value["differences"]]


# ------------------------------------------------------------ collectives


REDUCE, SHARE = collective("all_reduce", 5, 4), collective("broadcast", 6, 4)


def test_the_first_collective_that_is_another_one_is_told() -> None:
    """Which rank made which call on which line, as PyTorch's flight recorder says it; what follows is not told."""
    swapped = collective("broadcast", 8, 4), collective("all_reduce", 9, 4)

    found = differences(report(0, REDUCE, REDUCE, SHARE), report(1, REDUCE, *swapped))

    assert found == [
        "collective 2 of the group is not the same: rank 0 called all_reduce (4, float32) on line 5; rank 1 called "
        "broadcast (4, float32) on line 8."
    ]


def test_a_collective_that_a_rank_did_not_make_is_told() -> None:
    """A rank that came to its end without it, while the others waited for it."""
    found = differences(report(0, REDUCE, SHARE), report(1, REDUCE))

    assert found == [
        "collective 2 of the group is not the same: rank 0 called broadcast (4, float32) on line 6; rank 1 called no "
        "more."
    ]


@pytest.mark.parametrize("other", [collective("all_reduce", 5, 2), collective("all_reduce", 5, 4, dtype="torch.int64")])
def test_another_shape_or_dtype_is_told(other: Value) -> None:
    """The same call of something else hangs, or mixes bytes."""
    assert "collective 1 of the group is not the same" in differences(report(0, REDUCE), report(1, other))[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((REDUCE, SHARE), (REDUCE, SHARE)),
        ((collective("all_gather", 5, 4),), (collective("all_gather", 5, 2),)),
        ((REDUCE,), (collective("all_reduce", 7, 4),)),
        ((collective("all_reduce", 5, 4, group=(0,)),), (collective("broadcast", 5, 4, group=(1,)),)),
        ((collective("all_reduce", 5, 4, group=()),), ()),
    ],
    ids=["the same", "parts of several shapes", "another line", "groups of their own", "an unknown group"],
)
def test_what_fits_is_not_told(first: tuple[Value, ...], second: tuple[Value, ...]) -> None:
    """Sound twins."""
    assert differences(report(0, *first), report(1, *second)) == []


def test_groups_are_compared_each_by_itself() -> None:
    """Ranks that are in no group with each other have other sequences."""
    pairs = [collective("all_reduce", 5, 4, group=(0, 1)), collective("broadcast", 6, 4, group=(2, 3))]
    late = collective("all_gather", 7, 4, group=(2, 3))

    found = differences(*(report(rank, pairs[rank // 2], *([late] if rank == 3 else []), size=4) for rank in range(4)))

    assert found == [
        "collective 2 of the group is not the same: rank 3 called all_gather (4, float32) on line 7; rank 2 called no "
        "more."
    ]


def test_a_rank_that_was_ended_made_fewer() -> None:
    """That says nothing: its error does."""
    found = differences(report(0, REDUCE, SHARE), report(1, REDUCE, error="ValueError: mine"))

    assert found == []


def test_ranks_that_differ_are_not_nothing_wrong() -> None:
    """The last line counts what was found, and does not contradict what stands above it."""
    text = to_text(merged([report(0, REDUCE, SHARE), report(1, REDUCE)]))

    assert text.splitlines()[-1] == "2 processes, 6 calls: the ranks differ"


# ------------------------------------------------------------ lines and gradients


def test_a_branch_that_only_some_took_is_told() -> None:
    """Of lines that the others went past; that one has not come as far says nothing."""
    found = differences(*(report(rank, size=3, lines=(1, 3, 4, 8) if rank else (1, 8)) for rank in range(3)))

    assert found == ["only ranks 1-2 made calls on lines 3-4."]
    assert differences(report(0, lines=(1, 3)), report(1, lines=(1,))) == []


def test_a_parameter_that_a_rank_did_not_use_is_told() -> None:
    """Backward reached it on the others."""
    found = differences(report(0, reached=("a.weight", "b.weight")), report(1, reached=("a.weight",)))

    assert found == ["backward reached b.weight, but not on rank 1."]


# ------------------------------------------------------------ files


def hosts(first: str, *others: str, found: str = "") -> Value:
    """What ranks on several hosts say, each of which has the script in a place of its own."""
    reports = [report(0, REDUCE, lines=(1, 5, 9), file=first, host="host0", found=(diagnosis(first),))]
    for number, file in enumerate(others, 1):
        there = (diagnosis(found or file),)
        reports.append(report(number, REDUCE, lines=(1, 5, 9), file=file, host=f"host{number}", found=there))
    value = merged(reports)
    jsonschema.validate(value, SCHEMA)
    return value


def test_one_script_in_several_places_is_one() -> None:
    """Hosts may have it at paths of their own: its finding is said once, with all ranks."""
    value = hosts("/a/x.py", "/b/x.py")

    assert [one["ranks"] for one in value["diagnoses"]] == [[0, 1]]
    assert value["diagnoses"][0]["culprits"][0]["file"] == "/a/x.py"
    assert value["differences"] == []


def test_a_branch_is_compared_between_hosts() -> None:
    """The lines are those of one script."""
    first = report(0, lines=(1, 3, 9), file="/a/x.py", host="a")
    second = report(1, lines=(1, 9), file="/b/x.py", host="b")

    assert differences(first, second) == ["only rank 0 made calls on line 3."]


@pytest.mark.parametrize(
    ("first", "second"),
    [("/a/train.py", "/b/test.py"), ("/a/models/net.py", "/b/data/net.py")],
    ids=["names", "folders"],
)
def test_two_scripts_that_one_process_has_are_two(first: str, second: str) -> None:
    """A file is not taken for another that the same process has, or one whose name is another."""
    both = report(1, lines=(2,), file=second, found=(diagnosis(second),))
    both["compared"]["lines"].append({"file": first, "function": "f", "lines": [1]})

    value = merged([report(0, lines=(1,), file=first, found=(diagnosis(first),)), both])

    assert sorted(tuple(one["ranks"]) for one in value["diagnoses"]) == [(0,), (1,)]


def test_folders_tell_files_of_one_name_apart() -> None:
    """`a/net.py` and `b/net.py` of one host are each that of the other host."""
    reports = []
    for rank, root in enumerate(("/home/me", "/scratch/job")):
        files = [f"{root}/{folder}/net.py" for folder in ("a", "b")]
        one = report(rank, lines=(1,), file=files[0], host=root, found=tuple(map(diagnosis, files)))
        one["compared"]["lines"].append({"file": files[1], "function": "f", "lines": [1]})
        reports.append(one)

    value = merged(reports)

    assert [(one["ranks"], one["culprits"][0]["file"]) for one in value["diagnoses"]] == [
        ([0, 1], "/home/me/a/net.py"),
        ([0, 1], "/home/me/b/net.py"),
    ]


def test_what_only_one_rank_says_stands_first() -> None:
    """Among findings that are as bad."""
    everywhere, there = diagnosis(line=5), diagnosis(line=7)

    value = merged([report(0, found=(everywhere,)), report(1, found=(everywhere, there))])

    assert [(one["ranks"], one["culprits"][0]["line"]) for one in value["diagnoses"]] == [([1], 7), ([0, 1], 5)]


def test_a_page_without_pictures_says_what_all_say() -> None:
    """Text of the user's stays text."""
    hostile = diagnosis()
    hostile["message"] = "<script>alert(1)</script>\nwhy\nfix"

    page = ranks_page(merged([report(0, found=(hostile,))]), [])

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page

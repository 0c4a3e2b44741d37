"""Several public JSON values as one: what is said once, by whom, and what differs between them. No file, no clock.

NOTE [ Cause and consequence ]
Where one process of a job ends by an error, the others lose their connection to it, or are told to end. Theirs is the
louder error and says nothing of the cause: so one that only lost its peer, or was ended by SIGTERM, is said to follow
the one that ended by an error of its own. Where none has, and one rank has left no report, it is that one which has
gone (SIGKILL, the memory's end).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from inplace.render.words.processes import spans, tag
from inplace.render.words.same_files import same_files

Value = dict[str, Any]
_ORDER = {"error": 0, "warning": 1, "info": 2}
_LOST = re.compile(
    r"connection (closed|reset)|broken pipe|timed out|timeout|remote process|aborted|peer|unhandled nccl|store|SIGTERM",
    re.IGNORECASE,
)
_OF_JOB = frozenset(
    {"DistBackendError", "DistNetworkError", "DistStoreError", "ConnectionResetError", "BrokenPipeError"}
)
_MOST = 20  # differences of one sort


def merged(values: Sequence[Value]) -> Value:
    """The public JSON value of several, each of one process; those that were merged before count as their parts do."""
    order = same_files(sorted(values, key=_place_of))
    processes = [_process(value, number) for number, value in enumerate(order)]
    _follow(processes)
    causes = [one for one in processes if one["error"] is not None and one["follows"] is None]
    cause = min(causes or [one for one in processes if one["error"] is not None], key=_rank, default=None)
    return {
        "format": 1,
        "complete": all(value["complete"] for value in order),
        "reason": _reasons(processes) or None,
        "error": None if cause is None else cause["error"],
        "calls": sum(value["calls"] for value in order),
        "diagnoses": _said_once(order, processes),
        "not_looked_at": _left_out(order),
        "gradients": None,
        "process": None,
        "compared": None,
        "processes": processes,
        "differences": list(_differences(order, processes)),
    }


def _reasons(processes: Sequence[Value]) -> str:
    """Why some are not complete, each reason once with those that it is true of."""
    found: dict[str, list[Value]] = defaultdict(list)
    for one in processes:
        if one["reason"]:
            found[one["reason"]].append(one)
    return " ".join(f"{tag(some)} {reason}" for reason, some in found.items())


def _place_of(value: Value) -> tuple[bool, int, bool, int]:
    process = value["process"] or {"rank": None, "parent": None, "pid": 0}
    rank = process["rank"]
    return rank is None, rank or 0, process["parent"] is not None, process["pid"]


def _process(value: Value, number: int) -> Value:
    unknown = {"rank": None, "local_rank": None, "world_size": None, "host": "", "pid": number}
    known = value["process"] or {**unknown, "started_as": "script", "parent": None}
    kept = ("error", "calls", "complete", "reason", *(["windows"] if "windows" in value else []))
    return {**known, **{name: value[name] for name in kept}, "follows": None}


def _rank(process: Value) -> int:
    return 0 if process["rank"] is None else int(process["rank"])


# ---------------------------------------------------------------- cause and consequence


def _follow(processes: list[Value]) -> None:
    """Note of each process that only lost another which one that was."""
    causes = [one for one in processes if one["error"] is not None and not is_lost(one["error"])]
    absent = _absent(processes)
    first = min(causes, key=_rank)["rank"] if causes else absent[0] if len(absent) == 1 else None
    for one in processes:
        ended = "SIGTERM" in (one["reason"] or "")
        if one not in causes and one["rank"] != first and (ended if one["error"] is None else is_lost(one["error"])):
            one["follows"] = first


def is_lost(error: Value) -> bool:
    """Whether an error only says that somebody else has gone."""
    network = error["type"] in _OF_JOB or error["type"] == "RuntimeError"
    return network and (error["type"] in _OF_JOB or _LOST.search(error["message"]) is not None)


# ---------------------------------------------------------------- said once


def _said_once(values: Sequence[Value], processes: Sequence[Value]) -> list[Value]:
    """The diagnoses, each once, with where it holds: the worst first, and what only some say before what all do."""
    found: dict[object, Value] = {}
    for number, value in enumerate(values):
        for one in value["diagnoses"]:
            known = found.setdefault(_key(one), {**one, "ranks": [], "processes": []})
            if number not in known["processes"]:
                known["processes"].append(number)
    for one in found.values():
        one["ranks"] = sorted({r for n in one["processes"] if (r := processes[n]["rank"]) is not None})
    everybody = len(values)
    return sorted(found.values(), key=lambda one: (_ORDER[one["severity"]], len(one["processes"]) == everybody))


def _key(one: Value) -> object:
    """What tells two diagnoses apart for a reader."""
    places = [*one["culprits"], *([one["victim"]] if one["victim"] is not None else [])]
    return one["kind"], one["severity"], one["victim"] is None, *(_spot(place) for place in places)


def _spot(place: Value) -> tuple[str, int, int, str]:
    return place["file"], place["line"], place["col"], place["code"]  # hosts may have several states of a script


def _left_out(values: Iterable[Value]) -> list[Value]:
    found: dict[object, Value] = {}
    for value in values:
        for one in value["not_looked_at"]:
            known = found.get((one["what"], one["bound"]))
            count = one["count"] + (known["count"] if known is not None else 0)
            found[one["what"], one["bound"]] = {**(known or one), "count": count}
    return list(found.values())


# ---------------------------------------------------------------- what differs


def _differences(values: Sequence[Value], processes: Sequence[Value]) -> Iterator[Value]:
    """What is not the same in all ranks of a job."""
    yield from _missing(processes)
    for one in processes:
        if one["follows"] is not None:
            what = f"rank {one['rank']} only lost its peer; rank {one['follows']}"
            causes = [other["error"] for other in processes if other["rank"] == one["follows"] and other["error"]]
            how = f" ended first{_by(causes[0])}" if causes else ", which left no report, was gone"
            yield _difference("follows", [one["rank"]], f"{what}{how}.")
    ranked = [
        (value, process)
        for value, process in zip(values, processes, strict=True)
        if value["compared"] is not None and process["rank"] is not None
    ]
    if len(ranked) > 1:
        yield from _collectives(ranked)
        yield from _lines(ranked)
        yield from _reached(ranked)


def _difference(what: str, ranks: Iterable[int], message: str, places: Sequence[Value] = ()) -> Value:
    return {"what": what, "ranks": sorted(ranks), "message": message, "places": list(places)}


def _by(error: Value) -> str:
    where = f", line {error['line']}" if error["line"] else ""
    return f" by its {error['type']}{where}"


def _missing(processes: Sequence[Value]) -> Iterator[Value]:
    absent = _absent(processes)
    if absent:
        several = "s" if len(absent) > 1 else ""
        yield _difference("missing", absent, f"rank{several} {spans(absent)} left no report (killed, or not given).")


def _absent(processes: Sequence[Value]) -> list[int]:
    """The ranks of the job of which there is no report."""
    size = max((one["world_size"] for one in processes if one["world_size"] is not None), default=0)
    present = {one["rank"] for one in processes}
    return [rank for rank in range(size) if rank not in present]


Ranked = Sequence[tuple[Value, Value]]


def _collectives(ranked: Ranked) -> Iterator[Value]:
    """The first collective of a group that is another one, or in another shape, on some rank."""
    sequences: dict[tuple[int, ...], dict[int, list[Value]]] = defaultdict(dict)
    for value, process in ranked:
        kinds, compared = value["compared"]["collectives"], value["compared"]
        for number in compared["order"]:
            group = tuple(kinds[number]["group"])
            if group:
                sequences[group].setdefault(process["rank"], []).append(kinds[number])
        for group in {tuple(one["group"]) for one in kinds}:
            sequences[group].setdefault(process["rank"], [])
    ended = {process["rank"] for _, process in ranked if process["error"] is not None or process["reason"]}
    for group, calls in list(sequences.items())[:_MOST]:
        for _, process in ranked:
            if process["rank"] in group:
                calls.setdefault(process["rank"], [])
        found = _first_difference(calls, ended)
        if found is not None:
            yield found


def _first_difference(calls: dict[int, list[Value]], ended: set[int]) -> Value | None:
    """The first place at which the sequences of the ranks of one group part.

    That a rank which was ended made fewer says nothing.
    """
    for number in range(max(map(len, calls.values()), default=0)):
        there = {rank: made[number] for rank, made in calls.items() if number < len(made)}
        kinds = {(one["name"], one["dtype"], *_shape_of(one)) for one in there.values()}
        absent = [rank for rank in calls if rank not in there and rank not in ended]
        if len(kinds) > 1 or absent:
            told = [f"rank {rank} called {_told(one)}" for rank, one in there.items()]
            told += [f"rank {rank} called no more" for rank in absent]
            places = [{name: one[name] for name in ("file", "line", "code")} for one in there.values()]
            message = f"collective {number + 1} of the group is not the same: {'; '.join(told)}."
            return _difference("collectives", [*there, *absent], message, places)
        if len(there) < len(calls):
            return None
    return None


def _shape_of(one: Value) -> tuple[int, ...]:
    """The shape that the ranks must agree on; what is gathered may be of several."""
    return () if one["name"].startswith(("all_gather", "gather", "all_to_all", "scatter")) else tuple(one["shape"])


def _told(one: Value) -> str:
    shape = "x".join(map(str, one["shape"])) or "a scalar"
    return f"{one['name']} ({shape}, {one['dtype'].removeprefix('torch.')}) on line {one['line']}"


def _lines(ranked: Ranked) -> Iterator[Value]:
    """Lines that made calls on some ranks only, where the others went past them."""
    made: dict[tuple[str, str], dict[int, set[int]]] = defaultdict(dict)
    for value, process in ranked:
        for one in value["compared"]["lines"]:
            made[one["file"], one["function"]][process["rank"]] = set(one["lines"])
    told = 0
    for (file, function), lines in made.items():
        everyone = set.union(*lines.values())
        apart: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for line in sorted(everyone):
            there = [rank for rank, own in lines.items() if line in own]
            passed = [rank for rank, own in lines.items() if line not in own and max(own, default=0) > line]
            if passed:
                apart[tuple(sorted(there))].append(line)
        for ranks, own in apart.items():
            told += 1
            if told > _MOST:
                return
            where = f"line{'s' if len(own) > 1 else ''} {spans(own)}"
            inside = "" if function == "<module>" else f" in {function}"
            who = f"rank{'s' if len(ranks) > 1 else ''} {spans(ranks)}"
            places = [{"file": file, "line": line, "code": ""} for line in own]
            yield _difference("lines", ranks, f"only {who} made calls on {where}{inside}.", places)


def _reached(ranked: Ranked) -> Iterator[Value]:
    """Parameters that got a gradient on some ranks, and none on others that went backward too."""
    reached = {
        process["rank"]: set(value["compared"]["reached"])
        for value, process in ranked
        if value["compared"]["reached"] and process["error"] is None and not process["reason"]
    }
    if len(reached) < 2:  # noqa: PLR2004  # nobody to compare it with
        return
    apart: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name in sorted(set.union(*reached.values())):
        without = tuple(sorted(rank for rank, own in reached.items() if name not in own))
        if without:
            apart[without].append(name)
    for ranks, names in list(apart.items())[:_MOST]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004  # names that are told
        who = f"rank{'s' if len(ranks) > 1 else ''} {spans(ranks)}"
        yield _difference("gradients", ranks, f"backward reached {', '.join(names[:3])}{more}, but not on {who}.")

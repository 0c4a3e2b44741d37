"""Ranks that let go of what is over (`inplace run --keep`): what is found and compared is that of whole recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inplace.render.words.processes import compared_on
from tests.ranks.test_command import SCHEMA, TORCHRUN, settled

# Each of the two bugs is in one early window; rank 0 makes more calls, so that its windows end elsewhere.
SCRIPT = """
import torch, torch.nn as nn, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group("gloo")
torch.manual_seed(0)
model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
opt = torch.optim.SGD(model.parameters(), lr=0.01)
for i in range(120):
    x, y = torch.randn(8, 4), torch.randn(8, 1)
    loss = (model(x) - y).pow(2).mean()
    if i == 40:
        h = loss.exp()
        h.data.mul_(2)
        loss = h + 1
    if i == 70:
        loss = loss.sqrt()
        dist.all_reduce(loss)
    if dist.get_rank() == 0:
        seen = loss.detach() + 1
    opt.zero_grad()
    loss.backward()
    opt.step()
    logged = loss.detach().clone()
    dist.all_reduce(logged)
if dist.get_rank() == 1:
    h = torch.sigmoid(torch.ones(3, requires_grad=True))
    h.mul_(2)
    h.sum().backward()
dist.destroy_process_group()
"""
FOUND = [
    ("error", "saved-tensor-modified", [26], 25, [1]),
    ("warning", "silent-corruption", [12], 11, [0, 1]),
    ("warning", "silent-corruption", [16], 15, [0, 1]),
]


@pytest.mark.parametrize("is_outside", [True, False], ids=["torchrun -m inplace", "inplace run -m torchrun"])
def test_ranks_that_keep_are_told_of_as_whole_ones(*, is_outside: bool, tmp_path: Path) -> None:
    """Every finding with its ranks, and what differs between them, though windows end elsewhere in each."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.lstrip("\n"))
    ours = ("-m", "inplace", "run", "--quiet", "--keep=1", "--json")
    if is_outside:
        settled(tmp_path, *TORCHRUN, *ours, "out.json", script)
        settled(
            tmp_path, "-m", "inplace", "merge", *sorted(tmp_path.glob("out*.json")), "--quiet", "--json", "all.json"
        )
    else:
        settled(tmp_path, *ours, "all.json", *TORCHRUN, script)

    value: dict[str, Any] = json.loads((tmp_path / "all.json").read_text())
    jsonschema.validate(value, SCHEMA)
    told = [
        (one["severity"], one["kind"], [at["line"] for at in one["culprits"]], one["victim"]["line"], one["ranks"])
        for one in value["diagnoses"]
        if one["severity"] != "info"
    ]
    assert sorted(told) == FOUND  # type: ignore[type-var]
    assert [(one["what"], one["ranks"]) for one in value["differences"]] == [("lines", [0])]
    ranks = [one for one in value["processes"] if one["rank"] is not None]
    assert [one["rank"] for one in ranks] == [0, 1]
    assert all(one["windows"]["count"] > 3 for one in ranks)
    assert ranks[0]["windows"]["let_go"] != ranks[1]["windows"]["let_go"]


def test_two_parts_of_a_run_are_compared_as_one() -> None:
    """Collectives of the second behind those of the first, lines and leaves of both; a part of one process is alone."""

    def part(order: list[int], lines: list[int], reached: list[str], *names: str) -> dict[str, Any]:
        kinds = [{"name": name, "group": [0, 1], "shape": [], "dtype": "", "line": 1} for name in names]
        made = [{"file": "a.py", "function": "f", "lines": lines}]
        count = len(order)
        return {"collectives": kinds, "order": order, "collectives_called": count, "lines": made, "reached": reached}

    one, other = (
        part([0, 0, 1], [1, 3], ["w"], "all_reduce", "broadcast"),
        part([0, 1], [2], ["b"], "broadcast", "gather"),
    )
    both = compared_on(one, other)

    assert both == part([0, 0, 1, 1, 2], [1, 2, 3], ["b", "w"], "all_reduce", "broadcast", "gather")
    assert compared_on(None, one) == one
    assert compared_on(None, None) is None
    # Two of one line are of two kinds where they stand in different columns, and look alike.
    alike = part([0, 1], [1], ["w"], "all_reduce", "all_reduce")
    assert compared_on(alike, alike) == part([0] * 4, [1], ["w"], "all_reduce")

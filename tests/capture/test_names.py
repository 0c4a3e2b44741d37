"""Which variables name a tensor: the user's own, whatever container or module they are in."""

from __future__ import annotations

import sys
import weakref

import torch

from inplace.capture.code.names import borrow_locals, scan


def test_what_ipython_keeps_names_nothing() -> None:
    """Its history has every result of a cell under three more names."""
    t = torch.ones(2)
    namespace = {"t": t, "_": t, "_3": t, "__": t, "In": [t], "Out": {3: t}, "_private": t}

    assert [path for path, _ in scan(namespace)] == ["t"]


def test_paths_are_as_one_writes_them() -> None:
    """By attribute, key and number, shallow ones first."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 1))
    found = [path for path, value in scan({"net": net, "kept": {"w": [net[0].weight]}}) if type(value) is not type(net)]

    assert found.index("net[0]") < found.index("net[0].weight")
    assert {"net[0].weight", "net[0].bias", "kept['w'][0]"} <= set(found)


def test_no_code_of_the_user_runs() -> None:
    """Properties are not asked, and neither are a container's own methods."""

    class Asked(dict):  # type: ignore[type-arg]
        def items(self) -> None:  # type: ignore[override]
            raise AssertionError

        @property
        def tensor(self) -> torch.Tensor:
            raise AssertionError

    assert [path for path, _ in scan({"asked": Asked(t=torch.ones(1))})] == ["asked['t']"]


class Value:
    """Something that can be referred to weakly."""


def test_borrowed_locals_keep_nothing_alive() -> None:
    """What a function lets go of after its variables were looked at dies as it would have."""
    value = Value()
    dead = weakref.ref(value)
    seen: list[str] = []

    borrow_locals(sys._getframe(), seen.extend)
    del value

    assert "value" in seen
    assert dead() is None


def test_locals_that_somebody_else_holds_stay() -> None:
    """Who has asked for `locals()` keeps what was in it."""
    value = Value()
    mine = locals()

    borrow_locals(sys._getframe(), lambda found: None)

    assert mine["value"] is value

"""Recordings that let go of what is over: what is found is the same, and what is kept does not grow."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from inplace.capture.record import Recorder
from inplace.render.words.text import to_text
from inplace.shells.recorder import nothing_carried, recorder_of, windows_of
from tests.recording import record_text
from tests.windows import in_windows

TRAINING = """
    def main():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        total, best = torch.zeros(()), None
        for i in range({rounds}):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            h = model[0](x).sigmoid()
            {body}
            loss = model[2](h).pow(2).mean()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        {end}
        return total

    total = main()
"""
BODIES = [
    ("pass", "pass"),
    ("if i == 17: h.data.mul_(2)", "pass"),
    ("if i == 3: best = model[0].weight.detach()", "print(best.sum())"),
    ("if i == 3: state = model.state_dict()", "model.load_state_dict(state)"),
    ("h.detach().mul_(2)", "pass"),
    ("pass", "y = h.exp(); y.add_(1); y.sum().backward()"),
    ("if i == 20: h.add_(1)", "pass"),
    ("pass", "loss.backward()"),
    ("if i == 0: extra = torch.nn.Linear(8, 8)\n            h = extra(h)", "pass"),
    ("x[x > 0][:] = 0", "pass"),
]


@pytest.mark.parametrize(("body", "end"), BODIES)
def test_what_is_found_is_the_same(body: str, end: str) -> None:
    """Whether a run is looked at as a whole or in windows that end every few iterations."""
    text = TRAINING.format(rounds=30, body=body, end=end)

    whole, windows = record_text(text), in_windows(text, 40)

    assert len(windows.windows) > 3 or whole.error is not None
    found = {
        (one.kind, tuple(p.position.line for p in one.culprits), one.victim and one.victim.place.position.line)
        for one in whole.report.findings
        if one.severity != "info"
    }
    assert windows.lines("error", "warning") == found
    assert windows.told["calls"] == len(whole.trace.calls)
    assert repr(windows.error) == repr(whole.error)


def test_the_numbers_are_those_without_us() -> None:
    """Losses, and the state of the random numbers behind."""
    text = TRAINING.format(rounds=30, body="pass", end="pass")
    plain: dict[str, object] = {"torch": torch, "nn": torch.nn}
    exec("\n".join(line[4:] for line in text.splitlines()), plain)
    after = torch.get_rng_state()

    found = in_windows(text, 25)

    assert torch.equal(found.names["total"], plain["total"])  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), after)


def test_what_is_kept_does_not_grow() -> None:
    """Behind each later window stands as much as behind an earlier one."""
    found = in_windows(TRAINING.format(rounds=120, body="pass", end="pass"), 60)

    assert len(found.kept) > 12
    assert max(found.kept[-4:]) <= max(found.kept[4:8])
    assert all(len(run.calls) < 60 + 60 // 4 + 10 for run in found.windows)


def test_a_window_ends_behind_a_step() -> None:
    """So that no iteration is torn, where an optimizer steps soon."""
    found = in_windows(TRAINING.format(rounds=40, body="pass", end="pass"), 45)

    ends = [run.calls[-1].function.label for run in found.windows[:-1]]
    assert set(ends) == {"SGD.step"}


def test_a_window_ends_anywhere_where_nobody_steps() -> None:
    """A loop without an optimizer is let go of, too."""
    found = in_windows("x = torch.ones(3)\nfor _ in range(300):\n    y = x + 1\n    z = y * 2", 50)

    assert [len(run.calls) for run in found.windows[:-1]] == [62] * (len(found.windows) - 1)
    assert found.told["calls"] == 601


def test_a_window_never_ends_within_a_backward() -> None:
    """The calls of its hooks belong to it."""
    found = in_windows(
        """
        x = torch.ones(3, requires_grad=True)
        y = x * 2
        y.register_hook(lambda g: [g + k for k in range(90)][-1])
        y.sum().backward()
        z = x * 3
        """,
        20,
    )

    inside = [call.within for run in found.windows for call in run.calls if call.within is not None]
    assert len(inside) == 90
    assert len(found.windows[0].calls) > 90


def test_a_graph_that_goes_through_windows() -> None:
    """A save of an early window that a late one overwrites is refused by backward, and told with both lines."""
    found = in_windows(
        """
        w = torch.ones(3, requires_grad=True)
        h = w.exp()
        for _ in range(200):
            other = torch.ones(3) * 2
        h.mul_(2)
        for _ in range(200):
            other = torch.ones(3) * 2
        h.sum().backward()
        """,
        50,
    )

    assert found.lines("error") == {("saved-tensor-modified", (5,), 2)}


def test_memory_of_numpy_is_watched_on() -> None:
    """A write by an array that an early window had given out, with the line, in a function."""
    found = in_windows(
        """
        import numpy
        def main():
            w = torch.ones(3, requires_grad=True)
            array = numpy.ones(3, dtype="float32")
            x = torch.from_numpy(array)
            for _ in range(200):
                other = torch.ones(3) * 2
            y = (w * x).sum()
            array *= 0
            y.backward()
        main()
        """,
        50,
    )

    assert ("silent-corruption", (9,), 8) in found.lines("warning")


def test_a_finding_of_many_windows_is_told_once() -> None:
    """With the calls among which it was first, and how many windows had it."""
    body = "h.data.mul_(2)"
    found = in_windows(TRAINING.format(rounds=30, body=body, end="h = torch.ones(3)"), 40)

    assert len(found.lines("warning")) == 1
    assert found.found is not None
    text = str(found.found)
    assert text.count("silent-corruption") == 1
    assert f"calls in {len(found.windows)} windows" in text
    assert found.told["windows"] == {
        "count": len(found.windows),
        "let_go": sum(len(r.calls) for r in found.windows[:-1]),
    }


def test_what_only_an_early_window_shows_is_told_and_drawn() -> None:
    """In the text with when that was, and as the picture, where the last window has nothing as grave."""
    found = in_windows(TRAINING.format(rounds=60, body="if i == 5: h.data.mul_(2)", end="pass"), 40)

    assert found.found is not None
    assert "when among calls" in " ".join(str(found.found).split())
    assert "h.data.mul_(2)" in found.found.to_svg()
    assert to_text(found.found).count("silent-corruption") == 0  # the last window alone


@pytest.mark.one_of(2)
@pytest.mark.parametrize("calls", [7, 23])
def test_sound_code_stays_silent(calls: int) -> None:
    """Wherever a window ends: accumulation, moving averages, two optimizers, clipping, a carried state."""
    found = in_windows(
        """
        def main():
            torch.manual_seed(0)
            g, d = nn.Linear(3, 3), nn.Linear(3, 1)
            mean = nn.Linear(3, 3)
            mean.load_state_dict(g.state_dict())
            og, od = torch.optim.Adam(g.parameters()), torch.optim.Adam(d.parameters())
            state = torch.zeros(2, 3)
            for i in range(20):
                od.zero_grad()
                fake = g(torch.randn(2, 3))
                (d(torch.randn(2, 3)).mean() - d(fake.detach()).mean()).backward()
                torch.nn.utils.clip_grad_norm_(d.parameters(), 1.0)
                od.step()
                for _ in range(2):
                    (d(g(torch.randn(2, 3) + state)).mean() / 2).backward()
                og.step()
                og.zero_grad()
                state = (state * 0.5 + fake.detach()).detach()
                with torch.no_grad():
                    for a, b in zip(mean.parameters(), g.parameters()):
                        a.mul_(0.9).add_(b, alpha=0.1)
        main()
        """,
        calls,
    )

    assert len(found.windows) > 5
    assert found.lines("error", "warning") == set()
    assert found.told["complete"] is True


@pytest.mark.parametrize("point", ["_look_at_the_end", "_closed", "_open", "_meet"])
def test_a_fault_between_windows_costs_the_rest_of_the_recording(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code goes on as ever, what was found before stays found, and a note says what happened."""
    text = TRAINING.format(rounds=60, body="if i == 2: h.data.mul_(2)", end="pass")
    expected = in_windows(text, 10_000).names["total"]
    theirs, times = getattr(Recorder, point), [0]

    def failing(self: Recorder, *args: Any, **kwargs: Any) -> Any:
        times[0] += 1
        if times[0] == 4:
            raise ValueError("injected")
        return theirs(self, *args, **kwargs)

    monkeypatch.setattr(Recorder, point, failing)

    found = in_windows(text, 40)

    assert torch.equal(found.names["total"], expected)
    assert found.error is None
    assert found.told["complete"] is False
    assert "injected" in found.told["reason"]
    assert ("silent-corruption", (10,), 9) in found.lines("warning")


def test_a_window_waits_for_no_cyclic_collection() -> None:
    """Its tables go when the next one has begun: a collection may come after many of them."""
    begun: list[list[Any]] = []
    gone: list[bool] = []

    def told(_session: Any, _run: Any) -> None:
        if len(begun) > 1:  # the call that ends a window is still in its tables while it is looked at
            gone.extend(ref() is None for ref in begun[-2])
        tables = recorder._parts, recorder._parts.seen.tensors, recorder._parts.notes
        begun.append([weakref.ref(one) for one in tables])

    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = recorder_of([__file__], {}, title="", earlier=nothing_carried(), windows=windows_of(100, told))
    gc.collect()
    gc.disable()
    try:
        recorder.start()
        for _ in range(200):
            optimizer.zero_grad()
            (model(torch.from_numpy(np.ones((2, 4), np.float32)))[:1] ** 2).sum().backward()
            optimizer.step()
        recorder.stop()
    finally:
        gc.enable()

    assert len(gone) > 9
    assert all(gone)

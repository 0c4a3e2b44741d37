"""A notebook is one program: what a cell broke is told where it was broken, and named by the cell that meets it."""

from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inplace.checks.saved_tensor_modified import StaleSave
from inplace.facts.consistency import is_consistent
from inplace.facts.rows import NOTHING, column
from inplace.fixes.diagnose import analyze
from tests.oracle.programs import random_program
from tests.recording import record_text
from tests.sessions import Session, play

FORWARD = ["x = torch.randn(3, requires_grad=True)", "h = torch.sigmoid(x)"]

# How the second cell's save comes to be overwritten by the third, in ten styles.
WRITES = {
    "method": ("h = torch.sigmoid(x)", "h.mul_(2)"),
    "operator": ("h = torch.exp(x)", "h += 1"),
    "item": ("h = torch.tanh(x)", "h[0] = 0"),
    "view": ("h = torch.tanh(x)", "part = h[1:]\npart.zero_()"),
    "view of the cell before": ("h = torch.tanh(x); part = h[1:]", "part.zero_()"),
    "function": ("h = torch.exp(x)", "def clip(t):\n    return t.clamp_(0, 1)\nclip(h)"),
    "detached": ("h = torch.exp(x)", "h.detach().zero_()"),
    "container": ("kept = {'h': torch.exp(x)}", "kept['h'].neg_()"),
    "module": ("h = torch.sigmoid(x)", "nn.ReLU(inplace=True)(h)"),
    "deleted": ("h = torch.tanh(x); loss = h.sum()", "h.mul_(2)\ndel h"),
}


@pytest.mark.parametrize(("forward", "write"), WRITES.values(), ids=list(WRITES))
def test_a_write_is_told_at_once_and_named_by_the_cell_that_raises(forward: str, write: str) -> None:
    """The cell that overwrites a live save warns of it; the backward two cells on names both cells' lines."""
    last = "loss.backward()" if "loss" in forward else "kept['h'].sum().backward()" if "kept" in forward else ""
    runs = play(FORWARD[0], forward, write, last or "h.sum().backward()")

    kinds = [(one.kind, one.severity, one.pending) for one in runs[2].findings.of_type(StaleSave)]
    assert kinds == [("saved-tensor-modified", "warning", True)]
    assert isinstance(runs[3].error, RuntimeError)
    ((kind, culprits, victim),) = runs[3].told()
    assert kind == "saved-tensor-modified"
    assert all(place.startswith("In[3]") for place in culprits)
    assert culprits
    assert victim is not None
    assert victim.startswith("In[2]")


# The same, with something between or instead that makes it sound.
SOUND = {
    "backward first": ("h = torch.sigmoid(x)\nh.sum().backward()", "h.data.mul_(2)", ""),
    "out of place": ("h = torch.sigmoid(x)", "h = h * 2", "h.sum().backward()"),
    "not saved": ("h = x * 2", "h.add_(1)", "h.sum().backward()"),
    "a clone": ("h = torch.exp(x)\nk = h.clone()", "k.add_(1)", "h.sum().backward()"),
    "no graph": ("with torch.no_grad():\n    h = torch.exp(x)", "h.add_(1)", "h.sum()"),
    "the graph has gone": ("h = torch.exp(x)", "h = h.detach()\nh.mul_(2)", "h.sum()"),
    "relu": ("h = torch.relu(x)", "h2 = h.clamp(max=1)", "h2.sum().backward()"),
    "saved after it": ("h = x * 2\nh.add_(1)", "y = h.exp()", "y.sum().backward()"),
    "retained": ("h = torch.sigmoid(x)\nl = h.sum()", "l.backward(retain_graph=True)", "l.backward()"),
    "another view": ("h = x * 1\na, b = h[:1], h[1:]", "y = a.sum() + b.sum()", "y.backward()"),
}


@pytest.mark.parametrize("cells", SOUND.values(), ids=list(SOUND))
def test_sound_sessions_are_not_alarmed(cells: tuple[str, str, str]) -> None:
    """Where nothing that was overwritten is needed, no run reports an error or a warning."""
    runs = play(FORWARD[0], *cells)

    assert [run.told() for run in runs] == [[], [], [], []]
    assert [run.error for run in runs] == [None] * 4


def test_a_warning_stands_until_its_graph_has_gone() -> None:
    """A later cell that finds nothing says that a broken save is still needed, and no longer once the graph is gone."""
    runs = play(*FORWARD, "h.mul_(2)", "y = x + 1", "del h", "y = x + 2")

    assert [len(run.report.standing) for run in runs] == [0, 0, 0, 1, 0, 0]
    assert [len(run.told()) for run in runs] == [0, 0, 1, 0, 0, 0]


def test_a_parameter_that_a_step_moves_is_no_alarm() -> None:
    """The graph of an evaluation that is left over is broken by a training step: an info, as it may never be used."""
    net = "net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))\nbatch = torch.ones(3, 2)"
    net += "\nopt = torch.optim.SGD(net.parameters(), 0.1)"
    step = "loss = net(batch).square().mean(); loss.backward(); opt.step()"
    runs = play(net, "out = net(torch.ones(1, 2)) ** 2", step)

    assert runs[2].told() == []
    assert [one.severity for one in runs[2].findings.of_type(StaleSave)] == ["info"]


def test_a_backward_run_again_names_the_run_that_freed_its_graph() -> None:
    """The second run of a cell with backward names the first, and the cell with the forward pass."""
    runs = play("x = torch.ones(2, requires_grad=True)", "loss = x.exp().sum()", "loss.backward()", "loss.backward()")

    ((kind, culprits, victim),) = runs[3].told()
    assert (kind, victim) == ("freed-graph", "In[4]: loss.backward()")
    assert culprits == ("In[3]: loss.backward()", "In[2]: x.exp().sum()")


def test_the_same_fault_is_told_by_each_run_that_meets_it() -> None:
    """A cell that raises is run again as it is: the second run tells it as the first did."""
    runs = play(*FORWARD, "h.mul_(2)", "h.sum().backward()", "h.sum().backward()")

    assert [[kind for kind, _, _ in run.told()] for run in runs[3:]] == [["saved-tensor-modified"]] * 2


def test_arrays_are_watched_in_later_cells() -> None:
    """A numpy array that shares a save's bytes is written in a later cell: that line is the culprit."""
    runs = play(*FORWARD, "array = h.detach().numpy()", "array[0] = 7", "h.sum().backward()")

    assert [(kind, victim) for kind, _, victim in runs[4].told()] == [("silent-corruption", "In[2]: torch.sigmoid(x)")]
    assert runs[4].told()[0][1][0].startswith("In[4]: array[0] = 7")


def test_nothing_is_kept_alive() -> None:
    """What a cell deletes is freed by that statement, however many cells have seen it."""
    session = Session()
    session.run("x = torch.randn(3, requires_grad=True)\nh = torch.exp(x)\nloss = h.sum()")
    session.run("h.detach().mul_(1)")
    died = weakref.ref(session.names["h"])
    graph = weakref.ref(session.names["loss"])
    session.run("del h, loss")

    assert died() is None
    assert graph() is None
    session.run("y = x + 1")
    x = weakref.ref(session.names["x"])
    session.wait("del x, y")
    assert x() is None


def test_tensors_are_swapped_between_cells() -> None:
    """`swap_tensors` refuses tensors with weak references: ours are not in its way between two recorded cells."""
    session = Session()
    session.run("a, b = torch.zeros(2), torch.ones(2)\na.add_(1)")
    session.carried.wait()
    session.wait("torch.utils.swap_tensors(a, b)")
    session.carried.end()

    assert session.names["b"].tolist() == [1.0, 1.0]
    assert session.run("a.add_(1)").told() == []


def test_what_is_kept_does_not_grow_with_runs() -> None:
    """Of a training cell that is run again and again a fixed number of calls, names and sources is kept."""
    session = Session()
    session.run("net = nn.Linear(2, 1); opt = torch.optim.Adam(net.parameters()); batch = torch.ones(3, 2)")
    sizes = []
    for _ in range(12):
        session.run("opt.zero_grad()\nloss = net(batch).square().mean()\nloss.backward()\nopt.step()")
        trace = session.carried.trace
        assert trace is not None
        parts = ("calls", "states", "tensors", "storages", "names", "sources", "walks", "runs")
        sizes.append([len(getattr(trace, part)) for part in parts])

    assert sizes[-1] == sizes[6]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(min_value=20_000, max_value=10_000_000),
    length=st.integers(min_value=3, max_value=12),
    cuts=st.sets(st.integers(min_value=1, max_value=14), max_size=4),
)
def test_cells_tell_what_one_script_tells(seed: int, length: int, cuts: set[int]) -> None:
    """A random program in several cells shows, in the cell that goes backward, what it shows in one piece."""
    lines = random_program(seed, length).text.strip("\n").splitlines()
    whole = record_text("\n".join(lines))
    ends = [0, *sorted(cut for cut in cuts if cut < len(lines)), len(lines)]
    runs = play(*("\n".join(lines[start:stop]) for start, stop in pairwise(ends)))

    assert all(is_consistent(run.session) for run in runs)
    in_cells = {
        (kind, tuple(place.split(": ", 1)[1] for place in culprits), victim and victim.split(": ", 1)[1])
        for kind, culprits, victim in runs[-1].told()
    }
    in_one = {
        (one.kind, tuple(place.code for place in one.culprits), one.victim and one.victim.place.code)
        for one in analyze(whole.trace).findings
        if one.severity in {"error", "warning"}
    }
    assert in_cells == in_one
    assert torch.is_grad_enabled()


def test_a_save_is_broken_once() -> None:
    """A second write to what is broken already is no new warning; the first one stands."""
    runs = play(*FORWARD, "h.mul_(2)", "h.mul_(3)")

    assert [len(run.told()) for run in runs] == [0, 0, 1, 0]
    assert [len(run.report.standing) for run in runs] == [0, 0, 0, 1]


# What comes first has the first version counter of the session, whose id is 0.
FIRST_COUNTERS = {"the first of all": "w = torch.ones(2)", "a later one": "z = torch.zeros(1); w = torch.ones(2)"}


@pytest.mark.parametrize("first", FIRST_COUNTERS.values(), ids=list(FIRST_COUNTERS))
def test_a_save_that_a_view_hides_is_followed_by_any_counter(first: str) -> None:
    """What `CopySlices` saved, which PyTorch shows to nobody, is told to be broken by the cell that overwrites it."""
    write = "x = torch.ones(4, requires_grad=True)\nh = x * 2\nh[:2].mul_(w)"
    runs = play(first, write, "w.add_(1)", "h.sum().backward()")

    broken = [("saved-tensor-modified", ("In[3]: w.add_(1)",), "In[2]: h[:2].mul_(w)")]
    assert [run.told() for run in runs] == [[], [], broken, broken]
    assert isinstance(runs[3].error, RuntimeError)


def test_columns_of_a_session_are_those_of_its_items() -> None:
    """A field of all states, tensors and storages is what each of them has, in whichever run it was seen."""
    trace = play(*FORWARD, "h.detach().mul_(2)", "y = x.clone() * h\ndel h", "y.sum().backward()")[-1].session
    fields = {
        "states": ("tensor", "storage", "counter", "node", "is_leaf", "requires_grad"),
        "tensors": ("origin", "first_seen", "died"),
        "storages": ("bytes", "born", "died"),
    }

    for part, names in fields.items():
        rows = getattr(trace, part)
        built = {name: [getattr(row, name) for row in rows] for name in names}
        found = {name: [None if one == NOTHING else one for one in column(rows, name)] for name in names}
        assert found == built

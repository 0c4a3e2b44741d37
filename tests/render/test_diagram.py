"""The diagram says what the picture shows: chosen, measured, bounded, and plain enough for JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import FrozenInstanceError

import pytest

from inplace.facts.model import Layout
from inplace.reading.trace.extents import pieces, shared_ranges
from inplace.render.picture.diagram import Diagram, diagram
from inplace.render.picture.dot import to_dot
from inplace.render.picture.html import to_html
from inplace.render.picture.layout import MISSING, Line, planned
from inplace.render.picture.svg import to_svg
from inplace.render.words.text import to_text
from tests.browser.traces import README, big_report, record
from tests.test_growth import python_calls


@pytest.fixture(scope="module")
def readme() -> Diagram:
    """The picture of the README's cell."""
    return diagram(record(README))


def marks(picture: Diagram, role: str, finding: int = 0) -> list[tuple[int, int, int]]:
    """Line and columns of the marks of one role and finding."""
    return [
        (mark.line, mark.column, mark.end_column)
        for mark in picture.sources[0].marks
        if mark.role == role and mark.finding == finding
    ]


def test_diagram_is_json_and_frozen(readme: Diagram) -> None:
    """A diagram survives JSON unchanged and cannot be altered."""
    text = json.dumps(readme.to_json(), allow_nan=False)

    assert json.loads(text) == readme.to_json()
    with pytest.raises(FrozenInstanceError):
        readme.title = "other"  # type: ignore[misc]


def test_same_report_gives_same_diagram() -> None:
    """Nothing of the clock or of memory is in a diagram."""
    report = record(README)

    assert diagram(report) == diagram(report)


def test_finding_tells_its_places_and_what_it_is_about(readme: Diagram) -> None:
    """The first finding has its sentences, its culprit and victim, and its tensor, storage and node."""
    told = readme.findings[0]

    assert (told.severity, told.culprits[0].line, told.victim.line) == ("error", 8, 7)  # type: ignore[union-attr]
    assert told.headline
    assert told.why
    assert told.fix
    assert (told.tensors, len(told.storages), len(told.nodes)) == ((3,), 1, 1)


def test_source_marks_exact_columns(readme: Diagram) -> None:
    """The culprit's and the victim's own expressions are marked, and the line that raised."""
    assert marks(readme, "culprit") == [(8, 4, 13)]
    assert marks(readme, "victim") == [(7, 4, 20)]
    assert [line for line, _, _ in marks(readme, "raised", finding=-1)] == [9]


def test_columns_count_characters() -> None:
    """A mark behind letters of several bytes begins where its text begins."""
    picture = diagram(record("import torch\nä, ö = 'üü', torch.ones(2); ö.add_(1)\n"))

    (line, start, end) = marks(picture, "write", finding=-1)[0]

    assert picture.sources[0].lines[line - 1][start:end] == "ö.add_(1)"


def test_references_show_names_bytes_and_sharing(readme: Diagram) -> None:
    """`a` and `b` are one tensor, `c` its last two elements; the bytes they share are known."""
    boxes = {box.names: box for box in readme.references.tensors}
    a, c = boxes[("a", "b")], boxes[("c",)]
    storage = next(one for one in readme.references.storages if one.id == a.storage)

    assert (a.pieces, c.pieces, c.cells) == (((0, 12),), ((4, 12),), (1, 2))
    assert (storage.tensors, storage.shared) == ((a.id, c.id), ((4, 12),))
    assert c.counter == a.counter


def test_references_keep_the_history_of_versions_and_values(readme: Diagram) -> None:
    """The write is a step in the counter's versions and in the storage's values."""
    a = next(box for box in readme.references.tensors if "a" in box.names)
    counter = next(one for one in readme.references.counters if one.id == a.counter)
    storage = next(one for one in readme.references.storages if one.id == a.storage)

    assert (counter.steps, counter.versions) == ((0, 2), (0, 1))
    assert storage.values == ((0, ((0, 1.0), (1, 2.0), (2, 3.0))), (2, ((0, 11.0), (1, 12.0), (2, 13.0))))


def test_autograd_flags_the_stale_save_and_names_leaves(readme: Diagram) -> None:
    """The broken node carries its save with both versions, an arrow comes from the culprit, leaves have names."""
    boxes = {box.title: box for box in readme.autograd.boxes}
    keep = boxes["Sigmoid"].keeps[0]
    arrow = next(link for link in readme.autograd.links if link.kind == "overwrite")

    assert (keep.text, keep.stale, keep.saved, keep.now) == ("result = h", True, 0, 1)
    assert not boxes["Relu"].keeps[0].stale
    assert boxes["x"].kind == "leaf"
    assert (arrow.tail, arrow.head) == (boxes["h.relu_()"].id, boxes["Sigmoid"].id)


def test_autograd_boxes_do_not_overlap(readme: Diagram) -> None:
    """No two boxes of the graph lie on each other, and all are inside the pane."""
    boxes = readme.autograd.boxes

    for number, one in enumerate(boxes):
        assert 0 <= one.x - one.w / 2 <= one.x + one.w / 2 <= readme.autograd.width
        for two in boxes[number + 1 :]:
            assert abs(one.x - two.x) >= (one.w + two.w) / 2 or abs(one.y - two.y) >= (one.h + two.h) / 2


def test_copy_slices_is_a_rebase() -> None:
    """A write to a slice of a result is drawn as the rebase that it is."""
    picture = diagram(
        record("import torch\nx = torch.ones(3, requires_grad=True)\ny = x * 2\ny[0] = 5\ny.sum().backward()\n")
    )

    assert "rebase" in {box.kind for box in picture.autograd.boxes}


def test_large_graph_is_folded_with_an_honest_count() -> None:
    """Of a graph of hundreds of nodes the neighbourhood of the finding is drawn, and the rest is counted."""
    code = (
        "import torch\nx = torch.ones(2, requires_grad=True)\ny = x\nfor i in range(300):\n    y = y * 2 + 1\n"
        "h = y.sigmoid()\nh.mul_(2)\nh.sum().backward()\n"
    )
    picture = diagram(record(code))

    drawn = [box for box in picture.autograd.boxes if box.kind != "culprit"]
    assert len(drawn) <= 150
    assert picture.autograd.hidden + len(drawn) == picture.autograd.total > 600
    assert any(keep.stale for box in drawn for keep in box.keeps)


def test_loop_folds_into_iterations() -> None:
    """Calls in a loop are told apart by iteration."""
    code = "import torch\nx = torch.ones(2)\nfor i in range(3):\n    y = x * 2\n    x.add_(y)\nz = x + 1\n"
    picture = diagram(record(code))

    assert picture.calls.folds.loops == (0, 3, 3, 3, 0)


def test_live_bytes_rise_and_fall() -> None:
    """The memory curve has the bytes of a tensor while it lives."""
    picture = diagram(record("import torch\nx = torch.ones(1000)\ndel x\ny = torch.ones(1)\nz = y + 1\n"))

    heights = [live for _, live in picture.calls.memory]
    assert max(heights) >= 4000
    assert heights[-1] < 4000


def test_run_without_calls_is_drawn() -> None:
    """A cell that made no call gives an empty picture, not an error."""
    picture = diagram(record("a = 1\n"))

    assert (picture.calls.count, picture.findings, picture.autograd.boxes) == (0, (), ())


def test_hundred_thousand_calls_are_bounded() -> None:
    """Each call of a large run costs a bounded number of calls of Python, and all are sent in two megabytes."""
    report = big_report()
    pictures: list[Diagram] = []

    work = python_calls(lambda: pictures.append(diagram(report)))
    text = json.dumps(pictures[0].to_json(), separators=(",", ":"))

    assert pictures[0].calls.count > 99_000
    assert work < 35 * 100_000
    assert len(text) < 2_000_000


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "found"),
    [
        (0, (2, 3), (3, 1), [(0, 24)]),
        (1, (3,), (1,), [(4, 16)]),
        (0, (2, 2), (1, 3), [(0, 8), (12, 20)]),
        (0, (3,), (2,), [(0, 4), (8, 12), (16, 20)]),
        (2, (4,), (0,), [(8, 12)]),
        (0, (0,), (1,), []),
        (0, (), (), [(0, 4)]),
    ],
)
def test_pieces_are_the_bytes_of_a_layout(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], found: list[tuple[int, int]]
) -> None:
    """A layout's bytes are given as runs, in order."""
    assert pieces(offset, Layout(shape, strides, "float32", 4, "cpu")) == (found, True)


def test_many_pieces_become_one_span() -> None:
    """A layout of very many runs is one span that says it has gaps."""
    assert pieces(0, Layout((1000,), (2,), "float32", 4, "cpu")) == ([(0, 7996)], False)


def test_shared_ranges_are_covered_twice() -> None:
    """Bytes are shared where at least two tensors cover them."""
    assert list(shared_ranges([((0, 8),), ((4, 12),), ((10, 12),)])) == [(4, 8), (10, 12)]


def test_boxes_stand_below_those_they_come_from() -> None:
    """Graphviz lays a graph out from top to bottom, with a box that is to be beside another in its row."""
    sizes = dict.fromkeys(range(5), (100.0, 40.0))
    lines = [Line(0, 2), Line(1, 2), Line(2, 3), Line(4, 2, beside=True)]

    plan = planned(sizes, lines)

    assert plan.centres[0][1] < plan.centres[2][1] < plan.centres[3][1]
    assert plan.centres[4][1] == plan.centres[2][1]
    assert len(plan.routes) == len(lines)


def test_a_missing_layout_engine_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pygraphviz can't be imported, every picture says so in place of the graph, and shows all the rest."""
    report = record(README)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)

    picture = diagram(report)

    assert (picture.autograd.boxes, picture.autograd.links) == ((), ())
    still, page, source = to_svg(report, picture), to_html(picture), to_dot(picture)
    assert all(MISSING in made for made in (still, page, source))
    assert all("h.relu_()" in made for made in (still, page))


def test_the_still_says_what_one_line_did_of_that_line_alone() -> None:
    """The line that made the shared part of a graph is marked, and not said to have freed it."""
    shared = (
        "import torch\nw = torch.ones(2, requires_grad=True)\nh = w.exp()\nh.sum().backward()\nh.mean().backward()\n"
    )
    still = to_svg(record(shared))

    assert still.count("frees the graph<") == 1
    assert still.count("goes through it again<") == 1


def test_kept_bytes_end_with_their_backward() -> None:
    """What a graph keeps counts from the call that saved it to the backward that ran, and no parameter is in it."""
    text = (
        "import torch\nw = torch.ones(4, requires_grad=True)\nh = (w * 2).exp()\nloss = h.sum()\nloss.backward()\n"
        "z = w * 3\ng = w.exp()\n"
    )

    kept = diagram(record(text)).calls.kept

    sizes = [size for _, size in kept]
    assert sizes[0] == 16  # exp keeps its result; mul by a number and sum keep nothing
    assert 0 in sizes  # after backward
    assert sizes[-2:] == [16, 0]  # the graph of g is there at the end


def test_parameters_are_not_kept_by_backward() -> None:
    """A leaf that requires grad lives in any case."""
    text = "import torch\nw = torch.ones(4, requires_grad=True)\nv = torch.ones(4)\n((w * v).sum() * 2).backward()\n"

    assert max(size for _, size in diagram(record(text)).calls.kept) == 16


LISTED = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.rest = [nn.Linear(2, 1)]
    def forward(self, x):
        return self.rest[0](self.first(x))
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net(torch.ones(4, 2)).sum().backward()
optimizer.step()
"""


def test_the_still_shows_each_parameter_that_a_line_has_made() -> None:
    """Weight and bias of a layer that no optimizer has, made by one call: the names and the bytes of both."""
    still = to_svg(record("import torch\n" + LISTED))

    memory = still.partition("NAMES AND MEMORY")[2].partition("AUTOGRAD")[0]
    assert "net.rest[0].weight" in memory
    assert "net.rest[0].bias" in memory


UNSHOWN = """\
import torch
x = torch.rand(4, requires_grad=True)
h = torch.sigmoid(x)
{early}
with torch._C.DisableTorchFunction():
    h.data.mul_(2)
y = h * 3
h.sum().backward()
"""


def test_bounds_of_a_write_that_nobody_shows_are_lines_of_it() -> None:
    """Both lines that the sentence names are in the picture and in the text, each with what it is; none twice."""
    report = record(UNSHOWN.format(early="z = h + 1"))
    picture = diagram(report)
    (finding,) = picture.findings
    still, text = to_svg(report, picture), to_text(report)

    assert [(spot.line, said) for spot, said in zip(finding.bounds, finding.bounds_are, strict=True)] == [
        (4, "not changed yet"),
        (7, "changed by here"),
    ]
    assert [mark[0] for mark in marks(picture, "bound")] == [4, 7]
    assert all(said in still and said in text for said in finding.bounds_are)
    assert "    7 │ y = h * 3\n      │     ----- changed by here" in text


def test_a_bound_that_saved_it_is_marked_once() -> None:
    """Where the bytes were last as they had been on the line that saved them, that line is the victim's."""
    report = record(UNSHOWN.format(early=""))
    (finding,) = diagram(report).findings

    assert [spot.line for spot in finding.bounds] == [7]
    assert [line[:5] for line in to_text(report).splitlines() if "│" in line and line[:5].strip()] == ["    3", "    7"]

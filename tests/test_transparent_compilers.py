"""Recording changes nothing of compiled code: `torch.compile`, TorchScript, export. What runs in it is not recorded."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.both_ways import caught, changed_by_recording


def _leaf(size: int = 6) -> torch.Tensor:
    return torch.linspace(0.1, 1.0, size).requires_grad_()


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 1))


class Graphs:
    """A backend of `torch.compile` that counts the graphs it is given and runs them as they are."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        """Note how many nodes a graph has."""
        self.sizes.append(len(graph.graph.nodes))
        return graph.forward


def _formula(x: torch.Tensor) -> torch.Tensor:
    h = torch.sin(x) * 2
    h.relu_()
    return h + x.cos()


def _broken_formula(x: torch.Tensor) -> torch.Tensor:
    h = torch.sin(x)
    torch._dynamo.graph_break()
    return (h * 2).add_(1)


def _refused_formula(x: torch.Tensor) -> torch.Tensor:
    return x.add_(1) if x.requires_grad else x.view(7)


def _compiled(function: Callable[..., Any], backend: Any, **options: Any) -> Any:
    torch._dynamo.reset()
    return torch.compile(function, backend=backend, **options)


def compiled_here() -> Any:
    """Compile, call twice, and go backward: values, gradients and the number of graphs."""
    graphs, x = Graphs(), _leaf()
    run = _compiled(_formula, graphs, fullgraph=True)
    results = [run(x), run(x), run(torch.ones(3))]
    results[0].sum().backward()
    return results, x.grad, graphs.sizes


def compiled_with_a_break() -> Any:
    """A graph that is broken in two stays broken in two."""
    graphs, x = Graphs(), _leaf()
    run = _compiled(_broken_formula, graphs)
    out = run(x)
    out.sum().backward()
    return out, x.grad, graphs.sizes


def compiled_ahead_of_time() -> Any:
    """The backend that traces the backward as well."""
    x, net = _leaf(), _net()
    run = _compiled(net, "aot_eager")
    out = run(x)
    out.sum().backward()
    return out, x.grad, [param.grad for param in net.parameters()]


def compiled_and_refused() -> Any:
    """Errors in a compiled function: one of tracing, one of running."""
    run = _compiled(_refused_formula, "eager")
    found = [caught(run, given) for given in (torch.ones(6), _leaf())]
    return [(type(error).__name__, str(error)) for error in found]


def compiled_step() -> Any:
    """A training loop around a compiled module."""
    net, data = _net(), torch.rand(4, 6)
    run, optimizer = _compiled(net, "aot_eager"), torch.optim.Adam(net.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        run(data).pow(2).sum().backward()
        optimizer.step()
    return list(net.parameters())


class Before:
    """A function that was compiled and called before the recording."""

    def __init__(self) -> None:
        self.graphs = Graphs()
        self.run = _compiled(_formula, self.graphs)
        self.run(_leaf())

    def program(self) -> Any:
        """Call it again; it is not compiled again."""
        x = _leaf()
        out = self.run(x)
        out.sum().backward()
        return out, x.grad, list(self.graphs.sizes)


def scripted() -> Any:
    """TorchScript: scripted, traced, saved and loaded."""
    x, net = _leaf(), _net()
    script, trace = torch.jit.script(net), torch.jit.trace(net, torch.rand(2, 6))
    kept = io.BytesIO()
    torch.jit.save(script, kept)
    kept.seek(0)
    results = [script(x), trace(torch.rand(2, 6)), torch.jit.load(kept)(x)]
    results[0].sum().backward()
    return results, x.grad, str(script.graph).count("\n"), str(trace.graph).count("\n")


def exported() -> Any:
    """`torch.export` and `torch.fx`."""
    net = _net()
    program = torch.export.export(net, (torch.rand(2, 6),))
    symbolic = torch.fx.symbolic_trace(net)
    return program.module()(torch.ones(2, 6)), symbolic.code, symbolic(torch.ones(2, 6))


def compiled_attention() -> Any:
    """A module that asks whether a mode is on, compiled."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    graphs = Graphs()
    with torch.no_grad():
        return _compiled(layer, graphs, fullgraph=True)(torch.rand(2, 3, 8)), graphs.sizes


@torch._dynamo.disable
def _left_alone(x: torch.Tensor) -> torch.Tensor:
    return x.add_(1)


def compiled_in_part() -> Any:
    """A function that the compiler is to leave alone, called by one that it compiles, which calls a compiled one."""
    graphs = Graphs()
    inner = _compiled(_formula, graphs)
    outer = torch.compile(lambda x: inner(_left_alone(x * 2)), backend=graphs)
    return outer(torch.ones(3)), graphs.sizes, torch.ones(1).add_(1)


PROGRAMS = [
    compiled_ahead_of_time,
    compiled_and_refused,
    compiled_attention,
    compiled_in_part,
    compiled_here,
    compiled_step,
    compiled_with_a_break,
    exported,
    scripted,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_compilers_do_the_same(program: Callable[[], Any]) -> None:
    """Values, gradients, errors, warnings and the graphs themselves are those without a recording."""
    assert changed_by_recording(program) == []


def test_a_compiled_function_is_not_compiled_again() -> None:
    """What was compiled before a recording is used in it as it is."""
    assert changed_by_recording(Before().program) == []


def test_compiling_is_noticed_where_it_begins_in_the_recording(tmp_path: Path) -> None:
    """In a process that has not imported the compiler yet, the first use of it within a recording is seen as well."""
    script = tmp_path / "first.py"
    script.write_text(FIRST)

    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)

    assert told.stdout.split() == ["False", "[3]", "2.0", "True", "True"], told.stderr


FIRST = """
import sys
import torch
import inplace

sizes = []
def backend(graph, inputs):
    sizes.append(len(graph.graph.nodes))
    return graph.forward

kept = torch.compile
with inplace.record() as recording:
    print("torch._dynamo.eval_frame" in sys.modules)
    found = torch.compile(lambda x: x + 1, backend=backend, fullgraph=True)(torch.ones(1))
    found.mul_(1)
print(sizes, found.item(), torch.compile is kept, [call.function.label for call in recording.trace.calls][-1] == "mul_")
"""


def test_differences_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: where we don't stand aside, functions are compiled otherwise."""
    monkeypatch.setattr("inplace.capture.patches.mode_off.ModeOff.patch", lambda self, owner, name, make: None)

    assert changed_by_recording(compiled_with_a_break) != []

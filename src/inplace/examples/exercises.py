"""The exercises: predict what code does, find the line to blame, mend it. What is right is found by running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Task: TypeAlias = Literal["predict", "find", "mend"]


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise.

    Attributes:
        id: `P1` to predict, `F1` to find, `M1` to mend.
        task: what is to be done.
        question: what is asked.
        code: the code; one to predict leaves what is asked for in `answer`, or raises.
        hints: each says a little more.
        why: the answer explained, which is folded away.
        chapter: the number of the notebook that teaches it.
        solution: for one to mend, code that is right; never shown.
        watched: for one to mend, expressions whose values must be those of the solution.
    """

    id: str
    task: Task
    question: str
    code: str
    hints: tuple[str, ...]
    why: str
    chapter: str
    solution: str = ""
    watched: tuple[str, ...] = ()


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="P1",
        task="predict",
        question="Which number is the sum of a at the end?",
        code="""\
import torch
a = torch.zeros(3)
b = a[1:]
b.add_(1)
a.mul_(2)
answer = a.sum().item()
""",
        hints=("A slice copies nothing.", "b is the last two elements of a, so a is 0, 1, 1 before mul_."),
        why="`b` looks into the bytes of `a`: after `add_` the three numbers are 0, 1, 1, and `mul_` doubles them.",
        chapter="03",
    ),
    Exercise(
        id="P2",
        task="predict",
        question="Which number is the version of a at the end?",
        code="""\
import torch
a = torch.zeros(2)
a.add_(1)
a[0] += 1
answer = a._version
""",
        hints=("Every counted call adds one.", "a[0] += 1 takes a[0], writes to it, and assigns it to a[0] again."),
        why="`add_` counts one. `a[0] += 1` is `add_` on a view and then an indexed assignment: two more.",
        chapter="05",
    ),
    Exercise(
        id="P3",
        task="predict",
        question="Does backward raise, or does it run? Answer raises or runs.",
        code="""\
import torch
x = torch.ones(2, requires_grad=True)
y = x.exp()
y.add_(0)
y.sum().backward()
answer = "runs"
""",
        hints=("exp keeps its result.", "PyTorch compares counts, and not numbers."),
        why="Not a number has changed, and the count has. `exp` kept its result at version 0, and it is at 1.",
        chapter="05",
    ),
    Exercise(
        id="P4",
        task="predict",
        question="h is six times x at the end. Which number is the gradient of x?",
        code="""\
import torch
x = torch.ones(1, requires_grad=True)
h = x * 3
with torch.no_grad():
    h.mul_(2)
h.sum().backward()
answer = x.grad.item()
""",
        hints=("What does no_grad switch off?", "The graph knows of the 3 only, and x * 3 does not keep h."),
        why="The write is counted and not recorded. Nobody kept `h`, so nothing raises, and the 2 is not in the graph.",
        chapter="06",
    ),
    Exercise(
        id="P5",
        task="predict",
        question="Which number is the sum of x at the end?",
        code="""\
import torch
x = torch.zeros(4)
x[x == 0].add_(1)
x[[0, 1]] += 1
answer = x.sum().item()
""",
        hints=("A mask or a list as index copies.", "Assigning to an index writes to x; calling a method does not."),
        why="The first write goes into a copy and is lost. The second ends in an indexed assignment: two elements.",
        chapter="03",
    ),
    Exercise(
        id="P6",
        task="predict",
        question="Which number is w after the two steps?",
        code="""\
import torch
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.5)
for step in range(2):
    (w * w).sum().backward()
    optimizer.zero_grad()
    optimizer.step()
answer = w.item()
""",
        hints=("Which gradient does step() find?", "zero_grad() sets it to None, and step() passes over w."),
        why="The gradient is thrown away before the step that should use it, so `w` stays 1.",
        chapter="17",
    ),
    Exercise(
        id="F1",
        task="find",
        question="backward raises. Which line overwrites what it needs? Answer with its number.",
        code="""\
import torch
torch.manual_seed(0)
x = torch.randn(4, 3)
first, second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
h = torch.relu(first(x))
out = second(h)
out += x
h += out
h.sum().backward()
""",
        hints=("Two lines write. Who kept what they write to?", "A linear layer keeps its input, and relu its result."),
        why="`second` has kept its input `h`, `relu` its result `h`: `h += out` writes to it. Nobody has kept `out`.",
        chapter="05",
    ),
    Exercise(
        id="F2",
        task="find",
        question="Nothing raises, and the gradient is wrong. Which line is to blame? Answer with its number.",
        code="""\
import torch
x = torch.linspace(-2, 2, 5).requires_grad_()
gate = torch.sigmoid(x)
loss = (gate * 2).sum()
peek = gate.detach()
limited = gate.data
limited.clamp_(max=0.5)
loss.backward()
""",
        hints=("Which line writes?", "Who has kept what it writes to, and does the counter move?"),
        why="`limited` has the bytes of `gate` and a counter of its own, so the save of `sigmoid` looks untouched.",
        chapter="06",
    ),
    Exercise(
        id="F3",
        task="find",
        question="The weights never move. Which line loses the gradients? Answer with its number.",
        code="""\
import torch
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    loss = model(torch.ones(4, 2)).square().mean()
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
""",
        hints=("Follow the gradient: who makes it, who uses it?", "What stands between the two?"),
        why="`zero_grad()` between `backward()` and `step()` leaves the step nothing.",
        chapter="17",
    ),
    Exercise(
        id="F4",
        task="find",
        question="The best weights are always the last ones. Which line is to blame? Answer with its number.",
        code="""\
import torch
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
best = model.state_dict()
for step in range(2):
    optimizer.zero_grad()
    model(torch.ones(4, 2)).square().mean().backward()
    optimizer.step()
same = torch.equal(best["weight"], model.weight)
""",
        hints=("Which line should have made a copy?", "A state_dict holds the bytes of the parameters themselves."),
        why="`state_dict()` copies nothing, and every step writes to those bytes.",
        chapter="06",
    ),
    Exercise(
        id="M1",
        task="mend",
        question="Make it run, with the right gradient of x.",
        code="""\
import torch
x = torch.linspace(-1, 1, 4).requires_grad_()
h = torch.tanh(x)
g = h.relu_()
g.sum().backward()
""",
        hints=("What does tanh keep?", "Let relu make a tensor of its own."),
        why="Without the underscore `relu` writes to new memory, and what `tanh` kept stays as it was.",
        chapter="01",
        solution="""\
import torch
x = torch.linspace(-1, 1, 4).requires_grad_()
h = torch.tanh(x)
g = h.relu()
g.sum().backward()
""",
        watched=("x.grad", "g"),
    ),
    Exercise(
        id="M2",
        task="mend",
        question="The last two rows of x are to have 5 in their first column. Let the write arrive in x.",
        code="""\
import torch
x = torch.zeros(3, 2)
keep = torch.tensor([False, True, True])
x[keep][:, 0] = 5
""",
        hints=("x[keep] is a copy.", "Give both indices at once."),
        why="One indexed assignment, `x[keep, 0] = 5`, writes to `x`. Two indices in a row write to a copy.",
        chapter="03",
        solution="""\
import torch
x = torch.zeros(3, 2)
keep = torch.tensor([False, True, True])
x[keep, 0] = 5
""",
        watched=("x",),
    ),
    Exercise(
        id="M3",
        task="mend",
        question="Make it run three steps; each step is to learn from its own input only.",
        code="""\
import torch
torch.manual_seed(0)
cell = torch.nn.RNNCell(2, 3)
optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
hidden = torch.zeros(1, 3)
for step in range(3):
    hidden = cell(torch.ones(1, 2), hidden)
    loss = hidden.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
        hints=("What does the state carry over beside its numbers?", "Carry over the numbers without their graph."),
        why="`hidden.detach()` has the numbers and no graph. `retain_graph=True` would only move the error.",
        chapter="07",
        solution="""\
import torch
torch.manual_seed(0)
cell = torch.nn.RNNCell(2, 3)
optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
hidden = torch.zeros(1, 3)
for step in range(3):
    hidden = cell(torch.ones(1, 2), hidden.detach())
    loss = hidden.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
        watched=("hidden", "cell.weight_hh", "cell.weight_hh.grad"),
    ),
    Exercise(
        id="M4",
        task="mend",
        question="Leave the gradient of the leaf where x.grad finds it. x is to keep its values.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
x = x * x
x.sum().backward()
""",
        hints=("Which tensor does the name x stand for at the end?", "Give the result a name of its own."),
        why="A new name for the result leaves `x` with the leaf, and the gradient is in `x.grad`.",
        chapter="04",
        solution="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
y = x * x
y.sum().backward()
""",
        watched=("x", "x.grad"),
    ),
    Exercise(
        id="M5",
        task="mend",
        question="Double h on the way, so that the gradient of x knows of it. Nothing may be hidden from autograd.",
        code="""\
import torch
x = torch.tensor([0., 1.], requires_grad=True)
h = torch.sigmoid(x)
h.data.mul_(2)
h.sum().backward()
""",
        hints=("What does .data hide?", "A write without .data would raise. Make a new tensor."),
        why="`h = h * 2` is a node of the graph, and `sigmoid` keeps its own result untouched.",
        chapter="06",
        solution="""\
import torch
x = torch.tensor([0., 1.], requires_grad=True)
h = torch.sigmoid(x)
h = h * 2
h.sum().backward()
""",
        watched=("h", "x.grad"),
    ),
)

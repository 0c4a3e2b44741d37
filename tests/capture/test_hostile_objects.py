"""Objects of the user's that compute, refuse or act when looked at cost nothing, and no method of theirs runs."""

from __future__ import annotations

import contextlib
import textwrap
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch

from inplace.capture.code.names import scan
from inplace.capture.code.objects import message_of
from inplace.render.words.text import to_text
from tests.recording import record_text

ACTED: list[str] = []


def acts(name: str) -> Callable[..., Any]:
    """A method that must not run."""

    def method(*_: object, **__: object) -> Any:
        ACTED.append(name)
        raise SystemError(name)

    return method


def acting(*bases: type, leave: tuple[str, ...] = (), meta: type = type) -> type:
    """A class of which every way to look at an object acts."""
    names = [
        "__class__",
        "__dict__",
        "__module__",
        "param_groups",
        "_parameters",
        "exceptions",
        "defaults",
        "is_leaf",
    ]
    methods = [
        "__getattr__",
        "__getattribute__",
        "__eq__",
        "__hash__",
        "__len__",
        "__bool__",
        "__iter__",
        "__contains__",
        "__getitem__",
        "__str__",
        "__repr__",
        "__index__",
        "__int__",
        "items",
        "values",
        "keys",
        "get",
        "copy",
    ]
    body: dict[str, Any] = {name: property(acts(name)) for name in names if name not in leave}
    body |= {name: acts(name) for name in methods if name not in leave}
    return meta("Acting", bases, body)


class ActingMeta(type):
    """A metaclass that refuses every question."""

    __hash__ = None  # type: ignore[assignment]
    __eq__ = acts("meta __eq__")
    __getattribute__ = acts("meta __getattribute__")
    __instancecheck__ = acts("meta __instancecheck__")
    __subclasscheck__ = acts("meta __subclasscheck__")


class Proxy:
    """What werkzeug's LocalProxy is: everything is asked of what it stands for, which may not be there."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        ACTED.append("proxy")
        raise RuntimeError("working outside of a request")

    def __getattr__(self, name: str) -> Any:
        ACTED.append(name)
        raise RuntimeError("working outside of a request")


class Slotted:
    """An object of which an attribute was deleted."""

    __slots__ = ("t",)


class OddModule:
    """A class that says nothing of where it is from."""

    __module__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.t = torch.ones(1)


def lazy() -> torch.nn.Module:
    """A module whose parameters have no shape yet."""
    return torch.nn.LazyLinear(2)


def module() -> torch.nn.Module:
    """A module whose attributes are properties that act."""

    class Net(torch.nn.Linear):
        ready = property(acts("ready"))
        _buffers_of_mine = property(acts("_buffers_of_mine"))

    return Net(2, 1)


def gathering() -> torch.nn.Module:
    """A module whose parameters are gathered when its dict is asked for them, as DeepSpeed has them."""

    class Gathering(OrderedDict):  # type: ignore[type-arg]
        __getitem__ = items = values = get = __bool__ = __len__ = acts("gathered")

    net = torch.nn.Linear(2, 1)
    found = Gathering()
    for name, param in net._parameters.items():
        OrderedDict.__setitem__(found, name, param)
    net.__dict__["_parameters"] = found
    return net


def wrapping() -> torch.optim.Optimizer:
    """An optimizer that computes what it holds."""

    class Wrapping(torch.optim.Optimizer):
        param_groups = property(acts("param_groups"))

        def __init__(self) -> None:
            pass

    return Wrapping()


def made(kind: type) -> Any:
    """An object of a class whose constructor may act."""
    return object.__new__(kind)


KEPT = torch.nn.Linear(2, 1)
HOSTILE: dict[str, Callable[[], Any]] = {
    "object": lambda: made(acting()),
    "metaclass": lambda: made(ActingMeta("Met", (), {})),
    "dict": lambda: dict.__new__(acting(dict)),
    "list": lambda: list.__new__(acting(list)),
    "tuple": lambda: tuple.__new__(acting(tuple), [torch.ones(1)]),
    "key": lambda: {1: torch.ones(1), str.__new__(acting(str, leave=("__hash__", "__eq__")), "a"): torch.ones(1)},
    "long key": lambda: {10**5000: torch.ones(1)},
    "proxy": Proxy,
    "weak proxy": lambda: weakref.proxy(KEPT),
    "weak proxy of the dead": lambda: weakref.proxy(torch.nn.Linear(1, 1)),
    "callable proxy": lambda: weakref.proxy(acts("called")),
    "slots": Slotted,
    "odd module": OddModule,
    "lazy module": lazy,
    "module": module,
    "gathering module": gathering,
    "bare module": lambda: torch.nn.Module.__new__(torch.nn.Module),
    "wrapping optimizer": wrapping,
    "list of metaclass": lambda: [made(ActingMeta("Met", (), {}))] * 5000,
}

TEXT = """
x = torch.ones(3, requires_grad=True)
h = torch.sigmoid(x)
h.relu_()
try:
    h.sum().backward()
except RuntimeError as refused:
    pass
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_variable_that_acts_costs_nothing(name: str) -> None:
    """The recording is whole, the diagnosis stands, and no method of the variable has run."""
    value = HOSTILE[name]()
    ACTED.clear()

    recording = record_text(TEXT, value=value, held=[value])

    assert ACTED == []
    assert recording.trace.notes == ()
    assert [one.kind for one in recording.report.findings if one.severity == "error"] == ["saved-tensor-modified"]


def test_names_are_found_behind_what_acts() -> None:
    """What can be read without a question is: parameters, keys, items."""
    values = {name: HOSTILE[name]() for name in ("gathering module", "tuple", "key", "odd module", "module")}

    found = [path for path, value in scan(values) if type(value) in (torch.Tensor, torch.nn.Parameter)]

    assert set(found) == {
        "odd module.t",
        "gathering module.weight",
        "gathering module.bias",
        "tuple[0]",
        "key[1]",
        "key['a']",
        "module.weight",
        "module.bias",
    }


def test_variables_without_names_are_left_out() -> None:
    """A namespace may hold keys that are no names."""
    assert [path for path, _ in scan({1: torch.ones(1), "t": torch.ones(1)})] == ["t"]  # type: ignore[dict-item]


# ------------------------------------------------------------ exceptions


class TellingError(Exception):
    """An exception that acts when it is told."""

    __str__ = __repr__ = acts("__str__")  # type: ignore[assignment]
    exceptions = property(acts("exceptions"))

    def __getattr__(self, name: str) -> Any:
        ACTED.append(name)
        raise SystemError(name)


class Value:
    """Something that an exception is about, and that acts when it is told."""

    __str__ = __repr__ = acts("value")  # type: ignore[assignment]


RAISING = {
    "at the end": "raise error",
    "in a call": """
        def hook(grad):
            raise error
        x = torch.ones(1, requires_grad=True)
        x.register_hook(hook)
        x.backward()
    """,
}
ERRORS: dict[str, Callable[[], Exception]] = {
    "its own words": lambda: TellingError("why"),
    "an object": lambda: ValueError(Value()),
    "objects": lambda: KeyError((Value(),)),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("where", RAISING)
def test_an_exception_is_not_asked(name: str, where: str) -> None:
    """An exception of the user's that ends the code, or a call of it, is not asked to tell itself."""
    error = ERRORS[name]()
    ACTED.clear()
    with contextlib.suppress(type(error)):
        exec(textwrap.dedent(RAISING[where]), {"torch": torch, "error": error})
    plain = ACTED.copy()  # the engine asks what a hook raised
    ACTED.clear()

    recording = record_text(RAISING[where], error=error)

    assert plain == ACTED
    assert recording.trace.notes == ()
    assert recording.trace.failure is not None
    assert recording.trace.failure.type == type(error).__name__


def test_messages_that_nobody_of_the_user_has_to_tell() -> None:
    """What Python's own exceptions say is told as Python does."""
    errors = [ValueError("a", 1), KeyError("k"), OSError(2, "no", "f"), RuntimeError(), ValueError(torch.float32)]

    assert [message_of(error, lambda _: True) for error in errors] == [str(error) for error in errors]


# ------------------------------------------------------------ what calls are given and give out


def test_results_are_not_iterated_by_the_users_own_methods() -> None:
    """A list subclass that a custom function gives out is read as a list."""
    kind = acting(list, leave=("__class__", "__getattribute__"))

    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = list.__new__(kind)
            list.append(found, func(*args, **(kwargs or {})))
            return found

    ACTED.clear()
    recording = record_text("with Mode():\n    y = torch.ones(3)\nz = torch.ones(2)", Mode=Mode)

    assert ACTED == []
    assert recording.trace.notes == ()


def test_a_class_body_that_fails_keeps_its_names() -> None:
    """The namespace of a class whose body has raised is the user's own, and is left as it was."""
    recording = record_text("class A:\n    t = torch.ones(1)\n    1 / 0\n")

    assert recording.error is not None
    entry = recording.error.__traceback__
    frames = []
    while entry is not None:
        frames.append(entry.tb_frame)
        entry = entry.tb_next
    assert "t" in frames[-1].f_locals
    assert [name.path for name in recording.trace.names] == ["t"]


# ------------------------------------------------------------ tensors that can't be asked


REFUSED_VIEWS = {
    "inference": "with torch.inference_mode():\n    v = y[1:3]\n",
    "no grad": "with torch.no_grad():\n    v = y[1:3]\n",
    "chunk": "v = y.chunk(2)[0]\n",
    "inference of a detached one": "y = y.detach()\nwith torch.inference_mode():\n    v = y[1:3]\n",
    "view of a view in inference": "z = y[:3]\nwith torch.inference_mode():\n    v = z.view(-1)[2:]\n",
}
USES = """
for use in (
    lambda: v.sigmoid(), lambda: v.zero_(), lambda: torch.cat([v, v]), lambda: v.detach(), lambda: v.expand_as(v),
    lambda: v.view(-1), lambda: v.requires_grad_(), lambda: v.grad_fn, lambda: v.data.add_(1), lambda: v[0].add_(1),
):
    try:
        use()
    except RuntimeError:
        pass
h = torch.sigmoid(x)
h.mul_(2)
try:
    h.sum().backward()
except RuntimeError:
    pass
"""


@pytest.mark.parametrize("name", REFUSED_VIEWS)
@pytest.mark.parametrize("write", ["y.add_(1)", "torch.nn.init.normal_(y)", "with torch.no_grad():\n    y.add_(1)"])
def test_a_view_that_autograd_refuses_is_recorded(name: str, write: str) -> None:
    """A view that raises when it is asked for its `grad_fn` costs that fact, and the recording goes on to its end."""
    text = f"x = torch.ones(4, 4, requires_grad=True)\ny = x * 1\n{REFUSED_VIEWS[name]}{write}\n{USES}"

    recording = record_text(text)

    assert recording.error is None
    assert recording.trace.notes == ()
    assert "saved-tensor-modified" in [one.kind for one in recording.report.findings]


# ------------------------------------------------------------ faults of ours


@pytest.mark.parametrize("point", ["inplace.capture.naming.Naming.module_id", "inplace.capture.naming.params_of"])
def test_a_fault_in_naming_costs_names(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our own naming fails that is said once, the rest is recorded, and nothing is reassured without a word."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(point, broken)
    nets = [torch.nn.Linear(1, 1) for _ in range(3)]
    optimizers = [torch.optim.SGD(net.parameters()) for net in nets]

    recording = record_text(f"nets[0](torch.ones(1))\noptimizers[1].step()\n{TEXT}", nets=nets, optimizers=optimizers)

    (note,) = recording.trace.notes
    assert note.text.startswith("Not all names could be noted because of a fault of ours at ")
    assert "ZeroDivisionError: injected" in note.text
    assert [one.kind for one in recording.report.findings if one.severity == "error"] == ["saved-tensor-modified"]
    assert {name.path for name in recording.trace.names} >= {"x", "h"}


def test_a_fault_in_a_walk_costs_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a graph can't be walked the calls are recorded, and it is not said that nothing is wrong."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr("inplace.capture.graph.walk.Walker.walk", broken)

    recording = record_text(f"{TEXT}y = torch.ones(2)\n")

    assert [note.text[:14] for note in recording.trace.notes] == ["Not all graphs"]
    assert recording.trace.calls[-1].function.label == "ones"
    assert to_text(recording.report).endswith("nothing wrong in what was recorded")

"""The film as values: what each call had to do with the bytes of a storage, who keeps them, and its names over time."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import pytest

from inplace.render.picture.diagram import diagram
from inplace.render.picture.film_model import BACKWARD, KEPT, MADE, SHARED, TAKEN, UNSEEN, WRITTEN
from tests.browser.traces import record

if TYPE_CHECKING:
    from inplace.render.picture.model import Diagram, StorageBox


def storage_of(picture: Diagram, name: str) -> StorageBox:
    """The storage that a name reaches."""
    found = next(tensor.storage for tensor in picture.references.tensors if name in tensor.names)
    return next(one for one in picture.references.storages if one.id == found)


def acts(code: str, name: str) -> list[tuple[str, int]]:
    """The calls that had to do with the bytes that a name reaches, and what they did."""
    picture = diagram(record(code))
    film, calls = storage_of(picture, name).film, picture.calls
    rows = zip(accumulate(film.steps), film.acts, strict=True)
    return [(calls.texts[calls.forms[calls.form[step]].label], act) for step, act in rows]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("a = torch.ones(2)\nb = a + 1", [("ones", MADE), ("add", TAKEN)]),
        ("a = torch.ones(2)\nb = a[0]\nb.add_(1)", [("ones", MADE), ("__getitem__", SHARED), ("add_", WRITTEN)]),
        ("a = torch.ones(2)\nb = torch.zeros_like(a)", [("ones", MADE)]),
        ("a = torch.ones(2)\ntorch.add(a, 1, out=a)", [("ones", MADE), ("add", WRITTEN)]),
        ("a = torch.ones(2)\nc = a.tolist()", [("ones", MADE), ("tolist", TAKEN)]),
        ("a = torch.ones(2)\nn = a.numpy()\nn[:] = 4\nb = a + 1",
         [("ones", MADE), ("numpy", SHARED), ("add", TAKEN), ("add", UNSEEN)]),
        ("a = torch.ones(2, requires_grad=True)\n(a * a).sum().backward()",
         [("ones", MADE), ("mul", TAKEN), ("mul", KEPT), ("mul", KEPT), ("backward", BACKWARD),
          ("backward", BACKWARD)]),
    ],
)  # fmt: skip
def test_what_a_call_did_is_told_apart(code: str, found: list[tuple[str, int]]) -> None:
    """Making, writing, taking, sharing, keeping, and what no call changed; who asks for a shape only is left out."""
    assert sorted(acts(f"import torch\n{code}\n", "a")) == sorted(found)


def test_a_save_that_was_overwritten_is_stale_and_its_twin_is_not() -> None:
    """What exp kept was changed before backward; the same write after backward breaks nothing."""
    early = "import torch\nx = torch.ones(2, requires_grad=True)\nh = x.exp()\nh.mul_(2)\nh.sum().backward()\n"
    late = "import torch\nx = torch.ones(2, requires_grad=True)\nh = x.exp()\nh.sum().backward()\nh.detach().mul_(2)\n"

    kept = [storage_of(diagram(record(code)), "h").film.holds for code in (early, late)]

    assert [[(hold.node, hold.stale) for hold in holds] for holds in kept] == [[("Exp", True)], [("Exp", False)]]


def test_a_name_goes_to_the_next_tensor_that_the_source_gives_it_to() -> None:
    """`a` stands for the first tensor until line 4; `kept` is another name of it, seen at the end only."""
    code = "import torch\na = torch.ones(2)\nkept = [a]\na = a + 1\n"

    picture = diagram(record(code))

    called = {span.name: (span.since, span.until) for tensor in picture.references.tensors
              if "kept[0]" in tensor.names for span in tensor.called}  # fmt: skip
    assert called == {"a": (0, 1), "kept[0]": (None, -1)}


def test_a_name_inside_a_function_says_so() -> None:
    """A local variable is another one than that of the cell with the same name."""
    code = "import torch\ndef f():\n    h = torch.ones(2)\n    return h\nh = torch.zeros(2)\nkept = f()\n"

    spans = [span for tensor in diagram(record(code)).references.tensors for span in tensor.called]

    assert sorted((span.name, span.scope, span.until) for span in spans) == [
        ("h", "", -1),
        ("h", "f", -1),
        ("kept", "", -1),
    ]

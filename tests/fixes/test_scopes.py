"""A change that makes a name a function's own is told from one that leaves each name what it was."""

from __future__ import annotations

import pytest

from inplace.fixes.scopes import takes_over

OF_MODULE = "h = 1\ndef f():\n    h.t_()\n"
OF_FUNCTION = "def g():\n    h = 1\n    def f():\n        h.t_()\n    return f\n"


@pytest.mark.parametrize("old", [OF_MODULE, OF_FUNCTION, "class A:\n    def f(self):\n        h.t_()\n"])
def test_an_outer_name_is_taken_over(old: str) -> None:
    """The function binds what it has read from outside: its reads would come before the binding."""
    assert takes_over(old, old.replace("h.t_()", "h = h.t()"))


@pytest.mark.parametrize(
    "old",
    [
        "h = 1\nh.t_()\n",
        "def f(h):\n    h.t_()\n",
        "def f():\n    h = 1\n    h.t_()\n",
        "def f():\n    global h\n    h.t_()\n",
        "def g():\n    h = 1\n    def f():\n        nonlocal h\n        h.t_()\n    return f\n",
        "def f(self):\n    self.h.t_()\n",
    ],
)
def test_other_changes_leave_names_alone(old: str) -> None:
    """At module level, for a variable or parameter of its own, where it is declared, and for an attribute."""
    assert not takes_over(old, old.replace("self.h.t_()", "self.h = self.h.t()").replace("    h.t_()", "    h = h.t()"))
    assert not takes_over(old, old.replace("h.t_()", "new = 2"))

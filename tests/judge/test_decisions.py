"""What the warden makes of a call that it can't look at."""

from __future__ import annotations

import sys

import pytest

from inplace.judge.fence.decisions import Decisions
from inplace.judge.fence.namespaces import Own
from inplace.judge.fence.notices import Notice

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no fence")

_NOBODY = 2**22 + 1  # more than any process has for its number


@pytest.mark.parametrize("waits", [True, False])
def test_a_call_of_a_thread_that_has_ended_is_no_act(waits: bool) -> None:  # noqa: FBT001
    """A worker that a pool ends in the middle of a call takes no proof away; one that can hide its call does."""
    writes = Notice(1, _NOBODY, _NOBODY, "openat", (0, 4096, 0o101, 0, 0, 0))
    decisions = Decisions((), (), Own(), lambda _: waits)

    found = decisions.about(writes)

    assert found.refused == ("openat" if waits else None)

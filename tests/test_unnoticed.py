"""Some programs of `python -m tests.unnoticed`, which runs thousands: a recorded one does what a plain one does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commands import POSIX
from tests.unnoticed.__main__ import shrunk
from tests.unnoticed.programs import Program, random_program
from tests.unnoticed.sides import BothSides

SEEDS = range(3000, 3012)
# What programs once noticed, in a line or two each.
ONCE = [
    "warnings.warn('a', stacklevel=2); logging.warning('b', stack_info=True); print(len(inspect.stack()))",
    "print(sys._getframe().f_back, caller()); traceback.print_stack()",
    "print(weakref.getweakrefcount(t2), weakref.getweakrefs(t2))",
    "with torch.autograd.set_detect_anomaly(True): (t0 * float('nan') * w0).sqrt().sum().backward()",
    "with torch.autograd.set_detect_anomaly(True): h = w0.exp()\nweakref.finalize(h, print, 'dies'); del h; print(1)",
    "keeps.append(Dies())\n1 / 0",
    "with contextlib.suppress(RuntimeError): t5.resize_(-1, 2)",
    "def act():\n    global t3\n    for one in range(30): t3 = t3 * 1.01 + 1\n"
    "thread = threading.Thread(target=act); thread.start(); thread.join()",
    "sys.excepthook = lambda *given: traceback.print_stack()\n1 / 0",
]

pytestmark = POSIX


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothSides]:
    """A plain and a recording process, from which the runs are forked."""
    with BothSides(tmp_path_factory.mktemp("unnoticed")) as both:
        yield both


@pytest.mark.parametrize("text", ONCE)
def test_what_programs_once_noticed(text: str, sides: BothSides) -> None:
    """No program notices again what one has noticed."""
    assert sides.differences(Program((text,))) == []


def test_random_programs(sides: BothSides) -> None:
    """Output, errors, warnings, status, random state, deaths and memory are those of a plain run."""
    found = {seed: sides.differences(random_program(seed)) for seed in SEEDS}

    assert {seed: what for seed, what in found.items() if what} == {}


def test_a_difference_is_found_and_shrunk(sides: BothSides) -> None:
    """A program that asks whether it is recorded differs, and nothing else is left of it."""
    asks = "print([name for name in sys.modules if name == 'inplace.capture.record'])"
    program = Program(("t0.add_(1)", asks, "t1.exp()"))

    assert any("stdout" in one for one in sides.differences(program))
    assert shrunk(sides, program) == Program((asks,))

"""Right changes of the newer kinds, slightly broken: the judge proves none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.judge.test_proof import judged

ROWS = "p = torch.rand(5, 2)\ni = torch.tensor([0, 2])\np[i].sub_(1)\n(p[:3, 0] * x).sum().backward()\n"
KEPT = (
    "w, kept = torch.zeros(2), []\nfor t in range(3):\n    w += 1\n    kept.append(w)\n"
    "s = torch.stack(kept)\n(s[:, 0] * x).sum().backward()\n"
)
CUT = (
    "opt = torch.optim.SGD([x], lr=0.1)\nh = x.exp()\nparts = [h[0], h[1]]\nloss = torch.tensor(parts).sum()\n"
    "loss.requires_grad_()\nloss.backward()\nopt.step()\n"
)
CUT_LINE = "loss = torch.tensor(parts).sum()"
UNSEEN = "y = x.sigmoid()\ny.data.mul_(2)\ny.sum().backward()\n"

MUTANTS = {
    "lost-write: a copy still": (ROWS, "p[i].sub_(1)", "p[i].clone().sub_(1)"),
    "lost-write: a shape that does not fit": (ROWS, "p[i].sub_(1)", "p[i] -= torch.ones(7)"),
    "lost-write: under another copy": (ROWS, "p[i].sub_(1)", "rows = p[i]\nrows[:, 0].sub_(1)"),
    "lost-write: out of place and dropped": (ROWS, "p[i].sub_(1)", "p[i].sub(1)"),
    "shared-reference: an alias still": (KEPT, "    kept.append(w)", "    kept.append(w.detach())"),
    "shared-reference: a view of it": (KEPT, "    kept.append(w)", "    kept.append(w.view(2))"),
    "shared-reference: a method that is not there": (KEPT, "    kept.append(w)", "    kept.append(w.copy())"),
    "graph-detached: cut in another way": (CUT, CUT_LINE, "loss = torch.stack(parts).detach().sum()"),
    "graph-detached: another value": (CUT, CUT_LINE, "loss = torch.stack(parts).mean()"),
    "silent-corruption: a copy that is written unseen": (UNSEEN, "y.data.mul_(2)", "y = y.clone()\ny.data.mul_(2)"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_refused(name: str, tmp_path: Path) -> None:
    """It is not proved, whatever it silences."""
    text, old, new = MUTANTS[name]

    proof = judged(tmp_path, text, old, new)

    assert not proof.verified, proof.text

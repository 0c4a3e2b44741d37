# title: boolean selector assigned through its clone
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/khorrams/IGOS_pp/issues/2
import torch

def line_search(losses, base, alphas):
    active = torch.ones(len(base), dtype=torch.bool)
    for _ in range(3):
        if not active.any():
            break
        active[active.clone()] = losses[active] > base[active] - alphas[active]
        alphas[active] *= 0.5
    return alphas

torch.manual_seed(1006)
print(line_search(torch.rand(4), torch.rand(4), torch.ones(4)))

# title: audio frames without overlap from unfold multiplied in place by a window
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/98143
import torch

signal = torch.ones(8)
window = torch.tensor([0.0, 0.5, 1.0, 0.5])
frames = signal.unfold(0, 4, 4)
frames *= window
half = signal.unfold(0, 4, 2) * window
print(frames.sum(1), half.shape)

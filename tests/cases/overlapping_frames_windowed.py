# title: overlapping audio frames from unfold multiplied in place by a window
# kind: overlapping-write
# raises: none
# culprit: 14
# victim: none
# names: frames
# fix: frames = frames * window
# source: own reduction of https://github.com/pytorch/pytorch/issues/98143
import torch

signal = torch.ones(8)
window = torch.tensor([0.0, 0.5, 1.0, 0.5])
frames = signal.unfold(0, 4, 2)
frames *= window
print(frames.sum(1))

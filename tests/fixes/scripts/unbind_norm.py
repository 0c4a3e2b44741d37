# kind: multi-output-view-inplace
# new: images = torch.stack([image / (image.norm() + 1e-6) for image in images])
import torch
import torch.nn as nn

torch.manual_seed(0)


def normalise(images):
    for image in images:
        image /= image.norm() + 1e-6
    return images


enc = nn.Linear(4, 4)
normalise(enc(torch.randn(3, 4))).sum().backward()

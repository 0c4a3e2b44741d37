"""Attributions of captum for a small convolutional model."""

import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, Occlusion, Saliency
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)).eval()
image = torch.randn(1, 1, 8, 8)
IntegratedGradients(model).attribute(image, target=1, n_steps=5)
Saliency(model).attribute(image.clone().requires_grad_(), target=1)
GuidedBackprop(model).attribute(image.clone().requires_grad_(), target=1)
LayerGradCam(model, model[0]).attribute(image, target=1)
Occlusion(model).attribute(image, sliding_window_shapes=(1, 4, 4), target=1, strides=4)

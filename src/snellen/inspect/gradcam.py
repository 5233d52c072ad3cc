"""Grad-CAM: which places of a picture speak for a class, at any layer of the network.

A channel counts as much as the class's logit would rise if the channel rose everywhere. The maps of a layer, weighed
like that and added up, show where the evidence lies; what speaks against the class is cut off at 0.

Source: Selvaraju et al. 2017, section 3. It shows where a layer's evidence lies, not why it is evidence, and early
layers answer to edges everywhere: their maps say little about the class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snellen.inspect.features import recorded
from snellen.inspect.layers import Layer
from snellen.models.normalized import Classifier
from snellen.predict.predict import evaluating


def grad_cam(
    model: Classifier, images: Tensor, targets: Tensor, layers: Sequence[Layer]
) -> dict[str, NDArray[np.float32]]:
    """One map for each image and layer, in the layer's own size.

    Args:
        model: on its device; mode and gradients are left as they were.
        images: (N, C, H, W) float32 in [0, 1].
        targets: (N,) int64, the class each map is to speak for.
        layers: layers with maps.

    Returns:
        Layer key -> (N, h, w) float32 from 0 up, in units of the logit.
    """
    if not layers:
        return {}
    device = next(model.parameters()).device
    with evaluating(model, gradients=True), recorded(model, layers) as seen:
        # The picture asks for a gradient, so that there is a graph even where all weights are frozen.
        logits = model(images.detach().clone().to(device).requires_grad_(True))
        wanted = logits.gather(1, targets.to(device)[:, None]).sum()  # images do not mix: each has its own gradient
        maps = [seen[layer.key] for layer in layers]
        gradients = torch.autograd.grad(wanted, maps)
    found = {}
    for layer, own, gradient in zip(layers, maps, gradients, strict=True):
        weighed = gradient.mean(dim=(2, 3), keepdim=True) * own.detach()  # (N, C, h, w), each channel by its mean
        found[layer.key] = np.asarray(weighed.sum(dim=1).clamp_min(0).float().cpu().numpy())
    return found

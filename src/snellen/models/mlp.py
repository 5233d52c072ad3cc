"""The multi-layer perceptron: what can be learnt from pixels without knowing which ones are neighbours."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class MLP(nn.Module):
    """Two linear layers with a ReLU between them, on the flattened image."""

    def __init__(self, pixels: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(pixels, hidden)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K)."""
        out: Tensor = self.head(functional.relu(self.hidden(images.flatten(1))))
        return out


def mlp(image_shape: tuple[int, int, int], num_classes: int, *, widths: tuple[int, ...] = (512,)) -> MLP:
    """Flatten, 512 units with ReLU, one linear layer to K logits; 1,578,506 parameters for CIFAR-10.

    Args:
        image_shape: (H, W, C) in pixels; the network takes this size and no other.
        num_classes: K.
        widths: one number, the units of the hidden layer.
    """
    height, width, channels = image_shape
    return MLP(height * width * channels, widths[0], num_classes)

"""Where to look: an early, a middle and a late layer of each model.

Early layers see edges and colours, middle ones textures and parts, late ones whole things; which layer is which differs
from model to model, so it is written down here, one line each.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A layer whose maps are worth looking at.

    Attributes:
        key: "early", "middle" or "late".
        path: of the module inside a `Classifier`, as in a state dict.
        rectify: whether the model applies its ReLU to the layer's output as a function, where no hook can see it.
    """

    key: str
    path: str
    rectify: bool = False


def _layers(early: str, middle: str, late: str, *, rectify: bool = False) -> tuple[Layer, ...]:
    paths = {"early": early, "middle": middle, "late": late}
    return tuple(Layer(key, f"net.{path}", rectify) for key, path in paths.items())


_BY_MODEL: dict[str, tuple[Layer, ...]] = {
    "mlp": (),  # no maps: its units see the whole picture at once
    "plain_cnn": _layers("conv1", "conv2", "conv3", rectify=True),
    "small_cnn": _layers("bn2", "bn3", "bn4", rectify=True),
    "resnet18": _layers("layer1", "layer2", "layer4"),
    "sprint_net": _layers("block1", "block2", "block3"),
    "marathon_net": _layers("block1", "block2", "block3"),
    "efficientnet_lite0": _layers("blocks.2", "blocks.7", "head"),
    "efficientnet_lite1": _layers("blocks.3", "blocks.10", "head"),
    "efficientnet_lite2": _layers("blocks.3", "blocks.10", "head"),
}


def layers_of(model_name: str) -> tuple[Layer, ...]:
    """The layers to look at, from early to late; empty for a model without maps or one that is not listed here."""
    return _BY_MODEL.get(model_name, ())

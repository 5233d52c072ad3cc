"""The network that is exported, as a program of PyTorch's own operations, and its file (.pt2).

What is exported takes bytes of pictures and gives probabilities, so that nobody downstream can prepare them wrongly:
scaling and normalisation are inside.

Snellen writes such files and never reads one: loading can run code. Check the SHA-256 before you load yours.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from snellen.models.fuse import fuse_batch_norm
from snellen.models.normalized import Classifier
from snellen.predict.familiarity import Familiarity, distance_to


class FromPixels(nn.Module):
    """A classifier that takes what a picture file holds.

    Attributes:
        classifier: the trained one, with batch norms folded into convolutions where that is exact.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """(N, H, W, C) uint8 -> probabilities (N, K) float32."""
        return torch.softmax(self.classifier(_planes(images)), dim=1)


class WithDistance(FromPixels):
    """The same, which also says how far a picture is from the training pictures.

    Args:
        classifier: its network is a traced graph that ends in a linear layer.
        familiarity: of the run.
    """

    known: Tensor

    def __init__(self, classifier: Classifier, familiarity: Familiarity) -> None:
        super().__init__(classifier)
        self.register_buffer("known", torch.from_numpy(familiarity.known).float())
        net = classifier.net
        assert isinstance(net, fx.GraphModule)
        linear = [
            node
            for node in net.graph.nodes
            if node.op == "call_module" and isinstance(net.get_submodule(str(node.target)), nn.Linear)
        ]
        (output,) = (node for node in net.graph.nodes if node.op == "output")
        output.args = ((output.args[0], linear[-1].args[0]),)
        net.recompile()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """(N, H, W, C) uint8 -> probabilities (N, K) and distances (N,), both float32."""
        logits, features = self.classifier(_planes(images))
        return torch.softmax(logits, dim=1), distance_to(features.flatten(1), self.known)


class LargestOfMap(nn.Module):
    """`AdaptiveMaxPool2d(1)`, which PyTorch 2.6 cannot write as ONNX."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 1, 1)."""
        return maps.amax((2, 3), keepdim=True)


def _planes(images: Tensor) -> Tensor:
    if images.dtype != torch.uint8:  # numbers in [0, 1] would be divided by 255 once more, and answered wrongly
        raise TypeError(f"It takes (N, H, W, C) uint8, as picture files hold them, got {images.dtype}.")
    # `contiguous` before the cast: otherwise the exporter writes strides into the graph, as gathers.
    return images.permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255


def from_pixels(model: Classifier, familiarity: Familiarity | None = None) -> FromPixels:
    """The exportable form of a trained classifier, on the CPU in fp32; `model` stays as it was.

    With a run's `familiarity` it gives distances as well.
    """
    fused = fuse_batch_norm(model).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for name, module in list(fused.named_modules()):
        if isinstance(module, nn.AdaptiveMaxPool2d) and module.output_size in (1, (1, 1)):
            fused.set_submodule(name, LargestOfMap())
    return (FromPixels(fused) if familiarity is None else WithDistance(fused, familiarity)).eval()


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """PyTorch's exporters warn of their own internals, and log operations of torchvision as missing: none is used."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # 2.13: `isinstance(treespec, LeafSpec)`
            yield
    finally:
        logger.setLevel(before)


def to_program(model: FromPixels, image_shape: tuple[int, int, int]) -> ExportedProgram:
    """The program of a network, for any number of pictures.

    Args:
        model: in eval mode, on the CPU.
        image_shape: (H, W, C) in pixels; the program takes this size and no other.
    """
    example = torch.zeros(2, *image_shape, dtype=torch.uint8)  # 2: a batch of 1 would be taken for a constant
    with quiet_exporter():
        program = torch.export.export(model, (example,), dynamic_shapes=({0: Dim("N")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of the machine that exported
    return program


def pt2_bytes(program: ExportedProgram) -> bytes:
    """The program as the content of a .pt2 file."""
    buffer = io.BytesIO()
    with quiet_exporter():
        torch.export.save(program, buffer)
    return buffer.getvalue()

"""`torch.export`: the network as a program of PyTorch's own operations, and its file (.pt2).

Snellen writes such files and never reads one: loading can run code. Check the SHA-256 before you load yours.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.export import Dim, ExportedProgram

from snellen.export.from_pixels import FromPixels


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """PyTorch's exporter warns of its own internals (2.13: `isinstance(treespec, LeafSpec)`); nobody here can act."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


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

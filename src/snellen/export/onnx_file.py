"""ONNX: one file for every language and runtime, with preprocessing, class names and measured accuracy inside.

The exporter is PyTorch's dynamo one (2.13 calls the TorchScript one deprecated); it needs `onnxscript`. What it writes
is opset 20, the first with GELU as one node; ONNX Runtime reads it since 1.17.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from snellen.errors import MissingExtra
from snellen.export.torch_program import quiet_exporter

INPUT, OUTPUT = "images", "probabilities"
_OPSET = 20
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_BATCH = 500


def missing_packages() -> list[str]:
    """Those of the extra `snellen[export]` that are not installed."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def require_packages() -> None:
    """Raise unless ONNX files can be made and run here.

    Raises:
        MissingExtra: a package is missing; the sentence names the line that installs it.
    """
    if missing := missing_packages():
        raise MissingExtra(f"ONNX needs {', '.join(missing)}, not installed here: pip install 'snellen[export]'")


def to_onnx(program: ExportedProgram) -> bytes:
    """A program as an ONNX model: `images` (N, H, W, C) uint8 in, `probabilities` (N, K) float32 out, N free.

    The weights are inside: nothing lies in a second file.
    """
    with quiet_exporter(), _without_absent_torchvision():
        exported = torch.onnx.export(
            program, (), dynamo=True, opset_version=_OPSET, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    assert exported is not None
    model = exported.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")  # stack traces: they name folders of the machine that exported
        node.ClearField("doc_string")
    return bytes(model.SerializeToString())


def with_metadata(model: bytes, entries: Mapping[str, Any]) -> bytes:
    """The same model with these entries: text as it is, everything else as JSON."""
    import onnx

    proto = onnx.load_model_from_string(model)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in entries.items()}
    onnx.helper.set_model_props(proto, texts)
    proto.producer_name, proto.producer_version = "snellen", str(entries.get("snellen", ""))
    return bytes(proto.SerializeToString())


class OnnxSession:
    """An ONNX model in ONNX Runtime on the CPU, with as many threads as PyTorch uses.

    Args:
        model: the content of the file.
    """

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.runtime = f"onnxruntime {onnxruntime.__version__}"

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says about itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def probabilities(self, images: NDArray[np.uint8], *, batch_size: int = _BATCH) -> NDArray[np.float32]:
        """(N, H, W, C) uint8 -> (N, K) float32."""
        batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        return np.concatenate([self._session.run([OUTPUT], {INPUT: batch})[0] for batch in batches])


@contextmanager
def _without_absent_torchvision() -> Iterator[None]:
    """The exporter logs four operations of torchvision as missing; no model here has them."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)

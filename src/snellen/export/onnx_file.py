"""ONNX: one file for every language and runtime, with preprocessing, class names and measured accuracy inside.

The exporter is PyTorch's dynamo one (2.13 calls the TorchScript one deprecated); it needs `onnxscript`. What it writes
is opset 20, the first with GELU as one node; ONNX Runtime reads it since 1.17.

The int8 form is ONNX Runtime's static quantisation. The ranges of the activations are measured on training images: val
images would flatter the accuracy that is stated beside the file, because it is measured on them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError, MissingExtra
from snellen.export.torch_program import quiet_exporter
from snellen.predict.predict import images_at_once
from snellen.runs.atomic import write_bytes

INPUT, OUTPUT, DISTANCE = "images", "probabilities", "distance"
_OPSET = 20
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
CALIBRATION_IMAGES = 512
_CALIBRATION_BATCH = 64
_QUANTIZED = ["Conv", "Gemm", "MatMul"]


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

    Where the program gives a second output, it is `distance` (N,) float32, that of `predict.familiarity`.
    The weights are inside: nothing lies in a second file.
    """
    names = [OUTPUT, DISTANCE][: len(program.graph_signature.user_outputs)]
    with quiet_exporter():
        exported = torch.onnx.export(
            program, (), dynamo=True, opset_version=_OPSET, input_names=[INPUT], output_names=names, verbose=False
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


def quantized(model: bytes, images: LabeledImages) -> bytes:
    """An ONNX model with its convolutions and matrix products in int8, one scale per output channel.

    Args:
        model: made by `to_onnx`; preprocessing and softmax stay in float.
        images: training images; up to `CALIBRATION_IMAGES` of them, evenly spread, set the activations' ranges.

    Raises:
        DataError: the images are not training images.
    """
    if images.role not in ("train", "train+val"):
        raise DataError(f"Int8 ranges are measured on training images only; these have the role {images.role!r}.")
    from onnxruntime import quantization

    with TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / name for name in ("fp32.onnx", "prepared.onnx", "int8.onnx"))
        write_bytes(source, model)
        quantization.shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(target),
            _reader(images.images[images.evenly(CALIBRATION_IMAGES)]),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,  # 7 bits of weight: without VNNI the sums of 16 bits overflow at 8
            op_types_to_quantize=_QUANTIZED,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return target.read_bytes()


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

    def probabilities(self, images: NDArray[np.uint8], *, batch_size: int | None = None) -> NDArray[np.float32]:
        """(N, H, W, C) uint8 -> (N, K) float32."""
        return self._output(OUTPUT, images, batch_size)

    def distances(self, images: NDArray[np.uint8], *, batch_size: int | None = None) -> NDArray[np.float32]:
        """(N, H, W, C) uint8 -> (N,) float32, of a file that gives them."""
        return self._output(DISTANCE, images, batch_size)

    def _output(self, name: str, images: NDArray[np.uint8], batch_size: int | None) -> NDArray[np.float32]:
        batch_size = batch_size or images_at_once(images.shape[1:])
        batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        return np.concatenate([self._session.run([name], {INPUT: batch})[0] for batch in batches])


def _reader(images: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Batches(CalibrationDataReader):  # type: ignore[misc]
        """The images in the form ONNX Runtime asks for them: one batch a call, then None."""

        def __init__(self) -> None:
            at_once = min(_CALIBRATION_BATCH, images_at_once(images.shape[1:]))
            batches = np.split(images, range(at_once, len(images), at_once))
            self._batches: Iterator[NDArray[np.uint8]] = iter(batches)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Batches()

"""Int8: an ONNX model with 8-bit weights and activations, by ONNX Runtime's static quantisation.

The ranges of the activations are measured on training images. Val images would flatter the accuracy that is stated
beside the file, because it is measured on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError
from snellen.export.onnx_file import INPUT
from snellen.runs.atomic import write_bytes

CALIBRATION_IMAGES = 512
_BATCH = 64
_QUANTIZED = ["Conv", "Gemm", "MatMul"]


def quantized(model: bytes, images: LabeledImages) -> bytes:
    """An ONNX model with its convolutions and matrix products in int8, one scale per output channel.

    Args:
        model: made by `onnx_file.to_onnx`; preprocessing and softmax stay in float.
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
            _reader(_evenly(images.images, CALIBRATION_IMAGES)),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,  # 7 bits of weight: without VNNI the sums of 16 bits overflow at 8
            op_types_to_quantize=_QUANTIZED,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return target.read_bytes()


def _evenly(images: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.int64)]


def _reader(images: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Batches(CalibrationDataReader):  # type: ignore[misc]
        """The images in the form ONNX Runtime asks for them: one batch a call, then None."""

        def __init__(self) -> None:
            self._batches: Iterator[NDArray[np.uint8]] = iter(np.split(images, range(_BATCH, len(images), _BATCH)))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Batches()

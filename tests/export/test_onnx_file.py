"""Quantisation looks at training images and at nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.splits import split
from snellen.errors import DataError
from snellen.export import onnx_file
from snellen.export.onnx_file import quantized


def test_ranges_are_not_measured_on_val_images(plain_onnx: bytes, val: LabeledImages) -> None:
    with pytest.raises(DataError, match="on training images only; these have the role 'val'"):
        quantized(plain_onnx, val)


def test_convolutions_have_8_bit_weights_and_preprocessing_stays_in_float(
    plain_onnx: bytes, tiny_dataset: Dataset
) -> None:
    graph = onnx.load_model_from_string(quantized(plain_onnx, split(tiny_dataset).train)).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 4
    for node in convolutions:
        weights = made_by[node.input[1]]
        assert weights.op_type == "DequantizeLinear"
        assert stored[weights.input[0]].data_type == onnx.TensorProto.INT8
        # Of 7 bits: two products of 8 bits overflow the 16 in which a processor without VNNI adds them.
        assert 60 <= abs(onnx.numpy_helper.to_array(stored[weights.input[0]]).astype(int)).max() <= 64
        channels = stored[weights.input[0]].dims[0]
        assert list(stored[weights.input[1]].dims) == [channels]  # a scale each
        values = made_by[node.input[0]]
        assert stored[values.input[2]].data_type == onnx.TensorProto.UINT8
    read_in_int8 = {
        node.op_type for node in graph.node
        if any(each in made_by and made_by[each].op_type == "DequantizeLinear" for each in node.input)
    }  # fmt: skip
    assert read_in_int8 <= {"Conv", "Gemm", "MatMul", "Relu", "Softmax"}  # the last two take what the others give
    operations = [node.op_type for node in graph.node]
    assert operations.index("Cast") < operations.index("QuantizeLinear")
    assert operations[-1] == "Softmax"


def test_as_many_pictures_at_once_as_their_size_allows(
    plain_onnx: bytes, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(onnx_file, "images_at_once", lambda shape: asked.append(shape) or 7)
    images = split(tiny_dataset).train.images[:20]
    session = onnx_file.OnnxSession(plain_onnx)
    np.testing.assert_allclose(
        session.probabilities(images), session.probabilities(images, batch_size=20), rtol=0, atol=1e-6
    )
    assert [len(batch["images"]) for batch in iter(onnx_file._reader(images).get_next, None)] == [7, 7, 6]
    assert asked == [images.shape[1:]] * 2

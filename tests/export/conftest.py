"""A run of a second and its exports, made once for all tests of this room."""

from __future__ import annotations

import pytest

from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.splits import split
from snellen.export.onnx_file import to_onnx
from snellen.export.torch_program import from_pixels, to_program
from snellen.export.write import FORMATS, Export, export_run
from snellen.models.weights import restore
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'snellen[export]'")


@pytest.fixture(scope="session")
def val(tiny_dataset: Dataset) -> LabeledImages:
    images = split(tiny_dataset).val
    assert images is not None
    return images


@pytest.fixture(scope="session")
def exported(finished_run: Run, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Every format of `finished_run`, shared by all tests: read the folder, never write to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: tiny_dataset)
        return export_run(finished_run, FORMATS, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="session")
def expected(finished_run: Run, val: LabeledImages) -> Predictions:
    """What the run's model answers in fp32."""
    return predict(restore(finished_run), val)


@pytest.fixture(scope="session")
def plain_onnx(finished_run: Run) -> bytes:
    """The run's model as ONNX, before it says anything about itself."""
    return to_onnx(to_program(from_pixels(restore(finished_run)), (32, 32, 3)))


@pytest.fixture(scope="session")
def tampered_onnx(plain_onnx: bytes) -> bytes:
    """The same file with one convolution a tenth stronger."""
    import onnx

    proto = onnx.load_model_from_string(plain_onnx)
    weights = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 4)
    weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * 1.1, weights.name))
    return bytes(proto.SerializeToString())

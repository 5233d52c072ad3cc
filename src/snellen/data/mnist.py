"""MNIST and Fashion-MNIST from their official files: ten classes of grey pictures of 28x28 pixels.

60,000 to learn from and 10,000 to be judged by, in the format that both share (IDX, https://yann.lecun.com/exdb/mnist;
https://github.com/zalandoresearch/fashion-mnist): a few big-endian numbers that give type and shape, then the bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.published import Published
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PACKED = tuple(f"{name}.gz" for name in FILES)
MNIST = Published(
    name="mnist",
    title="MNIST",
    folder="MNIST/raw",  # as torchvision lays them
    md5=dict(zip(FILES, ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
                         "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"), strict=True)),
    fetched=dict(zip(PACKED, ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
                              "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"), strict=True)),
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
    mebibytes=11,
)  # fmt: skip
FASHION = Published(
    name="fashion_mnist",
    title="Fashion-MNIST",
    folder="FashionMNIST/raw",
    md5=dict(zip(FILES, ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9",
                         "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"), strict=True)),
    fetched=dict(zip(PACKED, ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                              "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"), strict=True)),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
             "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"),
    mebibytes=30,
)  # fmt: skip
CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                      "Ankle boot"),
}  # fmt: skip
TRAIN_IMAGES, TEST_IMAGES, SIDE = 60_000, 10_000, 28
_UNSIGNED_BYTE = 8  # of IDX


def read(published: Published, folder: Path) -> Dataset:
    """One of the two from its folder: 60,000 images (28, 28, 1) uint8, test sealed.

    Raises:
        DataNotFound: files are missing.
        ChecksumMismatch: a file is not the published one; both sums are named, the file is left alone.
    """
    published.require_complete(folder)
    test = SealedImages(
        lambda: _images(published, folder, "t10k", TEST_IMAGES),
        name=published.name,
        count=TEST_IMAGES,
        identity=f"{published.name}, t10k, MD5 {published.md5['t10k-images-idx3-ubyte']}",
    )
    return Dataset(published.name, _images(published, folder, "train", TRAIN_IMAGES), test, source=str(folder))


def _images(published: Published, folder: Path, part: str, count: int) -> LabeledImages:
    pixels = _array(published, folder, f"{part}-images-idx3-ubyte", (count, SIDE, SIDE))[..., None]
    labels = _array(published, folder, f"{part}-labels-idx1-ubyte", (count,)).astype(np.int64)
    ids = np.arange(count, dtype=np.int64)
    return LabeledImages(pixels, labels, CLASS_NAMES[published.name], ids, "all", published.name)


def _array(published: Published, folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    content, header = published.content(folder, name), bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    start = header + np.array(shape, dtype=">u4").tobytes()
    if not content.startswith(start) or len(content) != len(start) + int(np.prod(shape)):
        raise DataError(f"{folder / name} does not hold {' x '.join(map(str, shape))} bytes in IDX. Download it again.")
    return np.frombuffer(content, dtype=np.uint8, offset=len(start)).reshape(shape).copy()

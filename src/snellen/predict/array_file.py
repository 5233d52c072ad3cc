"""Arrays out of an .npz that may come from anywhere: of the kinds expected, no larger than they are, and no objects.

NumPy's own reader makes room for whatever a header promises before it looks for the values, and takes any dtype.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from tokenize import TokenError
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

MAX_BYTES = 2**30
"""Of all arrays of a file together, unpacked; 50,000 images of 1,000 classes with views take 400 million."""

_BROKEN = (
    LookupError, ValueError, EOFError, OSError, RuntimeError, ArithmeticError, SyntaxError, MemoryError, struct.error,
    TokenError, BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(content: bytes, kinds: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz by name.

    Args:
        content: the file.
        kinds: dtype of each array that may be in it; others are not looked at.

    Raises:
        ValueError: it is no such file, larger than `MAX_BYTES` unpacked, or an array is of another kind.
    """
    try:
        with ZipFile(io.BytesIO(content)) as file:
            members = {info.filename: info for info in file.infolist()}
            wanted = {name: members[f"{name}.npy"] for name in kinds if f"{name}.npy" in members}
            if (size := sum(info.file_size for info in wanted.values())) > MAX_BYTES:
                raise ValueError(f"it unfolds to {size:,} bytes; at most {MAX_BYTES:,} are read")
            if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in wanted.values()):
                raise ValueError("it is compressed in a way that NumPy never does")
            return {name: _array(name, file.read(info), np.dtype(kinds[name])) for name, info in wanted.items()}
    except _BROKEN as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _array(name: str, content: bytes, kind: np.dtype[Any]) -> NDArray[Any]:
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, found = read_header(file)
    if found != kind:
        raise ValueError(f"{name} is of {found}; it must be {kind}")
    values = np.frombuffer(content, dtype=kind, offset=file.tell())
    # A copy, aligned and writable; a shape that promises more than is there does not fit, and costs nothing.
    return values.reshape(shape, order="F" if by_columns else "C").copy()

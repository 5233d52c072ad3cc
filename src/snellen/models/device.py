"""The device a model lives on, and what glibc's allocator does with memory that it frees.

glibc returns every large block to the kernel at once and takes it back, zeroed page by page, at the next step. For
activations of some hundred megabytes that costs more than pooling and norms together; measured in results/LOG.md. So a
training keeps it. Of smaller blocks glibc keeps many, in pieces; a viewer that is asked all day gives them back.
"""

from __future__ import annotations

import ctypes
import functools
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from snellen.errors import InvalidSetting
from snellen.runs.run import Run

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


def choose_device(name: str) -> torch.device:
    """The device called "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        InvalidSetting: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(kind, False):
        here = ", ".join(key for key, found in available.items() if found)
        raise InvalidSetting(f"--device {name} is not available here; available: {here}.")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InvalidSetting(f"--device {name} is not a device: {str(error).splitlines()[0]}") from error


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bf16 itself; where that is put together from other formats, fp32 is faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and (has_instructions("avx512_bf16") or has_instructions("amx_bf16"))


def has_instructions(name: str) -> bool:
    """Whether this processor has "avx512_bf16" or "amx_bf16"."""
    if hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get(name, False))
    older = {"avx512_bf16": torch.cpu._is_avx512_bf16_supported, "amx_bf16": torch.cpu._is_amx_tile_supported}
    return older[name]()  # of these, tiles and their products in bf16 came with one processor


def answers_in_bf16(run: Run, device: torch.device) -> bool:
    """Whether a run's network is asked in bf16 here, of new pictures and for looks inside: graded so, and fast here.

    What repeats or continues a grade is computed as the grade was, however slow that is here.
    """
    return bool(run.info["precision"] == "bf16") and computes_bf16(device)


@contextmanager
def default_settings() -> Iterator[None]:
    """Inside, PyTorch's settings are its own defaults, whatever a caller's program has made of them.

    float32 tensors on the CPU unless asked otherwise, gradients, no autocast, and products of float32 in float32:
    a training or an answer is the same from every program.
    """
    dtype, products = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":  # `get_default_device` of PyTorch 2.6 overlooks `with torch.device(…)`
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(products)


@contextmanager
def threads(count: int | None = None) -> Iterator[None]:
    """So many threads inside, None: as many as now; afterwards those of before, whatever other libraries chose."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; returns whether this system has that switch."""
    if not _has_glibc():
        return False
    libc = ctypes.CDLL(None)
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 256 << 20))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


def return_freed_memory() -> None:
    """Give back what is free now: where blocks of the old size fit no longer, or nobody needs them soon."""
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


@functools.cache  # `libc_ver` reads through the interpreter's file
def _has_glibc() -> bool:
    return platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"

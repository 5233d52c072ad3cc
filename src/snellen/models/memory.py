"""What glibc's allocator does with freed memory on Linux: kept inside the process, or given back.

glibc returns every large block to the kernel at once and takes it back, zeroed page by page, at the next step. For
activations of some hundred megabytes that costs more than pooling and norms together; measured in results/LOG.md. So a
training keeps it. Of smaller blocks glibc keeps many, in pieces; a viewer that is asked all day gives them back.
"""

from __future__ import annotations

import ctypes
import functools
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


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

"""One heap of the C library for all threads, large blocks given back to the system.

A forward pass allocates some hundred MB in blocks of ever other sizes. glibc gives each thread a heap of its own, and
after the first large block that is freed keeps all later ones, up to 32 MB, in them. Here blocks of 4 MB and more go
back at once, so that a rare long request does not raise memory for good. Smaller ones stay: given back from 0.25 MB on,
scoring took twice as long.

This is not what keeps memory flat: in 160 passes of mixed lengths with the demo model, memory ended within 2 % of what
it is without these settings, at the same speed or a few per cent more. What made it grow was kernels kept for every
shape; see `rerank_engine/__init__.py` and models/products.py.
"""

import ctypes
import os

# From glibc's malloc.h. https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 4 * 2**20
_KEPT_BYTES = 128 * 2**20


def steady_heap() -> bool:
    """Set glibc's allocator for this process; to be called before threads start. Whether it did.

    Left alone: another C library, and settings that the environment makes itself (MALLOC_*, GLIBC_TUNABLES).
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018 -- other libraries have a mallopt that does nothing
    except (OSError, AttributeError, TypeError):
        return False
    chosen = ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES))
    return all(mallopt(parameter, value) == 1 for parameter, value in chosen)

"""One heap of the C library for all threads, which keeps what a forward pass needs again at once.

A pass allocates some hundred MB in blocks of ever other sizes. glibc gives each thread a heap of its own, and large
blocks back to the system when they are freed: the next layer takes them anew, with a page fault every 4 KB. Four passes
of 16,384 tokens at the shape of tiny made 400,000 of those; kept, they make none (3.7 s, not 4.3, in one run).

A heap that keeps everything also keeps the gaps between what lives on: ten minutes of mixed lengths took it from 458 to
505 MB. So every half minute, between two passes, what is free goes back after all; that takes 3 ms.

Memory would grow without all this, too, by kernels kept for every shape: see `rerank_engine/__init__.py` and
models/products.py.
"""

import ctypes
import os
import time
from collections.abc import Callable

# From glibc's malloc.h. https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 32 * 2**20  # the most that the page above allows
_KEPT_BYTES = 512 * 2**20
_EVERY_S = 30.0


class _Tidy:
    """When free pages were last given back, and how: `trim` is None until `steady_heap` has set the allocator."""

    trim: Callable[[int], int] | None = None
    last = 0.0


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
    done = all(mallopt(parameter, value) == 1 for parameter, value in chosen)
    if done:
        _Tidy.trim, _Tidy.last = ctypes.CDLL(None).malloc_trim, time.monotonic()
    return done


def give_back(clock: Callable[[], float] = time.monotonic) -> bool:
    """Return free pages to the system if half a minute has passed since that was last done. Whether it did.

    To be called between forward passes. Does nothing where `steady_heap` was not called, or left the allocator alone.
    """
    if _Tidy.trim is None or clock() - _Tidy.last < _EVERY_S:
        return False
    _Tidy.last = clock()
    _Tidy.trim(0)
    return True

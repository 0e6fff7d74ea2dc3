"""Keeps the C library's heap from growing under load.

A forward pass allocates some hundred MB in blocks of ever other sizes. glibc learns from the first large block that is
freed to keep all later ones, up to 32 MB, in its heap, which then breaks into pieces: measured at twice the capacity of
a small model, resident memory went from 475 to 890 MB in a minute and on. With large blocks given back to the system
at once, and one heap for all threads, it levels off at 540 MB; throughput is the same.
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

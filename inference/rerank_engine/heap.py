"""One heap of the C library for all threads, which keeps what a forward pass needs again at once.

A pass allocates some hundred MB in blocks of ever other sizes. glibc gives each thread a heap of its own, and large
blocks back to the system when they are freed: the next layer takes them anew, with a page fault every 4 KB. Four passes
of 16,384 tokens at the shape of tiny made 400,000 of those; kept, they make none (3.7 s, not 4.3, in one run). Memory
then stays at what the largest passes took, which the token budget bounds.

This is not what keeps memory flat: kernels kept for every shape made it grow; see `rerank_engine/__init__.py` and
models/products.py.
"""

import ctypes
import os

# From glibc's malloc.h. https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 32 * 2**20  # the most that the page above allows
_KEPT_BYTES = 512 * 2**20


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

"""A gzip writer that stores instead of compressing.

Weights hardly shrink, unpacking stored blocks runs at the speed of the disk when an instance starts, and the bytes do
not depend on the zlib that this Python was built with (zlib-ng compresses differently from zlib).

Formats: RFC 1952 (gzip), RFC 1951 section 3.2.4 (stored blocks).
"""

import struct
import zlib
from typing import BinaryIO

_BLOCK_BYTES = 65_535  # the most that a stored block holds
# Magic, method deflate, no flags (so no file name), mtime 0, no extra flags, operating system unknown.
_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))


class StoredGzip:
    """Writes to `target` what is written to it, wrapped as gzip; `close` ends the stream but leaves `target` open."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._pending = bytearray()
        self._crc = 0
        self._size_bytes = 0
        target.write(_HEADER)

    def write(self, data: bytes) -> int:
        """Appends `data`; returns its length."""
        self._crc = zlib.crc32(data, self._crc)
        self._size_bytes += len(data)
        self._pending += data
        done = 0
        while len(self._pending) - done > _BLOCK_BYTES:  # at least one byte is kept for the final block
            self._block(self._pending[done : done + _BLOCK_BYTES], final=False)
            done += _BLOCK_BYTES
        del self._pending[:done]
        return len(data)

    def tell(self) -> int:
        """How many bytes were written to it."""
        return self._size_bytes

    def close(self) -> None:
        """Writes the final block, the checksum and the length."""
        self._block(self._pending, final=True)
        self._target.write(struct.pack("<II", self._crc, self._size_bytes & 0xFFFFFFFF))

    def _block(self, data: bytes | bytearray, *, final: bool) -> None:
        self._target.write(struct.pack("<BHH", int(final), len(data), len(data) ^ 0xFFFF))
        self._target.write(data)

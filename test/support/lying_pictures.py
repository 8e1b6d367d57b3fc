"""Compressed pictures whose header lies."""

import struct
import zlib


def claiming(size: int, data: bytes) -> bytes:
    """Return a PNG or JPEG with a header that claims `size` x `size` pixels."""
    if data.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", size, size) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    frame = data.index(b"\xff\xc0") + 5  # behind marker, length and bits: height, width
    return data[:frame] + struct.pack(">HH", size, size) + data[frame + 4 :]

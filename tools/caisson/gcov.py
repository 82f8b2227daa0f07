# SPDX-License-Identifier: MIT
"""What coverage builds send through the debug console (tests/coverage/dump.c)."""
import struct


def records(path):
    """(file name, contents of its .gcda) from one machine's stream."""
    data, at = open(path, "rb").read(), 0
    while data[at:at + 4] == b"GCDA" and len(data) >= at + 12:
        name_size, size = struct.unpack_from("<II", data, at + 4)
        start = at + 12 + name_size
        if start + size > len(data):
            break  # the machine was ended meanwhile
        yield data[at + 12:start].decode(), data[start:start + size]
        at = start + size


def functions(data):
    """(identity, counters) of each function in a .gcda."""
    at = 16
    while struct.unpack_from("<I", data, at)[0]:
        length, = struct.unpack_from("<I", data, at + 24)
        yield data[at + 8:at + 20], struct.unpack_from(f"<{length // 8}Q", data, at + 28)
        at += 28 + length

"""Numbers that tests/hashed.h makes too: what golden values are computed from."""


def hash32(stream, i):
    """lowbias32 (Wellons) of a counter."""
    x = (i + stream * 0x9E3779B9) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    return x ^ x >> 16


def unit(stream, i):
    """In [-1/2, 1/2), a multiple of 2^-24: exact in float32."""
    return (hash32(stream, i) >> 8) / 2**24 - 0.5


def name_hash(name):
    """FNV-1a."""
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 & 0xFFFFFFFF
    return h

#!/usr/bin/env python3
"""Writes rounding.txt: what bfloat16, float16 and int8 blocks must make of float32 numbers.

float16 comes from numpy, bfloat16 from exact fractions (the nearest of the two neighbours, of two equally near the one
whose last bit is 0), int8 from numpy's float32 division and rint. Numbers are hexadecimal bit patterns.

    /usr/bin/python3 make_rounding.py > rounding.txt          (Debian 12, python3-numpy 1.24)
"""
import hashlib
import struct
from fractions import Fraction

import numpy as np


def bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def value_of(pattern):
    return struct.unpack("<f", struct.pack("<I", pattern))[0]


def bfloat16(pattern):
    sign, magnitude = pattern >> 31, pattern & 0x7FFFFFFF
    lower = magnitude >> 16
    if lower >= 0x7F7F:
        return sign << 15 | 0x7F7F  # nothing above: no infinity comes of a finite number
    exact = Fraction(value_of(magnitude))
    below, above = Fraction(value_of(lower << 16)), Fraction(value_of((lower + 1) << 16))
    if exact - below > above - exact or (exact - below == above - exact and lower & 1):
        lower += 1
    return sign << 15 | lower


def float16(pattern):
    with np.errstate(over="ignore"):
        half = int(np.array([pattern], np.uint32).view(np.float32).astype(np.float16).view(np.uint16)[0])
    return half & 0x8000 | 0x7BFF if half & 0x7FFF == 0x7C00 else half


def patterns():
    edges = [0, 1, 2, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F7F0000, 0x7F7F7FFF, 0x7F7F8000, bits(65504.0),
             bits(65519.996), bits(65520.0), bits(65535.0), bits(65536.0), bits(2.0**-14), bits(2.0**-24),
             bits(2.0**-25), bits(2.0**-26), bits(3 * 2.0**-25), bits(1.0), bits(127.5)]
    for edge in edges:
        for step in (-1, 0, 1):
            if 0 <= edge + step <= 0x7F7FFFFF:
                yield edge + step
    random = np.random.default_rng(7)
    for _ in range(300):  # any finite number
        yield int(random.integers(0, 0x7F800000))
    for _ in range(300):  # between halves: ties and their neighbours
        yield (int(random.integers(bits(2.0**-26), bits(65536.0))) & ~0x1FFF | 0x1000) + int(random.integers(-1, 2))
    for _ in range(100):  # between denormal halves
        yield bits((int(random.integers(0, 1024)) + 0.5) * 2.0**-24) + int(random.integers(-1, 2))
    for _ in range(300):  # between bfloat16s
        yield (int(random.integers(0, 0x7F7F)) << 16 | 0x8000) + int(random.integers(-1, 2))


def int8_blocks(values):
    steps, numbers = [], []
    for first in range(0, len(values), 256):
        group = values[first:first + 256]
        step = np.float32(np.max(np.abs(group)) / np.float32(127))
        steps.append(step)
        numbers += [int(q) for q in np.clip(np.rint(group / step), -127, 127)]
    return steps, numbers


print("# float32 bfloat16 float16, made by make_rounding.py")
for pattern in patterns():
    for sign in (0, 0x80000000):
        print(f"number {pattern | sign:08x} {bfloat16(pattern | sign):04x} {float16(pattern | sign):04x}")

decoded = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
decoded = np.where(np.isnan(decoded), np.float32(0), decoded)
print("# SHA-256 of the float32 numbers that the 65,536 halves stand for, with 0 in place of NaN")
print("halves", hashlib.sha256(decoded.astype("<f4").tobytes()).hexdigest())

values = np.random.default_rng(8).standard_normal(600).astype(np.float32)
values[256:512] = np.arange(-128, 128) * 0.25
values[256] = 63.5  # so the step is 0.5, and every other number a tie
steps, numbers = int8_blocks(values)
print("# int8 blocks of 600 numbers: steps, then number and result")
print("steps", *(f"{bits(step):08x}" for step in steps))
for value, number in zip(values, numbers):
    print(f"int8 {bits(value):08x} {number}")

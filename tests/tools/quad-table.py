#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/programs/quad-table.h: arguments and right values of functions of long double (needs python3-mpmath)."""

import random
import sys

import mpmath
from mpmath import mpf

mpmath.mp.prec = 500
numbers = random.Random(17)


def encode(x):
    """The 128 bits nearest to x."""
    if mpmath.isnan(x):
        return 0x7FFF8 << 108
    sign, x = (1, -x) if x < 0 else (0, x)
    if x == mpmath.inf:
        bits = 0x7FFF << 112
    elif x == 0:
        bits = 0
    else:
        exponent = max(mpmath.frexp(x)[1] - 1, -16382)
        # A carry out of the fraction goes into the exponent, where it belongs.
        bits = int(mpmath.nint(mpmath.ldexp(x, 112 - exponent))) + ((exponent + 16382) << 112)
        bits = min(bits, 0x7FFF << 112)
    return sign << 127 | bits


def decode(bits):
    exponent, fraction = bits >> 112 & 0x7FFF, bits & (1 << 112) - 1
    value = mpmath.ldexp(fraction | (1 << 112 if exponent else 0), max(exponent, 1) - 16383 - 112)
    return -value if bits >> 127 else value


def quad(x):
    return decode(encode(mpf(x)))


def between(low, high):
    return quad(mpf(low) + (mpf(high) - mpf(low)) * numbers.getrandbits(200) / mpf(2) ** 200)


def lgamma(x):
    return mpmath.log(abs(mpmath.gamma(x))) if x < 3000 else mpmath.loggamma(x).real


TINY, SMALLEST, LARGEST = "0x1p-16382", "0x1p-16494", "0x1.ffffffffffffffffffffffffffffp16383"
LIMITS = {TINY: mpf(2) ** -16382, SMALLEST: mpf(2) ** -16494, LARGEST: (2 - mpf(2) ** -112) * mpf(2) ** 16383}
EXPONENTIAL = [
    0,
    1,
    -1,
    "0.3",
    "-0.3",
    "1e-20",
    1000,
    -1000,
    "11356.5",
    -11350,
    -11400,
    11357,
    (-1, 1),
    (-1, 1),
    (-700, 700),
    (700, 11000),
]
LOGARITHM = [
    1,
    2,
    "0.5",
    "1e400",
    "1e-400",
    "1e4000",
    TINY,
    SMALLEST,
    LARGEST,
    "0.99999999999999999999999",
    "1.00000000000000000000001",
    (0.5, 2),
    (0.5, 2),
    (2, 1000),
    (0, 1),
]
HYPERBOLIC = [0, "1e-25", "-0.2", "0.2", 1, -1, 40, -200, 5000, -11000, "11357", (-1, 1), (-1, 1), (-50, 50), (20, 100)]
# name: (function, units in the last place that are allowed, arguments: values or ranges to choose from)
FUNCTIONS = {
    "expl": (mpmath.exp, 3, EXPONENTIAL),
    "exp10l": (lambda x: mpf(10) ** x, 4, [0, 1, -1, "0.3", 400, -400, 4932, -4940, (-1, 1), (-4000, 4900)]),
    "expm1l": (mpmath.expm1, 3, EXPONENTIAL),
    "logl": (mpmath.log, 3, LOGARITHM),
    "log2l": (lambda x: mpmath.log(x) / mpmath.log(2), 3, LOGARITHM),
    "log10l": (lambda x: mpmath.log(x) / mpmath.log(10), 3, LOGARITHM),
    "log1pl": (
        mpmath.log1p,
        3,
        [
            0,
            "1e-30",
            "-1e-30",
            "-0.5",
            "-0.999999999999999999999",
            1,
            "1e400",
            LARGEST,
            (-0.9, 1),
            (-0.9, 1),
            (1, 1000),
        ],
    ),
    "sinhl": (mpmath.sinh, 3, HYPERBOLIC),
    "coshl": (mpmath.cosh, 3, HYPERBOLIC),
    "tanhl": (mpmath.tanh, 3, HYPERBOLIC),
    "asinhl": (
        mpmath.asinh,
        3,
        [0, "1e-30", "0.3", "-0.3", 1, -5, "1e400", "-1e4000", LARGEST, (-1, 1), (-1, 1), (-100, 100)],
    ),
    "acoshl": (
        mpmath.acosh,
        3,
        [1, "1.0000000000000000000001", "1.3", 2, 10, "1e400", LARGEST, (1, 2), (1, 2), (2, 1000)],
    ),
    "erfl": (mpmath.erf, 3, [0, "1e-30", "0.3", -1, 2, 5, 8, 9, (-2, 2), (-2, 2), (0, 6)]),
    "erfcl": (mpmath.erfc, 4, ["1e-30", "0.3", -1, 2, 5, 27, 60, 106, 107, (-2, 2), (0, 6), (6, 100)]),
    "lgammal": (
        lgamma,
        4,
        ["1e-30", "0.3", 1, 2, 3, "1.5", "2.5", 10, 100, 1755, "1e10", (0, 3), (0, 3), (3, 20), (20, 1000)],
    ),
    "tgammal": (
        mpmath.gamma,
        7,
        [
            "1e-30",
            "0.3",
            1,
            2,
            3,
            "0.5",
            "2.5",
            10,
            "33.9",
            "34.1",
            170,
            172,
            1755,
            "1755.5",
            1756,
            "-0.5",
            "-1.5",
            "-30.25",
            "-1750.5",
            "-1765.5",
            (0, 3),
            (3, 34),
            (34, 1700),
            (-30, 0),
        ],
    ),
}
POWERS = [
    ("1.5", 1000),
    (2, "0.5"),
    (10, 4000),
    (10, -4940),
    ("0.999999999999", "1e15"),
    (-3, 7),
    ("1e-300", "-15.5"),
    (3, "10000.5"),
    (LARGEST, "0.999"),
    (TINY, "0.5"),
    (2, 16384),
    (2, -16494),
]
REMAINDERS = [
    (1 + mpf(2) ** -112, "0.75"),
    (3, 1 + mpf(2) ** -112),
    (1, quad("0.1")),
    ("1e4000", quad("0.7")),
    (-5, 2),
    (5, 2),
    (7, 2),
    (LARGEST, SMALLEST),
]

COMPLEX = {
    "cexpl": (mpmath.exp, [(1, 2), (-700, "0.1"), ("11356.5", "1e-5"), (-11380, 3)]),
    "csinhl": (mpmath.sinh, [(1, 2), ("0.001", -3), ("11357", "1e-5"), ("-11357", "0.7")]),
    "ccoshl": (mpmath.cosh, [(1, 2), ("0.001", -3), ("11357", "1e-5"), ("-11357", "0.7")]),
    "ctanhl": (mpmath.tanh, [(1, 2), ("0.001", -3), (40, "0.5"), (-60, "0.7")]),
    "csqrtl": (mpmath.sqrt, [(1, 2), ("-2.5", "1e-20"), ("1e4900", "-1e4932"), ("-1e-4900", "-1e-4920")]),
}


def value(argument):
    if isinstance(argument, tuple):
        return between(*argument)
    return LIMITS.get(argument) or quad(argument)


def words(*values):
    return ", ".join(f"0x{bits >> 64:016x}, 0x{bits & (1 << 64) - 1:016x}" for bits in map(encode, values))


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: quad-table.py OUTPUT")
    with open(sys.argv[1], "w", encoding="utf-8") as output:
        output.write("/* SPDX-License-Identifier: MIT */\n")
        output.write("/* Written by tests/tools/quad-table.py: high and low words of arguments and results. */\n")
        for name, (function, units, arguments) in FUNCTIONS.items():
            values = map(value, arguments)
            output.writelines(f"ONE({name}, {units}, {words(x, function(x))})\n" for x in values)
        for pair in POWERS + [((0.5, 2), (-500, 500))] * 4:
            x, y = map(value, pair)
            output.write(f"TWO(powl, 3, {words(x, y, mpmath.power(x, y))})\n")
        for name, (function, arguments) in COMPLEX.items():
            for pair in arguments:
                x, y = map(value, pair)
                result = function(mpmath.mpc(x, y))
                output.write(f"COMPLEX({name}, 6, {words(x, y, result.real, result.imag)})\n")
        for pair in REMAINDERS + [((0, 1000), (0, 1))] * 8:
            x, y = map(value, pair)
            with mpmath.workprec(33000):
                quotient = int(mpmath.nint(x / y))
                low = quotient & 7 if quotient >= 0 else -(-quotient & 7)
                output.write(f"REMAINDER({words(x, y, x - quotient * y)}, {low})\n")


main()

#!/usr/bin/env python3
"""Makes the resampler's filter tables, core/src/audio/filters/{from_*,multiples}.rs.

Run it from anywhere with Python 3.8 or later; it needs the standard library only:

    python3 core/filters/make_filters.py             writes the tables
    python3 core/filters/make_filters.py --check     exits 1 if a written table differs from what it would write

Every filter is one low pass, sinc times Kaiser window, with its middle at 4 kHz: a telephone's pass band ends at
3.4 kHz, so the stop band begins at 4.6 kHz, whose alias at 8 kHz is 3.4 kHz. The low pass is sampled at
`phases` times the source rate and split into rows (phases). Row p holds the taps for an output sample that lies
p / phases of a source sample after a source sample:

    row[p][m] = h(p / phases - (m - taps / 2 + 1)),  m in 0..taps, h symmetric, in source samples

Row p is row (phases - p) read backwards, so only rows 0..=phases / 2 are written. Each row is rounded to i16 so that
it sums to 2**gain_bits exactly: a constant signal keeps its value in every phase.
"""

import math
import pathlib
import sys

CUTOFF_HZ = 4000
STOP_HZ = 4600
# Kaiser's beta for a stop band of 76 dB; below it the rounding of the taps to 16 bits is what limits.
BETA = 7.42
# Bits of the taps' gain, the first that fits (see `fits`): a conversion whose rows have a large sum of absolute taps,
# or one tap of nearly 1.0 as those that add samples do, must do with 14.
GAIN_BITS = (15, 14)

# (file, source Hz, destination Hz, taps). Taps are the multiple of 8 (one SIMD register of i16) that spans 4 ms
# or just above, which is what the transition of 1.2 kHz needs at 76 dB.
FILTERS = [
    ("multiples", 12000, 8000, 48),
    ("multiples", 16000, 8000, 64),
    ("multiples", 24000, 8000, 96),
    ("multiples", 32000, 8000, 128),
    ("multiples", 48000, 8000, 192),
    ("multiples", 8000, 16000, 32),
    ("multiples", 8000, 24000, 32),
    ("from_11025", 11025, 8000, 48),
    ("from_22050", 22050, 8000, 96),
    ("from_44100", 44100, 8000, 184),
]

OUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "audio" / "filters"


def bessel_i0(x):
    """The modified Bessel function of the first kind and order 0, by its power series."""
    total = term = 1.0
    k = 1
    while term > total * 1e-17:
        term *= (x / (2 * k)) ** 2
        total += term
        k += 1
    return total


def low_pass(position, source_hz, taps):
    """h at `position` (in source samples from its middle), not normalised."""
    half = taps / 2
    if abs(position) >= half:
        return 0.0
    x = 2 * CUTOFF_HZ / source_hz * position
    sinc = 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)
    return sinc * bessel_i0(BETA * math.sqrt(1 - (position / half) ** 2))


def quantise(row, gain):
    """`row` scaled and rounded to integers that sum to `gain`.

    What rounding leaves over goes, one unit each, to the taps that rounding moved farthest the other way.
    """
    exact = [tap * gain / math.fsum(row) for tap in row]
    rounded = [math.floor(tap + 0.5) for tap in exact]
    missing = gain - sum(rounded)
    unit = 1 if missing > 0 else -1
    order = sorted(range(len(row)), key=lambda m: (-round(unit * (exact[m] - rounded[m]), 9), m))
    for m in order[: abs(missing)]:
        rounded[m] += unit
    return rounded


def fits(row, gain_bits):
    """Whether no tap leaves an i16, and no sum of products an i32, whatever the samples."""
    worst = sum(abs(tap) for tap in row) * 32768 + (1 << (gain_bits - 1))
    return all(-32768 <= tap <= 32767 for tap in row) and worst < 1 << 31


def rows_of(source_hz, destination_hz, taps):
    """The rows 0..=phases / 2 and their gain's bits."""
    phases = destination_hz // math.gcd(source_hz, destination_hz)
    exact = [
        [low_pass(p / phases - (m - taps // 2 + 1), source_hz, taps) for m in range(taps)]
        for p in range(phases // 2 + 1)
    ]
    for gain_bits in GAIN_BITS:
        rows = [quantise(row, 1 << gain_bits) for row in exact]
        if all(fits(row, gain_bits) for row in rows):
            return rows, gain_bits
    raise ValueError(f"no gain fits {source_hz} Hz to {destination_hz} Hz")


def rust_static(source_hz, destination_hz, taps):
    """One `static` of Rust source."""
    rows, gain_bits = rows_of(source_hz, destination_hz, taps)
    lines = [
        f"/// {source_hz} Hz to {destination_hz} Hz.",
        "#[rustfmt::skip]",
        f"pub(super) static FROM_{source_hz}_TO_{destination_hz}: Filter = Filter {{",
        f"    from_hz: {source_hz},",
        f"    to_hz: {destination_hz},",
        f"    taps: {taps},",
        f"    gain_bits: {gain_bits},",
        "    rows: &[",
    ]
    for row in rows:
        for start in range(0, taps, 16):
            lines.append("        " + " ".join(f"{tap}," for tap in row[start : start + 16]))
    lines += ["    ],", "};"]
    return "\n".join(lines)


def rust_files():
    """File name to Rust source."""
    files = {}
    for file, source_hz, destination_hz, taps in FILTERS:
        files.setdefault(file, []).append(rust_static(source_hz, destination_hz, taps))
    head = (
        "//! Generated by `python3 core/filters/make_filters.py` (no arguments); edit that script, not this file.\n\n"
        "use super::Filter;\n\n"
    )
    return {f"{name}.rs": head + "\n\n".join(statics) + "\n" for name, statics in files.items()}


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    stale = []
    for name, source in rust_files().items():
        path = OUT / name
        if arguments == ["--check"]:
            if not path.is_file() or path.read_bytes() != source.encode():
                stale.append(name)
        else:
            path.write_bytes(source.encode())
    if stale:
        sys.exit(f"differs from what make_filters.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main(sys.argv[1:])

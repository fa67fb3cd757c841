"""Writes abstract-runs.bin, by which a test tells whether a summary of the catalogue repeats an abstract.

    abstract-runs.py FILE...

Each FILE is the text of an abstract. The result holds no text: a hash (FNV-1a, 32 bits) of each run of eight words,
sorted, as little-endian numbers. Words are runs of ASCII letters and digits in lower case, joined by one space. What
the file holds already is kept, so that new abstracts can be added alone.
"""
import pathlib
import re
import struct
import sys

RUN = 8
target = pathlib.Path(__file__).with_suffix(".bin")


def fnv(data):
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


hashes = set()
if target.exists():
    hashes.update(number for (number,) in struct.iter_unpack("<I", target.read_bytes()))
for name in sys.argv[1:]:
    words = re.findall("[a-z0-9]+", pathlib.Path(name).read_text(encoding="utf-8").lower())
    hashes.update(fnv(" ".join(words[i : i + RUN]).encode()) for i in range(len(words) - RUN + 1))
target.write_bytes(b"".join(struct.pack("<I", number) for number in sorted(hashes)))

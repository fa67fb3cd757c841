#!/usr/bin/env python3
"""Writes the .npy files beside this script with numpy itself: what its writer makes of each dtype.

readable/: 0, 1, 2, 3, 4, 5 (booleans: 0, 1, 1, 1, 1, 1) in shape (2, 3), and some shapes.
refused/: what npy_read() must refuse.
"""
import pathlib
import numpy

here = pathlib.Path(__file__).parent
readable, refused = here / "readable", here / "refused"
readable.mkdir(exist_ok=True)
refused.mkdir(exist_ok=True)

values = numpy.arange(6).reshape(2, 3)
for dtype in ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "|u1", "|b1"]:
    numpy.save(readable / f"{dtype[1:]}.npy", values.astype(dtype))
numpy.save(readable / "fortran.npy", numpy.asfortranarray(values.astype("<f4")))
numpy.save(readable / "scalar.npy", numpy.float32(7))
numpy.save(readable / "vector.npy", numpy.arange(3, dtype="<f4"))
numpy.save(readable / "empty.npy", numpy.zeros((4, 0, 2), dtype="<f4"))
for version in [(1, 0), (2, 0), (3, 0)]:
    with open(readable / f"version{version[0]}.npy", "wb") as file:
        numpy.lib.format.write_array(file, values.astype("<f4"), version=version)

for dtype in [">f4", ">i8", "<c8", "<U3", "|S3", "<u4", "<M8[s]", "<f4,<i2"]:
    name = dtype[1:].replace(",", "-").replace("<", "").replace("[s]", "")
    numpy.save(refused / f"{name}.npy", numpy.zeros(2, dtype=dtype))
numpy.save(refused / "object.npy", numpy.array([{}, 1], dtype=object), allow_pickle=True)
numpy.save(refused / "rank9.npy", numpy.zeros((1,) * 9, dtype="<f4"))

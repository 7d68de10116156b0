#!/usr/bin/env python3
"""Writes what `make fuzz` starts from, fuzz/seeds: small sound files of every kind that is read.

    pip install numpy pillow
    tests/parity/fuzz_seeds.py

Other people's writers are used, for the kinds that ours do not write (progressive JPEG, palettes, 16 bits, alpha, big
endian, packed archives) and because what is read comes from them. Contents are by formula: element i is i, modulo what
its type holds. Presets and PyTorch's files have seeds elsewhere: presets/ and tests/nn/fixtures.
"""
import gzip
import io
import json
import pathlib
import struct

import numpy as np
from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "fuzz" / "seeds"
WIDTH, HEIGHT = 9, 8


def put(name, content):
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    print(f"{len(content):5} bytes  {name}")


def bytes_of(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def counting(shape, dtype=np.uint8):
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


def images():
    colour = Image.fromarray(counting((HEIGHT, WIDTH, 3)))
    grey = Image.fromarray(counting((HEIGHT, WIDTH)) * 3)
    with_alpha = Image.fromarray(counting((HEIGHT, WIDTH, 4)))
    two_bytes = counting((HEIGHT, WIDTH), np.uint16) * 900
    deep = Image.fromarray(two_bytes)
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a quarter turn

    def save(name, image, kind, **settings):
        put("images/" + name, bytes_of(lambda stream: image.save(stream, kind, **settings)))

    save("rgb.png", colour, "PNG")
    save("grey.png", grey, "PNG")
    save("alpha.png", with_alpha, "PNG")
    save("deep.png", deep, "PNG")
    save("palette.png", colour.convert("P"), "PNG")
    save("rgb.bmp", colour, "BMP")
    save("palette.bmp", colour.convert("P"), "BMP")
    save("rgb.ppm", colour, "PPM")
    save("grey.pgm", grey, "PPM")
    put("images/deep.pgm", f"P5 # two bytes\n{WIDTH} {HEIGHT}\n65535\n".encode() + two_bytes.astype(">u2").tobytes())
    save("baseline.jpg", colour, "JPEG", quality=75)
    save("full.jpg", colour, "JPEG", quality=90, subsampling=0)
    save("grey.jpg", grey, "JPEG", quality=75)
    save("progressive.jpg", colour, "JPEG", quality=75, progressive=True, optimize=True)
    save("restarts.jpg", colour.resize((33, 17), Image.NEAREST), "JPEG", quality=30, restart_marker_blocks=1)
    save("turned.jpg", colour, "JPEG", quality=75, exif=turned.tobytes())
    save("four.jpg", Image.fromarray(counting((HEIGHT, WIDTH, 4)), "CMYK"), "JPEG", quality=75)


def archives():
    put("npz/array.npy", bytes_of(lambda stream: np.save(stream, counting((2, 3), np.float64))))
    put("npz/columns.npy", bytes_of(lambda stream: np.save(stream, np.asfortranarray(counting((2, 3), ">f4")))))
    weights = {"a": counting((2, 3), np.float32), "b": counting(3, np.float16), "c": counting(2, ">i4")}
    put("npz/weights.npz", bytes_of(lambda stream: np.savez(stream, **weights)))
    pictures = {}
    for part in ("train", "val", "test"):
        pictures[part + "_images"] = counting((2, 2, 2, 3))
        pictures[part + "_labels"] = counting((2, 1))
    put("npz/images.npz", bytes_of(lambda stream: np.savez_compressed(stream, **pictures)))


def idx():
    def header(magic, *sizes):
        return struct.pack(f">{1 + len(sizes)}I", magic, *sizes)

    labels = header(0x801, 3) + counting(3).tobytes()
    pictures = header(0x803, 3, 2, 2) + counting((3, 2, 2)).tobytes()
    # The target's own prefix: packed or not, and how long the labels are.
    put("idx/plain", bytes([0, len(labels)]) + labels + pictures)
    labels, pictures = gzip.compress(labels, mtime=0), gzip.compress(pictures, mtime=0)
    put("idx/packed", bytes([1, len(labels)]) + labels + pictures)


def safetensors():
    tensors = {"a": ("F32", counting((2, 2), np.float32)), "b": ("BF16", counting(3, np.uint16)),
               "c": ("BOOL", counting(2)), "d": ("F16", counting(2, np.float16)), "e": ("F64", counting(1, np.float64)),
               "f": ("I64", counting(0, np.int64))}
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, array) in tensors.items():
        begin, content = len(content), content + array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    put("safetensors/kinds", struct.pack("<Q", len(text)) + text + content)


if __name__ == "__main__":
    for write in (images, archives, idx, safetensors):
        write()

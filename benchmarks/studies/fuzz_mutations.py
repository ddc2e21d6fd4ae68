"""Ways to damage a folder: by bytes, by files, and by what a file is. `mutate` takes one at random.

The same random numbers give the same damage to the same folder.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Random = random.Random
Change = Callable[[Path, Random], None]
HUGE = "1" + "0" * 400  # a whole number that no float holds
DEEP = "[" * 100_000 + "]" * 100_000
NUMBERS = (
    "0", "-1", "1", "3", "1e308", "-1e308", "1e-300", "1e999", "NaN", "Infinity", "1e9", HUGE,
)  # fmt: skip
OTHER = ("null", "true", "{}", "[]", '""', '"x"', '"-z"', '"mm /home/anna"', '"+y"', "[[]]", "0.5")


def mutate(folder: Path, random_: Random, resign: Callable[[Path, Random], None]) -> str:
    """Damage one file of a folder; says how: "mutation file".

    Args:
        resign: mends checksums where it can, so that checks behind them are reached.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    rare = [p for p in files if p.suffix != ".png"]  # else nearly all would be pictures
    path = random_.choice(rare if rare and random_.random() < 0.6 else files)
    fitting = [*BYTES.items(), *FILES.items(), *2 * [*KINDS.get(path.suffix, {}).items()]]
    name, change = random_.choice(fitting)
    told = f"{name} {path.relative_to(folder)}"
    change(path, random_)
    if random_.random() < 0.7:
        resign(folder, random_)
        told += ", signed again"
    return told


# Bytes --------------------------------------------------------------------------------------------


def _bytes(change: Callable[[bytearray, int, Random], None]) -> Change:
    def changed(path: Path, random_: Random) -> None:
        data = bytearray(path.read_bytes())
        change(data, random_.randrange(max(1, len(data))), random_)
        path.write_bytes(data)

    return changed


def _flip(data: bytearray, at: int, random_: Random) -> None:
    for _ in range(random_.choice((1, 1, 8))):
        if data:
            data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)


def _insert(data: bytearray, at: int, random_: Random) -> None:
    data[at:at] = random_.randbytes(random_.choice((1, 4, 100)))


def _delete(data: bytearray, at: int, random_: Random) -> None:
    del data[at : at + random_.choice((1, 4, 100))]


def _truncate(data: bytearray, at: int, random_: Random) -> None:
    del data[at:]


def _zeros(data: bytearray, at: int, random_: Random) -> None:
    data[at : at + 64] = bytes(len(data[at : at + 64]))


def _noise(data: bytearray, at: int, random_: Random) -> None:
    data[:] = random_.randbytes(len(data))


BYTES: dict[str, Change] = {
    "flip": _bytes(_flip),
    "insert": _bytes(_insert),
    "delete": _bytes(_delete),
    "truncate": _bytes(_truncate),
    "zeros": _bytes(_zeros),
    "noise": _bytes(_noise),
}

# Files --------------------------------------------------------------------------------------------


def _swap(path: Path, random_: Random) -> None:
    others = [p for p in path.parent.iterdir() if p.suffix == path.suffix and p != path]
    if others:
        other, data = random_.choice(sorted(others)), path.read_bytes()
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)


def _duplicate(path: Path, random_: Random) -> None:
    name = random_.choice(("copy", "img_0099", "view_0099", "x" * 200, "a\nb", "a\udcffb", ".hid"))
    shutil.copy(path, path.with_name(name + path.suffix))


def _rename(path: Path, random_: Random) -> None:
    name = random_.choice(("other", path.stem + "1", path.stem[:-1] + "9", path.stem.upper()))
    path.rename(path.with_name(name + random_.choice((path.suffix, path.suffix, ".jpg", ".txt"))))


def _folder(path: Path, random_: Random) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path, random_: Random) -> None:
    kept = path.with_name(".kept")
    path.rename(kept)
    to = random_.choice(("/etc/passwd", "/dev/zero", "/dev/null", path.name, "nothing", kept.name))
    path.symlink_to(to)


def _pipe(path: Path, random_: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _sparse(path: Path, random_: Random) -> None:
    with path.open("r+b") as file:
        file.truncate(10**11)


FILES: dict[str, Change] = {
    "swap": _swap,
    "remove": lambda path, _: path.unlink(),
    "duplicate": _duplicate,
    "rename": _rename,
    "folder": _folder,
    "link": _link,
    "pipe": _pipe,
    "empty": lambda path, _: path.write_bytes(b""),
    "100 GB": _sparse,
}

# JSON ---------------------------------------------------------------------------------------------


def _places(value: Any, found: list[tuple[Any, Any]] | None = None) -> list[tuple[Any, Any]]:
    """(container, key) of all values in nested ones."""
    found = [] if found is None else found
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            found.append((value, key))
            _places(value[key], found)
    return found


def _json(change: Callable[[Any, Any, Random], str | None]) -> Change:
    """Edit a value at a random place; a text that comes back is put there raw."""

    def changed(path: Path, random_: Random) -> None:
        data = json.loads(path.read_bytes())
        places = _places(data)
        shallow = [(c, k) for c, k in places if isinstance(k, str)]
        container, key = random_.choice(shallow if random_.random() < 0.7 else places)
        raw = change(container, key, random_)
        if raw is not None:
            container[key] = "@here@"
        text = json.dumps(data)
        path.write_text(text if raw is None else text.replace('"@here@"', raw, 1))

    return changed


def _drop(container: Any, key: Any, random_: Random) -> None:
    del container[key]


def _typo(container: Any, key: Any, random_: Random) -> None:
    if isinstance(container, dict):
        container[random_.choice((key[::-1], key + "s", key[1:] or "_"))] = container.pop(key)


def _wrapped(container: Any, key: Any, random_: Random) -> None:
    container[key] = random_.choice(([container[key]], {"a": container[key]}, str(container[key])))


def _many(container: Any, key: Any, random_: Random) -> str:
    return json.dumps([container[key]] * random_.choice((2, 1000, 300_000 if key == "x" else 5000)))


def _exchange(container: Any, key: Any, random_: Random) -> None:
    other = random_.choice(
        list(container) if isinstance(container, dict) else range(len(container))
    )
    container[key], container[other] = container[other], container[key]


def _scaled(container: Any, key: Any, random_: Random) -> None:
    def all_of(value: Any, factor: float) -> Any:
        if isinstance(value, list):
            return [all_of(v, factor) for v in value]
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return value * factor if plain else value

    container[key] = all_of(container[key], random_.choice((1e9, 1e-9, -1.0, 0.0, 2.0)))


def _doubled(path: Path, random_: Random) -> None:
    text = path.read_text()
    key = json.dumps(random_.choice(list(json.loads(text))))
    path.write_text(text.replace("{", "{" + f"{key}: 1, ", 1))


def _encoded(path: Path, random_: Random) -> None:
    text = path.read_text()
    path.write_bytes(text.encode(random_.choice(("utf-16", "utf-8-sig", "utf-32"))))


JSON: dict[str, Change] = {
    "JSON drop": _json(_drop),
    "JSON typo": _json(_typo),
    "JSON number": _json(lambda c, k, r: r.choice(NUMBERS)),
    "JSON other": _json(lambda c, k, r: r.choice(OTHER)),
    "JSON wrapped": _json(_wrapped),
    "JSON deep": _json(lambda c, k, r: DEEP),
    "JSON many": _json(_many),
    "JSON long": _json(lambda c, k, r: json.dumps("x" * r.choice((300, 10**6)))),
    "JSON exchange": _json(_exchange),
    "JSON scaled": _json(_scaled),
    "JSON double": _doubled,
    "JSON encoding": _encoded,
}

# npz ----------------------------------------------------------------------------------------------


def _npz(change: Callable[[dict[str, Any], str, Random], None]) -> Change:
    def changed(path: Path, random_: Random) -> None:
        with np.load(path) as file:
            data = {name: file[name] for name in file.files}
        change(data, random_.choice(sorted(data)), random_)
        save = np.savez_compressed if random_.random() < 0.3 else np.savez
        with path.open("wb") as file:
            save(file, **data)

    return changed


def _entry(data: dict[str, Any], name: str, random_: Random) -> None:
    value = random_.choice((np.nan, np.inf, 0.0, 1e9, 1e300, -1e9, -data[name].flat[0]))
    data[name] = data[name].astype(float)
    data[name].flat[random_.randrange(data[name].size)] = value


def _type(data: dict[str, Any], name: str, random_: Random) -> None:
    kinds = ("float16", "int8", "complex64", "object", "U8", "bool", "float32", ">f8")
    data[name] = data[name].astype(random_.choice(kinds))


def _shape(data: dict[str, Any], name: str, random_: Random) -> None:
    shapes = ((16,), (2, 8), (1, 4, 4), (0,), (), (3, 4), (4, 4))
    data[name] = np.resize(data[name], random_.choice(shapes))


def _all_scaled(data: dict[str, Any], name: str, random_: Random) -> None:
    factor = random_.choice((0.0, 1e-9, 1e9, -1.0, 2.0, np.nan))
    for other in data:
        if other.rstrip("0123456789") == name.rstrip("0123456789"):
            data[other] = data[other] * factor


def _other_entry(data: dict[str, Any], name: str, random_: Random) -> None:
    other = random_.choice(sorted(data))
    data[name], data[other] = data[other], data[name]


def _method(path: Path, random_: Random) -> None:
    """An unknown way of packing, an encryption mark, or a wrong checksum in the archive's index."""
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    if at >= 0:
        offset, value = random_.choice(((10, 97), (8, 1), (16, 7), (10, 12), (24, 255), (42, 200)))
        data[at + offset] = value
        path.write_bytes(data)


def _header(path: Path, random_: Random) -> None:
    """An array whose header says more than there is."""
    shape = random_.choice(((10**6, 10**6), (4, 4), (-1, 4), (10**30,)))
    head = BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name stands twice now, which is meant
        name = random_.choice(archive.namelist())
        archive.writestr(name, head.getvalue() + bytes(64))


NPZ: dict[str, Change] = {
    "npz entry": _npz(_entry),
    "npz type": _npz(_type),
    "npz shape": _npz(_shape),
    "npz scaled": _npz(_all_scaled),
    "npz exchange": _npz(_other_entry),
    "npz missing": _npz(lambda data, name, _: data.pop(name)),
    "npz method": _method,
    "npz header": _header,
    "npz is npy": lambda path, _: np.save(path.open("wb"), np.eye(4)),
}

# Pictures -----------------------------------------------------------------------------------------


def _picture(change: Callable[[Image.Image, Random], Image.Image]) -> Change:
    def changed(path: Path, random_: Random) -> None:
        with Image.open(path) as image:
            image.load()
            made = change(image, random_)
        made.save(path, format="PNG")

    return changed


def _format(path: Path, random_: Random) -> None:
    with Image.open(path) as image:
        image.convert("RGB").save(
            path, random_.choice(("JPEG", "TIFF", "BMP", "WEBP", "EPS", "GIF", "PPM"))
        )


def _mode(image: Image.Image, random_: Random) -> Image.Image:
    mode = random_.choice(("L", "LA", "RGBA", "P", "1", "I;16", "RGB"))
    return (image.convert("L") if mode == "I;16" else image.convert("RGB")).convert(mode)


def _size(image: Image.Image, random_: Random) -> Image.Image:
    wide, high = image.size
    return image.resize(random_.choice(((1, 1), (wide + 1, high), (high, 2 * wide), (7, 5))))


def _bomb(path: Path, random_: Random) -> None:
    """A PNG whose header says up to 60,000 x 60,000 pixels."""
    data = bytearray(path.read_bytes())
    side = random_.choice((60_000, 9000, 0, 2**31 - 1))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)


def _text_chunk(path: Path, random_: Random) -> None:
    """A text chunk that unpacks to 100 MB, or EXIF that makes no sense."""
    kind, body = random_.choice(
        ((b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), (b"eXIf", random_.randbytes(60)))
    )
    chunk = struct.pack(">I", len(body)) + kind + body
    chunk += struct.pack(">I", zlib.crc32(kind + body))
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk + data[33:])


PICTURES: dict[str, Change] = {
    "picture format": _format,
    "picture mode": _picture(_mode),
    "picture size": _picture(_size),
    "picture black": _picture(lambda image, _: image.point(lambda value: value * 0)),
    "picture bomb": _bomb,
    "picture chunk": _text_chunk,
}

# Meshes -------------------------------------------------------------------------------------------


def _obj(path: Path, random_: Random) -> None:
    lines = path.read_text().splitlines()
    bad = (
        "f 1 2 9999999", "f 0 1 2", "f -1 -2 -3", "f 1 2", "v nan 0 0", "v 1e308 1e308 1e308",
        "v 1 2", "f a b c", "f 1//1 2//2 3//3", "f " + " ".join(map(str, range(1, 40))), "\0", HUGE,
        "v 1e999 0 0", "mtllib /etc/passwd", "call /etc/passwd", "f 1 1 1", f"f 1 2 {HUGE}",
    )  # fmt: skip
    lines[random_.randrange(len(lines))] = random_.choice(bad)
    path.write_text("\n".join(lines) + "\n")


def _ply(path: Path, random_: Random) -> None:
    head, end, body = path.read_bytes().partition(b"end_header\n")
    edits = (
        (b"element vertex ", b"element vertex 9"), (b"element face ", b"element face 99999999"),
        (b"little", b"big"), (b"float", b"double"), (b"uchar", b"uint"), (b"ply", b"plx"),
        (b"binary_little_endian", b"ascii"), (b"element vertex ", b"element vertex -"),
        (b"property float x", b"property list int int x"),
    )  # fmt: skip
    old, new = random_.choice(edits)
    path.write_bytes(head.replace(old, new, 1) + end + body)


def _ply_body(path: Path, random_: Random) -> None:
    head, end, body = path.read_bytes().partition(b"end_header\n")
    at = random_.randrange(0, max(1, len(body) - 4))
    values = (np.float32(np.nan), np.float32(1e30), np.int32(10**9), np.int32(-1))
    body = body[:at] + random_.choice(values).tobytes() + body[at + 4 :]
    path.write_bytes(head + end + body)


# Tensors ------------------------------------------------------------------------------------------


def _safetensors(change: Callable[[dict[str, Any], Random], None]) -> Change:
    """Edit the header of a safetensors file."""

    def changed(path: Path, random_: Random) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header, random_)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return changed


def _tensor(header: dict[str, Any], random_: Random) -> str:
    return random_.choice(sorted(k for k in header if k != "__metadata__"))


def _tensor_type(header: dict[str, Any], random_: Random) -> None:
    header[_tensor(header, random_)]["dtype"] = random_.choice(("I32", "F64", "BF16", "U8", "X9"))


def _tensor_shape(header: dict[str, Any], random_: Random) -> None:
    one = header[_tensor(header, random_)]
    one["shape"] = random_.choice((one["shape"][::-1], [-1], [], [10**12], [1, *one["shape"]]))


def _tensor_name(header: dict[str, Any], random_: Random) -> None:
    old = _tensor(header, random_)
    header[random_.choice((old + "x", "optimiser.99999999999.step", "", "a/../b"))] = header.pop(
        old
    )


def _tensor_place(header: dict[str, Any], random_: Random) -> None:
    one = header[_tensor(header, random_)]
    one["data_offsets"] = random_.choice(([0, 4], [0, 2**63], [-4, 0], [8, 4], "x"))


def _words(header: dict[str, Any], random_: Random) -> None:
    words = header.get("__metadata__") or {}
    if not words or random_.random() < 0.2:
        header["__metadata__"] = random_.choice(({}, {"privhead": "{}"}, {"privhead": DEEP}, 3))
        return
    key = random_.choice(sorted(words))
    try:
        inner = json.loads(words[key])
        container, place = random_.choice(_places(inner))
        container[place] = json.loads(random_.choice((*OTHER, "-1", "10", "1e308")))
        words[key] = json.dumps(inner)
    except (ValueError, IndexError):
        words[key] = random_.choice(("", "0" * 64, HUGE, DEEP))


def _tensor_value(path: Path, random_: Random) -> None:
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    at = 8 + length + 4 * random_.randrange(max(1, (len(data) - 8 - length) // 4))
    value = random_.choice((np.nan, np.inf, 1e30, -1.0, 0.0))
    data[at : at + 4] = np.float32(value).tobytes()
    path.write_bytes(data)


def _length(path: Path, random_: Random) -> None:
    data = path.read_bytes()
    said = random_.choice((0, 1, 10**6, 2**63, len(data)))
    path.write_bytes(struct.pack("<Q", said) + data[8:])


KINDS: dict[str, dict[str, Change]] = {
    ".json": JSON,
    ".npz": NPZ,
    ".png": PICTURES,
    ".obj": {"OBJ line": _obj},
    ".ply": {"PLY header": _ply, "PLY value": _ply_body},
    ".safetensors": {
        "tensor type": _safetensors(_tensor_type),
        "tensor shape": _safetensors(_tensor_shape),
        "tensor name": _safetensors(_tensor_name),
        "tensor place": _safetensors(_tensor_place),
        "tensor words": _safetensors(_words),
        "tensor value": _tensor_value,
        "tensor length": _length,
    },
}

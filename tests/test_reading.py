"""Claims about the readers of what comes from elsewhere: one form of error, and bounds."""

import io
import json
import os
import struct
import time
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from privhead_nb.errors import PrivheadError, SceneError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.privacy.release import Release
from privhead_nb.reading import Record, read_bytes, read_json, read_npz, read_tensors, read_text
from privhead_nb.scenes.folder import open_scene
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.template import Template


class CallersError(PrivheadError):
    """A kind of error that readers can only know from their caller."""


ASK: dict[str, Any] = {"error": CallersError, "remedy": "Make it again."}


def refused(read: Callable[..., object], path: Path, said: str, **more: Any) -> None:
    """`read` raises the caller's error, which names the file and what to do, and says `said`."""
    with pytest.raises(CallersError, match=said) as caught:
        read(path, **ASK, **more)
    assert caught.value.where == path and caught.value.remedy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


# Bytes and text ----------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [read_json, read_npz, read_tensors, read_text])
def test_what_is_no_readable_file_is_refused_by_each_reader(read, path):
    refused(read, path, "missing")
    refused(read, path.with_name("n" * 300), "can't be read|missing")
    refused(read, path / "a\0b", "can't be read")
    path.mkdir()
    refused(read, path, "is no file")
    path.rmdir()
    path.symlink_to(path)
    refused(read, path, "can't be read")
    path.unlink()
    path.symlink_to("/dev/zero")
    refused(read, path, "is no file")
    path.unlink()
    os.mkfifo(path)  # nobody writes to it: opening it would wait for ever
    refused(read, path, "is no file")
    path.unlink()
    with path.open("wb") as file:
        file.truncate(10**12)
    began = time.perf_counter()
    refused(read, path, "1,000,000,000,000 bytes; the limit is")
    assert time.perf_counter() - began < 1  # unread


def test_a_refused_permission_is_told_as_such(path, monkeypatch):
    path.write_bytes(b"{}")

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    refused(read_bytes, path, "no permission to read it", most=10)


def test_text_is_utf_8_with_or_without_a_byte_order_mark(path):
    path.write_bytes("\ufeffä".encode())
    assert read_text(path, **ASK) == "ä"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"radius": 2.5}')
    assert read_json(path, **ASK).number("radius") == 2.5
    path.write_bytes("ä".encode("cp1252"))
    refused(read_text, path, "no UTF-8 text")


@pytest.mark.parametrize(
    "load", [open_scene, Release.load, Reconstruction.load, Template.load, Mesh.load]
)
@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "x/" * 3000], ids=["long", "NUL", "deep"])
def test_no_name_is_too_strange_to_be_told_that_nothing_is_there(load, name, tmp_path):
    with pytest.raises(PrivheadError) as caught:
        load(tmp_path / name)
    assert caught.value.where and caught.value.remedy


# JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1' + "0" * 400 + "}", "a whole number of 401 digits"),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": -1e999}', "too large"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": [-Infinity]}', "Infinity is no number"),
        ('{"a": {"b": 1, "b": 2}}', "'b' stands twice"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ("[1, 2]", "no object"),
        ("null", "no object"),
        ('{"a": 1', "can't be read as JSON"),
        ("", "can't be read as JSON"),
        ('{"a": "\ud800"}', "no UTF-8 text"),
        ('{"a": 1} {"b": 2}', "can't be read as JSON"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_json_that_could_be_taken_for_something_else_is_refused(path, text, said):
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(read_json, path, said)


def record(**data: Any) -> Record:
    return Record(data, Path("scene.json"), SceneError, "Mend it.")


def test_a_field_is_of_its_type_and_within_its_bounds():
    one = record(
        radius=2, name="ball", views=[0, 3], center=[0.0, 1, 2.5], inner={"K": [[1, 0], [0, 1]]}
    )
    assert one.number("radius") == 2.0 and one.whole("radius") == 2
    assert one.text("name") == "ball" and one.wholes("views") == [0, 3]
    assert one.array("center", (3,)).tolist() == [0.0, 1.0, 2.5]
    assert one.record("inner").array("K", (None, 2)).shape == (2, 2)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda r: r.number("x", 0, 10), True),
        (lambda r: r.number("x", 0, 10), "1"),
        (lambda r: r.number("x", 0, 10), 10.5),
        (lambda r: r.number("x", 0, 10), float("nan")),
        (lambda r: r.number("x", 0, 10), [1]),
        (lambda r: r.whole("x"), 1.0),
        (lambda r: r.whole("x"), False),
        (lambda r: r.whole("x"), -1),
        (lambda r: r.text("x"), 7),
        (lambda r: r.text("x", most=5), "longer"),
        (lambda r: r.text("x", ("mm", "m")), "mm /home/anna"),
        (lambda r: r.text("x", ("mm", "m")), ["mm"]),
        (lambda r: r.wholes("x"), [0, True]),
        (lambda r: r.wholes("x"), 3),
        (lambda r: r.wholes("x", most=2), [0, 1, 2]),
        (lambda r: r.array("x", (3,)), [1, 2]),
        (lambda r: r.array("x", (3,)), [1, 2, None]),
        (lambda r: r.array("x", (2, 2)), [[1, 2], [3]]),
        (lambda r: r.array("x", (2, 2)), [[1, 2], "ab"]),
        (lambda r: r.array("x", (2,), 0, 1), [0.5, 2]),
        (lambda r: r.record("x"), [1]),
        (lambda r: r.number("x"), None),
    ],
)
def test_a_field_of_another_type_or_out_of_bounds_is_named(read, value):
    with pytest.raises(SceneError, match=r"scene\.json: .*inner\.x") as caught:
        read(record(inner={"x": value}).record("inner"))
    assert caught.value.remedy


def test_an_unknown_field_is_most_likely_a_typing_error():
    record(neutral=1).only(["neutral", "sensitive"])
    with pytest.raises(SceneError, match=r"'nuetral'.*Did you mean 'neutral'"):
        record(nuetral=1).only(["neutral", "sensitive"])
    with pytest.raises(SceneError, match="Known: neutral, sensitive"):
        record(camera=1).only(["neutral", "sensitive"])
    with pytest.raises(SceneError) as caught:
        record(unit="x" * 10**6).text("unit", ("mm",))
    assert len(str(caught.value)) < 200  # a long value is shown short


# npz ---------------------------------------------------------------------------------------------


def archive(path: Path, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)


def npy(shape: tuple[int, ...], data: bytes, descr: str = "<f8", fortran: bool = False) -> bytes:
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def test_arrays_of_all_number_types_are_read_as_float64(path):
    fortran = np.asfortranarray(np.arange(6, dtype=np.int8).reshape(2, 3))
    stored = {"a": np.arange(6.0).reshape(2, 3), "b": fortran, "c": np.array(3, ">u2")}
    stored |= {"d": np.zeros((0, 4), bool), "e": np.arange(3, dtype=np.float16)}
    for save in (np.savez, np.savez_compressed):
        with path.open("wb") as file:
            save(file, **stored)
        found = read_npz(path, **ASK)
        assert found.keys() == stored.keys()
        for name, array in stored.items():
            assert found[name].dtype == np.float64 and np.array_equal(found[name], array)
    assert read_npz(path, **ASK, names="[ab]").keys() == {"a", "b"}


def test_a_flipped_bit_anywhere_is_found_or_harmless(path):
    stored = np.random.default_rng(0).normal(size=(20, 20))
    with path.open("wb") as file:
        np.savez_compressed(file, a=stored)
    data, generator = path.read_bytes(), np.random.default_rng(0)
    end = data.index(b"PK\x01\x02")
    for at in [*range(60, end, 97), *generator.integers(len(data), size=300)]:
        path.write_bytes(
            data[:at] + bytes([data[at] ^ 1 << generator.integers(8)]) + data[at + 1 :]
        )
        if 60 <= at < end:  # behind the entry's own header, before the archive's list of entries
            refused(read_npz, path, r"can't be read as a plain \.npz")
        else:
            with suppress(CallersError):
                (found,) = read_npz(path, **ASK).values()
                assert np.array_equal(found, stored)


def changed_directory(path: Path, offset: int, value: int) -> None:
    """An archive with one byte of its entry's description changed."""
    with path.open("wb") as file:
        np.savez(file, a=np.eye(4))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + offset] = value
    path.write_bytes(data)


def packed_tight(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", npy((10**7,), bytes(8 * 10**7)))
    assert path.stat().st_size < 10**6


def single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.eye(4))


def twice(path: Path) -> None:
    archive(path, K=npy((1,), bytes(8)))
    with zipfile.ZipFile(path, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("K.npy", npy((1,), bytes(8)))


ENTRIES = {
    "larger than said": npy((10**6, 10**6), bytes(64)),
    "a byte short": npy((4, 4), bytes(127)),
    "negative": npy((-1, -16), bytes(128)),
    "astronomic": npy((10**30,), bytes(8)),
    "complex": npy((2,), bytes(32), "<c16"),
    "pickled": npy((2,), bytes(16), "|O"),
    "text": npy((2,), bytes(16), "<U2"),
    "cut": npy((2,), bytes(16))[:20],
    "version 3": b"\x93NUMPY\x03\x00" + npy((2,), bytes(16))[8:],
    "no array": b"not an array",
    "empty": b"",
}
ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    name: (partial(archive, K=entry), r"can't be read as a plain \.npz")
    for name, entry in ENTRIES.items()
} | {
    "encrypted": (lambda p: changed_directory(p, 8, 1), r"can't be read as a plain \.npz"),
    "unknown packing": (lambda p: changed_directory(p, 10, 97), r"can't be read as a plain"),
    "CRC": (lambda p: changed_directory(p, 16, 7), r"can't be read as a plain \.npz"),
    "more than the limit": (packed_tight, "more than 64,000,000 bytes"),
    "a single array": (single, "a single array"),
    "twice": (twice, "stands twice"),
}


@pytest.mark.parametrize("fault", ARCHIVES)
def test_an_archive_that_lies_or_holds_no_numbers_is_refused(path, fault):
    spoil, said = ARCHIVES[fault]
    spoil(path)
    refused(read_npz, path, said)


def test_pickled_objects_are_refused_and_never_run(path, tmp_path):
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(mark),)

    with path.open("wb") as file:
        np.savez(file, K=np.array([Evil()], dtype=object))
    refused(read_npz, path, "Object arrays cannot be loaded")
    assert not mark.exists()


# Tensors -----------------------------------------------------------------------------------------


def test_tensors_come_back_with_their_words(path):
    stored = {"a": torch.arange(3.0), "b": torch.tensor([1, 2]), "c": torch.zeros(0, 2)}
    save_file(stored, path, {"word": "said"})
    tensors, words = read_tensors(path, **ASK)
    assert words == {"word": "said"} and tensors.keys() == stored.keys()
    assert all(torch.equal(tensors[name], stored[name]) for name in stored)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_numbers_that_are_not_finite_are_named(path, value, kind):
    save_file({"good": torch.ones(2), "beta": torch.tensor([1.0, value]).to(kind)}, path)
    refused(read_tensors, path, "beta has NaN or infinite numbers")


def test_a_damaged_header_is_refused(path):
    save_file({"a": torch.arange(8.0)}, path)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])

    def with_header(**change: Any) -> bytes:
        text = json.dumps({"a": header["a"] | change}).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    for bad in (
        b"", data[:4], data[:20], data[:-1], b"no tensors at all, but text",
        struct.pack("<Q", 2**63) + data[8:], struct.pack("<Q", 10**9) + data[8:],
        with_header(shape=[9]), with_header(shape=[-8]), with_header(dtype="X7"),
        with_header(data_offsets=[0, 2**40]), with_header(data_offsets=[8, 4]),
        with_header(data_offsets="x"),
    ):  # fmt: skip
        path.write_bytes(bad)
        refused(read_tensors, path, "can't be read as safetensors")

"""Hard inputs: mesh files that are cut off, lie about themselves, or are no surface."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from refusals import refused

from privhead_nb.errors import SceneError
from privhead_nb.geometry.mesh import Mesh, MeshError
from privhead_nb.scenes import mesh_files
from privhead_nb.scenes.mesh_files import read_landmarks, read_mesh

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def _file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _outcome(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The mesh; None where it is refused. Any other exception passes through."""
    try:
        return read_mesh(path, error=MeshError)
    except MeshError as error:
        # The error's parts are asserted by the tests of single cases.
        assert str(path) in str(error) and error.remedy  # noqa: PT017
        return None


@pytest.mark.parametrize(
    "text",
    [
        SQUARE + "f 1 2 3\nf 1 3 4\n",
        SQUARE + "f 1 2 3 4\n",
        (SQUARE + "f 1 2 3 4\n").replace(" ", "\t"),
        (SQUARE + "f 1 2 3 4\n").replace("\n", "\r\n"),
        "\ufeff" + SQUARE + "f 1 2 3 4\n",
        SQUARE + "f -4 -3 -2 -1\n",
        SQUARE + "vn 0 0 1\nvt 0 0\nf 1/1/1 2/1/1 3//1 4\n",
        "# Vertices: 4\n# Faces: 1\nmtllib ../../x.mtl\no head\n" + SQUARE + "f 1 2 3 4\n\n",
        SQUARE.replace("0\n", "0 1.0 0.5 0.5\n") + "usemtl skin\nf  1  2  3  4 \n",
    ],
)
def test_obj_files_as_people_write_them(tmp_path, text):
    vertices, faces = read_mesh(_file(tmp_path, "full_head.obj", text), error=SceneError)
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    mesh = Mesh.load(tmp_path / "full_head.obj")
    assert np.array_equal(mesh.vertices, vertices) and np.array_equal(mesh.faces, faces)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SQUARE + "f 1 2 3\nf 1 2 9\n", "line 6 names vertex 9 of 4"),
        (SQUARE + "f 1 2 0\n", "line 5 makes no sense: 'f 1 2 0'"),
        (SQUARE + "f 1 2 -9\n", "line 5 makes no sense"),
        (SQUARE + "f 1 2\n", "line 5 makes no sense"),
        (SQUARE + "f 1 2 x\n", "line 5 makes no sense"),
        (SQUARE + "f 1 2 " + "9" * 5000 + "\n", "line 5 makes no sense"),
        (SQUARE + f"f 1 2 {10**30}\n", "line 5 makes no sense"),
        ("v 0 0\n" + SQUARE + "f 1 2 3\n", "line 1 makes no sense: 'v 0 0'"),
        ("v 0 0 zero\n" + SQUARE + "f 1 2 3\n", "line 1 makes no sense"),
        (SQUARE + "f 1 2 3", "last line has no end"),
        (SQUARE, "4 points but no triangle"),
        ("", "last line has no end"),
        ("\n", "0 points but no triangle"),
        (
            "# Vertices: 5\n" + SQUARE + "f 1 2 3\n",
            "4 vertices and 1 faces, but says that it has 5",
        ),
        (SQUARE + "f" + " 1 2 3" * 200_000 + "\n", "line 5 makes no sense"),
        ("v nan 0 0\n" + SQUARE + "f 1 2 3\n", "not finite"),
        (f"v 1{'0' * 400} 0 0\n" + SQUARE + "f 1 2 3\n", "not finite"),
    ],
)
def test_obj_files_that_make_no_sense_name_the_line(tmp_path, text, said):
    path = _file(tmp_path, "full_head.obj", text)
    for error in (SceneError, MeshError):
        refused(
            lambda error=error: read_mesh(path, error=error), "full_head.obj", said, error=error
        )


@pytest.mark.parametrize("kind", ["obj", "obj with counts", "ply", "binary ply"])
def test_a_truncated_mesh_is_refused_wherever_it_ends(tmp_path, kind):
    """But for an OBJ that states no counts, and ends between two lines."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    path = tmp_path / ("a.obj" if kind.startswith("obj") else "a.ply")
    if kind == "obj with counts":
        mesh_files.write_obj(path, ball.vertices, ball.faces)  # as a saved scene states them
        whole = path.read_bytes()
    elif kind == "obj":
        whole = (ball.export(file_type="obj").strip() + "\n").encode()
    else:
        encoding = "binary" if kind == "binary ply" else "ascii"
        whole = ball.export(file_type="ply", encoding=encoding)
        assert _outcome(_file(tmp_path, "a.ply", whole + b"7 7 7\n")) is None
    for end in range(0, len(whole), 3):
        if kind != "obj" or whole[end - 1 : end] != b"\n":
            assert _outcome(_file(tmp_path, path.name, whole[:end])) is None
    found = _outcome(_file(tmp_path, path.name, whole))
    assert np.abs(found[0] - ball.vertices).max() < 6e-7 and np.array_equal(found[1], ball.faces)


def _ply(*lines: str, body: str = "") -> str:
    points = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
    head = ["ply", "format ascii 1.0", "element vertex 4", "comment by hand"]
    head += [f"property {kind} {axis}" for axis, kind in zip("xyz", ("float", "double", "int"))]  # noqa: B905
    return "\n".join([*head, *lines, "end_header", points + body])


LISTS = "property list uchar int vertex_indices"
INDEX = LISTS.replace("indices", "index")


@pytest.mark.parametrize(
    ("lines", "body", "faces"),
    [
        (["element face 2", LISTS], "3 0 1 2\n3 0 2 3\n", [[0, 1, 2], [0, 2, 3]]),
        (["element face 1", LISTS], "4 0 1 2 3\n", [[0, 1, 2], [0, 2, 3]]),
        (
            ["element face 2", "property uchar red", LISTS, "property list int float uv"],
            "9 4 0 1 2 3 0\n9 3 0 1 2 2 .5 .5\n",
            [[0, 1, 2], [0, 2, 3], [0, 1, 2]],
        ),
        (
            ["element face 1", INDEX, "element edge 1", "property int a"],
            "3 2 1 0\n7\n",
            [[2, 1, 0]],
        ),
        (["element tristrips 1", LISTS], "4 0 1 3 2\n", [[0, 1, 3], [3, 1, 2]]),
        (
            ["element tristrips 1", LISTS],
            "8 0 1 3 -1 0 1 3 2\n",
            [[0, 1, 3], [0, 1, 3], [3, 1, 2]],
        ),
    ],
)
def test_ply_polygons_and_strips(tmp_path, lines, body, faces):
    vertices, found = read_mesh(_file(tmp_path, "a.ply", _ply(*lines, body=body)), error=MeshError)
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert found.tolist() == faces


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_ply(), "4 points but no triangle"),
        (_ply("element face 0", LISTS), "4 points but no triangle"),
        (_ply("element face 1", LISTS, body="2 0 1\n"), "a face of 2 corners"),
        (_ply("element face 1", LISTS, body="3 0 1 4\n"), "a vertex that does not exist"),
        (_ply("element face 1", LISTS, body="3 0 1 -1\n"), "a vertex that does not exist"),
        (_ply("element face 1", LISTS, body="3 0 1 1.5\n"), "name no vertex"),
        (_ply("element face 1", LISTS, body="3 0 1 1e300\n"), "name no vertex"),
        (_ply("element face 1", LISTS, body="3 0 1 nan\n"), "name no vertex"),
        (_ply("element face 1", LISTS, body="-3 0 1 2\n"), "less than its header"),
        (_ply("element face 1", LISTS, body="nan 0 1 2\n"), "could not be read"),
        (_ply("element face 99999999999", LISTS, body="3 0 1 2\n"), "less than its header"),
        (_ply("element face 1", LISTS, body="99999999999 0 1 2\n"), "less than its header"),
        (_ply("element face 1", LISTS, body="3 0 1 two\n"), "could not be read"),
        (_ply("element face -1", LISTS), "header line 'element face -1'"),
        (_ply("element face 1", LISTS.replace("int", "string")), "header line"),
        (_ply("nonsense"), "header line 'nonsense'"),
        (
            _ply("element face 1", LISTS, body="3 0 1 2\n").replace("float x", "float w"),
            "x, y and z",
        ),
        (_ply("element face 1", LISTS, body="3 0 1 2\n").replace("ascii", "utf9"), "header line"),
        ("ply\nelement vertex 1\nend_header\n", "no known PLY format"),
        ("plx\n", "no PLY header"),
        ("", "no PLY header"),
        ("ply\n" + "comment\n" * 100_000, "no PLY header"),
    ],
)
def test_ply_files_that_are_no_surface_are_refused_by_name(tmp_path, text, said):
    path = _file(tmp_path, "a.ply", text)
    refused(lambda: Mesh.load(path), "a.ply", said, error=MeshError)


def test_big_endian_ply_is_read(tmp_path):
    head = _ply("element face 1", LISTS).split("end_header")[0]
    head = head.replace("ascii", "binary_big_endian")
    rows = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    body = np.array(rows, ">f4,>f8,>i4").tobytes() + b"\x03" + np.array([0, 1, 2], ">i4").tobytes()
    path = _file(tmp_path, "a.ply", head.encode() + b"end_header\n" + body)
    vertices, faces = read_mesh(path, error=MeshError)
    assert vertices.tolist() == [list(row) for row in rows] and faces.tolist() == [[0, 1, 2]]


def test_unused_vertices_that_are_not_finite_are_dropped_and_landmarks_stay_right(tmp_path):
    text = "v nan 0 0\n" + SQUARE + "v inf 0 0\nf 2 3 4\nf 2 4 5\n"
    path = _file(tmp_path, "full_head.obj", text)
    mesh = Mesh.load(path)
    assert mesh.triangles()[1].tolist() == [[0, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert len(mesh.vertices) == 4
    named = _file(tmp_path, "landmarks.txt", "nose 1\nchin 4\n")
    assert read_landmarks(named, path)[0].tolist() == [[0, 0, 0], [0, 1, 0]]
    named = _file(tmp_path, "landmarks.txt", "nose 1\nchin 0\n")
    refused(lambda: read_landmarks(named, path), "line 2 names the vertex '0'")
    finite = _file(tmp_path, "a.obj", "v 9 9 9\n" + SQUARE + "f 2 3 4\n")
    assert len(read_mesh(finite, error=SceneError)[0]) == 5


def test_a_glb_may_not_name_other_files(tmp_path):
    """Buffers and textures by name would let a mesh read what lies beside and above it."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    beside = trimesh.exchange.gltf.export_gltf(trimesh.Scene(ball))
    _file(tmp_path, "secret.bin", next(v for k, v in beside.items() if k.endswith(".bin")))
    tree = json.loads(beside["model.gltf"])
    tree["buffers"] = [{"byteLength": tree["buffers"][0]["byteLength"], "uri": "secret.bin"}]
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    head = np.array([0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A], "<u4").tobytes()
    assert _outcome(_file(tmp_path, "a.glb", head + text)) is None


def test_sizes_have_bounds(tmp_path, monkeypatch):
    path = _file(tmp_path, "a.obj", SQUARE + "f 1 2 3 4\n")
    monkeypatch.setattr(mesh_files, "MAX_PARTS", 3)
    with pytest.raises(MeshError, match="more than 3 vertices or triangles"):
        Mesh.load(path)
    monkeypatch.setattr(mesh_files, "MAX_BYTES", 30)
    with pytest.raises(MeshError, match="42 bytes; the limit is 30"):
        Mesh.load(path)


def test_files_that_are_none(tmp_path):
    assert _outcome(tmp_path / "nowhere.ply") is None
    for name in ("a.fbx", "a", "a.png", "a.obj.zip"):
        path = _file(tmp_path, name, SQUARE + "f 1 2 3\n")
        words = ["are not read", ".obj, .ply, .glb, .stl"]
        refused(lambda path=path: Mesh.load(path), *words, error=MeshError)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nose tip\n", "line 1 names the vertex 'tip'"),
        ("nose 3\n\nchin -1\n", "line 3 names the vertex '-1'"),
        ("nose 99999\n", "'99999'"),
        ("nose " + "9" * 5000 + "\n", "line 1"),
        ("nose 1.5\n", "'1.5'"),
        ("nose\x00\n", "line 1"),
        (b"nose \xff 3\n", "no UTF-8"),
        ("nose 3\n" * 200_000, "the limit is"),
    ],
)
def test_landmarks_that_name_no_vertex(ball_folder, text, said):
    path = _file(ball_folder, "landmarks.txt", text)
    mesh = ball_folder / "full_head.obj"
    refused(lambda: read_landmarks(path, mesh), said, "landmarks.txt", "name vertex")


def test_landmarks_with_tabs_line_ends_and_a_byte_order_mark(ball_folder):
    path = _file(ball_folder, "landmarks.txt", "\ufeffnose\t0\r\n\r\nleft ear\t 7\r\n")
    mesh = ball_folder / "full_head.obj"
    expected = read_mesh(mesh, error=SceneError)[0][[0, 7]]
    assert np.array_equal(read_landmarks(path, mesh)[0], expected)
    assert read_landmarks(_file(ball_folder, "e.txt", ""), mesh)[0].size == 0
    refused(lambda: read_landmarks(path, None), "full_head.obj is missing")

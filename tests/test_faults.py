"""Every format: what can be wrong with a folder, and the file, field and remedy that are named.

Faults are those that users of each format report, made in code. What is unusual and yet right is
in test_formats.py and test_formats_odd.py.
"""

import shutil
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import ball_scene
from layouts import (
    MODEL,
    WRITERS,
    colmap_camera,
    colmap_view,
    edit_colmap_lines,
    edit_facescape,
    edit_frame,
    edit_poses,
)
from PIL import Image
from refusals import (
    Spoil,
    as_idr,
    cut,
    edit_cameras,
    edit_scene,
    fields,
    gone,
    in_turn,
    picture,
    refused,
    set_sphere,
)
from scipy.spatial.transform import Rotation

from privhead_nb.privacy.protect import protect
from privhead_nb.scenes.folder import load_scene, open_scene
from privhead_nb.scenes.formats import colmap

BALL = ball_scene()
NAN, INF = float("nan"), float("inf")
TRAIN, NERF, PARAMS = "transforms_train.json", "transforms.json", "params.json"
Faults = list[tuple[str, Spoil]]
"""Words of the error, with ... between them, and what is done to the folder."""

# What several formats share


def halved(*patterns: str) -> Spoil:
    """Pictures of 16 x 16 pixels in place of 32 x 32."""

    def spoil(folder: Path) -> None:
        for path in (path for pattern in patterns for path in folder.glob(pattern)):
            Image.open(path).resize((16, 16)).save(path)

    return spoil


def renamed(old: str, new: str) -> Spoil:
    return lambda f: (f / old).rename(f / new)


def without(name: str) -> Spoil:
    return lambda f: shutil.rmtree(f / name)


def linked(name: str) -> Spoil:
    """A link to a picture outside of the folder in the place of one inside."""

    def spoil(folder: Path) -> None:
        secret = folder.with_name("secret.png")
        shutil.copy(next(folder.rglob("*1.png")), secret)
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(secret)

    return spoil


def outside(folder: Path, path: str) -> str:
    """The name of a picture outside of the folder: as it is, or absolute where it begins so."""
    linked("images/link.png")(folder)
    return str(folder.with_name("secret.png")) if path[0] == "/" else path


LEAVES = "leaves the scene's folder"
NO_MASK = "has no mask ... masks/ ... none is made up"
OUTSIDE = ("../secret.png", "/secret.png", "C:\\secret.png", "images/link")

# H3DS' and IDR's cameras.npz


def world_mat(folder: Path, view: int) -> np.ndarray:
    with np.load(folder / "cameras.npz") as data:
        return np.array(data[f"world_mat_{view}"])


def changed(view: int, change: Callable[[np.ndarray], object]) -> Spoil:
    """One camera's matrix, changed in place."""

    def spoil(folder: Path) -> None:
        P = world_mat(folder, view)
        change(P)
        edit_cameras(folder, **{f"world_mat_{view}": P})

    return spoil


def without_focal_length(P: np.ndarray) -> None:
    P[:3] = np.array([[0.0, 0, 16], [0, 60, 16], [0, 0, 1]]) @ np.eye(3, 4)
    P[:3, 3] += [0, 0, 400]


def turned_by_half_a_circle(P: np.ndarray) -> None:  # OpenGL-like
    P[:3] = P[:3] @ np.diag([-1, 1, -1, -1])


def mats(**changed: object) -> Spoil:
    """Other matrices of cameras.npz; None takes one out."""
    return lambda f: edit_cameras(f, **changed)


def all_mats(name: str, mat: object) -> Spoil:
    return mats(**{f"{name}_{i}": mat for i in range(6)})


def as_dvr(**beside: object) -> Spoil:
    """Poses and K apart, as DVR and UNISURF have them."""
    w2c = np.linalg.inv(BALL.cameras.c2w.numpy())
    return mats(**{f"world_mat_{i}": w2c[i] for i in range(6)}, **beside)


def a_damaged_jpeg(folder: Path) -> None:
    (folder / "image" / "img_0001.png").unlink()
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(folder / "image" / "img_0001.jpg")
    cut(folder / "image" / "img_0001.jpg", -200)


def masks_of(value: int, *views: int) -> Spoil:
    paths = [f"mask/mask_{view:04d}.png" for view in views]
    return lambda f: [picture(f / path, mode="L", value=value) for path in paths]


DVR = "cameras.npz ... DVR or UNISURF ... multiply"
H3DS: Faults = [
    ("no such folder", shutil.rmtree),
    (
        "this is a release, not a scene",
        in_turn(shutil.rmtree, lambda f: protect(BALL, size=16).save(f)),
    ),
    ("no scene is in this folder ... cameras.npz", in_turn(shutil.rmtree, Path.mkdir)),
    ("img_0003 ... 5 images for 6 cameras", gone("image/img_0003.png")),
    ("mask_0002 ... 5 masks for 6 cameras", gone("mask/mask_0002.png")),
    ("7 images ... 6 cameras", lambda f: picture(f / "image/img_0006.png")),
    (
        "img_0000.png: stands beside img_0000.jpg",
        lambda f: picture(f / "image/img_0000.jpg"),
    ),
    ("img_0001.jpg ... truncated", a_damaged_jpeg),
    (
        "mask_0004.png ... 16 x 32 ... 32 x 32",
        lambda f: picture(f / "mask/mask_0004.png", (16, 32), "L", 255),
    ),
    ("mask_0004.png ... the mask is empty", masks_of(0, 4)),
    ("all masks are empty ... 0/1", masks_of(1, *range(6))),
    ("cameras.npz ... world_mat_2 ... NaN", changed(2, lambda P: np.put(P, 3, np.nan))),
    (
        "cameras.npz ... world_mat_2 holds numbers beyond",
        mats(world_mat_2=np.full((4, 4), 1e300)),
    ),
    ("cameras.npz ... world_mat_4 ... focal length", changed(4, without_focal_length)),
    (
        "cameras.npz ... view 1 ... mirrored",
        changed(1, lambda P: np.negative(P[:3, 0], out=P[:3, 0])),
    ),
    ("cameras.npz ... view 0 ... behind", changed(0, turned_by_half_a_circle)),
    (
        "cameras.npz ... view 0 ... inside the bounding sphere ... scale_mat",
        lambda f: set_sphere(f, 500),
    ),
    (
        "cameras.npz ... 6 cameras ... one spot",
        lambda f: all_mats("world_mat", world_mat(f, 0))(f),
    ),
    ("world_mat_3 ... 5 cameras", mats(world_mat_3=None)),
    ("cameras.npz ... scale_mat_0", mats(scale_mat_0=None)),
    ("scale_mat_3 ... differs", mats(scale_mat_3=np.eye(4))),
    ("uniform", all_mats("scale_mat", np.diag([80.0, 80, 90, 1]))),
    ("uniform", all_mats("scale_mat", np.diag([-80.0, -80, -80, 1]))),
    ("cameras.npz ... world_mat_0 ... shape", mats(world_mat_0=np.eye(3))),
    ("cameras.npz ... no world_mat_0", all_mats("world_mat", None)),
    (DVR, as_dvr(camera_mat_0=np.pad(BALL.cameras.K[0].numpy(), (0, 1)) + np.diag([0, 0, 0, 1]))),
    (DVR, as_dvr()),
    ("full_head.obj", lambda f: (f / "full_head.obj").write_text("v 0 0\nf 1 2 3\n")),
    ("5 images ... 6 cameras", in_turn(as_idr, gone("image/000005.png"))),
    ("5 masks ... 6 images", in_turn(as_idr, gone("mask/005.png"))),
    ("009.png ... 000005.png", in_turn(as_idr, renamed("mask/005.png", "mask/009.png"))),
]

# transforms.json, in NeRF's Blender scenes and in nerfstudio's


def poses(turn: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda f: edit_poses(f, turn)


def frame(name: str, number: int = 1, **change: object) -> Spoil:
    return lambda f: edit_frame(f / name, number, **change)


def frame_outside(name: str, key: str, path: str) -> Spoil:
    return lambda f: edit_frame(f / name, 1, **{key: outside(f, path)})


def poses_of(name: str) -> Faults:
    """Poses of all frames: also where no sphere is stated that they would contradict."""
    return [
        (f"{name} ... frames[0] ... mirrored axes", poses(lambda m: m @ np.diag([-1, 1, 1, 1]))),
        (
            f"{name} ... frames[0] ... no rotation ... scale",
            poses(lambda m: m @ np.diag([2, 2, 2, 1])),
        ),
        (f"{name} ... frames[0] ... 0 0 0 1 ... exchanged", poses(lambda m: m.T)),
        (f"{name} ... OpenGL ... negate y and z", poses(lambda m: m @ np.diag([1, -1, -1, 1]))),
        (f"{name} ... frames[0].transform_matrix ... 3 x 4", poses(lambda m: m[:2])),
        (name, poses(np.linalg.inv)),
    ]


def of_transforms(name: str, first: str, second: str) -> Faults:
    """What both can have, in a file of this name and with these pictures."""
    never = f"{name} ... frames[1].transform_matrix ... NaN or infinite ... never posed"
    leaves = f"{name} ... frames[1].file_path ... {LEAVES} ... Copy the file"
    lost = f"{name} ... frames[1].file_path ... {Path(second).stem} ... no such picture"
    none = ([], {}, None, "0001.png", [7], ...)
    return [
        (lost, gone(second)),
        (f"{name} ... frames[0] ... frames[1] ... name one picture", frame(name, file_path=first)),
        # instant-ngp #434: colmap2nerf writes NaN for pictures that it couldn't place
        *((never, frame(name, transform_matrix=[[number] * 4] * 4)) for number in (NAN, INF)),
        *((leaves, frame_outside(name, "file_path", path)) for path in OUTSIDE),
        *((f"{name} ... frames", fields(name, frames=frames)) for frames in none),
    ]


def opaque(mode: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "test" / "r_4.png"
        Image.open(path).convert("RGB").convert(mode).save(path)

    return spoil


def negatives(folder: Path) -> None:
    for path in (folder / "masks").iterdir():
        Image.fromarray(255 - np.array(Image.open(path))).save(path)


BLENDER: Faults = [
    *of_transforms(TRAIN, "train/r_0.png", "train/r_1.png"),
    (f"{TRAIN} ... camera_angle_x ... missing", fields(TRAIN, camera_angle_x=...)),
    (f"{TRAIN} ... camera_angle_x is 42 ... degrees", fields(TRAIN, camera_angle_x=42.0)),
    ("r_4.png: is 16 x 16 ... r_0.png is 32 x 32 ... one size", halved("test/*.png")),
    *((f"r_4.png ... {NO_MASK}", opaque(mode)) for mode in ("RGB", "RGBA")),
]
NERFSTUDIO: Faults = [
    *of_transforms(NERF, "images/frame_00001.png", "images/frame_00002.png"),
    *(
        (f"frames[1].mask_path ... {LEAVES}", frame_outside(NERF, "mask_path", path))
        for path in OUTSIDE
    ),
    (  # nerfstudio's images_2 in place of images
        f"frame_00001.png ... is 16 x 16 ... {NERF} says 32 x 32 ... focal lengths",
        halved("images/*.png"),
    ),
    (
        "frames[0] ... has fl_x or camera_angle_x ... in pixels",
        fields(NERF, fl_x=..., fl_y=...),
    ),
    (
        "5 of 6 frames ... frames[3] ... frame_00004 ... every frame its mask",
        frame(NERF, 3, mask_path=...),
    ),
    ("frames[3].mask_path ... masks/none.png", frame(NERF, 3, mask_path="masks/none.png")),
    (f"{NERF} ... masks", negatives),
    ("masks/frame_00001.png ... is 16 x 16 ... 32 x 32", halved("masks/*.png")),
    *(
        (f"{NERF} ... {words}", fields(NERF, **change))
        for words, change in (
            ("frames[0] ... folds the picture ... calibrate again", {"k1": -40.0}),
            ("frames[0] ... distortion ... calibrate again", {"k2": 1e7}),
            ("k4 is 0.1 ... OPENCV_FISHEYE", {"k4": 0.1}),
            ("camera_model ... undistort", {"camera_model": "EQUIRECTANGULAR"}),
            ("from_na ... NeuS2", {"from_na": True}),
            ("fl_x is -3.0 ... a number from", {"fl_x": -3.0}),
            ("contradict ... K of another picture size", {"fl_x": 3.0, "fl_y": 3.0}),
            ("w is '32'", {"w": "32"}),
            ("principal point", {"cx": 4000.0}),
        )
    ),
]

# FaceScape's params.json


def all_rt(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda f: edit_facescape(f, "Rt", change)


FACESCAPE: Faults = [
    (f"{PARAMS} ... view 4 ... no such picture", gone("4.png")),
    (f"{PARAMS} ... view 4 ... {LEAVES}", linked("4.png")),
    (  # Its own are 4344 x 2896, and most users scale them first.
        f"0.png: is 16 x 16 ... {PARAMS} says 32 x 32 ... focal lengths ... principal point",
        halved("*.png", "mask/*.png"),
    ),
    (f"0.png ... {NO_MASK}", without("mask")),  # as FaceScape comes
    ("mask ... no mask for 3.png ... Give every view", renamed("mask/3.png", "mask/9.png")),
    ("mask/0.png ... is 16 x 16 ... 32 x 32", halved("mask/*.png")),
    (
        f"{PARAMS} ... calls every view invalid ... expression",
        fields(PARAMS, **{f"{v}_valid": False for v in range(6)}),
    ),
    (f"{PARAMS} ... holds no camera ... 0_Rt", lambda f: (f / PARAMS).write_text("{}")),
    (f"no scene is in this folder ... {PARAMS}", gone(PARAMS)),
    *(
        (f"{PARAMS} ... {words}", fields(PARAMS, **{field: value}))
        for words, field, value in (
            ("0_valid ... true or false", "0_valid", "yes"),
            ("'2_Rt' is missing", "2_Rt", ...),
            ("'2_width' is missing", "2_width", ...),
            ("2_K ... 3 x 3", "2_K", [[1, 2], [3, 4]]),
            ("2_K ... matrix", "2_K", "K"),
            ("2_K ... without skew", "2_K", [[60, 9, 16], [0, 60, 16], [0, 0, 1]]),
            ("view 2 ... focal length", "2_K", [[0, 0, 16], [0, 60, 16], [0, 0, 1]]),
            ("2_Rt ... mirrored", "2_Rt", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 400]]),
            ("2_Rt ... no rotation", "2_Rt", [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 400]]),
            ("2_Rt ... NaN or infinite", "2_Rt", [[NAN] * 4] * 3),
            ("2_Rt ... NaN or infinite", "2_Rt", [[INF] * 4] * 3),
            ("2_distortion ... k1 k2 p1 p2 k3", "2_distortion", [0.1, 0.2]),
            ("view 2 ... distortion ... folds the picture", "2_distortion", [-90, 0, 0, 0, 0]),
            ("2.png: is 32 x 32 ... params.json says 32 x 31", "2_height", 31),
        )
    ),
]
FACESCAPE_POSES: Faults = [
    (PARAMS, all_rt(lambda m: np.linalg.inv(np.vstack([m[:3], [0, 0, 0, 1]]))[:3])),
    (f"{PARAMS} ... OpenGL ... negate y and z", all_rt(lambda m: np.diag([1, -1, -1]) @ m)),
]

# COLMAP's model, of .bin files and of .txt files


def endless(count: int) -> Spoil:
    """A count that a flipped bit makes, and that keeps COLMAP's own reader busy for ever."""

    def spoil(folder: Path) -> None:
        path = folder / MODEL / "images.bin"
        before, after = path.read_bytes().split(b"IMG_000.png\0")
        path.write_bytes(before + b"IMG_000.png\0" + struct.pack("<Q", count) + after[8:])

    return spoil


def each_view(change: Callable[[list[str]], list[str]]) -> Spoil:
    return in_turn(*(colmap_view(f"IMG_{i:03d}.png", change) for i in range(6)))


def longer(words: list[str]) -> list[str]:
    return [words[0], *(str(3 * float(q)) for q in words[1:5]), *words[5:]]


def inverted(words: list[str]) -> list[str]:
    w, x, y, z, *t = map(float, words[1:8])
    back = -Rotation.from_quat([x, y, z, w]).inv().apply(t)
    return [words[0], *map(str, (w, -x, -y, -z, *back)), *words[8:]]


def named_outside(path: str) -> Spoil:
    return lambda f: colmap_view("IMG_003.png", lambda w: [*w[:-1], outside(f, path)])(f)


def posed(number: str) -> Spoil:
    return colmap_view("IMG_003.png", lambda w: [*w[:5], number, *w[6:]])


def camera(line: str) -> Spoil:
    return lambda f: colmap_camera(f, line)


MODELS = ("cameras.bin", "images.bin")
COLMAP: Faults = [
    (  # colmap #895: a mapper that fails to join its pictures makes sparse/0, sparse/1, ...
        "sparse ... 2 models (0, 1) ... Keep the one",
        lambda f: shutil.copytree(f / MODEL, f / "sparse" / "1"),
    ),
    *(
        (
            f"sparse/0 ... {name} ... Export the model again",
            lambda f, n=name: cut(f / MODEL / n, -30),
        )
        for name in MODELS
    ),
    *(
        (
            "cameras.bin and images.bin ... Export the model again",
            lambda f, n=name: cut(f / MODEL / n, 0),
        )
        for name in MODELS
    ),
    ("images.bin: the file is missing", gone("sparse/0/images.bin")),
    ("no scene", gone("sparse/0/cameras.bin")),
    *(("can't be read as a COLMAP model", endless(n)) for n in (2**28, 2**40, 2**63)),
    (
        "images.bin ... picture 'IMG_003.png' ... no such picture ... take the view out",
        gone("images/IMG_003.png"),
    ),
    (  # gaussian-splatting: images_4 in place of images
        "IMG_000.png: is 16 x 16 ... images.bin says 32 x 32 ... focal lengths",
        halved("images/*.png"),
    ),
    (
        "IMG_004.png ... stands beside ... Keep one",
        lambda f: shutil.copy(f / "masks/IMG_004.png.png", f / "masks/IMG_004.png"),
    ),
    (
        "masks ... no mask for IMG_004.png ... none is made up",
        gone("masks/IMG_004.png.png"),
    ),
    (f"IMG_000.png ... {NO_MASK}", without("masks")),
]
CANT = "sparse/0: cameras.txt and images.txt can't"
COLMAP_TEXT: Faults = [
    *(
        (f"images.txt ... {LEAVES} ... Copy the file", named_outside(path))
        for path in ("../secret.png", "/secret.png", "link.png")
    ),
    (
        "images.txt ... name one picture, IMG_002.png ... stands once",
        colmap_view("IMG_003.png", lambda w: [*w[:-1], "IMG_002.png"]),
    ),
    (  # Known poses: each picture has two lines, and the second is easily forgotten.
        "images.txt can't be read ... two lines ... may be empty",
        lambda f: edit_colmap_lines(f, lambda lines: lines[::2]),
    ),
    ("images.txt ... picture 'IMG_ ... no rotation ... scale", each_view(longer)),
    *(
        ("images.txt can't be read ... no number may be NaN", posed(number))
        for number in ("nan", "inf", "1e400")
    ),
    (
        "cameras.txt and images.txt can't ... ID 7 ... Export",
        colmap_view("IMG_003.png", lambda w: [*w[:-2], "7", w[-1]]),
    ),
    ("FOV ... image_undistorter", camera("1 FOV 32 32 60 60 16 16 0.5")),
    (
        "THIN_PRISM ... undistorter",
        camera("1 THIN_PRISM_FISHEYE 32 32 60 60 16 16 0 0 0 0 0 0 0 0"),
    ),
    ("camera 1 ... folds the picture", camera("1 SIMPLE_RADIAL 32 32 60 16 16 -40")),
    ("focal length", camera("1 PINHOLE 32 32 -60 60 16 16")),
    (CANT, camera("1 PINHOLE 32 32 nan 60 16 16")),
    (CANT, camera("1 PINHOLE 32 32 60 60")),
    (CANT, camera("1 PINHOL 32 32 60 60 16 16")),
    (CANT, camera("")),
    ("IMG_000.png ... images.txt says 0 x 0", camera("1 PINHOLE 0 0 60 60 16 16")),
]
COLMAP_POSES: Faults = [("images.txt", each_view(inverted))]

FAULTS = [
    (kind, *fault)
    for kind, faults in {
        "h3ds": H3DS,
        "blender": BLENDER,
        "nerfstudio": NERFSTUDIO,
        "facescape": FACESCAPE,
        "colmap": COLMAP,
        "colmap text": COLMAP_TEXT,
    }.items()
    for fault in faults
]
ALL_POSES = [
    (kind, *fault)
    for kind, faults in {
        "blender": poses_of(TRAIN),
        "nerfstudio": poses_of(NERF),
        "facescape": FACESCAPE_POSES,
        "colmap text": COLMAP_POSES,
    }.items()
    for fault in faults
]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """The ball in a layout, to be spoiled."""

    def write(kind: str) -> Path:
        if kind.startswith("colmap"):
            pytest.importorskip("pycolmap", reason="the extra `capture` is not installed")
            monkeypatch.setattr(colmap, "_SECONDS", 3)
        return WRITERS[kind](tmp_path / "ball", BALL)

    return write


@pytest.mark.parametrize(("kind", "words", "spoil"), FAULTS)
def test_a_fault_is_named_with_its_file_and_its_remedy(made, kind, words, spoil):
    folder, began = made(kind), time.monotonic()
    spoil(folder)
    read = (
        (lambda: load_scene(folder).truth_mesh()) if kind == "h3ds" else partial(open_scene, folder)
    )
    refused(read, *words.split(" ... "))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("kind", "words", "spoil"), ALL_POSES)
@pytest.mark.parametrize("sphere", [True, False])
def test_poses_of_another_kind_are_named_with_a_sphere_and_without(
    made, kind, words, spoil, sphere
):
    folder = made(kind)
    spoil(folder)
    if not sphere:
        edit_scene(folder, center=..., radius=...)
    refused(lambda: open_scene(folder), *words.split(" ... "))


def test_a_named_format_says_which_of_its_files_is_missing(made):
    folder = made("facescape")
    (folder / PARAMS).unlink()
    refused(lambda: open_scene(folder, format="facescape"), PARAMS, "missing")

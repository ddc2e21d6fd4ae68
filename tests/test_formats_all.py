"""One scene in every format: the same pictures, cameras and reconstruction; and export."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import answer, run
from layouts import WRITERS, same, write_colmap, write_facescape, write_nerfstudio
from refusals import contents, edit_cameras, edit_json, edit_scene, refused
from runs import SHORT, weights

from privhead_nb.errors import OutputError, PrivheadError
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.privacy.protect import protect, protect_folder
from privhead_nb.scenes import export as exporting
from privhead_nb.scenes.export import LAYOUTS, export_scene
from privhead_nb.scenes.folder import load_scene, open_scene, open_truth
from privhead_nb.scenes.formats import recognised
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.two_stage import reconstruct

pytest.importorskip("pycolmap", reason="the extra `capture` is not installed")


@pytest.fixture(scope="module")
def head() -> Scene:
    """A made head with sharp masks, which 8 bits of transparency hold without a loss.

    No coordinate of its cameras is an exact zero.
    """
    made = synthetic_scene(0, neutral=3, sensitive=4, size=32, seed=3)
    masks = made.masks.round()
    images = torch.where(masks[..., None] > 0, made.images, torch.ones(3))
    return replace(made, images=images, masks=masks)


@pytest.fixture(scope="module")
def folders(head, tmp_path_factory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("formats")
    return {name: write(top / name.replace(" ", "_"), head) for name, write in WRITERS.items()}


# Every format


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_recognised_and_gives_the_same_scene(folders, head, name):
    assert recognised(folders[name]) == name.removesuffix(" text")
    found = load_scene(folders[name])
    same(found, head)
    assert found.doubts == ()
    assert torch.equal(load_scene(folders[name], format=name.split()[0]).images, found.images)


def test_every_format_gives_the_same_release_and_reconstruction(folders):
    releases = {name: protect(load_scene(folder), size=32) for name, folder in folders.items()}
    wanted = weights(reconstruct(releases["h3ds"], SHORT, seed=0))
    for name, release in releases.items():
        assert torch.equal(release.neutral_images, releases["h3ds"].neutral_images), name
        assert torch.equal(release.moduli, releases["h3ds"].moduli), name
        assert torch.equal(weights(reconstruct(release, SHORT, seed=0)), wanted), name


@pytest.mark.parametrize("name", WRITERS)
def test_inspect_and_protect_take_every_format(folders, tmp_path, name):
    facts = answer("inspect", folders[name], "--picture", tmp_path / "page.png")
    assert facts["views"] == 7 and facts["needs_consent"] == [] and len(facts["in_colour"]) == 3
    kind = name.split()[0]
    made = answer("protect", folders[name], tmp_path / "r", "--size", 32, "--format", kind)
    assert [one["file"] for one in made["in_colour"]] == facts["in_colour"]


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_goes_out_in_colour_that_nobody_named(folders, tmp_path, name):
    """Without roles a scene isn't opened; without a front every neutral view needs consent."""
    folder = shutil.copytree(folders[name], tmp_path / "s")
    edit_scene(folder, front=..., nose_tip=...)
    scene = open_scene(folder)
    assert scene.doubts and any("assumed to look along" in said for said in scene.assumptions)
    for view in scene.neutral:
        words = [scene.names[view], "no front", "--consent"]
        refused(lambda: protect_folder(folder, tmp_path / "r"), *words, error=PrivheadError)
    edit_scene(folder, views=...)
    refused(lambda: open_scene(folder), "names no views", "sensitive")
    (folder / "scene.json").unlink()
    refused(lambda: open_scene(folder), "scene.json: the file is missing", "--sensitive")
    assert not (tmp_path / "r").exists()


def test_a_sphere_that_nobody_states_is_the_hulls(folders, head, tmp_path):
    for name in ("facescape", "blender", "nerfstudio", "colmap"):
        folder = shutil.copytree(folders[name], tmp_path / name)
        edit_scene(folder, center=..., radius=...)
        scene = open_scene(folder)
        assert any("visual hull's, centre" in said for said in scene.assumptions)
        apart = np.linalg.norm(np.subtract(scene.center, head.center))
        assert apart < 0.4 * head.radius and 0.6 < scene.radius / head.radius < 1.6
        assert open_truth(folder).unit == "mm"


def test_a_stated_sphere_that_contradicts_a_scale_mat_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders["idr"], tmp_path / "s")
    edit_scene(folder, center=[0, 0, 0], radius=7)
    refused(lambda: open_scene(folder), "scene.json", "contradict", "scale_mat")
    edit_scene(folder, radius=...)
    refused(lambda: open_scene(folder), "radius", "belong together")


def test_two_formats_in_one_folder_need_a_word(folders, head, tmp_path):
    folder = write_nerfstudio(tmp_path / "s", head)
    shutil.copytree(folders["colmap"] / "sparse", folder / "sparse")
    refused(lambda: open_scene(folder), "nerfstudio and colmap", "--format nerfstudio")
    assert open_scene(folder, format="nerfstudio").names[0] == "frame_00001.png"
    (folder / "sparse").rename(folder / "colmap")  # where nerfstudio itself keeps its model
    (folder / "colmap").rename(folder / "model")
    (folder / "colmap").mkdir()
    (folder / "model").rename(folder / "colmap" / "sparse")
    assert recognised(folder) == "nerfstudio"


def test_axes_that_are_none_of_the_coordinates(folders, head, tmp_path):
    """A model in any frame: up and front as numbers bring it into the head's own."""
    Q = torch.from_numpy(np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0])
    Q *= torch.linalg.det(Q)
    c2w = head.cameras.c2w.clone()
    c2w[:, :3] = Q @ c2w[:, :3]
    tip, center = (Q.numpy() @ np.array(v) for v in (head.nose_tip, head.center))
    turned = replace(
        head,
        cameras=replace(head.cameras, c2w=c2w),
        center=tuple(center),
        nose_tip=None,
        truth=None,
        landmarks=None,
    )
    folder = write_colmap(tmp_path / "s", turned)
    axes = {"up": Q[:, 1].tolist(), "front": (Q[:, 2] + 0.3 * Q[:, 1]).tolist()}
    edit_scene(folder, **axes, nose_tip=tip.tolist())
    scene = load_scene(folder)
    assert (scene.up, scene.front) == ("+y", "+z") and scene.doubts == ()
    there = head.cameras.c2w.clone()
    there[:, :3, 3] -= torch.tensor(head.center, dtype=torch.float64)
    assert torch.allclose(scene.cameras.c2w, there, atol=1e-6)
    assert scene.nose_tip == pytest.approx(np.subtract(head.nose_tip, head.center), abs=1e-6)
    edit_scene(folder, front=(-Q[:, 2]).tolist())
    refused(lambda: open_scene(folder), "nose_tip", "another side")
    edit_scene(folder, front=axes["up"])
    refused(lambda: open_scene(folder), "up and front", "different axes")
    edit_scene(folder, front=[0, 0, 0])
    refused(lambda: open_scene(folder), "front is [0, 0, 0]", "three numbers")


# Export


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("source", ["h3ds", "idr", "colmap"])
def test_an_export_reads_back_as_the_same_scene(folders, tmp_path, name, source):
    scene = load_scene(folders[source])
    export_scene(open_scene(folders[source]), tmp_path / "out", name)
    found = load_scene(tmp_path / "out")
    assert recognised(tmp_path / "out") == name
    same(found, scene)
    assert found.nose_tip == scene.nose_tip and found.face_radius == scene.face_radius
    assert found.cameras.pixel_center == exporting.CENTERS[name]
    assert found.names == tuple(f"{v:04d}.png" for v in range(7))


def test_numbers_of_an_export_are_those_that_the_tools_expect(folders, tmp_path, head):
    scene, K = open_scene(folders["h3ds"]), head.cameras.K[0]
    for name in LAYOUTS:
        export_scene(scene, tmp_path / name, name)
    data = json.loads((tmp_path / "nerfstudio" / "transforms.json").read_text())
    frame = data["frames"][0]
    assert frame["cx"] == pytest.approx(float(K[0, 2])) and "applied_transform" not in data
    back = np.array(frame["transform_matrix"])[:3, 2]  # OpenGL: the third column looks back
    assert back == pytest.approx(-head.cameras.forward[0].numpy())
    with np.load(tmp_path / "idr" / "cameras.npz") as mats:
        P = mats["world_mat_0"][:3]
    point = P @ np.append(head.cameras.centers[0] + head.cameras.forward[0], 1)
    assert point[:2] / point[2] == pytest.approx((K[:2, 2] - 0.5).numpy(), abs=1e-6)
    assert (tmp_path / "colmap" / "masks" / "0000.png.png").is_file()


def test_an_export_states_nothing_that_was_only_assumed(folders, tmp_path):
    folder = shutil.copytree(folders["h3ds"], tmp_path / "s")
    edit_scene(folder, front=..., nose_tip=...)
    export_scene(open_scene(folder), tmp_path / "out", "nerfstudio")
    about = json.loads((tmp_path / "out" / "scene.json").read_text())
    assert "front" not in about and "nose_tip" not in about
    assert open_scene(tmp_path / "out").doubts


def test_a_view_without_a_role_has_none_after_an_export(folders, tmp_path):
    folder = shutil.copytree(folders["h3ds"], tmp_path / "s")
    edit_scene(folder, views={"neutral": [4, 5], "sensitive": [0, 1, 2, 3], "unused": [6]})
    export_scene(open_scene(folder), tmp_path / "out", "idr")
    assert open_scene(tmp_path / "out").unused == (6,)


def test_a_skew_is_only_for_idr(folders, tmp_path, head):
    K = head.cameras.K.clone()
    K[:, 0, 1] = 0.2
    skewed = replace(head, cameras=replace(head.cameras, K=K))
    refused(lambda: export_scene(skewed, tmp_path / "a", "nerfstudio"), "skew", "idr")
    export_scene(skewed, tmp_path / "b", "idr")
    assert torch.allclose(load_scene(tmp_path / "b").cameras.K[:, 0, 1], K[:, 0, 1], atol=1e-9)


def test_where_an_export_may_not_go(folders, tmp_path):
    folder = shutil.copytree(folders["h3ds"], tmp_path / "s")
    before, scene = contents(folder), open_scene(folder)

    def export(to: Path, **options: object) -> None:
        export_scene(scene, to, "idr", sources=[folder], **options)

    for place in (folder, folder / "new", tmp_path):
        refused(lambda to=place: export(to, overwrite=True), "made from", error=OutputError)
    export(tmp_path / "out")
    refused(lambda: export(tmp_path / "out"), "not empty", error=OutputError)
    export(tmp_path / "out", overwrite=True)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    refused(lambda: export(tmp_path / "out", overwrite=True), "notes.txt", error=OutputError)
    assert contents(folder) == before


def test_the_command_says_that_it_is_no_release(folders, tmp_path):
    text = " ".join(run("export", "--help").stdout.split())
    assert "FULL COLOUR" in text and "no release" in text
    out = tmp_path / "out"
    done = run("export", folders["nerfstudio"], out, "--format", "colmap")
    assert done.exit_code == 0 and "full colour" in done.stdout and "no release" in done.stdout
    facts = answer("inspect", out)
    assert facts["views"] == 7 and len(facts["as_modulus"]) == 4
    other = tmp_path / "other"
    found = answer("export", out, other, "--format", "idr", "--from", "colmap")
    assert found["full_colour"] == 7 and recognised(other) == "idr"


def test_without_pycolmap_only_colmap_is_closed_and_says_what_to_run(
    folders, tmp_path, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = ["pycolmap", "pip install 'privhead-nb[capture]'"]
    refused(lambda: open_scene(folders["colmap"]), *words)
    scene = open_scene(folders["nerfstudio"])
    refused(lambda: export_scene(scene, tmp_path / "a", "colmap"), *words)
    export_scene(scene, tmp_path / "b", "nerfstudio")


# FaceScape's own


def published(folder: Path, scale: float, Rt: np.ndarray) -> None:
    data = {folder.parent.name: {folder.name.split("_")[0]: [scale, Rt.tolist()]}}
    (folder.parent.parent / "Rt_scale_dict.json").write_text(json.dumps(data))


def test_facescapes_published_scale_and_frame_are_used(head, tmp_path):
    """Cameras and mesh in a frame and scale of their own become millimetres, +y up, +z front."""
    Q = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    Q *= np.linalg.det(Q)
    c2w = head.cameras.c2w.clone()
    c2w[:, :3] = torch.from_numpy(Q) @ c2w[:, :3]
    c2w[:, :3, 3] /= 40
    own = replace(
        head,
        cameras=replace(head.cameras, c2w=c2w),
        center=tuple(Q @ np.array(head.center) / 40),
        radius=head.radius / 40,
        nose_tip=None,
        face_radius=None,
        landmarks=None,
        truth=None,
    )
    folder = write_facescape(tmp_path / "12" / "4_anger", own)
    edit_scene(folder, unit=..., up=..., front=..., center=..., radius=...)
    said = open_scene(folder).assumptions
    assert open_scene(folder).unit == "scene" and any("any scale" in s for s in said)
    published(folder, 40.0, np.column_stack([Q.T, [1.0, 2.0, 3.0]]))
    import trimesh

    vertices, faces = head.truth_triangles()
    mesh = trimesh.Trimesh(vertices @ Q.T / 40, faces, process=False)
    mesh.export(folder.parent / "4_anger.ply")
    scene = load_scene(folder)
    assert scene.unit == "mm" and (scene.up, scene.front) == ("+y", "+z") and scene.doubts
    # The hull's middle is the origin now: compare what doesn't hang on it.
    found, wanted = scene.cameras.centers, head.cameras.centers
    assert torch.allclose(found - found[:1], wanted - wanted[:1], atol=1e-6)
    moved = scene.truth_triangles()[0] - found[0].numpy()
    assert np.allclose(moved, vertices - wanted[0].numpy(), atol=1e-3)


def test_a_damaged_scale_dictionary_is_refused(head, tmp_path):
    folder = write_facescape(tmp_path / "12" / "4_anger", head)
    published(folder, 40.0, np.diag([1.0, 1, -1, 0])[:3])
    refused(lambda: open_scene(folder), "Rt_scale_dict.json", "mirrored")
    edit_json(folder.parent.parent / "Rt_scale_dict.json", **{"12": {"4": [1.0]}})
    refused(lambda: open_scene(folder), "Rt_scale_dict.json", "12.4 is [1.0]", "a scale and")


def test_idr_folders_keep_their_own_rules(folders, tmp_path):
    folder = shutil.copytree(folders["idr"], tmp_path / "s")
    edit_cameras(folder, world_mat_2=None)
    refused(lambda: open_scene(folder), "no world_mat_2")

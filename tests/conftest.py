"""Fixtures shared by the tests."""

import os
from pathlib import Path

import pytest
import torch

from privhead_nb.privacy.protect import protect
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.camera import Cameras, custom_rig
from privhead_nb.scenes.scene import Scene

torch.set_num_threads(1)
if not torch.cuda.is_available():  # Triton kernels are tested in its interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def real_head() -> Path:
    """Folder of the real head (never part of the package); skips where it isn't there."""
    default = Path(__file__).parents[1] / ".." / "shared" / "data" / "real_head" / "scene"
    folder = Path(os.environ.get("PRIVHEAD_REAL_HEAD", default)).resolve()
    if not (folder / "cameras.npz").is_file():
        pytest.skip(f"no real head at {folder}; set PRIVHEAD_REAL_HEAD to its scene folder")
    return folder


def ball_scene(size: int = 32) -> Scene:
    """Six views of a striped ball of radius 60 mm with its icosphere: small, exact, quick."""
    import trimesh

    eyes = [(0, 0, 400), (300, 0, 300), (-300, 50, 300), (0, 100, -400), (300, 0, -300)]
    eyes.append((0, 390, -90))
    cameras, sensitive, neutral = custom_rig(eyes, [0, 1, 2], size=size, fov_deg=30)
    images, masks = _ball_pictures(cameras, 60.0)
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=60.0)
    vertices, faces = torch.tensor(mesh.vertices).numpy(), torch.tensor(mesh.faces).numpy()
    return Scene(
        images=images,
        masks=masks,
        cameras=cameras,
        sensitive=sensitive,
        neutral=neutral,
        center=(0.0, 0.0, 0.0),
        radius=80.0,
        nose_tip=(0.0, 0.0, 60.0),
        face_radius=50.0,
        landmarks=vertices[[0, 7, 30]],
        truth=(vertices, faces),
        name="ball",
    )


def _ball_pictures(cameras: Cameras, radius: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours by where a ray meets the ball, white elsewhere; (V, H, W, 3) and (V, H, W)."""
    V, H, W = len(cameras), cameras.height, cameras.width
    view, y, x = torch.meshgrid(torch.arange(V), torch.arange(H), torch.arange(W), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2).float()
    o, d = cameras.rays(view.reshape(-1), xy)
    b = (o * d).sum(1)
    inside = b**2 - (o**2).sum(1) + radius**2
    p = (o + d * (-b - inside.clamp_min(0).sqrt())[:, None]) / radius
    stripes = 0.5 + 0.25 * torch.sin(9 * p) + 0.2 * p[:, [1, 2, 0]]
    colour = torch.where(inside[:, None] > 0, stripes.clamp(0, 1), torch.ones(1))
    return colour.reshape(V, H, W, 3), (inside > 0).float().reshape(V, H, W)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The same for all tests of a file, which must not change it."""
    return ball_scene()


@pytest.fixture(scope="module")
def release(scene: Scene) -> Release:
    """What is released of it."""
    return protect(scene, size=32)


@pytest.fixture
def ball() -> Scene:
    """A small scene in memory."""
    return ball_scene()


@pytest.fixture
def ball_folder(tmp_path: Path) -> Path:
    """The same scene as a folder that a test may spoil."""
    folder = tmp_path / "ball"
    ball_scene().save(folder)
    return folder


@pytest.fixture
def released(ball: Scene, tmp_path: Path) -> Path:
    """A release folder that a test may edit."""
    protect(ball, size=16).save(tmp_path / "released")
    return tmp_path / "released"


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The course's web pages, and what is wrong with them; built once for all tests."""
    from notebooks.tools import site

    target = tmp_path_factory.mktemp("site") / "pages"
    return target, site.make(target)

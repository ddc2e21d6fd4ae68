"""Claims about what the compared systems share: known portraits, cameras, rendering, weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from privhead_nb.deid import generator, portraits, stored
from privhead_nb.errors import LabError
from privhead_nb.heads.surface import LABELS
from privhead_nb.lab.framing import TARGET, portrait_cameras


@pytest.fixture(scope="module")
def known() -> portraits.KnownPortraits:
    """Two people, two pictures each."""
    return portraits.known_portraits((20_000, 20_001), views=2)


def test_poses_are_the_labs_cameras() -> None:
    """A pose without offsets stands where `lab/framing.py` puts a camera of that angle."""
    angles = ((-40.0, 0.0), (6.0, -6.0), (28.0, 12.0))
    pose = torch.cat([torch.deg2rad(torch.tensor(angles)), torch.zeros(3, 4)], 1)
    lab, own = portrait_cameras(angles), portraits.cameras_of(pose)
    torch.testing.assert_close(own.c2w, lab.c2w, atol=1e-4, rtol=1e-6)
    points = torch.tensor([[0.0, 0.0, 90.0], [50.0, -40.0, 30.0]])
    seen, _ = lab.project(points)
    mine = portraits.project(points.expand(3, -1, -1), pose)
    torch.testing.assert_close(mine, seen.float(), atol=1e-3, rtol=1e-4)


def test_known_portraits_fit_their_labels(known: portraits.KnownPortraits) -> None:
    assert known.identity.tolist() == [20_000, 20_000, 20_001, 20_001]
    rgb, skin = known.rgb(), known.parsing == LABELS.index("skin")
    assert bool((rgb[known.parsing == 0] > 0.9).all(-1).float().mean() > 0.8)  # background: white
    assert 300 < int(skin[0].sum()) < 2500
    tips = known.landmarks[:, 30].round().long()
    nose = known.parsing[torch.arange(4), tips[:, 1], tips[:, 0]]
    assert (nose == LABELS.index("nose")).all()
    assert float(known.expression[0].abs().max()) == 0 < float(known.expression[1].abs().max())


def test_the_mirror_of_a_portrait_is_made_by_its_codes(known: portraits.KnownPortraits) -> None:
    """The mirrored landmarks are those of the mirrored pose, to a pixel's fraction."""
    from privhead_nb.heads.head import make_head

    one = known.mirrored().only(torch.tensor([1]))
    head = make_head(one.shape[0], albedo=one.albedo[0], expression=one.expression[0])
    again = portraits.project(head.landmarks()[None], one.pose)
    assert float((again - one.landmarks).abs().mean()) < 0.4
    both = known.mirrored().mirrored()
    for name in ("pictures", "shape", "light", "pose", "landmarks"):
        torch.testing.assert_close(getattr(both, name), getattr(known, name))


def test_rays_go_through_their_pixels() -> None:
    pose = torch.tensor([[0.3, -0.1, 0.5, -0.5, 0.2, 0.7]], dtype=torch.float64)
    origins, directions = generator.portrait_rays(pose, 16)
    points = (origins + 6.5 * directions) * generator.UNIT + torch.tensor(TARGET)
    seen = portraits.project(points, pose, side=16)
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    wanted = torch.stack([x, y], -1).reshape(1, -1, 2).double()
    torch.testing.assert_close(seen, wanted, atol=1e-6, rtol=0)


def test_compositing_is_nerfs() -> None:
    """An opaque sample hides those behind it; weights and what passes sum to one."""
    depths = torch.linspace(0, 1, 6).expand(1, 1, 6)
    density = torch.tensor([0.0, 0.0, 1e4, 5.0, 0.0, 1.0]).reshape(1, 1, 6)
    features = torch.arange(6.0).reshape(1, 1, 6, 1)
    seen, opaque = generator.composite(density, features, depths)
    assert float(seen) == pytest.approx(2.0) and float(opaque) == pytest.approx(1.0)
    _, some = generator.composite(torch.full((1, 1, 6), 0.2), features, depths)
    step = (generator.FAR - generator.NEAR) / 6
    assert float(some) == pytest.approx(1 - float(torch.exp(torch.tensor(-0.2 * 6 * step))))


def test_weights_come_back_and_foreign_ones_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small, again = nn.Linear(3, 2), nn.Linear(3, 2)
    path = tmp_path / "small.safetensors"
    stored.save_parts(path, {"part": small}, {"seed": 4})
    facts = stored.load_parts(path, {"part": again}, "python make.py")
    assert facts.get("seed") == 4
    torch.testing.assert_close(again.weight, small.weight, atol=1e-3, rtol=1e-3)
    with pytest.raises(LabError, match=r"small.safetensors.*python make.py"):
        stored.load_parts(path, {"part": nn.Linear(4, 2)}, "python make.py")
    with pytest.raises(LabError, match="more than"):
        stored.save_parts(path, {"part": nn.Linear(3000, 1000)}, {})


def test_interrupted_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Ten steps in a row, and five, an end, and five more, give the same numbers."""

    def train(until: int, path: Path | None) -> torch.Tensor:
        torch.manual_seed(0)
        net, random = nn.Linear(4, 1), torch.Generator().manual_seed(1)
        adam = torch.optim.Adam(net.parameters(), 0.1)
        done = stored.resume(path, {"net": net}, {"adam": adam}, random) if path else 0
        for _ in range(done, until):
            loss = (net(torch.randn(8, 4, generator=random)) - 1).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        if path:
            stored.keep_progress(path, until, {"net": net}, {"adam": adam}, random)
        return net.weight.detach()

    whole, path = train(10, None), tmp_path / "progress.safetensors"
    train(5, path)
    torch.testing.assert_close(train(10, path), whole, atol=0, rtol=0)

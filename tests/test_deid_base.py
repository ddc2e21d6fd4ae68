"""Claims about what the compared systems share: known portraits, cameras, rendering, weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.studies.deid import learning, portraits
from privhead_nb.deid import generator, stored
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
    learning.save_parts(path, {"part": small}, {"seed": 4})
    facts = stored.load_parts(path, {"part": again}, "python make.py")
    assert facts.get("seed") == 4
    torch.testing.assert_close(again.weight, small.weight, atol=1e-3, rtol=1e-3)
    with pytest.raises(LabError, match=r"small.safetensors.*python make.py"):
        stored.load_parts(path, {"part": nn.Linear(4, 2)}, "python make.py")
    with pytest.raises(LabError, match="more than"):
        learning.save_parts(path, {"part": nn.Linear(3000, 1000)}, {})


def trained(path: Path, stop: int | None = None) -> list[torch.Tensor]:
    """Two small networks in turns, ten steps; `stop` interrupts before that one."""
    torch.manual_seed(0)
    parts = {"net": nn.Linear(4, 1), "rival": nn.Linear(4, 1)}
    adams = {name: torch.optim.Adam(part.parameters(), 0.1) for name, part in parts.items()}

    def turn(step: int, random: torch.Generator) -> learning.Turn:
        if step == stop:
            raise KeyboardInterrupt
        rows = torch.randn(8, 4, generator=random)

        def rivals_turn() -> dict[str, torch.Tensor]:
            off = (parts["rival"](rows) - parts["net"](rows).detach()).square().mean()
            learning.step_down(adams["rival"], off)
            return {"rival": off.detach()}

        return (parts["net"](rows) - 1).square().mean(), rivals_turn

    how = learning.Learning(10, 8, 0.1, seed=1)
    learning.train_in_turns(parts, adams, turn, how, path, progress=False, steady=("rival",))
    assert adams["rival"].param_groups[0]["lr"] == 0.1 > adams["net"].param_groups[0]["lr"]
    assert not any(part.training for part in parts.values())
    return [p.detach() for part in parts.values() for p in part.parameters()]


def test_interrupted_training_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten steps in a row, and five, an interruption, and the rest, give the same numbers."""
    monkeypatch.setattr(learning, "KEEP_EVERY", 3)
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", stop=5)
    for again in (trained(tmp_path / "parts"), trained(tmp_path / "parts")):  # on, and all done
        for a, b in zip(again, whole, strict=True):
            torch.testing.assert_close(a, b, atol=0, rtol=0)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes((tmp_path / "parts.safetensors").read_bytes()[:200])
    with pytest.raises(LabError, match=r"damaged\.safetensors.*Delete damaged\.safetensors"):
        trained(tmp_path / "damaged")


def test_training_on_one_loss_goes_down_and_is_adams(tmp_path: Path) -> None:
    """The same as Adam under torch's own schedule, written out."""
    found, wanted = nn.Linear(4, 1), nn.Linear(4, 1)
    wanted.load_state_dict(found.state_dict())

    def loss(net: nn.Linear, random: torch.Generator) -> torch.Tensor:
        return (net(torch.randn(8, 4, generator=random)) - 1).square().mean()

    how = learning.Learning(12, 8, 0.1, seed=3)
    before = float(loss(found, torch.Generator().manual_seed(5)).detach())
    learning.train({"net": found}, lambda r: loss(found, r), how, tmp_path / "net", progress=False)
    random, adam = torch.Generator().manual_seed(3), torch.optim.Adam(wanted.parameters(), 0.1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, 0.1, total_steps=13)
    for _ in range(12):
        adam.zero_grad()
        loss(wanted, random).backward()
        adam.step()
        cycle.step()
    torch.testing.assert_close(found.weight, wanted.weight, atol=0, rtol=0)
    assert float(loss(found, torch.Generator().manual_seed(5)).detach()) < before

"""Learned candidates of `studies/defence.py`: networks that see a picture before the operator does.

They learn from pairs of a picture as it is and in the one reflectance that all people share: what
the network makes of the first shall have the modulus of the second. That is the reconstruction
term: such moduli are those of a head of that shape, in one reflectance. Against it pulls an
attacker, taught at the same time to tell the head's albedo codes from the moduli; the attack that
is measured is taught anew afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.studies.defence_candidates import Candidate, Measure, Spoil, modulus
from privhead_nb.files import write_tensors
from privhead_nb.heads.codes import ALBEDO_NAMES, identity_codes
from privhead_nb.lab import faces
from privhead_nb.lab.attacks.learned_inversion import UNet
from privhead_nb.lab.faces import VARIANTS, FaceDataset, read_kept
from privhead_nb.lab.fit import fit
from privhead_nb.lab.jobs import safe_name
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.network import DIMENSIONS, FaceNetwork

Defenders = Callable[[], FaceDataset]
MODULI = 20.0  # weight of the moduli's error beside that of the pictures
WHOLE, FLAT = VARIANTS.index("whole"), VARIANTS.index("one albedo")


@dataclass(frozen=True)
class Teaching:
    """How a network is taught."""

    steps: int = 300
    batch: int = 24
    rate: float = 3e-3
    width: int = 12
    longer: int = 4  # so many times the steps for the U-Net
    adversary: float = 0.05  # weight of what the attacker gets wrong
    seed: int = 0


class Flattening(UNet):
    """(N, 3, 64, 64) -> (N, 3, 64, 64) in [0, 1]: the same head in the mean reflectance."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        first = self.enter[0]
        assert isinstance(first, nn.Sequential)
        first[0] = nn.Conv2d(12, width, 3, padding=1, bias=False)
        self.exit = nn.Conv2d(width + 12, 12, 3, padding=1)
        nn.init.zeros_(self.exit.weight)  # it begins by changing nothing
        assert self.exit.bias is not None
        nn.init.zeros_(self.exit.bias)

    def forward(self, x: Tensor) -> Tensor:
        change = torch.logit(super().forward(x), 1e-4)
        return torch.sigmoid(torch.logit(x, 0.01) + change)


class Local(nn.Module):
    """(N, 3, h, w) -> (N, 3, h - 4, w - 4): four layers that see 5 x 5 pixels, without a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 2 * width, 3),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3),
            nn.SiLU(),
            nn.Conv2d(2 * width, width, 1),
            nn.SiLU(),
            nn.Conv2d(width, 3, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 2:-2, 2:-2] + self.layers(x)


def pairs(defenders: FaceDataset, most: int = 1000) -> tuple[Tensor, Tensor]:
    """(N, H, H, 3) some of their pictures, as they are and in one reflectance."""
    some = torch.linspace(0, len(defenders) - 1, min(most, len(defenders))).long()
    both = defenders.pictures[some].float().div(255)
    return both[:, WHOLE], both[:, FLAT]


def flattened(defenders: Defenders, teaching: Teaching, spoil: Spoil | None = None) -> Candidate:
    """The default of what a U-Net makes of a picture; training need not know the network."""
    network = Flattening(teaching.width)
    name = "learned-flat"
    long = replace(teaching, steps=teaching.longer * teaching.steps)
    taught(network, 0, defenders, long, name)
    what = "of the picture in one reflectance, by a U-Net taught against an attacker"
    if spoil is not None:
        name, what = f"{name}-noise", f"{what}; noise of 0.02 a pixel"
    return Candidate(name, what, modulus, prepare=_on_pictures(network), spoil=spoil)


def local(defenders: Defenders, teaching: Teaching) -> Candidate:
    """The default of what four small layers make of a picture; training imitates them too."""
    network = Local(teaching.width)
    name = "learned-local"
    taught(network, 2, defenders, teaching, name)
    seen = _on_pictures(network)

    def measure(x: Tensor) -> Tensor:
        return modulus(seen(x))

    what = "of the picture after four small layers, taught against an attacker"
    return Candidate(name, what, measure, reach=3)


def taught(
    network: nn.Module,
    reach: int,
    defenders: Defenders,
    teaching: Teaching,
    name: str,
) -> None:
    """`teach`, or read what it made before, which is kept in out/lab; left in `eval`, frozen."""
    made_of = safe_name(f"{name} {teaching}")
    kept = faces.cache_folder() / "defence" / f"{made_of}.safetensors"
    if not kept.is_file():
        teach(network, reach, defenders(), teaching)
        write_tensors(kept, network.state_dict())
    nn.Module.load_state_dict(network, read_kept(kept))
    network.eval().requires_grad_(False)


def teach(
    network: nn.Module,
    reach: int,
    defenders: FaceDataset,
    teaching: Teaching,
    *,
    progress: bool = False,
) -> list[float]:
    """Teach a network to take reflectance away, against an attacker who tells albedo codes.

    Args:
        network: (N, 3, h, w) -> (N, 3, h - 2 reach, w - 2 reach).
        defenders: portraits of people from whom no attacker learns.
    """
    torch.manual_seed(teaching.seed)
    random = torch.Generator().manual_seed(teaching.seed)
    albedo = torch.stack([identity_codes(int(i))[1] for i in defenders.identity])
    spread = albedo.var(0, unbiased=False).mean()
    attacker = nn.Sequential(FaceNetwork(1), nn.Linear(DIMENSIONS, len(ALBEDO_NAMES))).train()
    its = torch.optim.AdamW(attacker.parameters(), lr=teaching.rate, weight_decay=5e-2)
    adam = torch.optim.AdamW(network.parameters(), lr=teaching.rate, weight_decay=1e-3)
    network.train()

    def loss(_: int) -> Tensor:
        rows = torch.randint(len(defenders), (teaching.batch,), generator=random)
        both = defenders.pictures[rows][:, [WHOLE, FLAT]].float().div(255)
        if torch.rand((), generator=random) < 0.5:
            both = both.flip(3)
        whole, flat = (p.movedim(-1, 1) for p in both.unbind(1))
        made = network(F.pad(whole, (reach,) * 4, mode="reflect"))
        found, wanted = (modulus(p.movedim(1, -1)) for p in (made, flat))
        off = (made - flat).abs().mean() + MODULI * (found - wanted).abs().mean()
        if teaching.adversary == 0:
            return off
        shown = head_crop(F.pad(found, (0, 0, 1, 1, 1, 1))) / 0.1
        told = F.mse_loss(attacker(shown.detach()), albedo[rows])
        its.zero_grad(set_to_none=True)
        told.backward()
        its.step()
        # once the attacker is no better than a guess there is nothing left to gain
        missed = F.mse_loss(attacker(shown), albedo[rows]) / spread
        return off - teaching.adversary * missed.clamp_max(1.0)

    return fit(adam, loss, teaching.steps, desc="defence", progress=progress)


def _on_pictures(network: nn.Module) -> Measure:
    """The network on colours (N, h, w, 3), channels last."""
    return lambda x: network(x.movedim(-1, 1)).movedim(1, -1)

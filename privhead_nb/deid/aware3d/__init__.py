"""3D-aware de-identification (Cao et al., MMAsia 2023), small: one other identity from all sides.

E_id and E_aux take identity, attributes and direction out of a picture, M_c makes of them another
latent code, and the frozen generator G_3d a picture (mapper.py, style_nerf.py). How far the
identity goes is tau (eq. 9). Losses are in losses.py, training in benchmarks/studies/deid/.
docs/compared-systems.md says where it differs from the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid import check_pictures, check_strength
from privhead_nb.deid.aware3d.examples import vectors
from privhead_nb.deid.aware3d.mapper import AuxiliaryEncoder, ConversionMapper
from privhead_nb.deid.aware3d.style_nerf import StyleNerf
from privhead_nb.deid.ideudemon.codes import Parser
from privhead_nb.deid.stored import load_parts, path_of
from privhead_nb.errors import LabError
from privhead_nb.heads.surface import LABELS

NAME = "aware3d"
COMMAND = "python benchmarks/studies/aware3d.py train"
AT_ONCE = 25
BACKGROUND, HAIR = LABELS.index("background"), LABELS.index("hair")


@dataclass(frozen=True, eq=False)
class Networks:
    """All of the system: G_3d and E_mask are frozen, E_aux and M_c learn."""

    nerf: StyleNerf
    parser: Parser
    auxiliary: AuxiliaryEncoder = field(default_factory=AuxiliaryEncoder)
    mapper: ConversionMapper = field(default_factory=ConversionMapper)


@dataclass(frozen=True, eq=False)
class Aware3d:
    """The whole system; `strength` is tau, a distance of unit vectors of E_id, from 0 to 2."""

    networks: Networks
    keep_hair: bool = True  # the original's hair is put back, as its background always is
    name: str = NAME
    strengths: tuple[float, ...] = (0.5, 0.9, 1.2, 1.5, 1.8)
    default: float = 1.5

    def __call__(
        self,
        pictures: Tensor,
        strength: float,
        random: torch.Generator,  # noqa: ARG002  the protocol's
        *,
        group: bool = False,
    ) -> Tensor:
        """De-identified pictures (see `Deidentifier`). Nothing is drawn: the map is deterministic.

        Pictures of a `group` share the mean of their identities, so that one person comes out.
        """
        check_pictures(pictures, self.name)
        check_strength(strength, self.strengths, self.name)
        if len(pictures) == 0:
            return pictures
        w, direction = self.codes(pictures, strength, group=group)
        return self.composited(pictures, self.rendered(w, direction))

    @torch.no_grad()
    def codes(self, pictures: Tensor, tau: float, *, group: bool = False) -> tuple[Tensor, Tensor]:
        """M_c's w (N, 125), and directions z_d (N, 6), of pictures (N, 64, 64, 3)."""
        identity = vectors(pictures)
        if group:
            identity = F.normalize(identity.mean(0, keepdim=True), dim=1).expand_as(identity)
        read = [self.networks.auxiliary(part) for part in pictures.split(AT_ONCE)]
        attributes, direction = (torch.cat(x) for x in zip(*read, strict=True))
        w = self.networks.mapper(identity, attributes, identity.new_full((len(identity),), tau))
        return w, direction

    @torch.no_grad()
    def rendered(self, w: Tensor, pose: Tensor) -> Tensor:
        """G_3d's pictures (N, 64, 64, 3) of codes (N, 125) in poses (N, 6)."""
        both = zip(w.split(AT_ONCE), pose.split(AT_ONCE), strict=True)
        return torch.cat([self.networks.nerf(*part)[0] for part in both])

    def multi_view(self, picture: Tensor, pose: Tensor, tau: float) -> Tensor:
        """The de-identified person of one picture from other sides, (V, 64, 64, 3) (eq. 2).

        One code for all cameras; nothing of the original is put back, which was seen from one side.

        Args:
            picture: (64, 64, 3).
            pose: (V, 6) cameras, see `deid.portraits.POSE`; the generator learned yaws within 45
                degrees and pitches from -10 to 15, and answers beyond with what it never saw.
            tau: within the range of `strengths`.

        Raises:
            LabError: a picture or poses of another shape, an unknown tau.
        """
        check_pictures(picture[None], self.name)
        check_strength(tau, self.strengths, self.name)
        if pose.dim() != 2 or pose.shape[1] != 6 or not bool(pose.isfinite().all()):
            raise LabError(
                f"poses of shape {tuple(pose.shape)}, not (V, 6) numbers",
                where=self.name,
                remedy="Give yaw and pitch in radians, then four offsets from -1 to 1.",
            )
        w, _ = self.codes(picture[None], tau)
        return self.rendered(w.expand(len(pose), -1), pose.to(w))

    @torch.no_grad()
    def composited(self, pictures: Tensor, made: Tensor) -> Tensor:
        """What is made, with the original's background around it and its hair on it.

        Where the new head leaves some of the old one bare, the generator's own background stays.
        """
        before, after = (
            torch.cat([self.networks.parser(part).argmax(1) for part in x.split(AT_ONCE)])
            for x in (pictures, made)
        )
        keep = (before == BACKGROUND) & (after == BACKGROUND)
        if self.keep_hair:
            keep = keep | (before == HAIR)
        return torch.where(keep[..., None], pictures, made)


def deidentifier(_name: str = NAME) -> Aware3d:
    """The system with the weights that ship.

    Raises:
        LabError: they are missing or damaged.
    """
    networks = Networks(StyleNerf(), Parser(), AuxiliaryEncoder(), ConversionMapper())
    load_parts(path_of(NAME), vars(networks), COMMAND)
    return Aware3d(networks)

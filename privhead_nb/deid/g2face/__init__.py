"""G2Face (Yang et al. 2024), small: another identity that can be taken back.

A picture gets a dummy identity, and its own is hidden in it as 1,024 bits (manipulate.py,
payload.py). Whoever reads these gives the picture its identity back (eq. 9 and 10). How far that
goes, who can read the bits and what a passphrase changes: docs/compared-systems.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid import check_pictures, check_strength
from privhead_nb.deid.features import identity_of, recogniser
from privhead_nb.deid.g2face.identity import (
    NOISE,
    DummyIdentity,
    GeometryRegressor,
    geometry_aware,
    without_geometry,
)
from privhead_nb.deid.g2face.manipulate import Manipulator, PasswordExtractor
from privhead_nb.deid.g2face.payload import BITS, read, written
from privhead_nb.deid.ideudemon.codes import Codes
from privhead_nb.deid.stored import load_parts, path_of

NAME = "g2face"
COMMAND = "python benchmarks/studies/g2face.py train"
AT_ONCE = 50
WRONG_KEY = (
    "no identity that this passphrase opens is hidden in it: another passphrase, a picture that "
    "was never anonymised, or one that was changed since (JPEG, resized)"
)


@dataclass(frozen=True, eq=False)
class Recovered:
    """What came of one picture."""

    picture: Tensor | None  # (64, 64, 3); None where nothing was recovered
    why: str = ""  # why not
    identity: Tensor | None = None  # (64,) unit vector that was read


@dataclass(frozen=True, eq=False)
class Parts:
    """The networks of the system."""

    geometry: GeometryRegressor
    dummy: DummyIdentity
    manipulator: Manipulator
    extractor: PasswordExtractor
    geometric: bool = True  # False is the ablation without the geometric prior

    def named(self) -> dict[str, nn.Module]:
        """By name, as they are stored."""
        return {
            name: part
            for name in self.__dataclass_fields__
            if isinstance(part := getattr(self, name), nn.Module)
        }

    def z(self, identity: Tensor, codes: Codes) -> Tensor:
        """z_gid of eq. 2."""
        whole = geometry_aware(identity, codes)
        return whole if self.geometric else without_geometry(whole)


@dataclass(frozen=True, eq=False)
class G2Face:
    """The whole system."""

    parts: Parts
    name: str = NAME
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    default: float = 1.0

    def __call__(
        self, pictures: Tensor, strength: float, random: torch.Generator, *, group: bool = False
    ) -> Tensor:
        """Anonymised pictures; `strength` is how far the identity goes to a dummy, from 0 to 1.

        Pictures of a `group` get one dummy. See `Deidentifier`.
        """
        return self.anonymise(pictures, strength, random, group=group)

    @torch.no_grad()
    def anonymise(
        self,
        pictures: Tensor,
        strength: float,
        random: torch.Generator,
        *,
        passphrase: str | None = None,
        group: bool = False,
    ) -> Tensor:
        """The same, with the password under a passphrase's key."""
        check_pictures(pictures, self.name)
        check_strength(strength, (0.0, *self.strengths), self.name)
        own = _in_parts(lambda x: identity_of(recogniser(), x), pictures)
        noise = torch.randn(1 if group else len(pictures), NOISE, generator=random)
        dummy = self.parts.dummy(noise).expand(len(pictures), -1)
        given = F.normalize((1 - strength) * own + strength * dummy, dim=1)
        bits = written(own, random, passphrase)
        return self.manipulated(pictures, given, bits)

    @torch.no_grad()
    def recover(
        self,
        pictures: Tensor,
        passphrase: str | None = None,
        *,
        placeholder: Tensor | None = None,
    ) -> list[Recovered]:
        """Take anonymised pictures (N, 64, 64, 3) back (eq. 9 and 10).

        Where the password's tag isn't right nothing is recovered, rather than somebody else shown.

        Args:
            passphrase: that they were anonymised with.
            placeholder: (N, 1024) bits that stand in the password's place, drawn by default. The
                paper's code gives the true ones, which a holder of the picture alone doesn't have.
        """
        check_pictures(pictures, self.name)
        identity, right = read(self.extracted(pictures), passphrase)
        if placeholder is None:
            random = torch.Generator().manual_seed(0)
            placeholder = torch.randint(2, (len(pictures), BITS), generator=random).float()
        made = self.manipulated(pictures, identity, placeholder)
        return [
            Recovered(picture, identity=who) if known else Recovered(None, WRONG_KEY)
            for picture, who, known in zip(made, identity, right, strict=True)
        ]

    @torch.no_grad()
    def extracted(self, pictures: Tensor) -> Tensor:
        """Logits (N, 1024) of the bits hidden in pictures: all that an outsider needs."""
        return _in_parts(self.parts.extractor, pictures)

    @torch.no_grad()
    def manipulated(self, pictures: Tensor, identity: Tensor, bits: Tensor) -> Tensor:
        """Pictures with identities (N, 64), and bits (N, 1024) hidden in them."""
        out = []
        for rows in torch.arange(len(pictures)).split(AT_ONCE):
            part = pictures[rows]
            codes, _ = self.parts.geometry(part)
            z = self.parts.z(identity[rows], codes)
            out.append(self.parts.manipulator(part, z, bits[rows]))
        return torch.cat(out)


def _in_parts(work: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    return torch.cat([work(part) for part in pictures.split(AT_ONCE)])


def deidentifier(_name: str = NAME) -> G2Face:
    """The system with the weights that ship.

    Raises:
        LabError: they are missing or damaged.
    """
    parts = Parts(GeometryRegressor(), DummyIdentity(), Manipulator(), PasswordExtractor())
    load_parts(path_of(NAME), parts.named(), COMMAND)
    return G2Face(parts)

"""IDeudemon (Wen et al., ICCV 2023), small: noise on a 3D identity code, then a restored picture.

Step I reads the codes of a face (codes.py, eq. 1), fits them by descent through a parametric NeRF
(fit.py, nerf.py, eq. 2), adds noise to the identity (`codes.perturbed`, eq. 3) and renders (eq. 4).
Step II puts the original's hair and surroundings around it and restores the picture (restore.py).
losses.py has eq. 5; the others, eq. 6 to 9, and the training are in benchmarks/studies/deid/.
docs/compared-systems.md says where it differs from the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from privhead_nb.deid import check_pictures, check_strength
from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Codes, Parser, perturbed
from privhead_nb.deid.ideudemon.fit import Fitting, fitted
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.ideudemon.restore import Restorer, hybrid
from privhead_nb.deid.stored import load_parts, path_of

NAME = "ideudemon"
COMMAND = "python benchmarks/studies/ideudemon.py train"
SCALES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
"""The paper's (section 4.2)."""
LARGER = (0.8, 1.6)
"""Beyond the paper: our codes are spread over all of [-1, 1], so that 0.4 is little noise."""
AT_ONCE = 25


@dataclass(frozen=True, eq=False)
class Ideudemon:
    """The whole system."""

    regressor: CoarseRegressor
    parser: Parser
    nerf: ParametricNerf
    restorer: Restorer
    fitting: Fitting = field(default_factory=Fitting)
    name: str = NAME
    strengths: tuple[float, ...] = (*SCALES, *LARGER)
    default: float = 0.25

    def __call__(
        self, pictures: Tensor, strength: float, random: torch.Generator, *, group: bool = False
    ) -> Tensor:
        """De-identified pictures; `strength` is the scale of the noise (see `Deidentifier`).

        Pictures of a `group` get the same noise, around the mean of their identity codes.
        """
        check_pictures(pictures, self.name)
        check_strength(strength, (0.0, *self.strengths), self.name)
        codes = self.codes(pictures)
        if group:
            mean = replace(codes, identity=codes.identity.mean(0, keepdim=True))
            shared = perturbed(mean, strength, random).identity
            hidden = replace(codes, identity=shared.expand_as(codes.identity))
        else:
            hidden = perturbed(codes, strength, random)
        return self.restored(pictures, hidden)

    def codes(self, pictures: Tensor) -> Codes:
        """Step I's codes of pictures (eq. 1 and 2)."""
        parts = [fitted(part, self.regressor, self.nerf, self.fitting)
                 for part in pictures.split(AT_ONCE)]  # fmt: skip
        return Codes.joined(parts)

    @torch.no_grad()
    def rendered(self, codes: Codes) -> Tensor:
        """X_f or X_p (N, 64, 64, 3) of codes (eq. 4)."""
        return torch.cat([self.nerf(Codes.split(part))[0] for part in codes.flat().split(AT_ONCE)])

    @torch.no_grad()
    def hybrid(self, pictures: Tensor, fitted_pictures: Tensor) -> Tensor:
        """X_l of originals and fitted pictures, by the parser's labels."""
        labels = [torch.cat([self.parser(part).argmax(1) for part in x.split(AT_ONCE)])
                  for x in (pictures, fitted_pictures)]  # fmt: skip
        return hybrid(pictures, fitted_pictures, *labels)

    @torch.no_grad()
    def restored(self, pictures: Tensor, codes: Codes) -> Tensor:
        """X' of originals and protected codes: step II."""
        hybrids = self.hybrid(pictures, self.rendered(codes))
        return torch.cat([self.restorer(part) for part in hybrids.split(AT_ONCE)])


def deidentifier(_name: str = NAME) -> Ideudemon:
    """The system with the weights that ship.

    Raises:
        LabError: they are missing or damaged.
    """
    parts = {
        "regressor": CoarseRegressor(),
        "parser": Parser(),
        "nerf": ParametricNerf(),
        "restorer": Restorer(),
    }
    load_parts(path_of(NAME), parts, COMMAND)
    return Ideudemon(**parts)  # type: ignore[arg-type]

"""Face swaps in miniature: a target's face on an actor's pose, from whatever was had of the target.

Two tools, as the paper tries them (AAAI, Fig. 8; arXiv, appendix "DeepFake"), at 64 x 64 pixels:

- `train_pair`: an autoencoder with one encoder and two decoders, the plan of DeepFaceLab (Perov et
  al. 2020). It knows nobody but the two people. To swap, an actor's picture is encoded and the
  target's decoder draws it.
- `train_prior`: a generative prior. An autoencoder of many other people whose decoder is told who
  (a vector from other pictures of the person) and how (a narrow code of the picture itself). To
  swap, the vector comes from the target's pictures; `adapted` also tunes the drawing to them.

Both take what an attacker has of the target as pictures: photographs, renders of a field, protected
pictures as grey. `score` then asks recognisers whom the result shows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.studies.face_swap_network import Pair, Prior, Swapping
from benchmarks.studies.table2 import Mean, Pictures, mean
from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import compare
from privhead_nb.lab.fit import fit
from privhead_nb.lab.intervals import Rate, share
from privhead_nb.lab.protocol import identification
from privhead_nb.lab.recognisers import CROP, HEIGHT, WIDTH, Recogniser, head_crop

Swapper = Callable[[Tensor], Tensor]
"""An actor's pictures (N, 64, 64, 3) in, the swapped ones (N, 64, 64, 3) out."""


def train_pair(
    actor: Tensor, target: Tensor, how: Swapping | None = None, *, progress: bool = False
) -> Pair:
    """The autoencoder pair of two people.

    The encoder sees grey pictures of changing brightness: the light that the actor stands in, which
    the target's decoder has never drawn, is then no part of the code.

    Args:
        actor: (N, 64, 64, 3) pictures in [0, 1] of the one who plays.
        target: (M, 64, 64, 3) of the one who is to be seen.
        how: settings.
        progress: show a bar.

    Raises:
        LabError: pictures of the wrong shape.
    """
    how = Swapping() if how is None else how
    random, crops = _begin(how, {"actor": actor, "target": target})
    model = Pair(how)
    sides = ((model.actor, crops["actor"]), (model.target, crops["target"]))

    def loss(_: int) -> Tensor:
        total = torch.zeros(())
        for decoder, pictures in sides:
            rows = torch.randint(len(pictures), (how.batch,), generator=random)
            shown, wanted = moved(pictures[rows], random)
            total = total + difference(decoder(model.encoder(recoloured(shown, random))), wanted)
        return total

    adam = _adam([*model.parameters()], how.rate)
    fit(adam, loss, how.steps, desc="pair", progress=progress)
    return model.eval()


def train_prior(
    pictures: Tensor, people: Tensor, how: Swapping | None = None, *, progress: bool = False
) -> Prior:
    """The generative prior, from pictures of many people, none of them actor or target.

    The vector of who comes from two other pictures of the person; the code of how from the picture
    itself with its colours disturbed, so that skin and hair are not read there.

    Args:
        pictures: (N, 64, 64, 3) in [0, 1].
        people: (N,) whose; everyone at least three times.
        how: settings.
        progress: show a bar.

    Raises:
        LabError: pictures of the wrong shape, or someone with fewer than three.
    """
    how = Swapping() if how is None else how
    random, crops = _begin(how, {"others": pictures})
    own = [(people == p).nonzero()[:, 0] for p in people.unique().tolist()]
    if min(len(rows) for rows in own) < 3:
        raise LabError(
            "someone has fewer than three pictures",
            where="face swap",
            remedy="Take more views of each person.",
        )
    model = Prior(how)

    def loss(_: int) -> Tensor:
        chosen = torch.randint(len(own), (how.batch,), generator=random).tolist()
        drawn = [own[p][torch.randperm(len(own[p]), generator=random)[:3]] for p in chosen]
        rows = torch.stack(drawn)  # (B, 3): one to draw, two that say who
        shown, wanted = moved(crops["others"][rows[:, 0]], random)
        given = moved(crops["others"][rows[:, 1:].reshape(-1)], random)[0]
        who = model.who(given).reshape(how.batch, 2, -1).mean(1)
        return difference(model(who, recoloured(shown, random)), wanted)

    adam = _adam([*model.parameters()], how.rate)
    fit(adam, loss, how.steps, desc="prior", progress=progress)
    return model.eval()


def adapted(prior: Prior, target: Tensor, how: Swapping | None = None) -> tuple[Prior, Tensor]:
    """The prior tuned to a target, and the target's vector (code,); `adapt` 0 only injects.

    Args:
        prior: as trained; left as it is.
        target: (M, 64, 64, 3) pictures in [0, 1].
        how: settings.
    """
    how = Swapping() if how is None else how
    random, crops = _begin(how, {"target": target})
    model = copy.deepcopy(prior)
    with torch.no_grad():
        start = model.identity(crops["target"])
    who = start.clone().requires_grad_()
    if how.adapt == 0:
        return model.eval(), start

    def loss(_: int) -> Tensor:
        rows = torch.randint(len(crops["target"]), (how.batch,), generator=random)
        shown, wanted = moved(crops["target"][rows], random)
        return difference(model(who.expand(how.batch, -1), recoloured(shown, random)), wanted)

    # how a head is held must be read as before, for the actor's pictures are read with it
    parts = [who, *model.draw.parameters()]
    fit(_adam(parts, how.rate / 2), loss, how.adapt, desc="adapt")
    return model.eval(), who.detach()


def swapper_of_pair(model: Pair) -> Swapper:
    """Actor's pictures in, target's face out."""
    return lambda pictures: _pasted(pictures, lambda x: model.target(model.encoder(_grey(x))))


def swapper_of_prior(model: Prior, who: Tensor) -> Swapper:
    """Actor's pictures in, the face of `who` (code,) out."""
    return lambda pictures: _pasted(pictures, lambda x: model(who.expand(len(x), -1), _grey(x)))


def colour_matched(swapped: Tensor, actor: Tensor) -> Tensor:
    """Swapped pictures with each channel's mean and spread within the head as in the actor's.

    Reinhard et al. 2001, as swapping tools do by default: it hides wrong colours, and right ones.

    Args:
        swapped: (N, 64, 64, 3).
        actor: (N, 64, 64, 3), the pictures that were played.
    """
    head = (actor.amin(-1, keepdim=True) < 0.94).float()
    count = head.sum((1, 2), keepdim=True).clamp_min(1)

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x * head).sum((1, 2), keepdim=True) / count
        spread = ((x - mean).square() * head).sum((1, 2), keepdim=True) / count
        return mean, spread.sqrt().clamp_min(1e-3)

    (m, s), (wanted, wide) = moments(swapped), moments(actor)
    matched = ((swapped - m) / s * wide + wanted).clamp(0, 1)
    return torch.where(head > 0, matched, swapped)


@dataclass(frozen=True)
class Score:
    """Whom swapped pictures show, to one recogniser.

    Attributes:
        as_target: rank-1 for the target among all of the gallery, beside `chance`.
        as_actor: rank-1 for the actor, who played.
        nearer: pictures that are nearer to the target than to the actor.
        to_target, to_actor: cosine distances to their clean gallery pictures.
    """

    as_target: Rate
    as_actor: Rate
    nearer: Rate
    chance: float
    to_target: Mean
    to_actor: Mean


def score(
    recogniser: Recogniser,
    swapped: Tensor,
    target: Tensor,
    actor: Tensor,
    gallery: Pictures,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Score:
    """Ask a recogniser whom swapped pictures show.

    Args:
        recogniser: of clean pictures.
        swapped: (N, 64, 64, 3).
        target, actor: (N,) int identities, both in the gallery.
        gallery: clean pictures of known people, one each.
        resamples, seed: of the intervals, which draw targets.
    """
    p, made = recogniser.embed(swapped)
    g, _ = recogniser.embed(gallery.rgb)
    known = gallery.identity.numpy()
    named, distance = [], []
    for people in (target.numpy(), actor.numpy()):
        found = compare(p.numpy(), people, g.numpy(), known, made.numpy())
        named.append(identification(found, ranks=(1,), resamples=resamples, seed=seed))
        distance.append(1 - found.similarity[found.mated])
    if len(distance[0]) != len(swapped) or len(distance[1]) != len(swapped):
        raise LabError(
            "a target or an actor has not exactly one picture in the gallery",
            where="face swap",
            remedy="Put one clean picture of each into it.",
        )
    draw: dict[str, int] = {"resamples": resamples, "seed": seed}
    return Score(
        as_target=named[0].rank[1],
        as_actor=named[1].rank[1],
        nearer=share(distance[0] < distance[1], target.numpy(), **draw),
        chance=named[0].chance[1],
        to_target=mean(distance[0], target.numpy(), **draw),
        to_actor=mean(distance[1], target.numpy(), **draw),
    )


def difference(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Squared and absolute difference of colours, and that of their steps from pixel to pixel."""
    d = drawn - wanted
    steps = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
    return 4 * d.square().mean() + d.abs().mean() + steps


def moved(pictures: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops (N, 3, 56, 40) turned and shifted a little: once warped as well, once not.

    The encoder sees the warped one and the unwarped one is wanted, so that it learns what a face
    looks like rather than where each pixel is (Perov et al. 2020).
    """
    count = len(pictures)
    off = torch.rand(count, 4, generator=random) * 2 - 1
    turn, zoom = 0.05 * off[:, 0], 1 + 0.04 * off[:, 1]
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom
    theta[:, 0, 1], theta[:, 1, 0] = -turn * HEIGHT / WIDTH, turn * WIDTH / HEIGHT
    theta[:, :, 2] = 0.05 * off[:, 2:]
    grid = F.affine_grid(theta, [count, 3, HEIGHT, WIDTH], align_corners=False)
    coarse = 0.025 * torch.randn(count, 2, 5, 4, generator=random)
    warp = F.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    both = [
        F.grid_sample(pictures, g, padding_mode="border", align_corners=False)
        for g in (grid + warp.movedim(1, -1), grid)
    ]
    return both[0], both[1]


def recoloured(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Crops (N, 3, 56, 40) in grey, brighter or darker, flatter or harder."""
    gain = torch.rand(len(pictures), 2, 1, 1, 1, generator=random)
    grey = _grey(pictures).clamp_min(1e-3)
    return 1 - (0.6 + 0.6 * gain[:, 0]) * (1 - grey.pow(0.6 + 0.9 * gain[:, 1]))


def _grey(pictures: Tensor) -> Tensor:
    return pictures.mean(1, keepdim=True).expand(-1, 3, -1, -1)


def _begin(how: Swapping, given: dict[str, Tensor]) -> tuple[torch.Generator, dict[str, Tensor]]:
    """The seeded generator, and crops (N, 3, 56, 40) of all pictures."""
    for name, pictures in given.items():
        if pictures.dim() != 4 or pictures.shape[1:] != (64, 64, 3) or len(pictures) == 0:
            raise LabError(
                f"pictures of the {name} are {tuple(pictures.shape)}, not (N, 64, 64, 3)",
                where="face swap",
                remedy="Give at least one picture, 64 x 64 RGB in [0, 1].",
            )
    torch.manual_seed(how.seed)
    crops = {name: head_crop(pictures) for name, pictures in given.items()}
    return torch.Generator().manual_seed(how.seed), crops


def _adam(parts: list[nn.Parameter] | list[Tensor], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(parts, lr=rate, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def _pasted(pictures: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
    """Pictures (N, 64, 64, 3) with the head's crop drawn anew."""
    out = pictures.clone()
    out[:, CROP[0], CROP[1]] = draw(head_crop(pictures)).clamp(0, 1).movedim(1, -1)
    return out

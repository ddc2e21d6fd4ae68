"""Make a neutral template head of several made people: the mean of their distances, or trained.

    mean     f(x) = mean_k d_k(x), with d_k the signed distance of person k in k's own bounding
             sphere; a field is fitted to it. No picture is made. f is no distance itself: where the
             people's nearest points lie in different directions, their gradients cancel in part.
    trained  one field and colour network for all people's pictures at once, as though they were
             one person: each picture pulls the surface towards its own, and they settle in between.

The pictures of the second kind are full RGB, faces too. The people are made heads, so nobody's
privacy is lost; out of photographs of people a template would have to be made with their consent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

import privhead_nb
from privhead_nb.errors import TrainingError, check_choice
from privhead_nb.field.model import HeadModel
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import closest_points, sample_surface
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.grid import marching_cubes, sample_grid
from privhead_nb.heads.head import make_head
from privhead_nb.heads.synthetic import bounding_sphere, synthetic_scene
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.batches import linear_light, scene_views
from privhead_nb.training.profiles import Profile, get_profile
from privhead_nb.training.run import Terms
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import rgb_terms
from privhead_nb.training.template import Template, template_settings

Points = NDArray[np.float64]

KINDS = ("mean", "trained")
PEOPLE = tuple(range(901, 911))
"""Ten made people whom no test, study or lesson uses as a target."""
MAX_PEOPLE = 10_000
SPACING = 3.0  # mm, of the grid that a person's surface is taken from
FIT_POINTS, FIT_STEPS, FIT_BATCH = 40_000, 600, 4096
NEAR = 0.03  # spread of the points near a surface, unit-sphere coordinates


@dataclass(frozen=True, eq=False)
class Person:
    """A head's surface and signed distance with its bounding sphere, scene unit."""

    mesh: Mesh
    center: tuple[float, float, float]
    radius: float
    inside: Callable[[Points], NDArray[np.bool_]]

    def sdf(self, unit: Points) -> Points:
        """Exact signed distance (P,) at unit-sphere points (P, 3), in units of the sphere."""
        points = unit * self.radius + np.array(self.center)
        distance = closest_points(points, self.mesh)[0] / self.radius
        return np.where(self.inside(points), -distance, distance)


def person(identity: int) -> Person:
    """The surface of a made person, on a grid of SPACING mm."""
    head = make_head(identity)
    vertices, faces = marching_cubes(sample_grid(head.sdf, SPACING))
    center, radius = bounding_sphere(vertices)

    def inside(points: Points) -> NDArray[np.bool_]:
        with torch.no_grad():
            return head.sdf(torch.from_numpy(points).float()).numpy() < 0

    return Person(Mesh(vertices, faces), center, radius, inside)


def make_template(
    identities: Sequence[int] = PEOPLE,
    kind: str = "mean",
    *,
    seed: int = 0,
    profile: str | Profile | None = None,
    steps: int | None = None,
    progress: bool = False,
) -> Template:
    """A template of made people.

    Args:
        identities: their numbers; leave out those that you will reconstruct.
        kind: "mean" or "trained" (see above).
        seed: of start values and samples; the same seed gives the same template.
        profile: the reconstruction's, whose field the template has to fit.
        steps: of the fit or the training; None takes FIT_STEPS, or the profile's full RGB steps.
        progress: show bars.

    Raises:
        TrainingError: no people, one of them twice, or an unknown kind.
    """
    people = [int(i) for i in identities]
    if not people or len(set(people)) < len(people) or min(people) < 0:
        raise TrainingError(
            f"can't be made of {people}",
            where="template",
            remedy="Name one or more people, each once, as 901-910.",
        )
    check_choice("kind", kind, KINDS, where="template", error=TrainingError)
    settings = get_profile(profile)
    settings = replace(settings, field=template_settings(settings.field))
    if kind == "mean":
        kept: tuple[str, ...] = ("field.",)
        heads = [person(i) for i in tqdm(people, "surfaces", disable=not progress)]
        count = FIT_STEPS if steps is None else steps
        model, error = fit_mean(heads, settings, seed, count, progress)
        spheres = [(p.center, p.radius) for p in heads]
        extra: dict[str, Any] = {"steps": count, "fit_error": error}
    else:
        scenes = [synthetic_scene(i) for i in tqdm(people, "pictures", disable=not progress)]
        count = settings.full_rgb.steps if steps is None else steps
        model = train_together(scenes, settings, seed, count, progress)
        spheres = [(s.center, s.radius) for s in scenes]
        pictures = sum(len(s.cameras) for s in scenes)
        kept, extra = ("field.", "colour."), {"steps": count, "pictures": pictures}
    state = {k: v.detach().cpu() for k, v in model.state_dict().items() if k.startswith(kept)}
    made: dict[str, Any] = {
        "kind": kind,
        "identities": people,
        "seed": seed,
        **extra,
        "head_generator": GENERATOR_VERSION,
        "privhead_nb": privhead_nb.__version__,
    }
    center = np.mean([c for c, _ in spheres], axis=0)
    return Template(
        settings=settings.field,
        state=state,
        made=made,
        center=(float(center[0]), float(center[1]), float(center[2])),
        radius=float(np.mean([r for _, r in spheres])),
    )


def fit_mean(
    people: Sequence[Person], settings: Profile, seed: int, steps: int, progress: bool = False
) -> tuple[HeadModel, float]:
    """A model whose field is the people's mean SDF, and its mean error near the surface (unit)."""
    points = fit_points(people, FIT_POINTS, seed)
    values = [p.sdf(points) for p in tqdm(people, "distances", disable=not progress)]
    where = torch.from_numpy(points).float()
    wanted = torch.from_numpy(np.mean(values, axis=0)).float()
    held = len(where) // 10  # not fitted, to measure with
    model = fit_field(settings, where[held:], wanted[held:], seed, steps, progress)
    with torch.no_grad():
        off = (model.sdf(where[:held]) - wanted[:held]).abs()
    return model, round(float(off[wanted[:held].abs() < NEAR].mean()), 5)


def fit_points(people: Sequence[Person], count: int, seed: int) -> Points:
    """Points (count, 3) in the unit ball, half of them near the people's surfaces; shuffled."""
    rng = np.random.default_rng(seed)
    towards = rng.normal(size=(count - count // 2, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    found = [towards * rng.uniform(size=(len(towards), 1)) ** (1 / 3)]
    share = np.array_split(np.arange(count // 2), len(people))
    for number, (one, mine) in enumerate(zip(people, share, strict=True)):
        on, _ = sample_surface(one.mesh, max(len(mine), 1), seed + number)
        near = (on[: len(mine)] - np.array(one.center)) / one.radius
        found.append(near + NEAR * rng.normal(size=near.shape))
    points = np.concatenate(found)
    return np.asarray(rng.permutation(points))


def fit_field(
    settings: Profile,
    points: Tensor,
    wanted: Tensor,
    seed: int,
    steps: int,
    progress: bool = False,
) -> HeadModel:
    """A model whose field has the values `wanted` (P,) at unit-sphere points (P, 3).

    Minimises the mean absolute difference; what is far from the surface counts less.
    """
    render = replace(settings.render, sampler="uniform", coverage="volume")  # keeps no cache
    options = RunOptions(seed, device="cpu", progress=progress)
    described = {"input": "template"}
    run = start_run(replace(settings, render=render), options, described, linear_light=0.0)
    weight = 0.1 + torch.exp(-wanted.abs() / 0.1)

    def terms() -> Terms:
        drawn = torch.randint(len(points), (FIT_BATCH,), generator=run.generator)
        off = (run.model.sdf(points[drawn]) - wanted[drawn]).abs()
        return {"distance": (off * weight[drawn]).mean()}

    run.train("fit", steps, settings.stage1.beta, terms)
    return run.model.eval()


def train_together(
    scenes: Sequence[Scene], settings: Profile, seed: int, steps: int, progress: bool = False
) -> HeadModel:
    """One model for the pictures of several people, each in the person's own unit sphere."""
    stage = replace(settings.full_rgb, steps=steps)
    options = RunOptions(seed, device="cpu", progress=progress)
    views = scene_views(scenes, options.place)
    run = start_run(settings, options, {"input": "template"}, linear_light=linear_light(views))
    terms = rgb_terms(run, views, stage)
    run.train("full_rgb", stage.steps, stage.beta, terms)
    return run.model.eval()


def parse_identities(text: str) -> tuple[int, ...]:
    """ "901-910" or "3,5,8-9" to numbers.

    Raises:
        TrainingError: no such list.
    """
    where, remedy = "identities", "Write 901-910, or 3,5,8-9."
    try:
        ends = [part.strip().partition("-") for part in text.split(",")]
        ranges = [range(int(first), int(last or first) + 1) for first, _, last in ends]
    except ValueError as error:
        raise TrainingError(f"{text!r} names no people", where=where, remedy=remedy) from error
    if sum(map(len, ranges)) > MAX_PEOPLE:
        said = f"{text!r} names more than {MAX_PEOPLE} people"
        raise TrainingError(said, where=where, remedy="Name fewer.")
    return tuple(chain(*ranges))

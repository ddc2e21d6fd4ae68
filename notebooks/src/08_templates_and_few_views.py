# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Templates and few views
#
# **You will be able to** make a template out of the signed distances of ten heads and reconstruct a head from it
# when every picture shows the face; say what a mean of heads is and what it is not; choose the few views that are
# worth most; notice a failed first stage without knowing the truth; measure how much of a template is left in a result.
#
# **You should know** signed distances ([lesson 2](02_sdf_and_eikonal.ipynb)) and the two stages
# ([lesson 5](05_two_stage_reconstruction.ipynb)).
#
# **Time**: 90 minutes of reading and writing, the hard exercise not counted; computing takes under a minute on the
# `ci` profile and about four on `cpu`.
#
# **Equations of the paper**: 4 (eikonal), 5 (gradient loss), 9 to 11 (what each stage sees), and its sections
# "Template" and "Sparse views and geometric priors".

# %%
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from privhead_nb import Release, Template, evaluate, load_scene, protect, reconstruct
from privhead_nb.errors import TrainingError
from privhead_nb.field.model import HeadModel
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, results, widgets
from privhead_nb.teach.lesson08 import few_views, panel
from privhead_nb.teach.lesson08.runs import NEUTRAL, STARTS, by_head, means, runs
from privhead_nb.teach.results import interval, pairs
from privhead_nb.training.profiles import get_profile
from privhead_nb.training.template import template_settings
from privhead_nb.training.two_stage import reconstruct_at_once
from privhead_nb.viz.plots import mesh_row
from privhead_nb.viz.style import BLUE, LOOKS, ORANGE, curves, dots, grid, show

scene, release = load_scene(SAMPLES / "scene"), Release.load(SAMPLES / "release")

# %% [markdown]
# ## 1. When every picture shows the face
#
# Hold a telephone at arm's length and walk around your own head. It does not work: every picture that you can
# take of yourself shows your face. So there is not one neutral view, stage 1 has nothing to look at, and stage 2
# would have to begin with a sphere. What does our trainer say to that?

# %%
hidden = protect(replace(scene, neutral=()))
print(len(hidden.neutral), "neutral views,", len(hidden.sensitive), "sensitive ones")
try:
    reconstruct(hidden)
except TrainingError as error:
    print(error)

# %% [markdown]
# It refuses, and names a way out: a **template**. If we can't see the coarse shape of *this* head, we may begin
# with the coarse shape of heads as such. The paper does so with a head made of ten people, and says honestly
# what to expect of it: useful where nothing else is to be had, and no full replacement for a real stage 1.
#
# This lesson makes such a template, starts from it, and then asks the uncomfortable question. A template is a
# prejudice: it has an opinion about your face before it has seen you. Does it keep it?
#
# ## 2. The mean of ten heads
#
# How does one take the mean of ten surfaces? Of triangles one can't: which corner of mine belongs to which corner
# of yours? But a head is a *function* here, and functions can be added up. Put every head into its own unit
# sphere, ask all ten for their signed distance at the same point, and take the mean:
#
# $$\bar f(x) = \frac{1}{K} \sum_{k=1}^K f_k(x), \qquad
# \nabla \bar f(x) = \frac{1}{K} \sum_{k=1}^K \nabla f_k(x) .$$
#
# Where $\bar f = 0$ is the surface of a head that nobody has. But look at the gradient on the right.
# Each $\nabla f_k$ is an arrow of length one: away from the nearest point of head $k$. Where all heads agree, the
# arrows are parallel and their mean has length one as well. Where they disagree, they cancel in part. Balls show it
# best, since a ball's distance is a formula.
#
# ### Exercise 0801 (first steps, 10 min): a mean of balls
#
# Write a function that takes points (P, 3), the balls' centers (K, 3) and radii (K,), and returns two arrays of
# length P: the mean signed distance, and the length of its gradient.


# %% tags=["exercise"]
def mean_of_balls(points, centers, radii):
    """Mean signed distance (P,) of K balls and the length (P,) of its gradient."""
    ### BEGIN SOLUTION
    away = points[:, None] - centers[None]
    distance = np.linalg.norm(away, axis=2)
    slope = (away / distance[..., None]).mean(axis=1)
    return (distance - radii).mean(axis=1), np.linalg.norm(slope, axis=1)
    ### END SOLUTION


# %%
checks.ex0801(mean_of_balls)

# %% [markdown]
# Two balls that overlap, cut through their middles, are two discs. Your function draws them:

# %%
axis = np.linspace(-1.6, 1.6, 161)
x, y = np.meshgrid(axis, axis)
centers, radii = np.array([[-0.45, 0, 0], [0.45, 0, 0]]), np.array([0.6, 0.6])
plane = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)
mean, slope = (part.reshape(x.shape) for part in mean_of_balls(plane, centers, radii))
print(f"slope half-way between the centres {slope[80, 80]:.2f}, in the corner {slope[0, 0]:.2f}")

figure, ((left, right),) = grid(1, 2, width=7.5, height=3.3)
lines = left.contour(x, y, mean, np.arange(0.15, 1.3, 0.15), colors="0.6", linewidths=0.8)
left.clabel(lines, lines.levels[1::2], fontsize=7)
shown = right.pcolormesh(x, y, slope, cmap="cividis", vmin=0, vmax=1, shading="auto")
figure.colorbar(shown, ax=right, shrink=0.8, label="length; a distance has 1")
titles = ("mean of two distances", "length of its gradient")
for ax, title, colour in zip((left, right), titles, (BLUE, "white"), strict=True):
    for center, radius in zip(centers, radii, strict=True):
        disc = np.hypot(x - center[0], y - center[1]) - radius
        ax.contour(x, y, disc, [0], colors=ORANGE, linewidths=1.2, linestyles="--")
    ax.contour(x, y, mean, [0], colors=colour, linewidths=2.2)
    ax.set_title(title, fontsize=10)
    ax.set_aspect("equal")
    ax.set_axis_off()
show(
    figure,
    alt="Left: level lines of the mean distance of two overlapping discs, drawn dashed. Its zero line, solid, "
    "is one oval between them. Right: the length of its gradient, one far away and down to zero on the line "
    "between the two centres.",
)

# %% [markdown]
# The oval is a fine surface. The *function* is no distance any more: between the centres it is flat, and a
# sampler that trusts it ("the next surface is $f$ away, so walk that far") walks too short. The eikonal term of
# equation 4 will notice at once, and spend the first steps of stage 2 on repairing it.
#
# Is it that bad for heads? Heads are much alike once they share a sphere. Move the slider from one person to ten.
# Watch two things: what becomes of the nose, the lips and the chin, and the last number, the mean's slope at its
# own surface.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Without a kernel, look here: one, three and ten people from the side, and ten from above.

# %%
widgets.twin(panel.picture, panel.TWIN)

# %% tags=["tolerance-2"]
people = (
    panel.lattices()
)  # (10, X, Y, Z): exact distances of ten made people, unit-sphere coordinates
for count in (1, 3, 10):
    values = people[:count].mean(axis=0)
    near = np.abs(values) < panel.STEP
    slope = np.linalg.norm(np.gradient(values, panel.STEP), axis=0)[near].mean()
    print(f"{count:>2} people: slope at the surface {slope:.2f}")

# %% [markdown]
# What everybody has in another place dies in the mean first: lips, eyelids, ears. What everybody has, stays: there
# is a nose, since all noses are in front. That is just what one wants of a template, low frequencies with
# nobody's details in it. (The lattice of this panel is 7 mm wide, so that even one single person looks blurred
# here; and it loses a little slope by itself.)
#
# ### Exercise 0802 (hard, 45 min): repair it
#
# Given the values of *any* function on a 2D lattice, return the true signed distance to its zero line: negative where
# the values are negative, $\lVert \nabla f \rVert = 1$ almost everywhere, right within three quarters of a step, and
# within a tenth at nodes that are less than one step from the line (but for those at the rim). `values` is (H, W),
# `step` the width of the lattice. The line may have several pieces, and ends where the lattice does. There are many
# ways: walk along the cells and find the crossing on each edge (skimage's `find_contours` gives them in order), then
# measure distances to segments; or march outwards from the line with the eikonal equation, as Sethian's fast marching
# does. The second is worth an evening.


# %% tags=["exercise"]
def repaired(values, step):
    """Signed distance (H, W) to the zero line of values (H, W) on a lattice of width `step`."""
    ### BEGIN SOLUTION
    lines = find_contours(values, 0.0)
    first = np.concatenate([line[:-1] for line in lines]) * step
    along = np.concatenate([np.diff(line, axis=0) for line in lines]) * step
    points = np.stack(np.indices(values.shape), axis=-1).reshape(-1, 1, 2) * step
    share = ((points - first) * along).sum(-1) / ((along**2).sum(-1) + 1e-18)
    offset = points - first - share.clip(0, 1)[..., None] * along
    away = np.linalg.norm(offset, axis=-1).min(axis=1).reshape(values.shape)
    return np.where(values < 0, -away, away)
    ### END SOLUTION


# %%
checks.ex0802(repaired)

# %% [markdown]
# Now repair the mean of ten, in the plane that cuts all heads through the nose (x = 0). How far does the mean mislead
# somebody who asks it for the way to the surface?

# %% tags=["tolerance-2"]
cut = values[round(-panel.LOW[0] / panel.STEP)]  # the plane x = 0, (Y, Z)
fixed = repaired(cut, panel.STEP)
for low, high in ((0, 20), (20, 40), (40, 60)):
    here = (np.abs(fixed) * panel.RADIUS >= low) & (np.abs(fixed) * panel.RADIUS < high)
    lost = (np.abs(fixed) - np.abs(cut))[here].mean() * panel.RADIUS
    before, after = (np.hypot(*np.gradient(f, panel.STEP))[here].mean() for f in (cut, fixed))
    print(f"{low:>2} to {high} mm off: the mean says {lost:.1f} mm too little; ", end="")
    print(f"slope {before:.2f}, repaired {after:.2f}")

# %% [markdown]
# A step that is some millimetres too short costs a sampler time and nothing else, so a mean of heads may be used as it
# is. (Two discs that hardly overlap are another matter.)
#
# ## 3. Make a template
#
# A template for our trainer is a *field*: the grid and the small network of [lesson 2](02_sdf_and_eikonal.ipynb), whose
# numbers stage 2 takes over as its start. So we fit one to $\bar f$. Nobody is photographed for it. What we need is
# $\bar f$ at any point, which is the trilinear look-up of lesson 2 in the table of the people's distances, and the
# training loop of lesson 2 with another loss: the difference itself, weighted by $0.1 + e^{-|\bar f| / 0.1}$, as what
# is far from the surface matters less. Distances are cut at 0.3 of the sphere's radius on both sides: a *truncated*
# signed distance (TSDF), which is all that our table holds. Only two coarse grid levels are fitted; the profiles' finer
# levels start from nothing behind them, as they always do. So one small file serves `ci`, `cpu` and `gpu`.

# %%
corner, steps = torch.tensor(panel.LOW), torch.tensor(panel.COUNTS) - 1
lattice = torch.meshgrid(*map(torch.from_numpy, panel.axes()), indexing="ij")


def look_up(table, points):
    """Values (N,) of a table (X, Y, Z) of distances at points (N, 3), between its nodes trilinear."""
    place = 2 * (points - corner) / (panel.STEP * steps) - 1  # -1 and 1 at the table's ends
    at = place.flip(-1)[None, None, None]  # grid_sample wants z, y, x
    return torch.nn.functional.grid_sample(
        table[None, None], at, align_corners=True, padding_mode="border"
    )[0, 0, 0, 0]  # fmt: skip


def make_mean(table, steps_of_fit=300, seed=0):
    """A template whose field is the table's signed distance, near its zero level at least."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    model = HeadModel(template_settings(get_profile().field))
    nodes = torch.stack(lattice, dim=-1).reshape(-1, 3)
    near = nodes[table.reshape(-1).abs() < 1.5 * panel.STEP]
    optimiser = torch.optim.Adam(model.field.parameters(), lr=5e-3)
    for _ in range(steps_of_fit):
        drawn = near[torch.randint(len(near), (2048,), generator=random)]
        drawn = drawn + panel.STEP * (torch.rand(2048, 3, generator=random) - 0.5)
        anywhere = corner + panel.STEP * steps * torch.rand(1024, 3, generator=random)
        points = torch.cat([drawn, anywhere])
        wanted = look_up(table, points).clamp(-0.3, 0.3)
        off = (model.sdf(points).clamp(-0.3, 0.3) - wanted).abs()
        loss = (off * (0.1 + torch.exp(-wanted.abs() / 0.1))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    state = {k: v.detach() for k, v in model.state_dict().items() if k.startswith("field.")}
    near_surface = float(off[:2048].mean()) * panel.RADIUS
    return Template(model.settings, state, radius=panel.RADIUS), near_surface


# %% tags=["tolerance-10"]
mine, off = make_mean(torch.from_numpy(people.mean(axis=0)))
print(f"near the surface my template is {off:.1f} mm off the mean of ten, in the mean")

# %% [markdown]
# Three hundred steps, a few seconds: your template. The package makes the same from a finer grid, with exact distances,
# more points and more steps: `privhead template OUT --identities 901-910 --kind mean`. A second kind, `--kind trained`,
# trains *one* field and colour network on the full-RGB pictures of all ten, as though they were one person. The
# pictures contradict each other by a few millimetres, and the field settles in between, a little as the paper's
# templates are made. Those pictures show faces. Nobody's privacy is lost, since the people are made up; with
# photographs of real people, this step would need their consent. Both are shipped with the course.

# %% tags=["tolerance-60"]
template, trained = (Template.load(SAMPLES / name) for name in ("template", "template_trained"))
meshes = {"mine": mine.mesh(), "the package's": template.mesh(), "trained on ten": trained.mesh()}
unit = {
    name: (mesh.vertices - one.center) / one.radius
    for (name, mesh), one in zip(meshes.items(), (mine, template, trained), strict=True)
}
for name in ("the package's", "trained on ten"):
    apart = cKDTree(unit[name]).query(unit["mine"])[0].mean() * panel.RADIUS
    print(f"from my surface to the nearest vertex of {name}: {apart:.1f} mm in the mean")

middle = np.array(scene.center)
meshes = {  # all in head 7's sphere
    name: replace(mesh, vertices=unit[name] * scene.radius + middle)
    for name, mesh in meshes.items()
}
meshes["head 7, the truth"] = scene.truth_mesh()
figure, axes_of = grid(2, 4, width=8.4)
for row, view in zip(axes_of, ("front", "profile"), strict=True):
    mesh_row(row, meshes, view, titles=view == "front")
show(
    figure,
    alt="Four grey heads from the front and in profile. My mean of ten and the package's look the same: a pinched "
    "nose and hollows for eyes; the trained template has a blunt nose and little else; none has lips. "
    "Head 7 has a face.",
)

# %% [markdown]
# A template is put where the release's bounding sphere is: $x = (p - c) / r$, with the released $c$ and $r$. Nothing
# else aligns it. So a careless sphere makes a careless template, twice as large as the head if the sphere is. A field
# of another make is refused, as the next cell shows. The same cell asks how far your template is from the head that we
# are after: on points of the true face, the field's value is its error.

# %% tags=["tolerance-10"]
for profile in ("ci", "cpu", "paper"):
    faults = mine.faults(get_profile(profile).field)
    print(f"{profile}: {faults[0] if faults else 'fits'}")

nose, radius = scene.face_region()
points = torch.from_numpy(scene.truth_mesh().vertices).float()
face = (points - torch.tensor(nose)).norm(dim=1) < radius
where = (points[face] - torch.tensor(scene.center)) / scene.radius
with torch.no_grad():
    t = (mine.model().sdf(where) * scene.radius).numpy()
print(
    f"my template's face is off by {np.abs(t).mean():.1f} mm in the mean, by {np.abs(t).max():.0f} at most"
)

# %% [markdown]
# ## 4. Stage 2 on a template
#
# Now the release without a neutral view can be reconstructed. A few hundred steps of stage 2 (an eighth of what
# `cpu` takes), once from your template, and once from a sphere, which is all there would be without.

# %%
usual = get_profile()
stage2 = replace(usual.stage2, steps=250, patches=10, eikonal_points=512)
short = replace(usual, stage2=stage2)
head = reconstruct(hidden, short, seed=0, template=mine, progress=False)

# %%
alone = reconstruct(hidden, short, seed=0, stages=(2,), progress=False)
itself = extract_mesh(mine.model().sdf, scene.center, scene.radius, resolution=96)

# %% tags=["tolerance-30"]
made = {"my template itself": itself, "template, then stage 2": head, "sphere, then stage 2": alone}
print(f"{'mm from the truth':<24}{'face':>6}{'head':>6}")
for name, one in made.items():
    both = [
        evaluate(one, scene, samples=8000, region=region).distance_mean
        for region in ("face", "head")
    ]
    print(f"{name:<24}{both[0]:>6.1f}{both[1]:>6.1f}")

# %%
figure, axes_of = grid(2, 4, width=8.4)
meshes = {
    "sphere, then stage 2": alone.mesh, "my template": itself,
    "template, then stage 2": head.mesh, "truth": scene.truth_mesh(),
}  # fmt: skip
mesh_row(axes_of[0], meshes, "front")
mesh_row(axes_of[1], meshes, "profile", titles=False)
show(
    figure,
    alt="Four heads from the front and in profile. From a sphere: a dented lump without a neck; my template, smooth; "
    "what stage 2 made of it, a head with the right outline, nose and chin, its skin and hair still rough; and the "
    "truth.",
)

# %% [markdown]
# Your template has done its work: without one neutral view, stage 2 brings it to half of its error or less, on the face
# and on the whole head. From a sphere the *face* alone may pass, nearer than the untouched template, since twenty views
# look at it. The whole head is a lump, about a centimetre off. So judge both, face and head, from here on. (My template
# is a little faceted: those are the 7 mm cells of the table that it was fitted to.)
#
# Does it matter that the release has no neutral views, or only that we did not use them? Stage 2 never opens them. So
# both releases must give the same head, to the last bit. That is worth testing, as it is the whole promise:

# %%
few = replace(short, stage2=replace(short.stage2, steps=8), mesh_resolution=32)
one, two = (reconstruct(r, few, seed=3, template=mine) for r in (hidden, release))
pair = one.model.parameters(), two.model.parameters()
apart = max(float((a - b).detach().abs().max()) for a, b in zip(*pair, strict=True))
print(f"largest difference between all numbers of both heads: {apart:.1f}")

# %% [markdown]
# One head and one seed prove little. `benchmarks/studies/template.py` has run longer ones, on heads that are in no
# template: 120 steps of stage 1 and 400 of stage 2, a fifth of the `cpu` profile. Few heads, few seeds: the marks in
# the picture are all there are, so trust an ordering only where it holds for each of them.

# %%


def table(columns):
    """A line for each start: the mean of each number over the heads that all starts were run with."""
    found = {title: means(column, "start", STARTS) for title, column in columns.items()}
    heads = ", ".join(next(iter(found.values()))[1])
    print(f"{f'mean of heads {heads}':<28}" + "".join(f"{title:>15}" for title in columns))
    for start in STARTS:
        print(f"{start:<28}" + "".join(f"{mean[start]:>15.2f}" for mean, _ in found.values()))


measures = {"face, mm": "final.face_mm", "whole head, mm": "final.head_mm"}
table(measures)
figure, (axes_of,) = grid(1, 2, width=10, height=3.8, sharey=True)
for ax, (label, column) in zip(axes_of, measures.items(), strict=True):
    rows = {}
    for start in STARTS:
        found = runs(start=start).groupby("head")[column].agg(["mean", "min", "max"])
        rows[start] = {f"head {head}": list(numbers) for head, numbers in found.iterrows()}
        rows[start]["mean of heads"] = [found["mean"].mean()] * 3
    dots(
        ax,
        rows,
        percent=False,
        legend=ax is axes_of[1],
        xlabel=f"{label} from the truth",
        xlim=(0, None),
    )
show(
    figure,
    alt="Rows of marks, one row for each way to start, over the distance of the face, left, and of the whole head, "
    "right, from the truth in millimetres. On the face all starts lie between 1 and 6; on the whole head the two that "
    "begin with a sphere lie far to the right of the others.",
)

# %% [markdown]
# (The table's means are of the heads that every start was run with, the diamonds of all heads of a start.) What holds
# for every head here? A sphere is the worst start, and more so on the whole head. The untouched template's face is 2 to
# 6 mm off, and how far off it is hardly decides how near stage 2 gets: head 105 is the one that it fits worst, and ends
# among the nearest. The mean template stands in for stage 1, on the face and more so on the whole head. With a stage 1
# behind it, it does better still. With colours (the trained template) the means are better, too, but not each head: on
# 105 the mean template ends nearer.
#
# Read the caveat before you cheer. These runs are short, and 120 steps are not enough to pull a sphere into the shape
# of a head. With 300 steps, as many as `cpu` takes, stage 1 has made up for it, and the mean template's lead is gone.
# With all the steps of `cpu` the two stages reach 0.63 mm and 0.77 mm on heads 103 and 104 (`docs/reconstruction.md`),
# nearer than anything in this picture. So a template is a head start, and a way out where there is no stage 1. That it
# replaces neutral views that you *could* have taken, nobody has shown.
#
# ## 5. Everything at once: the paper's bad case
#
# Why two stages at all? We have colours behind and moduli in front; a template gives a start; let everything pull
# together from the first step. The paper tried that, and prints three figures under three heads: **27.65** without
# a first stage, **15.67** for training with both kinds of pictures on a template, **0.84** for the two stages.
# (The unit is not stated; its Chamfer distances on FaceScape are in thousandths.) Its reason: the first steps lack
# low frequencies, and high frequencies that come in too early disturb what has not settled.
#
# `reconstruct_at_once` does it in kind: each step has the pixels and all the terms of both stages. It has as many
# steps as stage 2, so it sees more than the two stages do.

# %%
together = reconstruct_at_once(release, few, seed=0, template=template)
print(
    "terms in each step:", ", ".join(sorted(t for t in together.history["at_once"] if t != "step"))
)

for other in ("mean template", "template, stage 1, then 2", "longer stage 1, then 2"):
    print(f"at once on the template, minus {other}")
    for label, column in measures.items():
        both = pairs(runs(start="at once on the template"), runs(start=other), column)
        more = interval(both.one - both.other)
        print(f"  {label:<15}{more.value:+.2f}, 95 % interval {more.low:+.2f} to {more.high:+.2f}")
for start in ("at once on the template", "at once on a sphere"):
    face, whole = (means(c, "start", STARTS)[0][start] for c in measures.values())
    print(f"{start}: face {face:.2f} mm, whole head {whole:.2f} mm")

# %% [markdown]
# On the template we do **not** see the paper's bad case. There, everything at once ends about as near to the truth as
# stage 2 alone, or nearer: the colours of the neutral views help at least as much as they disturb. The fair comparison
# is the one with the same start and the same pictures, one kind after the other, the second line: there the two stages'
# *face* is nearer on each head, by 0.1 to 0.3 mm; on the whole head there is hardly a difference. So the direction is
# the paper's, its drama is not: some tenths, and not a factor of nearly twenty. Three heads make a wide interval, which
# reaches across 0; the longer stage 1 was run on two, and there the interval says nothing.
#
# On a **sphere** we do see it, if we judge the whole head: 7.21 mm against 1.41 mm on the template. The face alone, 2.3
# against 1.9 mm, hides it. Twenty pictures show the face, so it is pulled into place in any case; the rest of the head
# has only the colours behind, and 400 steps with all terms at once are not enough for them.
#
# Why is the template's case so mild? The paper tells too little to repeat its run (no weights, and not how the template
# was put into place). Our best guess is the field. The paper's is one network whose every weight serves the whole head,
# so whatever the back of the head demands shakes the face. Our grid's entries each serve one place. Then there are
# masks, eikonal points and a beta that is scheduled and not learned. It is a guess: `reconstruct_at_once(release,
# "paper")` would test it, on a GPU.
#
# ## 6. Fewer neutral views
#
# A template is for none. But what about five, or two? The paper shows heads from 15 and from 10 neutral views, and
# from another choice of 10, and finds the end hardly changed. If you may only keep a few views, *which* do you keep?
#
# The greedy answer is nearly always good: begin with one view, then take again and again the view that is **farthest
# from all those that you have**. Far is an angle here: between unit vectors $d$ from the head to the cameras, the
# largest angle is the smallest cosine $d_i \cdot d_j$.
#
# ### Exercise 0803 (solid, 20 min): the next best view
#
# `towards` is (V, 3), unit vectors to the cameras. Return `count` indices in the order of choice, starting with
# view 0. Where two views are equally far, take the first.


# %% tags=["exercise"]
def spread_views(towards, count):
    """Indices of `count` views, each the farthest from all that were chosen before it."""
    ### BEGIN SOLUTION
    chosen = [0]
    while len(chosen) < count:
        nearest = (towards @ towards[chosen].T).max(axis=1).round(9)  # no tie by rounding
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
    return chosen
    ### END SOLUTION


# %%
checks.ex0803(spread_views)

# %%
behind = few_views.directions(scene.cameras, scene.center)[list(scene.neutral)]
straight = np.argsort(behind @ np.array([0.0, 0.0, 1.0]), kind="stable")
choices = {
    "five, spread": spread_views(behind, 5),
    "two, spread": spread_views(behind, 2),
    "five, in a narrow arc": [int(i) for i in straight[:5]],
}
print(
    "the package's five:", few_views.farthest_views(behind, 5), "and mine:", choices["five, spread"]
)
for name, chosen in choices.items():
    nearest = (behind @ behind[chosen].T).max(axis=1)  # of each view, the cosine to a chosen one
    print(f"{name}: worst gap {np.degrees(np.arccos(nearest.min())):.0f} degrees")
figure, (axes,) = grid(1, 3, width=9.6, height=2.9, sharey=True)
across = np.degrees(np.arctan2(behind[:, 0], -behind[:, 2]))
above = np.degrees(np.arcsin(behind[:, 1]))
for ax, (name, chosen) in zip(axes, choices.items(), strict=True):
    ax.plot(across, above, "o", color="0.75", ms=6, fillstyle="none")
    ax.plot(across[chosen], above[chosen], "o", color=BLUE, ms=8)
    for order, view in enumerate(chosen, start=1):
        ax.annotate(str(order), (across[view], above[view] + 4), ha="center", fontsize=8)
    ax.set_title(name, fontsize=10)
    ax.set(xlabel="degrees from straight behind", xlim=(-90, 90), ylim=(-20, 45))
axes[0].set_ylabel("degrees above")
show(
    figure,
    alt="Three maps of ten neutral views, angle from straight behind across, height upwards; the chosen ones "
    "are filled and numbered. Five spread views cover both ends, two take opposite ends, five in an arc "
    "huddle in the middle.",
)

# %% [markdown]
# And what is it worth? Stored runs again: 15, 10, 5 and 2 neutral views, spread, and 5 in the narrowest arc behind the
# head. The sensitive views are always the same twenty.

# %%
for path in ("stage1.face_mm", "final.face_mm"):
    found, heads = means(path, "neutral", NEUTRAL, start="stage 1, then 2")
    told = ", ".join(f"{name}: {mean:.2f}" for name, mean in found.items())
    print(f"{path.split('.')[0]:>6}, mm by neutral views (heads {', '.join(heads)}): {told}")


def by_stage(ax, measure, setting, options):
    """A measure over the first four options of a setting, head by head; a fifth stands alone."""
    for part, dash, words in (("stage1", "--", "after stage 1"), ("final", "-", "at the end")):
        found = by_head(f"{part}.{measure}", setting, start="stage 1, then 2")[
            list(options)
        ].dropna()
        for (name, mm), (colour, mark, _) in zip(found.iterrows(), LOOKS, strict=False):
            look = {"color": colour, "fillstyle": "full" if part == "final" else "none"}
            ax.plot(mm[:4], dash, marker=mark, label=f"head {name}, {words}", **look)
            ax.plot(mm[4:], mark, ms=8, **look)
    ax.set_ylim(0, None)
    ax.legend(fontsize=8, frameon=False, ncols=2)


few_kinds, from_it = ("10", "2", "5 in a narrow arc"), "template, stage 1, then 2"
found, heads = means("final.face_mm", "neutral", few_kinds, start=from_it)
for count, mean in found.items():
    print(f"{count:>17}, from the template: {mean:.2f} mm, heads {', '.join(heads)}")

figure, ((ax,),) = grid(1, 1, width=8, height=3.4)
by_stage(ax, "face_mm", "neutral", NEUTRAL)
ax.set(xlabel="neutral views", ylabel="face, mm from the truth")
show(
    figure,
    alt="Distance of the face from the truth over the number of neutral views, dashed after stage 1 and solid "
    "at the end. Level from 15 to 5 views, then higher at 2; the narrow arc stands alone on the right, higher "
    "after stage 1 than at the end.",
)

# %% [markdown]
# Between 15 and 5 spread views there is no trend that two heads could show. Two views make stage 1 twice as bad, and
# the end a millimetre worse. The narrow arc hurts stage 1, too, but at the end nothing is left of it. So we see in kind
# what the paper says: fewer neutral views cost stage 1 more than they cost the head. With two views it is too few. And
# where stage 1 starts from the template, even these two views come to a decent end (the last three lines above the
# picture).
#
# ## 7. How one notices that stage 1 has failed
#
# You do not have the truth. You have a release, and a shape that stage 1 made of a part of it. Two signs cost nothing:
#
# - **the loss.** Colours that can't be explained stay wrong: the `rgb` and `mask` terms do not fall. But beware: with
#   two views, a wrong shape explains *both* of them perfectly. A small loss on few pictures means little.
# - **the other views.** Stage 1 has never seen the moduli, so they can serve as its examination. On a plain background
#   every line belongs to the head. So if much of the released signal falls *outside* of the outline that stage 1's
#   shape has from there, then the shape is too small, or stands in the wrong place.
#
# ### Exercise 0804 (solid, 20 min): an examination without the truth
#
# `moduli` is (V, H, W), what was released. `shape` is (V, H, W), 1 where stage 1's surface is seen and 0 elsewhere.
# Widen the shape by `reach` pixels in rows and columns (diagonals too), since the operator's kernel reaches across
# an outline. Return the share of the sum of all moduli that is *not* covered.


# %% tags=["exercise"]
def signal_outside(moduli, shape, reach):
    """Share of the released modulus that falls outside of a widened shape."""
    ### BEGIN SOLUTION
    height, width = shape.shape[1:]
    padded = np.pad(shape, ((0, 0), (reach, reach), (reach, reach)))
    wide = np.zeros_like(shape)
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            wide = np.maximum(wide, padded[:, down : down + height, across : across + width])
    return (moduli * (1 - wide)).sum() / moduli.sum()
    ### END SOLUTION


# %%
checks.ex0804(signal_outside)

# %% [markdown]
# Try it where we know the answer: the truth, your template and what stage 2 made of it, stage 2 from a sphere, and a
# truth that has been shrunk by a fifth, all seen by the released cameras.

# %% tags=["tolerance-30"]
truth = Mesh.from_trimesh(scene.truth_mesh())
shrunk = replace(truth, vertices=(truth.vertices - middle) * 0.8 + middle)
sensitive = release.cameras[list(release.sensitive)]
shapes = {"truth": truth, "my template": itself, "my template, then stage 2": head.mesh,
          "sphere, then stage 2": alone.mesh, "shrunk truth": shrunk}  # fmt: skip
seen = {name: few_views.silhouettes(mesh, sensitive).numpy() for name, mesh in shapes.items()}
for name, shape in seen.items():
    share = signal_outside(release.moduli.numpy(), shape, 1)
    print(f"{name:<26}{share:>5.0%} of the signal is outside")

# %% [markdown]
# Shrinking by a fifth leaves two thirds of the signal outside, and the sphere's lump a good part. What about a shape
# that is too *large*? Nothing falls outside of that. So there is a second question, `few_views.empty_border`: at which
# share of the shape's outline has the release no line at all? And what did the loss say?

# %%
paths = {
    "loss of colours": "losses.stage1.rgb", "outside": "stage1_looks.signal_outside",
    "empty border": "stage1_looks.empty_border", "truth: head, mm": "stage1.head_mm",
}  # fmt: skip
print(f"{'neutral views':>17}" + "".join(f"{name:>17}" for name in paths))
columns = [means(path, "neutral", NEUTRAL, start="stage 1, then 2")[0] for path in paths.values()]
for count in NEUTRAL:
    print(f"{count:>17}" + "".join(f"{column[count]:>17.3f}" for column in columns))

# %% [markdown]
# The loss is no judge: it is *lower* for two views and for the arc than for ten, and the two-view heads are by far the
# worst. Few pictures are easily explained, by a wrong shape as well. The signal outside rises for the narrow arc, the
# empty border for two views. Now all stages 1 that were stored, with the truth upwards; stars began with the template:

# %%
measures = {
    "signal_outside": "released signal outside of stage 1's outline",
    "empty_border": "share of its outline without a released line",
}
found = runs(start=None, neutral=None).dropna(subset="stage1.head_mm")
template, few = found.start.str.startswith("template"), found.neutral.isin(NEUTRAL[3:])
figure, (axes,) = grid(1, 2, width=9, height=3.5, sharey=True)
for ax, (measure, label) in zip(axes, measures.items(), strict=True):
    for some, mark, size, colour, fill, words in (
        (found[~template & ~few], "o", 7, BLUE, "full", "a sphere, 5 to 15 views"),
        (found[~template & few], "o", 7, BLUE, "none", "a sphere, 2 views or an arc"),
        (found[template & ~few], "*", 11, ORANGE, "full", "the template, 10 views"),
        (found[template & few], "*", 11, ORANGE, "none", "the template, 2 views or an arc"),
    ):
        ax.plot(some[f"stage1_looks.{measure}"], some["stage1.head_mm"], mark, color=colour,
                fillstyle=fill, ms=size, label=f"from {words}")  # fmt: skip
    ax.set(xlabel=label, ylim=(0, None), xlim=(-0.01, None))
axes[0].set_ylabel("stage 1: whole head, mm")
axes[1].legend(fontsize=7, frameon=False, loc="lower right")
show(
    figure,
    alt="Two scatter plots of stage 1's distance from the truth, over the share of the released signal outside "
    "of its outline and over the share of its outline where no line was released. Hollow marks are stages 1 "
    "with two views or a narrow arc.",
)

# %% [markdown]
# In the left picture, dots with much signal outside are the sphere's stages 1 of only 120 steps, too small still with
# 15 views as with 2. What has little outside either began with the template or had 300 steps. In the right picture the
# two-view heads that began with a sphere stand alone, longer training or not: lines are missing where their outline
# says there should be some. Two views on the template pass *both* examinations (the hollow stars at 4.4 mm), though
# their whole head is more than twice as far off as with ten views. Who passes has no proof. So a rule that needs no
# truth: **more than a tenth outside: train longer. More than a tenth of the outline empty: you have too few views,
# start from a template.** The thresholds are ours, from two or three made heads on a plain background; on a cluttered
# one lines are everywhere, and both measures fail.
#
# ## 8. Resolution
#
# A release at 64 x 64 pixels limits detail: a pixel is 5 mm wide. The paper shows 64 beside 512 and says that what is
# lost is due to the resolution and not to the method. On a CPU we have run 16, 32, 64 and 128, with the same number of
# steps and pixels in each step. 256 and 512 were **not run** in this study. Is a small
# release at least a private one? The study of privacy ([lesson 6](06_irreversibility.ipynb)) has asked: who is named out
# of a hundred, from one released picture and from eight, by the worst attack that was run at each size?

# %%
for size in (64, 32, 16):
    stored = results.table("privacy")["settings"][f"sobel-{size}"]
    one, eight = (results.rate(stored[part]["rank1"]).percent() for part in ("alone", "together"))
    print(
        f"{size} px: one picture {one}, eight {eight}; chance 1 %, attacks run: {len(stored['attacks'])}"
    )

found, heads = means("final.face_mm", "size", (16, 32, 64, 128), start="stage 1, then 2")
print(f"heads {', '.join(heads)}:", ", ".join(f"{n} px {mean:.2f} mm" for n, mean in found.items()))
figure, (both,) = grid(1, 2, width=9, height=3.3)
labels = {"face_mm": "face, mm from the truth", "face_deg": "median angle of normals, degrees"}
for ax, (measure, label) in zip(both, labels.items(), strict=True):
    by_stage(ax, measure, "size", (16, 32, 64, 128))
    ax.set_xscale("log", base=2)
    ax.set_xticks([16, 32, 64, 128], ["16", "32", "64", "128"])
    ax.set(xlabel="released pixels along a side", ylabel=label)
show(
    figure,
    alt="Distance and angle of normals over the size of the released pictures from 16 to 128 pixels, dashed "
    "after stage 1, solid at the end. The dashed lines are level; the solid ones are lowest in the middle.",
)


# %% [markdown]
# **Size is no promise of privacy.** With a sixteenth of the pixels nearly four of five people are still named from one
# picture, and 95 % from eight, by an attacker who was trained for that size.
#
# From 16 to 32 pixels the face gets nearer by a third. After that it hardly does, and at 128 both heads are further off
# than at 64. That is no law of resolution. A step looks at ten patches of 10 x 10 *pixels*, whatever their size: at 128
# it sees a quarter of the area that it sees at 64. And moduli pull from a pixel or two away ([04](04_gradient_loss.ipynb),
# its funnel), while stage 1 leaves the face 3 mm off: half a pixel of 64, a whole one of 128. So start where the small
# pictures led: protect the scene twice, and call `reconstruct(large, "fine", start=head)` with the head of 64 pixels. On the
# scan that takes 0.48 mm to 0.36 with 128 pixels, where 128 alone give 0.56 (`docs/reconstruction.md`; one seed).
#
# ## 9. Does the template keep its opinion?
#
# Take points on the *true* surface. There the truth's distance is 0, the template's is its error $t$, and the
# result's is its error $r$. If the result were the truth with a share $b$ of the template mixed in, then $r = b t$.
# The $b$ that fits best is a projection, one line of linear algebra:
#
# $$b = \frac{\sum_p r_p t_p}{\sum_p t_p^2} .$$
#
# $b = 1$: the result makes all of the template's error still. $b = 0$: nothing of *its* error is left (there may well
# be others). It needs the truth, so it is for studies and not for users. And it needs a control: a run that never saw
# the template has some $b$, too, since all smooth heads err in similar places.


# %% tags=["tolerance-10"]
def template_share(r, t):
    """How much of the template's error t is still in a result's error r: 0 none, 1 all of it."""
    return float(r @ t / (t @ t))


rng = np.random.default_rng(0)
some, own = rng.normal(size=2000), rng.normal(size=2000)
share = template_share(0.3 * some + 0.5 * own, some)
print(f"a result with 0.3 of a template and errors of its own: share {share:.1f}")

for name, one in (("my template, then stage 2", head), ("sphere, then stage 2", alone)):
    with torch.no_grad():
        r = (one.model.sdf(where) * scene.radius).numpy()
    print(f"{name}: {template_share(r, t):.1f} of my template's error on the face")

shares = {"face": "bias.share_face", "rest of head": "bias.share_rest"}
table(shares)
rows = {}
for start in STARTS[:-1]:
    of_heads = {name: by_head(column, "start")[start] for name, column in shares.items()}
    rows[start] = {n: (v.mean(), v.min(), v.max()) for n, v in of_heads.items()}
counts = runs(start="mean template", sensitive=None).groupby("sensitive")
over_views = {name: counts[column].mean() for name, column in shares.items()}
figure, ((by_start, by_views),) = grid(1, 2, width=10, height=3.3)
dots(by_start, rows, percent=False, legend=False, xlabel="share of the template's error left")
by_start.axvline(0, color="0.5", lw=0.8)
curves(by_views, list(counts.groups), over_views, marks=True,
       xlabel="sensitive views, start: mean template", ylabel="share left")  # fmt: skip
by_views.axhline(0, color="0.5", lw=0.8)
by_views.set_xticks(list(counts.groups))
show(
    figure,
    alt="Left: share of the template's error that is left in a result, a row for each start, mean and range of the "
    "heads, face and rest of the head by different marks. Right: the same over the number of sensitive views.",
)

# %% [markdown]
# (The table has two heads, as its title says; the left picture has all heads of a start.) The control speaks first.
# Most runs that have never seen the template have shares as large as those that began with it (the longer stage 1 has a
# small one on the face). Our reading: they are smooth where the truth is not, and so is the template. A share of 0.4 on
# a face is therefore **no proof of a bias**, and with two or three heads we can't tell a template's opinion from
# smoothness. Our own two runs above are one head and one seed, and tell even less. What one can see is the right panel.
# With few sensitive views the share on the face rises (two heads), and the face ends *further* from the truth than the
# untouched template (the numbers below). So where signal is missing, stage 2 does not simply fall back on the template.
# It looks as though a few moduli are enough to pull the shape away, and too few to say where to.
#
# One question remains, the one about people. Is a result nearer to one of the template's ten than to the person it
# shows? Here is the mean distance of each result's face to the truth, and to each of the ten.

# %%
found, heads = means("final.face_mm", "sensitive", (20, 5, 3), start="mean template")
for count, mean in found.items():
    print(f"mean template, {count:>2} sensitive views: {mean:.2f} mm, heads {', '.join(heads)}")
plain = by_head("final.face_mm", "start")["the template itself"]
print(f"the template itself: {plain[heads].mean():.2f} mm")

found = runs(neutral=None, sensitive=None, size=None).query("start != 'the template itself'")
nearer = found["bias.to_people_mm"].map(min) < found["bias.to_truth_mm"]
print(f"of {len(nearer)} results, nearer to one of the ten than to the truth: {sum(nearer)}")
some = {
    "stage 1, then 2": runs(start="stage 1, then 2"),
    "mean template": runs(start="mean template"),
    "mean template, 5 views": runs(start="mean template", sensitive=5),
    "mean template, 3 views": runs(start="mean template", sensitive=3),
}
own = {name: found["bias.to_truth_mm"] for name, found in some.items()}
figure, ((ax,),) = grid(1, 1, width=8.5, height=3.2)
dots(ax, {name: {"the truth": (mm.mean(), mm.min(), mm.max())} for name, mm in own.items()},
     extra={name: np.concatenate([*found["bias.to_people_mm"]]) for name, found in some.items()},
     extra_label="the template's people", percent=False, xlim=(0, None),
     xlabel="mean distance from the result's face, mm")  # fmt: skip
show(
    figure,
    alt="Rows of runs over a distance in millimetres: a dot and a range for the truth, and crosses for the ten people "
    "of the template. With 20 views all crosses lie to the right; with 5 and 3 views some lie within the range.",
)

# %% [markdown]
# With enough signal no result is nearer to one of the ten than to its own person. The four exceptions are all of head
# 104, and all have little to go by: 5 and 3 sensitive views, two neutral views, 16 pixels. Two of these have never seen
# the template! A bad reconstruction is a smooth head, and some smooth stranger is always near. So even here a control
# decides: what looks like the template's opinion may be no opinion at all. (In the same stored runs the untouched
# template is as near to some of its people as to the heads it is asked for, or nearer; a mean of ten is a stranger to
# all. A template of one single person would carry that person into everybody's result.)
#
# ## Now you, without a check
#
# 1. *First steps.* Make a template of one single person, `make_template((905,))`, and start from it. Would you publish
#    such a template? Of how many people would you?
# 2. *Solid.* Start from a template with `stages=(1, 2)` and two neutral views. Does the template help stage 1?
# 3. *Solid.* Is a template neutral? Measure whether it is nearer to its own ten people than to ten others, with
#    `make_template.person`. If it is, what does a published template tell about who is in it?
# 4. *Hard.* Make a second template, of ten other people, and fit $r = b t + c s$ with its error $s$ beside the first
#    one's. Is $b$ larger than $c$ for a run that began with the first? That is the control that section 9 lacks.
# 5. *Hard.* A release may be too large for its sphere. Find scale and shift of the template from the moduli alone, with
#    `few_views.stage_looks` as the measure, before stage 2 begins.
#
# ## What to remember
#
# - The mean of signed distances has a surface, but is no distance: its slope is below one where the heads disagree.
# - A template is a mean of signed distances, fitted by a field. It replaces stage 1 where no neutral view can be had,
#   and is placed by the bounding sphere alone.
# - Judge the whole head as well as the face: everything at once on a sphere is 7 mm off, and its face alone, 2.3 mm,
#   hides it.
# - Fewer pixels are no promise of privacy.
# - Five spread views did as well as fifteen; a narrow arc cost stage 1, though not the end, and two views cost both.
#   Take the one that is farthest from those you have.
# - Moduli examine stage 1 for free: signal outside of its outline means that the outline is wrong.
# - Where signal is missing, more of a template's error is left, and new errors come on top. Measure both, with a
#   control, before you trust a face.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a mean of distances is no distance | section 2, exercise 0801, `tests/test_template.py` |
# | a release without neutral views is refused without a template, and works with one | sections 1 and 4, `tests/test_template.py` |
# | neutral views make no difference to stage 2 on a template | section 4, `tests/test_template.py` |
# | one template fits three profiles | section 3, `tests/test_template.py` |
# | my template, three hundred steps, and the sphere beside it | section 4; `tests/test_lesson_08.py` |
# | what a start is worth; everything at once, 7.21 mm against 1.41 | sections 4 and 5, stored runs; `tests/test_lesson_08.py` |
# | 16 pixels still name nearly four of five | section 8, stored study; `tests/test_lesson_08.py` |
# | few views, narrow arcs, resolution | sections 6 and 8, stored runs |
# | a failed stage 1 shows in the moduli | section 7, `tests/test_lesson_08.py`, stored runs |
# | how much of a template is left | section 9, stored runs; `tests/test_lesson_08.py` |
#
# **Read on**: `privhead_nb/training/template.py` and `privhead_nb/training/make_template.py`;
# [lesson 7](07_lipschitz_ablation.ipynb) on what else may stand in for missing signal; Sethian (1996) for fast
# marching; Gonzalez (1985) for how good farthest points are; the paper's figures 5 to 7.

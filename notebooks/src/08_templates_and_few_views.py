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
# **You will be able to** reconstruct a head when every picture shows the face, say what a mean of heads is
# and what it is not, choose the few views that are worth most, notice a failed first stage without knowing
# the truth, and measure how much of a template is left in a result.
#
# **You should know** signed distances ([lesson 2](02_sdf_and_eikonal.ipynb)) and the two stages
# ([lesson 5](05_two_stage_reconstruction.ipynb)).
#
# **Time**: 70 minutes of reading and writing; computing takes under a minute on the `ci` profile and about
# four on `cpu`.
#
# **Equations of the paper**: 4 (eikonal), 5 (gradient loss), 9 to 11 (what each stage sees), and its sections
# "Template" and "Sparse views and geometric priors".

# %%
from dataclasses import replace

import numpy as np
import torch
from skimage.measure import find_contours

from privhead_nb import Release, Template, evaluate, load_scene, protect, reconstruct
from privhead_nb.errors import TrainingError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson08 import few_views, figures, panel
from privhead_nb.teach.lesson08.runs import NEUTRAL, STARTS, by_head, means, runs
from privhead_nb.teach.results import interval, pairs
from privhead_nb.training.profiles import get_profile
from privhead_nb.training.two_stage import reconstruct_at_once
from privhead_nb.viz.plots import mesh_row
from privhead_nb.viz.style import BLUE, ORANGE, dots, grid, show

scene, release = load_scene(SAMPLES / "scene"), Release.load(SAMPLES / "release")
template, trained = (Template.load(SAMPLES / name) for name in ("template", "template_trained"))

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
# Where $\bar f = 0$ is the surface of a head that nobody has. Lovely. But look at the gradient on the right.
# Each $\nabla f_k$ is an arrow of length one: away from the nearest point of head $k$. Where all heads agree, the
# arrows are parallel and their mean has length one as well. Where they disagree, they cancel in part. Two discs
# show it best.

# %%
axis = np.linspace(-1.6, 1.6, 161)
x, y = np.meshgrid(axis, axis)
discs = [np.hypot(x - c, y) - 0.6 for c in (-0.45, 0.45)]
mean = np.mean(discs, axis=0)
slope = np.hypot(*np.gradient(mean, axis[1] - axis[0]))
figure, ((left, right),) = grid(1, 2, width=7.5, height=3.3)
lines = left.contour(x, y, mean, np.arange(0.15, 1.3, 0.15), colors="0.6", linewidths=0.8)
left.clabel(lines, lines.levels[1::2], fontsize=7)
shown = right.pcolormesh(x, y, slope, cmap="cividis", vmin=0, vmax=1, shading="auto")
figure.colorbar(shown, ax=right, shrink=0.8, label="length; a distance has 1")
titles = ("mean of two distances", "length of its gradient")
for ax, title, colour in zip((left, right), titles, (BLUE, "white"), strict=True):
    for disc in discs:
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
# ### Exercise 0801 (easy): a mean of balls
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
# Is it that bad for heads? Heads are much alike once they share a sphere. Move the slider from one person to ten.
# Watch two things: what becomes of the nose, the lips and the chin, and the last number, the mean's slope at its
# own surface.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Without a kernel, look here: one, three and ten people from the side, and ten from above.

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for people in (1, 3, 10):
    values = panel.lattices()[:people].mean(axis=0)
    near = np.abs(values) < panel.STEP
    slope = np.linalg.norm(np.gradient(values, panel.STEP), axis=0)[near].mean()
    print(f"{people:>2} people: slope at the surface over 0.85: {slope > 0.85}")
print("one person is a distance, ten are less so:", slope < 0.94)

# %% [markdown]
# What everybody has in another place dies in the mean first: lips, eyelids, ears. What everybody has, stays: there
# is a nose, since all noses are in front. That is just what one wants of a template, low frequencies with
# nobody's details in it. (The lattice of this panel is 7 mm wide, so that even one single person looks blurred
# here; and it loses a little slope by itself.)
#
# ### Exercise 0802 (hard): repair it
#
# Given the values of *any* function on a 2D lattice, return the true signed distance to its zero line: negative
# where the values are negative, $\lVert \nabla f \rVert = 1$ almost everywhere, right within half a lattice step.
# `values` is (H, W), `step` the width of the lattice. There are many ways: walk along the cells and find the
# crossing on each edge (skimage's `find_contours` gives them in order), then measure distances to segments; or
# march outwards from the line with the eikonal equation, as Sethian's fast marching does. The second is worth
# an evening.


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
# ## 3. Two templates
#
# `privhead template OUT --identities 901-910` makes one of ten made people whom nothing else in this course uses.
# There are two kinds, and both are shipped with the course:
#
# - `--kind mean` fits a field to $\bar f$. Nobody is photographed for it, and it knows no colours.
# - `--kind trained` trains *one* field and colour network on the full-RGB pictures of all ten, as though they were
#   one person. The pictures contradict each other by a few millimetres, and the field settles in between, a little
#   as the paper's templates are made. Those pictures show faces. Nobody's privacy is lost, since the people are made
#   up; with photographs of real people, this step would need their consent.

# %%
for name, one in (("mean", template), ("trained", trained)):
    people, levels = one.made["identities"], one.settings.resolutions
    print(f"{name}: people {people[0]} to {people[-1]}, grid levels {levels}", end=", ")
    print("with colours" if one.coloured else "no colours")

# %%
figure, axes = grid(2, 3, width=7.5)
meshes = {"mean of ten": template.mesh(), "trained on ten": trained.mesh()}
meshes["head 7, the truth"] = scene.truth_mesh()
for row, view in zip(axes, ("front", "profile"), strict=True):
    mesh_row(row, meshes, view, titles=view == "front")
show(
    figure,
    alt="Three grey heads from the front and in profile. The mean of ten has a pinched nose and "
    "hollows for eyes, the trained template a blunt nose and little else; neither has lips. Head 7 has a face.",
)

# %% [markdown]
# A template is put where the release's bounding sphere is: $x = (p - c) / r$, with the released $c$ and $r$. Nothing
# else aligns it. So a careless sphere makes a careless template, twice as large as the head if the sphere is.
#
# Its grid has two coarse levels, and our profiles have three or four. That is no accident: the finer levels of the
# model start from nothing, as they always do, and the model answers as the template does. One file of a quarter of a
# megabyte serves `ci`, `cpu` and `gpu`. A network of another make is refused:

# %%
print("fits ci:", not template.faults(get_profile("ci").field))
print("fits cpu:", not template.faults(get_profile("cpu").field))
print("the paper's network:", template.faults(get_profile("paper").field)[0])

# %%
nose, radius = scene.face_region()
points = torch.from_numpy(scene.truth_mesh().vertices).float()
face = (points - torch.tensor(nose)).norm(dim=1) < radius
where = (points[face] - torch.tensor(scene.center)) / scene.radius
with torch.no_grad():
    off = template.model().sdf(where) * scene.radius
print("the template's face is off by more than 2 mm in the mean:", off.abs().mean().item() > 2)
print("and by less than 15 mm:", off.abs().mean().item() < 15)

# %% [markdown]
# ## 4. Stage 2 on a template
#
# Now the release without a neutral view can be reconstructed. We take a few steps here (your profile's, cut so that the
# whole lesson stays short), once from the template and once from a sphere, which is all there would be without.

# %%
usual = get_profile()
steps = max(80, usual.stage2.steps // 6)
short = replace(usual, stage2=replace(usual.stage2, steps=steps))
head = reconstruct(hidden, short, seed=0, template=template, progress=False)
alone = reconstruct(hidden, short, seed=0, stages=(2,), progress=False)
from_template, from_sphere = evaluate(head, scene), evaluate(alone, scene)
closer = from_template.distance_mean < 0.8 * from_sphere.distance_mean
print("the template's head is closer by a fifth or more:", closer)

# %%
figure, axes = grid(2, 4, width=8.4)
meshes = {
    "sphere, then stage 2": alone.mesh, "template": template.mesh(),
    "template, then stage 2": head.mesh, "truth": scene.truth_mesh(),
}  # fmt: skip
mesh_row(axes[0], meshes, "front")
mesh_row(axes[1], meshes, "profile", titles=False)
show(
    figure,
    alt="Four heads after few steps, from the front and in profile: from a sphere still a ball; the template; "
    "what stage 2 made of the template, a head that is dented all over; and the truth.",
)

# %% [markdown]
# Eighty steps (the stored pictures are from `ci`) make no face. From a sphere they have not even left the sphere; on the
# template they have begun to dent it, everywhere at once, as the beta of stage 2 allows.
#
# Does it matter that the release has no neutral views, or only that we did not use them? Stage 2 never opens them. So
# both releases must give the same head, to the last bit. That is worth testing, as it is the whole promise:

# %%
few = replace(short, stage2=replace(short.stage2, steps=8), mesh_resolution=32)
one, two = (reconstruct(r, few, seed=3, template=template) for r in (hidden, release))
pair = one.model.parameters(), two.model.parameters()
same = all(torch.equal(a, b) for a, b in zip(*pair, strict=True))
print("with and without neutral views, the same head bit for bit:", same)

# %% [markdown]
# A dozen seconds prove little. `benchmarks/studies/template.py` has run longer ones, on heads that are in no template:
# 120 steps of stage 1 and 400 of stage 2, a fifth of the `cpu` profile. Few heads, few seeds: the marks in the picture
# are all there are, so trust an ordering only where it holds for each of them.

# %%


def table(columns):
    """A line for each start: the mean of each number over the heads that all starts were run with."""
    found = {title: means(column, "start", STARTS) for title, column in columns.items()}
    heads = ", ".join(next(iter(found.values()))[1])
    print(f"{f'mean of heads {heads}':<28}" + "".join(f"{title:>15}" for title in columns))
    for start in STARTS:
        print(f"{start:<28}" + "".join(f"{mean[start]:>15.2f}" for mean, _ in found.values()))


table({"face, mm": "final.face_mm", "whole head, mm": "final.head_mm"})
show(
    figures.starts(),
    alt="Rows of marks, one row for each way to start, over the distance of the face from the truth in "
    "millimetres. Each head has its own mark, a line where it has several seeds; a diamond shows the mean.",
)

# %% [markdown]
# What holds for every head here? A sphere is the worst start. The untouched template is 2 to 6 mm off, and how far off it
# is hardly decides how near stage 2 gets: head 105 is the one that it fits worst, and ends among the nearest. The mean
# template stands in for stage 1, on the face and more so on the whole head. With colours (the trained template) or with
# a stage 1 behind it, it does better still.
#
# Read the caveat before you cheer. These runs are short, and 120 steps are not enough to pull a sphere into the shape
# of a head. With 300 steps, as many as `cpu` takes, stage 1 has made up for it, and the mean template's lead is gone. With
# all the steps of `cpu` the two stages reach 0.92 mm and 1.03 mm on heads 103 and 104 (`docs/reconstruction.md`), nearer
# than anything in this picture. So a template is a head start, and a way out where there is no stage 1. That it replaces
# neutral views that you *could* have taken, nobody has shown.
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

# %%
for other in ("mean template", "template, stage 1, then 2", "longer stage 1, then 2"):
    both = pairs(runs(start="at once on the template"), runs(start=other), "final.face_mm")
    more = interval(both.one - both.other)
    print(f"at once on the template, minus {other}: {more.n} pairs of runs")
    print(f"  {more.value:+.2f} mm on the face, 95 % interval {more.low:+.2f} to {more.high:+.2f}")

# %% [markdown]
# We do **not** see the paper's bad case. On the template, everything at once ends about as near to the truth as stage 2
# alone, or nearer: the colours of the neutral views help at least as much as they disturb. The fair comparison is the one
# with the same start and the same pictures, one kind after the other, the second line: there the two stages are nearer on
# each head, by 0.1 to 0.3 mm. So the direction is the paper's, its drama is not: some tenths, and not a factor of
# nearly twenty. Three heads make a wide interval. And on a sphere, at once is no catastrophe either.
#
# Why not? The paper tells too little to repeat its run (no weights, and not how the template was put into place). Our
# best guess is the field. The paper's is one network whose every weight serves the whole head, so whatever the
# back of the head demands shakes the face. Our grid's entries each serve one place. Then there are masks, probes and
# a beta that is scheduled and not learned. It is a guess: `reconstruct_at_once(release, "paper")` would test it, on a GPU.
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
# ### Exercise 0803 (middle): the next best view
#
# `towards` is (V, 3), unit vectors to the cameras. Return `count` indices in the order of choice, starting with
# view 0. Where two views are equally far, take the first.


# %% tags=["exercise"]
def spread_views(towards, count):
    """Indices of `count` views, each the farthest from all that were chosen before it."""
    ### BEGIN SOLUTION
    chosen = [0]
    while len(chosen) < count:
        nearest = (towards @ towards[chosen].T).max(axis=1)
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
    "five, spread": few_views.farthest_views(behind, 5),
    "two, spread": few_views.farthest_views(behind, 2),
    "five, in a narrow arc": [int(i) for i in straight[:5]],
}
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
show(
    figures.neutral_views(),
    alt="Distance of the face from the truth over the number of neutral views, dashed after stage 1 and solid "
    "at the end. Level from 15 to 5 views, then higher at 2; the narrow arc stands alone on the right, higher "
    "after stage 1 than at the end.",
)

# %% [markdown]
# Between 15 and 5 spread views there is no trend that two heads could show. Two views make stage 1 twice as bad, and the
# end a millimetre worse. The narrow arc hurts stage 1, too, but at the end nothing is left of it. So we see in kind what
# the paper says: fewer neutral views cost stage 1 more than they cost the head. With two views it is too few. And where
# stage 1 starts from the template, even these two views come to a decent end:

# %%
few_kinds, from_it = ("10", "2", "5 in a narrow arc"), "template, stage 1, then 2"
found, heads = means("final.face_mm", "neutral", few_kinds, start=from_it)
for count, mean in found.items():
    print(f"{count:>17}, from the template: {mean:.2f} mm, heads {', '.join(heads)}")

# %% [markdown]
# ## 7. How one notices that stage 1 has failed
#
# You do not have the truth. You have a release, and a shape that stage 1 made of a part of it. Two signs cost nothing:
#
# - **the loss.** Colours that can't be explained stay wrong: the `rgb` and `mask` terms do not fall. But beware: with two
#   views, a wrong shape explains *both* of them perfectly. A small loss on few pictures means little.
# - **the other views.** Stage 1 has never seen the moduli, so they can serve as its examination. On a plain background
#   every line belongs to the head. So if much of the released signal falls *outside* of the outline that stage 1's
#   shape has from there, then the shape is too small, or stands in the wrong place.
#
# ### Exercise 0804 (middle): an examination without the truth
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
# Try it where we know the answer: the template, the truth, and a truth that has been shrunk by a fifth, all seen by the
# released cameras.

# %%
truth = Mesh.from_trimesh(scene.truth_mesh())
middle = np.array(scene.center)
shrunk = replace(truth, vertices=(truth.vertices - middle) * 0.8 + middle)
moved = replace(template.mesh(), vertices=(template.mesh().vertices - np.array(template.center))
                / template.radius * scene.radius + middle)  # fmt: skip
outside = {}
for name, mesh in (("truth", truth), ("template", moved), ("shrunk", shrunk)):
    outside[name] = few_views.stage_looks(mesh, release)["signal_outside"]
    print(f"{name}: less than a twentieth outside: {outside[name] < 0.05}")

# %% [markdown]
# Shrinking by a fifth leaves a good part of the signal outside. What about a shape that is too *large*? Nothing falls
# outside of that. So there is a second question, `few_views.empty_border`: at which share of the shape's outline has
# the release no line at all? And what did the loss say?

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
show(
    figures.looks(),
    alt="Two scatter plots of stage 1's distance from the truth, over the share of the released signal outside "
    "of its outline and over the share of its outline where no line was released. Hollow marks are stages 1 "
    "with two views or a narrow arc.",
)

# %% [markdown]
# In the left picture, dots with much signal outside are the sphere's stages 1 of only 120 steps, too small still with 15
# views as with 2. What has little outside either began with the template or had 300 steps. In the right picture the
# two-view heads stand alone, longer training or not: lines are missing where their outline says there should be some.
# So a rule that needs no truth: **more than a tenth outside: train longer. More than a tenth of the outline empty: you
# have too few views, start from a template.** The thresholds are ours, from two or three made heads on a plain
# background; on a cluttered one lines are everywhere, and both measures fail.
#
# ## 8. Resolution
#
# A release at 64 x 64 pixels is a promise of privacy as well as a limit of detail: a pixel is 5 mm wide. The paper
# shows 64 beside 512 and says that what is lost is due to the resolution and not to the method. On a CPU we have run
# 16, 32, 64 and 128, with the same number of steps and pixels in each step. 256 and 512 were **not run**.

# %%
found, heads = means("final.face_mm", "size", (16, 32, 64, 128), start="stage 1, then 2")
print(f"heads {', '.join(heads)}:", ", ".join(f"{n} px {mean:.2f} mm" for n, mean in found.items()))
show(
    figures.sizes(),
    alt="Distance and angle of normals over the size of the released pictures from 16 to 128 pixels, dashed "
    "after stage 1, solid at the end. The dashed lines are level; the solid ones are lowest in the middle.",
)

# %% [markdown]
# From 16 to 32 pixels the face gets nearer by a third. After that it hardly does, and at 128 both heads are further off than at
# 64. That is no law of resolution. A step looks at ten patches of 10 x 10 *pixels*, whatever their size: at 128 it sees a
# quarter of the area that it sees at 64, and the number of steps is the same. More pixels want more steps, or larger
# patches; with a fixed budget there is a best size.
#
# ## 9. Does the template keep its opinion?
#
# Take points on the *true* surface. There the truth's distance is 0, the template's is its error $t$, and the
# result's is its error $r$. If the result were the truth with a share $b$ of the template mixed in, then $r = b t$.
# The $b$ that fits best is a projection, one line of linear algebra:
#
# $$b = \frac{\sum_p r_p t_p}{\sum_p t_p^2} .$$
#
# $b = 1$: the template has not learned anything. $b = 0$: nothing of *its* error is left (there may well be others). It needs
# the truth, so it is for studies and not for users. And it needs a control: a run that never saw the template has
# some $b$, too, since all smooth heads err in similar places.

# %%


def template_share(r, t):
    """How much of the template's error t is still in a result's error r: 0 none, 1 all of it."""
    return float(r @ t / (t @ t))


rng = np.random.default_rng(0)
t, own = rng.normal(size=2000), rng.normal(size=2000)
share = template_share(0.3 * t + 0.5 * own, t)
print(f"a result with 0.3 of a template and errors of its own: share {share:.1f}")
with torch.no_grad():
    r = head.model.sdf(where) * scene.radius
left = template_share(r.numpy(), off.numpy())
print("our short run has kept less than all of it:", left < 1)

# %%
table({"face": "bias.share_face", "rest of head": "bias.share_rest"})
show(
    figures.left_of_template(),
    alt="Left: share of the template's error that is left in a result, a row for each start, mean and range of the "
    "heads, face and rest of the head by different marks. Right: the same over the number of sensitive views.",
)

# %% [markdown]
# The control speaks first. Runs that have never seen the template have shares as large as those that began with it:
# all of them are smooth where the truth is not, and so is the template. A share of 0.4 on a face is therefore **no proof
# of a bias**, and with two or three heads we can't tell a template's opinion from smoothness. What one can see is the right
# panel. With few sensitive views the share rises, and the face ends *further* from the truth than the untouched template
# (the cell below). Where signal is missing, stage 2 does not fall back on the template: a few moduli are enough to pull
# the shape away, and too few to say where to.

# %%
found, heads = means("final.face_mm", "sensitive", (20, 5, 3), start="mean template")
for count, mean in found.items():
    print(f"mean template, {count:>2} sensitive views: {mean:.2f} mm, heads {', '.join(heads)}")
plain = by_head("final.face_mm", "start")["the template itself"]
print(f"the template itself: {plain[heads].mean():.2f} mm")

# %% [markdown]
#
# One question remains, the one about people. Is a result nearer to one of the template's ten than to the person it
# shows? Here is the mean distance of each result's face to the truth, and to each of the ten.

# %%
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
# With enough signal no result is nearer to one of the ten than to its own person. The four exceptions are all of head 104,
# and all have little to go by: 5 and 3 sensitive views, two neutral views, 16 pixels. Two of these have never seen the
# template! A bad reconstruction is a smooth head, and some smooth stranger is always near. So even here a control decides:
# what looks like the template's opinion may be no opinion at all. (The untouched template is as near to some of its
# people as to the heads it is asked for; a mean of ten is a stranger to all. A template of one single person would
# carry that person into everybody's result.)
#
# ## Now you, without a check
#
# 1. *Easy.* Make a template of one single person, `make_template((905,))`, and start from it. Would you publish such a
#    template? Of how many people would you?
# 2. *Middle.* Start from a template with `stages=(1, 2)` and two neutral views. Does the template help stage 1?
# 3. *Middle.* Is a template neutral? Measure whether it is nearer to its own ten people than to ten others, with
#    `make_template.person`. If it is, what does a published template tell about who is in it?
# 4. *Hard.* Make a second template, of ten other people, and fit $r = b t + c s$ with its error $s$ beside the first
#    one's. Is $b$ larger than $c$ for a run that began with the first? That is the control that section 9 lacks.
# 5. *Hard.* A release may be too large for its sphere. Find scale and shift of the template from the moduli alone, with
#    `few_views.stage_looks` as the measure, before stage 2 begins.
#
# ## What to remember
#
# - The mean of signed distances has a surface, but is no distance: its slope is below one where the heads disagree.
# - A template replaces stage 1 where no neutral view can be had, and is placed by the bounding sphere alone.
# - Spread views beat many views. Take the one that is farthest from those you have.
# - Moduli examine stage 1 for free: signal outside of its outline means that the outline is wrong.
# - A prior wins where there is no signal. Measure how much of it is left, with a control, before you trust a face.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a mean of distances is no distance | section 2, exercise 0801, `tests/test_template.py` |
# | a release without neutral views is refused without a template, and works with one | sections 1 and 4, `tests/test_template.py` |
# | neutral views make no difference to stage 2 on a template | section 4, `tests/test_template.py` |
# | one template fits three profiles | section 3, `tests/test_template.py` |
# | what a start is worth; everything at once | sections 4 and 5, `benchmarks/studies/template.py` (stored runs) |
# | few views, narrow arcs, resolution | sections 6 and 8, stored runs |
# | a failed stage 1 shows in the moduli | section 7, `tests/test_lesson_08.py`, stored runs |
# | how much of a template is left | section 9, stored runs; `tests/test_lesson_08.py` |
#
# **Read on**: `privhead_nb/training/template.py` and `privhead_nb/training/make_template.py`;
# [lesson 7](07_lipschitz_ablation.ipynb) on what else may stand in for missing signal; Sethian (1996) for fast
# marching; Gonzalez (1985) for how good farthest points are; the paper's figures 5 to 7.

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
# # 1. Volume rendering
#
# **You will be able to** send a ray through a pixel, turn fog on that ray into a colour and a depth, say when
# the depth lies, and choose where to ask a field so that few questions suffice.
#
# **You should know** vectors and 3 x 3 matrices, and PyTorch tensors. A little calculus helps in one derivation.
# Notebook 00 tells what all this is for.
#
# **Time**: 75 minutes of reading and exercises; computing takes under a minute. The last exercise is worth an
# evening of its own.
#
# **Equations of the paper**: 1 (compositing). From VolSDF (Yariv et al. 2021): 2 and 3 (density), as a guest.

# %%
import math
from dataclasses import replace

import torch

from privhead_nb import Reconstruction, load_scene
from privhead_nb.kernels.compositing import (
    composite,
    laplace_density,
    sdf_weights,
    weights_from_density,
)
from privhead_nb.kernels.error_bounded import inverse_cdf, quantiles
from privhead_nb.render.volume import render_view
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, interactive, widgets
from privhead_nb.teach.lesson01 import figures, fog, panel, sampling
from privhead_nb.training.profiles import get_profile
from privhead_nb.viz.style import curves, grid, image, images, show

scene = load_scene(SAMPLES / "scene")
head = Reconstruction.load(SAMPLES / "reconstruction")  # a field that was trained from its release

# %% [markdown]
# ## 1. A pixel is a ray
#
# A photo looks like a surface full of colours. To a camera it is something else: a bundle of *directions*. Each
# pixel collects the light that arrives from one direction, and that is all it knows. It does not know how far the
# light has come. All of 3D reconstruction is about getting this one number back, and volume rendering is the
# machine that we turn to get it.
#
# So first: which direction belongs to which pixel? Two matrices know it.
#
# - **K**, the intrinsics, belongs to the lens. It says where a direction falls in the picture, in pixels: a point
#   $(X, Y, Z)$ in the camera's own axes falls on $u = f_x X / Z + c_x$ and $v = f_y Y / Z + c_y$.
# - **c2w**, the pose, belongs to the tripod. Its first three columns are the camera's axes, written in the scene's
#   coordinates; its fourth is where the camera stands.
#
# And there are conventions, which are nobody's favourite part and the reason for most black pictures in this
# field. This package writes them down once, in `privhead_nb/scenes/camera.py`: x points right, y points **down**, z
# points **forward**, out of the lens. Here is a camera that looks a head in the face:

# %%
for name, column in zip(("right", "down", "forward"), scene.cameras.c2w[7, :3, :3].T, strict=True):
    print(f"{name:<8}", [round(float(x), 1) + 0.0 for x in column])
print("stands at", [round(float(x)) for x in scene.cameras.centers[7]], scene.unit)

# %% [markdown]
# The head looks along +z with its crown at +y, so a camera in front of it looks along -z, and its "down" is -y.
#
# To get from a pixel to a ray, we walk backwards. Undo K: $K^{-1} (u, v, 1)^\top$ is a direction in the camera's
# axes. Turn it by $R$, the 3 x 3 part of c2w. Give it length 1, so that the distance $t$ along the ray is a
# distance in mm:
#
# $$\mathbf{d} = \frac{R \, K^{-1} (u, v, 1)^\top}{\lVert R \, K^{-1} (u, v, 1)^\top \rVert}, \qquad
# \mathbf{x}(t) = \mathbf{o} + t \, \mathbf{d}$$
#
# One trap is left. *Where is pixel (0, 0)?* In this package $(x, y) = (0, 0)$ is the **centre** of the first pixel.
# K may count from there, too, or from that pixel's outer corner; then the centre has $u = v = \tfrac12$. A camera's
# `pixel_center` says which: 0 or 0.5. Half a pixel sounds like nothing. In a picture of 64 pixels it is about 3 mm
# at the head, more than the whole error that we are going to be proud of later.
#
# ### Exercise 0101 (easy): from a pixel to a ray
#
# `xy` holds N pixels, x first; `K` is 3 x 3, `c2w` is 4 x 4. Give the N unit directions in the scene's axes. The
# check compares with `Cameras.rays`, with three cameras.


# %% tags=["exercise"]
def pixel_directions(K, c2w, xy, pixel_center):
    """Unit directions (N, 3), scene axes, of the rays through pixels xy (N, 2)."""
    ### BEGIN SOLUTION
    uv1 = torch.cat([xy + pixel_center, torch.ones_like(xy[:, :1])], dim=1)
    directions = uv1 @ torch.linalg.inv(K).T @ c2w[:3, :3].T
    return directions / directions.norm(dim=1, keepdim=True)
    ### END SOLUTION


# %%
checks.ex0101(pixel_directions)
o, d = scene.cameras.rays(torch.tensor([7]), torch.tensor([[31.5, 31.5]]))
back, _ = scene.cameras.project(o + 800 * d)
print("800 mm along a ray, a point falls back on its pixel:", back[7, 0].round(decimals=2).tolist())
seen = sum(bool((xy > 0).all() and (xy < 63).all()) for xy in back[:, 0])
print(f"and lies inside the picture of {seen} of {len(scene.cameras)} cameras")

# %% [markdown]
# Now look at such rays from outside. Five pixels in the middle column of the photo; beside it, the head is cut in
# two, from the side. What is cut is a *reconstruction*, the field that lesson 00 showed as a mesh.

# %%
rows = (8, 20, 31, 41, 56)
show(
    figures.rays_through_head(scene, head, view=7, rows=rows),
    alt="Left, a photo of a made head from the front, with five numbered dots from the crown to below the neck. "
    "Right, the head's outline from the side and the camera 886 mm before it; five rays fan out from the camera. "
    "The first passes just above the crown, three go through the head, the last passes below the neck.",
)

# %% [markdown]
# Ray 1 is worth a second look. It passes a few millimetres above the crown, and its pixel is white. The pixel right below
# it is neither white nor hair but something in between: a pixel is a little *area*, a ray is a line. We come back to
# this in section 7.
#
# A ray is where a pixel *could* have got its colour from. A second camera has rays of its own, and where the rays
# of many photos agree, there must be something. The next picture turns with the mouse. (Without a mouse: the picture
# above is what you see of its first camera when you look from the side.)

# %%
corners = torch.tensor([[20.0, 20], [43, 20], [20, 43], [43, 43], [31.5, 31.5]])
interactive.show(
    figures.rays_to_turn(head, scene.cameras, (7, 9), corners),
    alt="A grey head in 3D. Five rays come from a camera in front of it and five from one at its left side; "
    "they cross inside and around the head.",
)

# %% [markdown]
# ## 2. What a ray collects: equation 1
#
# Imagine the head made of fog. Not because heads are foggy, but because fog is *kind to learners*: move it a little,
# and every pixel that looks through it changes a little. A hard surface gives a pixel no hint until it is hit.
#
# At each place fog has a **density** $\sigma$: over a short way $dt$ it stops the share $\sigma \, dt$ of the light that
# passes. Let $T(t)$ be what is left of the light after a way $t$, the **transmittance**. Then
#
# $$\frac{dT}{dt} = -\sigma(t) \, T(t), \quad T(0) = 1 \qquad \Longrightarrow \qquad
# T(t) = \exp \Bigl( -\int_0^t \sigma(s) \, ds \Bigr) .$$
#
# What is stopped at $t$ shows the colour of the fog there. A pixel adds it up: $c = \int T(t) \, \sigma(t) \, c(t) \, dt$.
#
# A computer asks at some places $t_1 < t_2 < \dots$ only. Say that the fog stays as it is at $t_i$ for the length
# $\delta_i = t_{i+1} - t_i$. Then the integrals can be done by hand. The section lets $e^{-\sigma_i \delta_i}$ through,
# so it stops
#
# $$\alpha_i = 1 - e^{-\sigma_i \delta_i}, \qquad T_i = \prod_{j<i} (1 - \alpha_j), \qquad w_i = T_i \, \alpha_i, \qquad
# c = \sum_i w_i \, c_i \qquad \text{(equation 1)}$$
#
# That is the paper's equation 1, and the heart of every method in this course. With a pencil, on a ray with four
# samples: clear air, a thin veil, a wall, more wall.

# %%
sigma, delta = torch.tensor([0.0, 1.0, 9.0, 9.0]), torch.tensor([0.5, 0.5, 0.5, 0.5])
colours = torch.tensor([[0.0, 0, 0], [0.9, 0.6, 0], [0, 0.4, 0.7], [0, 0.4, 0.7]])
left, weights = 1.0, []
for s, length in zip(sigma.tolist(), delta.tolist(), strict=True):
    alpha = 1 - math.exp(-s * length)
    weights.append(left * alpha)
    print(f"sigma {s:.0f}: arrives {left:.3f}, alpha {alpha:.3f}, weight {weights[-1]:.3f}")
    left = left * (1 - alpha)
colour = sum(w * c for w, c in zip(weights, colours, strict=True))
print(f"leaves {left:.3f}, colour", [round(float(x), 2) for x in colour])

# %% [markdown]
# The second half of the wall is as dense as the first, and counts for almost nothing: there is no light left to stop.
# A weight is not how much *is* there. It is how much of it is *seen*.
#
# Is that what the package does? And another thing can be read off the table. Each weight is what arrives minus what goes
# on, $w_i = T_i - T_{i+1}$, so in the sum everything cancels but the ends. Whatever the fog,
# $\sum_i w_i + T_{\text{end}} = 1$: light is either stopped or it leaves.

# %%
theirs = weights_from_density(sigma, delta)
print("our weights are the package's:", torch.allclose(torch.tensor(weights), theirs, atol=1e-6))
print(
    "our colour is the package's:  ", torch.allclose(colour, composite(theirs, colours), atol=1e-6)
)
leaves = torch.exp(-(sigma * delta).sum())
print("weights and what leaves sum to 1:", bool((theirs.sum() + leaves - 1).abs() < 1e-6))

# %% [markdown]
# Now the same in a picture, with a softer veil and a softer wall, and 40 samples. Read it from the top. *Density* is what
# is there. *Alpha* is what each section would stop, if all light reached it; *T* is how much does. Their product, the
# *weight*, is what is seen, drawn in the colour of the fog at that place.

# %%
veil_and_wall = panel.picture(**panel.REST | {"samples": 40})
show(veil_and_wall.figure, alt=veil_and_wall.alt)

# %% [markdown]
# The veil is fifteen times thinner than the wall, and gets about half of all weight, for it comes first. That is
# occlusion, and nobody had to sort anything: it falls out of a product.
#
# ### Exercise 0102 (easy): weights from alpha
#
# Some methods (NeuS is one) give $\alpha$ directly. Write the weights of N rays with S samples each, without a loop
# over samples. The trap is in the index: $j < i$, not $j \le i$.


# %% tags=["exercise"]
def weights_of(alpha):
    """Weights (N, S) of eq. 1 for opacities alpha (N, S), nearest sample first."""
    ### BEGIN SOLUTION
    through = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(alpha[:, :1]), through[:, :-1]], dim=1)
    return before * alpha
    ### END SOLUTION


# %%
checks.ex0102(weights_of)

# %% [markdown]
# Your product is right, and for training it would be a mistake: its *gradient* breaks behind a wall. The package adds
# up $\sigma_i \delta_i$ instead and takes one exponential. [Lesson 11](11_gpu_kernels.ipynb) tells why.
#
# ## 3. A real ray
#
# Where does a head's density come from? In this course from a **signed distance** $f$: how far away the surface is,
# negative inside. [Lesson 02](02_sdf_and_eikonal.ipynb) is about nothing else. For today one sentence is enough: density
# is zero outside, $1/\beta$ inside, and it changes from one to the other over a few $\beta$ around the surface.
# Here is the ray through the nose of our head.

# %%
front = sampling.head_rays(head, scene.cameras, view=7, size=64)
nose = int(front.pixels.flatten()[: 35 * 64 + 31].sum())  # the number of pixel (31, 35)'s ray
t = torch.linspace(float(front.near[nose]), float(front.far[nose]), 2001)
o, d = front.rays.origins[nose], front.rays.directions[nose]
with torch.no_grad():
    f = head.model.sdf(o + t[:, None] * d)
deltas, densities, weights = torch.diff(t, append=t[-1:]), {}, {}
for beta in (0.03, 0.01, 0.003):
    name = f"beta = {beta * head.radius:.1f} mm"
    sigma = laplace_density(f, beta)
    densities[name] = sigma / head.radius
    weights[name] = weights_from_density(sigma, deltas) / deltas.clamp_min(1e-9) / head.radius
figure, ((field, density, weight),) = grid(1, 3, width=11, height=2.9)
mm = head.radius * t
first = float(mm[(f < 0).nonzero()[0, 0]])
where = {"xlabel": "depth t [mm]"}
curves(field, mm, {"f": head.radius * f}, title="signed distance f [mm]", **where)
curves(density, mm, densities, title="density [1/mm]", **where)
close = {"xlim": (first - 40, first + 40), "title": "weight per mm, close to the surface"}
curves(weight, mm, weights, legend=False, **close, **where)
for ax, line in ((field, field.axhline), (weight, weight.axvline)):
    line(0 if ax is field else first, color="0.6", lw=0.8)
show(
    figure,
    alt="Three plots over the depth along one ray. The signed distance falls from 83 mm through zero near 776 mm, "
    "to -65 mm in the middle of the head, and rises again. The density is a box between front and back, "
    "higher and steeper for smaller beta. The weight is a peak at the front surface, narrow for the smallest beta, tens of mm wide for the largest.",
)

# %% [markdown]
# The density is a box: the whole inside of the head is fog. The weight is a peak at its *front*. Nothing of the
# back is seen, though it is just as dense. And $\beta$ decides how wide the peak is. A wide one is good for learning,
# since many samples feel the pixel's wish; a narrow one is good for measuring.
#
# Let us composite this ray by hand, with the $\beta$ that training ended with, and compare with what the package
# *renders* for that pixel. It does not take our thousand samples for it, but eight. How it gets away with that is
# section 5's question.

# %%
beta = float(head.model.beta())
t = torch.linspace(float(front.near[nose]), float(front.far[nose]), 1024)
o, d = front.rays.origins[nose], front.rays.directions[nose]
with torch.no_grad():
    f = head.model.sdf(o + t[:, None] * d)
half = 0.5 * torch.exp(-f.abs() / beta)
sigma = torch.where(f > 0, half, 1 - half) / beta
weights = weights_from_density(sigma, torch.diff(t, append=t[-1:]))
depth = head.radius * float((weights * t).sum() / weights.sum())
theirs = float(head.render(scene.cameras, 7).depth[35, 31])
print("opacity over 0.99:                           ", bool(weights.sum() > 0.99))
print("our depth and the renderer's are within 1 mm:", abs(depth - theirs) < 1)

# %% [markdown]
# ## 4. Depth, and when it lies
#
# We have slipped in a new thing. If a weight is how much of the light comes from $t_i$, then we can ask for the
# **expected depth**,
#
# $$\bar t = \frac{\sum_i w_i \, t_i}{\sum_i w_i} ,$$
#
# which is how depth maps are made from radiance fields all over the literature. Look again at the picture of section 2.
# The solid line stands at the expected depth. What is there?

# %%
exact = fog.exact(fog.VEIL_AND_WALL)
print(f"expected depth {exact.depth:.2f}, between a veil at 0.60 and a wall at 1.40")
print("is there any fog to speak of?", not fog.not_there(fog.VEIL_AND_WALL, exact))

# %% [markdown]
# Nothing. Half of the light comes from the veil, half from the wall, and the mean of the two is a place in clear air. The
# mean of two truths need not be true. It is the old joke of the statistician with the head in the oven and the feet
# in the freezer, who feels fine on average.
#
# Where would that happen on a head? Behind a strand of hair, at the rim of an ear, at any outline where one pixel
# sees a near and a far thing. Whoever fuses such depths into a mesh gets points that float between surfaces.
#
# The remedy is as old as the joke: don't report a mean without a *spread*.
#
# ### Exercise 0103 (middle): depth, and how much to trust it
#
# Give the expected depth and the standard deviation of the depth, both by weight. Weights need not sum to 1: some
# light may leave. And where *all* of it leaves, nobody wants a NaN; divide by at least $10^{-6}$.


# %% tags=["exercise"]
def depth_and_spread(weights, t):
    """Expected depth (N,) and its standard deviation (N,) of weights and t (N, S)."""
    ### BEGIN SOLUTION
    mass = weights.sum(dim=1).clamp_min(1e-6)
    depth = (weights * t).sum(dim=1) / mass
    variance = (weights * (t - depth[:, None]) ** 2).sum(dim=1) / mass
    return depth, variance.sqrt()
    ### END SOLUTION


# %%
checks.ex0103(depth_and_spread)

# %% [markdown]
# Now on the head, from three-quarter, at every pixel, for three $\beta$: what training starts with, passes, and ends with.

# %%
size = {"ci": 48}.get(get_profile().name, 64)
side = sampling.head_rays(head, scene.cameras, view=8, size=size)
seen = {beta: side.truth(beta, 256) for beta in (0.03, 0.01, 0.0015)}
spreads, crop = {}, slice(size // 6, -size // 10)
for beta, s in seen.items():
    met = s.opacity > 0.5
    f = side.ask(s.depth[:, None] / head.radius)[:, 0]
    clear = (f > 0) & (torch.exp(-f / beta) / 2 < 0.01)  # density under 1 % of the largest
    wide, lying = (float(x[met].float().mean()) for x in (s.spread > 6, clear))
    spreads[f"beta = {beta * head.radius:.1f} mm"] = side.picture(s.spread.where(met, torch.nan))
    words = "all" if wide > 0.99 else "under 3 %" if wide < 0.03 else "some"
    print(f"beta {beta * head.radius:.1f} mm: spread over 6 mm at {words} of the head;", end="")
    print(" depth in clear air at under 2 %:", lying < 0.02)
show(
    images(
        [[s[crop, crop] for s in spreads.values()]],
        list(spreads),
        bar="spread of the depth [mm]",
        cmap="cividis",
        vmin=0,
        vmax=16,
    ),
    alt="Three maps of the depth's spread on a head seen from three-quarter. For beta 5.5 mm the face is near 9 mm "
    "everywhere and the outline over 16. For 1.9 mm the face is near 4 mm; the outline and "
    "the lower edge of the jaw stand out. For 0.3 mm all is dark but for single pixels at the jaw and the outline.",
)

# %% [markdown]
# Be fair to heads: a head is mostly *one* surface, and pixels whose depth points into clear air are rare on it, a few in
# a thousand. What is common is *uncertainty*, and the maps show where it sits. Where a ray grazes the surface, it
# runs for a long time inside the fuzzy wall; and along the jaw it meets two surfaces, chin and neck. As $\beta$
# shrinks, hardly more than that is left. A wide $\beta$ is no lie, but it is a confession.
#
# ## 5. What few samples do
#
# So far we have asked as often as we liked. A question is not cheap: each one is a pass through a network. A picture of
# 64 x 64 pixels with a thousand samples a ray is four million passes. How few will do?
#
# Take the sharp $\beta$ and twelve samples a ray, evenly spaced. Then the same with **stratified** samples: cut the ray
# into twelve equal sections, and ask at a *random* place in each. That is `uniform_samples` in
# `privhead_nb/render/sampling.py`, without and with a generator. To see shape, the depth is lit like a statue.

# %%
fine = sampling.head_rays(head, scene.cameras, view=8, size=80)
sharp = float(head.model.beta())
right = fine.truth(sharp, 512)
many = [fine.error(right, 12, "jittered", sharp, seed) for seed in range(16)]
off = {
    "12 even": fine.error(right, 12, "even", sharp),
    "12 jittered": many[0],
    "mean of 16 jittered": torch.stack(many).mean(0),
}
crop = slice(13, 73)
figure, (lit, wrong) = grid(2, 4, width=11, height=6)
for ax, (name, error) in zip(lit, {**off, "truth": 0 * off["12 even"]}.items(), strict=True):
    down, across = torch.gradient(fine.picture(right.depth + error)[crop, crop])
    image(ax, 0.62 - 0.055 * (down + across), name)  # light from the upper left
for ax, error in zip(wrong, off.values(), strict=False):
    image(ax, fine.picture(error)[crop, crop], cmap="cividis", vmin=0, vmax=30)
wrong[3].set_axis_off()
figure.colorbar(wrong[0].images[0], ax=wrong[3], location="left", label="too deep by [mm]")
show(
    figure,
    alt="Top: depth maps lit like statues. With 12 even samples the head is a few flat terraces with sharp steps; "
    "with 12 jittered ones it is covered in grain; the mean of 16 jittered pictures shows nose, jaw and neck under "
    "finer grain; the truth is smooth. Bottom: the errors. Even: bands of 0 to 30 mm that follow the terraces. "
    "Jittered: grain of the same size. The mean: an even middle tone near 14 mm, brighter under the jaw.",
)

# %% [markdown]
# With even samples, neighbouring rays ask at almost the same depths, so they are wrong *together*: terraces, also called
# **banding**. With jitter each ray is wrong *on its own*: **noise**. Noise looks worse for a single picture. But a
# training step sees a thousand rays drawn anew, and next time the same pixel asks elsewhere. Noise averages out over
# steps; a terrace stays, and a network that is only ever asked at the same depths can learn the terrace. That is
# what jitter is for. It is *not* for accuracy:

# %%
for name, error in off.items():
    deep = float((error > 0).sum() / (~error.isnan()).sum())
    print(f"{name}: too deep at over 85 % of pixels: {deep > 0.85}")
for name in ("12 even", "12 jittered"):
    errors = fine.picture(off[name])
    pairs = torch.stack([errors[:, :-1].flatten(), errors[:, 1:].flatten()])
    alike = float(torch.corrcoef(pairs[:, ~pairs.isnan().any(0)])[0, 1])
    print(f"neighbouring pixels err together, {name[3:] + ':':<9}", alike > 0.3)

# %% [markdown]
# The last column is a surprise if you have learnt that averages heal everything. Averaging sixteen jittered pictures took
# the grain away, and left the whole head **too deep**, by over a centimetre. Why?
#
# Think of a bus stop. A hard wall stands somewhere on the ray; the first sample *behind* it gets all the weight, and the
# depth that we report is that sample's. How far is it from the wall to the next sample? It is how long you wait for the
# next bus. If buses come every ten minutes, you wait five on average. If each comes at a random moment of its own ten
# minutes, you wait longer, since you are more likely to arrive in a long gap than in a short one. If they come
# altogether at random, you wait ten. Let us stand at twenty thousand bus stops:

# %%
random = torch.Generator().manual_seed(0)
wall, n = 0.1 + 0.8 * torch.rand(20000, 1, generator=random), 256
inside = torch.rand(20000, n, generator=random)
timetables = {
    "even": (torch.arange(n) + 0.5).expand(20000, n) / n,
    "jittered": (torch.arange(n) + inside) / n,
    "random": inside.sort(dim=1).values,
}
for name, t in timetables.items():
    following = t.gather(1, torch.searchsorted(t, wall))
    print(f"{name:<8} waits {n * float((following - wall).mean()):.2f} of a step")

# %% [markdown]
# One half, seven twelfths, one. (Do the middle one with pencil and paper: a gap of length $g$ is met with a
# probability proportional to $g$, so the mean wait is $E[g^2] / 2 E[g]$, and jittered gaps have a variance of a
# sixth of a step squared.) So at a wall even samples are *more* accurate on average than jittered ones, and all of them
# err to one side. On the head the errors are a little smaller than that, since the fuzzy front of a wall is noticed
# before the wall is reached; but the order is the same.
#
# ### Asking where it matters
#
# Most of those questions were wasted: in front of the head there is nothing, and behind its surface nobody looks. So
# ask twice. First a few even samples; they give weights. Then put the rest where the weights are. To draw samples
# from weights one uses the **inverse CDF**: pile the weights up to a running sum that rises from 0 to 1. It is steep
# where weight is, and flat where none is. Choose evenly spaced heights $u$, and read the curve *backwards*.

# %%
t = torch.linspace(0, 2, 21)
weights = torch.exp(-0.5 * ((t[:-1] - 0.6) / 0.1) ** 2) + 2 * torch.exp(
    -0.5 * ((t[:-1] - 1.4) / 0.06) ** 2
)
u = quantiles(torch.full((1, 16), 0.5)).float()
drawn = inverse_cdf(t[None], weights[None], u.double())
figure, ((mass, total),) = grid(1, 2, height=3.1)
mass.stairs(weights, t, fill=True, color="0.8")
mass.plot(drawn[0], 0 * drawn[0], "|", color="#D55E00", ms=16, mew=1.5)
running = torch.nn.functional.pad(torch.cumsum(weights, 0), (1, 0)) / weights.sum()
for height, place in zip(u[0], drawn[0], strict=True):
    total.plot([t[0], place, place], [height, height, 0], color="#D55E00", lw=0.8, ls="--")
curves(total, t, {"": running}, title="their running sum: read it backwards", ylabel="u")
mass.set_title("weights of the sections, and the new samples", fontsize=10)
for ax in (mass, total):
    ax.set(xlabel="depth t", xlim=(0, 2), ylim=(0, None))
show(
    figure,
    alt="Left, a histogram of weights with a low bump at 0.6 and a high one at 1.4; sixteen ticks under it crowd "
    "where the bars are high. Right, its running sum from 0 to 1, with two steep parts; dashed lines go from "
    "evenly spaced heights to the curve and down to the depths.",
)

# %% [markdown]
# ### Exercise 0104 (middle): read the running sum backwards
#
# `t` holds the S + 1 ends of S sections, `weights` the mass of each. For every height in `u`: find its section, and go
# into the section by the share that is left. Add $10^{-6}$ to each weight first, so that a ray which met nothing is
# sampled evenly. No loop over rays; `torch.searchsorted` and `gather` are your friends.


# %% tags=["exercise"]
def samples_by_weight(t, weights, u):
    """Depths (N, n) at heights u (N, n) of the running sum of weights (N, S) over ends t (N, S + 1)."""
    ### BEGIN SOLUTION
    total = torch.nn.functional.pad(torch.cumsum(weights + 1e-6, dim=1), (1, 0))
    height = u * total[:, -1:]
    after = torch.searchsorted(total, height, right=True).clamp(1, weights.shape[1])
    low, high = total.gather(1, after - 1), total.gather(1, after)
    start, end = t.gather(1, after - 1), t.gather(1, after)
    return start + (height - low) / (high - low) * (end - start)
    ### END SOLUTION


# %%
checks.ex0104(samples_by_weight)

# %% [markdown]
# Surely that beats even samples? Let us measure, on the head: mean error of the depth over the number of samples, for
# every way to place them. "By weight" spends half of its samples evenly and the other half by the inverse CDF.
# "Widened" will be explained in a minute. The star is the package's own sampler, with eight samples.

# %%
counts, small = (8, 16, 32, 64, 128), {"ci": 40}.get(get_profile().name, 64)
some = sampling.head_rays(head, scene.cameras, view=8, size=small)
figure, axes = grid(1, 2, height=3.9)
errors = {}
for ax, beta in zip(axes[0], (sharp, 0.02), strict=True):
    right = some.truth(beta)
    errors[beta] = {
        how: [float(some.error(right, n, how, beta).abs().nanmean()) for n in counts]
        for how in sampling.PLACINGS
    }
    scale = {"xscale": "log", "yscale": "log", "ylim": (0.005, 80), "xlabel": "samples on a ray"}
    title = f"beta = {beta * head.radius:.1f} mm"
    curves(ax, counts, errors[beta], marks=True, legend=beta != sharp, title=title, **scale)
    ax.minorticks_off()
    ax.set(
        xticks=counts, xticklabels=counts, yticks=[0.01, 0.1, 1, 10], yticklabels=[0.01, 0.1, 1, 10]
    )
axes[0][0].set_ylabel("mean error of the depth [mm]")
volume = replace(head.settings.render, coverage="volume")  # the package's own sampler, 8 samples
theirs = render_view(head.model, some.rays, torch.ones(3), volume).depth * head.radius
right = some.truth(sharp)
ours = float((theirs - right.depth)[right.opacity > sampling.SURE].abs().mean())
axes[0][0].plot(8, ours, "*", color="black", ms=13)
axes[0][0].text(9, ours, "near the surface", fontsize=8, va="center")
show(
    figure,
    alt="Two plots of the mean error of the depth in mm over 8 to 128 samples, both logarithmic. For a beta of 0.3 mm "
    "random is worst, then by weight, jittered, even, which all fall slowly; widened falls far below the others; a "
    "star at 8 samples lies between 0.1 and 0.2 mm. For a beta of 3.7 mm even samples are best from 64 on, and widened "
    "levels off.",
)

# %%
at_32 = {name: values[counts.index(32)] for name, values in errors[sharp].items()}
print(
    "worst to best: random, jittered, even:  ", at_32["random"] > at_32["jittered"] > at_32["even"]
)
print("by weight is worse than even:           ", at_32["by weight"] > 1.3 * at_32["even"])
print("widened is over twice as good as even:  ", at_32["by weight, widened"] < at_32["even"] / 2)
soft = {name: values[-1] for name, values in errors[0.02].items()}
print("soft fog, 128 samples, even is best:    ", min(soft, key=soft.get) == "even")
print("8 samples near the surface beat 128 even:", ours < errors[sharp]["even"][-1])

# %% [markdown]
# Two lessons hide in these curves, and neither is the one that textbooks print.
#
# **Importance sampling made it worse.** Plain "by weight" loses to even samples at every count, for both walls. Think of
# the bus again. The wall stands *before* the first sample that is inside. That sample gets the weight, and its section
# reaches from there on, *deeper into the head*. So the second half of the questions is asked behind the wall, where
# nothing is to be seen. The cure is humble: let each section take the largest weight among itself and its two
# neighbours. That is "widened", and at the sharp wall, from 32 samples on, it is several times better than even.
# Histograms know where a thing was *noticed*. They do not know where it is.
#
# **Soft fog does not need any of this.** On the right, where the wall is wider than a step, even samples win in the
# end. Their errors cancel along a smooth curve, as with the trapezoid rule; crowded samples with sudden gaps do not
# cancel. Cleverness is for walls.
#
# The package uses both insights. Its training sampler marches through a coarse copy of the field, finds where the sign
# changes, and puts a few samples around that place ([lesson 05](05_two_stage_reconstruction.ipynb)). VolSDF's own
# sampler (`error_bounded_samples`) adds samples until it can *prove* a bound on the opacity's error, or gives up. Both
# know more than weights: they know that $f$ is a *distance*.
#
# ### Exercise 0105 (hard): 48 questions
#
# Now you. Three scenes: a wall, a ball, an ear before a head; 256 rays each, $\beta = 0.003$, a way of length 2. You may
# ask the field 48 times on each ray. Bring back a depth at least as good as that of **144** even samples.
#
# `ask(t)` takes distances (N, k), at least `near` and at most `far` (N,), and gives the signed distances there (N, k);
# that is k questions. Return the samples `t` (N, S), rising, and what the field said there, `f` (N, S). The check
# composites them with equation 1. Your tools are there already: the first cell imports `sdf_weights` (f, lengths and
# $\beta$ to weights), `inverse_cdf` and `quantiles`; yours from exercise 0104 will do as well.
#
# The check also prints how far up the ladder you came: 144, 256, 512, 1024 or 2048 even samples. The solution in the
# solved notebook gets to the first rung. There is a lot of room above it: $f$ is a distance, and a *step of length $f$
# can't hit anything*.


# %% tags=["exercise"]
def place_samples(ask, near, far, beta):
    """At most 48 questions a ray: samples t (N, S), rising, and f = ask(t)."""
    ### BEGIN SOLUTION
    t = near[:, None] + (far - near)[:, None] * (torch.arange(24) + 0.5) / 24
    f = ask(t)
    edges = torch.cat([t, far[:, None]], dim=1)
    weights = sdf_weights(f, edges.diff(dim=1), beta)
    beside = torch.nn.functional.max_pool1d(weights[:, None], 3, 1, 1)[:, 0]
    more = inverse_cdf(edges, beside, quantiles(torch.full((len(t), 24), 0.5)))
    t, order = torch.cat([t, more], dim=1).sort(dim=1)
    return t, torch.cat([f, ask(more)], dim=1).gather(1, order)
    ### END SOLUTION


# %%
checks.ex0105(place_samples)

# %% [markdown]
# ## 6. Play
#
# One ray, two clouds, all that we have talked about. Move a slider with the mouse, or with Tab and the arrow keys. Take
# the first cloud's height to nothing, bring it back step by step, and watch the depth walk off the wall into clear air.
# Make the second cloud narrow, and take samples away until it is missed. Then place them "by weight", and see what that finds.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Four settings for readers without a running kernel. Top: a veil before a wall, and the wall alone. Bottom: a veil
# before a very narrow wall with twelve samples, even on the left, by widened weights on the right.

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for setting in panel.TWIN:
    clouds = panel.bumps(setting)
    t = fog.place(clouds, setting["samples"], setting["placed"])
    seen, true = fog.look(clouds, t), fog.exact(clouds)
    veil = "veil and wall" if setting["first_height"] else "wall alone"
    print(
        f"{veil}, width {setting['second_width']}, {setting['samples']} {setting['placed']}:",
        end="",
    )
    print(
        f" depth {seen.depth:.2f} ({true.depth:.2f}), opacity {seen.opacity:.2f} ({true.opacity:.2f})"
    )

# %% [markdown]
# Look at the last one. Twelve samples by widened weights *miss the wall altogether*: six go into the first pass, and none
# of the six touches it. So the second pass, full of confidence, asks six more times about the veil. Twelve even samples
# had better luck. Importance sampling finds more of what it has found. It can't find what nobody has seen.
#
# ## 7. A whole picture
#
# Rays side by side make a picture, and each ray has more to tell than a colour. The sum of its weights is the **opacity**.
# The weighted mean of $t$ is the **depth**. The weighted mean of the surface's directions, $\nabla f$, is the **normal**.
# One pass, four pictures:

# %%
large = scene.cameras.resized(160, 160)
picture = head.render(large, 8)
met, crop = picture.opacity > 0.5, (slice(16, 144), slice(16, 144))
depth = picture.depth.where(met, torch.nan)[crop]
normals = (0.5 + 0.5 * picture.normals).where(met[..., None], 1.0)[
    crop
]  # red +x, green +y, blue +z
figure, ((one, two, three, four),) = grid(1, 4, width=11.5, height=3.8)
image(one, picture.colour[crop], "colour")
image(two, picture.opacity[crop], "opacity")
image(three, depth, "depth [mm]", cmap="cividis_r", vmin=None, vmax=None)
image(four, normals, "normals as colours")
for ax in (two, three):
    figure.colorbar(ax.images[0], ax=ax, location="bottom", shrink=0.8)
show(
    figure,
    alt="Four pictures of one head from three-quarter: in colour, with reddish skin and grey hair; its opacity, white on "
    "black with a soft outline; its depth from 800 mm at nose and cheek to over 900 at the outline; its normals as "
    "colours, violet at the face, pink at the head's left side, yellow-green at the crown, with faint straight lines.",
)

# %% [markdown]
# The skin is redder than in the photo. That is no fault of equation 1: this field was trained from a release, which holds
# hardly a colour of the face (the neutral views show a neck, an ear and some cheek), so the colour network made the rest up. The depth and the normals are what it was trained for. (The
# faint straight lines in the normals come from the feature grid that the field lives in: its cells have edges.)
#
# ### Background
#
# What of the light that leaves? Its share is $T_{\text{end}} = 1 - \sum_i w_i$, and it comes from whatever is behind:
#
# $$c = \sum_i w_i \, c_i + \Bigl( 1 - \sum_i w_i \Bigr) \, c_{\text{background}}$$
#
# So a rendering can be put before any background, if its opacity is known. The one above stands before white. Take the
# white out, and put something else in:

# %%
lets_through = 1 - picture.opacity[..., None]
alone = picture.colour - lets_through * torch.tensor(head.background)
before = {"white": alone + lets_through, "black": alone}
squares = torch.arange(160) // 20
board = 0.45 + 0.4 * ((squares[:, None] + squares) % 2)
before["a chessboard"] = alone + lets_through * board[..., None]
shown = {"the photo, 64 pixels": scene.images[8], **before}
show(
    images([list(shown.values())], list(shown)),
    alt="Four pictures: the photo with dark brown skin and grey hair in large pixels before white, and the rendered "
    "head before white, before black and before a chessboard of greys, without a seam at its outline.",
)

# %% [markdown]
# That also tells what a *known* background is worth in training. Before white, a white collar and an empty place give the
# same pixel, and a field is free to leave a hole. A **mask**, which says how much of each pixel the head covers, can
# be compared with the opacity and settles it.
#
# ### Coverage: a pixel is not a point
#
# Remember the pixel under ray 1, which was neither white nor hair. Here is a part of the outline in large pixels: how much
# of each pixel the head covers in the photo (its mask), and two opacities. "Volume" is the sum of the weights, a line
# through the pixel's centre. "Footprint" asks by how much the ray misses the surface, and compares that with the
# pixel's width, as an area would.

# %%
by_volume = replace(head.settings, render=replace(head.settings.render, coverage="volume"))
mask, footprint = scene.masks[8], head.render(scene.cameras, 8).opacity
volume = replace(head, settings=by_volume).render(scene.cameras, 8).opacity
edge = (mask > 0.02) & (mask < 0.98)  # pixels that the outline crosses
points, areas = (float((o - mask)[edge].abs().mean()) for o in (volume, footprint))
print("at the outline, volume is over 1.5 times as far off:", points > 1.5 * areas)
covered = {"the photo's mask": mask, "footprint": footprint, "volume (eq. 1)": volume}
show(
    images([[o[4:36, 10:42] for o in covered.values()]], list(covered)),
    alt="Three times the crown and forehead as a white shape on black in large pixels. In the photo's mask and with "
    "footprints the outline has grey pixels; by volume it is a hard staircase of black and white.",
)

# %% [markdown]
# With the sharp wall that training ends with, equation 1 answers yes or no, and a photo's outline is grey. If we trained
# on that difference, the field would have to blur its wall to make the outline grey, which is the opposite of what
# $\beta$ is shrinking for. So the package lets equation 1 say what colour the surface has, and the footprint how much of
# the pixel it fills. At 64 x 64 pixels it matters; at a megapixel nobody would notice.
#
# ## Now you, without a check
#
# 1. *Easy.* Render view 8 with `head.render` at 32, 64 and 128 pixels. Which of the four pictures suffers first?
# 2. *Middle.* The **median depth** is where half of the ray's weight has been spent. Write it, and compare it with the
#    mean on veil and wall, for veils of rising height. At which opacity of the veil does it jump?
# 3. *Hard.* All errors of section 5 had one sign. Give each sample the section *around* it instead of the one
#    behind it. What is left of the bias, for a wall and for soft fog? And what would a ray's colour say to that?
#
# ## What to remember
#
# - A pixel is a direction; K and c2w turn it into a ray, and half a pixel matters.
# - $w_i = T_i \alpha_i$: not what is there, but what is seen. Weights and what leaves sum to 1.
# - Expected depth is a mean. Ask for its spread before you believe it.
# - Even samples band, jittered ones are noisy; both put a wall too deep, jittered ones a little more so.
# - Samples by weight find more of what was found. At a wall, look one section before.
# - Opacity, depth and normals come with the colour, from the same weights.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a pixel's ray is the package's | exercise 0101, `tests/test_camera.py` |
# | our equation 1 is the package's | section 2, `tests/test_compositing.py` |
# | weights and what leaves sum to 1 | section 2 |
# | a depth can point into clear air, and on a head it rarely does | section 4, measured |
# | even samples err together, jittered ones on their own, both too deep | section 5, measured |
# | waits of 1/2, 7/12 and 1 step | the bus stops of section 5 |
# | plain importance sampling loses at a wall, widened wins | section 5, measured; exercise 0105 |
# | importance sampling can miss what its first pass missed | section 6 |
# | the footprint is nearer to the photo's outline | section 7, measured |
#
# **Read on**: [02, signed distances and the eikonal equation](02_sdf_and_eikonal.ipynb), for where the density comes
# from; [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb), for what it learns from;
# [11, from an equation to a loop to a kernel](11_gpu_kernels.ipynb), for how equation 1 is made fast. Max, *Optical models
# for direct volume rendering* (1995), for equation 1 long before neural networks; NeRF (Mildenhall et al. 2020), for the
# two-pass sampler; Mip-NeRF (Barron et al. 2021), for widened weights and for pixels that are no points; VolSDF (Yariv
# et al. 2021), for the error bound.

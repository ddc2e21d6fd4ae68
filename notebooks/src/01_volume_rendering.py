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
# **You will be able to** write a volume renderer with nothing but torch: a ray from a pixel, samples on it, their
# weights, a colour and a depth, and a second pass of samples where the first found something. At the end yours draws a
# head beside the package's. You will also be able to say when a depth must not be trusted.
#
# **You should know** vectors and 3 x 3 matrices, integrals, and PyTorch tensors. Notebook 00 tells what all this is
# for.
#
# **Time**: 120 minutes of reading and exercises, and 30 more for the last exercise; computing takes under a minute.
#
# **Equations of the paper**: 1 (compositing). From VolSDF (Yariv et al. 2021): 2 and 3 (density), as a guest.

# %%
from collections import namedtuple
from dataclasses import replace

import numpy as np
import torch

from privhead_nb import Reconstruction, load_scene
from privhead_nb.kernels.compositing import laplace_density, weights_from_density
from privhead_nb.kernels.error_bounded import inverse_cdf
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, interactive, widgets
from privhead_nb.teach.lesson01 import figures, panel
from privhead_nb.training.profiles import get_profile
from privhead_nb.viz.style import BLUE, VERMILLION, curves, grid, image, images, show

scene = load_scene(SAMPLES / "scene")
head = Reconstruction.load(SAMPLES / "reconstruction")  # a field that was trained from its release

# %% [markdown]
# ## 1. A pixel is a ray
#
# To us a photo is a surface full of colours. To a camera it is a bundle of *directions*. Each pixel collects the light
# that arrives from one direction, and that is all it knows. It does not know how far the light has come. All of 3D
# reconstruction is about getting this one number back, and volume rendering is the tool.
#
# So first: which direction belongs to which pixel? Two matrices know it.
#
# - **K**, the intrinsics, belongs to the lens. It says where a direction falls in the picture, in pixels: a point
#   $(X, Y, Z)$ in the camera's own axes falls on $u = f_x X / Z + c_x$ and $v = f_y Y / Z + c_y$.
# - **c2w**, the pose, belongs to the tripod. Its first three columns are the camera's axes, written in the scene's
#   coordinates; its fourth is where the camera stands.
#
# And there are conventions, the reason for most black pictures in this field. This package writes them down once, in
# `privhead_nb/scenes/camera.py`: x points right, y points **down**, z points **forward**, out of the lens. Here is a
# camera that looks a head in the face:

# %%
for name, column in zip(("right", "down", "forward"), scene.cameras.c2w[7, :3, :3].T, strict=True):
    print(f"{name:<8}", [round(float(x), 1) + 0.0 for x in column])
print("stands at", [round(float(x)) for x in scene.cameras.centers[7]], scene.unit)

# %% [markdown]
# The head looks along +z with its crown at +y, so a camera in front of it looks along -z, and its "down" is -y.
#
# To get from a pixel to a ray, we walk backwards. Undo K: $K^{-1} (u, v, 1)^\top$ is a direction in the camera's axes.
# Turn it by $R$, the 3 x 3 part of c2w. Give it length 1, so that the distance $t$ along the ray is a distance in mm:
#
# $$\mathbf{d} = \frac{R \, K^{-1} (u, v, 1)^\top}{\lVert R \, K^{-1} (u, v, 1)^\top \rVert}, \qquad
# \mathbf{x}(t) = \mathbf{o} + t \, \mathbf{d}$$
#
# One trap is left. *Where is pixel (0, 0)?* In this package $(x, y) = (0, 0)$ is the **centre** of the first pixel. K
# may count from there, too, or from that pixel's outer corner; then the centre has $u = v = \tfrac12$. A camera's
# `pixel_center` says which: 0 or 0.5, and $u = x$ + `pixel_center`. Half a pixel sounds like nothing. In a picture of
# 64 pixels it is about 3 mm at the head, more than the whole error that we are going to be proud of later.
#
# ### Exercise 0101 (first steps, 10 min): from a pixel to a ray
#
# `camera` is one camera: `camera.K[0]` is its K (3 x 3), `camera.c2w[0]` its pose (4 x 4), both in double precision
# (`.float()` makes them like `xy`); `camera.pixel_center` is 0 or 0.5. `xy` holds pixels, x first; R in the shapes is
# their number, not the rotation. Give as many origins, which are all alike, and directions of length 1, in the scene's
# axes. All that follows uses your rays.


# %% tags=["exercise"]
def pixel_rays(camera, xy):
    """Origins and unit directions, (R, 3) each, scene axes, of the rays through pixels xy (R, 2)."""
    ### BEGIN SOLUTION
    K, c2w = camera.K[0].float(), camera.c2w[0].float()
    uv1 = torch.cat([xy + camera.pixel_center, torch.ones_like(xy[:, :1])], dim=1)
    directions = uv1 @ torch.linalg.inv(K).T @ c2w[:3, :3].T
    origins = c2w[:3, 3].expand(len(xy), 3)
    return origins, directions / directions.norm(dim=1, keepdim=True)
    ### END SOLUTION


# %%
checks.ex0101(pixel_rays)
o, d = pixel_rays(scene.cameras[7], torch.tensor([[31.5, 31.5]]))
back, _ = scene.cameras.project(o + 800 * d)
print("800 mm along a ray, a point falls back on its pixel:", back[7, 0].round(decimals=2).tolist())
inside = sum(bool((xy > 0).all() and (xy < 63).all()) for xy in back[:, 0])
print(f"and lies inside the picture of {inside} of {len(scene.cameras)} cameras")

# %% [markdown]
# Now look at such rays from outside: five pixels in the middle column of the photo. Beside it, the head is cut in two,
# from the side. What is cut is a *reconstruction*, the field that lesson 00 showed as a mesh.

# %%
xy = torch.tensor([[31.5, row] for row in (8.0, 20.0, 31.0, 41.0, 56.0)])
show(
    figures.rays_through_head(scene.images[7], head, xy, *pixel_rays(scene.cameras[7], xy)),
    alt="Left, a photo of a made head from the front, with five numbered dots from the crown to below the neck. "
    "Right, the head's outline from the side and the camera 886 mm before it; five rays fan out from the camera. "
    "The first passes just above the crown, three go through the head, the last passes below the neck.",
)

# %% [markdown]
# Ray 1 is worth a second look. It passes a few millimetres above the crown, and its pixel is white. The pixel right
# below it is hair to nine tenths, and white for the rest: a pixel is a little *area*, a ray is a line. We come back to
# this in section 8.
#
# A ray is where a pixel *could* have got its colour from. A second camera has rays of its own, and where the rays of
# many photos agree, there must be something. The next picture turns with the mouse; below it, the same from above.

# %%
corners = torch.tensor([[20.0, 20], [43, 20], [20, 43], [43, 43], [31.5, 31.5]])
bundles = {f"view {view}": pixel_rays(scene.cameras[view], corners) for view in (7, 9)}
interactive.show(
    figures.rays_to_turn(head, bundles),
    alt="A grey head in 3D. Five rays come from a camera in front of it and five from one at its left side; "
    "they cross inside and around the head.",
)
figure, ((ax,),) = grid(1, 1, width=6.5, height=3.8)
figures.cut(ax, head, across=1)
for (name, (o, d)), look in zip(bundles.items(), ((BLUE, "-"), (VERMILLION, "--")), strict=True):
    ends = torch.stack([o, o + 1500 * d])  # (2, R, 3)
    lines = ax.plot(ends[..., 0], ends[..., 2], color=look[0], ls=look[1], lw=1.3)
    lines[0].set_label(name)
ax.legend(loc="lower left", fontsize=8)
ax.set(aspect="equal", xlim=(-500, 500), ylim=(350, -200))
ax.set(xlabel="x [mm]", ylabel="z [mm], the face looks down")
show(
    figure,
    alt="The head's outline in a level cut, seen from above, nose down. Solid lines come from a camera straight "
    "before the face, dashed ones from a camera some 75 degrees to the side; they cross inside the head.",
)

# %% [markdown]
# ## 2. What a ray collects: equation 1
#
# Imagine the head made of fog. Fog is *kind to learners*: move it a little, and every pixel that looks through it
# changes a little. A hard surface gives a pixel no hint until it is hit.
#
# At each place there is a **density** $\sigma$: over a short way $dt$ it stops the share $\sigma \, dt$ of the light
# that passes. Let $T(t)$ be what is left of the light after a way $t$, the **transmittance**. Then
#
# $$\frac{dT}{dt} = -\sigma(t) \, T(t), \quad T(0) = 1 \qquad \Longrightarrow \qquad
# T(t) = \exp \Bigl( -\int_0^t \sigma(s) \, ds \Bigr) .$$
#
# What is stopped at $t$ shows the colour of that place. A pixel adds it up: $c = \int T(t) \, \sigma(t) \, c(t) \, dt$.
#
# A computer can't ask a field everywhere, only at samples $t_1 < t_2 < \dots$ Summing up an integral from samples is
# called *quadrature*. The plain way: cut $[\text{near}, \text{far}]$ into equal sections, and ask once in each.
#
# ### Exercise 0102 (first steps, 10 min): even samples, and jittered ones
#
# Give `count` samples for each of `rays` rays. Without a generator each stands in the *middle* of its section. With
# one, each stands at a *random* place of its section, whose share is drawn for each ray and each section by
# `torch.rand(rays, count, generator=generator)`; these are called **stratified** or jittered. `near` and `far` are
# numbers, or tensors (R, 1), one row a ray: write it so that both work.


# %% tags=["exercise"]
def even_samples(near, far, rays, count, generator=None):
    """Distances (R, count), rising: one in each of count equal sections of [near, far]."""
    ### BEGIN SOLUTION
    place = 0.5 if generator is None else torch.rand(rays, count, generator=generator)
    share = (torch.arange(count) + place) / count
    return near + (far - near) * share.expand(rays, count)
    ### END SOLUTION


# %%
checks.ex0102(even_samples)
for t in even_samples(0.0, 2.0, 2, 5, torch.Generator().manual_seed(0)):
    print("five jittered samples of [0, 2]:", [round(float(x), 2) for x in t])

# %% [markdown]
# ### From the integral to a sum
#
# Say that density and colour stay as they are at $t_i$, $\sigma_i$ and $c_i$, over the section from $t_i$ to
# $t_{i+1} = t_i + \delta_i$. Then nothing else has to be approximated, for both integrals can be done by hand.
#
# *How much light arrives.* Write $T_i$ for what reaches the section's start. A way $s$ into the section,
# $T(t_i + s) = T_i \, e^{-\sigma_i s}$, since the density is constant. At the end of the section that is
# $T_{i+1} = T_i \, e^{-\sigma_i \delta_i}$. So the section lets the share $e^{-\sigma_i \delta_i}$ through, and stops
# the rest, its **opacity**
#
# $$\alpha_i = 1 - e^{-\sigma_i \delta_i}, \qquad T_{i+1} = T_i \, (1 - \alpha_i) \qquad \Longrightarrow \qquad
# T_i = \prod_{j<i} (1 - \alpha_j) = \exp \Bigl( -\sum_{j<i} \sigma_j \delta_j \Bigr) .$$
#
# *What the section adds to the pixel.* Put $T(t_i + s)$ into the pixel's integral, and integrate over this section:
#
# $$\int_0^{\delta_i} T(t_i + s) \, \sigma_i \, c_i \, ds = c_i \, T_i \int_0^{\delta_i} \sigma_i \, e^{-\sigma_i s} \, ds
# = c_i \, T_i \, \Bigl[ -e^{-\sigma_i s} \Bigr]_0^{\delta_i} = c_i \, T_i \, \bigl( 1 - e^{-\sigma_i \delta_i} \bigr)
# = T_i \, \alpha_i \, c_i .$$
#
# Add up the sections, and you have the paper's equation 1, the heart of every method in this course:
#
# $$c = \sum_i w_i \, c_i, \qquad w_i = T_i \, \alpha_i, \qquad T_i = \prod_{j<i} (1 - \alpha_j), \qquad
# \alpha_i = 1 - e^{-\sigma_i \delta_i} \qquad \text{(equation 1)}$$
#
# By hand, on a ray with four samples: clear air, a thin veil, a wall, more wall.

# %%
sigma, delta = torch.tensor([[0.0, 1.0, 9.0, 9.0]]), torch.tensor([[0.5, 0.5, 0.5, 0.5]])
left = 1.0
for s, length in zip(sigma[0].tolist(), delta[0].tolist(), strict=True):
    alpha = 1 - np.exp(-s * length)
    print(f"sigma {s:.0f}: arrives {left:.3f}, alpha {alpha:.3f}, weight {left * alpha:.3f}")
    left = left * (1 - alpha)
print(f"leaves {left:.3f}")

# %% [markdown]
# The second half of the wall is as dense as the first, and counts for almost nothing: there is no light left to stop. A
# weight is not how much *is* there. It is how much of it is *seen*.
#
# Another thing can be read off the table. Each weight is what arrives minus what goes on, $w_i = T_i - T_{i+1}$, so in
# the sum everything cancels but the ends: $\sum_i w_i + T_{\text{end}} = 1$. Light is either stopped or it leaves.
#
# ### Exercise 0103 (solid, 15 min): weights
#
# Write the weights of R rays with N samples each, without a loop over samples. The trap is in the index: $j < i$, not
# $j \le i$. A hint on digits: where $x$ is small, `1 - torch.exp(-x)` loses most of them, and `-torch.expm1(-x)`, the
# same number, none. [Lesson 11](11_gpu_kernels.ipynb) makes much of that; either passes here.


# %% tags=["exercise"]
def weights_of(density, delta):
    """Weights (R, N) of eq. 1 for densities and section lengths (R, N), nearest sample first."""
    ### BEGIN SOLUTION
    tau = density * delta
    before = torch.nn.functional.pad(torch.cumsum(tau[:, :-1], dim=1), (1, 0))
    through, alpha = torch.exp(-before), -torch.expm1(-tau)
    return through * alpha
    ### END SOLUTION


# %%
checks.ex0103(weights_of)

# %% [markdown]
# First your weights on the four samples, beside the package's. Then the last piece, one line: `composite` sums anything
# by weight, colours, normals, depths. And then your pieces on a ray through a veil and a wall, with 40 samples. Read
# the picture from the top. *Density* is what is there. *Alpha* is what each section would stop, if all light reached
# it; *T* is how much does. Their product, the *weight*, is what is seen.


# %%
weights = weights_of(sigma, delta)
print("weights of the four samples:", [round(float(w), 3) for w in weights[0]])
print(f"their sum, and what leaves: {float(weights.sum()) + left:.3f}")
off = (weights - weights_from_density(sigma, delta)).abs().max()
print(f"largest difference from the package's weights: {float(off):.5f}")


def composite(weights, values):
    """The sum by weight (R, C) of values (R, N, C): equation 1."""
    return (weights[..., None] * values).sum(dim=1)


def veil_and_wall(t):
    """Density (R, N) and colour (R, N, 3): a thin orange veil at 0.6 and a dense blue wall at 1.4."""
    veil = 4 * torch.exp(-0.5 * ((t - 0.6) / 0.07) ** 2)
    wall = 60 * torch.exp(-0.5 * ((t - 1.4) / 0.06) ** 2)
    orange, blue = torch.tensor([0.90, 0.62, 0.0]), torch.tensor([0.0, 0.45, 0.70])
    share = ((veil + 1e-30) / (veil + wall + 2e-30))[..., None]
    return veil + wall, share * orange + (1 - share) * blue


# %%
t = even_samples(0.0, 2.0, 1, 40)
(density, colours), delta = veil_and_wall(t), torch.diff(t, append=torch.full((1, 1), 2.0))
weights = weights_of(density, delta)
through = 1 - torch.cumsum(weights, dim=1) + weights
colour = composite(weights, colours)[0]
figure, ((first, box), (second, empty), (third, blank)) = grid(
    3, 2, width=8, height=5, width_ratios=[4, 1], sharex="col"
)
first.step(t[0], density[0], where="post", color=BLUE)
second.step(t[0], through[0], where="post", color="black", label="T")
alpha = 1 - torch.exp(-density * delta)
second.step(t[0], alpha[0], where="post", color=VERMILLION, ls="--", label="alpha")
second.legend(loc="center left", fontsize=8)
third.vlines(t[0], 0, weights[0], colors=colours[0].tolist(), lw=4)
for ax, name in ((first, "density"), (second, "T and alpha"), (third, "weight")):
    ax.set(ylabel=name, ylim=(0, None), xlim=(0, 2))
third.set_xlabel("depth t")
empty.set_axis_off()
blank.set_axis_off()
image(box, colour.expand(3, 4, 3), "what the pixel shows")
print(f"the veil has {float(weights[t < 1].sum()):.0%} of the weight, the wall", end=" ")
print(f"{float(weights[t > 1].sum()):.0%}; the pixel is", [round(float(x), 2) for x in colour])
show(
    figure,
    alt="Three plots over the depth from 0 to 2. Density: a low hill at 0.6 and one fifteen times as high at 1.4. T "
    "falls from 1 to one half at the first hill and to 0 at the second; alpha has two hills. Weights: orange bars at "
    "0.6 and higher, fewer blue ones before 1.4. Beside them a square of mixed colour, a dull green.",
)

# %% [markdown]
# The veil is fifteen times thinner than the wall, and gets about half of all weight, for it comes first. That is
# occlusion, and nobody had to sort anything: it falls out of a product.
#
# ## 3. A real ray
#
# Where does a head's density come from? In this course from a **signed distance** $f$: how far away the surface is,
# negative inside. [Lesson 02](02_sdf_and_eikonal.ipynb) is about nothing else. For today one sentence is enough:
# density is zero outside, $1/\beta$ inside, and it changes from one to the other over a few $\beta$ around the surface
# (`laplace_density`).
#
# The head's field speaks *unit-sphere coordinates*: the head's centre is 0, and a sphere of radius 1 holds all of it.
# So a ray need only be asked while it is in that sphere. With origin $o$ and direction $d$, it comes nearest to the
# centre at $t = -o \cdot d$, and half of its way through the sphere is $\sqrt{1 - (\lVert o \rVert^2 - (o \cdot d)^2)}$
# long:

# %%
Rays = namedtuple("Rays", "origins directions near far pixels")


def head_rays(view, size, region=slice(None)):
    """The rays of a view's size x size pixels that meet the unit sphere; near and far are (R, 1)."""
    camera = scene.cameras.resized(size, size)[view]
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    o, d = pixel_rays(camera, torch.stack([x, y], dim=2).reshape(-1, 2)[region].float())
    o = (o - torch.tensor(head.center)) / head.radius
    middle = -(o * d).sum(dim=1, keepdim=True)
    square = 1 - (o * o).sum(dim=1, keepdim=True) + middle**2
    meets = square[:, 0] > 0
    half = square[meets].sqrt()
    return Rays(o[meets], d[meets], middle[meets] - half, middle[meets] + half, meets)


@torch.no_grad()
def distances_at(rays, t):
    """The head's signed distance (R, N), unit-sphere coordinates, at depths t (R, N) on its rays."""
    points = rays.origins[:, None] + t[..., None] * rays.directions[:, None]
    return head.model.sdf(points.reshape(-1, 3)).reshape(t.shape)


def head_weights(rays, t, beta):
    """Your weights (R, N) of samples t (R, N); the last one stands for what is left of the sphere."""
    density = laplace_density(distances_at(rays, t), beta)
    return weights_of(density, torch.diff(t, append=rays.far))


# %%
nose = head_rays(7, 64, [35 * 64 + 31])  # the ray of pixel (31, 35), through the nose, alone
print(f"in the sphere from {head.radius * float(nose.near):.0f}", end=" ")
print(f"to {head.radius * float(nose.far):.0f} mm from the camera")
t = even_samples(nose.near, nose.far, 1, 2000)
f, length = distances_at(nose, t), head.radius * float(t[0, 1] - t[0, 0])
densities, found = {}, {}
for beta in (0.03, 0.01, 0.003):
    name = f"beta = {beta * head.radius:.1f} mm"
    densities[name] = laplace_density(f, beta)[0] / head.radius
    found[name] = head_weights(nose, t, beta)[0] / length
figure, ((field, density, weight),) = grid(1, 3, width=11, height=2.9)
mm = head.radius * t[0]
first = float(mm[(f[0] < 0).nonzero()[0, 0]])
where = {"xlabel": "depth t [mm]"}
curves(field, mm, {"f": head.radius * f[0]}, title="signed distance f [mm]", **where)
curves(density, mm, densities, title="density [1/mm]", **where)
close = {"xlim": (first - 40, first + 40), "title": "weight per mm, close to the surface"}
curves(weight, mm, found, legend=False, **close, **where)
for ax, line in ((field, field.axhline), (weight, weight.axvline)):
    line(0 if ax is field else first, color="0.6", lw=0.8)
show(
    figure,
    alt="Three plots over the depth along one ray. The signed distance falls from 75 mm through zero near 777 mm, "
    "to -65 mm in the middle of the head, and rises again. The density is a box between front and back, "
    "higher and steeper for smaller beta. The weight is a peak at the front surface, narrow for the smallest beta, tens "
    "of mm wide for the largest.",
)

# %% [markdown]
# The density is a box: the whole inside of the head is dense. The weight is a peak at its *front*. Nothing of the back
# is seen, though it is just as dense. And $\beta$ decides how wide the peak is. A wide one is good for learning, since
# many samples feel what the pixel wants; a narrow one is good for measuring.
#
# ## 4. Depth, and when it lies
#
# If a weight is how much of the light comes from $t_i$, we can ask for the **expected depth** $\bar t$, and, as with
# any mean, for its **spread** $s$, the standard deviation:
#
# $$\bar t = \frac{\sum_i w_i \, t_i}{\sum_i w_i}, \qquad
# s^2 = \frac{\sum_i w_i \, (t_i - \bar t)^2}{\sum_i w_i} .$$
#
# Expected depth is how depth maps are made from radiance fields all over the literature.
#
# ### Exercise 0104 (solid, 10 min): depth, and how much to trust it
#
# Give both, by weight. Weights need not sum to 1: some light may leave. And where *all* of it leaves, nobody wants a
# NaN; divide by at least $10^{-6}$.


# %% tags=["exercise"]
def depth_and_spread(weights, t):
    """Expected depth (R,) and its standard deviation (R,) of weights and t (R, N)."""
    ### BEGIN SOLUTION
    mass = weights.sum(dim=1).clamp_min(1e-6)
    depth = (weights * t).sum(dim=1) / mass
    variance = (weights * (t - depth[:, None]) ** 2).sum(dim=1) / mass
    return depth, variance.sqrt()
    ### END SOLUTION


# %%
checks.ex0104(depth_and_spread)

# %% tags=["tolerance-2"]
sharp = float(head.model.beta())
t = even_samples(nose.near, nose.far, 1, 1000)
depth, spread = (head.radius * float(x) for x in depth_and_spread(head_weights(nose, t, sharp), t))
theirs = float(head.render(scene.cameras, 7).depth[35, 31])
print(f"nose: depth {depth:.0f} mm, spread {spread:.1f} mm; the package's depth {theirs:.0f} mm")
t = even_samples(0.0, 2.0, 1, 1000)
density, _ = veil_and_wall(t)
depth, spread = depth_and_spread(weights_of(density, torch.full_like(t, 0.002)), t)
print(f"veil at 0.60, wall at 1.40: depth {float(depth):.2f}, spread {float(spread):.2f};", end=" ")
print(f"density there {float(veil_and_wall(depth[None])[0]):.4f}")

# %% [markdown]
# The first line is the ray through the nose, with the $\beta$ that training ended with. The package's depth is that of
# its rendering; it does not take a thousand samples for it, but eight. How few will do is section 5's question. The
# second line is the ray of section 2, and there the depth is wrong.
#
# At the veil and the wall there is *nothing* at the expected depth. Half of the light comes from the veil, half from
# the wall, and the mean of the two is a place in clear air. The mean of two truths need not be true.
#
# Where would that happen on a head? Behind a strand of hair, at the rim of an ear, at any outline where one pixel sees
# a near and a far thing. Whoever fuses such depths into a mesh gets points that float between surfaces. The remedy:
# never report a mean without its spread. Here it is on the head, from three-quarter, at every pixel, for three $\beta$:
# what training starts with, passes, and ends with.

# %% tags=["tolerance-10"]
size = {"ci": 48}.get(get_profile().name, 64)
side = head_rays(8, size)


def picture(rays, values, size, empty=torch.nan):
    """Values of rays (R, ...) at their pixels (size, size, ...)."""
    flat = torch.full((size * size, *values.shape[1:]), empty)
    flat[rays.pixels] = values
    return flat.reshape(size, size, *values.shape[1:])


t = even_samples(side.near, side.far, len(side.near), 256)
spreads, crop = {}, slice(size // 8, -size // 12)
for beta in (0.03, 0.01, sharp):
    weights = head_weights(side, t, beta)
    depth, spread = depth_and_spread(weights, t)
    met = weights.sum(dim=1) > 0.5
    f = distances_at(side, depth[:, None])[:, 0]
    clear = (f > 0) & (torch.exp(-f / beta) / 2 < 0.01)  # density under 1 % of the largest
    name = f"beta = {beta * head.radius:.1f} mm"
    spreads[name] = picture(side, (head.radius * spread).where(met, torch.nan), size)[crop, crop]
    half = head.radius * float(spread[met].median())
    print(f"{name}: half of the pixels have a spread over {half:.1f} mm;", end=" ")
    print(f"depth in clear air at {float(clear[met].float().mean()):.1%}")
show(
    images(
        [list(spreads.values())],
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
# Be fair to heads: a head is mostly *one* surface, and pixels whose depth points into clear air are rare on it. What is
# common is *uncertainty*, and the maps show where it sits. Where a ray grazes the surface, it runs for a long time
# inside the soft wall; and along the jaw it meets two surfaces, chin and neck. As $\beta$ shrinks, hardly more than
# that is left.
#
# ## 5. What few samples do
#
# So far we have asked as often as we liked. Each question is a pass through a network. A picture of 64 x 64 pixels with
# a thousand samples a ray is four million passes. How few will do?
#
# Take the sharp $\beta$ and twelve samples a ray, even and jittered. To see shape, the depth is lit like a statue.

# %%
fine = head_rays(8, 80)


def depths(rays, t, beta):
    """Opacity (R,) and expected depth (R,), mm, of samples t (R, N)."""
    weights = head_weights(rays, t, beta)
    return weights.sum(dim=1), head.radius * depth_and_spread(weights, t)[0]


random = torch.Generator().manual_seed(0)
shape = fine.near, fine.far, len(fine.near)
opacity, truth = depths(fine, even_samples(*shape, 512), sharp)
truth = truth.where(opacity > 0.99, torch.nan)
many = [depths(fine, even_samples(*shape, 12, random), sharp)[1] - truth for _ in range(16)]
off = {
    "12 even": depths(fine, even_samples(*shape, 12), sharp)[1] - truth,
    "12 jittered": many[0],
    "mean of 16 jittered": torch.stack(many).mean(dim=0),
}
crop = slice(13, 73)
figure, (lit, wrong) = grid(2, 4, width=11, height=6)
for ax, (name, error) in zip(lit, {**off, "512 even": 0 * truth}.items(), strict=True):
    down, across = torch.gradient(picture(fine, truth + error, 80)[crop, crop])
    image(ax, 0.62 - 0.055 * (down + across), name)  # light from the upper left
for ax, error in zip(wrong, off.values(), strict=False):
    image(ax, picture(fine, error, 80)[crop, crop], cmap="cividis", vmin=0, vmax=30)
wrong[3].set_axis_off()
figure.colorbar(wrong[0].images[0], ax=wrong[3], location="left", label="too deep by [mm]")
show(
    figure,
    alt="Top: depth maps lit like statues. With 12 even samples the head is a few flat terraces with sharp steps; "
    "with 12 jittered ones it is covered in grain; the mean of 16 jittered pictures shows nose, jaw and neck under "
    "finer grain; with 512 even ones it is smooth. Bottom: the errors. Even: bands of 0 to 30 mm that follow the "
    "terraces. Jittered: grain of the same size. The mean: an even middle tone near 14 mm, brighter under the jaw.",
)

# %% tags=["tolerance-10"]
for name, error in off.items():
    deep = float((error > 0).sum() / (~error.isnan()).sum())
    mean = float(error.nanmean())
    errors = picture(fine, error, 80)
    pairs = torch.stack([errors[:, :-1].flatten(), errors[:, 1:].flatten()])
    alike = torch.corrcoef(pairs[:, ~pairs.isnan().any(dim=0)])[0, 1]
    print(f"{name:<20} too deep at {deep:.0%} of the pixels, {mean:.0f} mm in the mean;", end=" ")
    print(f"correlation of neighbours {round(float(alike), 1) + 0.0:.1f}")

# %% [markdown]
# With even samples, neighbouring rays ask at almost the same depths, so they are wrong *together*: terraces, also
# called **banding**. With jitter each ray is wrong *on its own*: **noise**. Noise looks worse in a single picture. But
# a training step sees a thousand rays drawn anew, and next time the same pixel asks elsewhere. Noise averages out over
# steps; a terrace stays, and a network that is only ever asked at the same depths can learn the terrace. That is what
# jitter is for. It is *not* for accuracy, as the printed lines tell.
#
# The last of them is a surprise if you have learnt that averages heal everything. Averaging sixteen jittered pictures
# took most of the grain away, and left the whole head **too deep**, by over a centimetre. Why?
#
# Think of a bus stop. A hard wall stands somewhere on the ray; the first sample *behind* it gets all the weight, and
# the depth that we report is that sample's. How far is it from the wall to the next sample? It is how long you wait for
# the next bus. If buses come every ten minutes, you wait five on average. If each comes at a random moment of its own
# ten minutes, you wait longer, since you are more likely to arrive in a long gap than in a short one. If they come
# altogether at random, you wait ten. Let us stand at forty thousand bus stops:

# %% tags=["tolerance-2"]
dice, n = torch.Generator().manual_seed(1), 256
wall = 0.1 + 0.8 * torch.rand(40000, 1, generator=dice)
timetables = {
    "even": even_samples(0.0, 1.0, 40000, n),
    "jittered": even_samples(0.0, 1.0, 40000, n, dice),
    "random": torch.rand(40000, n, generator=dice).sort(dim=1).values,
}
for name, t in timetables.items():
    following = t.gather(1, torch.searchsorted(t, wall))
    print(f"{name:<8} waits {n * float((following - wall).mean()):.3f} of a step")

# %% [markdown]
# One half, seven twelfths (0.583), one. (Do the middle one with pencil and paper: a gap of length $g$ is met with a
# probability proportional to $g$, so the mean wait is $E[g^2] / 2 E[g]$, and jittered gaps have a variance of a sixth
# of a step squared.) So at a wall even samples are *more* accurate on average than jittered ones, and all of them err
# to one side. On the head the errors are a little smaller than that, since the soft front of a wall is noticed before
# the wall is reached; but the order is the same.
#
# ### Asking where it matters
#
# Most of those questions were wasted: in front of the head there is nothing, and behind its surface nobody looks. So
# ask twice. First a few even samples; they give weights. Then put the rest where the weights are. That is
# **importance sampling**, NeRF's two passes (Mildenhall et al. 2020).
#
# To draw samples from weights one uses the **inverse CDF**: pile the weights up to a running sum, which begins with 0
# and ends with 1; it is steep where weight is, and flat where none is. Choose evenly spaced heights $u$, and read the
# curve *backwards*. For a single ray NumPy does it, by `np.interp` with the axes exchanged:

# %%
edges = np.linspace(0, 2, 21)
middles = (edges[1:] + edges[:-1]) / 2
mass = np.exp(-50 * (middles - 0.6) ** 2) + 2 * np.exp(-140 * (middles - 1.4) ** 2)
running = np.concatenate([[0], np.cumsum(mass)]) / mass.sum()
heights = (np.arange(16) + 0.5) / 16
drawn = np.interp(heights, running, edges)
figure, ((bars, total),) = grid(1, 2, height=3.1)
bars.stairs(mass, edges, fill=True, color="0.8")
bars.plot(drawn, 0 * drawn + 0.06, "|", color=VERMILLION, ms=14, mew=1.5)
for height, place in zip(heights, drawn, strict=True):
    total.plot([0, place, place], [height, height, 0], color=VERMILLION, lw=0.8, ls="--")
curves(total, edges, {"": running}, title="their running sum: read it backwards", ylabel="u")
bars.set_title("masses of the bins, and the new samples", fontsize=10)
bars.set_ylabel("mass")
for ax in (bars, total):
    ax.set(xlabel="depth t", xlim=(0, 2), ylim=(0, None))
show(
    figure,
    alt="Left, a histogram of masses with a low bump at 0.6 and a high one at 1.4; sixteen ticks at its foot crowd "
    "where the bars are high. Right, its running sum from 0 to 1, with two steep parts; dashed lines go from "
    "evenly spaced heights to the curve and down to the depths.",
)

# %% [markdown]
# One question is left, and it decides everything: *which bin does the weight of sample $i$ belong to?* Equation 1 seems
# to answer it: $w_i$ is the weight of the section from $t_i$ to $t_{i+1}$. NeRF answers otherwise. Its bins are bounded
# by the **midpoints** $m_i = \tfrac12 (t_i + t_{i+1})$, so that sample $i$ stands *inside* its bin $[m_{i-1}, m_i]$.
# The first and the last sample have no midpoint on one side: their weights are left out, and the **inner weights**
# $w_2 \dots w_{N-1}$ fill the $N - 2$ bins.
#
# ### Exercise 0105 (solid, 25 min): the second pass
#
# Give `count` new samples by NeRF's binning, for R rays at once: bins between midpoints, masses the inner weights plus
# $10^{-5}$ each, so that a ray which met nothing is sampled evenly; heights $u$ by your own `even_samples` on $[0, 1]$
# with the generator; the masses need not sum to 1, so scale the heights by their sum; then, for each height, find its
# bin and go into it by the share that is left. No loop over rays: `torch.searchsorted(sums, heights, right=True)` tells
# how many of the rising `sums` (R, K) of a ray are at most each of its `heights` (R, n), and `x.gather(1, index)` picks
# x at such an index. (The check lends you a right `even_samples`, so it judges this function alone.)


# %% tags=["exercise"]
def fine_samples(t, weights, count, generator=None):
    """New depths (R, count), rising, drawn by the weights (R, N) of samples t (R, N)."""
    ### BEGIN SOLUTION
    edges, mass = (t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1] + 1e-5
    total = torch.nn.functional.pad(torch.cumsum(mass, dim=1), (1, 0))
    height = even_samples(0.0, 1.0, len(t), count, generator) * total[:, -1:]
    after = torch.searchsorted(total, height, right=True).clamp(1, mass.shape[1])
    low, high = total.gather(1, after - 1), total.gather(1, after)
    start, end = edges.gather(1, after - 1), edges.gather(1, after)
    return start + (height - low) / (high - low) * (end - start)
    ### END SOLUTION


# %%
checks.ex0105(fine_samples)


# %% tags=["tolerance-10"]
def behind_samples(t, weights, far, count):
    """As fine_samples, but with bins from t_i to t_i+1: the other answer."""
    heights = even_samples(0.0, 1.0, len(t), count).double()
    return inverse_cdf(torch.cat([t, far], dim=1), weights, heights)


def two_answers(rays):
    """16 even samples of rays, and 16 new ones by each binning."""
    t = even_samples(rays.near, rays.far, len(rays.near), 16)
    weights = head_weights(rays, t, sharp)
    return {
        "by weight, NeRF's bins": fine_samples(t, weights, 16),
        "by weight, bins behind": behind_samples(t, weights, rays.far, 16),
        "the first, even ones": t,
    }


t = even_samples(side.near, side.far, len(side.near), 1000)
surface = torch.where(distances_at(side, t) < 0, t, 9).amin(dim=1, keepdim=True)  # 9: no surface
for name, places in list(two_answers(side).items())[:2]:
    before = float((places < surface).any(dim=1)[surface[:, 0] < 9].float().mean())
    print(f"{name}: on {before:.0%} of the head's rays a new sample lies before the surface")
figure, ((ax,),) = grid(1, 1, width=10, height=2.4)
placed, colours = two_answers(nose), (BLUE, VERMILLION, "0.4")
for row, (places, colour) in enumerate(zip(placed.values(), colours, strict=True)):
    ax.plot(head.radius * places[0], 0 * places[0] + row, "|", color=colour, ms=18, mew=1.4)
ax.axvline(first, color="black", lw=1, ls="--")
ax.text(first + 0.6, 2.6, "surface", fontsize=8, va="center")
ax.set(yticks=range(3), yticklabels=list(placed), ylim=(-0.6, 3), xlabel="depth t [mm]")
ax.set_xlim(first - 50, first + 50)
show(
    figure,
    alt="Three rows of ticks over 100 mm of depth around the surface, a dashed line. The even samples are 23 mm apart. "
    "By weight with bins behind the samples, all new ticks stand behind the first even sample that is inside the head. "
    "By NeRF's bins they stand on both sides of that sample, and five of them before the surface.",
)

# %% [markdown]
# Both answers side by side, on the ray through the nose: 16 even samples, and 16 new ones by either binning. The other
# binning reads the same curve, by the package's `inverse_cdf`, with bins that reach from each sample to the next.
#
# A wall is noticed by the first sample *inside* it, so the wall stands *before* that sample. Bins that begin at the
# sample ask only deeper in the head, where nothing is seen. Bins around it look back by half a gap, too, and on two
# rays of three that is enough to get a sample in front of the wall.
#
# What is it worth? Measure it on the head: mean error of the depth over the number of samples, for every way to place
# them. Both ways "by weight" spend half of their samples evenly and the other half by the first half's weights. The
# star is the package's own sampler, with eight samples.

# %%
counts, small = (8, 16, 32, 64, 128), {"ci": 40}.get(get_profile().name, 64)
some = head_rays(8, small)
WAYS = ("even", "jittered", "by weight, NeRF's bins", "by weight, bins behind")


def place(rays, count, way, beta):
    """Depths (R, count), rising, of count samples on each ray, placed in one of WAYS."""
    shape = rays.near, rays.far, len(rays.near)
    if way in ("even", "jittered"):
        return even_samples(*shape, count, random if way == "jittered" else None)
    t = even_samples(*shape, count // 2)
    weights = head_weights(rays, t, beta)
    if way == "by weight, NeRF's bins":
        more = fine_samples(t, weights, count // 2)
    else:
        more = behind_samples(t, weights, rays.far, count // 2)
    return torch.cat([t, more], dim=1).sort(dim=1).values


errors = {}
for beta in (sharp, 0.02):
    opacity, truth = depths(some, place(some, 1024, "even", beta), beta)
    truth = truth.where(opacity > 0.99, torch.nan)
    errors[beta] = {
        way: [
            float((depths(some, place(some, n, way, beta), beta)[1] - truth).abs().nanmean())
            for n in counts
        ]
        for way in WAYS
    }

# %% tags=["tolerance-10"]
opacity, truth = depths(some, place(some, 1024, "even", sharp), sharp)
eight = replace(head.settings.render, coverage="volume", supersampling=1, samples=8)
volume = replace(head.settings, render=eight)
theirs = replace(head, settings=volume).render(scene.cameras.resized(small, small), 8)
theirs = theirs.depth.flatten()[some.pixels]
star = float((theirs - truth)[opacity > 0.99].abs().mean())
for beta, table in errors.items():
    print(f"mean error [mm], beta {beta * head.radius:.1f} mm, samples:", *counts)
    for way, row in table.items():
        print(f"  {way:<24}", "  ".join(f"{x:5.2f}" if x < 1 else f"{x:5.1f}" for x in row))
print(f"near the surface, 8 samples: {star:.2f} mm")
figure, axes = grid(1, 2, height=3.9)
ticks = [0.01, 0.1, 1, 10]
for ax, beta in zip(axes[0], errors, strict=True):
    title = f"beta = {beta * head.radius:.1f} mm"
    scale = {"xscale": "log", "yscale": "log", "ylim": (0.02, 80), "xlabel": "samples on a ray"}
    curves(ax, counts, errors[beta], marks=True, legend=beta != sharp, title=title, **scale)
    ax.minorticks_off()
    ax.set(xticks=counts, xticklabels=counts, yticks=ticks[1:], yticklabels=ticks[1:])
axes[0][0].set_ylabel("mean error of the depth [mm]")
axes[0][0].plot(8, star, "*", color="black", ms=13)
axes[0][0].text(9, star, "near the surface", fontsize=8, va="center")
show(
    figure,
    alt="Two plots of the mean error of the depth in mm over 8 to 128 samples, both logarithmic. For a beta of 0.3 mm "
    "samples by weight with NeRF's bins are best at every count, even ones second, bins behind the samples worst; a star "
    "at 8 samples lies at 0.2 mm. For a beta of 3.7 mm even samples are best from 64 on.",
)

# %% [markdown]
# **At a sharp wall importance sampling wins**, at every count, and most where samples are many: its error is over
# one and a half times smaller than that of even samples at 8 and at 16, and over four times smaller at 128.
#
# **With bins behind the samples it loses**, at every count and at both walls, though nothing differs but where a bin
# begins. If you ever find that importance sampling makes things worse, look at your bins before you blame the idea.
#
# **A soft wall does not need any of this.** On the right, where the wall is wider than a step, even samples win from 64
# on. Their errors cancel along a smooth curve, as with the trapezoid rule; crowded samples with sudden gaps do not
# cancel. And even samples beat jittered ones at both walls, as the bus stops told.
#
# The star, with eight samples, is where the best curve arrives with about a hundred. The package's training sampler
# marches through a coarse copy of the field, finds where the sign changes, and puts a few samples around that place
# ([lesson 05](05_two_stage_reconstruction.ipynb)). VolSDF's own sampler (`error_bounded_samples`) adds samples until it
# can *prove* a bound on the opacity's error, or gives up. Both know more than weights: they know that $f$ is a
# *distance*.
#
# ## 6. Play
#
# One ray, two clouds of density, all that we have talked about. Move a slider with the mouse, or with Tab and the arrow
# keys. Take the first cloud's height to nothing, bring it back step by step, and watch the depth walk off the wall into
# clear air. Make the second cloud narrow, and take samples away until it is missed. Then place them "by weight", and
# see what that finds.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Four settings for readers without a running kernel, from top to bottom: a veil before a wall; the wall alone; a veil
# before a very narrow wall with twelve even samples; the same with twelve by weight.

# %%
for setting in panel.TWIN:
    clouds = {name: value for name, value in setting.items() if name not in ("samples", "placed")}
    t = panel.place(setting["samples"], setting["placed"], clouds)
    seen, exact = panel.look(t, clouds), panel.look(panel.place(4000, "even", clouds), clouds)
    veil = "veil and wall" if setting["first_height"] else "wall alone"
    print(f"{veil}, width {setting['second_width']}, {setting['samples']}", end=" ")
    print(f"{setting['placed']}: depth {seen.depth:.2f} (exact {exact.depth:.2f}),", end=" ")
    print(f"opacity {seen.opacity:.2f} ({exact.opacity:.2f})")
widgets.twin(panel.picture, panel.TWIN)

# %% [markdown]
# Look at the last one. Twelve samples by weight *miss the wall altogether*: six go into the first pass, and none of the
# six touches it. So the second pass, full of confidence, asks six more times about the veil. Twelve even samples had
# better luck. Importance sampling finds more of what it has found. It can't find what nobody has seen.
#
# ## 7. A renderer of your own
#
# Rays side by side make a picture. You have written every piece that a renderer needs; now put them together. What is
# still missing is a field to ask, and the light that no sample stopped. Its share is $T_{\text{end}} = 1 - \sum_i w_i$,
# and it comes from whatever is behind:
#
# $$c = \sum_i w_i \, c_i + \Bigl( 1 - \sum_i w_i \Bigr) \, c_{\text{background}}$$
#
# ### Exercise 0106 (hard, 30 min): the renderer
#
# `field.density(points)` gives the density (M,) at points (M, 3); `field.colour(points, directions)` the colour (M, 3)
# there, seen along directions (M, 3). `counts` is how many samples go into the first pass and how many into the second.
#
# 1. First pass: even samples, their densities, and weights, with lengths to the next sample, or to `far` for the last.
# 2. Second pass: samples by these weights. Put both passes together, in order.
# 3. Ask density and colour at *all* of them, weigh again, composite, and let the background shine through.
#
# Return the colour (R, 3), the opacity (R,), which is the sum of the weights, and the expected depth (R,). Use your
# pieces; the check lends you right ones under the same names.


# %% tags=["exercise"]
def render_rays(field, origins, directions, near, far, counts, background):
    """Colour (R, 3), opacity (R,) and depth (R,) of R rays in two passes; near and far are (R, 1)."""
    ### BEGIN SOLUTION

    def along(t):
        return (origins[:, None] + t[..., None] * directions[:, None]).reshape(-1, 3)

    def weigh(t):
        density = field.density(along(t)).reshape(t.shape)
        return weights_of(density, torch.diff(t, append=far))

    t = even_samples(near, far, len(origins), counts[0])
    t = torch.cat([t, fine_samples(t, weigh(t), counts[1])], dim=1).sort(dim=1).values
    weights = weigh(t)
    views = directions[:, None].expand(*t.shape, 3).reshape(-1, 3)
    colours = field.colour(along(t), views).reshape(*t.shape, 3)
    opacity = weights.sum(dim=1)
    colour = composite(weights, colours) + (1 - opacity)[:, None] * background
    return colour, opacity, depth_and_spread(weights, t)[0]
    ### END SOLUTION


# %%
checks.ex0106(render_rays)

# %% [markdown]
# Two things are taken from the package now, the head's density and its colours: a trained field and a trained colour
# network, which [lesson 05](05_two_stage_reconstruction.ipynb) makes. The colour network wants to know the surface's
# direction at a point, the gradient of $f$. All else in the picture is yours. Beside it stands the package's most
# careful rendering: VolSDF's sampler, which spends up to some hundred questions on a ray.


# %%
class HeadField:
    """The reconstructed head, as your renderer asks it, with a beta of our choice."""

    def __init__(self, beta):
        self.beta = beta

    def density(self, points):
        return laplace_density(head.model.sdf(points), self.beta)

    def colour(self, points, directions):
        _, features, gradient = head.model.field.with_gradient(points)
        normals = torch.nn.functional.normalize(gradient, dim=1)
        return head.model.colour(points, normals, directions, features)


@torch.no_grad()
def my_render(view, size, counts, beta=sharp):
    """A view by your renderer: colour (size, size, 3) on white, opacity and depth [mm]."""
    rays, white = head_rays(view, size), torch.ones(3)
    parts = []
    for some in torch.arange(len(rays.near)).split(512):
        o, d, near, far = (x[some] for x in rays[:4])
        parts.append(render_rays(HeadField(beta), o, d, near, far, counts, white))
    colour, opacity, depth = (torch.cat(x) for x in zip(*parts, strict=True))
    shown = zip((colour, opacity, head.radius * depth), (1.0, 0.0, torch.nan), strict=True)
    return [picture(rays, values, size, empty) for values, empty in shown]


@torch.no_grad()
def package_render(view, size, **settings):
    """The same by the package, with other settings of its renderer."""
    chosen = replace(head.settings.render, coverage="volume", supersampling=1, **settings)
    model = replace(head, settings=replace(head.settings, render=chosen))
    return model.render(scene.cameras.resized(size, size), view)


size = 64
colour, opacity, depth = my_render(8, size, (32, 32))
theirs = package_render(8, size, sampler="error-bounded", normals="exact")

# %% tags=["tolerance-10"]
met = (opacity > 0.9) & (theirs.opacity > 0.9)
figure, ((mine, other, levels, deep),) = grid(1, 4, width=11.5, height=4)
image(mine, colour, "yours, 32 + 32 samples")
image(other, theirs.colour, "the package's")
apart = 255 * (colour - theirs.colour).abs().mean(dim=2)
image(levels, apart, "colours apart, of 255", cmap="cividis", vmin=0, vmax=10)
off = (depth - theirs.depth).abs().where(met, torch.nan)
image(deep, off, "depths apart [mm]", cmap="cividis", vmin=0, vmax=5)
for ax in (levels, deep):
    figure.colorbar(ax.images[0], ax=ax, location="bottom", shrink=0.8)
print("samples     colours apart   opacities apart   depths apart")
for counts in ((8, 8), (16, 16), (32, 32), (64, 64)):
    colour, opacity, depth = my_render(8, size, counts)
    met = (opacity > 0.9) & (theirs.opacity > 0.9)
    levels = 255 * float((colour - theirs.colour).abs()[met].mean())
    covered = float((opacity - theirs.opacity).abs().mean())
    mm = float((depth - theirs.depth).abs()[met].mean())
    print(f"{counts[0]:>3} + {counts[1]:<3} {levels:>8.1f} of 255 {covered:>15.4f} {mm:>14.2f} mm")
show(
    figure,
    alt="Your rendering of the head from three-quarter, reddish skin and grey hair before white, and the package's, "
    "alike to the eye. Two maps of their difference: over most of the head colours are within 2 of 255 and depths within "
    "half a millimetre; in bands across face and hair depths are some millimetres apart.",
)

# %% [markdown]
# That is a head, drawn by code that you wrote from the first line to the last. With 64 + 64 samples it differs from the
# package's careful rendering by less than half a level of 255, and by about a tenth of a millimetre.
#
# With 32 + 32 the map of depths shows bands, on about a quarter of the head. You know what they are: there the wall
# stands in the front half of a gap between two first samples, and NeRF's bin, which looks back by half a gap, begins
# behind it. More first samples make the gaps smaller.
#
# What stands between this and *learning* the head from photos is a loss, a gradient, and an optimiser. Your renderer
# stays as it is, since torch differentiates it. (Where the samples stand is taken as given in a training step: NeRF
# calls `detach` on them.)
#
# ## 8. Before another background, and at the outline
#
# A rendering can be put before any background, if its opacity is known. Take the white out of yours, and put something
# else in:

# %%
colour, opacity, depth = my_render(8, 128, (24, 24))
lets_through = (1 - opacity)[..., None]
alone = colour - lets_through
squares = torch.arange(128) // 16
board = 0.45 + 0.4 * ((squares[:, None] + squares) % 2)
before = {
    "the photo, 64 pixels": scene.images[8],
    "yours, before white": colour,
    "before black": alone,
    "before a chessboard": alone + lets_through * board[..., None],
}
show(
    images([list(before.values())], list(before)),
    alt="Four pictures: the photo with dark brown skin and grey hair in large pixels before white, and the rendered "
    "head before white, before black and before a chessboard of greys, without a seam at its outline.",
)

# %% [markdown]
# The skin is greener than in the photo, the hair lilac. That is no fault of equation 1: this field was trained from a release, which
# holds hardly a colour of the face (the neutral views show a neck, an ear and some cheek), so the colour network made
# the rest up. The shape is what it was trained for.
#
# This also tells what a *known* background is worth in training. Before white, a white collar and an empty place give
# the same pixel, and a field is free to leave a hole. A **mask**, which says how much of each pixel the head covers,
# can be compared with the opacity and settles it.
#
# ### Coverage: a pixel is not a point
#
# Remember the pixel under ray 1, which was hair and a little white. Here is a part of the outline in large pixels: how
# much of each pixel the head covers in the photo (its mask), and two opacities. "Volume" is yours, the sum of the
# weights on a line through the pixel's centre. "Footprint" is the package's usual choice: it asks by how much the ray
# misses the surface, and compares that with the pixel's width, as an area would.

# %% tags=["tolerance-10"]
mask, footprint = scene.masks[8], head.render(scene.cameras, 8).opacity
_, volume, _ = my_render(8, 64, (32, 32))
edge = (mask > 0.02) & (mask < 0.98)  # pixels that the outline crosses
covered = {"the photo's mask": mask, "footprint": footprint, "volume: yours": volume}
for name in ("footprint", "volume: yours"):
    off = float((covered[name] - mask)[edge].abs().mean())
    print(f"{name}: off by {off:.2f} in the mean, at {int(edge.sum())} pixels of the outline")
show(
    images([[o[4:36, 10:42] for o in covered.values()]], list(covered)),
    alt="Three times the crown and forehead as a white shape on black in large pixels. In the photo's mask and with "
    "footprints the outline has grey pixels; by volume it is a hard staircase of black and white.",
)

# %% [markdown]
# With the sharp wall that training ends with, equation 1 answers yes or no, and a photo's outline is grey. If we
# trained on that difference, the field would have to soften its wall to make the outline grey, which is the opposite of
# what $\beta$ is shrinking for. So the package lets equation 1 say what colour the surface has, and the footprint how
# much of the pixel it fills. At 64 x 64 pixels it matters; at a megapixel nobody would notice.
#
# ## Now you, without a check
#
# 1. *First steps.* The **median depth** is where half of the ray's weight has been spent. Write it, and compare it with
#    the mean on veil and wall, for veils of rising height. At which opacity of the veil does it jump?
# 2. *Solid.* Your renderer asks for the colour at every sample, and most weigh nothing. Ask only where a sample weighs
#    more than 0.004. How much faster is it, and by how many levels of 255 does the picture change?
# 3. *Hard.* Nearly all errors of section 5 had one sign. Keep the weights of even samples, but let each sample report
#    the depth half a step before it. What is left of the bias at the sharp wall, and what becomes of the soft one? Why
#    can't one shift be right for both?
# 4. *Hard.* $f$ is a distance: a *step of length $f$ can't hit anything*. March each ray in such steps, put a few
#    samples around where it ends, and see how few questions your renderer needs for the depth error of (64, 64).
#
# ## What to remember
#
# - A pixel is a direction; K and c2w turn it into a ray, and half a pixel matters.
# - $w_i = T_i \alpha_i$ is exact where density and colour are constant on each section: not what is there, but what is
#   seen. Weights and what leaves sum to 1.
# - Expected depth is a mean. Ask for its spread before you believe it.
# - Even samples band, jittered ones are noisy; both put a sharp wall too deep, jittered ones a little more so.
# - Importance sampling wins at sharp walls, if each sample stands inside its bin (midpoints, inner weights). With bins
#   behind the samples it loses. At soft walls many even samples are better.
# - It finds more of what was found. It can't find what the first pass missed.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a pixel's ray is the package's | exercise 0101, `tests/test_camera.py` |
# | your equation 1 is the package's | exercise 0103, section 7, `tests/test_compositing.py` |
# | weights and what leaves sum to 1 | section 2 |
# | a depth can point into clear air, and on a head it rarely does | section 4, measured |
# | even samples err together, jittered ones on their own, both too deep | section 5, `tests/test_lesson_01.py` |
# | waits of 1/2, 7/12 and 1 step | the bus stops of section 5 |
# | NeRF's bins win at a sharp wall, bins behind the samples lose; even wins at a soft one from 64 on | section 5, `tests/test_lesson_01.py` |
# | importance sampling can miss what its first pass missed | section 6, `tests/test_lesson_01.py` |
# | your renderer's picture is the package's | section 7, `tests/test_lesson_01.py` |
# | the footprint is nearer to the photo's outline | section 8, measured |
#
# **Read on**: [02, signed distances and the eikonal equation](02_sdf_and_eikonal.ipynb), for where the density comes
# from; [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb), where your renderer learns; [11, from an
# equation to a loop to a kernel](11_gpu_kernels.ipynb), for how equation 1 is made fast. Max, *Optical models for
# direct volume rendering* (1995), for equation 1 long before neural networks; NeRF (Mildenhall et al. 2020), for the
# two-pass sampler; Mip-NeRF (Barron et al. 2021), for pixels that are no points; VolSDF (Yariv et al. 2021), for a
# sampler with an error bound.

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
# # 3. Protecting operators
#
# **You will be able to** write the gradient modulus yourself, make a release by hand and prove which bytes are in it,
# find what a careless release gives away, know what four settings of an operator keep and destroy, and read a
# detection rate without believing more of it than it says.
#
# **You should know** what a picture is to a computer, arrays and their slices, and what a derivative is. [Lesson
# 0](00_start_here.ipynb) shows the whole way in 45 minutes; this lesson takes its first step apart.
#
# **Time**: 95 minutes of reading and writing, the last exercise not counted; computing takes under a minute on a
# CPU. No GPU is needed, and nothing is downloaded.
#
# **Equations of the paper**: 6 (the gradient modulus, and the protecting operator $\sigma$ before it).

# %%
import json
import re
import shutil
import tempfile
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from privhead_nb import Operator, Release, Scene, load_scene, protect, reconstruct
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson03 import detector, figures, leaks, panel
from privhead_nb.viz import style

# %% [markdown]
# ## 1. The boundary, in code
#
# A *boundary* is a line in a program, such that you can point at what crosses it. Here it is one function. On one
# side is a `Scene`, which is all that the owner has: thirty colour pictures, masks, cameras, perhaps a true mesh and
# landmarks. On the other is a `Release`. Between them stands `protect`. In this lesson you write it yourself.
#
# The fields of a scene that a release lacks are the best kind of protection: not a rule that somebody has to
# remember, but a *type* that has no place to put the secret into. Training asks for that type. Give it the scene, and
# it does not even start. (`masks="none"` leaves out the masks of neutral views, which lesson 0 released, too.)

# %%
scene = load_scene(SAMPLES / "scene")
release = protect(scene, Operator("sobel"), size=64, masks="none")
print("Scene.images           ", tuple(scene.images.shape), " views, height, width, colours")
print("Release.neutral_images ", tuple(release.neutral_images.shape), " colours of neutral views")
print("Release.moduli         ", tuple(release.moduli.shape), "    sensitive: one number a pixel")
no_place = {f.name for f in fields(Scene)} - {f.name for f in fields(Release)}
print("a release has no place for:", ", ".join(sorted(no_place)))
print("reconstruct(scene):", leaks.complaint(lambda: reconstruct(scene, "ci")))

# %% [markdown]
# ## 2. Equation 6 with a pencil
#
# What is the one number that is left of a pixel? Take a grey picture first. At each pixel we ask: how fast does it
# change to the right, and how fast downwards? Differences of neighbours would do, but they are noisy. Sobel's answer is
# to average three rows before taking a difference of columns that are two pixels apart:
#
# $$k_x = \frac18 \begin{pmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{pmatrix}, \qquad
# k_y = k_x^{\mathsf T}, \qquad
# \lVert g \rVert = \left\lVert \frac{\partial c}{\partial x} \right\rVert_2 +
# \left\lVert \frac{\partial c}{\partial y} \right\rVert_2 \qquad \text{(equation 6)}$$
#
# The $\frac18$ is the kernel's *gain*: a ramp that rises by 1 a pixel must have the slope 1, not 8. (OpenCV and many
# books leave it out.) Lay the kernel on every 3 x 3 window, multiply and add: that is a *correlation*. In a colour
# picture $c$ has three channels, and $\lVert \cdot \rVert_2$ is the length over them.
#
# With a pencil: in this window, of a single channel, columns are 0, 0 and 1 in the upper two rows, and 1 throughout in
# the last one. Then $8 g_x = (1 - 0) + 2 (1 - 0) + (1 - 1) = 3$ and $8 g_y = (1 - 0) + 2 (1 - 0) + (1 - 1) = 3$, and
# the modulus is $\frac38 + \frac38 = 0.75$.
#
# ### Exercise 0301 (solid, 20 min): the modulus of a colour picture
#
# Write equation 6 for a picture `(H, W, 3)`, a torch tensor, by Sobel and without padding: `(H - 2, W - 2)` comes out.
# Mind the order: derivative in each channel, *then* lengths over channels, *then* the sum of both lengths. No loop over
# pixels: a slice such as `picture[:-2, 2:]` is the upper right neighbour of all inner pixels at once. It must stay in
# torch, since in [lesson 4](04_gradient_loss.ipynb) you will send gradients through it. All pictures of this lesson
# will be drawn from what you write here.


# %% tags=["exercise"]
def modulus(picture):
    """Equation 6 of a picture (H, W, 3): a tensor (H - 2, W - 2)."""
    ### BEGIN SOLUTION
    across = (picture[:, 2:] - picture[:, :-2]) / 8
    down = (picture[2:] - picture[:-2]) / 8
    gx = across[:-2] + 2 * across[1:-1] + across[2:]
    gy = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return gx.norm(dim=-1) + gy.norm(dim=-1)
    ### END SOLUTION


# %%
checks.ex0301(modulus)

# %% [markdown]
# Now use it. First the pencil's window, then a photo of the face, and the same photo changed in five ways. Beside your
# modulus stands the package's, which is the same arithmetic in a faster order.

# %%
window = torch.tensor([[0.0, 0, 1], [0, 0, 1], [1, 1, 1]])
print(
    f"the pencil's window, in the red channel alone: {modulus(window[..., None] * torch.eye(3)[0]).item():.2f}"
)
face = scene.images[scene.sensitive[7]]
mine, theirs = modulus(face), Operator("sobel").modulus(face, valid=True)
print(
    f"yours and the package's differ by {(mine - theirs).abs().max():.4f} at most; the largest is {mine.max():.2f}"
)
changed = {
    "a constant taken away": face - 0.2,
    "the negative": 1 - face,
    "red and blue swapped": face.flip(-1),
    "half the contrast": 0.5 * face,
    "turned by a quarter": face.rot90(),
}
for name, other in changed.items():
    apart = (modulus(other) - (mine.rot90() if "turned" in name else mine)).abs().max()
    print(f"{name}: the modulus changes by up to {apart:.3f}")

# %%
figure, ((left, middle, right),) = style.grid(1, 3, width=10, height=3.6)
style.image(left, face, "the photo, 64 x 64")
style.image(middle, mine, "its modulus, 62 x 62", cmap="gray_r", vmin=0, vmax=0.8)
figure.colorbar(middle.images[0], ax=middle, shrink=0.8, label="modulus, colour per pixel")
style.image(right, mine.sqrt(), "faint lines made stronger", cmap="gray_r", vmin=0, vmax=0.9)
figure.colorbar(right.images[0], ax=right, shrink=0.8, label="square root of the modulus")
style.show(
    figure,
    alt="A dark-skinned made head with grey hair from the front; its modulus on a scale from 0 to 0.8, in which only the "
    "outline and the hair line are dark and the face is nearly white; and the square root of the modulus, in which eyes, "
    "nose and mouth are drawn in grey.",
)

# %% [markdown]
# *It forgets.* A constant falls out of differences; lengths have no sign. And a length over channels forgets more: turn
# all colours around in RGB space, say swap red and blue, and no length changes. *It keeps contrast*: half of it is half
# of the modulus.
#
# *It is not round.* Equation 6 adds two lengths. For an edge along the diagonal
# $\lvert g_x \rvert = \lvert g_y \rvert = \lvert g \rvert / \sqrt2$, and the sum is $\sqrt2$ times what it was: tilt
# the camera by 45 degrees, and the modulus changes by up to 41 %, though the head is the same. (A quarter turn does no
# harm, as you see above.)
#
# *It has a top.* The positive weights of $k_x$ add up to $\frac12$, so one channel in $[0, 1]$ has $\lvert g_x \rvert
# \le \frac12$; over three channels that is $\frac{\sqrt3}{2}$, and two directions make at most $\sqrt3$, the operator's
# **peak**. It can be computed without any picture, and that makes it useful at once.
#
# ## 3. A release, by hand
#
# Files leak in ways that arrays don't. A photo from a telephone carries the place where it was taken, the time, the
# telephone's serial number, and often a small copy of itself. So a release is never made by *cleaning* files. Its
# pictures are made anew from bare numbers, one a view, and named by number:
#
# ```
# release.json              the settings: size, operator, cameras, which view is what
# neutral/view_0020.png     8-bit RGB: code = 255 * colour
# sensitive/view_0000.png   16-bit grey: code = 65535 * modulus / peak
# ```
#
# Why `peak`, and not the largest modulus of the picture? That would be natural, and it would be a leak, if a small
# one: the strongest edge of a face is a fact about that face, and twenty views, each divided by its own maximum, no
# longer fit together. The scale of a release is the *operator's*.
#
# ### Exercise 0302 (solid, 25 min): write the folder
#
# `neutral` and `moduli` are dicts: number of a view -> NumPy array, `(H, W, 3)` with colours in [0, 1], and `(H, W)`
# with moduli in [0, `peak`]. `settings` goes into `release.json` as it is. Write the files above into `folder`, which
# does not exist yet, and nothing else. Numbers are rounded to the *nearest* code. (`Image.fromarray(codes).save(path)`
# writes `uint8` and `uint16` arrays as what they are.)


# %% tags=["exercise"]
def save_release(folder, neutral, moduli, peak, settings):
    """Write neutral views as colours, sensitive ones as 16-bit moduli, and release.json."""
    ### BEGIN SOLUTION
    for kind, views in {"neutral": neutral, "sensitive": moduli}.items():
        (folder / kind).mkdir(parents=True)
        for view, values in views.items():
            if kind == "neutral":
                codes = np.round(255 * values).astype(np.uint8)
            else:
                codes = np.round(65535 / peak * values).astype(np.uint16)
            Image.fromarray(codes).save(folder / kind / f"view_{view:04d}.png")
    (folder / "release.json").write_text(json.dumps(settings))
    ### END SOLUTION


# %%
checks.ex0302(save_release)

# %% [markdown]
# Now release the sample scene with your two functions. Two things are still open. A modulus without padding is two
# pixels smaller than the picture: we mirror the picture by one pixel at its rims first, which invents no edge. And
# training needs cameras: their matrices go into the settings, all as numbers.


# %%
def mirrored(picture, mode="reflect", **options):
    """A picture (H, W, 3) with one pixel more on each side."""
    return F.pad(picture.movedim(-1, 0), (1, 1, 1, 1), mode, **options).movedim(0, -1)


peak = 3**0.5
neutral = {view: scene.images[view].numpy() for view in scene.neutral}
moduli = {view: modulus(mirrored(scene.images[view])).numpy() for view in scene.sensitive}
cameras = scene.cameras
settings = {"format": "privhead release", "version": 1, "size": 64, "modulus_scale": peak}
settings |= {"operator": Operator("sobel").to_dict(), "masks_released": "none"}
settings |= {"neutral": list(scene.neutral), "sensitive": list(scene.sensitive)}
settings |= {"unit": scene.unit, "up": scene.up, "front": scene.front, "radius": scene.radius}
settings |= {"center": list(scene.center), "background": list(scene.background)}
settings |= {
    "K": cameras.K.tolist(),
    "c2w": cameras.c2w.tolist(),
    "pixel_center": cameras.pixel_center,
}

folder = Path(tempfile.mkdtemp()) / "release"
save_release(folder, neutral, moduli, peak, settings)
for kind in ("neutral", "sensitive"):
    pictures = [Image.open(path) for path in sorted((folder / kind).iterdir())]
    modes = {f"{picture.mode}, {picture.width} x {picture.height}" for picture in pictures}
    print(f"{kind}/: {len(pictures)} pictures, {' and '.join(modes)}")
print("release.json:", ", ".join(sorted(json.loads((folder / "release.json").read_text()))))

# %% [markdown]
# Look at it, as everybody else will: open the files again, and nothing else. The package can read your folder, too. It
# wants one file more, `manifest.json`, with the SHA-256 of every other file.


# %%
def released(path):
    """A picture of a release as numbers: colours, or the modulus."""
    codes = np.asarray(Image.open(path)).astype(np.float64)
    return codes / 255 if path.parent.name == "neutral" else codes / 65535 * peak


leaks.renew_manifest(folder)
theirs = Release.load(folder)
steps = max(
    np.abs(released(folder / f"sensitive/view_{v:04d}.png") - m).max() for v, m in moduli.items()
)
print(f"rounding to 16 bits costs {steps * 65535 / peak:.1f} of a step at most")
print(
    f"the package reads {len(theirs.moduli)} moduli and {len(theirs.neutral_images)} neutral views from your folder"
)
print(
    f"and its own `protect` gives moduli that differ by {(theirs.moduli - release.moduli).abs().max():.4f} at most"
)
rows = [[released(p) for p in sorted((folder / "neutral").iterdir())[::2]]]
rows += [[1 - (released(p) / peak) ** 0.5 for p in sorted((folder / "sensitive").iterdir())[1::4]]]
names = ["neutral views", "square root of\nthe moduli, dark"]
style.show(
    style.images(rows, names=names, width=9.5),
    alt="Ten small pictures that were read back from the folder. Above, five neutral views in colour: the grey hair of a "
    "head from behind; the first and the third show the whole profile, with forehead, nose, lips and chin. Below, five moduli as "
    "dark lines on white: the face from several sides, with its outline and faint eyes, nose and mouth.",
)

# %% [markdown]
# That is a release, and the whole of it: [lesson 5](05_two_stage_reconstruction.ipynb) trains a head from just these
# files. Look at the upper row once more, at the first picture and the third: forehead, nose, lips and chin, in profile
# and in the true colours of skin and hair. Their cameras stand 105 degrees from the front, so they pass for views from
# behind. "Neutral" means that their owner said so, and not that they are harmless.
#
# ### Would you notice?
#
# Releases travel: over a network, onto a server, into a folder where somebody unpacks a few more things. Whoever loads
# a release first checks that what is there is what the manifest lists, nothing missing and nothing more. Here are four
# ways to meddle with yours:


# %%
def flip_a_bit(there):
    data = bytearray((there / "sensitive/view_0003.png").read_bytes())
    data[-20] ^= 1
    (there / "sensitive/view_0003.png").write_bytes(data)


def swap(there, source):
    shutil.copy(there / source, there / "sensitive/view_0005.png")
    leaks.renew_manifest(there)


tamperings = {
    "one bit of a picture": flip_a_bit,
    "a file too many": lambda there: (there / "notes.txt").write_text("this is Alice"),
    "colours for a modulus, and a manifest that fits": lambda f: swap(f, "neutral/view_0020.png"),
    "another view's modulus, and a manifest that fits": lambda f: swap(
        f, "sensitive/view_0006.png"
    ),
}
for what, change in tamperings.items():
    there = Path(shutil.copytree(folder, Path(tempfile.mkdtemp()) / "release"))
    change(there)
    print(f"{what}:\n    {leaks.complaint(lambda there=there: Release.load(there))}")

# %% [markdown]
# Read the last two. A forger who renews the manifest gets past it, since a list of sums is no signature. Colours in
# place of a modulus are refused even then, since a modulus must be 16-bit grey; but a modulus that was replaced by
# another modulus is accepted. So the manifest finds **accidents and careless edits**. Against a forger, *sign* it.
#
# ## 4. Four settings that matter
#
# The package's `Operator` has ten settings. Its *kind* matters little: Scharr, Prewitt and the other kernels draw the
# same lines in slightly other strengths, and section 6 finds no clear difference in how many faces they hide. Luma in
# place of three channels draws the same lines, too, a little more than half as strong: shading changes all channels
# together. Blur and wide kernels draw thicker lines. Four decisions are left, on three of these settings and on the
# size, and a few lines of your own code show what is at stake. Two pictures will do: a made head and a photograph.

# %%
fronts, backs = detector.stored_portraits()  # twelve made people, from the front and from behind
photograph = detector.photograph()  # Eileen Collins by NASA, public domain; scikit-image ships it
portraits = {"made head": torch.tensor(fronts[0].picture)}
portraits["photograph"] = torch.tensor(photograph.picture)


def shrunk(picture, times):
    """A picture (H, W, ...) whose pixels are averages of times x times pixels."""
    height, width = (n // times for n in picture.shape[:2])
    return picture.reshape(height, times, width, times, -1).mean((1, 3)).squeeze(-1)


def lines(modulus, gain=3.0):
    """A modulus (H, W) as dark lines on white; from 1/gain on they are black."""
    return 1 - (gain * modulus).clamp(0, 1)


# %% [markdown]
# ### Size
#
# The paper works at 64 x 64 pixels, partly *because* that is coarse. It is the easiest setting to understand: what is
# averaged before it leaves can't be had back from that picture. (Twenty views of one head, each a fraction of a pixel
# apart, hold more than one does, and whoever knows other faces guesses more. At 16 pixels a trained attacker still
# names most people: [lesson 6](06_irreversibility.ipynb).) Values change with the size, too: "colour per pixel" means
# per *released* pixel, and those grow. On a smooth cheek twice the pixel is twice the change; a sharp edge stays one
# edge.

# %%
rows = [
    [modulus(mirrored(shrunk(p, 256 // s))) for s in (256, 128, 64, 32, 16)]
    for p in portraits.values()
]
for name, row in zip(portraits, rows, strict=True):
    print(f"{name}: mean modulus", ", ".join(f"{m.mean():.3f} at {len(m)} px" for m in row))
titles = [f"{len(m)} px, {m.numel():,} numbers" for m in rows[0]]
style.show(
    style.images([[lines(m) for m in row] for row in rows], titles, list(portraits)),
    alt="The modulus of a made head and of the astronaut at 256, 128, 64, 32 and 16 pixels. At 256 every mole and tooth is "
    "a thin line; at 64 eyes, nose and mouth can still be made out; at 32 the astronaut's face is a smudge; at 16 both are "
    "blocks with a dark outline.",
)

# %% [markdown]
# ### Noise
#
# After the modulus an operator may add Gaussian noise. That hides the *weak* edges, which for a face are nearly all:
# cheeks, lips and lids lie far below the outline. Noise is cut where the sum is negative, since a modulus can't be.
# So at a place where nothing changes half of the draws are cut to zero, and the other half stay. The mean is no
# longer 0, but
#
# $$\mathbb E \max(0, \sigma Z) = \sigma \int_0^\infty z \, \frac{e^{-z^2/2}}{\sqrt{2\pi}} \, dz =
# \frac{\sigma}{\sqrt{2\pi}} \approx 0.4 \, \sigma .$$
#
# A reconstruction that compares moduli takes that for a faint texture everywhere. The other thing about noise is its
# **seed**: whoever has it draws the same noise and takes it off. That is why `protect` asks the system for a seed, uses
# it and writes it nowhere.


# %%
def noisy(modulus, sigma, seed):
    """A modulus with noise, cut to what a release can hold."""
    noise = torch.randn(modulus.shape, generator=torch.Generator().manual_seed(seed))
    return (modulus + sigma * noise).clamp(0, peak)


flat = noisy(modulus(torch.full((402, 402, 3), 0.5)), 0.1, seed=0)
print(f"a flat place, lifted by noise of 0.1: {flat.mean():.3f}")
clean = modulus(mirrored(shrunk(portraits["photograph"], 4)))
drawn = noisy(clean, 0.2, seed=5)
taken_off = drawn - 0.2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(5))
kept = drawn > 0  # the others were cut
print(
    f"noise of 0.2 on a mean modulus of {clean.mean():.2f}; {1 - kept.float().mean():.0%} of the pixels are cut to 0"
)
print(f"with the seed, the others come back to within {(taken_off - clean)[kept].abs().max():.4f}")
pictures = [clean, noisy(clean, 0.05, 5), drawn, torch.where(kept, taken_off, 0)]
style.show(
    style.images(
        [[lines(m) for m in pictures]],
        ["no noise", "noise 0.05", "noise 0.2", "0.2, with the seed"],
        width=9,
    ),
    alt="The astronaut's modulus at 64 pixels four times: without noise; with noise of 0.05, grainy; with noise of 0.2, in "
    "which only the outline is left; and the last one after the noise was drawn again from its seed and taken off: the "
    "smile is back, with white dots where pixels had been cut.",
)

# %% [markdown]
# ### The border
#
# At the rim a kernel asks for pixels that the picture does not have. We mirrored the picture (`reflect`). Many
# libraries put zeros there. That is a **leak**. The promise of equation 6 was that a constant falls out of
# differences; but a difference to *zero* is the colour itself.
#
# ### Exercise 0303 (first steps, 10 min): what the rim tells
#
# A head stands before a plain wall of unknown colour $c$. You get the modulus, with zeros outside the picture, and
# nothing else. Give the length $\lVert c \rVert_2$ of the wall's colour. Half-way down the left rim, write down the
# window that the kernel sees there: one column is 0, two are $c$.


# %% tags=["exercise"]
def length_of_wall_colour(modulus):
    """||c|| of the plain wall behind a head, from a Sobel modulus (H, W) with zeros outside."""
    ### BEGIN SOLUTION
    # dc/dx = (1 + 2 + 1) / 8 * (c - 0) = c / 2, and dc/dy = 0
    return 2 * modulus[modulus.shape[0] // 2, 0]
    ### END SOLUTION


# %%
checks.ex0303(length_of_wall_colour)

# %% [markdown]
# Three rooms, then, and your function as the attacker:

# %%
rooms = {"white": (1.0, 1.0, 1.0), "dark red": (0.5, 0.1, 0.1), "night blue": (0.05, 0.08, 0.2)}
head = portraits["made head"]
background = head.amin(-1, keepdim=True) > 0.985  # the head's own ground is white
views = {
    name: shrunk(torch.where(background, torch.tensor(c), head), 4) for name, c in rooms.items()
}
zeros = {name: modulus(mirrored(view, "constant", value=0.0)) for name, view in views.items()}
for name, colour in rooms.items():
    guess = float(length_of_wall_colour(zeros[name]))
    print(
        f"{name} room: the wall's colour has length {np.linalg.norm(colour):.2f}; the rim tells {guess:.2f}"
    )
style.show(
    style.images(
        [list(views.values()), [lines(m) for m in zeros.values()]],
        list(rooms),
        ["picture", "modulus, zeros outside"],
        width=7,
    ),
    alt="A made head before a white, a dark red and a night blue wall, and the three moduli with zeros outside the "
    "picture: a frame runs around each, black before the white and the dark red wall, grey before the night blue one.",
)

# %% [markdown]
# The frame's darkness is the room's brightness. From a known rim brightness may be carried inwards, edge by edge
# ([lesson 6](06_irreversibility.ipynb) asks what can be won back that way). The package has `border="zero"`, since
# people use it; its default is `reflect`.
#
# ### Before or after shrinking
#
# Cameras take millions of pixels, and 4096 are released. Take the modulus of the small picture
# (`downsample="first"`), or take it of the large one and average the moduli (`"last"`)? The two differ, and a line of
# maths says which way. Shrinking is averaging, $A$; a derivative is linear, so it may pass through an average; a
# length may not, and by the triangle inequality
#
# $$\lVert A \, g \rVert \le A \lVert g \rVert .$$
#
# On the left gradients of opposite sign cancel, on the right they add up. Two sides of one hair are such a pair.
# (Sobel on the small picture averages over a somewhat wider window than $A$, so take the line as the reason, and the
# numbers as the proof. The code below multiplies "last" by 4: a released pixel is 4 pixels of the large picture wide,
# and colour per pixel grows with it.)

# %%
first = {name: modulus(mirrored(shrunk(p, 4))) for name, p in portraits.items()}
last = {name: 4 * shrunk(modulus(mirrored(p)), 4) for name, p in portraits.items()}
for name in portraits:
    print(
        f"{name}: small last has {last[name].mean() / first[name].mean():.1f} times the modulus of small first"
    )
pictures = [*(lines(m) for m in first.values()), *(lines(m, gain=1.5) for m in last.values())]
style.show(
    style.images(
        [pictures],
        ["small first", "small first", "small last, half as dark", "small last, half as dark"],
        width=10,
    ),
    alt="Both heads' moduli at 64 pixels, taken of the small picture and taken of the large one and averaged. Last is "
    "far clearer: the astronaut's smile, teeth and eyes, a smudge when shrunk first, are a neat little portrait.",
)

# %% [markdown]
# "Last" tells *more*, and you need no detector to see it: look at the smile. A mean of moduli still says where there
# was fine structure below the released pixel, and eyes and lips are just that. What was said above about size, that
# what is averaged can't be had back, holds for "first" alone.
#
# What these choices do to the reconstructed shape is a question for the loss that compares moduli: [lesson
# 4](04_gradient_loss.ipynb). Here we stay with what they give away.
#
# ## 5. A release written badly
#
# The strongest operator is worth nothing if `sensitive/view_0004.png` carries `Source: IMG_2044.jpg` in its text
# chunk, or if a thumbnail hangs behind the last byte of the picture, where no viewer shows it.
#
# ### Exercise 0304 (solid, 25 min): find the leak
#
# Write a function that takes a release's folder and gives the set of names (as seen from the folder, such as
# `"neutral/view_0021.png"`) of all files that don't belong there or hold too much. Four rules:
#
# 1. The folder holds `release.json`, `manifest.json`, and pictures `view_0000.png` (four digits) in `neutral/`,
#    `sensitive/` and `mask/`. Nothing else, at no depth.
# 2. A picture's mode is that of its folder: `leaks.MODES`.
# 3. A picture holds pixels and nothing else: no `info`, no EXIF, and no bytes after the PNG's end, `leaks.END_OF_PNG`.
# 4. `release.json` has no other keys than `leaks.SETTINGS`.
#
# (The manifest is none of your business: these releases were made by a careless author, whose manifest fits.)


# %% tags=["exercise"]
def what_leaks(folder):
    """Names of the files under a release folder that hold more than they should."""
    ### BEGIN SOLUTION
    found, name = set(), re.compile(r"(neutral|sensitive|mask)/view_\d{4}\.png")
    for path in (p for p in Path(folder).rglob("*") if p.is_file()):
        own = path.relative_to(folder).as_posix()
        if own == "release.json":
            good = set(json.loads(path.read_text())) <= leaks.SETTINGS
        elif name.fullmatch(own):
            image, data = Image.open(path), path.read_bytes()
            good = image.mode == leaks.MODES[path.parent.name] and not image.info
            good = good and not image.getexif() and data.endswith(leaks.END_OF_PNG)
        else:
            good = own == "manifest.json"
        found |= set() if good else {own}
    return found
    ### END SOLUTION


# %%
checks.ex0304(what_leaks)

# %% [markdown]
# Turn it on your own release first. Then on a bad one: somebody wrote it with *your* `save_release`, added noise of 0.3
# for more protection, and wanted to be helpful to whoever comes after. What your function names is opened, and what is
# in it is used.

# %%
print(f"your own release: {len(what_leaks(folder))} files that leak")
sigma, bad = 0.3, Path(tempfile.mkdtemp()) / "bad"
veiled = {
    view: noisy(torch.tensor(m), sigma, seed=1000 + view).numpy() for view, m in moduli.items()
}
save_release(bad, neutral, veiled, peak, settings | {"noise_seed": 1000})
leaks.save_again(bad / "sensitive/view_0004.png", pnginfo=leaks.source_text())
leaks.hide_behind(bad / "sensitive/view_0007.png", SAMPLES / "scene/image/img_0007.png")
(bad / "todo.txt").write_text("send to the clinic: A. Smith")

won = {"as released": lines(torch.tensor(released(bad / "sensitive/view_0007.png")))}
for name in sorted(what_leaks(bad)):
    path = bad / name
    if name == "release.json":
        seed = json.loads(path.read_text())["noise_seed"]
        print(f"{name}: the noise's seed, {seed}")
        noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(seed + 7))
        view = torch.tensor(veiled[7])
        won["noise taken off"] = lines(torch.where(view > 0, view - sigma * noise, 0))
    elif path.suffix == ".png":
        behind = path.read_bytes().partition(leaks.END_OF_PNG)[2]
        print(
            f"{name}: text {Image.open(path).info}, and {'a file' if behind else 'nothing'} behind the end"
        )
        if behind:
            won["behind its end"] = np.asarray(Image.open(BytesIO(behind))) / 255
    else:
        print(f"{name}: {path.read_text()!r}")

# %%
style.show(
    style.images([list(won.values())], [f"view 7, {name}" for name in won], width=8),
    alt="View 7 of the bad release three times: as released, black grains in which little but the head's outline is seen; the same "
    "after the noise was drawn again from the seed in release.json and taken off, the line drawing of a face with white "
    "dots; and the picture that hung behind the PNG's end, the face in full colour.",
)

# %% [markdown]
# Four leaks, and the operator was never attacked. Your function is a *test*, and that is what it is for: the package
# plants markers of a dozen kinds into a scene, protects it, and searches every byte of the release for them, on every
# change of the code (`tests/test_release.py`). Only a leak that somebody looks for is found.
#
# ## 6. What a face detector still sees
#
# In the paper, seven recognition systems know 91.67 % of the original pictures and 6.05 % of the protected ones. They
# had learned from photos, which is not the worst case (lesson 6 has attackers who learned from moduli). Before a
# recogniser compares anything, most pipelines look for a face: no face found, nobody recognised. So let us start
# there, with a detector from the years before deep networks. It slides a window over the picture and asks, in many
# small steps, whether blocks are brighter or darker than their neighbours (*local binary patterns*). It comes with
# scikit-image. We show it photos, and moduli drawn in two ways: the modulus as it is, light lines on black, and the
# negative of that, dark lines on white. A frame is what it calls a face; a cross says that it found none.

# %%
style.show(
    figures.found([*fronts[:3], photograph, backs[0]], Operator("sobel"), (256, 64)),
    alt="Five columns: three made heads, the astronaut, the back of a made head. Five rows: photos, then moduli at 256 and at "
    "64 pixels with light lines and with dark lines. The detector frames all four faces in the photos. With light lines it "
    "finds none. With dark lines it frames all four at 256 pixels and the three made heads at 64 pixels. From behind it "
    "finds nothing anywhere.",
)

# %% [markdown]
# Compare the second row with the third. They hold *the same numbers*. A modulus has no colour of its own; "light on
# black" is merely how plotting libraries draw large numbers. To anyone with a release, drawing it the other way is one
# minus sign. And that minus sign is all that stands between "no face found" and "found". A detector that learned from
# photos knows that eyes and mouths are darker than skin. In a modulus they are where it is *large*.
#
# But one detector and four faces are few.
#
# ### How sure are we?
#
# If $k$ of $n$ faces are found, $\hat p = k / n$ is an estimate. Wilson's interval collects all true shares $p$ for
# which $\hat p$ is no surprise: no further off than $z = 1.96$ of its standard deviations *at that p*,
#
# $$(\hat p - p)^2 \le z^2 \, \frac{p (1 - p)}{n}
# \quad \Longleftrightarrow \quad
# \left(1 + \tfrac{z^2}{n}\right) p^2 - \left(2 \hat p + \tfrac{z^2}{n}\right) p + \hat p^2 \le 0 .$$
#
# A quadratic; its two roots are the ends. Twelve made people are stored with the course, from the front and from
# behind. A box counts as *found* only if the nose is near its middle; from behind, any box is a *false alarm*. The
# detector looks at all of them, now, on your machine, in drawings of your modulus.


# %%
def ends(found, tried, z=1.96):
    """Wilson's interval from its quadratic."""
    share, spread = found / tried, z * z / tried
    return np.sort(np.roots([1 + spread, -(2 * share + spread), share**2]))


def words(found, tried):
    low, high = ends(found, tried)
    return f"{found} of {tried} ({100 * low:.0f} to {100 * high:.0f} %)"


print("; ".join(words(*rate) for rate in ((4, 4), (0, 10), (0, 40))))

# %% tags=["tolerance-10"]
for how in ("light", "dark"):
    found, alarms = (
        sum(
            detector.finds(
                who, detector.drawing(modulus(mirrored(torch.tensor(who.picture))).numpy(), how)
            )
            for who in people
        )
        for people in (fronts, backs)
    )
    print(f"{how} lines, 256 px: {found} of 12 faces found, {alarms} false alarms")

# %% [markdown]
# Four of four may be half of all. And *none of forty* may still be one in eleven.
#
# Forty people, all operators, several sizes: that took some minutes, once, by `python benchmarks/studies/detector.py`,
# and is stored in `benchmarks/results/detectors.json`. First Sobel over the size of the release. The detector gets
# every picture enlarged to 256 pixels, so a coarse release is soft, not small.

# %%
rates = detector.rates()  # a row for each operator, way of drawing, and size
drawn = {"the photo itself": ("photo", "photo")}
drawn |= {f"modulus, {how} lines": ("sobel", how) for how in ("dark", "light")}
figure, ((left, right),) = style.grid(1, 2, width=9.5, height=3.4, sharey=True)
for (label, key), look, aside in zip(drawn.items(), style.LOOKS, (0.965, 1.0, 1.036), strict=False):
    runs = rates.loc[key].sort_index()
    for ax, column in ((left, "found"), (right, "alarms")):
        value = 100 * runs[column].to_numpy() / 40
        low, high = np.array([100 * ends(k, 40) for k in runs[column]]).T
        off, how = (
            np.abs((value - low, high - value)),
            dict(zip(("color", "marker", "ls"), look, strict=True)),
        )
        ax.errorbar(
            runs.index * aside, value, off, capsize=2.5, mec="black", mew=0.5, label=label, **how
        )
for ax, title in (
    (left, "heads from the front: face found"),
    (right, "the same from behind: false alarm"),
):
    ax.set(xscale="log", ylim=(-4, 104), xlabel="pixels a side")
    ax.set_title(title, fontsize=10)
    ax.set_xticks(runs.index, [str(size) for size in runs.index])
    ax.minorticks_off()
left.set_ylabel("share of 40 heads, %")
right.legend(loc="upper right", frameon=False, fontsize=8)
style.show(
    figure,
    alt="Two panels over pixels a side, with intervals. Left, from the front: photos are found in nearly all heads, at 16 "
    "pixels in seven of eight; dark lines in nine of ten at 256 pixels, three of four at 64, fewer than half at 32 and 24, and "
    "more again at 16; light lines in one of eight at most. Right, from behind: no alarms for photos and light lines; dark "
    "lines alarm in one of seven or eight heads at 64 and above, in a third at 48 and 32, and in most at 24 and 16.",
)

# %% [markdown]
# Read it in three steps. **Photos** are found at every size, even at 16 x 16. **Dark lines** are found in nine of ten
# heads at 256 pixels and still in three of four at 64, which is the paper's size; **light lines**, the same numbers, in
# hardly any. Whoever tests protected pictures with a detector should say how they were drawn.
#
# And now look right before you read on at the left. Below 64 pixels the rate falls, and then it *rises*. Are 16 pixels
# less private than 32? That does not follow: at 16 the detector finds a "face" in the *back* of five heads of six, too.
# A dark outline around a bright oval is all that it still asks for. Where alarms are as frequent as finds, "found" has
# stopped to mean anything.
#
# Now some operators, at 64 pixels and with dark lines.

# %%
for name in (
    "sobel",
    "scharr",
    "gaussian",
    "sobel, blur 2",
    "sobel, noise 0.05",
    "sobel, noise 0.2",
    "sobel, 16 levels",
    "sobel, 4 levels",
):
    at = rates.loc[name, "dark", 64]
    print(f"{name + ':':<18} {words(at.found, at.tried):<24} false alarms {at.alarms:>2}")

# %% [markdown]
# - **The kind matters little**: the intervals of faces found overlap, though the wider Gaussian kernels raise three
#   times as many false alarms as Sobel's. After a **blur** of 2 the detector fires at more backs than faces, so its
#   answer says nothing. (You still see a face.)
# - **Noise hides most from this detector, at 64 pixels**: 0.05 brings 30 of 40 down to 18, and 0.2 to 5. (At 256
#   pixels 0.2 leaves 19.) An attacker who trained on noisy moduli is hardly hindered: lesson 6. And 0.05 is about the
#   made head's mean modulus: at about three pixels of four the modulus is then weaker than the noise, and [lesson
#   4](04_gradient_loss.ipynb) has to fit it.
# - **Levels are a surprise.** Rounded to four values, most faces are hidden. Sixteen hide few, and all false alarms are
#   gone: rounding has wiped out faint texture, and that was, it seems, what fooled the detector. A "protecting" step
#   has made the attacker's answers *cleaner*.
#
# ### What "not found" does not mean
#
# - *Not detected is not recognisable.* You can recognise a friend in a drawing that no detector reacts to; a recogniser
#   can be given a face that a person has cut out by hand.
# - *A detector is one detector.* This one is small and was trained on photos. Others, larger ones, or ones trained on
#   moduli find more. A rate that is measured is a **lower** bound of what an attacker can find.
# - *Attackers choose.* They draw light *and* dark, blur, enlarge, and keep what works.
# - *Our faces are made*: from the front, in studio light, on white. That is easier than life, on both sides.
#
# And a box is not a name: that a machine sees *a* face in a release is no surprise, since the method needs one there.
# The paper's claim is about *whose*, and [lesson 9](09_recognition_and_deepfakes.ipynb) measures that.
#
# ### The desk
#
# Choose a head, an operator and its settings: you see the modulus as the detector sees it, and what it says. Find a
# setting at which it finds no face and you still see one; then flip `lines`. Below the panel are four settings for
# readers without a running kernel; the last has 4 levels.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for setting in panel.TWIN:
    verdict = panel.picture(**setting).facts.split(";")[0]
    print(
        f"{setting['who']}, {setting['lines']} lines, {setting['levels'] or 'all'} levels: {verdict}"
    )

# %% [markdown]
# ## 7. Fool the detector, and lose nothing
#
# ### Exercise 0305 (hard, 45 min): a perfect disguise
#
# Section 6 ended with "not detected is not recognisable"; now prove it. Write `disguised(modulus, undo=False)` for a
# torch tensor `(H, W)`, such that
#
# - the detector finds the face in at most 1 of the 12 stored people, with light lines and with dark ones, also after
#   the attacker has blurred the drawing by 2 pixels; and in at most 1 of 4 when the attacker lays the drawing in all
#   eight ways, turned by quarters and mirrored, and side by side with itself, so that what was shifted over a rim is
#   whole again;
# - **nothing is lost**: `disguised(disguised(m), undo=True)` is `m` again, at 256 and at 64 pixels;
# - it fits into a release: same shape, values in $[0, \text{peak}]$ of Sobel;
# - gradients flow: a loss on the disguised modulus feels every pixel, so that training could go on as if nothing were.
#
# A flip of the sign only trades light lines for dark ones. Fine grids fall to the blur, and one shift or turn of the
# whole to the attacker's patience. There are many ways, and some need only a few lines. (The check looks at over 100
# drawings.)


# %% tags=["exercise"]
def disguised(modulus, undo=False):
    """A modulus (H, W) in which no detector finds a face; `undo` brings it back."""
    ### BEGIN SOLUTION
    tile, (height, width) = 16, modulus.shape
    tiles = modulus.reshape(height // tile, tile, width // tile, tile).transpose(1, 2)
    tiles = tiles.reshape(-1, tile, tile)
    order = torch.randperm(len(tiles), generator=torch.Generator().manual_seed(3))
    tiles = tiles[torch.argsort(order) if undo else order]
    tiles = tiles.reshape(height // tile, width // tile, tile, tile).transpose(1, 2)
    return tiles.reshape(height, width)
    ### END SOLUTION


# %%
checks.ex0305(disguised)

# %% [markdown]
# What would training lose? Compare two people's moduli by the mean absolute difference, as lesson 4's loss does: before
# the disguise, and after it.

# %%
one, two = (modulus(mirrored(torch.tensor(who.picture))) for who in fronts[:2])
hidden = disguised(one)
seen = [detector.finds(fronts[0], detector.drawing(m.numpy())) for m in (one, hidden)]
print(f"faces found: {seen[0]:d} of 1 before, {seen[1]:d} of 1 after")
losses = [(a - b).abs().mean() for a, b in ((one, two), (hidden, disguised(two)))]
print(f"mean difference of two people: {losses[0]:.4f} before, {losses[1]:.4f} after")
print(
    f"undone, it differs from the modulus by {(disguised(hidden, undo=True) - one).abs().max():.4f} at most"
)
pictures = [one, hidden, disguised(hidden, undo=True)]
style.show(
    style.images([[lines(m) for m in pictures]], ["the modulus", "disguised", "undone"], width=9),
    alt="A made head's modulus at 256 pixels; the same in a disguise in which its pieces lie in disorder and no face is to "
    "be seen; and the face again, after the disguise was undone.",
)

# %% [markdown]
# Our own disguise cuts the modulus into tiles and lets them change places, always in the same order. It holds every
# number of the face, and the detector's rate is near zero: the best score of this lesson, and no protection at all,
# since the order must be written into the release for training to use it. (A secret order would be a *key*, and whoever
# trains would need the key.) That an attacker knows the method and lacks nothing but the key is the usual assumption,
# Kerckhoffs's principle.
#
# **A detector's failure is a fact about the detector.** Protection is a fact about what can be computed from the
# release, by anybody, with any amount of patience. [Lesson 6](06_irreversibility.ipynb) asks that question: how much
# of the picture does a modulus still determine?
#
# ## Now you, without a check
#
# 1. What does your release tell that no operator touches? Look into `release.json` and at the neutral views, and name
#    three facts about the person or the place.
# 2. Someone proposes to divide each modulus by its own maximum "so that less is known". Say what gets better and what
#    worse.
# 3. A product page says: "0 of 25 faces found by a standard detector". Write the two sentences that should stand beside
#    it.
#
# ## What to remember
#
# - The boundary is one function and one type. What has no field can't be released by mistake.
# - Files are made anew from numbers, never cleaned. The manifest finds accidents; only a signature finds forgers.
# - Equation 6 forgets constants, signs and turns of colour; it keeps contrast and outlines.
# - What shrinking averages away is gone from that picture, but only with "small first". Zeros at the border leak
#   brightness. Noise is as secret as its seed. The kind of the operator matters little.
# - Scales, seeds and maxima are facts, too: release those of the operator, never those of the picture.
# - "Not detected" depends on how one draws. Give $n$, an interval and the false alarms; then say what it does not mean.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a release holds no sensitive colours, names or metadata | sections 3 and 5, `tests/test_release.py` |
# | training refuses a scene | section 1, `tests/test_training.py` |
# | your modulus and your release are the package's | sections 2 and 3, `tests/test_operators.py` |
# | the manifest finds careless edits, not forgers | section 3 |
# | cut noise lifts by 0.4 sigma; the seed takes it off | section 4, `tests/test_lesson_03.py` |
# | zeros at the border leak the rim's colour | exercise 0303 and the three rooms |
# | the modulus of an average is no more than the average modulus | section 4, measured |
# | a detector that finds no face in light lines finds it in dark ones | section 6, `benchmarks/results/detectors.json` |
# | "not found" can go with "nothing lost", and one shift is no disguise | exercise 0305, `tests/test_wrong_answers.py` |
# | what an operator does to the reconstruction | **not measured here**: lesson 4 |
#
# **Read on**: `privhead_nb/privacy/operators.py` for every kernel; `docs/release.md` for what a release does and does
# not promise; [4, the gradient loss](04_gradient_loss.ipynb), which trains on what you released; [6,
# irreversibility](06_irreversibility.ipynb), which tries to get the face back. Further: Viola and Jones, *Rapid object
# detection using a boosted cascade of simple features* (2001); Ahonen, Hadid and Pietikäinen, *Face description with
# local binary patterns* (2006); Wilson, *Probable inference* (1927); Brown, Cai and DasGupta, *Interval estimation for
# a binomial proportion* (2001).

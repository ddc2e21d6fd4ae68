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
# **You will be able to** say which bytes of a scene leave the device and prove it, compute the gradient modulus
# with a pencil, choose an operator and know what each of its settings keeps and destroys, and read a detection
# rate without believing more of it than it says.
#
# **You should know** what a picture is to a computer, NumPy arrays, and what a derivative is.
# [Lesson 0](00_start_here.ipynb) tells the story in half an hour; this lesson opens its first door.
#
# **Time**: 80 minutes of reading and writing, the last exercise not counted; computing takes under a minute on a
# CPU. No GPU is needed, and nothing is downloaded.
#
# **Equations of the paper**: 6 (the gradient modulus, and the protecting operator $\sigma$ before it).

# %%
import itertools
import json
import re
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.data import brick

from privhead_nb import Operator, Release, Scene, load_scene, protect, reconstruct
from privhead_nb.privacy.operators import KINDS
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.images import resize_area
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson03 import detector, figures, leaks, panel
from privhead_nb.viz import style

# %% [markdown]
# ## 1. The boundary, in code
#
# "We protect your privacy" is a sentence. A *boundary* is something else: a line in a program, such that you can
# point at what crosses it. Here the line is one function. On its left is a `Scene`, which is all that the
# owner has: thirty colour pictures, masks, cameras, perhaps a true mesh and landmarks. On its right is a `Release`.
# Between them stands `protect`, and nothing else in this package makes releases.
#
# The fields of a scene that a release lacks are the nicest kind of protection: not a rule that somebody has to
# remember, but a *type* that has no place to put the secret into. Training asks for that type. Give it the scene, and it
# does not even start.

# %%
scene = load_scene(SAMPLES / "scene")
release = protect(scene, Operator("sobel"), size=64)
print("Scene.images           ", tuple(scene.images.shape), " views, height, width, colours")
print("Release.neutral_images ", tuple(release.neutral_images.shape), " colours of neutral views")
print("Release.moduli         ", tuple(release.moduli.shape), "    sensitive: one number a pixel")
no_place = {f.name for f in fields(Scene)} - {f.name for f in fields(Release)}
print("a release has no place for:", ", ".join(sorted(no_place)))
print("reconstruct(scene):", leaks.complaint(lambda: reconstruct(scene, "ci")))

# %% [markdown]
# What is on disk? Files leak in ways that arrays don't. A photo from a telephone carries the place where it was
# taken, the time, the telephone's serial number, and often a small copy of itself. So a release is never made by
# *cleaning* files. Its pictures are made anew from bare numbers, named by number, and there are as many as must be.
#
# Moduli are stored as 16-bit grey: `code / 65535 * modulus_scale`. Before you read on, guess what that scale is. The
# largest modulus in the picture? That would be natural, and it would be a leak, if a tiny one: the brightest edge of
# a face is a fact about that face. The scale is a bound that the *operator* keeps for any picture at all. It tells
# nothing that you could not have computed without a picture.

# %%
folder = Path(tempfile.mkdtemp()) / "release"
release.save(folder)
for path in sorted(folder.iterdir()):
    if path.is_file():
        print(path.name)
        continue
    pictures = [Image.open(inner) for inner in path.iterdir()]
    kinds = {f"{picture.mode}, {picture.width} x {picture.height}" for picture in pictures}
    print(f"{path.name}/: {len(pictures)} pictures, {' and '.join(kinds)}")
same = torch.equal(Release.load(folder).moduli, release.moduli)
print("what is on disk is what was in memory, bit for bit:", same)
settings = json.loads((folder / "release.json").read_text())
print("release.json names", ", ".join(sorted(settings)))
print("the scale is the operator's:", settings["modulus_scale"] == Operator("sobel").peak)
print("nothing but pixels in any of its pictures:", leaks.find_leaks(folder) == set())

# %% [markdown]
# ### Would you notice?
#
# Releases travel: over a network, onto a server, into a folder where somebody unpacks a few more things.
# `manifest.json` lists the SHA-256 of every file. Whoever loads a release first checks that what is there is what is
# listed, nothing missing and nothing more. Here are five ways to meddle with one:


# %%
def flip_a_bit(release_folder):
    path = release_folder / "sensitive" / "view_0003.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def put_colours(release_folder):
    leaks.save_again(release_folder / "sensitive" / "view_0007.png", leaks.colours_for)
    leaks.renew_manifest(release_folder)


def mirror(release_folder):
    path = release_folder / "sensitive" / "view_0005.png"
    leaks.save_again(path, lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    leaks.renew_manifest(release_folder)


tamperings = {
    "one bit of a picture": flip_a_bit,
    "a file too many": lambda f: (f / "notes.txt").write_text("this is Alice"),
    "a file lost": lambda f: (f / "neutral" / "view_0022.png").unlink(),
    "colours for a modulus, and a manifest that fits": put_colours,
    "a modulus mirrored, and a manifest that fits": mirror,
}
for what, change in tamperings.items():
    copy = shutil.copytree(folder, Path(tempfile.mkdtemp()) / "release")
    change(copy)
    print(f"{what}:\n    {leaks.complaint(lambda copy=copy: Release.load(copy))}")

# %% [markdown]
# Read the last two. A forger who renews the manifest gets past it, since a list of sums is no signature. Colours in
# place of a modulus are refused even then, since a modulus must be 16-bit grey; but a modulus that was replaced by
# another modulus is accepted. So the manifest finds **accidents and careless edits**. Against a forger, *sign* it.
#
# ## 2. Equation 6 with a pencil
#
# What, then, is in those grey pictures? Take a grey picture first. At each pixel we ask: how fast does it change to
# the right, and how fast downwards? Differences of neighbours would do, but they are noisy. Sobel's answer is to
# average three rows before taking a difference of columns that are two pixels apart:
#
# $$k_x = \frac18 \begin{pmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{pmatrix}, \qquad
# k_y = k_x^{\mathsf T}, \qquad
# \lVert g \rVert = \left\lVert \frac{\partial c}{\partial x} \right\rVert_2 +
# \left\lVert \frac{\partial c}{\partial y} \right\rVert_2 \qquad \text{(equation 6)}$$
#
# The $\frac18$ is the kernel's *gain*: a ramp that rises by 1 a pixel must have the slope 1, not 8. (OpenCV and many
# books leave it out.) We lay the kernel on every 3 x 3 window, multiply and add; that is all that a *correlation* is.
#
# In a colour picture $c$ has three channels, and $\lVert \cdot \rVert_2$ is the length over them. Three things
# are worth seeing before you write it.
#
# *It forgets.* A constant falls out of differences; lengths have no sign. (Lesson 0 tried that.) And a length over
# channels forgets more: turn all colours around in RGB space, say swap red and blue, and no length changes.
#
# *It is not round.* Equation 6 adds two lengths. For the same edge, laid along the diagonal, $\lvert g_x \rvert =
# \lvert g_y \rvert = \lvert g \rvert / \sqrt2$, and the sum is $\sqrt2$ times what it was. Tilt the camera by 45
# degrees, and the modulus changes by up to 41 %, though the head is the same.
#
# *It has a top.* The positive weights of $k_x$ add up to $\frac12$, so one channel in $[0, 1]$ has $\lvert g_x \rvert
# \le \frac12$; over three channels that is $\frac{\sqrt3}{2}$, and two directions make at most $\sqrt3$. (No picture gets
# there, since no window is steepest in both directions at once. How near can one come? Equation 6 is convex in the picture, so some window
# of zeros and ones is the steepest; the cell below tries them all.)

# %%
photograph = detector.photograph()  # Eileen Collins by NASA, public domain; scikit-image ships it
small = resize_area(photograph.picture, 64, 64)
grey = small @ np.array([0.299, 0.587, 0.114])  # luma: how bright a colour looks
kx = np.outer([1, 2, 1], [-1, 0, 1]) / 8
windows = np.lib.stride_tricks.sliding_window_view(grey, (3, 3))
gx, gy = (windows * kx).sum((2, 3)), (windows * kx.T).sum((2, 3))
by_hand = np.abs(gx) + np.abs(gy)
theirs = Operator("sobel", per_channel=False).modulus(torch.tensor(small), valid=True)
print("our modulus of luma is the package's:", np.allclose(by_hand, theirs, atol=1e-5))
sobel, swapped = Operator("sobel"), torch.tensor(small[..., ::-1].copy())  # blue, green, red
blue_face = torch.allclose(sobel.modulus(swapped), sobel.modulus(torch.tensor(small)), atol=1e-5)
print("a blue-skinned astronaut has the same modulus:", blue_face)
print("Sobel's peak is sqrt(3):", np.isclose(sobel.peak, np.sqrt(3)))

every = np.array(list(itertools.product((0.0, 1.0), repeat=9)))  # 512 windows of one channel
kernels = [kernel.double().numpy().ravel() for kernel in sobel.kernels()]
squares = np.unique(np.stack([every @ kernel for kernel in kernels], 1) ** 2, axis=0)
steepest = max(
    np.sqrt(np.sum(channels, axis=0)).sum()
    for channels in itertools.combinations_with_replacement(squares, 3)
)
print(f"the steepest window of all reaches {steepest / sobel.peak:.0%} of it")

# %% [markdown]
# ### Exercise 0301 (easy): the modulus of a colour picture
#
# Write equation 6 for a picture `(H, W, 3)`, Sobel, without padding: `(H - 2, W - 2)` comes out. You may slide windows
# as above, or cut the nine neighbours out by slices such as `picture[:-2, 2:]`. Mind the order: derivative in each
# channel, *then* lengths over channels, *then* the sum of both lengths.


# %% tags=["exercise"]
def modulus_by_hand(picture):
    """Equation 6 of a picture (H, W, 3): an array (H - 2, W - 2)."""
    ### BEGIN SOLUTION
    kernel = np.outer([1, 2, 1], [-1, 0, 1]) / 8
    windows = np.lib.stride_tricks.sliding_window_view(picture, (3, 3), axis=(0, 1))
    gx, gy = (windows * kernel).sum((-2, -1)), (windows * kernel.T).sum((-2, -1))
    return np.linalg.norm(gx, axis=-1) + np.linalg.norm(gy, axis=-1)
    ### END SOLUTION


# %%
checks.ex0301(modulus_by_hand)

# %% [markdown]
# ## 3. A family of operators
#
# The paper leaves the operator open on purpose: "Sobel, for example", and let users choose. So `Operator` has seven
# kinds. Below, each column has its kernel on top (white weighs most, black the same below zero), then what it makes
# of a made head and of a photograph, drawn with dark lines on white.

# %%
fronts, backs = detector.stored_portraits()
head = fronts[0]  # made from the number 300; section 5 says how it was stored
kernels = [Operator(kind).kernels()[0] for kind in KINDS]
blank = np.ones((3, 3, 3))
rows = [[blank, *(0.5 + 0.5 * kernel / kernel.abs().max() for kernel in kernels)]]
for portrait in (head, photograph):
    moduli = [detector.released(portrait.picture, Operator(kind), 64) for kind in KINDS]
    photo = resize_area(portrait.picture, 64, 64)
    rows.append([photo, *(detector.drawing(modulus) for modulus in moduli)])
figure = style.images(rows, ["", *KINDS], ["kernel of d/dx", "made head", "photograph"])
for ax in figure.axes[1 : 1 + len(KINDS)]:
    ax.spines[:].set_visible(True)
style.show(
    figure,
    alt="Seven columns, one for each operator. Kernels: Sobel, Scharr and Prewitt a dark and a light column of "
    "three, Roberts two pixels on a diagonal, central two pixels in a row, Gaussian a wide soft dark and light "
    "half, DoG a light spot. Below, line drawings at 64 pixels of a made head and of a smiling astronaut. The "
    "first three look alike, Gaussian is softer, Roberts and central are crisper, DoG draws double lines.",
)

# %% [markdown]
# **Sobel, Scharr, Prewitt, central** differ in how they average across the edge: 1-2-1, 3-10-3, 1-1-1, not at all.
# **Roberts** takes differences along both diagonals of a 2 x 2 square, the shortest reach that there is. **Gaussian**
# is the derivative of a Gaussian blur, with a width you choose. **DoG**, a difference of two Gaussians, has no
# direction and stands alone in equation 6. Put each of them on a ramp with slope 1, laid along $x$ and along the
# diagonal:

# %%
y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
for kind in KINDS:
    operator = Operator(kind)
    ramps = [torch.stack([r, 0 * r, 0 * r], -1) for r in (x, (x + y) / 2**0.5)]
    along, across = (operator.modulus(r, valid=True)[5, 5].abs().item() for r in ramps)
    side = operator.kernels()[0].shape[0]
    print(f"{kind:<9} {side:>2} x {side:<2}  ramp along x: {along:.2f}   diagonal: {across:.2f}")

# %% [markdown]
# There is the $\sqrt2$ of section 2, five times over. Roberts has it the other way round: its axes *are* the
# diagonals. And DoG answers nothing to a ramp, however steep; it only sees where slopes *change*. As pictures of one
# face, how different are they?


# %%
def likeness(first, second):
    """Correlation of two moduli, pixel by pixel."""
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


for portrait in (head, photograph):
    of_sobel = detector.released(portrait.picture, sobel, 64)
    moduli = {k: detector.released(portrait.picture, Operator(k), 64) for k in KINDS}
    others = {k: likeness(of_sobel, modulus) for k, modulus in moduli.items()}
    print(f"{portrait.name}: correlate with Sobel's above 0.9:", end=" ")
    print(", ".join(k for k in KINDS[1:] if others[k] > 0.9), end="; ")
    print("below 0.6:", ", ".join(k for k in KINDS if others[k] < 0.6))

# %% [markdown]
# So most of the family is one person in different coats. Choosing Scharr instead of Sobel is no privacy decision.
# The decisions are in the other settings.
#
# ## 4. The open choices, one by one
#
# ### Size
#
# The paper works at 64 x 64 pixels, partly *because* that is coarse. It is the most thorough setting that you have, and the
# easiest to understand: what is averaged before it leaves can't be had back.
#
# Values change with the size, too. "Colour per pixel" means per *released* pixel, and those grow. On a smooth cheek,
# twice the pixel is twice the change. A sharp edge stays one edge, spread over half as many pixels. A picture of both
# lies between:

# %%
for portrait in (head, photograph):
    means = {s: detector.released(portrait.picture, sobel, s).mean() for s in (128, 64, 32)}
    growth = means[64] / means[128], means[32] / means[64]
    print(f"{portrait.name}: half the size, {min(growth):.1f} times the mean")
sizes = {f"{s} px": (sobel, s) for s in (256, 128, 64, 32, 16)}
style.show(
    figures.strip([head, photograph], sizes, lambda m: f"{m.size:,} numbers"),
    alt="The Sobel modulus of a made head and of the astronaut at 256, 128, 64, 32 and 16 pixels. At 256 every mole "
    "and tooth is a line; at 64 eyes, nose and mouth can still be made out; at 32 the made head's face is still a face, the "
    "astronaut's a smudge; at 16 both are blocks with a dark outline.",
)

# %% [markdown]
# ### Blur, and the kernel's size
#
# `Operator().blurred(sigma)` blurs *before* the derivative. Both are linear, so the package folds them into one kernel:
# training renders the same modulus at no extra step. A wide kernel does much the same. Compare the steepest place of
# each picture:

# %%
wide = {f"{k} x {k}": (Operator(kernel_size=k), 64) for k in (3, 5, 7)}
wide |= {f"blur {b}": (sobel.blurred(b), 64) for b in (1, 2, 4)}
style.show(
    figures.strip([head, photograph], wide, lambda m: f"steepest {m.max():.2f}"),
    alt="Six moduli at 64 pixels of the made head and of the astronaut: Sobel of 3, 5 and 7 pixels, and after blurs of "
    "1, 2 and 4 pixels. Lines grow wider and the steepest value falls from about 0.9 to below 0.2; after a blur of 4 "
    "pixels only soft shadows of the head's outline are left.",
)

# %% [markdown]
# ### Noise and levels
#
# After the modulus an operator may add Gaussian noise, and round to a few grey levels. Both work against the *weak* edges,
# which for a face are nearly all: cheeks, lips and lids lie far below the outline.
#
# Noise is cut where it would be negative, since a modulus can't be. That has a price which is easy to overlook: at a place
# where nothing changes, half of the draws are cut to zero, and the other half stay. The average is no longer 0, but
#
# $$\mathbb E \max(0, \sigma Z) = \sigma \int_0^\infty z \, \frac{e^{-z^2/2}}{\sqrt{2\pi}} \, dz =
# \frac{\sigma}{\sqrt{2\pi}} \approx 0.4 \, \sigma .$$
#
# A reconstruction that compares moduli would take that for a faint texture everywhere. The other thing about noise
# is its **seed**: whoever has it draws the same noise and takes it off. That is why `protect` asks the system for a
# seed, uses it and writes it nowhere.

# %%
flat, face = torch.full((400, 400, 3), 0.5), torch.tensor(small)
noisy = sobel.with_noise(0.1)
lifted = noisy.protect(flat, torch.Generator().manual_seed(0)).mean().item()
print("lifted by 0.4 sigma, within 3 %:", np.isclose(lifted, 0.1 / np.sqrt(2 * np.pi), rtol=0.03))

published = noisy.protect(face, torch.Generator().manual_seed(5))
drawn = 0.1 * torch.randn(64, 64, generator=torch.Generator().manual_seed(5))
kept = published > 0  # the others were cut
restored = torch.allclose((published - drawn)[kept], sobel.modulus(face)[kept], atol=1e-5)
print("with the seed, every pixel that was not cut comes back:", restored)

# %%
weak = {f"noise {n:g}": (sobel.with_noise(n), 64) for n in (0.02, 0.05, 0.2)}
weak |= {f"{n} levels": (sobel.quantised(n), 64) for n in (16, 8, 4)}
share = (detector.released(head.picture, sobel, 64) < sobel.peak / 7 / 2).mean()
print("8 levels: below half a step, and gone, are over 3/4 of the head's pixels:", share > 0.75)
style.show(
    figures.strip([head, photograph], weak, lambda m: f"{(m == 0).mean():.0%} are 0"),
    alt="Six moduli at 64 pixels of both heads. Noise of 0.02 hardly shows, 0.05 grains the picture, 0.2 drowns all "
    "but the outline. With 16 levels the face is all there, with 8 eyes, nose and mouth are patches of grey, with 4 "
    "there are pieces of the outline, an eye and a few dots.",
)

# %% [markdown]
# ### Exercise 0302 (middle): levels, honestly
#
# Write the rounding: a modulus (an array of any shape), the operator's `peak` and a number of `levels` go in; each value
# comes back as the nearest of `levels` values that lie evenly between 0 and `peak`, *both ends included*. Why `peak`, and
# not `modulus.max()`? Think of section 1: twenty views, each divided by its own maximum, would tell twenty facts
# about a face, and no longer fit together.


# %% tags=["exercise"]
def quantised(modulus, peak, levels):
    """A modulus rounded to `levels` values between 0 and `peak`."""
    ### BEGIN SOLUTION
    step = peak / (levels - 1)
    return np.round(np.clip(modulus, 0, peak) / step) * step
    ### END SOLUTION


# %%
checks.ex0302(quantised)

# %% [markdown]
# ### The border
#
# Near the rim a kernel asks for pixels that the picture does not have. `border` says what it gets: the picture mirrored
# (`reflect`), its last pixel again (`replicate`), or `zero`. It looks like a detail of a few pixels' width. Look at it:

# %%
with_zeros = Operator(border="zero").modulus(torch.tensor(small))
lighter = Operator(border="zero").modulus(torch.tensor(small) + 0.2)
same = torch.allclose(with_zeros, lighter, atol=1e-3)
print("with zeros, a lighter photo has the same modulus:", same)
rims = {b: (Operator(border=b), 64) for b in ("reflect", "replicate", "zero")}
style.show(
    figures.strip([photograph], rims),
    alt="The astronaut's modulus with three borders. Mirrored and repeated look alike; with zeros a "
    "heavy dark frame runs all around the picture.",
)

# %% [markdown]
# That frame is no cosmetic flaw. It is a **leak**. The promise of equation 6 was that a constant falls out of
# differences; but a difference to *zero* is the colour itself. Where the border is filled with zeros, the outermost
# pixels of the modulus say how bright the picture is there. From a bright rim, brightness may be carried inwards, edge
# by edge ([lesson 6](06_irreversibility.ipynb) asks what can be won back that way). The package has it, since people use it, and its default
# is `reflect`.
#
# ### Exercise 0303 (easy): what the rim tells
#
# A head stands before a plain wall of unknown colour $c$. You get the modulus, made by Sobel with `border="zero"`, and
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
# ### Three channels, or luma alone
#
# `per_channel=False` takes the derivative of luma, one grey number for each colour. Colours that are equally bright then
# become one. Here is a disc that a colour camera sees and a grey one does not:

# %%
luma = np.array([0.299, 0.587, 0.114])
ground, inside = np.array([0.85, 0.45, 0.40]), np.array([0.45, 0.0, 0.60])
inside[1] = luma @ (ground - inside) / luma[1]  # as much green as makes both equally bright
y, x = np.mgrid[:64, :64] - 31.5
disc = np.where(np.hypot(x, y)[..., None] < 0.3 * 64, inside, ground).astype(np.float32)
seen = {}
for name, operator in {"three channels": sobel, "luma": Operator(per_channel=False)}.items():
    seen[name] = operator.modulus(torch.from_numpy(disc)).numpy()
    print(f"{name}: the ring is there: {seen[name].max() > 0.01}")
for portrait in (head, photograph):
    pair = [detector.released(portrait.picture, Operator(per_channel=c), 64) for c in (True, False)]
    print(f"{portrait.name}: both moduli correlate above 0.97: {likeness(*pair) > 0.97}")
pictures = [disc, disc @ luma, detector.drawing(seen["three channels"]), 1 - seen["luma"]]
titles = ["the picture", "its luma", "per channel", "of luma alone"]
style.show(
    style.images([pictures], titles, width=8),
    alt="Four squares: a blue-green disc on salmon; their luma, an even grey; the modulus of three channels, a clear "
    "ring; the modulus of luma, empty.",
)

# %% [markdown]
# Faces are no such discs: shape makes shading, and shading changes all channels together. On these two, luma changes little.
#
# ### The background
#
# A room is a fact about a person, too: posters, a window with a view, a name on a door. The modulus draws all of it.
# With masks, `background="flat"` paints the outside plain first, in neutral views as well. We set the made head before a
# wall of bricks:

# %%
mask = (head.picture.min(axis=2, keepdims=True) < 0.985).astype(np.float32)  # its ground is white
wall = resize_area(brick().astype(np.float32) / 255, 256, 256)[..., None]
wall = wall * np.array([0.95, 0.75, 0.65], np.float32)
outside, pictures = 1 - resize_area(mask[..., 0], 64, 64), []
for name, behind in {"kept": wall, "flat": 1.0}.items():
    photo = (head.picture * mask + behind * (1 - mask)).astype(np.float32)
    modulus = detector.released(photo, sobel, 64)
    pictures += [photo, detector.drawing(modulus)]
    share = (modulus * outside).sum() / modulus.sum()
    print(f"{name}: over 40 % of the modulus lies outside of the head: {share > 0.4}")
titles = ["the photo", 'background="kept"', "made flat: the photo", 'background="flat"']
style.show(
    style.images([pictures], titles, width=8),
    alt="A made head before a brick wall; its modulus, in which bricks are drawn all around the head; the photo with a "
    "white background; its modulus, where only the head is left, with a strong outline.",
)

# %% [markdown]
# What is left outside is the outline, smeared over the neighbouring pixels: the head's shape against plain white.
#
# ### Before or after shrinking
#
# Cameras take millions of pixels, and 4096 are released. Take the modulus of the small picture (`downsample="first"`), or
# take it of the large one and average the moduli (`"last"`)? It sounds like the same thing. It is not, and a line of
# maths says which way. Shrinking is averaging, $A$; a derivative is linear, so it may pass through an average; a length may
# not, and by the triangle inequality
#
# $$\lVert A \, g \rVert \le A \lVert g \rVert .$$
#
# On the left gradients of opposite sign cancel, on the right they add up. Two sides of one hair are such a pair. (Sobel on the
# small picture averages over a somewhat wider window than $A$, so take the line as the reason, and the numbers as the proof.)

# %%
order = {"small first": (sobel, 64), "small last": (Operator(downsample="last"), 64)}
for portrait in (head, photograph):
    first, last = (detector.released(portrait.picture, op, 64) for op, _ in order.values())
    print(f"{portrait.name}: last is more in all, over 1.4 times: {last.sum() / first.sum() > 1.4}")
style.show(
    figures.strip([head, photograph], order, lambda m: f"mean {m.mean():.3f}"),
    alt="Both heads with the operator on the small picture and on the large one. Last has about twice the mean and is "
    "far clearer: the astronaut's smile, teeth and eyes, a smudge when shrunk first, are a neat little portrait.",
)

# %% [markdown]
# So "last" tells *more*, and you need no detector to see it: look at the smile. A mean of moduli still says where there
# was fine structure below the released pixel, and eyes and lips are just that. What was said above about size, that what is
# averaged can't be had back, holds for "first" alone. Besides, what training can render cheaply is the modulus of the small
# picture. Both reasons point to "first", which is the default. One word in the settings, and 64 pixels are no longer 64 pixels.
#
# What all of these choices do to the reconstructed shape is a question for the loss that compares moduli:
# [lesson 4](04_gradient_loss.ipynb). Here we stay with the other side of the scales, privacy, and ask a machine.
#
# ## 5. What a face detector still sees
#
# In the paper, seven recognition systems know 91.67 % of the original pictures and 6.05 % of the protected ones. Before a
# recogniser compares anything, most pipelines look for a face: no face found, nobody recognised. So let us start there, with a
# detector from the years before deep networks. It slides a window over the picture and asks, in many small steps, whether
# blocks are brighter or darker than their neighbours (*local binary patterns*). It comes with scikit-image. We show it
# photos, and moduli drawn in two ways: the modulus as it is, light lines on black, and the negative of that, dark lines on
# white. A frame is what it calls a face; a cross says that it found none.

# %%
style.show(
    figures.found([*fronts[:3], photograph, backs[0]], sobel, (256, 64)),
    alt="Five columns: three made heads, the astronaut, the back of a made head. Five rows: photos, then moduli at 256 and at "
    "64 pixels with light lines and with dark lines. The detector frames all four faces in the photos. With light lines it "
    "finds none. With dark lines it frames all four at 256 pixels and the three made heads at 64 pixels. From behind it "
    "finds nothing anywhere.",
)

# %% [markdown]
# Compare the second row with the third. They hold *the same numbers*. A modulus has no colour of its own; "light on black" is
# merely how plotting libraries draw large numbers. To anyone with a release, drawing it the other way is one minus sign. And
# that minus sign is all that stands between "no face found" and "found". A detector that learned from photos knows that eyes and
# mouths are darker than skin. In a modulus they are where it is *large*.
#
# One detector, four faces: that is an anecdote. How many faces make a fact?
#
# ### How sure are we?
#
# If $k$ of $n$ faces are found, $\hat p = k / n$ is an estimate. Wilson's interval collects all true shares $p$ for which $\hat
# p$ is no surprise: no further off than $z = 1.96$ of its standard deviations *at that p*,
#
# $$(\hat p - p)^2 \le z^2 \, \frac{p (1 - p)}{n}
# \quad \Longleftrightarrow \quad
# \left(1 + \tfrac{z^2}{n}\right) p^2 - \left(2 \hat p + \tfrac{z^2}{n}\right) p + \hat p^2 \le 0 .$$
#
# A quadratic; its two roots are the ends. Twelve made people are stored with the course, from the front and from behind.
# A box counts as *found* only if the nose is near its middle; from behind, any box is a *false alarm*. We look at all
# of them, now, on your machine.


# %%
def ends(found, tried, z=1.96):
    """Wilson's interval from its quadratic."""
    share, spread = found / tried, z * z / tried
    return np.sort(np.roots([1 + spread, -(2 * share + spread), share**2]))


for found, tried in ((4, 4), (0, 10), (0, 40), (36, 40)):
    low, high = ends(found, tried)
    same = np.allclose([low, high], detector.wilson(found, tried)[1:3], atol=1e-4)
    print(f"{found:>2} of {tried:<2}: {low:.0%} to {high:.0%}   the package says so, too: {same}")
for lines in detector.LINES:
    seen, alarms = (detector.count(sobel, 256, lines, who) for who in (fronts, backs))
    print(f"{lines} lines: found in over half: {seen > 6}; alarms in under a third: {alarms < 4}")

# %% [markdown]
# Four of four may be half of all. And *none of forty* may still be one in eleven. Remember that when somebody shows you a
# protection that was never broken, in ten tries.
#
# Forty people, all operators, several sizes: that took some minutes, once, by `python benchmarks/studies/detector.py`, and
# is stored in `benchmarks/results/detectors.json`. First Sobel over the size of the release. The detector gets every
# picture enlarged to 256 pixels, so a coarse release is soft, not small.

# %%
rates = detector.rates()  # a row for each operator, way of drawing, and size


def words(row):
    low, high = ends(row.found, row.tried)
    return f"{row.found} of {row.tried} ({100 * low:.0f} to {100 * high:.0f} %)"


for lines in detector.LINES:
    at = [f"{size} px {words(rates.loc['sobel', lines, size])}" for size in (256, 64, 32)]
    print(f"sobel, {lines} lines: " + "; ".join(at))
style.show(
    figures.by_size(),
    alt="Two panels over pixels a side, with intervals. Left, from the front: photos are found in nearly all heads, at 16 "
    "pixels in seven of eight; dark lines in nine of ten at 256 pixels, three of four at 64, fewer than half at 32 and 24, and "
    "more again at 16; light lines in one of eight at most. Right, from behind: no alarms for photos and light lines; dark "
    "lines alarm in one of seven or eight heads at 64 and above, in a third at 48 and 32, and in most at 24 and 16.",
)

# %% [markdown]
# Read it in three steps. **Photos** are found at every size, even at 16 x 16: a small picture of a face is still a picture of a
# face. **Dark lines** are found in nine of ten heads at 256 pixels and still in three of four at 64, which is the paper's size;
# **light lines**, the same numbers, in hardly any. Whoever tests protected pictures with a detector should say how they were drawn.
#
# And now look right before you read on at the left. Below 64 pixels the rate falls, and then it *rises*. Are 16 pixels less private
# than 32? That does not follow: at 16 the detector finds a "face" in the *back* of five heads of six, too. A dark outline around a bright oval is
# all that it still asks for. Where alarms are as frequent as finds, "found" has stopped to mean anything, and without the right
# half of the figure nobody would have noticed. Even at 64 pixels and above one back in seven or eight gives an alarm: part of what
# we called "found" may be luck.
#
# Now the operators, at two sizes.

# %%
for name in ("sobel", "sobel, 16 levels", "sobel, 4 levels", "sobel, noise 0.2"):
    at = rates.loc[name, "dark", 64]
    print(f"{name}, dark lines, 64 px: {words(at)}; alarms {at.alarms}")
orders = {"first": sobel, "last": Operator(downsample="last")}
seen = {name: detector.count(operator, 32, "dark", fronts) for name, operator in orders.items()}
print("twelve people, 32 px: small last is found more often:", seen["last"] > seen["first"])
style.show(
    figures.by_operator(),
    alt="A row for each operator and setting, at 256 and at 64 pixels, with Wilson intervals. All seven kinds with dark lines "
    "lie near nine tenths at 256 pixels and between three and four fifths at 64, and overlap; with light lines they lie below a "
    "fifth. Noise of 0.2 and four levels bring dark lines far down. Crosses for false alarms stand near a sixth for most, "
    "higher at 64 pixels for wide kernels, at zero for rounded moduli, and far above the finds for a blur of 2 at 64 pixels.",
)

# %%
astronaut = {n: detector.released(photograph.picture, op, 64) for n, op in orders.items()}
met = {n: detector.finds(photograph, detector.drawing(m)) for n, m in astronaut.items()}
print("the photograph, 64 px:", ", ".join(f"small {n} found: {found}" for n, found in met.items()))

# %% [markdown]
# - **The kind hardly matters.** The intervals of all seven overlap, at both sizes. Section 3 said so from the pictures.
# - **Luma hardly matters**, either.
# - **Blur and wide kernels** at 64 pixels bring finds down and alarms up, and light lines begin to be found, too. After a blur of 2
#   the detector fires at more backs than faces: it no longer knows what it sees. (You still do; look at the strip in section 4.)
# - **Noise works**: at 64 pixels 0.05 brings 30 of 40 down to 18, and 0.2 to 5. But 0.05 is about the made head's mean modulus, and
#   0.2 three to four times that. Most of what is released is then noise, and [lesson 4](04_gradient_loss.ipynb) has to fit it.
# - **Levels are a surprise.** Four of them hide most faces. Sixteen hide few, and all false alarms are gone: rounding has wiped
#   out faint texture, and that was, it seems, what fooled the detector. A "protecting" step has made the attacker's answers
#   *cleaner*.
# - **"Small last"** is found at 32 pixels where "small first" often is not, and at 64 even the photograph is found. The order of
#   two steps counts more than the choice among seven operators.
#
# ### What "not found" does not mean
#
# - *Not detected is not recognisable.* You can recognise a friend in a drawing that no detector reacts to; a
#   recogniser can be given a face that a person has cut out by hand. Detection is the first step of one pipeline.
# - *A detector is one detector.* This one is small and was trained on photos. Others, larger ones, or ones trained on moduli
#   (anybody can make millions of them from public photos), find more. A rate that is measured is a **lower** bound of what an
#   attacker can find.
# - *Attackers choose.* They draw light *and* dark, blur, enlarge, and keep what works. So read the best line of a
#   figure, not the mean.
# - *Our faces are made*: from the front, in studio light, on white. That is easier than life, on both sides.
#
# And it works the other way round, too: a box is not a name. That a machine sees *a* face in a release is no surprise, since the
# method needs one there. The paper's claim is about *whose*.
#
# ### The desk
#
# Choose a head, an operator and its settings: you see the modulus as the detector sees it, what it says, and the modulus'
# histogram. Try to lose it, with as little damage as you can; then flip `lines`. Below the panel are four
# settings for readers without a running kernel: one head with light and with dark lines, and the photograph through
# Scharr, with all levels and with four. The detector loses the last one. Did you?

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for setting in panel.TWIN:
    verdict = panel.picture(**setting).facts.split(";")[0]
    levels = setting["levels"] or "all"
    print(f"{setting['who']}, {setting['lines']} lines, {levels} levels: {verdict}")

# %% [markdown]
# ## 6. Releases written badly
#
# Operators get all the attention, and folders do the leaking. The strongest operator is worth nothing if
# `sensitive/view_0004.png` carries `Source: IMG_2044.jpg` in its text chunk, or if a thumbnail hangs behind the last
# byte of the picture, where no viewer shows it.
#
# ### Exercise 0304 (middle): find the leak
#
# Write a function that takes a release's folder and gives the set of names (as seen from the folder, such as
# `"neutral/view_0021.png"`) of all files that don't belong there or hold too much. Four rules:
#
# 1. The folder holds `release.json`, `manifest.json`, and pictures `view_0000.png` (four digits) in `neutral/`,
#    `sensitive/` and `mask/`. Nothing else.
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
# Your function is a *test*, and that is what it is for: the package plants markers of a dozen kinds into a scene, protects it,
# and searches every byte of the release for them, on every change of the code (`tests/test_release.py`). A leak that
# nobody looks for is a leak.
#
# ## 7. Fool the detector, and lose nothing
#
# ### Exercise 0305 (hard): a perfect disguise
#
# Section 5 ended with a warning; now prove it. Write `disguised(modulus, undo=False)` for a torch tensor `(H, W)`, such that
#
# - the detector finds the face in at most 1 of the 12 stored people, with light lines and with dark ones, also after the
#   attacker has blurred the drawing by 2 pixels; and in at most 4 when the attacker lays the drawing in all seven other ways,
#   turned by quarters and mirrored (seven more looks bring more lucky hits);
# - **nothing is lost**: `disguised(disguised(m), undo=True)` is `m` again, at 256 and at 64 pixels;
# - it fits into a release: same shape, values in $[0, \text{peak}]$ of Sobel;
# - gradients flow: a loss on the disguised modulus feels every pixel, so that training could go on as if nothing were.
#
# A flip of the sign only trades light lines for dark ones. Fine grids fall to the blur, and a head on its side to
# the turning. There are many ways, and some need only a few lines. When it passes, ask yourself what your operator *protects*.


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
# Ours cuts the modulus into tiles and lets them change places, always in the same order. It holds every number of the face, and
# the detector's rate is near zero: the best score of this lesson, and no protection at all, since the order must be written into
# the release for training to use it. (A secret order would be a *key*, and whoever trains would need the key.)
#
# That is the thought to take home. **A detector's failure is a fact about the detector.** Protection is a fact about what can
# be computed from the release, by anybody, with any amount of patience. [Lesson 6](06_irreversibility.ipynb) asks that
# question: how much of the picture does a modulus still determine?
#
# ## What to remember
#
# - The boundary is one function and one type. What has no field can't be released by mistake.
# - Files are made anew from numbers, never cleaned. The manifest finds accidents; only a signature finds forgers.
# - Equation 6 forgets constants, signs and turns of colour; it keeps contrast and outlines.
# - The kind of the operator hardly matters. What shrinking averages away is gone, but only with "small first".
#   `border="zero"` leaks brightness.
# - Scales, seeds and maxima are facts, too: release those of the operator, never those of the picture.
# - "Not detected" depends on how one draws. Give $n$, an interval and the false alarms; then say what it does not mean.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a release holds no sensitive colours, names or metadata | section 1, `tests/test_release.py` |
# | training refuses a scene | section 1, `tests/test_training.py` |
# | the manifest finds careless edits, not forgers | section 1 |
# | our modulus is the package's | section 2, exercise 0301, `tests/test_operators.py` |
# | cut noise lifts by 0.4 sigma; the seed takes it off | section 4, `tests/test_lesson_03.py` |
# | zeros at the border leak the rim's colour | exercise 0303 |
# | the modulus of an average is no more than the average modulus | section 4, measured |
# | a detector that finds no face in light lines finds it in dark ones | section 5, `benchmarks/results/detectors.json` |
# | "not found" can go with "nothing lost" | exercise 0305 |
# | what an operator does to the reconstruction | **not measured here**: lesson 4 |
#
# **Read on**: `privhead_nb/privacy/operators.py` for every kernel; `docs/release.md` for what a release does and does not
# promise; [4, the gradient loss](04_gradient_loss.ipynb), which trains on what you released;
# [6, irreversibility](06_irreversibility.ipynb), which tries to get the face back. Further: Viola and Jones, *Rapid object
# detection using a boosted cascade of simple features* (2001); Ahonen, Hadid and Pietikäinen, *Face description with local
# binary patterns* (2006); Wilson, *Probable inference* (1927); Brown, Cai and DasGupta, *Interval estimation for a binomial
# proportion* (2001).

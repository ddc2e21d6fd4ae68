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
# # 4. The gradient loss
#
# **You will be able to** write the gradient loss and the loop that descends by it, train a small head on moduli alone,
# say which changes of a picture the loss cannot see and how far off a picture may be for it to help, derive its
# gradient by hand, and name the situations in which it fails, with a picture of each.
#
# **You should know** convolutions, the chain rule, what a gradient modulus is
# ([03, protecting operators](03_protecting_operators.ipynb)), and how weights come from a density
# ([01, volume rendering](01_volume_rendering.ipynb)).
#
# **Time**: 100 minutes of reading and writing, 45 more for the last exercise; computing takes about a minute.
#
# **Equations of the paper**: 5 (the gradient loss) and 6 (the modulus), beside 2 (the colour loss); 1
# (compositing) on the way to the shape.

# %%
import math

import torch
from IPython.display import display
from matplotlib.patches import Rectangle
from torch import nn
from torch.nn import functional as F

from privhead_nb import Reconstruction, Release, evaluate, load_scene
from privhead_nb.kernels import gradient_loss as package
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson04 import figures, landscape, panel
from privhead_nb.training.batches import patch_weights
from privhead_nb.viz import style

scene, release = load_scene(SAMPLES / "scene"), Release.load(SAMPLES / "release")
head = Reconstruction.load(SAMPLES / "reconstruction")
VIEW = panel.FRONT  # a sensitive view, from the front
photo = scene.images[VIEW]  # its owner has it; training never sees it

# %% [markdown]
# ## 1. Equation 5, by hand
#
# Stage 2 of the method renders a sensitive view and asks: do the colours of *my* picture change as fast, in the
# same places, as those of the photo did? It can't ask more than that, since how fast they changed is all that was
# released:
#
# $$\mathcal L_\text{grad} = \text{mean} \; \bigl| \, \lVert \hat g \rVert - \lVert g \rVert \, \bigr|
# \quad (5), \qquad
# \lVert g \rVert = \left\lVert \frac{\partial c}{\partial x} \right\rVert_2 +
# \left\lVert \frac{\partial c}{\partial y} \right\rVert_2 \quad (6)$$
#
# Read it from the inside to the outside. A derivative along $x$ gives three numbers at a pixel, one for each
# colour channel. Their *length* is taken, and so the direction in colour space is gone. The same along $y$. The
# two lengths are added. Only then are rendering and photo compared, by an absolute difference, and averaged. The
# order matters: everything that a length forgets, the loss can never ask for.
#
# ### Exercise 0401 (solid, 20 min): the gradient loss on patches
#
# The modulus at a pixel is made of its *neighbours*, so training renders small squares, **patches**. Write equation 6
# for P of them, colours last, without padding, by Sobel's kernel (given along $x$; its transpose goes along $y$), as
# you did for one picture in lesson 03; then equation 5. PyTorch's `F.conv2d` wants colours before rows and columns,
# and convolves each plane by itself if there is one plane in each item of the batch.
#
# One trap is new. We shall *differentiate* this. A length is a cone, and its tip has no slope: where a patch is
# perfectly even, the slope of the root of a sum of squares is 0 divided by 0. Put $10^{-12}$ under each root. All
# sections below use your two functions.
#
# The check's cell then takes one whole view as one large patch. The rendering comes from the reconstruction that is
# stored with this course. "An empty picture" is one without any line, say all white: its modulus is 0, so its loss is
# the mean of the target. We shall measure losses in that unit, for a reason that comes in section 4.


# %% tags=["exercise"]
SOBEL = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # along x


def modulus(patches):
    """Equation 6 of patches (P, k, k, 3): (P, k - 2, k - 2)."""
    ### BEGIN SOLUTION
    planes = patches.movedim(-1, 1)
    kernels = torch.stack([SOBEL, SOBEL.T])[:, None]
    g = F.conv2d(planes.flatten(0, 1)[:, None], kernels).unflatten(0, planes.shape[:2])
    return (g.square().sum(dim=1) + 1e-12).sqrt().sum(dim=1)
    ### END SOLUTION


def gradient_loss(patches, moduli):
    """Equation 5 of patches (P, k, k, 3) and their released moduli (P, k - 2, k - 2): a scalar."""
    ### BEGIN SOLUTION
    return (modulus(patches) - moduli).abs().mean()
    ### END SOLUTION


# %% tags=["tolerance-2"]
checks.ex0401(gradient_loss)
shown = head.render(release.cameras, VIEW).colour
target = release.moduli[VIEW, 1:-1, 1:-1]  # a pixel at the border has no neighbours
ours, kernels = modulus(shown[None])[0], release.operator.kernels()
found = {
    "your loss": gradient_loss(shown[None], target[None]),
    "the package's": package.gradient_loss(shown.movedim(-1, 0)[None], target[None], *kernels),
    "that of an empty picture": gradient_loss(torch.ones_like(shown)[None], target[None]),
}
for name, loss in found.items():
    print(f"{name:<25} {loss.item():.5f}")

rows = [[photo, shown, target, ours, (ours - target).abs()]]
titles = [
    "the photo",
    "its rendering",
    "modulus of the photo",
    "modulus of the rendering",
    "difference",
]
drawn = {
    "bar": "modulus, colour per pixel",
    "cmap": "gray_r",
    "vmax": float(target.quantile(0.995)),
}
style.show(
    style.images(rows, titles, width=13, **drawn),
    alt="Five pictures in a row. A photo of a dark brown face with grey hair on white; a rendering of the same "
    "head in other colours; the two moduli as line drawings, nearly alike; and their difference, almost "
    "white, with faint marks at eyes, mouth and hairline.",
)  # fmt: skip

# %% [markdown]
# Look at the second picture. The head is the right one and its colours are wrong: nobody told the colour network
# which it had. The loss is small all the same, and section 3 tells why it must be.
#
# ## 2. Why patches, and which
#
# Stage 1 draws single pixels, a thousand of them, scattered over all of its views. That is what one wants, for
# neighbouring pixels tell much the same. Stage 2 can't do it, since a lone ray has no neighbours. And the outermost
# ring of each patch is spent: those rays are rendered, and differentiated, only to be somebody's neighbours.
#
# ### Exercise 0402 (first steps, 10 min): what the border costs
#
# Given the side of a patch, the side of the kernel (odd), and a budget of rays a step: how many *whole* patches can
# be rendered, how many pixels do they compare in all, and which share of a patch's rays serves as neighbours only?


# %% tags=["exercise"]
def patch_count(patch, kernel, rays):
    """Patches, compared pixels in all of them, and the share of rays that are not compared."""
    ### BEGIN SOLUTION
    patches = rays // patch**2
    inner = patch - kernel + 1
    return patches, patches * inner**2, 1 - inner**2 / patch**2
    ### END SOLUTION


# %%
checks.ex0402(patch_count)
for side in (3, 10, 32):
    patches, compared, border = patch_count(side, 3, 1024)
    print(f"side {side:>2}: {patches:>3} patches compare {compared} pixels,", end=" ")
    print(f"{border:.0%} of the rays are neighbours only")

# %% [markdown]
# If borders were all, one would take a single huge patch. But a thousand rays in one square see one corner of one
# view, and most of a view is white. So patches are drawn *where the modulus has signal*: `patch_weights` in
# `privhead_nb/training/batches.py` gives every place a weight, the mean modulus within the patch, and adds a
# twentieth of the average to all, so that no place is never looked at. (Why not? A line that the rendering shows
# where the photo has none would never be removed.)
#
# Two things are worth a pause. *Drawing by signal changes the loss.* A pixel on a line is drawn more often than one
# on white, and nobody divides that out again; what stage 2 minimises is an average that is weighted by signal, not
# the plain mean of equation 5. And *the outermost ring of a picture is never compared*, in no patch. So the rule for
# borders ([03](03_protecting_operators.ipynb)) decides what is released there, and nothing about training.
#
# How large should a patch be? Small ones lie on the lines but waste rays, large ones waste few but take in white. The
# product of both shares is how many useful pixels a ray gives.


# %%
def drawn_patches(moduli, side, count=10):
    """Where the patches of a step are, drawn by signal and evenly; orange pixels are compared."""
    figure, (axes,) = style.grid(1, 2, width=8, height=3.7)
    by_signal, random = patch_weights(moduli[None], side)[0], torch.Generator().manual_seed(4)
    for ax, way in zip(axes, ("by signal", "evenly"), strict=True):
        style.image(ax, moduli, f"{count} patches, drawn {way}", cmap="gray_r", vmax=0.8)
        weights = (by_signal if way == "by signal" else torch.ones_like(by_signal)).flatten()
        for at in torch.multinomial(weights, count, replacement=True, generator=random).tolist():
            y, x = divmod(at, len(by_signal))
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), side, side, fill=False, ec=style.BLUE))
            inner = (x + 0.5, y + 0.5), side - 2, side - 2
            ax.add_patch(Rectangle(*inner, fc=style.VERMILLION, alpha=0.35))
    figure.colorbar(axes[1].images[0], ax=axes, label="modulus, colour per pixel", shrink=0.8)
    return figure


def useful(patch):
    """Share of compared pixels with signal, of patches that are drawn by signal and evenly."""
    places = patch_weights(release.moduli, patch)  # how often a patch is drawn at each place
    inner = (release.moduli > 0.05).float()[:, None, 1:-1, 1:-1]
    share = F.avg_pool2d(inner, patch - 2, 1)[:, 0]
    return (places * share).sum() / places.sum(), share.mean()


even = (release.moduli < 0.005).float().mean()
print(f"{float(even):.0%} of the released pixels have hardly any modulus")
display(
    style.show(
        drawn_patches(release.moduli[VIEW], 10),
        alt="Left, a line drawing of a head with ten squares on its lines; each has an outer ring that is not "
        "filled. Right, the same with ten squares drawn evenly, of which some lie on white.",
    )
)

# %%
sides = torch.tensor([3, 4, 6, 8, 10, 12, 16, 24, 32])
kept = torch.tensor([1 - patch_count(int(side), 3, 1024)[2] for side in sides])
by_signal, evenly = torch.tensor([useful(int(side)) for side in sides]).T
worth, even = kept * by_signal, kept * evenly  # useful pixels a ray
for side in (4, 10, 24):
    here = [float(x[sides == side]) for x in (worth, even)]
    print(f"side {side:>2}: {here[0]:.2f} useful pixels a ray by signal, {here[1]:.2f} evenly")
figure, ((left, right),) = style.grid(1, 2, height=3.4)
names = ["have signal, drawn by signal", "have signal, drawn evenly"]
series = {names[0]: by_signal, names[1]: evenly, "rays that are compared": kept}
style.curves(left, sides, series, marks=True, ylim=(0, 1.3), xlabel="side of a patch, pixels")
left.set_ylabel("share")
series = {"drawn by signal": worth, "drawn evenly": even}
style.curves(right, sides, series, marks=True, ylabel="useful pixels a ray: the product")
right.set(ylim=(0, 0.45), xlabel="side of a patch, pixels")
right.axvline(10, color="0.55", ls=":")
right.text(10.4, 0.02, "the package's 10", fontsize=8, color="0.35")
style.show(
    figure,
    alt="Left, three curves over the side of a patch: the share of compared rays rises from 0.1 to 0.9; the "
    "share of those with signal falls from 0.8 to 0.4 where patches are drawn by signal, and rises from 0.2 to "
    "0.4 where they are drawn evenly. Right, the products: drawn by signal it rises steeply up to a side of 8 "
    "and slowly beyond; drawn evenly it stays far below until the patches are very large.",
)

# %% [markdown]
# Beyond ten or so the curve is nearly flat, and every further pixel of the side is paid for in variety: ten patches
# of side 10 see ten places, one patch of side 32 sees one. (That drawing evenly catches up at large sides has a dull
# reason: a large patch does not fit anywhere but around the middle, where the head is.) Hence the package's
# `patch=10` and `patches=10`.
#
# ## 3. What the loss cannot see
#
# Before we ask how a loss falls, let us ask where it does not move at all. Let every colour of a picture go through
# one and the same map $c \mapsto A c + b$ with a 3 x 3 matrix $A$. A derivative loses the $b$ and pulls $A$ out, and so
# $\lVert \partial (A c + b) / \partial x \rVert = \lVert A \, \partial c / \partial x \rVert$. For which $A$ is that
# $\lVert \partial c / \partial x \rVert$, for *every* picture?
#
# ### Exercise 0403 (solid, 20 min): prove it by a picture
#
# Which maps $c \mapsto A c + b$ are free? Write a function that is given $A$ and $b$ (tensors of shapes `(3, 3)` and
# `(3,)`). If the map keeps the modulus of every picture, give `None`. If it does not, give a *proof*: a picture
# `(H, W, 3)` with colours in [0, 1], at least 3 x 3 pixels, whose mean modulus (Sobel, no padding) changes by over
# 0.1 %. A rule that is right for $-1$ and for a shear may still be wrong; the check knows a few of those. And one
# picture does not serve all maps: the check makes a map that the last picture does not show.


# %% tags=["exercise"]
def disprove(A, b):
    """None if c -> A c + b keeps every modulus, else a picture (H, W, 3) that shows it does not."""
    ### BEGIN SOLUTION
    del b  # a derivative loses it
    _, lengths, directions = torch.linalg.svd(A)
    worst = int((lengths - 1).abs().argmax())
    if abs(lengths[worst] - 1) < 1e-5:
        return None
    ramp = torch.linspace(-0.5, 0.5, 8)[None, :, None]  # colours change along x only,
    return (0.5 + ramp * directions[worst]).expand(8, 8, 3)  # in the most stretched direction
    ### END SOLUTION


# %%
checks.ex0403(disprove)

# %% [markdown]
# Six maps, and for each: your verdict, what the map does to your proof, and what both losses say of the *photo* after
# it. Where your function says free, the gradient loss must be 0.

# %% tags=["tolerance-2"]
one, none = torch.eye(3), torch.zeros(3)
turn = torch.matrix_exp(torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 0.7)
maps = {
    "darker": (one, none - 0.2),
    "negative": (-one, none + 1),
    "swapped": (one.flip(0), none),
    "turned": (turn, 0.5 - turn @ (none + 0.5)),
    "half contrast": (0.5 * one, none + 0.25),
    "no blue": (torch.diag(torch.tensor([1.0, 1, 0])), none),
}
own, changed = modulus(photo[None]), {name: photo @ A.T + b for name, (A, b) in maps.items()}
for name, (A, b) in maps.items():
    proof, verdict = disprove(A, b), "free"
    if proof is not None:
        before, after = (float(modulus(p[None]).mean()) for p in (proof, proof @ A.T + b))
        verdict = f"not free: a mean of {before:.3f} becomes {after:.3f}"
    loss = float(gradient_loss(changed[name][None], own) / own.mean())
    rgb = float((changed[name] - photo).abs().mean())
    print(f"{name:<13} gradient loss {loss:.2f}, RGB loss {rgb:.2f}; {verdict}")
style.show(
    style.images([[photo, *changed.values()]], ["the photo", *changed], width=13),
    alt="The same head seven times: as it is, darker on grey, as a negative on black, with a blue face, with a "
    "greenish one, with half the contrast on light grey, and without blue on yellow.",
)  # fmt: skip

# %% [markdown]
# The loss is constant for every picture if, and only if, $A$ keeps all lengths: if it is a rotation or a reflection of
# colour space. An offset is free, the negative is free ($A = -1$), swapped channels are free, and so is turning all
# colours about grey. Six continuous directions in all, three of $b$ and three of the rotation, along which the loss is
# not just flat *near* the truth, but exactly constant.
#
# The first five pictures are *equally good* to this loss. For privacy that is worth less than it seems: who
# recognises a person from the modulus gives all five one name ([06, irreversibility](06_irreversibility.ipynb)). For
# training it means that chance decides what the loss can't see.
#
# ## 4. The landscape
#
# Now take the photo itself, move it a little, and compare it with where it stood. All its lines are right, and only
# their place is wrong: a clean measure of what either loss makes of a picture that is off. Both are in units of an
# empty picture: the dotted line is what one gets by showing nothing. A ring marks a **minimum**, a place at which
# descent comes to rest.


# %% tags=["tolerance-2"]
def losses_of(pictures, still):
    """Both losses of pictures (n, H, W, 3) against one, as multiples of an empty picture's."""
    wanted = modulus(still[None])
    gradient = torch.stack([gradient_loss(p[None], wanted) for p in pictures]) / wanted.mean()
    rgb = (pictures - still).abs().mean((1, 2, 3)) / (1 - still).abs().mean()
    return {"gradient loss": gradient, "RGB loss": rgb}


shifts, scales = torch.arange(-16.0, 17.0), torch.linspace(0.7, 1.4, 36)
contrasts, offsets = torch.linspace(-1.5, 1.5, 31), torch.linspace(-0.5, 0.5, 21)
found = {
    "shift, pixels": (shifts, losses_of(landscape.moved(photo, shifts), photo)),
    "scale": (scales, losses_of(landscape.moved(photo, scale=scales), photo)),
    "contrast": (contrasts, losses_of(0.5 + contrasts.view(-1, 1, 1, 1) * (photo - 0.5), photo)),
    "offset": (offsets, losses_of(photo + offsets.view(-1, 1, 1, 1), photo)),
}
widths = {n: landscape.half_width(shifts, x) for n, x in found["shift, pixels"][1].items()}
for name, width in widths.items():
    three = float(found["shift, pixels"][1][name][19])
    print(f"{name}: half-width {width:.1f} pixels; three pixels off it is {three:.2f}")
style.show(
    figures.both_losses(found),
    alt="Four panels with both losses. Shift: the RGB loss is a wide V, the gradient loss a narrow funnel that "
    "crosses the level of an empty picture at about two pixels and goes on to 1.7. Scale: likewise. "
    "Contrast: the RGB loss has one V at 1, the gradient loss is a W with rings at 1 and -1 and its top at 0. "
    "Offset: the RGB loss is a V, the gradient loss is zero throughout.",
)

# %% [markdown]
# Each panel has its own lesson.
#
# *Shift and scale.* A photo is a blob, and two blobs that overlap get better the more they overlap: the RGB loss feels
# a pull from ten pixels away. A modulus is a *drawing*. Two thin lines either lie on each other or they don't. Once
# they don't, moving them changes little, and the curve is nearly level. The steep hollow around the truth is the
# *funnel* of a loss, and the distance at which the loss has half of its largest value (within the sixteen pixels that
# we look at) is its *half-width*. Nearly level is not level: from fourteen pixels away, downhill still leads home, on
# a slope a twentieth as steep. It would take little, a few patches instead of a whole view, or some noise, to hide it.
#
# *Contrast.* The modulus of $a c$ is $|a|$ times that of $c$, so the loss is exactly $\bigl| |a| - 1 \bigr|$:
# photo and negative are two minima with a hill between them. A colour network that starts on the wrong side of that
# hill will not climb it; it has no reason to.
#
# *Offset.* Flat, exactly.
#
# And the plateau is *above* the dotted line. That is the most important thing on this page, and section 5 is about it.
# First the same in two directions.
#
# So far the whole picture moved, and most of the loss came from its outline. But stage 2 looks at patches, and what
# it is to find out lies *inside* the face. Let us look through a window that shows eyes, nose and mouth and no
# outline at all, and move the face downwards behind it.

# %%
axis = torch.arange(-12.0, 13.0)
rows = [losses_of(landscape.moved(photo, axis, down), photo) for down in axis]
maps = {name: torch.stack([row[name] for row in rows]) for name in ("RGB loss", "gradient loss")}
for name, losses in maps.items():
    places = [(int(axis[x]), int(axis[y])) for y, x in landscape.minima(losses)]
    print(f"minima of the {name} at (right, down):", places)
display(
    style.show(
        figures.maps(axis, maps),
        alt="Two maps over the shift in both directions. The RGB loss is one wide oval bowl with one ring in the "
        "middle. The gradient loss has a small dark bowl of a few pixels in the middle of a high, nearly even plain, "
        "and a second ring in a fainter upright valley below it.",
    )
)

seen = landscape.moved(photo, 0.0, axis)
window = seen[:, 28:46, 26:38]
inside = losses_of(window, window[12])
# an empty window, for the RGB loss, is one that shows its own mean colour
empty = (window[12] - window[12].mean((0, 1))).abs().mean()
inside["RGB loss"] = (window - window[12]).abs().mean((1, 2, 3)) / empty
for name, losses in inside.items():
    places = [int(axis[i]) for (i,) in landscape.minima(losses)]
    print(f"inside the face, minima of the {name} at {places} pixels")
whole = losses_of(seen, photo)
style.show(
    figures.both_losses(
        {"all of it moved down, pixels": (axis, whole), "inside the face": (axis, inside)}
    ),
    alt="Both losses over a shift downwards. Of the whole picture both rise to both sides of 0; the gradient loss "
    "has a second ring at 8 pixels. Inside "
    "the face both have a sharp minimum at 0, rise within a pixel or two, and then go up and down, with more rings.",
)

# %% [markdown]
# In the map, the upright valley is the outline: a head that is moved up or down keeps its two sides where they were.
# The gradient loss has a second, shallow minimum in it, where the head is eight pixels too low.
#
# Inside a face, *neither* loss has a clear way home: a brow fits a lid, a lip fits a nostril. That is no weakness of
# moduli alone. Either loss has to start within a couple of pixels.
#
# ### What blur does
#
# A wider line meets its partner from further away. Blurring before the derivative, which
# [03](03_protecting_operators.ipynb) discusses as a protection, widens the funnel, too:

# %% tags=["tolerance-2"]
moved, blurred = landscape.moved(photo, shifts), {}
for blur in (0.0, 1.0, 2.0, 3.0):
    all_moduli = landscape.moduli(moved, blur)
    still = all_moduli[16]
    blurred[blur] = (all_moduli - still).abs().mean((1, 2)) / still.mean()
half = {blur: landscape.half_width(shifts, losses) for blur, losses in blurred.items()}
for blur, width in half.items():
    print(f"blur of {blur:g} pixels: half-width {width:.1f} pixels")
figure, ((left, right),) = style.grid(1, 2, height=3.2)
series = {f"blur {blur:g}": losses for blur, losses in blurred.items()}
style.curves(left, shifts, series, ylabel="gradient loss; 1 = an empty picture")
left.axhline(1, **figures.EMPTY)
left.set_xlabel("shift, pixels")
series = {"gradient loss": list(half.values()), "RGB loss, not blurred": [widths["RGB loss"]] * 4}
looks = list(figures.LOOKS.values())  # colour, mark and dash of each loss
style.curves(right, list(half), series, marks=True, looks=looks, ylim=(0, 8))
right.set(xlabel="sigma of the blur, pixels", ylabel="half-width, pixels")
style.show(
    figure,
    alt="Left, the gradient loss over a shift for four widths of blur: the funnel gets wider and smoother, "
    "and its rim lower. Right, its half-width over the blur: it rises from under two pixels to three and then "
    "hardly any more, and stays far below that of the RGB loss.",
)

# %% [markdown]
# It has a price: what a blur smears, this loss does not bring back, and fine lines tell a lip from a chin. And the
# top comes nearer: after a blur of 3 the loss falls again beyond ten pixels, and downhill leads further *away*. To go
# from much blur to none during training would have both. But the release holds one blur, chosen by its owner, and
# what was blurred before release can't be sharpened for the last steps.
#
# ## 5. Better to show nothing
#
# Back to the dotted line. The photo three pixels off has a *larger* loss than a white sheet. No wonder: where the
# target has a line and we have none, we pay its strength. Where *we* have a line and the target has none, we pay
# again. A misplaced line pays twice, an absent one once. In equation 5 to be silent is better than to be wrong.
#
# Now think of the colour network. Say that it leaves lines where the shape puts them (section 8 will take that back).
# It can still make them *fainter*, and that takes but a few steps. What contrast $a$ would it like best? We want the
# $a \ge 0$ that makes $\sum_i | a \hat m_i - m_i |$ smallest, where $\hat m$ is our modulus at full contrast. Write
# it as $\sum_i \hat m_i \, | a - m_i / \hat m_i |$: a sum of distances from $a$ to known numbers, each with a weight.
# You have met the minimiser of such a sum before, when all weights were 1.
#
# ### Exercise 0404 (solid, 20 min): the best contrast
#
# Write it: `own` and `target` are moduli of one shape, both non-negative. Where `own` is 0, a contrast changes
# nothing. The answer can be had exactly, with one sort; the check counts how often you go over the numbers, and does
# not take a search. (If several contrasts are equally good, any will do.)


# %% tags=["exercise"]
def best_contrast(own, target):
    """The a >= 0 that makes mean |a own - target| smallest, as a number."""
    ### BEGIN SOLUTION
    own, target = own.flatten(), target.flatten()
    heard = own > 0
    ratio, order = (target[heard] / own[heard]).sort()
    weight = own[heard][order].cumsum(0)
    return float(ratio[(weight < 0.5 * weight[-1]).sum()])  # the median of ratio, weighted by own
    ### END SOLUTION


# %%
checks.ex0404(best_contrast)

# %% [markdown]
# A weighted median. And now you can say *when* the answer is exactly 0: when more than half of our lines, counted by
# strength, lie where the target has none at all. Here is the best contrast of the photo against itself, over how far
# it is off.

# %% tags=["tolerance-2"]
away, own = torch.arange(0.0, 9.0), modulus(photo[None])
moved = landscape.moved(photo, away)
best = torch.tensor([best_contrast(m, own[0]) for m in modulus(moved)])
faded = 1 + best.view(-1, 1, 1, 1) * (moved - 1)  # towards white
full, left = losses_of(moved, photo)["gradient loss"], losses_of(faded, photo)["gradient loss"]
for off in (1, 3, 5):
    print(f"{off} pixels off: loss {full[off]:.2f}; best contrast {best[off]:.2f}", end=" ")
    print(f"with a loss of {left[off]:.2f}")
figure, axes = style.grid(1, 2, height=3.0)
label = "how far the lines are off, pixels"
style.curves(axes[0][0], away, {"": best}, marks=True, ylim=(-0.05, 1.1), xlabel=label)
axes[0][0].set_ylabel("contrast with the least loss")
series = {"at full contrast": full, "at the best contrast": left}
style.curves(axes[0][1], away, series, marks=True, xlabel=label)
axes[0][1].axhline(1, **figures.EMPTY)
axes[0][1].set_ylabel("gradient loss; 1 = an empty picture")
style.show(
    figure,
    alt="Left, the best contrast over how far lines are off: it falls from 1 to about a tenth at four pixels. "
    "Right, the loss at full contrast rises past the level of an empty picture; at the best contrast it "
    "approaches that level from below and stays there.",
)

# %% [markdown]
# So there is a trap. If the shape is wrong by a few pixels, the quickest way to a smaller loss is to *fade*. And a
# faded picture pulls less on the shape, since every pull goes through the colours, as we are about to see. The trap
# is deepest for lines that stand alone, as the outline does. Inside a face, where they stand close, a wrong line half
# covers some right one, and the level is below the dotted line, as you saw through the window.
#
# ## 6. Descent, on a head that fits on a page
#
# All that was about pictures. But stage 2 has no handle on a picture. It has numbers that make a shape, and the
# chain from the loss to them is long:
#
# $$\frac{\partial \mathcal L}{\partial \theta} = \sum_{\text{pixels } p}
# \frac{\partial \mathcal L}{\partial \hat c_p} \cdot \frac{\partial \hat c_p}{\partial \theta}, \qquad
# \hat c = \sum_i w_i(f) \, c_i(x_i, n_i), \qquad n = \nabla f / \lVert \nabla f \rVert .$$
#
# So let us train something. Its $f$ is that of a ball with a nose, a bump around the direction $e_z$ to the front (a
# signed distance but for the nose, where it is only nearly one). With $u = (x - o) / \lVert x - o \rVert$, the
# direction from its middle $o$,
#
# $$f(x) = \lVert x - o \rVert - r - h \, e^{18 (u_z - 1)} .$$
#
# Four numbers make its shape: radius $r$, height $h$ of the nose, and where the middle is, to the right and up. Nine
# make its colours: skin, how much the eyes and the mouth differ from it, and the background. These are its *own*
# colours, its **albedo**; a lamp, which is known, shades them. First the pieces of lessons 01 and 02 again, a camera
# that looks along parallel rays, and the places of eyes and mouth. Then the head itself, an `nn.Module` as a network
# would be, with 13 numbers to learn instead of a few hundred thousand. (Its normals are $\nabla f / \lVert \nabla f
# \rVert$; the formula for them is the derivative of $f$ by hand, to save autograd a second pass.)

# %%
SIZE, SAMPLES_A_RAY, BETA = 32, 24, 0.04
TRUE = {"radius": 0.6, "shift": (0.0, 0.0), "nose": 0.2, "skin": (0.8, 0.66, 0.58)}
TRUE |= {"paint": (-0.5, -0.4, -0.35), "sky": (1.0, 1.0, 1.0)}  # what eyes add, the background
LAMP = F.normalize(torch.tensor([-0.5, 0.6, 0.9]), dim=0)  # the direction to it
EYES = F.normalize(torch.tensor([[-0.4, 0.28, 0.87], [0.4, 0.28, 0.87]]), dim=1)


def weights_of(density, delta):  # equation 1, as you wrote it in lesson 01
    tau = density * delta
    return torch.exp(tau - torch.cumsum(tau, dim=-1)) * -torch.expm1(-tau)


def laplace_density(f, beta):  # as you wrote it in lesson 02
    tail = 0.5 * torch.exp(-f.abs() / beta)
    return torch.where(f > 0, tail, 1 - tail) / beta


def rays(yaw, size=SIZE):
    """Origins and directions (size, size, 3) of a camera that was turned about the head by `yaw`."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    right = torch.tensor([math.cos(yaw), 0.0, -math.sin(yaw)])
    toward = torch.tensor([math.sin(yaw), 0.0, math.cos(yaw)])
    origins = x[..., None] * right + y[..., None] * torch.tensor([0.0, 1, 0]) + toward
    return origins, -toward.expand_as(origins)


def spots(u):
    """How much of an eye or the mouth there is at directions u (..., 3): (...)."""
    eyes = torch.exp(60 * (u @ EYES.T - 1)).sum(dim=-1)
    mouth = torch.exp(-((u[..., 0] / 0.28) ** 2) - ((u[..., 1] + 0.45) / 0.08) ** 2)
    return eyes + mouth * (u[..., 2] > 0)


# %%
class ToyHead(nn.Module):
    """A ball with a nose, two eyes and a mouth: rays (..., 3) -> colours (..., 3)."""

    def __init__(self, light=0.6, **numbers):
        super().__init__()
        for name, value in (TRUE | numbers).items():
            self.register_parameter(name, nn.Parameter(torch.tensor(value)))
        self.light = light  # the lamp's share of all light; it is known

    def sdf(self, x):
        """f (...), its unit normals (..., 3), and directions u (..., 3) at points (..., 3)."""
        off = x - F.pad(self.shift, (0, 1))
        length = off.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        u, front = off / length, torch.tensor([0.0, 0, 1])
        nose = self.nose * torch.exp(18 * (u[..., 2:] - 1))
        normals = u - 18 * nose / length * (front - u[..., 2:] * u)
        return (length - self.radius - nose)[..., 0], F.normalize(normals, dim=-1), u

    def surface(self, origins, directions):
        """Weights (..., N), normals and directions u (..., N, 3) of the samples on each ray."""
        delta = 1.2 / SAMPLES_A_RAY
        t = (torch.arange(SAMPLES_A_RAY) + 0.5) * delta
        f, normals, u = self.sdf(origins[..., None, :] + t[:, None] * directions[..., None, :])
        return weights_of(laplace_density(f, BETA), delta), normals, u

    def forward(self, origins, directions):
        weights, normals, u = self.surface(origins, directions)
        shade = 1 - self.light + self.light * (normals @ LAMP).clamp_min(0)
        colours = (self.skin + self.paint * spots(u)[..., None]) * shade[..., None]
        left = 1 - weights.sum(dim=-1, keepdim=True)
        return (weights[..., None] * colours).sum(dim=-2) + left * self.sky


# %% [markdown]
# The head that is to be found has the values that `TRUE` holds. It is seen from five sides. Of these views only
# your moduli are released.
#
# What a step sees are patches, drawn by signal: their rays, and the released moduli of their inner pixels. `unfold`
# cuts all patches out at once without copying one. For comparison with equation 2 the same can give colours.

# %%
YAWS = (-0.6, -0.3, 0.0, 0.3, 0.6)
ORIGINS, DIRECTIONS = (torch.stack(part) for part in zip(*map(rays, YAWS), strict=True))


@torch.no_grad()
def views_of(toy):
    """The five views (5, S, S, 3)."""
    return toy(ORIGINS, DIRECTIONS)


truth = views_of(ToyHead())
released = modulus(truth)
bar = {"bar": "modulus (black: 0.4 or more)", "cmap": "gray_r", "vmax": 0.4}
SIDE, (PATCHES, _, _) = 8, patch_count(8, 3, 512)


def cut(values, side, places):
    """Squares (P, side, side, ...) of views (5, S, S, ...), by the number of their place."""
    squares = values.unfold(1, side, 1).unfold(2, side, 1).flatten(0, 2)[places]
    return squares.movedim(1, -1) if values.ndim == 4 else squares


def batches(moduli, steps, seed=0, colours=None):
    """For each step: (origins, directions) (P, 8, 8, 3); moduli (P, 6, 6), or colours (P, 8, 8, 3)."""
    random = torch.Generator().manual_seed(seed)
    weights = F.avg_pool2d(moduli[:, None], SIDE - 2, 1).flatten()
    weights = weights + 0.05 * weights.mean()
    for _ in range(steps):
        places = torch.multinomial(weights, PATCHES, replacement=True, generator=random)
        wanted = cut(moduli, SIDE - 2, places) if colours is None else cut(colours, SIDE, places)
        yield (cut(ORIGINS, SIDE, places), cut(DIRECTIONS, SIDE, places)), wanted


titles = [f"{math.degrees(yaw):.0f} degrees" for yaw in YAWS]
style.show(
    style.images([list(truth), list(released)], titles, **bar),
    alt="A brown ball with a nose, two dark eyes and a mouth, lit from the upper left, from five sides; "
    "under each its modulus: a thick ring, rings around the eyes, and soft lines along nose and mouth.",
)

# %% [markdown]
# ### Exercise 0405 (solid, 15 min): descend
#
# The loop that all of deep learning turns in. For each batch: ask the head for the colours of its rays, ask the loss
# how wrong they are, and let Adam (`torch.optim.Adam`, with the given rate) move *all* parameters of the head a
# little downhill. Give the list of losses, as plain numbers. `batches` is a generator, so go through it once.


# %% tags=["exercise"]
def descend(head, loss, batches, rate):
    """Train a head in place: a step of Adam for each (rays, wanted); the losses as numbers.

    head(*rays) gives colours, loss(colours, wanted) a scalar.
    """
    ### BEGIN SOLUTION
    optimiser, losses = torch.optim.Adam(head.parameters(), lr=rate), []
    for rays, wanted in batches:
        value = loss(head(*rays), wanted)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(value.item())
    return losses
    ### END SOLUTION


# %%
checks.ex0405(descend)

# %% [markdown]
# Here it goes, from a ball without a nose that is too small, off its place, and bluish; 100 steps at a rate of 0.02,
# then 50 at 0.004. Once by your loss from moduli alone, and once by equation 2 from the pictures themselves, which no
# owner of a face would release.

# %% tags=["tolerance-10"]
START = {"radius": 0.5, "shift": (0.05, -0.05), "nose": 0.0, "skin": (0.6, 0.7, 0.8)}
START |= {"paint": (-0.1, -0.1, -0.1), "sky": (0.9, 0.9, 0.9)}


def rgb_loss(colours, wanted):
    return (colours - wanted).abs().mean()


def trained(start, loss, moduli=released, colours=None, steps=(100, 50)):
    """A toy from a start, and its parameters after each step: name -> (steps, ...)."""
    toy, path = ToyHead(**start), []

    def watched(found, wanted):
        path.append({name: p.detach().clone() for name, p in toy.named_parameters()})
        return loss(found, wanted)

    for number, (count, rate) in enumerate(zip(steps, (0.02, 0.004), strict=False)):
        descend(toy, watched, batches(moduli, count, number, colours), rate)
    return toy, {name: torch.stack([step[name] for step in path]) for name in path[0]}


print(f"{'':<13} radius  right    up  nose  gradient loss  RGB loss   skin")
found = {"start": (ToyHead(**START), None), "from moduli": trained(START, gradient_loss)}
found["from colours"] = trained(START, rgb_loss, colours=truth)
for name, (toy, _) in {**found, "truth": (ToyHead(), None)}.items():
    shape = [round(v.item(), 2) + 0.0 for v in (toy.radius, *toy.shift, toy.nose)]
    loss = float(gradient_loss(views_of(toy), released) / released.mean())
    rgb, skin = float(rgb_loss(views_of(toy), truth)), [round(c, 1) for c in toy.skin.tolist()]
    print(
        f"{name:<13}  {shape[0]:.2f}  {shape[1]:>5.2f} {shape[2]:>5.2f} {shape[3]:>5.2f}", end=" "
    )
    print(f"           {loss:.1f}      {rgb:.2f}   {skin}")

# %%
drawn = {"truth": truth, **{name: views_of(toy) for name, (toy, _) in found.items()}}
rows = [[v[2] for v in drawn.values()], [modulus(v)[2] for v in drawn.values()]]
display(
    style.show(
        style.images(rows, list(drawn), width=9, **bar),
        alt="The toy's front view and its modulus four times. The truth: a brown head on white. The start: a small "
        "pale ball without features. From moduli: the same head as the truth, with a bluish face. From colours: the "
        "truth itself. The moduli of the last two are the truth's.",
    )
)
true = {name: p.detach() for name, p in ToyHead().named_parameters()}
figure, (axes,) = style.grid(1, 2, height=3.2, sharey=True)
for ax, name in zip(axes, ("from moduli", "from colours"), strict=True):
    off = {k: (v - true[k]).reshape(len(v), -1).norm(dim=1) for k, v in found[name][1].items()}
    names = {"radius": "radius", "shift": "place", "nose": "nose", "skin": "colour of the skin"}
    style.curves(ax, range(1, 151), {words: off[k] for k, words in names.items()}, xlabel="step")
    ax.set_title(f"trained {name}", fontsize=10)
axes[0].set(ylabel="distance from the truth", ylim=(0, 0.5))
style.show(
    figure,
    alt="Distance of the toy's numbers from the truth over 150 steps, trained from moduli and from colours. In both "
    "panels radius, place and nose fall to zero within about a hundred steps. The colour of the skin does so only on "
    "the right; on the left it stays at about 0.3.",
)

# %% [markdown]
# **The shape is found from moduli alone**, as well as from colours: to a hundredth, with nose. The skin is not. It
# kept its bluish start, and rightly so: a head whose colours are turned has the same moduli, so nothing ever pulled
# it back. You have seen the same on the face of section 1.
#
# ### What chance decides
#
# The lamp was known, and it told a little more: shading makes colours darker towards *black*, so black is a known
# colour here, and offset and negative are no longer free. (Try it: a turn about black keeps all moduli, one about grey
# does not.) Without a lamp, nothing is left to hold them. So an unlit head, from three grey starts that differ in
# nothing but whether background and features begin lighter or darker than the skin:

# %% tags=["tolerance-10"]
unlit_truth = views_of(ToyHead(light=0.0))
unlit = modulus(unlit_truth)
grey = START | {"skin": (0.6, 0.6, 0.6), "light": 0.0}
starts = {
    "light sky, dark eyes": grey,
    "dark sky, dark eyes": grey | {"sky": (0.3, 0.3, 0.3)},
    "dark sky, light eyes": grey | {"sky": (0.3, 0.3, 0.3), "paint": (0.1, 0.1, 0.1)},
}
pictures = [unlit_truth[2]]
for name, start in starts.items():
    toy, _ = trained(start, gradient_loss, moduli=unlit, steps=(80, 20))
    loss = float(gradient_loss(views_of(toy), unlit) / unlit.mean())
    numbers = [v.item() for v in (toy.radius, toy.nose, toy.skin[1], toy.sky[1], toy.paint[1])]
    words = ["radius {:.2f}, nose {:.1f};", "skin {:.1f}, sky {:.1f}, eyes {:+.1f};"]
    print(f"{name}:", words[0].format(*numbers[:2]), words[1].format(*numbers[2:]), end=" ")
    print(f"loss {loss:.1f}")
    pictures.append(views_of(toy)[2])
style.show(
    style.images([pictures], ["the unlit head", *starts], width=9),
    alt="Four unlit toy heads. The true one is brown on white with dark eyes and mouth. The three that were "
    "trained have its shape in grey: on a light background with dark features, on a dark one with dark features, and "
    "on a dark one with light features, a negative.",
)

# %% [markdown]
# Three times the same shape, three times nearly no loss, and three different pictures. The signs are those of the
# start: between them is the hill of section 4. With three channels there is a way *around* that hill: a colour can be
# rotated to its opposite without ever fading. Grey can't.
#
# ### Fading, and too far off
#
# Section 5 said what the colours do while the shape is wrong. Let us watch. This time all colours are right at the
# start, and the head is too far to the right, by 3, 5, and 7 pixels; the *contrast of the outline* is the distance of
# skin and background in colour space.

# %% tags=["tolerance-10"]
pixel = 2 / SIZE
paths = {}
for off in (3, 5, 7):
    toy, path = trained({"shift": (off * pixel, 0.0)}, gradient_loss, steps=(80,))
    contrast = (path["sky"] - path["skin"]).norm(dim=1)
    paths[f"{off} pixels off"] = path["shift"][:, 0] / pixel, contrast
    print(f"{off} pixels off: the contrast begins at {contrast[0]:.1f}", end=" ")
    print(f"and falls to {contrast[:20].min():.1f} within 20 steps")
print(f"the first is {float(paths['3 pixels off'][0][-1].abs()):.0f} pixels off in the end")
figure, ((left, right),) = style.grid(1, 2, height=3.2)
shown = {name: place for name, (place, _) in paths.items()}
style.curves(left, range(1, 81), shown, xlabel="step", ylabel="to the right of its place, pixels")
shown = {name: contrast for name, (_, contrast) in paths.items()}
style.curves(right, range(1, 81), shown, legend=False, xlabel="step")
right.set(ylabel="contrast of the outline", ylim=(0, None))
style.show(
    figure,
    alt="Left, how far three heads are off over 80 steps. Right, the contrast of their outlines, which falls steeply "
    "within ten steps from 0.6 to about 0.2 and then rises again.",
)

# %% [markdown]
# All three fade at once, by half and more in ten steps, as `best_contrast` has foretold. The one that is three pixels
# off moves home meanwhile, and so its lines come back in the right place. From five and seven pixels the head strays
# further away, for thirty steps and more, and when its lines come back, it is still off. An outline that is seen from
# five sides may bring it home yet, by chance, or not: after 80 steps the one is one or two pixels off, and the other
# five.
#
# ## 7. From a pixel to the shape
#
# There are two ways for a shape to change a pixel. Its *weights* $w$ move (equation 1): another place is seen, or
# none. And its *normals* turn: the place is lit otherwise. Both are linear in the colours. A shape pulls on the loss
# *through colour* or not at all.
#
# Make one number of the true head a little wrong and ask for $\partial \mathcal L / \partial \theta$ twice: by
# autograd, and by moving the number a little to both sides. The sum over pixels can also be looked at before it is
# summed. Each map below adds up to one of the three numbers.

# %% tags=["tolerance-10"]
wrong, step = {"radius": 0.63, "shift": 0.05, "nose": 0.1}, 1e-3  # true are 0.6, 0 and 0.2
front, wanted = (ORIGINS[2], DIRECTIONS[2]), released[2:3]
maps = {}
for name, value in wrong.items():
    here, less, more = (
        ToyHead(**{name: (v, 0.0) if name == "shift" else v})
        for v in (value, value - step, value + step)
    )
    gradient_loss(here(*front)[None], wanted).backward()
    by_autograd = float(getattr(here, name).grad.flatten()[0])
    with torch.no_grad():
        low, high = less(*front), more(*front)
        losses = [float(gradient_loss(c[None], wanted)) for c in (low, high)]
        opacity = here.surface(*front)[0].sum(dim=-1)
    colours = here(*front)[None].detach().requires_grad_()
    (pull,) = torch.autograd.grad(gradient_loss(colours, wanted), colours)
    share = (pull[0] * (high - low) / (2 * step)).sum(dim=-1)  # d loss / d c . d c / d number
    maps[name] = share, opacity
    partly = ((opacity > 0.02) & (opacity < 0.98)).float()
    outline = F.max_pool2d(partly[None], 3, 1, 1)[0] > 0  # and its neighbours
    part = float(share.abs()[outline].sum() / share.abs().sum())
    print(f"{name}: autograd {by_autograd:+.3f}, the map's sum {float(share.sum()):+.3f},", end=" ")
    print(f"differences {(losses[1] - losses[0]) / (2 * step):+.3f}; outline {part:.0%}")
style.show(
    figures.pull_maps(maps),
    alt="Three maps of the pull of each pixel, with the outline dashed. Radius: a ring along the "
    "outline, and little inside. Shift: parts of the ring at its left and right, and faint marks "
    "at eyes, nose and mouth. Nose: nothing at the outline; marks around the nose and the mouth.",
)

# %% [markdown]
# A positive slope means that less of the number is better. Autograd tells the truth, and it points the right way: a
# ball that is too large should shrink, one that is too far to the right should go left, a nose that is too short should
# grow.
#
# Read the colour bars. Size and place of the head are pulled by the *outline*, strongly: dark on white is the largest
# step in the picture. The nose is pulled from the *inside* alone, and far more weakly, by the colours that move over
# it and by its shading. If a loss like ours gives fine heads and vague noses, here is a reason. Drawing patches by
# signal does not change that: most of the signal is the outline's, too, as the moduli of section 1 show.
#
# ## 8. How it fails
#
# ### Colour paints the lines
#
# The loss asks for lines in the right places. It does not ask who makes them. Take a ball *without a nose*, forbid its
# shape to move, give it a **texture** instead of 13 numbers, and let only that learn, from one view.
#
# What tells the shape is that paint stays where it is on the surface. A line painted on a wrong surface falls into
# the right place in one view and into a wrong one in the next. So paint shapes with noses of several heights, once
# for one view, once for five together, and see what loss the *best* paint leaves.


# %% tags=["tolerance-10"]
def paint_it(nose, views, texels=(32, 64), steps=120):
    """Fit a texture to a shape that stays as it is: loss, and the pictures (views, S, S, 3)."""
    views = list(views)
    with torch.no_grad():
        weights, _, u = ToyHead(nose=nose).surface(ORIGINS[views], DIRECTIONS[views])
    opacity, u = weights.sum(dim=-1, keepdim=True), (weights[..., None] * u).sum(dim=-2)
    u = F.normalize(u, dim=-1)
    places = torch.stack(
        [torch.atan2(u[..., 0], u[..., 2]) / math.pi, -torch.asin(u[..., 1]) * 2 / math.pi], dim=-1
    )
    noise = torch.randn(1, 3, *texels, generator=torch.Generator().manual_seed(0))
    texture = (0.1 * noise).requires_grad_()
    optimiser = torch.optim.Adam([texture], lr=0.05)
    fall = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.03 ** (1 / steps))
    for _ in range(steps):
        colours = torch.sigmoid(texture).expand(len(views), -1, -1, -1)
        painted = F.grid_sample(colours, places, padding_mode="border", align_corners=False)
        pictures = painted.movedim(1, -1) * opacity + 1 - opacity  # on white
        loss = gradient_loss(pictures, released[views])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
    return loss.item() / float(released[views].mean()), pictures.detach()


loss, (ball,) = paint_it(nose=0.0, views=(2,))
print(f"a ball without a nose, painted: a loss of {100 * loss:.1f} % of an empty picture's")
rows = [[truth[2], ball, released[2], modulus(ball[None])[0]]]
titles = ["the true head", "a ball, painted", "its modulus", "the painted ball's modulus"]
display(
    style.show(
        style.images(rows, titles, **bar),
        alt="The true toy head; a ball with a coloured, noisy pattern around eyes, nose and mouth; and the moduli of "
        "both, which look the same but for faint marks.",
    )
)

# %% tags=["tolerance-10"]
heights = (0.0, 0.1, 0.2, 0.3, 0.4)
paints = {"one view": (2,), "five views": range(5)}
remains = {name: [paint_it(h, views)[0] for h in heights] for name, views in paints.items()}
for name, losses in remains.items():
    low, true, high = (f"{100 * x:.1f}" for x in (min(losses), losses[2], max(losses)))
    print(f"{name}: paint leaves {low} to {high} % of an empty picture, {true} % at the true nose")
figure, ((ax,),) = style.grid(1, 1, width=7.5, height=3.2)
style.curves(ax, heights, remains, marks=True, xlabel="height of the nose that is painted")
ax.set(ylim=(0, None), ylabel="loss that paint leaves")
ax.axvline(0.2, color="0.55", ls=":")
ax.text(0.204, 0.004, "the true nose", fontsize=8, color="0.35")
style.show(
    figure,
    alt="Loss that is left over the height of the painted nose. One view: a line that is low and nearly "
    "level. Five views: a valley whose lowest point is at the true height.",
)

# %% [markdown]
# The two drawings can hardly be told apart, and one of them is a ball. *From one view, the gradient loss says next to
# nothing about the shape within the outline.* No wonder: a ball can be painted so that its photograph is that of a
# face.
#
# And the curves are the reason why moduli can make a face: *many views*. (What is left at the true height is the
# paint's own: a texture has only so many pixels, and was given only so many steps.) The less able the paint, the
# deeper the valley should be. The 13 numbers of section 6 could hardly paint at all, and their shape was found. That
# is the thought behind the Lipschitz term (equations 7 and 8): it keeps the colour network from changing its answer
# abruptly. Whether it does help is measured in [07](07_lipschitz_ablation.ipynb).
#
# ### Nothing to paint with, and the kink
#
# The other extreme. If the skin has one colour and the light comes from everywhere, the inside of the head is flat,
# whatever the shape. Then a nose that is seen from the front has no pull at all. Light saves it: shading is colour,
# too.
#
# And why $10^{-12}$ under the root? At the tip of the cone the slope is now 0, the middle of all slopes around it, and
# the only one that prefers no direction. The package does the same by another formula. The price: a perfectly even
# picture has *no* gradient, however large its loss. In practice no rendering is perfectly even; and as soon as it is
# not, something odd happens. The derivative of a length has length 1, *however small the length is*.

# %% tags=["tolerance-2"]
for light in (0.0, 0.6):
    plain = {"paint": (0.0, 0.0, 0.0), "light": light}
    with torch.no_grad():
        wanted = modulus(ToyHead(**plain)(*front)[None])
    toy = ToyHead(nose=0.1, **plain)
    gradient_loss(toy(*front)[None], wanted).backward()
    print(
        f"plain skin, {light:.0%} of the light from a lamp: slope of the nose {toy.nose.grad:+.4f}"
    )
noise = torch.randn(1, 6, 6, 3, generator=torch.Generator().manual_seed(0))
for size in (0.0, 1e-4, 1e-1):
    patch = (0.5 + size * noise).requires_grad_()
    (slope,) = torch.autograd.grad(gradient_loss(patch, torch.ones(1, 4, 4)), patch)
    print(f"a grey patch with noise of {size:g}: its gradient has the length {slope.norm():.3f}")

# %% [markdown]
# A thousandth of the noise pulls as strongly. So it is chance, the first faint unevenness, that decides which side of a
# line becomes the dark one, and after that the hill between photo and negative keeps it so.
#
# One more failure comes with pixels: a single ray looks at the middle of a pixel, while a photo averages over its
# area, so a pattern finer than two pixels is nearly grey in the photo and full of false lines in the rendering
# (aliasing). The package averages the *outline* over the pixel (`coverage="footprint"` in
# `privhead_nb/render/volume.py`), and all profiles but `ci` and `paper` send 2 x 2 rays a pixel (`supersampling`).
#
# ## 9. The gradient, by hand
#
# You have seen the loss pull. Now derive how. Let $o$ be a pixel of the moduli, and $N$ the number of them in all
# patches. By the chain rule, from the outside to the inside:
#
# $$s_o = \frac{\partial \mathcal L}{\partial \hat m_o} = \frac{1}{N} \, \text{sign}(\hat m_o - m_o), \qquad
# \frac{\partial \hat m_o}{\partial \hat g_{x, o}} = \frac{\hat g_{x, o}}{\lVert \hat g_{x, o} \rVert},$$
#
# and $\hat g_x$ is linear in the picture: $\hat g_{x, o} = \sum_d k_x[d] \, \hat c_{o + d}$, where $d$ runs over the
# taps of the kernel. A pixel $p$ takes part in every output that sees it, $o = p - d$. So it *gathers*:
#
# $$\frac{\partial \mathcal L}{\partial \hat c_p} = \sum_d \left( k_x[d] \, \frac{\hat g_{x, o}}{\lVert \hat g_{x, o}
# \rVert} + k_y[d] \, \frac{\hat g_{y, o}}{\lVert \hat g_{y, o} \rVert} \right) s_o , \qquad o = p - d .$$
#
# ### Exercise 0406 (hard, 45 min): the gradient of equations 5 and 6
#
# Write it without autograd. `patches` is `(P, H, W, C)`, `moduli` `(P, h, w)` with $h = H - k + 1$; the answer has the
# patches' shape. Mind the tip of the cone (0), a rendering that is exactly right at a pixel (0, too), and the border.
# `F.conv2d` correlates and does not flip; what comes back through it is flipped. The check has kernels that are not
# symmetric, to make sure that you thought of it.


# %% tags=["exercise"]
def gradient_by_hand(patches, moduli, kx, ky):
    """d loss / d patches (P, H, W, C) of eq. 5 and 6, without autograd."""
    ### BEGIN SOLUTION
    planes, reach = patches.movedim(-1, 1), kx.shape[-1] - 1
    both = []
    for k in (kx, ky):
        g = F.conv2d(planes.flatten(0, 1)[:, None], k[None, None])[:, 0]
        both.append(g.unflatten(0, planes.shape[:2]))  # (P, C, h, w)
    s = torch.sign(sum(g.norm(dim=1) for g in both) - moduli) / moduli.numel()
    found = torch.zeros_like(planes)
    for g, k in zip(both, (kx, ky), strict=True):
        length = g.norm(dim=1, keepdim=True)
        unit = torch.where(length > 0, g / length.clamp_min(1e-30), 0)  # 0 at the tip
        around = F.pad(s[:, None] * unit, [reach] * 4)  # nobody is beyond the border
        back = F.conv2d(around.flatten(0, 1)[:, None], k.flip(0, 1)[None, None])
        found += back.reshape(planes.shape)
    return found.movedim(1, -1)
    ### END SOLUTION


# %%
checks.ex0406(gradient_by_hand)

# %% [markdown]
# Now let it drive. A `torch.autograd.Function` says how to go forward and how to come back; what comes back is yours.
# Two heads start as before, one moved by autograd's gradient and one by your own.


# %% tags=["tolerance-10"]
class ByHand(torch.autograd.Function):
    """The gradient loss, whose gradient is `gradient_by_hand`."""

    @staticmethod
    def forward(ctx, patches, moduli):
        ctx.save_for_backward(patches, moduli)
        return gradient_loss(patches, moduli)

    @staticmethod
    def backward(ctx, upstream):
        return upstream * gradient_by_hand(*ctx.saved_tensors, SOBEL, SOBEL.T), None


for name, loss in {"autograd": gradient_loss, "by hand": ByHand.apply}.items():
    toy, path = trained(START, loss, steps=(40,))
    off = (path["radius"] - 0.6).abs(), path["shift"].norm(dim=1), (path["nose"] - 0.2).abs()
    words = [f"step {at + 1}: {sum(o[at] for o in off):.1f}" for at in (0, 19, 39)]
    print(f"{name:<9} the shape is off by", ", ".join(words))

# %% [markdown]
# This is what `privhead_nb/kernels/gradient_loss/` does on every step. Its loops gather, as the formula does, so that
# no two of them write to one place; [11](11_gpu_kernels.ipynb) tells why that matters.
#
# ## 10. What answers all this
#
# The list of failures is the list of reasons for the method's parts.
#
# - *Too narrow a funnel*, *fading*, *false minima inside the face*: **stage 1** comes first, and brings the surface
#   to where stage 2 can pull. How near is that? A pixel's width at the head, in millimetres, is distance over focal
#   length. Compare it with how far stage 1 is off.

# %% tags=["tolerance-2"]
centre = torch.tensor(release.center, dtype=torch.float64)
distance = (release.cameras.centers - centre).norm(dim=1)
width = float((distance / release.cameras.K[:, 0, 0]).median())
coarse = evaluate(head.stage1_mesh, scene)
print(f"a pixel is {width:.1f} mm wide in the middle of the head")
print(f"the funnel's half-width, {widths['gradient loss']:.1f} pixels:", end=" ")
print(f"{widths['gradient loss'] * width:.0f} mm")
print(f"stage 1 is {coarse.distance_mean:.1f} mm off on average;", end=" ")
print(f"{coarse.within['5']:.0%} of it are within 5 mm")

# %% [markdown]
# Stage 1, which sees the face from no sensitive view, leaves it off by less than a pixel: *inside* the funnel. The
# paper argues from the other end: without stage 1 its error was 27.65 where two stages have 0.84. In
# [05](05_two_stage_reconstruction.ipynb) we try that, and find much less of a difference: an outline that is seen
# from twenty sides leads further than the curves of section 4 suggest, as it did for the toy from five.
#
# - *Paint*: twenty **views** that must agree, and the **Lipschitz term**
#   ([07](07_lipschitz_ablation.ipynb) measures what it is worth; do not expect too much).
# - *Offset, sign and hue*: nothing answers these, on purpose. The colours of a face may come out wrong, as they did
#   in section 1. That is no secrecy: who has seen other faces guesses most of them from moduli
#   ([06](06_irreversibility.ipynb)).
# - *The kink*: a slope of 0 at the tip, by definition.
# - *Waste and white*: patches of ten, drawn by signal.
#
# ## 11. Play
#
# The front view against itself. Move the sliders with the mouse, or with Tab and the arrow keys, and try to find the
# settings that this lesson was about: the shift at which to show nothing would be better; a setting with another
# picture and no loss; a blur that makes the shift cheaper; and what the RGB loss thinks of each. Below:
# four settings, for readers without a running kernel: three pixels off, seen by the gradient loss; by the
# RGB loss; by the gradient loss after a blur; and the negative in place.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %%
for setting in panel.TWIN:
    print(panel.picture(**setting).facts)
widgets.twin(panel.picture, panel.TWIN)

# %% [markdown]
# ## Now you, without a check
#
# 1. *First steps.* Moduli are compared by L1 here. Would a *squared* difference change which of the two, silence or a
#    misplaced line, is better? Work it out for lines that don't overlap; then give `trained` your squared loss and look
#    at the contrasts again.
# 2. *Solid.* Start the toy with the true colours and ever larger shifts, to the side and upwards. From how far does it
#    come home with five views, and with one (change `YAWS`)?
# 3. *Hard.* Give `ToyHead` a texture instead of `skin` and `paint`, and train both from a ball. Does it find the nose?
#    From one view? What if the texture is coarse, or learns at a tenth of the rate?
#
# ## What to remember
#
# - The gradient loss compares lengths of derivatives. Offset, sign and every rotation of colour space are free,
#   exactly.
# - A loop of ten lines descends by it: the shape of a head is found from moduli alone, its colours only as far as
#   something known (light, background) holds them.
# - Its funnel is a couple of pixels wide, several times narrower than that of the RGB loss. Blur widens it, at the
#   price of detail.
# - A misplaced line costs twice, a missing one once. So where lines are off, colours fade.
# - A shape is pulled through colour: its outline strongly, its inside weakly. Where there is no colour to move there
#   is no pull.
# - The inside of one view can be painted onto any shape. Many views can't, not entirely: that is where the shape
#   comes from.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | our equation 5 is the package's | section 1, `tests/test_gradient_loss_kernels.py` |
# | drawing by signal is worth 1.7 times as much at a side of 10 | section 2 |
# | the outermost ring is never compared | section 2, exercise 0402 |
# | offset, sign and rotations of colour are free | section 3, exercise 0403, `tests/test_lesson_04.py` |
# | the funnel is several times narrower than the RGB loss's, and blur widens it | section 4, `tests/test_lesson_04.py` |
# | misplaced lines are worse than none, and fade | sections 5 and 6, exercise 0404, `tests/test_lesson_04.py` |
# | descent finds the toy's shape from moduli, and not its colours | section 6, `tests/test_lesson_04.py` |
# | an unlit head keeps the signs of its start | section 6, `tests/test_lesson_04.py` |
# | autograd is right about the shape, and the nose is pulled from inside | section 7, `tests/test_lesson_04.py` |
# | one view can be painted on any nose; five prefer the true one | section 8 |
# | plain unlit skin has no pull; at the kink it is 0 | section 8 |
# | the gradient by hand is autograd's | exercise 0406, section 9 |
# | stage 1 ends inside the funnel | section 10 |
#
# **Read on**: [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb), where this loss trains a head; [06,
# irreversibility](06_irreversibility.ipynb), on what else has the same modulus; [07, the Lipschitz
# term](07_lipschitz_ablation.ipynb); [03, protecting operators](03_protecting_operators.ipynb);
# `privhead_nb/kernels/gradient_loss/__init__.py`, whose first page is section 9. On landscapes of lines: Barrow,
# Tenenbaum, Bolles and Wolf, *Parametric correspondence and chamfer matching* (1977), which made funnels wider by a
# distance instead of a blur.

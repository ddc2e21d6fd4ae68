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
# **You will be able to** write the gradient loss and its gradient by hand, say which changes of a picture it
# cannot see and how far off a picture may be for it to help, follow its pull from a pixel to a number of the
# shape, and name the situations in which it fails, with a picture of each.
#
# **You should know** convolutions, the chain rule, and what a gradient modulus is
# ([03, protecting operators](03_protecting_operators.ipynb), or the third section of
# [05](05_two_stage_reconstruction.ipynb)).
#
# **Time**: 90 minutes of reading and writing, an evening more for the last exercise; computing takes about a
# minute.
#
# **Equations of the paper**: 5 (the gradient loss) and 6 (the modulus), beside 2 (the colour loss); 1
# (compositing) on the way to the shape.

# %%
import math

import torch
from torch.nn import functional as F

from privhead_nb import Reconstruction, Release, evaluate, load_scene
from privhead_nb.kernels.gradient_loss import gradient_loss, gradient_modulus
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson04 import figures, landscape, panel, toy_head
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
# Here are both sides for one view. The rendering comes from the reconstruction that is stored with this course.

# %%
shown = head.render(release.cameras, VIEW).colour
kx, ky = release.operator.kernels()

derivatives = [F.conv2d(shown.movedim(-1, 0)[:, None], k[None, None])[:, 0] for k in (kx, ky)]
modulus = sum(d.norm(dim=0) for d in derivatives)  # lengths over the channels, then their sum
target = release.moduli[VIEW, 1:-1, 1:-1]  # a pixel at the border has no neighbours
by_hand = (modulus - target).abs().mean()

batch, targets = shown.movedim(-1, 0)[None], target[None]
for backend in ("torch", "numba"):
    theirs = gradient_loss(batch, targets, kx, ky, backend=backend)
    print(f"our loss is the package's ({backend}):", torch.allclose(by_hand, theirs, rtol=1e-4))
print("it is less than half of what an empty picture has:", bool(by_hand < 0.5 * target.mean()))

drawn = figures.drawings(target, modulus, (modulus - target).abs())
titles = [
    "the photo",
    "its rendering",
    "modulus of the photo",
    "modulus of the rendering",
    "their difference",
]
style.show(
    style.images([[photo, shown, *drawn]], titles, width=12),
    alt="Five pictures in a row. A photo of a dark brown face with grey hair on white; a rendering of the same "
    "head whose face is red; the two moduli as line drawings, nearly alike; and their difference, almost "
    "white, with faint marks at eyes, mouth and hairline.",
)  # fmt: skip

# %% [markdown]
# Look at the second picture. The head is the right one and its face is red: nobody told the colour network which
# colours it had. The loss is small all the same, and section 3 tells why it must be.
#
# "An empty picture" in the last line is one without any line, say all white. Its modulus is 0, so its loss is the
# mean of the target. We shall measure losses in that unit, for a reason that comes in section 4.
#
# ### Exercise 0401 (easy): the gradient loss
#
# Write equation 5 for two *pictures* `(H, W, 3)`, with kernels `kx` and `ky` `(k, k)`, without padding. Give a
# scalar tensor.


# %% tags=["exercise"]
def my_gradient_loss(rendered, photo, kx, ky):
    """Mean absolute difference of the moduli of two pictures (H, W, 3)."""
    ### BEGIN SOLUTION
    moduli = []
    for picture in (rendered, photo):
        planes = picture.movedim(-1, 0)[:, None]
        gx, gy = (F.conv2d(planes, k[None, None])[:, 0] for k in (kx, ky))
        moduli.append(gx.norm(dim=0) + gy.norm(dim=0))
    return (moduli[0] - moduli[1]).abs().mean()
    ### END SOLUTION


# %%
checks.ex0401(my_gradient_loss)

# %% [markdown]
# ## 2. Why patches, and which
#
# Stage 1 draws single pixels from all over its views: a thousand of them, of ten views, all different. That is
# what one wants, for neighbouring pixels tell much the same. Stage 2 can't do it. The modulus at a pixel is made of
# its *neighbours*; a lone ray has none. So it renders squares, and the outermost ring of each square is spent: those
# rays are rendered, and differentiated, only to be somebody's neighbours.
#
# A patch of side $p$ and a kernel of side $k$ compare $(p - k + 1)^2$ of $p^2$ pixels. With Sobel and $p = 3$ that
# is one pixel in nine, at $p = 10$ it is 64 in a hundred.
#
# ### Exercise 0402 (easy): what the border costs
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

# %% [markdown]
# If borders were all, one would take a single huge patch. But a thousand rays in one square see one corner of one
# view, and most of a view is white. Two thirds of the pixels of this release have hardly any modulus, and there is
# little to be learned from a pixel that is as flat as it should be. So patches are drawn *where the modulus has
# signal*: `patch_weights` in `privhead_nb/training/batches.py` gives every place a weight, the mean modulus within
# the patch, and adds a twentieth of the average to all, so that no place is never looked at. (Why not? A line that
# the rendering shows where the photo has none would never be called back.)

# %%
even = (release.moduli < 0.005).float().mean()
print("hardly any signal at over half of all pixels:", bool(even > 0.5))
style.show(
    figures.patches(release.moduli[VIEW], 10, 10, torch.Generator().manual_seed(4)),
    alt="Left, a line drawing of a head with ten squares on its lines; each has an outer ring that is not "
    "filled. Middle, the same with squares drawn evenly, of which some lie on white. Right, a map of how "
    "often each pixel is compared: 64 in the middle, less towards the borders, none in the outermost ring.",
)  # fmt: skip

# %% [markdown]
# Two things are worth a pause. *Drawing by signal changes the loss.* A pixel on a line is drawn more often than one
# on white, and nobody divides that out again; what stage 2 minimises is an average that is weighted by signal, not
# the plain mean of equation 5. And *the outermost ring of a picture is never compared*, in no patch. So the rule for
# borders ([03](03_protecting_operators.ipynb) has three of them) decides what is released there, and nothing
# about training.
#
# How large should a patch be? Small ones sit well on the lines but waste rays, large ones waste few but take in
# white. Multiply the two and you have what a ray is worth.


# %%
def useful(patch):
    """Share of compared pixels with signal, of patches that are drawn by signal and evenly."""
    places = patch_weights(release.moduli, patch)  # how often a patch is drawn at each place
    inner = (release.moduli > 0.05).float()[:, None, 1:-1, 1:-1]
    share = F.avg_pool2d(inner, patch - 2, 1)[:, 0]
    return (places * share).sum() / places.sum(), share.mean()


sides = torch.tensor([3, 4, 6, 8, 10, 12, 16, 24, 32])
kept = ((sides - 2) / sides) ** 2  # of the rays of a patch, those whose pixel is compared
by_signal, evenly = torch.tensor([useful(int(side)) for side in sides]).T
worth, even = kept * by_signal, kept * evenly  # useful pixels a ray
small, ten, large = (worth[sides == side].item() for side in (4, 10, 24))
more = bool(ten > 1.5 * even[sides == 10])
print("at a side of 10, drawing by signal is worth over 1.5 times as much:", more)
print("going from 4 to 10 wins over a half:", ten > 1.5 * small)
print("going from 10 to 24 wins less than a fifth:", large < 1.2 * ten)
figure, ((left, right),) = style.grid(1, 2, height=3.2)
names = ["share of those with signal, drawn by signal", "share of those with signal, drawn evenly"]
series = {names[0]: by_signal, names[1]: evenly, "share of rays whose pixel is compared": kept}
style.curves(left, sides, series, marks=True, ylim=(0, 1.02), xlabel="side of a patch, pixels")
series = {"drawn by signal": worth, "drawn evenly": even}
style.curves(right, sides, series, marks=True, title="useful pixels a ray: the product")
right.set(ylim=(0, None), xlabel="side of a patch, pixels")
right.axvline(10, color="0.55", ls=":")
right.text(10.4, 0.01, "the package's 10", fontsize=8, color="0.35")
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
# `patch=10` and `patches=10`. In a trial while the package was planned, drawing by signal took 0.15 mm off the error of
# the final mesh.
#
# ## 3. What the loss cannot see
#
# Before we ask how a loss falls, let us ask where it does not move at all. Let every colour of a picture go through
# one and the same map $c \mapsto A c + b$ with a 3 x 3 matrix $A$. A derivative loses the $b$ and pulls $A$ out, and so
# $\lVert \partial (A c + b) / \partial x \rVert = \lVert A \, \partial c / \partial x \rVert$. That equals
# $\lVert \partial c / \partial x \rVert$ for *every* picture if, and only if, $A$ keeps all lengths: if it is a
# rotation or a reflection of colour space. An offset is free, the negative is free ($A = -1$), swapped channels
# are free, and so is turning all colours about grey. Six continuous directions in all, three of $b$ and three
# of the rotation, along which the loss is not just flat *near* the truth, but exactly constant.

# %%
truth, own = landscape.planes(photo), landscape.moduli(landscape.planes(photo))[0]
turn = torch.matrix_exp(torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 0.7)
turned = torch.einsum("ij,njhw->nihw", turn, truth - 0.5) + 0.5
free = {"darker": truth - 0.2, "negative": 1 - truth, "swapped": truth.flip(1), "turned": turned}
for name, changed in free.items():
    same = bool(landscape.gradient_losses(changed, own) < 1e-5)
    noticed = bool(landscape.rgb_losses(changed, photo) > 0.02)
    print(f"{name}: the gradient loss is below 1e-5: {same}, the RGB loss notices: {noticed}")
pictures = [changed[0].movedim(0, -1) for changed in free.values()]
titles = ["the photo", *free, "the modulus of all five"]
style.show(
    style.images([[photo, *pictures, *figures.drawings(own)]], titles, width=14),
    alt="The same head five times: as it is, darker on grey, as a negative on black, with a blue face, and "
    "with a green one; then one line drawing, the modulus that they share.",
)  # fmt: skip

# %% [markdown]
# All five pictures are *equally good* to stage 2. For privacy that is the point, and
# [06, irreversibility](06_irreversibility.ipynb) makes the most of it: there are many more than these, since parts
# of a picture with an even strip between them may each choose a sign of their own. For training it is a burden that has to be
# carried: whatever the loss can't see, chance decides.
#
# ### Exercise 0403 (middle): prove it by a picture
#
# Which maps $c \mapsto A c + b$ are free? Write a function that is given $A$ and $b$ (tensors of shapes `(3, 3)` and
# `(3,)`). If the map keeps the modulus of every picture, give `None`. If it does not, give a *proof*: a picture
# `(H, W, 3)` with colours in [0, 1], at least 3 x 3 pixels, whose mean modulus (Sobel, no padding) changes by over
# 0.1 %. A rule that sounds right for $-1$ and for a shear may not be; the check knows a few.


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
# ## 4. The landscape
#
# Now take the photo itself, move it a little, and compare it with where it stood. All its lines are right, and only
# their place is wrong: a clean measure of what either loss makes of a picture that is off. Both are in units of an empty picture: the dotted line is what one gets by showing nothing.

# %%
still = landscape.planes(photo)
scales, contrasts = torch.linspace(0.7, 1.4, 36), torch.linspace(-1.5, 1.5, 31)
offsets = torch.linspace(-0.5, 0.5, 21)
recoloured = torch.cat([landscape.recoloured(still, contrast=a.item()) for a in contrasts])
lighter = torch.cat([landscape.recoloured(still, offset=o.item()) for o in offsets])
found = {
    "shift, pixels": landscape.shift_curve(photo),
    "scale": landscape.over(photo, landscape.moved(photo, scale=scales), scales),
    "contrast": landscape.over(photo, recoloured, contrasts),
    "offset": landscape.over(photo, lighter, offsets),
}
shift, contrast = found["shift, pixels"], found["contrast"]
narrow, wide = (landscape.half_width(shift.steps, losses) for losses in (shift.gradient, shift.rgb))
print("half-width of the gradient loss under 2.5 pixels:", narrow < 2.5)
print("half-width of the RGB loss over 3 times as much: ", wide > 3 * narrow)
w = torch.allclose(contrast.gradient, (contrast.steps.abs() - 1).abs(), atol=1e-4)
print("over the contrast a, it is | |a| - 1 |:", w)
style.show(
    figures.both_losses(found),
    alt="Four panels with both losses. Shift: the RGB loss is a wide V, the gradient loss a narrow funnel that "
    "crosses the level of an empty picture at about two pixels and goes on to 1.7. Scale: likewise. "
    "Contrast: the RGB loss has one V at 1, the gradient loss is a W with feet at 1 and -1 and its top at 0. "
    "Offset: the RGB loss is a V, the gradient loss is zero throughout.",
)

# %% [markdown]
# Each panel has its own lesson.
#
# *Shift and scale.* A photo is a blob, and two blobs that overlap get better the more they overlap: the RGB loss
# feels a pull from ten pixels away. A modulus is a *drawing*. Two thin lines either lie on each other or they don't.
# Once they don't, moving them changes little, and the curve is nearly level. We call the distance at which a
# loss has half of its largest value (within the sixteen pixels that we look at) its *half-width*; here it is under
# two pixels. (Nearly level is not level: from
# fourteen pixels away, downhill still leads home, on a slope a twentieth as steep. One patch, or a little noise, and
# it is gone.)
#
# *Contrast.* The modulus of $a c$ is $|a|$ times that of $c$, so the loss is exactly $\bigl| |a| - 1 \bigr|$:
# photo and negative are two bottoms with a hill between them. A colour network that starts on the wrong side of that
# hill will not climb it; it has no reason to.
#
# *Offset.* Flat, exactly.
#
# And the plateau is *above* the dotted line. That is the most important thing on this page, and section 5 is about it.
# First the same in two directions.

# %%
axis = torch.arange(-12.0, 13.0)
rows = [landscape.over(photo, landscape.moved(photo, axis, down), axis) for down in axis]
gradient, rgb = torch.stack([r.gradient for r in rows]), torch.stack([r.rgb for r in rows])
losses = landscape.Curve(axis, gradient, rgb)
print("valleys of the RGB loss:     ", landscape.valleys(losses.rgb))
print("valleys of the gradient loss:", landscape.valleys(losses.gradient))
style.show(
    figures.maps(axis, losses),
    alt="Two maps over the shift in both directions. The RGB loss is one wide oval bowl. The gradient loss has "
    "a small dark bowl of a few pixels in the middle of a high, nearly even plain, with a fainter upright "
    "valley where the sides of the outline still meet.",
)

# %% [markdown]
# The upright valley is the outline: a head that is moved up or down keeps its two sides where they were. The
# gradient loss has a second, shallow bottom in it, eight pixels below the truth.
#
# So far the whole picture moved, and its outline, dark lines on white, did most of the talking. But stage 2 looks at
# patches, and what it is to find out lies *inside* the face. Let us look through a window that shows eyes, nose and
# mouth and no outline at all, and move the face downwards behind it.


# %%
def through_window(rows, columns):
    """Losses over a shift downwards, over those of an empty window."""
    steps = torch.arange(-12.0, 13.0)
    seen = landscape.moved(photo, 0.0, steps)[:, :, rows, columns]
    still = seen[12]
    gradient = landscape.gradient_losses(seen, landscape.moduli(still[None])[0])
    empty = (still - still.mean((1, 2), keepdim=True)).abs().mean()
    return landscape.Curve(steps, gradient, (seen - still).abs().mean((1, 2, 3)) / empty)


inside = through_window(slice(28, 46), slice(26, 38))
whole = through_window(slice(1, -1), slice(1, -1))
for name in ("gradient", "rgb"):
    values = getattr(inside, name)
    low, high = landscape.basin(inside.steps, values)
    many = landscape.valleys(values) > 2
    print(f"{name}: false valleys: {many}, downhill leads home from {low:.0f} to {high:.0f} pixels")
style.show(
    figures.both_losses({"all of it moved down, pixels": whole, "inside the face": inside}),
    alt="Both losses over a shift downwards. Of the whole picture both rise smoothly to both sides. Inside "
    "the face both have a sharp bottom at 0, rise within a pixel or two, and then go up and down.",
)

# %% [markdown]
# Inside a face, *neither* loss has a clear way home: a brow fits a lid, a lip fits a nostril. It is not a weakness
# of moduli; it is what features are like. Both losses need somebody to bring them within a couple of pixels first.
# (An empty window, for the RGB loss, is one that shows its own mean colour.)
#
# ### What blur does
#
# A wider line meets its partner from further away. Blurring before the derivative, which
# [03](03_protecting_operators.ipynb) discusses as a protection, widens the funnel, too:

# %%
blurred = {blur: landscape.shift_curve(photo, blur=blur) for blur in (0.0, 1.0, 2.0, 3.0)}
widths = {blur: landscape.half_width(c.steps, c.gradient) for blur, c in blurred.items()}
print("a blur of 2 makes the funnel over 1.4 times as wide:", widths[2.0] > 1.4 * widths[0.0])
print("it is still under two thirds of the RGB loss's:     ", widths[2.0] < wide / 1.5)
figure, ((left, right),) = style.grid(1, 2, height=3.2)
series = {f"blur {blur:g}": curve.gradient for blur, curve in blurred.items()}
style.curves(left, shift.steps, series, ylabel="loss; 1 = an empty picture")
left.axhline(1, color="0.55", ls=":")
left.set_xlabel("shift, pixels")
series = {"gradient loss": list(widths.values()), "RGB loss, pictures not blurred": [wide] * 4}
loss_looks = list(figures.LOOKS.values())  # colour, mark and dash of each loss
style.curves(right, list(widths), series, marks=True, looks=loss_looks, ylim=(0, None))
right.set(xlabel="sigma of the blur, pixels", ylabel="half-width of the basin, pixels")
style.show(
    figure,
    alt="Left, the gradient loss over a shift for four widths of blur: the funnel gets wider and smoother, "
    "and its rim lower. Right, its half-width over the blur: it rises from under two pixels to three and then "
    "hardly any more, and stays far below that of the RGB loss.",
)

# %% [markdown]
# It is no free lunch: what a blur smears, no loss brings back, and a fine line is what tells a lip from a chin. To go
# from much blur to none during training would have both. But the release holds one blur, chosen by its owner, and
# what was blurred before release can't be sharpened for the last steps.
#
# ## 5. Better to show nothing
#
# Back to the dotted line. The photo three pixels off has a *larger* loss than a white sheet. No wonder: where the
# target has a line and we have none, we pay its strength. Where *we* have a line and the target has none, we pay
# again. A misplaced line pays twice, an absent one once. In equation 5 to be silent is better than to be wrong.
#
# Now think of the colour network. It can't move lines, that is up to the shape. But it can make them *fainter*, and
# it learns faster than any surface moves. What contrast $a$ would it like best? We want the $a \ge 0$ that makes
# $\sum_i | a \hat m_i - m_i |$ smallest, where $\hat m$ is our modulus at full contrast. Write it as
# $\sum_i \hat m_i \, | a - m_i / \hat m_i |$: a sum of distances from $a$ to known numbers, each with a weight. You
# have met the minimiser of such a sum before, when all weights were 1.
#
# ### Exercise 0404 (middle): the best contrast
#
# Write it: `own` and `target` are moduli of one shape, both non-negative. Where `own` is 0, a contrast changes
# nothing. No search, please: it can be had exactly, with one sort. (If several contrasts are equally good, any will
# do.)


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

# %%
away = torch.arange(0.0, 9.0)
moved = landscape.moduli(landscape.moved(photo, away))
best = torch.tensor([best_contrast(modulus, own) for modulus in moved])
full, left = (
    (contrast[:, None, None] * moved - own).abs().mean((1, 2)) / own.mean()
    for contrast in (torch.ones(9), best)
)
print("3 pixels off, the best contrast is under a half: ", bool(best[3] < 0.5))
print("5 pixels off, it is under a fifth:               ", bool(best[5] < 0.2))
print("and what is won by it over no lines is under 5 %:", bool(left[5] > 0.95))
figure, axes = style.grid(1, 2, height=3.0)
label = "how far the lines are off, pixels"
style.curves(axes[0][0], away, {"": best}, marks=True, ylim=(-0.05, 1.1), xlabel=label)
axes[0][0].set_ylabel("contrast with the least loss")
series = {"at full contrast": full, "at the best contrast": left}
style.curves(axes[0][1], away, series, marks=True, xlabel=label)
axes[0][1].axhline(1, color="0.55", ls=":")
axes[0][1].set_ylabel("gradient loss; 1 = an empty picture")
style.show(
    figure,
    alt="Left, the best contrast over how far lines are off: it falls from 1 to about a tenth at four pixels. "
    "Right, the loss at full contrast rises past the level of an empty picture; at the best contrast it "
    "approaches that level from below and stays there.",
)

# %% [markdown]
# This is a trap with a soft floor. If the shape is wrong by a few pixels, the quickest way to a smaller loss is to
# *fade*. And a faded picture pulls less on the shape, since every pull goes through the colours, as we are about to
# see. No local minimum is needed for training to get stuck; a grey head will do. The trap is deepest for lines that
# stand alone, as the outline does. Inside a face, where they stand close, a wrong line half covers some right one,
# and the level is below the dotted line, as you saw through the window.
#
# ## 6. From a pixel to the shape
#
# All that was about pictures. But stage 2 has no handle on a picture. It has numbers that make a shape, and the
# chain from the loss to them is long:
#
# $$\frac{\partial \mathcal L}{\partial \theta} = \sum_{\text{pixels } p}
# \frac{\partial \mathcal L}{\partial \hat c_p} \cdot \frac{\partial \hat c_p}{\partial \theta}, \qquad
# \hat c = \sum_i w_i(f) \, c_i(x_i, n_i), \qquad n = \nabla f / \lVert \nabla f \rVert .$$
#
# There are two ways for a shape to change a pixel. Its *weights* $w$ move (equation 1): another place is seen, or
# none. And its *normals* turn: the place is lit otherwise. Both are linear in the colours. A shape pulls on the loss
# *through colour* or not at all.
#
# To see it, here is a head that fits on a page (`privhead_nb/teach/lesson04/toy_head.py`): a ball with a nose, two eyes and a
# mouth, made of three numbers, radius, shift and height of the nose. It is rendered by the package's compositing.
#
# Make one of the three numbers a little wrong and ask for $\partial \mathcal L / \partial \theta$ twice: by autograd,
# and by moving the number by a millionth and looking what happens.

# %%
faces = [toy_head.render(toy_head.shape(), yaw).colour for yaw in toy_head.VIEWS]
drawn = figures.drawings(*(toy_head.modulus(face) for face in faces), top=0.35)
titles = [f"{math.degrees(yaw):.0f} degrees" for yaw in toy_head.VIEWS]
style.show(
    style.images([faces, drawn], titles),
    alt="A brown ball with a nose, two dark eyes and a mouth, lit from the upper left, from five sides; "
    "under each its modulus: a thick ring, rings around the eyes, and soft lines along nose and mouth.",
)

# %%
target = toy_head.modulus(toy_head.render(toy_head.shape()).colour)
wrong, step = {"radius": 0.63, "shift": 0.05, "nose": 0.1}, 1e-6  # true are 0.6, 0 and 0.2


def loss_at(name, value):
    return toy_head.loss(toy_head.render(toy_head.shape(**{name: value})).colour, target).item()


for name, value in wrong.items():
    by_autograd = toy_head.slope(name, value, target)[1]
    by_step = (loss_at(name, value + step) - loss_at(name, value - step)) / (2 * step)
    agree = math.isclose(by_autograd, by_step, rel_tol=1e-3)
    home = (by_autograd > 0) == (name != "nose")
    print(f"{name}: autograd and differences agree: {agree}, descent goes home: {home}")

# %% [markdown]
# Autograd tells the truth, and it points the right way: a ball that is too large should shrink, one that is too far to
# the right should go left, a nose that is too short should grow. The sum over pixels can be looked at before it is
# summed. Each map below adds up to one of the three numbers.


# %%
def where_from(name, value):
    """d loss / d c . d c / d number at each pixel, (S, S); and the opacity, (S, S)."""

    def colour_of(number):
        return toy_head.render(toy_head.shape(**{name: number})).colour

    number = torch.tensor(value, dtype=torch.float64)
    colour, change = torch.func.jvp(colour_of, (number,), (torch.ones_like(number),))
    colour = colour.detach().requires_grad_()
    (pull,) = torch.autograd.grad(toy_head.loss(colour, target), colour)
    return (pull * change).sum(-1), toy_head.render(toy_head.shape(**{name: number})).opacity


maps = {name: where_from(name, value) for name, value in wrong.items()}
for name, (share, opacity) in maps.items():
    slope = toy_head.slope(name, wrong[name], target)[1]
    sums = math.isclose(share.sum().item(), slope, rel_tol=1e-6)
    partly = ((opacity > 0.02) & (opacity < 0.98)).double()
    outline = F.max_pool2d(partly[None, None], 3, 1, 1)[0, 0] > 0  # and its neighbours
    part = bool(share.abs()[outline].sum() / share.abs().sum() > 0.7)
    print(f"{name}: the map sums to the slope: {sums}, over 70 % is the outline's: {part}")
style.show(
    figures.pull_maps(maps),
    alt="Three maps of the pull of each pixel, with the outline dashed. Radius: a purple ring along the "
    "outline, and little inside. Shift: parts of the ring at its left and right, and faint marks "
    "at eyes, nose and mouth. Nose: nothing at the outline; orange marks around the nose and the mouth.",
)

# %% [markdown]
# Read the colour bars. Size and place of the head are pulled by the *outline*, strongly: dark on white is the largest
# step in the picture. The nose is pulled from the *inside* alone, and ten times more weakly, by the paint that moves
# over it and by its shading. If a loss like ours gives fine heads and vague noses, here is a reason. Drawing patches
# by signal does not change that: most of the signal is the outline's, too.
#
# ## 7. How it fails
#
# ### Colour paints the lines
#
# The loss asks for lines in the right places. It does not ask who makes them. Take a ball *without a nose*, forbid its
# shape to move, and let only its colours learn, from one view.


# %%
def paint_it(nose, yaws, texels=(48, 96), steps=150):
    """Fit the colours of a shape that stays as it is: losses, and pictures (views, S, S, 3)."""
    views = [toy_head.render(toy_head.shape(nose=nose), yaw) for yaw in yaws]
    wanted = [toy_head.render(toy_head.shape(), yaw).colour for yaw in yaws]
    targets = gradient_modulus(torch.stack(wanted).float().movedim(-1, 1), kx, ky)
    opacity = torch.stack([view.opacity for view in views]).float()[:, None]
    places = torch.stack([toy_head.on_texture(view.directions) for view in views]).float()
    noise = torch.randn(1, 3, *texels, generator=torch.Generator().manual_seed(0))
    texture = (0.1 * noise).requires_grad_()
    optimiser = torch.optim.Adam([texture], lr=0.05)
    fall = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.03 ** (1 / steps))
    losses = []
    for _ in range(steps):
        colours = torch.sigmoid(texture).expand(len(yaws), -1, -1, -1)
        painted = F.grid_sample(colours, places, padding_mode="border", align_corners=False)
        pictures = painted * opacity + 1 - opacity  # on white
        loss = gradient_loss(pictures, targets, kx, ky)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
        losses.append(loss.item() / targets.mean().item())
    return losses, pictures.detach().movedim(1, -1)


losses, (ball,) = paint_it(nose=0.0, yaws=(0.0,))
print("a wrong shape, painted: over 90 % of the loss is gone:", losses[-1] < 0.1 * losses[0])
print("it is under 5 % of an empty picture's:                ", losses[-1] < 0.05)

# %%
colour = toy_head.render(toy_head.shape()).colour
drawn = figures.drawings(toy_head.modulus(colour), toy_head.modulus(ball), top=0.35)
figure, (axes,) = style.grid(1, 5, width=12, height=2.5, width_ratios=[1, 1, 1, 1, 1.8])
titles = ("the true head", "its modulus", "a ball, painted", "its modulus")
for ax, picture, title in zip(axes[:4], (colour, drawn[0], ball, drawn[1]), titles, strict=True):
    style.image(ax, picture, title)
style.curves(axes[4], range(1, len(losses) + 1), {"": losses}, looks=loss_looks, yscale="log")
axes[4].set_title("gradient loss; 1 = an empty picture", fontsize=9)
axes[4].set_xlabel("steps of the paint alone")
style.show(
    figure,
    alt="Left, the true toy head and its modulus; a grey ball with a coloured, noisy pattern around eyes, nose and "
    "mouth, and its modulus, which looks the same. Right, the loss of the painted ball falls over the "
    "steps by more than a factor of ten.",
)

# %% [markdown]
# The two drawings can hardly be told apart, and one of them is a ball. *From one view, the gradient loss says next to
# nothing about the shape within the outline.* That is no more than fair: a ball can be painted so that its photograph
# is that of a face.
#
# What says something about shape is that paint sticks. A line painted on a wrong surface falls into the right place in
# one view and into a wrong one in the next. So paint shapes with noses of several heights, once for one view, once for
# five together, and see what loss the *best* paint leaves.

# %%
heights = (0.0, 0.1, 0.2, 0.3, 0.4)
paints = {"one view": (0.0,), "five views": toy_head.VIEWS}
remains = {name: [paint_it(h, yaws)[0][-1] for h in heights] for name, yaws in paints.items()}
one_view, five = remains.values()
near = max(one_view) < min(one_view) + 0.02
print("one view: heights differ by less than 2 % of an empty picture:", near)
print("five views: the true nose is painted best:", five[2] == min(five))
print("five views: the worst one leaves over 20 % more:", max(five) > 1.2 * five[2])
figure, ((ax,),) = style.grid(1, 1, width=7.5, height=3.2)
style.curves(ax, heights, remains, marks=True, xlabel="height of the nose that is painted")
ax.set(ylim=(0, None), ylabel="loss that paint leaves")
ax.axvline(0.2, color="0.55", ls=":")
ax.text(0.203, 0.003, "the true nose", fontsize=8, color="0.35")
style.show(
    figure,
    alt="Loss that is left over the height of the painted nose. One view: a line that is low and nearly "
    "level. Five views: a shallow valley whose lowest point is at the true height.",
)

# %% [markdown]
# There it is, the reason why moduli can make a face: *many views*. Look at the scale, too. The valley is shallow;
# paint can make up for most of a wrong nose even in five views. (What is left at the true height is the paint's own: it
# has so many texels, and so many steps.) So whatever makes paint less able makes the valley
# deeper, and that is what the Lipschitz term is for (equations 7 and 8): it keeps the colour network from changing
# its answer abruptly. Whether it does help is measured in [07](07_lipschitz_ablation.ipynb).
#
# ### Nothing to paint with
#
# The other extreme. If the skin has one colour and the light comes from everywhere, the inside of the head is flat,
# whatever the shape. Then a nose that is seen from the front has no pull at all; only where it sticks out of the
# outline would it be noticed. Light saves it: shading is colour, too.

# %%
for light, words in ((0.0, "unlit"), (0.6, "lit from a side")):
    looks = {"paint": toy_head.plain, "light": light}
    wanted = toy_head.modulus(toy_head.render(toy_head.shape(), **looks).colour)
    pull = toy_head.slope("nose", 0.1, wanted, **looks)[1]
    print(f"plain skin, {words}: the nose feels a pull: {abs(pull) > 1e-4}")

# %% [markdown]
# ### Too far off
#
# Section 4 moved pictures. Here a small ball moves in space, towards a target that stands in the middle, and at every
# place we ask autograd which way descent would go.

# %%
shifts = torch.arange(1, 37, dtype=torch.float64) / toy_head.SIZE  # from half a pixel to 18
wanted, found = toy_head.modulus(toy_head.render(toy_head.shape(0.3, 0.0, 0.0)).colour), []
for value in shifts:
    shift = value.clone().requires_grad_()
    loss = toy_head.loss(toy_head.render(toy_head.shape(0.3, shift, 0.0)).colour, wanted)
    found.append((loss.item() / wanted.mean().item(), torch.autograd.grad(loss, shift)[0].item()))
lost, slopes = torch.tensor(found).T
print("within 4 pixels descent always goes home:           ", bool((slopes[:8] > 0).all()))
print("further off it goes away at some places:            ", bool((slopes[8:] < 0).any()))
astray = (slopes[28:] < 0).double().mean()
print("without overlap at a quarter of them or more:        ", bool(astray >= 0.25))
figure, ((ax,),) = style.grid(1, 1, width=8.5, height=3.2)
pixels, home = shifts * toy_head.SIZE / 2, slopes > 0
ax.plot(pixels, lost, color="0.4", lw=1.2, zorder=1)
ax.plot(pixels[home], lost[home], "<", color=style.BLUE, ms=7, label="descent goes home")
ax.plot(pixels[~home], lost[~home], ">", color=style.VERMILLION, ms=7, label="descent goes away")
ax.axhline(1, color="0.55", ls=":")
apart = 0.3 * toy_head.SIZE  # pixels: two radii
ax.axvline(apart, color="0.55", ls="--")
ax.text(apart + 0.2, 0.06, "no overlap beyond", fontsize=8, color="0.35")
ax.legend(loc="lower center", frameon=False, fontsize=8)
ax.set(ylim=(0, 1.9), xlabel="how far the ball is to the right of its target, pixels")
ax.set_ylabel("gradient loss; 1 = an empty picture")
style.show(
    figure,
    alt="The gradient loss over the distance of a small ball from its target. It rises steeply for two or three "
    "pixels, past the level of an empty picture, then slowly and in waves. Blue triangles point home; "
    "red triangles, at some places in the middle and most of those without overlap, point away.",
)

# %% [markdown]
# In pixels the story is the same as before. There is a pull for two or three of them, and then waves. Where the two
# balls no longer overlap, nothing that is meant is left, and the derivative is not zero but *meaningless*: what
# remains is how the line happens to fall on the raster of pixels, and on the target's other side. An optimiser can't
# tell. It follows.
#
# ### The kink at zero
#
# A length is not differentiable at 0: $\lVert g \rVert$ is a cone, and its tip has no slope. Written naively, as the
# root of a sum of squares, autograd divides 0 by 0 there.
#
# The package's choice stands in the first lines of `privhead_nb/kernels/gradient_loss/__init__.py`: it computes
# $g / \sqrt{\max(\lVert g \rVert^2, 10^{-36})}$, which is $g / \lVert g \rVert$ everywhere but at the tip, and 0 there.
# Zero is the middle of all slopes that the cone has around its tip, and the only one that prefers no direction.
#
# The price: a perfectly even picture has *no* gradient, however large its loss. It would never begin to draw. In
# practice no rendering is perfectly even; and as soon as it is not, something odd happens. The derivative of a
# length has length 1, *however small the length is*. The cell tries an even picture both ways, then one with a little
# noise and one with a thousandth of it.


# %%
def pull(picture):
    picture = picture.requires_grad_()
    return torch.autograd.grad(gradient_loss(picture, torch.ones(1, 4, 4), kx, ky), picture)[0]


flat = torch.full((1, 3, 6, 6), 0.5, requires_grad=True)
squares = [F.conv2d(flat[0][:, None], k[None, None]).square().sum(0) for k in (kx, ky)]
naive = (squares[0].sqrt() + squares[1].sqrt() - 1).abs().mean()
(slope,) = torch.autograd.grad(naive, flat)
print("naively: the gradient has NaN:           ", bool(slope.isnan().any()))
print("the package: every gradient is exactly 0:", bool((pull(flat) == 0).all()))
noise = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
much, little = (pull(0.5 + size * noise).flatten() for size in (1e-1, 1e-4))
as_strong = math.isclose(much.norm(), little.norm(), rel_tol=0.01)
print("a thousandth of the noise pulls as strongly:", as_strong)

# %% [markdown]
# So it is chance, the first faint unevenness, that decides which side of a line becomes the dark one, and after that
# the hill between photo and negative (section 4) keeps it so. Look again at the hues of the painted ball.
#
# ### Sixty-four pixels
#
# Two last ones, which come with pixels. A derivative's length forgets its sign, so a stripe and the gap beside it
# are the same to it: a pattern of period $T$ has a modulus of period $T / 2$, and twice as many wrong places to
# settle in. And a ray is a *point*: it looks at the middle of a pixel, while a photo averages over its area. A
# pattern finer than two pixels is nearly grey in the photo, and full of lines that are not there in the rendering.


# %%
def stripes(period, size=64, *, shift=0.0, samples=1, angle=0.0):
    """Grey stripes (size, size, 3): the mean of samples x samples points in each pixel."""
    fine = (torch.arange(size * samples) + 0.5) / samples
    y, x = torch.meshgrid(fine, fine, indexing="ij")
    across = x * math.cos(angle) + y * math.sin(angle) - shift
    grey = 0.5 + 0.4 * torch.sin(2 * torch.pi * across / period)
    return F.avg_pool2d(grey[None, None], samples)[0, 0, :, :, None].expand(-1, -1, 3)


wide = stripes(8.0, samples=8)
steps = torch.arange(-12, 12.5, 0.5)
moves = [landscape.planes(stripes(8.0, shift=float(s), samples=8)) for s in steps]
twice = landscape.over(wide, torch.cat(moves), steps)
valleys = [landscape.valleys(losses) for losses in (twice.rgb, twice.gradient)]
print(f"valleys within 12 pixels: RGB {valleys[0]}, gradient {valleys[1]}")
by_ray, by_area = (stripes(1.4, samples=s) for s in (1, 8))
lines = [landscape.moduli(landscape.planes(p)).mean() for p in (by_ray, by_area)]
print("stripes of 1.4 pixels: rays see over twice the modulus:", bool(lines[0] > 2 * lines[1]))
figure, (axes,) = style.grid(1, 4, width=11.5, height=2.9)
series = {"gradient": twice.gradient / twice.gradient.max(), "RGB": twice.rgb / twice.rgb.max()}
style.curves(axes[0], steps, series, looks=loss_looks, title="stripes of 8 pixels: both losses")
axes[0].set(xlabel="shift, pixels", ylim=(-0.05, 1.45))
shown = {
    "drawn finely": stripes(1.4 * 16, 24 * 16, angle=0.15),
    "averaged over pixels": stripes(1.4, 24, samples=8, angle=0.15),
    "one ray a pixel": stripes(1.4, 24, angle=0.15),
}
for ax, (title, picture) in zip(axes[1:], shown.items(), strict=True):
    style.image(ax, picture, f"1.4 pixels,\n{title}")
style.show(
    figure,
    alt="Left, both losses over the shift of stripes: between two bottoms of the RGB loss the gradient loss has "
    "another one. Then stripes of 1.4 pixels: drawn finely; averaged over pixels, a faint coarse pattern that leans "
    "the other way; and by one ray a pixel, the same coarse pattern, strong.",
)

# %% [markdown]
# The package's renderer takes the *outline* as an average over the pixel (`coverage="footprint"`, in
# `privhead_nb/render/volume.py`), since that is where it hurts most, and leaves colours to a point in the middle.
# That is bearable as long as the field can't hold finer patterns than a pixel. Its finest cells are about as wide as one.
#
# ## 8. The gradient, by hand
#
# You have seen the loss pull. Now derive how. Let $o$ be a pixel of the modulus, and $N$ their number. By the chain rule, from
# the outside to the inside:
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
# ### Exercise 0405 (hard): the gradient of equations 5 and 6
#
# Write it without autograd. `picture` is `(C, H, W)`, `target` `(h, w)` with $h = H - k + 1$; the answer has the
# picture's shape. Mind the tip of the cone (0), a rendering that is exactly right at a pixel (0, too), and the
# border. `F.conv2d` correlates, it does not flip; what comes back through it, does. The check has kernels that are
# not symmetric, to make sure that you thought of it.


# %% tags=["exercise"]
def gradient_by_hand(picture, target, kx, ky):
    """d loss / d picture (C, H, W) of eq. 5 and 6, without autograd."""
    ### BEGIN SOLUTION
    reach = kx.shape[-1] - 1
    gx, gy = (F.conv2d(picture[:, None], k[None, None])[:, 0] for k in (kx, ky))
    s = torch.sign(gx.norm(dim=0) + gy.norm(dim=0) - target) / target.numel()
    found = torch.zeros_like(picture)
    for g, k in ((gx, kx), (gy, ky)):
        length = g.norm(dim=0)
        unit = torch.where(length > 0, g / length.clamp_min(1e-30), 0)  # 0 at the tip
        around = F.pad(s * unit, (reach, reach, reach, reach))[
            :, None
        ]  # nobody is beyond the border
        found += F.conv2d(around, k.flip(0, 1)[None, None])[:, 0]
    return found
    ### END SOLUTION


# %%
checks.ex0405(gradient_by_hand)

# %% [markdown]
# You have written what `privhead_nb/kernels/gradient_loss/` does on every step. Its loops gather as yours does, so that no
# two of them ever write to one place; [11](11_gpu_kernels.ipynb) tells why that matters.
#
# ## 9. What answers all this
#
# The list of failures is the list of reasons for the method's parts.
#
# - *Too narrow a funnel*, *fading*, *false valleys inside the face*: **stage 1** comes first, and brings the surface
#   to where stage 2 can pull. How near is that? A pixel's width at the head, in millimetres, is distance over focal
#   length. Compare it with how far stage 1 is off.

# %%
centre = torch.tensor(release.center, dtype=torch.float64)
distance = (release.cameras.centers - centre).norm(dim=1)
pixel = float((distance / release.cameras.K[:, 0, 0]).median())
coarse = evaluate(head.stage1_mesh, scene)
print(f"a pixel covers {pixel:.1f} mm in the middle of the head")
print("on average stage 1 is within half a pixel:    ", coarse.distance_mean < 0.5 * pixel)
print("over 80 % of its points are within one:       ", coarse.within["5"] > 0.8 and pixel > 5)
print("the funnel's half-width is over twice its error:", narrow * pixel > 2 * coarse.distance_mean)

# %% [markdown]
# Stage 1, which sees the face from no sensitive view, leaves it off by less than a pixel: *inside* the funnel. The
# paper argues from the other end: without stage 1 its error was 27.65 where two stages have 0.84. In
# [05](05_two_stage_reconstruction.ipynb) we try that, and find much less of a difference: an outline that is seen
# from twenty sides leads further than the curves of this lesson suggest.
#
# - *Paint*: twenty **views** that must agree, and the **Lipschitz term**
#   ([07](07_lipschitz_ablation.ipynb) measures what it is worth; do not expect too much).
# - *Offset, sign and hue*: nothing answers these, on purpose ([06](06_irreversibility.ipynb)). The colours of a
#   face may come out wrong, as they did in section 1. The shape may not.
# - *The kink*: a slope of 0 at the tip, by definition.
# - *Waste and white*: patches of ten, drawn by signal.
#
# ## 10. Play
#
# The front view against itself. Move the sliders with the mouse, or with Tab and the arrow keys, and try to find the
# settings that this lesson was about: the shift at which to show nothing would be better; a setting with another
# picture and no loss; a blur that makes the shift cheaper; and what the RGB loss thinks of each.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Four settings side by side, for readers without a running kernel: three pixels off, seen by the gradient loss; by the
# RGB loss; by the gradient loss after a blur; and the negative in place.

# %%
for setting in panel.TWIN:
    print(panel.picture(**setting).facts)
widgets.twin(panel.picture, panel.TWIN)

# %% [markdown]
# ## Now you, without a check
#
# 1. *Easy.* Colours are compared by L1 here. Would a *squared* difference of moduli change which of the two,
#    silence or a misplaced line, is better? Work it out for lines that don't overlap.
# 2. *Middle.* Let the paint be calm: give `paint_it` 8 x 16 texels and run the noses again. How much deeper is
#    the valley? And is its bottom still in the right place?
# 3. *Hard.* Give `paint_it` a nose that learns together with its paint, and start from a ball. Does it find
#    the true height? From one view? With which learning rates? Then compare colours instead.
#
# ## What to remember
#
# - The gradient loss compares lengths of derivatives. Offset, sign and every rotation of colour space are free,
#   exactly.
# - Its funnel is a couple of pixels wide, several times narrower than that of the RGB loss. Blur widens it, at the
#   price of detail.
# - A misplaced line costs twice, a missing one once. So colours fade before shapes move.
# - A shape is pulled through colour: its outline strongly, its inside weakly. Where there is no colour to move there
#   is no pull.
# - The inside of one view can be painted onto any shape. Many views can't, not entirely: that is where the shape
#   comes from.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | our equation 5 is the package's | section 1, `tests/test_gradient_loss_kernels.py` |
# | drawing by signal is worth over 1.5 times as much at a side of 10 | section 2 |
# | the outermost ring is never compared | section 2, `tests/test_lesson_04.py` |
# | offset, sign and rotations of colour are free | section 3, exercise 0403 |
# | the funnel is several times narrower than the RGB loss's, and blur widens it | section 4, `tests/test_lesson_04.py` |
# | misplaced lines are worse than none, and fade | section 5, exercise 0404 |
# | autograd is right about the shape, and the nose is pulled from inside | section 6, `tests/test_lesson_04.py` |
# | one view can be painted on any nose; five prefer the true one | section 7 |
# | plain unlit skin has no pull; far off it is meaningless; at the kink it is 0 | section 7 |
# | the gradient by hand is autograd's | exercise 0405 |
# | stage 1 ends inside the funnel | section 9 |
#
# **Read on**: [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb), where this loss trains a head;
# [06, irreversibility](06_irreversibility.ipynb), on what else has the same modulus;
# [07, the Lipschitz term](07_lipschitz_ablation.ipynb); [03, protecting operators](03_protecting_operators.ipynb);
# `privhead_nb/kernels/gradient_loss/__init__.py`, whose first page is section 8. On landscapes of lines: Barrow, Tenenbaum,
# Bolles and Wolf, *Parametric correspondence and chamfer matching* (1977), which made funnels wider by a distance
# instead of a blur.

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
# # 6. Irreversibility
#
# **You will be able to** say how many pictures share one gradient modulus, and why; build such pictures; write the
# attack that finds a picture for a given modulus, and one that finds the *face*; score its guess fairly; tell *many
# pictures fit* from *nobody is recognised*; and say against which attacker a claim of privacy was tested.
#
# **You should know** what the released modulus is ([03, protecting
# operators](03_protecting_operators.ipynb)) and how a loss on it is descended
# ([04, gradient loss](04_gradient_loss.ipynb)). Some linear algebra: a rotation, an eigenvalue.
#
# **Time**: 120 minutes of reading and writing, and 45 more for the hard exercise; computing takes
# about a minute on a CPU. A GPU is not needed.
#
# **Equations of the paper**: 5 and 6, and the supplement's section on protecting operators with its Figures
# 13 and 14.

# %%
import math
from itertools import product

import numpy as np
import torch
from scipy import ndimage
from scipy.fft import dctn, idctn
from sklearn.cluster import KMeans
from torch.nn import functional as F

from privhead_nb import Operator
from privhead_nb.lab import faces
from privhead_nb.lab.attacks import prior_free
from privhead_nb.lab.attacks.parrot import classical_parrot
from privhead_nb.lab.attacks.probe import fused, in_batches
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.teach import checks, lab_runs, stored_faces, widgets
from privhead_nb.teach.lesson06 import data, figures, multiplicity, panel, surface
from privhead_nb.teach.lesson06.scores import up_to_colours
from privhead_nb.teach.results import table
from privhead_nb.training.profiles import get_profile
from privhead_nb.viz.style import curves, dots, grid, show

operator = Operator()  # Sobel, norms over the three channels
people = data.front(48)  # made heads: (24 people, 2 lights, 48, 48, 3)
head = people[3, 0]


def gradients(pictures):
    """(B, H, W, 3) -> gx and gy, (B, 3, H, W) each: Sobel / 8 as in lesson 03, borders mirrored."""
    padded = F.pad(pictures.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="reflect")
    sobel = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]).to(pictures) / 8
    both = F.conv2d(padded.flatten(0, 1)[:, None], torch.stack([sobel, sobel.T])[:, None])
    return both.unflatten(0, (-1, 3)).unbind(2)


# %% [markdown]
# ## 1. The promise
#
# A picture of a face stays at home. What leaves is its **gradient modulus** (equation 6): at each pixel one
# number, how strongly the colour changes there,
#
# $$m = \left\| \frac{\partial c}{\partial x} \right\|_2 + \left\| \frac{\partial c}{\partial y} \right\|_2 .$$
#
# The paper's supplement gives three reasons why nobody gets the picture back. *Irreversibility*: only lengths
# of gradients are kept, so many pictures map to one release. *Colour multiplicity*: one modulus belongs to
# many colourings. *Perceptual indistinction*: released faces look alike to people. This lesson takes the first
# two at their word, and builds the many pictures. Then it asks the question that the argument leaves out:
# **what do all those pictures have in common?**

# %%
gx, gy = gradients(head[None])
modulus = operator.modulus(head)
off = float((gx.norm(dim=1) + gy.norm(dim=1) - modulus).abs().max())
print(f"equation 6 by the gradients above, and the package's: {off:.7f} apart at most")
show(
    figures.gallery([{"stays at home": head, "leaves the device (square root)": modulus}], width=5),
    alt="A small front picture of a made head with short brown hair, and beside it what is released: dark "
    "lines on white along the outline, the hairline, the eyes, nose and mouth.",
)

# %% [markdown]
# Nobody's face is in this lesson: the 24 heads are made from numbers. Look at the right picture for a moment before you
# read on. (We draw the *square root* of every modulus in this lesson, which lifts its faint lines.) Would you say that
# the face is gone?
#
# ## 2. On a line, by hand
#
# Start with the smallest case: a grey signal of four pixels. Somebody releases the three *sizes* of its steps, 0.5,
# 0.3 and 0.4, and keeps the signs. Each step went up or down, so there are $2^3 = 8$ walks, and each may start
# anywhere. If that were all, we could never tell.
#
# But grey values lie between 0 and 1. A walk whose highest and lowest points are more than 1 apart can't be a
# picture. The walk up, up, up climbs by 1.2, and drops out. So does its mirror image.

# %%
show(
    figures.walks([0.5, 0.3, 0.4]),
    alt="Left: eight zigzag lines over four pixels; two grey ones leave the band between 0 and 1. Right: "
    "the six that fit, in blue, each in the middle of the band.",
)

# %% [markdown]
# Six of eight: not much is lost. How does that go on for longer signals? Count.
#
# ### Exercise 0601 (first steps, 15 min): count them
#
# Write a function that takes the sizes of the steps and counts the signals in $[0, 1]$ that have them.
# Signals that differ by a constant count once. When does a walk fit? Think of its highest and its lowest
# point, and don't forget the pixel where it starts. Steps may be 0, too: how many signals does such a step
# make? (`product((1, -1), repeat=n)` gives all choices of signs; or let NumPy count in binary.)


# %% tags=["exercise"]
def count_signals(steps):
    """How many signals in [0, 1] have these steps; those that differ by a constant count once."""
    ### BEGIN SOLUTION
    numbers = np.arange(2 ** len(steps))[:, None]
    signs = 1 - 2 * ((numbers >> np.arange(len(steps))) & 1)
    walks = np.cumsum(np.hstack([np.zeros((len(signs), 1)), signs * steps]), axis=1)
    fit = int((np.ptp(walks, axis=1) <= 1 + 1e-9).sum())
    return fit // 2 ** int((steps == 0).sum())  # both signs of a step of 0 are one signal
    ### END SOLUTION


# %%
checks.ex0601(count_signals)

# %% [markdown]
# It depends on how large the steps are. A random walk of $n$ steps wanders about $\sqrt{n}$ steps away from its start,
# and soon hits the walls.
#
# Then there is what an attacker knows at the *ends*. Photos of heads often have a plain wall behind them. If
# both ends of a line are known to be white, all steps have to add up to 0, and that is a hard condition on
# signs. Below, your count for random steps of three sizes; and then eleven steps of which ends are known.

# %%
random = np.random.default_rng(6)
for size in (0.1, 0.2, 0.4):
    drawn = random.uniform(0.5 * size, 1.5 * size, 14)
    left = [count_signals(drawn[:n]) for n in (4, 8, 11, 14)]
    print(f"steps of about {size}: {left} of [16, 256, 2048, 16384] signals fit")

signal = np.array([1.0, 0.45, 0.6, 0.52, 0.81, 0.3, 0.37, 0.66, 0.48, 0.9, 0.77, 1.0])
steps = np.abs(np.diff(signal))
print("nothing known:  ", count_signals(steps), "of", 2 ** len(steps))
print("first end known:", len(multiplicity.signals(steps, first=1.0)))
print("both ends known:", len(multiplicity.signals(steps, first=1.0, last=1.0)))

# %% [markdown]
# Of 2048 signals, **one**. Whoever knows both ends of this line knows all of it, signs or no signs. (Steps that
# are equal, or that add up to equal sums, leave more. With steps like these it would be a coincidence.)
#
# ## 3. In the plane, loops must close
#
# A picture with $N$ pixels has about $2N$ differences between neighbours. Are there $2^{2N}$ pictures with the
# same sizes of differences? Walk around a square of four pixels, right, down, left, up, and you are back
# where you started, at the same grey value. So the four differences of each square add up to 0:
#
# $$\partial_x c \,(\text{top}) + \partial_y c \,(\text{right}) - \partial_x c \,(\text{bottom})
# - \partial_y c \,(\text{left}) = 0 .$$
#
# This is the discrete form of *the curl of a gradient is zero*. Flip one sign, and the loop no longer closes,
# unless other signs are flipped along. Let us try all of them. A picture of $3 \times 3$ pixels has 12
# differences, so $2^{12} = 4096$ choices, and four loops to close.


# %%
def closing(grey):
    """How many choices of signs of the differences of grey (H, W) close every loop of four."""
    right, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    sizes = np.concatenate([right.ravel(), down.ravel()])
    found = 0
    for signs in product(*[(1, -1) if size > 0 else (1,) for size in sizes]):
        x, y = np.split(signs * sizes, [right.size])
        x, y = x.reshape(right.shape), y.reshape(down.shape)
        found += int(np.abs(x[:-1] + y[:, 1:] - x[1:] - y[:, :-1]).max() < 1e-9)
    return found


smallest = {
    "random": random.uniform(size=(3, 3)),
    "bump": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]) / 2,
    "two corners": np.array([[5, 0, 0], [0, 0, 0], [0, 0, 3]]) / 10,
    "ramp": np.array([[0, 0, 0], [3, 3, 3], [8, 8, 8]]) / 10,
}
for name, grey in smallest.items():
    different = int((np.diff(grey, axis=0) != 0).sum() + (np.diff(grey, axis=1) != 0).sum())
    print(f"{name:>11}: {2**different:>4} choices of signs, {closing(grey)} close")

# %% [markdown]
# Of 4096, two: the picture and its negative. On a line every sign was free. In the plane, *signs of neighbours depend
# on each other*: a square's four sizes admit one way to add up to 0, and its negative, so each sign decides the three
# others; and squares that share a side share a sign.
#
# The last two rows show where that chain breaks. **Flat ground**: two corners with nothing between them may each be up
# or down. And **pairs**: in the ramp, which climbs from row to row, each square's differences are 0, 0, $a$ and $a$.
# Its loop closes if the two $a$ have *one* sign, whichever; so a step of the ramp is one decision along its row, and
# the step below it is another: four choices, although the ramp is one connected part. So the rule needs a condition:
#
# > one sign for each connected part that lies in flat ground, **if the picture is generic**: no square's four
# > differences fall into two pairs of equal size, each of which closes by itself.
#
# Ramps, stripes and everything that changes in one direction only are not generic. Are portraits? We shall count.
#
# With the rule one can draw what the paper's Figure 13 shows: grey pictures that agree all along the border and in
# their modulus, and still differ. Take nine bumps in a flat sea. A bump $x$ in a sea of colour $b$ becomes a dent if it
# is mirrored, $2b - x$. Each of them may be: $2^9 = 512$ pictures, one modulus.
#
# ### Exercise 0602 (solid, 20 min): flip a part
#
# Write the flip. You get a picture, which must stay as it is, so flip a copy; and a mask that says what lies inside
# the part. The level $b$ is not given: where do you find it? (`ndimage.binary_dilation` grows a mask by a pixel; four
# shifted copies do, too.)


# %% tags=["exercise"]
def flip(picture, inside):
    """picture (H, W, 3), inside (H, W) bool -> the picture with the part mirrored about b."""
    ### BEGIN SOLUTION
    grown = inside.copy()
    grown[1:] |= inside[:-1]
    grown[:-1] |= inside[1:]
    level = picture[grown & ~inside][0]
    return np.where(inside[..., None], 2 * level - picture, picture)
    ### END SOLUTION


# %%
checks.ex0602(flip)

# %%
bumps = multiplicity.islands(48)
rings, row = operator.modulus(bumps), {"the picture": bumps}
labels, count = multiplicity.parts(rings)  # connected parts whose modulus isn't 0
masks = [ndimage.binary_fill_holes(labels == part) for part in range(1, count + 1)]
for flips in ((0, 2, 4), (1, 3, 5, 6), range(9)):
    other = bumps.numpy()
    for part in flips:
        other = flip(other, masks[part])
    row[f"{len(flips)} flipped"] = torch.from_numpy(other)
off = max(float((operator.modulus(picture) - rings).abs().max()) for picture in row.values())
print(f"bumps: {count} parts; the moduli of all four pictures differ by {off:.10f}")


def squares(grey):
    """(squares with four differences, how many of these fall into pairs that close by themselves)."""
    x, y = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    sides = np.stack([x[:-1], x[1:], y[:, :-1], y[:, 1:]])
    a, b, c, d = sides[:, (sides > 1e-9).all(axis=0)]
    pairs = [(a, b, c, d), (a, c, b, d), (a, d, b, c)]
    close = [(abs(p - q) < 1e-9) & (abs(r - s) < 1e-9) for p, q, r, s in pairs]
    return np.array([len(a), np.any(close, axis=0).sum()])


moduli = operator.modulus(people)
counts = {multiplicity.parts(m)[1] for m in moduli[:, 0]}
full, paired = sum(squares(p.mean(-1).numpy()) for p in people[:, 0])
print(f"24 heads: {max(counts)} part each; {paired} of {full} squares fall into pairs")
whole = [ndimage.binary_fill_holes(multiplicity.parts(m)[0] == 1) for m in moduli[:, 0]]
lightest = [flip(p.numpy(), mask).max() for p, mask in zip(people[:, 0], whole, strict=True)]
print(f"lightest value of their negatives: {min(lightest):.2f} to {max(lightest):.2f}")
show(
    figures.gallery([row | {"one modulus (square root)": rings}]),
    alt="Four grey pictures of nine round spots, lighter or darker than the ground in different "
    "combinations, and their one modulus: nine rings.",
)

# %% [markdown]
# And a face? A portrait is one part, for skin is shaded everywhere, and no flat ground runs through it; and it is
# generic but for a square in a thousand, which its neighbours go around. So there is one sign in all, and in front of
# a white wall the negative would have to be *lighter than white*. So all those choices of signs have come down to one
# picture.
#
# Be fair, though: we have counted with all differences in both directions known. Equation 6 gives less. It adds
# up the lengths in $x$ and in $y$, and it does so over three channels.
#
# ## 4. Colours: an infinity of pictures
#
# Count equations. A release of $N$ pixels gives $N$ numbers. A grey picture has $N$ unknowns, a colour picture $3N$.
# So around a colour picture there should be a whole *surface* of pictures with its modulus, of some $2N$ dimensions.
#
# Some of it can be seen without computing. The norm $\|\cdot\|_2$ runs over the three channels, and a
# rotation changes no lengths. Turn all colours by one orthogonal $3 \times 3$ matrix $Q$, add any colour $t$:
#
# $$c' = Q c + t \quad \Rightarrow \quad \left\| \frac{\partial c'}{\partial x} \right\| = \left\| Q
# \frac{\partial c}{\partial x} \right\| = \left\| \frac{\partial c}{\partial x} \right\| .$$
#
# This is what the paper's Figure 14 is about: other colours, one modulus. The range has a say again: many turns push
# some colour below 0 or above 1. Of a thousand random $Q$, how many leave a head, with the best $t$, in range?

# %%
row, off = {"the picture": head}, []
for degrees in (60, 120, 180, 240):
    turned = head @ multiplicity.turn(degrees).T
    row[f"turned by {degrees} deg"] = turned + 0.5 - (turned.amax((0, 1)) + turned.amin((0, 1))) / 2
    off.append(float((operator.modulus(row[f"turned by {degrees} deg"]) - modulus).abs().max()))
print(f"the moduli of the turned heads differ by at most {max(off):.10f}")
generator = torch.Generator().manual_seed(6)
turns = torch.stack([multiplicity.random_turn(generator) for _ in range(1000)])
fits = []
for person in people[:, 0]:
    turned = torch.einsum("hwc,qdc->qhwd", person, turns).flatten(1, 2)
    fits.append(int(((turned.amax(1) - turned.amin(1)).amax(1) <= 1 + 1e-6).sum()))
print(f"turns in range, of 1000: {min(fits)} to {max(fits)}, median {np.median(fits):.0f}")
show(
    figures.gallery([row]),
    alt="The head five times: as it is, and with its hues turned by 60, 120, 180 and 240 degrees, so that "
    "the face is green, blue or purple. The drawing of the face is the same in all.",
)

# %% [markdown]
# Dark hair and skin before a white wall leave colours little room. A fair face with grey hair has more. (However
# little room there is, $Q = 1$, no turn at all, always fits.)
#
# ### Walk along the surface
#
# The turns and offsets are six dimensions of $2N$. To see others, walk. Let $J$ be the derivative of all moduli by
# all colours, $N$ rows and $3N$ columns. What $J$ maps to 0 doesn't change the modulus, to first order. So choose a
# direction $v$, say *towards red*, keep only the part that $J$ doesn't see,
#
# $$v - J^\top (J J^\top)^{-1} J v,$$
#
# go a little way, and let Newton's method pull the picture back until all moduli are right to nine digits. Then
# again. `surface.wander` does this. We first send it in a random direction, then from there towards red.

# %% tags=["tolerance-10"]
small, quick = data.front(32)[3, 0], get_profile().name == "ci"
noise = torch.rand(small.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
red = torch.tensor([0.8, 0.2, 0.2], dtype=torch.float64).expand_as(small)
away = surface.wander(small, operator, small + 2 * noise - 1, steps=3)
there = surface.wander(away.picture, operator, red, steps=24 if quick else 60, length=0.05)
off = float((operator.modulus(there.picture) - operator.modulus(small)).abs().max())
apart = float((there.picture - small).square().mean().sqrt())
low, high = float(there.picture.min()), float(there.picture.max())
print(f"moduli differ by {off:.6f} at most, colours by {apart:.3f} (root mean square)")
print(f"colours lie between {low:.2f} and {high:.2f}")
row = {"the picture": small, "a random way": away.picture, "then towards red": there.path[2]}
row |= {"as far as we went": there.picture, "one modulus (sq. root)": operator.modulus(small)}
words = "Five tiles: the head; the same with speckles of all colours; two in which the face is redder under "
words += "the speckles; and the modulus that all four have. Eyes, nose and hairline stay in their places."
show(figures.gallery([row]), alt=words)

# %% [markdown]
# All of these have the same modulus to nine digits: nobody who sees only that can rule any of them out. So the paper
# is right that the map is many-to-one, and more thoroughly than it says. And yet: whose face is it, in the reddest of
# them?
#
# ### What nobody sees at all
#
# One last family. Sobel smooths along one direction, with 1, 2, 1, before it takes differences along the other.
# Stripes that alternate from row to row vanish when they are smoothed, $1 - 2 + 1 = 0$, and their differences over
# *two* rows are 0 as well. So $(-1)^y f(x)$, with any $f$, has a Sobel gradient of exactly zero, signs and all. How
# many such invisible pictures are there, for each operator, on $12 \times 14$ pixels?

# %%
for kind in ("sobel", "scharr", "prewitt", "central", "roberts"):
    hidden = surface.unseen_dimensions(12, 14, Operator(kind))
    print(f"{kind:>8}: {hidden:>2} independent pictures with gradient 0, of {12 * 14}")

# %% [markdown]
# The constant picture is one of them. Sobel's others are stripes of one pixel: one for each of 12 rows and 14 columns,
# but the checkerboard is on both lists, which leaves 25. They add to the count of *many*, and protect nobody: an
# attacker who finds a striped face takes the stripes away.
#
# Play with the families. Turn colours, flip parts, add stripes: the second picture changes, its modulus does not.
# Noise is different: it changes what is released, and the two moduli part. Watch the last words over the
# picture, too: not everything that has the right modulus *is* a picture.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Four settings, for readers without a running kernel: colours turned; five islands flipped; stripes, which the
# modulus doesn't notice; and a turn with noise on the release.

# %%
widgets.twin(panel.picture, panel.TWIN)

# %% [markdown]
# ## 5. Many pictures, one person
#
# Here is the step that the argument skips. *Many-to-one* says: you can't tell **which** of these pictures was
# taken. Privacy asks: can you tell **who** it is? If all the pictures show the same person, the first is true and
# the second is, too.
#
# And there is a short proof that multiplicity can't help against recognition. Whatever recognises a person from
# the modulus is a function of the modulus. All preimages have the same modulus. So it gives the same answer for
# all of them, no matter how many there are.
#
# Does such a recogniser exist? Take the simplest one: *nearest neighbour*. The attacker has the moduli of 24 people
# in studio light. Somebody releases a modulus taken in another light, from the left. Who of the 24 has the modulus
# that differs least? Then the same on a window in the middle of the face, brows to chin, without hair, outline and
# wall. And, for comparison, with the *pictures themselves* on that window, as they are and with their mean colour
# taken off.

# %%


def nearest(probes, gallery):
    """(N,) for each probe the number of the gallery's picture that differs least."""
    differences = (probes[:, None] - gallery).abs().flatten(2).mean(2)
    return differences.argmin(1)


own = torch.arange(len(people))
window = (slice(None), slice(20, 34), slice(18, 30))
shifted = people - people[:, :, *window[1:]].mean((2, 3), keepdim=True)
for name, (probes, gallery) in {
    "moduli, whole": (moduli[:, 1], moduli[:, 0]),
    "moduli, face window": (moduli[:, 1][window], moduli[:, 0][window]),
    "pictures, face window": (people[:, 1][window], people[:, 0][window]),
    "the same, mean off": (shifted[:, 1][window], shifted[:, 0][window]),
}.items():
    right = int((nearest(probes, gallery) == own).sum())
    print(f"{name:>21}: {right} of {len(people)} recognised; chance is 1")

# %% [markdown]
# All 24, from edges alone, through a change of light. And in the face window *the modulus recognises people whom the
# picture does not*, neither as it is nor with its mean taken off: light changes colours more than it changes edges. A
# gradient is a feature that people who build recognisers chose on purpose; the old HOG descriptor (histograms of
# oriented gradients) is little else. Edges are not what is left when the face is taken away. To a good part, the edges
# *are* the face.
#
# Mind what this shows and what it does not. The heads are made, their pose and camera are exactly the same, and 24 is
# a small gallery: 24 of 24 is consistent with a true rate of 86 % or more (95 %, two-sided). Real recognisers on
# other poses and thousands of people need the protocol of the privacy lab. But what a nearest neighbour gets past
# protects nobody from being recognised, in this setting.
#
# ## 6. Is the guess good? A fair score
#
# Now for the attack that the paper calls practically impossible: get the picture back. We need a score first. A guess
# $x$ of a grey truth $y$ that is off by a constant, or a perfect negative, is as good as the modulus allows, so
# it should not lose points for that. Compare the *best* of $c + x$ and $c - x$ with the truth:
#
# $$\text{explained} = 1 - \min_{c, \pm} \frac{\sum (c \pm x - y)^2}{\sum (y - \bar y)^2} .$$
#
# 1 is perfect. A plain grey card gets 0. Below 0, a grey card would have been the better guess. Note what is *not*
# forgiven: a wrong contrast, for the modulus tells how strong edges are.
#
# ### Exercise 0603 (solid, 20 min): the best of plus and minus
#
# `guess` and `truth` are arrays of one shape: pictures (H, W), or the pixels (n,) of a region.


# %% tags=["exercise"]
def explained(guess, truth):
    """Share of the truth that the best of c + guess and c - guess explains; arrays of one shape."""
    ### BEGIN SOLUTION
    x, y = guess - guess.mean(), truth - truth.mean()
    left = min(((x - y) ** 2).sum(), ((x + y) ** 2).sum())
    return 1 - left / (y**2).sum()
    ### END SOLUTION


# %%
checks.ex0603(explained)

# %% [markdown]
# For colours, "up to a sign" becomes "up to a turn": the best $Qx + t$ with $Q$ orthogonal. That minimum has a name,
# *orthogonal Procrustes*, and a one-line answer, $Q = U V^\top$ from the singular value decomposition of
# the $3 \times 3$ covariance of guess and truth. `up_to_colours` does it. How much of the truth is
# explained by the preimages of section 4, and how much by 23 other people's pictures?
#
# We score **the head**: hair, skin and neck, two pixels off its outline, so that nobody earns points for a white wall.
# Mind what that is not: it is not the face alone. Section 9 scores that by itself.

# %% tags=["tolerance-2"]
inside, rest = prior_free.interior(operator.modulus(small), operator, 2), np.arange(24) != 3
stripes = multiplicity.unseen(torch.full((32,), 0.03), torch.zeros(32))
preimages = {
    "turned by 120 deg": multiplicity.recoloured(small, multiplicity.turn(120)),
    "a random way": away.picture,
    "then towards red": there.picture,
    "stripes of 0.03": small + stripes[..., None],
}
mine = {name: up_to_colours(x, small, inside).explained for name, x in preimages.items()}
others = [up_to_colours(x, small, inside).explained for x in data.front(32)[rest, 0]]
truth = small.mean(-1)[inside].numpy()
for name, x in preimages.items():
    grey = explained(x.mean(-1)[inside].numpy(), truth)
    print(f"{name:>17}: {mine[name]:.2f} of the head, {grey:.2f} of its grey picture")
print(f" the best stranger: {max(others):.2f} of the head")
figure, ((ax,),) = grid(1, 1, width=9, height=2.8)
rows = {name: {"one modulus": 3 * [share]} for name, share in mine.items()} | {"other people": {}}
dots(ax, rows, extra={"other people": np.maximum(others, -1)}, extra_label="another person (23)",
     percent=False, xlabel="share of the head explained, up to a turn of colours (below -1 at -1)")  # fmt: skip
words = "Four dots, pictures of one modulus, from 0.8 to 1; 23 other people, crosses, under 0.3, most of them below 0."
show(figure, alt=words)

# %% [markdown]
# So each of the pictures that we built, to hide the truth among them, is nearer to the truth than any other person
# is. (Your grey score gives the turned picture 1.00, too: a turn about grey leaves the mean of the channels. The
# colour score is strict about speckles: let the walk's random part go on for eight steps instead of three, and it
# falls to -0.2, below two of the strangers, while grey is still at 0.7 and you see whose face it is. A number about
# pixels is not a verdict about persons; we need both.)
#
# ## 7. A control that must win
#
# Before an attack is believed when it *fails*, it has to show that it can *win*. So weaken the release: suppose it
# gave the **signed** differences, and not their sizes. Then the picture should come back.
#
# It does, and without any descent. Look for the picture $x$ whose differences $Dx$ come nearest to the given $g$,
# in least squares: $D^\top D x = D^\top g$. $D^\top D$ is (minus) the Laplacian, so this is **Poisson's
# equation**. At a border where nothing is known, the picture may be thought of as mirrored, and the waves that
# fit into a mirrored box are cosines. Each cosine is an eigenvector:
#
# $$\lambda_{uv} = \left( 2 - 2 \cos \frac{\pi u}{H} \right) + \left( 2 - 2 \cos \frac{\pi v}{W} \right).$$
#
# So: form $D^\top g$, take its cosine transform (DCT-II, SciPy's `dctn`), divide by $\lambda$, transform back
# (`idctn`). The constant has $\lambda_{00} = 0$: the mean is lost, and we set it to 0.
#
# ### Exercise 0604 (hard, 45 min): Poisson's equation by cosines
#
# `right` holds `x[:, 1:] - x[:, :-1]`, `down` holds `x[1:] - x[:-1]`. What is $D^\top g$? Each difference is one
# equation: it pulls the pixel after it up, and the pixel before it down. The check also hands you differences that
# belong to no picture at all; least squares has an answer for those, too.


# %% tags=["exercise"]
def from_differences(right, down):
    """(H, W - 1), (H - 1, W) -> the picture (H, W) of mean 0 whose differences come nearest."""
    ### BEGIN SOLUTION
    height, width = len(right), down.shape[1]
    pulled = -np.diff(right, axis=1, prepend=0, append=0) - np.diff(
        down, axis=0, prepend=0, append=0
    )
    u, v = np.arange(height)[:, None], np.arange(width)
    bottom = 4 - 2 * np.cos(np.pi * u / height) - 2 * np.cos(np.pi * v / width)
    bottom[0, 0] = 1
    spectrum = dctn(pulled, norm="ortho") / bottom
    spectrum[0, 0] = 0
    return idctn(spectrum, norm="ortho")
    ### END SOLUTION


# %%
checks.ex0604(from_differences)

# %% tags=["tolerance-2"]
changes = {
    "signed": lambda d: d,
    "all positive": np.abs,
    "signs by chance": lambda d: np.abs(d) * random.choice([-1.0, 1.0], d.shape),
}
where, row = prior_free.interior(modulus, operator), {"the picture": head}
for name, change in changes.items():
    channels = [
        from_differences(change(np.diff(c, axis=1)), change(np.diff(c, axis=0)))
        for c in head.numpy().transpose(2, 0, 1)
    ]
    found = up_to_colours(torch.from_numpy(np.stack(channels, axis=-1)), head, where)
    row[name] = found.picture
    print(f"{name:>15}: explains {found.explained:.2f} of the head")
show(
    figures.gallery([row], width=8),
    alt="Four tiles: the head; the same again, from signed differences; a smear from dark to light with a "
    "shadow of the head; a dull haze in which the outlines of head and hairline can be made out.",
)

# %% [markdown]
# With signs, the picture is back, but for the constant. Without them the equation is solved just as
# quickly, and the answer is rubbish. What a list of sizes hides, it hides in the signs. (A modulus hides two
# things more: the direction of each difference in colour space, and how it is split between $x$ and $y$.) Yet look at
# the last tile: random signs, and still you see where the hair ends.
#
# ## 8. Your attack
#
# Without signs, we search. **Descent**: take a random picture, compute its modulus, compare it with the released one
# by equation 5, go downhill. That is what stage 2 of the reconstruction does with a whole head
# ([05, two-stage reconstruction](05_two_stage_reconstruction.ipynb)), and nothing keeps an attacker from doing it
# with a single picture. Knowledge: the operator, and that the wall is white (a release says so). Data: *none*. No
# other face, no trained network.
#
# There is one difficulty. Where a gradient has the wrong sign, the way to the right one leads through zero, and there
# the norm has a kink: its slope jumps from $-1$ to $1$, and a descent is pushed back from where it has to pass. So
# **smooth** the norms over the three channels,
#
# $$\|g\|_e = \sqrt{\|g\|_2^2 + e^2} - e, \qquad m_e = \left\| g_x \right\|_e + \left\| g_y \right\|_e ,$$
#
# with an $e$ that is large at first and falls: with $e = 0$ it is equation 6.
#
# ### Exercise 0605 (solid, 25 min): the loss of the attack
#
# `pictures` are B guesses (B, H, W, 3), `released` is the modulus (H, W). Return (B,), each guess's mean distance
# $|m_e - m|$ over the pixels (equation 5): a number a guess, so that several starts can run side by side. `gradients`,
# in the lesson's first cell, gives $g_x$ and $g_y$, (B, 3, H, W) each.


# %% tags=["exercise"]
def misfit(pictures, released, e):
    """(B,): mean over the pixels of |m_e(picture) - released|; differentiable in the pictures."""
    ### BEGIN SOLUTION
    modulus = sum((g.square().sum(dim=1) + e**2).sqrt() - e for g in gradients(pictures))
    return (modulus - released).abs().mean(dim=(1, 2))
    ### END SOLUTION


# %%
checks.ex0605(misfit)

# %% [markdown]
# Now the descent itself: random starts near grey, Adam with a rate that falls along a cosine, $e$ that falls
# geometrically. It takes *any* loss of pictures and $e$, since we shall give it three. All in double precision, so that
# two computers find the same picture.
#
# First let it loose with your loss and nothing else, on the head of 32 pixels.


# %% tags=["tolerance-10"]
def descend(loss_of, wall, steps, last, starts=2, seed=0):
    """(starts, H, W, 3) pictures that went down loss_of(pictures, e, share), and looks of the way."""
    x = torch.rand(starts, *wall.shape, 3, generator=torch.Generator().manual_seed(seed)).double()
    x = (0.5 + 0.2 * (x - 0.5)).requires_grad_()
    adam, way = torch.optim.Adam([x], lr=0.1), []
    for step in range(steps):
        share = step / (steps - 1)
        adam.param_groups[0]["lr"] = 0.1 * (0.05 + 0.475 * (1 + math.cos(math.pi * share)))
        pictures = torch.where(wall[..., None], 1.0, x)  # the wall is known to be white
        loss = loss_of(pictures, 0.1 * (last / 0.1) ** share, share)
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
        with torch.no_grad():
            x.clamp_(0, 1)
        if step in (0, 5, 15, 30, 60, 100):
            way.append(pictures[0].detach().clone())
    return pictures.detach(), way


released = operator.modulus(small)
wall = released < 1e-3  # flat: nothing but the wall
bare, _ = descend(lambda x, e, _: misfit(x, released, e), wall, steps=200, last=1e-4)
left = misfit(bare, released, 1e-9) / released.mean()
for number in range(2):
    grey = explained(bare[number].mean(-1)[inside].numpy(), small.mean(-1)[inside].numpy())
    head_too = up_to_colours(bare[number], small, inside).explained
    print(f"start {number + 1}: {100 * left[number]:.1f} % of the modulus is left; "
          f"explains {head_too:.1f} of the head, {grey:.1f} of its grey picture")  # fmt: skip
row = {"truth": small, "released (sq. root)": released, "found, start 1": bare[0]}
row |= {"found, start 2": bare[1], "start 2 (sq. root)": operator.modulus(bare[1])}
show(
    figures.gallery([row], width=10),
    alt="Five tiles: the head; its modulus; two heads full of speckles of all colours, without a face that one could know; "
    "and the modulus of the second of them, which looks like the released one.",
)

# %% [markdown]
# You have found two **preimages**: of the released modulus all but a few parts in a thousand is explained, and nobody
# would know the face. That is the paper's argument, and one could stop here: the search ended somewhere on a surface
# of about $2N$ dimensions, as section 4 says, and a grey card explains the head's colours better.
#
# But an attacker who wants a face, not *a* preimage, asks for more than a fitting modulus. Of all pictures that fit,
# which look like pictures at all? Two preferences will do, and neither knows any face:
#
# - **total variation**: of pictures with this modulus, prefer the smooth ones. It takes speckles and stripes away;
# - **little colour**: prefer what varies in grey. Its weight grows: at first colours are free, which gives a gradient
#   with a wrong sign a way *around* the kink, turned through the colours. The freedom that was meant as a protection
#   helps the descent.
#
# And it keeps the start whose modulus came nearest. That an attacker can check without the truth.


# %% tags=["tolerance-10"]
def variation(pictures):
    """(B,) mean length of the steps to the pixel below and to the right, over the channels."""
    down, right = pictures.diff(dim=1)[:, :, :-1], pictures.diff(dim=2)[:, :-1]
    return (down.square().sum(-1) + right.square().sum(-1) + 1e-8).sqrt().mean(dim=(1, 2))


def preferred(pictures, share):
    """(B,) how little a picture looks like one: rough, or colourful; the weights change on the way."""
    colour = pictures - pictures.mean(dim=-1, keepdim=True)
    rough, colourful = 0.1 * 0.02**share, 0.001 * 300**share  # to 0.002, and to 0.3
    return rough * variation(pictures) + colourful * variation(colour)


size, starts, steps = (40, 2, 150) if quick else (48, 4, 300)
rows, guesses, ways = [], {}, {}
for person in (2, 3):
    truth = data.front(size)[person, 0]
    released = operator.modulus(truth)
    found, ways[person] = descend(
        lambda x, e, share, m=released: misfit(x, m, e) + preferred(x, share),
        released < 1e-3, steps, last=0.002, starts=starts,
    )  # fmt: skip
    left = misfit(found, released, 1e-9)
    guesses[person] = guess = found[int(left.argmin())]
    score = up_to_colours(guess, truth, prior_free.interior(released, operator))
    print(f"person {person}: {100 * left.min() / released.mean():.1f} % of the modulus is left; "
          f"explains {score.explained:.2f} of the head")  # fmt: skip
    rows.append({"truth": truth, "released (square root)": released, "guess": guess})
    rows[-1]["best turn of the guess"] = score.picture
show(
    figures.gallery(rows, width=9),
    alt="Two rows: a made head, its modulus, the guess, and the guess with its colours turned as near to the "
    "truth as can be. In the first guess hair, outline and neck are right, and the face has come apart into blue, "
    "yellow and violet patches; in the second eyes, nose and mouth are in place, and the forehead is greenish.",
)

# %% [markdown]
# Hair, outline and neck are light and dark in the right places in both. The second face has its eyes, nose and mouth,
# and you would know the person. The first has come apart into patches, each a part of a face in colours of its own,
# and yet its number is nearly as good. Mind what the number is about: **the score covers the head**, and hair against
# skin is the largest contrast that a head has. The modulus is fitted less closely than by the bare descent above,
# since the preferences hold against it and $e$ ends higher; what they buy is that a person can be seen, or half a
# person.
#
# ### Two controls
#
# The same descent with signed gradients instead of the modulus must win; if it did not, a failure would say nothing
# about the modulus. And a guess made from *another person's* modulus must lose; if it did not, our score would reward
# any face. The last line is the package's attack, `prior_free.invert`: the same idea, in single precision. The pictures
# below show your descent's way.

# %% tags=["tolerance-10"]
where = prior_free.interior(released, operator)  # of person 3, the last one above
gx, gy = gradients(truth[None])


def signed_misfit(pictures, e, _):
    """(B,): what `misfit` is where gradients are released with their signs."""
    off = [mine - given for mine, given in zip(gradients(pictures), (gx, gy), strict=True)]
    return sum((d.square().sum(dim=1) + e**2).sqrt() - e for d in off).mean(dim=(1, 2))


signed, _ = descend(signed_misfit, released < 1e-3, steps, last=0.002, starts=1)
package = prior_free.invert(released.float(), operator, prior_free.suited(operator, starts=starts, steps=steps))  # fmt: skip
for name, picture in {
    "signed gradients": signed[0],
    "another person's modulus": guesses[2],
    "your guess": guesses[3],
    "the package's guess": package.guess.double(),
}.items():
    print(f"{name:>24}: explains {up_to_colours(picture, truth, where).explained:.1f} of the head")
way = dict(zip([f"step {n}" for n in (1, 6, 16, 31, 61, 101)], ways[3], strict=True))
show(
    figures.gallery([way | {"the end": guesses[3]}], width=11),
    alt="Seven tiles from step to step: a grey head full of speckles, which turn to shrill colours, calm down to a face with "
    "blue hair and an orange forehead, and end as a greyish face with a green forehead.",
)

# %% [markdown]
# ## 9. How the setting moves it
#
# Two faces prove nothing. A study of eight people, four of them with a second seed, is stored with the project, since
# it takes half an hour (`python benchmarks/studies/inversion.py run`). It changes one setting at a time. The attacker
# knows the setting: against noise they expect it, against levels they count only errors of more than half a level.
# Each cross is a person; the mark is the median, the bar behind it a 95 % interval from drawing people again and
# again. As before, what is explained is the *head*, three pixels off its outline.

# %%
scores = data.explained()  # setting -> one score a person
plain, count = scores["as released"], len(table("inversion")["rows"])
print(f"{count} runs; median, its interval, for how many of {len(plain)} more is explained")
medians = {name: data.median(score) for name, score in scores.items()}
for name, (median, low, high, *_) in medians.items():
    print(f"{name:>20}: {median:5.2f}, {low:5.2f} to {high:5.2f}, {(scores[name] > plain).sum()}")
figure, ((ax,),) = grid(1, 1, width=9, height=6.4)
dots(ax, {name: {"median": np.maximum(median[:3], -1.5)} for name, median in medians.items()},
     extra={name: np.maximum(score, -1.5) for name, score in scores.items()},
     extra_label="a person", percent=False,
     xlabel="share of the head explained, up to a turn of colours (below -1.5 at -1.5)")  # fmt: skip
show(
    figure,
    alt="A row for each setting, a cross for each person: signed gradients at 1, another's modulus far below 0; noise and an "
    "unknown wall move the median left, blur and small pictures right; intervals are wide.",
)

# %% [markdown]
# What can be read off, and what can't?
#
# Eight people make wide intervals, and most bars overlap. But every setting was tried on the *same* eight, so compare
# each with themselves: the last column counts for how many the attack got more than from the plain release. (If a
# setting changed nothing, eight of eight or none of eight would come up by chance once in 128 times; and with a dozen
# settings tried, don't build on six of eight.)
#
# *The plain release gives much of the head away, for five of eight.* The median is 0.8, but its interval begins at 0:
# for three people a quarter is explained, or nothing. There a large patch got the wrong sign or a wild colour, and a
# patch counts more than an eye. And mind *what* is explained. Hair against skin is the largest contrast of a head. A
# cartoon in two colours, with the truth's own border between them, scores 0.69 for the median person (the next cell
# prints it). So a score of 0.8 is not yet a face.
#
# *Noise of 0.03 and more hurts the attack*, for each of the eight. Noise of 0.01 does not do so clearly. Mind its
# price: the reconstruction reads the same noisy moduli.
#
# *Rounding does little at 64 levels.* At 16 and 8 it may do something, but five and six of eight who lose is what we
# said not to build on.
#
# *Blur and small pictures help the attacker*, for nearly everybody. (A blur of 2 only for six of eight.) That is a
# surprise: the paper chose low resolution and blur to protect more. But a small picture has fewer signs and
# directions to settle, and a blurred one has no specks that could get a wrong sign. Of course a small picture shows
# less of a person to begin with, and the score compares with a truth of the same size. It says: *what there is* comes
# back more easily. At 64 pixels, the size that this package releases, the median is below 0. Don't take that for
# protection before you have tried the second question at the end: the descent had 300 steps for nearly twice the
# unknowns.
#
# *The colour of the wall is worth a lot.* It is one line of the release, and it fixes the sign of the whole outline.
# *Luma alone* may cost the attacker something, too, for then no colour has left a trace: the median falls to 0.2; but
# it is six of eight who lose.
#
# The controls are where they should be: signed gradients at 1, another's modulus far below 0.
#
# Now the face alone: the window of section 5, for the four people whose guesses are stored. Beside it, how much of a
# person's window the *best* of 23 strangers' pictures explains, which is what a guess has to beat.


# %%
def two_tones(picture, where):
    """The picture (H, W, 3) with the two colours only that explain most of it: a cartoon."""
    found = KMeans(2, n_init=4, random_state=0).fit(picture[where])
    cartoon = picture.clone()
    cartoon[where] = torch.from_numpy(found.cluster_centers_[found.labels_])
    return cartoon


cartoons = []
for truth in people[:8, 0]:
    where = prior_free.interior(operator.modulus(truth), operator)
    cartoons.append(up_to_colours(two_tones(truth, where), truth, where).explained)
print(f"a two-coloured cartoon of the whole head, median: {np.median(cartoons):.2f}")
face = torch.zeros(48, 48, dtype=torch.bool)
face[window[1:]] = True  # brows to chin, as in section 5
for name in ("as released", "blur 1", "noise 0.1"):
    inside = [up_to_colours(data.guess(name, p), people[p, 0], face).explained for p in range(4)]
    print(f"{name:>13}:", *(f"{score:5.2f}" for score in inside))
strangers = [[up_to_colours(x, people[p, 0], face).explained for x in people[own != p, 0]]
             for p in range(4)]  # fmt: skip
print("best stranger:", *(f"{max(scores):5.2f}" for scores in strangers))
chosen = ["as released", "background unknown", "noise 0.1", "8 levels", "blur 2"]
rows = [{"truth": people[p, 0]} | {name: data.guess(name, p) for name in chosen} for p in (0, 2, 3)]
show(
    figures.gallery(rows, width=10),
    alt="Three people, a row each: truth, and guesses from the plain release, with the background unknown, with noise "
    "0.1, with 8 levels and with blur 2. With noise little more than outline and hair is left; with blur guesses are "
    "soft, with hair and eyes in place.",
)

# %% [markdown]
# From the plain release no guess of the four beats the best stranger *inside the face*: what it had explained was
# hair, skin and neck. From a modulus with a blur of 1 all four do. (Not with just any blur: put 0.5 and 2 into the
# cell.) So the operator that was meant to protect more is the one that gives the face away to this attack, and a
# plain modulus resists it, for 300 steps. (It does not resist stronger ones: section 10.)
#
# Compare the pictures with their numbers, too. With an unknown background the score is mostly below 0, since large
# areas come out in shrill colours; but in two of the three rows you would not take the guess for another person,
# although the last of these scores below 0. **A low score does not prove that nobody is recognised.** It says that
# pixels are wrong. Only a recogniser that was trained for the job, and tried on many people, can say whether the
# person is gone.
#
# ## 10. The strong attacks
#
# Everything so far was done by an attacker who has *never seen another face*. It is the weakest attacker worth
# naming, and a defence must never be judged by the weakest. The privacy lab (`privhead_nb/lab/`) has stronger ones.
# Its adversary
#
# - **knows the operator** and its settings, since they stand in the release;
# - **has pictures of other people**, and can protect them in the same way;
# - **has a gallery**: pictures of known people, among whom the person may be;
# - **does not have** the person's unprotected pictures of this release.
#
# Made people come in groups that never mix: an attack learns from one, the recognisers that judge learned from another,
# and those who are tested taught nobody anything.
#
# Begin with the infinity of section 4. Here are 24 new people, a frontal picture each for the gallery and four more as
# probes, from other sides and in other light. Each probe is released; and beside it we put two of its preimages, hues
# turned by 120 and 240 degrees. First a strong network looks at the *pictures*. Then comes a recogniser trained on
# protected images (a **parrot** attack, after Newton and others, 2005). It learns on portraits of a dozen other people
# after *protecting* them, by histograms of edges, principal components and a linear discriminant. Seconds of work, no
# network. It looks at the *moduli*.

# %% tags=["tolerance-10"]
known = stored_faces.load()  # made by python benchmarks/studies/stored_faces.py
gallery, probes = known.frontals(), known.views()
others = faces.face_dataset(faces.people("attacker", 12 if quick else 40), faces.MANY)
parrot, network = classical_parrot(others, operator), recogniser("arcface_cnn")
preimages = {0: probes.rgb()} | {
    d: torch.stack(
        [multiplicity.recoloured(p.double(), multiplicity.turn(d)) for p in probes.rgb()]
    )
    for d in (120, 240)
}
released = {d: operator.modulus(shown.float()) for d, shown in preimages.items()}
known_by_sight = network.embed(gallery.rgb())[0]  # unit vectors: products are cosines
known_by_modulus = in_batches(parrot.enrol, gallery.rgb())
look = {d: network.embed(p.float().clamp(0, 1))[0] @ known_by_sight.T for d, p in preimages.items()}
heard = {d: in_batches(parrot.probe, m) @ known_by_modulus.T for d, m in released.items()}
own = (probes.identity[:, None] == gallery.identity).float().argmax(1)
seen, told = ({d: (t.argmax(1) == own).float().mean() for d, t in x.items()} for x in (look, heard))
off = float((released[240] - released[0]).abs().max())
print(f"the moduli of the three differ by at most {off:.4f}")
for name, shares in (("network, pictures", seen), ("parrot, moduli", told)):
    print(f"{name:>17}: names", ", ".join(f"{100 * s:.0f} % ({d} deg)" for d, s in shares.items()))
same = (heard[0].argmax(1) == heard[240].argmax(1)).float().mean()
print(f"the parrot's answer is the same for {100 * same:.0f} % of the probes; chance names 4 %")
row = {"in the gallery": gallery.rgb()[2]}
row |= {f"a probe, turned by {d} deg": shown[8] for d, shown in preimages.items()}
show(
    figures.gallery([row | {"modulus of these (sq. root)": released[0][8]}]),
    alt="Five tiles: a made head from the front; a probe of the same person from another side; the same with green and "
    "with violet skin; and dark lines on white, the modulus that the last three share.",
)

# %% [markdown]
# To a recogniser of *pictures*, the preimages of one modulus are different people: it names all originals, one in
# seven of those turned by 120 degrees, and at 240 degrees no more than chance. If identity had to be read from a
# recovered picture, multiplicity would protect it. But nobody has to recover a picture. **Many pictures share the
# modulus, and not many people do**: the parrot gives one answer for all of them (but for rounding), and is right
# eight times as often as a guess. (Whoever knows that the wall is white can rule out these two preimages, whose walls
# are tinted. The walks of section 4 leave the wall alone, and share the modulus as well.)
#
# How many people do share one? Not "is the first name right", but: how many people must the attacker keep, so that the
# right one is nearly always among them? Guessing needs nine tenths of the gallery for nine tenths of the probes.
#
# ### Exercise 0606 (solid, 25 min): how long a list?
#
# `similarity` is (N, P): N probes against P known people. `own` (N,) is the column of each probe's own person. A
# probe's *rank* is the number of people who are at least as similar as its own, that one included: whoever scores the
# same stands before it. Return the smallest whole number $k$ such that for a share `share` of the probes, *or more*,
# the rank is at most $k$. (With half of five probes: three of them, for two are less than half.)


# %% tags=["exercise"]
def list_length(similarity, own, share):
    """The smallest k such that a share of the probes has its person among the first k."""
    ### BEGIN SOLUTION
    mine = similarity[np.arange(len(own)), own]
    ranks = (similarity >= mine[:, None]).sum(axis=1)
    for k in range(1, similarity.shape[1] + 1):
        if (ranks <= k).mean() >= share - 1e-9:
            return k
    return None
    ### END SOLUTION


# %%
checks.ex0606(list_length)

# %% tags=["tolerance-10"]
four = torch.stack(
    [fused(parrot.probe(released[0][probes.identity == i])) for i in gallery.identity]
)
tables = {"one picture": heard[0], "four together": four @ known_by_modulus.T}
owns = {"one picture": own, "four together": torch.arange(len(gallery))}
k, shares = np.arange(1, 25), {}
for name, similarity in tables.items():
    half, most = (
        list_length(similarity.numpy(), owns[name].numpy(), share) for share in (0.5, 0.9)
    )
    print(f"{name}: for half of them keep {half} of 24 people, for nine tenths {most}")
    mine = similarity.gather(1, owns[name][:, None])
    shares[name] = ((similarity >= mine).sum(1, keepdim=True).numpy() <= k).mean(0)
figure, ((ax,),) = grid(1, 1, width=6, height=3.2)
curves(ax, k, shares | {"guessing": k / 24}, xlabel="so many people kept, the most similar first",
       ylabel="the right one is among them (CMC)", ylim=(0, 1.02))  # fmt: skip
show(
    figure,
    alt="Share of probes whose person is among the first k of 24 people: steep curves that begin at about a third for one picture "
    "and above a half for four together, far above the diagonal of guessing.",
)

# %% [markdown]
# (Such a curve is called a *cumulative match characteristic*, CMC.) Two names of 24 hold half of the probes; for nine
# tenths it takes 16, where guessing takes 22. A dozen strangers' portraits have taught it that. (Four together means:
# the mean of four unit vectors. A release holds twenty views of *one* person.) Twelve teachers and 24 people are few.
# The stored study has hundreds of teachers, 100 people with eight pictures each, fifteen settings of the operator,
# and more attacks.
#
# A release is more than its pictures, and a defence is as good as its worst line over **all** that is handed out:
# pictures, neutral views, masks, and what is trained from them. So the table, for the paper's default (Sobel, 64
# pixels), ends with the mesh: ten releases were reconstructed, and each mesh was compared with scans of a hundred
# people. Rank 1 says how often the first name is right, where everybody is known. FNMR (false non-match rate) is the
# share of mated pairs that are missed if the threshold lets one pair of strangers in a thousand pass: an attack that
# names nearly everybody still misses many of them.
#
# The picture has one and the same attack, the cheap parrot, at each setting of the operator; marks of their own show
# where a stronger one was tried, on pictures or on the mesh.

# %%
print(f"{'attack':<28}{'one picture':<19}{'eight together':<18}{'FNMR':<7}people")
for attack in data.attacks():
    together = attack.together.percent() if attack.together.known else ""
    missed = f"{attack.fnmr.value:.0%}" if attack.fnmr.known else ""
    print(f"{attack.name:<28}{attack.alone.percent():<19}{together:<18}{missed:<7}{attack.alone.n}")
    print(f"    knows {attack.knows}")
worst, rate = lab_runs.everything("sobel-64")
print(f"strongest over all that is released or made of it: {worst}, {rate.percent()} of {rate.n}")
show(
    figures.by_setting(),
    alt="A row for each of fifteen settings: how many of 100 people the classical parrot names, with intervals, by one picture and "
    "by eight. Half and nine tenths for most; strong noise, two levels, or 16 pixels with noise bring it down, none of them "
    "to the dashed line of guessing. The strongest attack on pictures stands further to the right; at two "
    "settings the mesh stands at 100 percent.",
)

# %% [markdown]
# The first two lines are the test that papers report: a network that never saw a modulus looks at one (*inverted*: as
# dark lines on white), and finds next to nobody. The classical parrot is a few seconds of linear algebra, and names
# about every second picture. The informed one, which knew a thousand other heads, names most of them. And the
# **strongest is the mesh**: ten of ten people, at the default and with noise of 0.2. That is **the headline of this
# defence: its worst line**. Ten people make a wide interval, 69 % and up; so say "the strongest that was tried", and
# not "perfect".
#
# In the picture, blur and small sizes, which looked dangerous to section 9's descent, make little difference to the
# classical parrot; noise hinders it, and the informed one far less; nothing comes down to guessing. What a weak
# attack loses, a stronger one finds.
#
# Where an attack lost, ask first whether it *can* win (each has a control in `tests/` that must). All people in the
# table are made heads of one generator. Networks that *sample* portraits (diffusion) are not here: without a GPU no
# result of a size that means anything can be had. [Lesson 9](09_recognition_and_deepfakes.ipynb) takes recognition
# apart, error by error.
#
# And what is the release good for, then? For what it was made for: geometry. It does take pictures away that pass for
# photographs. That is a protection against *some* uses. Say against which, and by which attacker it was tried. Two leaks
# are worth telling apart: **through shape**, for a faithful head names its person, whatever is hidden; and **beyond
# shape**, the colours and marks that a forger needs. Only the second could be closed by a method that promises the
# first, and it is not closed yet: section 4's infinity of colours holds pixel by pixel, but a face is no set of free
# pixels, and an attacker who has seen other faces guesses most of its colours from the modulus. `docs/privacy-lab.md`
# has a number for each.
#
# ## Now you, without a check
#
# 1. *First steps.* Leave out one of the two preferences. Which of them brings the face? Let your attack guess a grey
#    picture, with the same number in three channels: does the residual come as low? Try three people; don't trust one.
# 2. *First steps.* Attack somebody at 64 pixels (`data.front(64)`) with 300 and with 1200 steps, three starts
#    each. What remains of "it fails at 64"? What does that say of every "it fails" in this lesson?
# 3. *Solid.* Release the luma only, `Operator(per_channel=False)`. Which turns of colours are left, and what has
#    become of the $2N$ dimensions? Does the attack get worse?
# 4. *Hard.* Find the signs without descent: guess each gradient's direction from the structure tensor of the
#    modulus, couple neighbours whose directions agree, take the signs of the leading eigenvector of that
#    coupling, and let your `from_differences` do the rest.
#
# ## What to remember
#
# - On a line each sign is free, within the range. In the plane loops must close, and for a generic picture one sign is
#   left for each part in flat ground. A face is one part, and generic; a ramp is not.
# - Colours are another matter: one modulus a pixel for three unknowns leaves a surface of $2N$ dimensions, and a plain
#   descent ends on it at a preimage that nobody would know.
# - Many-to-one means that nobody can tell *which* picture. Whoever recognises the modulus need not care: all preimages
#   give the same answer.
# - Score a guess up to what the release can't tell apart; say which region is scored; show that your attack can win,
#   and that your score can lose.
# - Without any other face, descent with two mild preferences brings back most of five of eight made heads at 48
#   pixels: hair, skin, outline. The face itself, tried on four people, it got with a blur of 1, and not from the
#   plain release. Noise hinders it; blur and small pictures help it.
# - Ask of each score what a cartoon would get, and a stranger.
# - Preimages look like other people to a recogniser of pictures, and like one to whoever learned moduli.
# - A defence is as good as its worst line over all that it hands out: here the mesh, which names ten of ten people; of
#   attacks on pictures, the informed parrot, which names most by one picture. And the worst line is only the worst that
#   was tried.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | on a line, six of eight signals fit; known ends leave fewer | section 2, exercise 0601 |
# | in the plane two choices of 4096 close all loops; a ramp is one part with four | section 3, `tests/test_lesson_06.py` |
# | portraits are one part, and generic but for a square in a thousand | section 3, `tests/test_lesson_06.py` |
# | flipped parts and turned colours keep the modulus | sections 3 and 4, `tests/test_lab_inversion.py` |
# | a walk of more than 0.02 keeps it to 1e-6 | section 4, `tests/test_lab_inversion.py` |
# | a nearest neighbour recognises 24 of 24 moduli in another light | section 5 (made heads, one pose) |
# | signed differences give the picture back | section 7, exercise 0604 |
# | descent alone finds a preimage whose colours explain nothing; with preferences, the head | section 8, `tests/test_lesson_06.py` |
# | the attack's controls win and lose | section 8, `tests/test_lesson_06.py` |
# | descent explains most of the median head; noise hinders it, blur does not | section 9, stored; `tests/test_lesson_06.py` |
# | inside the face it beats the best stranger with a blur of 1, not as released | section 9, four people |
# | turned pictures fool a network and not a parrot | section 10, 24 people |
# | two names of 24 hold half of the probes | section 10, exercise 0606 |
# | the strongest over all that is released is the mesh | section 10, stored; `tests/test_lesson_06.py` |
#
# **Read on**: `privhead_nb/lab/attacks/prior_free.py` is the descent, `privhead_nb/teach/lesson06/surface.py` the walk,
# `privhead_nb/lab/attacks/parrot.py` the parrot; `docs/privacy-lab.md` has all attacks, their commands, and how to
# bring your own. Agrawal, Raskar and Chellappa, *What is the range of surface reconstructions from a gradient field?*
# (2006), for Poisson's equation and its kin; Dosovitskiy and Brox, *Inverting visual representations* (2016), who got
# pictures back from HOG; McPherson, Shokri and Shmatikov, *Defeating image obfuscation with deep learning* (2016).
# What the reconstruction makes of the same moduli: [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb).
# What recognisers make of all that: [09, recognition and deepfakes](09_recognition_and_deepfakes.ipynb). Next: [07,
# the Lipschitz ablation](07_lipschitz_ablation.ipynb).

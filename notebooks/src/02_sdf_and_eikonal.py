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
# # 2. Signed distances and the eikonal equation
#
# **You will be able to** write the distance to a shape as a function, say why its gradient has length one and where it
# has none, write a network that starts as a sphere and a feature grid, train both on points with a loop of your own,
# make a mesh of what they learned, look at it by sphere tracing, and say how many millimetres a beta is.
#
# **You should know** what a gradient is, PyTorch tensors, and that a ray collects weights ([lesson
# 1](01_volume_rendering.ipynb)). No geometry beyond Pythagoras is needed. Whoever has never trained anything should
# first read about `nn.Module` and `.backward()` in PyTorch's own introduction.
#
# **Time**: 120 minutes of reading and writing, without the hard exercise, which is worth an evening; computing takes
# about a minute on a CPU, and five on the `cpu` profile. A GPU changes nothing here.
#
# **Equations of the paper**: 3 (the surface) and 4 (eikonal). From VolSDF (Yariv et al. 2021): 2 and 3 (density).

# %%
import math
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from IPython.display import display
from skimage.measure import marching_cubes
from torch import nn
from torch.nn import functional as F

from privhead_nb import load_scene
from privhead_nb.field import density
from privhead_nb.field.sdf import GridField, MLPField
from privhead_nb.geometry.mesh import Mesh, largest_component
from privhead_nb.geometry.metrics import closest_points, evaluate, sample_surface
from privhead_nb.kernels.grid_encoding import GridLayout
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, interactive, results, widgets
from privhead_nb.teach.lesson02 import figures, panel, shapes
from privhead_nb.teach.lesson02.figures import show
from privhead_nb.training.profiles import PROFILES, get_profile
from privhead_nb.viz.shading import frame_of, shaded_normals
from privhead_nb.viz.style import BLUE, ORANGE, curves, grid, image, images

profile = get_profile()
steps = min(3 * profile.stage1.steps, 900)  # of each fit below

# %% [markdown]
# ## 1. How far is it to the surface?
#
# Take for each place one number: how far it is to the nearest surface, with a minus sign inside. That is the **signed
# distance function** $f$, and the surface is where it is zero (equation 3):
#
# $$S = \{ x : f(x) = 0 \}$$
#
# Why describe a head in such a roundabout way? Because a mesh is a list of triangles, and no small change of numbers
# turns a list with one hole into a list with none. A function can be changed a little, anywhere, and its zero set
# follows: it bends, splits, closes. That is what a gradient can work with.
#
# For simple shapes $f$ is a line of school geometry. A sphere is the distance to a point, less the radius. A torus is
# the distance to a *circle*, less the radius of the tube: first how far you are from the circle as seen from above,
# then Pythagoras with the height. A capsule is the distance to a line segment, less a radius.


# %%
def sphere(points, radius=0.6):
    return points.norm(dim=-1) - radius


def torus(points, ring=0.5, tube=0.2):
    off_ring = points[:, :2].norm(dim=-1) - ring
    return torch.stack([off_ring, points[:, 2]], dim=-1).norm(dim=-1) - tube


def capsule(points, reach=0.4, radius=0.25):
    nearest = (points * torch.tensor([0.0, 1.0, 0.0])).clamp(-reach, reach)  # on the segment
    return (points - nearest).norm(dim=-1) - radius


for name, place in {"the origin": [0.0, 0.0, 0.0], "(1, 0, 0)": [1.0, 0.0, 0.0]}.items():
    found = [f"{shape(torch.tensor([place])).item():+.2f}" for shape in (sphere, torus, capsule)]
    print(f"at {name}: sphere {found[0]}, torus {found[1]}, capsule {found[2]}")

# %% [markdown]
# ### Exercise 0201 (first steps, 10 min): how far is it to a box?
#
# Think of the lines of equal distance around a rectangle. Outside they run straight along the sides and round about
# the corners; inside they are smaller rectangles. Write the function that makes both, in space. `half` holds half of
# the three edges; the box lies around the origin. A start: by symmetry you may take $|x|$, and $q = |x| - \text{half}$
# says for each axis how far you are beyond the face (negative: not beyond). What of the three numbers counts if some
# are positive? If none is?


# %% tags=["exercise"]
def box(points, half):
    """Signed distance of points (N, 3) to a box with half edges `half` (3,): (N,)."""
    ### BEGIN SOLUTION
    q = points.abs() - half
    outside = q.clamp_min(0).norm(dim=-1)
    inside = q.amax(dim=-1).clamp_max(0)
    return outside + inside
    ### END SOLUTION


# %%
checks.ex0201(box)

# %% [markdown]
# ### One number and its gradient tell you where the surface is
#
# The number says how far. The *direction* in which it grows fastest says which way. So from any place you reach the
# surface in one step: $x - f(x) \, \nabla f(x)$. And the gradient there is the surface's **normal**, for on the
# surface $f$ does not change along it. Autograd gives gradients (you will write that yourself in section 3), so let us
# jump, from a thousand places; and draw the four shapes, yours among them, cut at $z = 0$. The thick line is the
# surface. The thin ones are drawn every 0.1, dashed inside.

# %% tags=["tolerance-2"]
places = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
half = torch.tensor([0.55, 0.4, 0.5])
four = {"sphere": sphere, "box": partial(box, half=half), "capsule": capsule, "torus": torus}
for name, shape in four.items():
    f, gradient = shapes.value_and_gradient(shape, places)
    foot = places - f[:, None] * gradient
    f_foot, normal = shapes.value_and_gradient(shape, foot)
    same = ((normal * gradient).sum(-1) > 0.99).float().mean()
    print(f"{name}: after the jump |f| is {f_foot.abs().max():.4f} at most;", end=" ")
    print(f"the normal there is the direction of the jump for {same:.0%}")
show(
    figures.slices(four, columns=2, width=8),
    alt="Slices through four shapes with their contour lines. All lines are evenly spaced. Outside the box they "
    "have round corners, inside sharp ones; the torus shows two circles as its surface.",
)

# %% [markdown]
# All land. Only at the box the normal differs, and rightly so: many places outside are nearest to an *edge*, and an
# edge has no single normal. Each of them comes from its own direction, which is why the outer lines are round there.
# And look how *evenly* all lines lie: that is the subject of section 3.
#
# ## 2. Joining shapes, and a mesh of the result
#
# If $a$ and $b$ are distances to two solids, then, seen from outside, the distance to both together is the smaller
# one: $\min(a, b)$. What lies in both is negative in $\max(a, b)$. The made heads of this course are built so.
#
# And how does one get triangles out of a function? By **marching cubes** (Lorensen and Cline 1987). Ask $f$ at the
# corners of a lattice. Where two neighbours have different signs the surface crosses the edge between them, and since
# $f$ is nearly linear on so short a way, it crosses after the share $f_0 / (f_0 - f_1)$ of it. A table with an entry
# for each of the $2^8$ patterns of signs says how the crossings of a cell are joined by triangles. scikit-image has
# that table. What is left to us are the corners, and the way from its units (steps of the lattice) back to ours.


# %% tags=["tolerance-2"]
def moved(shape, by):
    return lambda points: shape(points - torch.tensor(by))


def smooth_union(a, b, width=0.3):
    """A union whose seam is filled where a and b differ by less than `width`."""

    def shape(points):
        near = (width - (a(points) - b(points)).abs()).clamp_min(0)
        return torch.minimum(a(points), b(points)) - near.square() / (4 * width)

    return shape


def sample_volume(f, resolution=96):
    """f at the corners of a lattice over [-1, 1]^3; what lies outside the unit sphere counts as far."""
    axis = torch.linspace(-1, 1, resolution)
    points = torch.cartesian_prod(axis, axis, axis)
    values, inside = torch.ones(len(points)), points.norm(dim=-1) < 1
    with torch.no_grad():
        values[inside] = torch.cat([f(some) for some in points[inside].split(2**16)])
    return values.reshape(3 * [resolution]).numpy()


def level_mesh(volume, level=0.0):
    """The surface on which f has the value `level`."""
    vertices, faces, _, _ = marching_cubes(volume, level, gradient_direction="descent")
    return Mesh(2 * vertices / (len(volume) - 1) - 1, faces)


for resolution in (12, 24, 48, 96):
    mesh = level_mesh(sample_volume(sphere, resolution))
    off = abs(np.linalg.norm(mesh.vertices, axis=1) - 0.6).max()
    print(f"lattice of {resolution}^3: {len(mesh.faces)} triangles, corners at most {off:.5f} off")

# %% [markdown]
# Twice as many corners a side, a quarter of the error: what is left of a curve after a straight line was taken from
# it goes with the square of the cell. Now join a ball and your box in three ways, and compare each $f$ with the true
# distance to the triangles of its own zero set. Before you look at the lower picture: which lines of the upper one do
# not follow the outline?

# %% tags=["tolerance-2"]
ball = moved(partial(sphere, radius=0.5), (-0.3, 0.0, 0.0))
block = moved(partial(box, half=torch.tensor([0.4, 0.35, 0.35])), (0.3, 0.0, 0.0))
joined = {
    "union": lambda points: torch.minimum(ball(points), block(points)),
    "intersection": lambda points: torch.maximum(ball(points), block(points)),
    "smooth union": smooth_union(ball, block),
}
short = {}
for name, shape in joined.items():
    mesh = level_mesh(sample_volume(shape))
    true = closest_points(shapes.plane(101).reshape(-1, 3).numpy(), mesh)[0].reshape(101, 101)
    f = figures.values_on(shape, side=101)
    short[name] = true - abs(f)
    outside, inside = short[name][f > 0].max(), short[name][f < 0].max()
    print(f"{name}: |f| is too small by up to {outside:.2f} outside, {inside:.2f} inside;", end=" ")
    print(f"too large by {max(-short[name].min(), 0):.2f}")
display(
    show(
        figures.slices(joined, columns=3),
        alt="Slices through a ball joined with a box. The union's outer lines are even, its inner ones are two "
        "separate nests; the intersection is a small half-round slab whose outer lines keep a kink; the smooth union "
        "fills the notch, and its inner lines bulge.",
    )
)
scale = {"label": "true distance less |f|", "line": "white", "vmin": 0, "vmax": 0.15}
show(
    figures.slices(joined, short, columns=3, **scale),
    alt="By how much three fields fall short of the true distance. Union: inside, where ball and box "
    "overlap. Intersection: faintly, in wedges outside its edge. Smooth union: inside, and faintly above and below "
    "its seam.",
)

# %% [markdown]
# Inside the union the lines run around two middles, as if ball and box still ended within each other: $f$ is the
# distance to a surface that is gone. Outside the intersection it is the same: the nearest place of the ball or of the
# box may be one that was cut away.
#
# All three are **bounds**: they may say too little, never too much (but for the mesh's own roughness). The *zero set*
# is right in all of them. Whether "too little" does any harm depends on what you use $f$ for. A ray that steps by $f$
# only takes more steps (section 7). But a density that is made from $f$ spreads (section 8), and an offset by 5 mm is
# no longer 5 mm. So keep two questions apart, also for a network: is the *surface* right, and is the function a
# *distance*?
#
# ## 3. Why the gradient has length one
#
# Two steps. **It can't be longer.** If you move by a length $h$, your distance to the surface changes by at most $h$:
# the point of it that was nearest is now at most $h$ further away, and so the nearest one is. (If you cross the
# surface on the way, the sign changes, too; but then both distances together are at most $h$.) Hence $|f(x) - f(y)|
# \le |x - y|$, which is called *1-Lipschitz*, and $\lVert \nabla f \rVert \le 1$. **It can't be shorter.** Walk
# straight towards your nearest point. After a length $h$ it is still the nearest (if another were nearer, it would
# have been nearer before), and you are exactly $h$ closer. There is a direction in which $f$ changes by one for each
# unit, so $\lVert \nabla f \rVert \ge 1$. Together, wherever there is a gradient,
#
# $$\lVert \nabla f \rVert = 1,$$
#
# the **eikonal equation**. And where is there none? The second step needed *one* nearest point. Where two points of
# the surface are equally near, you can walk either way, and the gradient jumps. These places are the **medial axis**.
# (On a sharp edge of the surface itself there is no gradient either, as at the box.)
#
# As a loss (equation 4) the eikonal term asks for norm 1 on average, over places drawn at random:
#
# $$L_\text{eik} = \frac1N \sum_i \bigl( \lVert \nabla f(x_i) \rVert - 1 \bigr)^2$$
#
# ### Exercise 0202 (solid, 15 min): the eikonal loss by hand
#
# Write it for any field, with `torch.autograd.grad`. Mind two things. Autograd differentiates *one* number: of which
# number of all $f(x_i)$ is each place's gradient a part? And this loss shall be *trained* with: somebody will
# differentiate your result once more, by the parameters of the field. So the gradient itself must stay differentiable;
# `help(torch.autograd.grad)` says how.


# %% tags=["exercise"]
def eikonal_loss(field, points):
    """Equation 4 at points (N, 3) for field: (N, 3) -> (N,); a scalar to train with."""
    ### BEGIN SOLUTION
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(field(points).sum(), points, create_graph=True)
    return (gradient.norm(dim=-1) - 1).square().mean()
    ### END SOLUTION


# %%
checks.ex0202(eikonal_loss)

# %% [markdown]
# Your loss, for the shapes of before, for a torus whose values are doubled, and for three functions of $x$ alone that
# all are zero at $x = \pm 1$. The picture looks for the medial axis: four samples around each place see both sides of
# a jump, and the mean of their slopes is too short.

# %% tags=["tolerance-2"]
more = {
    "twice the torus": lambda points: 2 * torus(points),
    "|x| - 1": lambda points: points[:, 0].abs() - 1,
    "1 - |x|": lambda points: 1 - points[:, 0].abs(),
    "| |x| - 1 |": lambda points: (points[:, 0].abs() - 1).abs(),
}
for name, shape in (four | joined | more).items():
    print(f"{name:<15} eikonal loss {eikonal_loss(shape, places).item():.3f}")
ridges = {name: (four | joined)[name] for name in ("sphere", "box", "torus", "smooth union")}
dips = {name: figures.gradient_norm_on(shape) for name, shape in ridges.items()}
scale = {"label": "norm of the gradient", "line": ORANGE, "cmap": "gray", "vmin": 0, "vmax": 1}
show(
    figures.slices(ridges, dips, **scale),
    alt="The norm of the gradient, white where it is one. It dips at the sphere's centre, on lines from the "
    "box's corners to its middle, on a circle in the torus's tube and at its hole's centre. In the smooth union "
    "there are wide grey areas, too.",
)

# %% [markdown]
# The medial axis is thin: a place drawn at random is never on it. So all sharp shapes pass this test, *the union too*,
# whose inside we have just seen to be wrong! Only the smooth union fails a little: in its seam two gradients are
# mixed, and a mean of two unit vectors that disagree is shorter than one.
#
# And the last three lines? $|x| - 1$ is the distance to the two planes $x = \pm 1$, inside between them. $1 - |x|$ has
# inside and outside swapped. $\bigl| |x| - 1 \bigr|$ *touches* zero and turns back, so it has no inside at all. All
# three have the loss 0. The eikonal equation is necessary, and not enough. What picks the right one? Nothing in the
# equation. In practice it is the *start*, and that networks dislike kinks.
#
# ## 4. A network that starts as a sphere
#
# A network with random weights is *some* function, and its zero set may be anything, or empty. Training must then
# turn it into a closed surface, and as we have seen nothing tells inside from outside. A sphere would be a better
# start. Atzmon and Lipman (2020) found that random weights can do that: **geometric initialisation**. The argument
# takes three lines. Let $W$ have $m$ rows, each number normal with variance $2/m$, and let $h = \max(Wx, 0)$.
#
# - Each $(Wx)_j$ is normal, with variance $2 |x|^2 / m$: *the direction of $x$ has gone, only its length is left*.
# - The mean of the positive part of a normal number is its standard deviation over $\sqrt{2 \pi}$, here
#   $|x| / \sqrt{\pi m}$. Sum all $m$ of them, times $\sqrt{\pi / m}$, and you have $|x|$.
# - Subtract $r$: on average $f(x) = |x| - r$, a sphere. And the wider the network, the nearer a draw is, as a rule, to
#   that average.
#
# Deeper networks need no more, since $|h|^2$ is on average $|x|^2$ again: each layer hands on the length.
#
# ### Exercise 0203 (first steps, 10 min): a sphere out of random numbers
#
# Set the weights of a network's layers so. All but the last are hidden layers, each with its own $m$ (a layer knows
# its `in_features` and `out_features`). The last makes one number. Mind the biases: PyTorch has filled them with
# random numbers. Change the tensors in place (`normal_`, `fill_`, `zero_`), under `torch.no_grad()`.


# %% tags=["exercise"]
def start_as_sphere(layers, radius):
    """Make f(x) ~ |x| - radius of a list of nn.Linear, of which the last has one output."""
    *hidden, last = layers
    ### BEGIN SOLUTION
    with torch.no_grad():
        for layer in hidden:
            layer.weight.normal_(0, math.sqrt(2 / layer.out_features))
            layer.bias.zero_()
        last.weight.fill_(math.sqrt(math.pi / last.in_features))
        last.bias.fill_(-radius)
    ### END SOLUTION


# %%
checks.ex0203(start_as_sphere)

# %% [markdown]
# Around that, the network. Its corner $\max(\cdot, 0)$ must be rounded, since the eikonal loss differentiates twice
# and the second derivative of a sharp corner is zero: softplus, $\log(1 + e^{\beta z}) / \beta$, with $\beta = 100$
# (this $\beta$ has nothing to do with the one of section 8). The package's `MLPField` is VolSDF's network, which may
# also be given sines and cosines of a place (*positional encoding*; none here). With your weights in it, it must be
# the same function.


# %%
class SDFNetwork(nn.Module):
    """f(x) by an MLP: (N, 3) -> (N,)."""

    def __init__(self, width=64, depth=3, radius=0.6, geometric=True):
        super().__init__()
        sizes = [3] + depth * [width] + [1]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        if geometric:
            start_as_sphere(self.layers, radius)

    def forward(self, points):
        *hidden, last = self.layers
        for layer in hidden:
            points = F.softplus(layer(points), beta=100)
        return last(points)[:, 0]


torch.manual_seed(0)
ours, theirs = SDFNetwork(), MLPField(width=64, depth=3, frequencies=0, features=0)
theirs.load_state_dict(ours.state_dict())
gap = (ours(places) - theirs.sdf(places)).abs().max()
print(f"ours and the package's, with the same weights: {gap:.6f} apart at most")

# %% tags=["tolerance-10"]
starts = {}
for name, width, geometric in (
    ("PyTorch's start, 64 wide", 64, False),
    ("geometric, 64 wide", 64, True),
    ("geometric, 512 wide", 512, True),
):
    torch.manual_seed(0)
    starts[name] = SDFNetwork(width, geometric=geometric)
    f = starts[name](0.6 * F.normalize(places, dim=-1))
    print(f"{name}: on the sphere f is {f.mean():+.2f} on average, spread {f.std():.2f}")
show(
    figures.slices(starts, columns=3),
    alt="Slices of three untrained networks. PyTorch's start is flat and has no zero in the slice; the geometric ones "
    "show a dented ball with rings, rounder for 512 units than for 64.",
)

# %% [markdown]
# The wider, the rounder. (With 512 units the average is a little too high, since a rounded corner lies above the sharp
# one, and each of many units sees numbers so small that it matters. With 64 the average is more a matter of luck.)
# PyTorch's start is flat, with no sphere in it.
#
# ## 5. A training loop
#
# Training is five lines, and they are the same for a torus, a head, and lesson 5. An *optimiser* knows the parameters.
# In each step it forgets the old gradients (`zero_grad`; PyTorch adds new ones to what is there), the *loss* is
# computed (a number that remembers how it came about), `.backward()` walks that way back and leaves in each
# parameter's `.grad` how the loss changes with it, and `step` moves the parameters against it. Adam divides each move
# by the running size of that parameter's gradients, so that all move at about the *rate* that you set. The rate falls,
# so that the end is calm.
#
# ### Exercise 0204 (solid, 15 min): the loop
#
# `loss()` draws its points by itself and gives a scalar. Use `torch.optim.Adam` with `lr=rate`, `betas=(0.9, 0.99)`
# and `eps=1e-15` (the last one for section 6: a feature that is seldom touched has tiny gradients, and shall still
# move). After each step the rate falls by the same factor, so that after `steps` steps a tenth of it is left:
# `torch.optim.lr_scheduler.ExponentialLR`. Return the losses as plain numbers.


# %% tags=["exercise"]
def fit(parameters, loss, steps, rate=2e-3):
    """Train `parameters` in place by Adam; the loss of each step, a list of numbers."""
    ### BEGIN SOLUTION
    optimiser = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99), eps=1e-15)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.1 ** (1 / steps))
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        schedule.step()
        losses.append(value.item())
    return losses
    ### END SOLUTION


# %%
checks.ex0204(fit)

# %% [markdown]
# ### Points, and nothing else
#
# A scanner gives us 500 points on a torus: no triangles, no normals, no inside. The loss asks that $f = 0$ at the
# points (the mean of $|f|$). Can you see why that can't be enough? There is a very lazy solution: $f = 0$
# *everywhere*. The eikonal term forbids just that. It is asked at **eikonal points**: half of them anywhere in the
# unit ball, half near the surface, where it matters most. We train three times: with PyTorch's start and the eikonal
# term, with the geometric start and no eikonal term, and with both.


# %%
def eikonal_points(surface, count):
    """(count, 3): half of them anywhere in the unit ball, half close to points (N, 3) of a surface."""
    direction = F.normalize(torch.randn(count // 2, 3), dim=-1)
    anywhere = torch.rand(count // 2, 1) ** (1 / 3) * direction
    near = surface[torch.randint(len(surface), (count - count // 2,))]
    return torch.cat([anywhere, (near + 0.05 * torch.randn_like(near)).clamp(-1, 1)])


def scan_loss(field, scan, weight):
    on = scan[torch.randint(len(scan), (256,))]
    loss = field(on).abs().mean()
    if weight:
        loss = loss + weight * eikonal_loss(field, eikonal_points(on, 256))
    return loss


def apart(one, other):
    """Mean distance of two meshes, both ways, exact from point to triangle."""
    ways = ((one, other), (other, one))
    return sum(closest_points(sample_surface(a, 20_000, 0)[0], b)[0].mean() for a, b in ways) / 2


torus_mesh = level_mesh(sample_volume(torus))
scan = torch.from_numpy(sample_surface(torus_mesh, 500, seed=0)[0]).float()
runs = {"PyTorch's start": (False, 0.1), "no eikonal term": (True, 0.0), "both": (True, 0.1)}
tori, losses = {}, {}
for name, (geometric, weight) in runs.items():
    torch.manual_seed(0)
    tori[name] = SDFNetwork(geometric=geometric)
    losses[name] = fit(tori[name].parameters(), partial(scan_loss, tori[name], scan, weight), steps)

# %% tags=["tolerance-10"]
longer = results.table("sdf_fits")  # by `python benchmarks/studies/sdf.py`
around = eikonal_points(scan, 4096)
for name, field in tori.items():
    zero = level_mesh(sample_volume(field, 64))
    norm = shapes.value_and_gradient(field, around)[1].norm(dim=-1).median()
    print(
        f"{name:<15} {apart(zero, torus_mesh):.3f} off, half of all norms over {norm:.1f};", end=" "
    )
    print("900 steps, three seeds:", *(f"{d:.3f}" for d in longer["torus"][name]), "off")
figure, ((ax,),) = grid(1, 1, width=7.5, height=2.6)
curves(ax, range(steps), losses, xlabel="step", ylabel="loss (log axis)", yscale="log")
display(
    show(
        figure,
        alt="The losses of three fits over 180 steps: without the eikonal term it falls to 0.001, "
        "with both to 0.01, with PyTorch's start to 0.03.",
    )
)
show(
    figures.slices(tori, columns=3, truth=torus, points=scan),
    alt="Slices of three fits to dots on a torus, its outline orange. PyTorch's start: the zero line "
    "follows a half of the outer circle and cuts through the torus. No eikonal term: both circles with dents, hardly a ring. Both: two round zero "
    "lines on the dots, and even rings.",
)


# %% [markdown]
# Look at the losses first: the fit without the eikonal term has the *smallest*, and it is no distance at all. A loss
# tells how well you got what you asked for, not whether you asked for the right thing. That network gets small at the
# points by getting small nearly everywhere (half of its norms are below a third); where exactly it crosses zero
# between the points is left to chance. With the eikonal term and PyTorch's start the slopes are nearly right, but the
# surface is not: nothing told inside from outside. Left of the torus space counts as inside. Where that meets a
# region that counts as outside, $f$ must cross zero far from any point, and at the other points it only *touches*
# zero, like $\bigl| |x| - 1 \bigr|$ in section 3, in which the loss sees little fault.
#
# Could we not simply train longer? `python benchmarks/studies/sdf.py` did, once: 900 steps, which is what the `cpu`
# profile takes, for three seeds each, with the functions of this page. PyTorch's start finds the torus once in three
# times. Without the eikonal term the zero set is two to seven times as far off as with it.
#
# ## 6. A feature grid, and a head
#
# The network is smooth everywhere and slow everywhere: each weight acts on all of space. The other way is to *store*
# what is known of each place: a lattice with a few trainable numbers, **features**, in each corner, and a small
# network that reads the features of a point. Between the corners they are interpolated, so a point trains the eight
# corners of its cell and nothing else. Lattices of several resolutions together give the coarse shape and the detail.
#
# ### Exercise 0205 (solid, 20 min): trilinear interpolation
#
# `volume[x, y, z]` holds the features of a corner, $R$ corners along each side. Corner 0 lies at $-1$, corner $R - 1$
# at $+1$. A point whose place in its cell is $(u, v, w)$, each from 0 to 1, gets from the corner $(0, 0, 0)$ the share
# $(1 - u)(1 - v)(1 - w)$, from $(1, 0, 0)$ the share $u (1 - v)(1 - w)$, and so on: the eight shares add up to one.
# Points outside are moved to the rim. Mind the rim itself: in which cell is a point at $+1$? The result will be
# differentiated, by the features and by the points, so stay with torch.


# %% tags=["exercise"]
def trilinear(volume, points):
    """Features (N, C) at points (N, 3) in [-1, 1]^3 from volume (R, R, R, C)."""
    ### BEGIN SOLUTION
    count = len(volume)
    position = (points.clamp(-1, 1) + 1) / 2 * (count - 1)
    cell = position.detach().floor().clamp(0, count - 2)
    share = position - cell
    features = 0
    for corner in torch.cartesian_prod(*3 * [torch.arange(2)]):
        weight = torch.where(corner.bool(), share, 1 - share).prod(dim=-1, keepdim=True)
        x, y, z = (cell.long() + corner).T
        features = features + weight * volume[x, y, z]
    return features
    ### END SOLUTION


# %%
checks.ex0205(trilinear)

# %% [markdown]
# PyTorch has it, too: `F.grid_sample`, which wants channels first and the axes the other way round, and calls our
# corners `align_corners=True`. Not every release of PyTorch can differentiate it twice in 3-D, which the eikonal term
# needs; yours can be. The field around it starts as a sphere in the simplest way: the sphere is *added*, and features
# and last layer start near nothing.


# %%
class FeatureGrid(nn.Module):
    """What a place looks like to a few lattices: (N, 3) -> (N, channels * lattices)."""

    def __init__(self, resolutions=(12, 24, 48), channels=4):
        super().__init__()
        self.volumes = nn.ParameterList(
            1e-4 * (2 * torch.rand(r, r, r, channels) - 1) for r in resolutions
        )

    def forward(self, points):
        return torch.cat([trilinear(volume, points) for volume in self.volumes], dim=-1)


class GridSDF(nn.Module):
    """f(x) = |x| - radius + a small network of x and its features: (N, 3) -> (N,)."""

    def __init__(self, resolutions=(12, 24, 48), channels=4, width=64, radius=0.55):
        super().__init__()
        self.grid, self.radius = FeatureGrid(resolutions, channels), radius
        self.hidden = nn.Linear(3 + channels * len(resolutions), width)
        self.out = nn.Linear(width, 1)
        nn.init.normal_(self.out.weight, 0, 0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, points):
        hidden = F.silu(self.hidden(torch.cat([points, self.grid(points)], dim=-1)))
        return points.norm(dim=-1) - self.radius + self.out(hidden)[:, 0]


torch.manual_seed(0)
volume = torch.randn(6, 6, 6, 4)
built_in = F.grid_sample(
    volume.permute(3, 2, 1, 0)[None], places[None, None, None], align_corners=True
)[0, :, 0, 0].T
gap = (trilinear(volume, places) - built_in).abs().max()
print(f"trilinear and F.grid_sample: {gap:.5f} apart at most")
for field in (SDFNetwork(), GridSDF()):
    count = sum(p.numel() for p in field.parameters())
    print(f"{type(field).__name__}: {count} numbers to train")

# %% [markdown]
# ### A head, by both networks
#
# The truth mesh of a made head gives us 20,000 points. It knows its normals, too, so we may also ask for
# $\nabla f = n$ at the points (Gropp et al. 2020):
#
# $$L = \text{mean } |f(p)| + w_n \, \text{mean } \lVert \nabla f(p) - n \rVert + w_e \, L_\text{eik}$$
#
# Both networks are trained with that by your loop, from the same points and for as many steps. `with_slope` is the
# heart of your eikonal loss, since the gradients are now needed at the points, too. Features want a higher rate than
# weights: the grid's parameters come in two groups, each with its own `lr`, which Adam takes as well as a plain list.
#
# How good are they then? By the package's metric: the zero set's distance to the truth, two-way and over the whole
# head, and the angle between normals. And is $f$ a *distance*? Take the level set $f = 30$ mm: how far from the truth
# is it really?


# %%
scene = load_scene(SAMPLES / "scene")
truth = Mesh.from_trimesh(scene.truth_mesh())
on_truth, face = sample_surface(truth, 20_000, seed=0)
cloud = torch.from_numpy((on_truth - scene.center) / scene.radius).float()
normals = torch.from_numpy(truth.face_normals()[face]).float()


def with_slope(field, points):
    """f (N,) and its gradient (N, 3), both to train with."""
    points = points.detach().requires_grad_()
    value = field(points)
    (slope,) = torch.autograd.grad(value.sum(), points, create_graph=True)
    return value, slope


def head_loss(slope_of, cloud, normals, normal_weight=0.1, eikonal_weight=0.1):
    """One step's loss; slope_of: points -> f and its gradient."""
    chosen = torch.randint(len(cloud), (512,))
    value, slope = slope_of(torch.cat([cloud[chosen], eikonal_points(cloud[chosen], 256)]))
    loss = value[:512].abs().mean()
    loss = loss + normal_weight * (slope[:512] - normals[chosen]).norm(dim=-1).mean()
    return loss + eikonal_weight * (slope[512:].norm(dim=-1) - 1).square().mean()


def groups(field):
    """Parameters for Adam: those of the lattices learn faster."""
    lattices = [p for name, p in field.named_parameters() if name.startswith("grid.")]
    others = [p for name, p in field.named_parameters() if not name.startswith("grid.")]
    return [{"params": lattices, "lr": 1e-2}, {"params": others}]


torch.manual_seed(0)
mlp, own = SDFNetwork(), GridSDF(profile.field.resolutions)
for field, parameters in ((mlp, mlp.parameters()), (own, groups(own))):
    fit(parameters, partial(head_loss, partial(with_slope, field), cloud, normals), steps)


# %% tags=["tolerance-10"]
def in_mm(found):
    """A mesh, or points (N, 3), of the unit sphere in the scene's frame and unit."""
    if isinstance(found, Mesh):
        return Mesh(in_mm(found.vertices), found.faces)
    return np.asarray(found, float) * scene.radius + scene.center


def measured(volume):
    """Zero set's distance [mm], angle of normals [degrees], and where the level of 30 mm lies [mm]."""
    zero = evaluate(in_mm(level_mesh(volume)), scene, region="head", samples=20_000)
    outer = largest_component(in_mm(level_mesh(volume, 30 / scene.radius)))
    level = np.median(closest_points(sample_surface(outer, 20_000, 0)[0], truth)[0])
    return zero.distance_mean, zero.normal_median_deg, level


volumes = {"SDFNetwork": sample_volume(mlp), "GridSDF": sample_volume(own)}
busts = {"truth": truth}
for name, volume in volumes.items():
    distance, angle, level = measured(volume)
    print(f"{name}: {distance:.1f} mm off, normals {angle:.0f} degrees;", end=" ")
    print(f"the level of 30 mm lies at {level:.0f} mm")
    busts[f"{name}, {distance:.1f} mm off"] = in_mm(level_mesh(volume))
middle, extent = frame_of(truth)
look = {"size": 340, "center": middle, "extent": extent}
clay = [
    [shaded_normals(mesh, view=v, **look) for mesh in busts.values()] for v in ("front", "profile")
]
show(
    images(clay, list(busts), ["front", "profile"], width=10),
    alt="A head from the front and in profile, three times. The truth has hair in strands, eyes and lips; the "
    "MLP's is a smooth lump with a ridge for a nose; the grid's has nose, chin, the outline of the hair, and blurred eyes and lips.",
)

# %% [markdown]
# The package's `GridField` is your field again; `as_package` puts your numbers into it. What differs is how it gets
# the gradient: one hidden layer has a derivative that one can write down, and so has trilinear interpolation. So
# nothing is differentiated twice, a compiled loop does the lattices, and a step takes less than half of the time.


# %%
def as_package(own):
    """The package's field with the numbers of ours."""
    lattices = list(own.grid.volumes)
    layout = GridLayout(tuple(len(v) for v in lattices), lattices[0].shape[-1])
    field = GridField(layout, features=0, sphere=own.radius)
    layers = {k: v for k, v in own.state_dict().items() if not k.startswith("grid.")}
    table = torch.cat([v.detach().flatten(0, 2) for v in lattices])
    field.load_state_dict(layers | {"grid.table": table})
    return field


def their_slope(field, points):
    """What `with_slope` gives, the package's way."""
    value, _, slope = field.with_gradient(points)
    return value, slope


pairs = zip(with_slope(own, places), their_slope(as_package(own), places), strict=True)
gaps = [(mine - theirs).abs().max() for mine, theirs in pairs]
print(f"your head in the package's class: f is {gaps[0]:.4f} apart at most,", end=" ")
print(f"its gradient {gaps[1]:.3f}")

# %% [markdown]
# ### Which term does what
#
# With that speed we can afford four more fits: with and without normals, with and without the eikonal term. Besides
# the three numbers of above: at how many eikonal points is the norm between 0.8 and 1.2?

# %% tags=["tolerance-10"]
terms = {"points": (0.0, 0.0), "points, eikonal": (0.0, 0.1)}
terms |= {"points, normals": (0.1, 0.0), "all three": (0.1, 0.1)}
fast, eikonal_places = {}, eikonal_points(cloud, 4096)
for name, weights in terms.items():
    torch.manual_seed(0)
    fast[name] = as_package(GridSDF(profile.field.resolutions))
    slope_of = partial(their_slope, fast[name])
    fit(groups(fast[name]), partial(head_loss, slope_of, cloud, normals, *weights), steps)
    volumes[name] = sample_volume(fast[name].sdf)
    distance, angle, level = measured(volumes[name])
    near = ((slope_of(eikonal_places)[1].norm(dim=-1) - 1).abs() < 0.2).float().mean()
    print(f"{name:<15} {distance:.1f} mm off, normals {angle:.0f} degrees;", end=" ")
    print(f"norm near 1 at {near:.0%}, level 30 mm at {level:.0f} mm")
print("stored: 900 steps, on the cpu profile's finer grid")
for name, stored in longer["head"].items():
    print(
        f"{name:<15} {stored['distance']:.2f} mm off, normals {stored['normals']:.0f} degrees,",
        f"pieces: {stored['pieces']}, level 30 mm at {stored['level 30']:.1f} mm",
    )
show(
    figures.slices({name: f.sdf for name, f in fast.items()}, columns=2, axis="x", width=8),
    alt="Four slices through the middle of a head, seen from the side, nose to the right. With points only the outline "
    "has holes, bubbles and doubled lines. With the eikonal term the rings follow the head's shape, in and out; "
    "without it the inner rings are circles around the middle.",
)

# %% [markdown]
# Read the first four lines. *Points alone* do badly even on the surface: besides the head there are loose pieces on
# which $f = 0$, where nobody asked for anything. Add the *eikonal term*, or add *normals*, and the surface is good to
# three or four tenths of a millimetre. Normals are even the better help there, by two degrees: $\lVert \nabla f - n
# \rVert$ asks for the gradient's direction *and* its length, at each of many points.
#
# The two differ *away* from the surface. Without the eikonal term the level of 30 mm lies at 35 mm or more. With it,
# it is right to a millimetre, though no point of the scan is near. The slices show why: where no term speaks, the
# field stays what it was at the start, a sphere; look at the circles in the first and the third. And when a head is
# learned from pictures, there are neither points nor normals. Of these three terms the eikonal one is then all that
# is left.
#
# And would more steps help? The last five lines are from the study of section 5, one run each. The surfaces of all
# four grids come to between a quarter and two fifths of a millimetre. What stays is what no term speaks of: without
# the eikonal term the level of 30 mm is 5 to 8 mm too far out, as before, and points alone leave a dozen pieces. The
# MLP gets from 1.7 to 0.7 mm, in one piece. It needs many more steps, which is why this course reconstructs heads
# with grids.
#
# ### All its levels
#
# One volume has all the levels. Turn them: the zero set of *your* grid's field, a level inside, and two outside. A
# distance field is a set of nested heads. Look at what becomes of nose and ears on the way out, and where new creases
# appear on the way in: those are the medial axis of section 3. The picture below has the same four levels of the fit
# to points alone in its lower row.

# %%
levels = {"-10 mm": -10.0, "surface": 0.0, "10 mm": 10.0, "30 mm": 30.0}
nested = {
    name: {
        label: largest_component(in_mm(level_mesh(volumes[name], level / scene.radius)))
        for label, level in levels.items()
    }
    for name in ("GridSDF", "points")
}
interactive.show(
    interactive.turning({"surface": nested["GridSDF"]["surface"]} | nested["GridSDF"], faces=1300),
    alt="A grey head to turn, with a button for each of four levels of its distance field: 10 mm inside, the "
    "surface, 10 mm and 30 mm outside.",
)
widest = np.concatenate([row["30 mm"].vertices for row in nested.values()])
middle, half = (widest.max(0) + widest.min(0)) / 2, 0.52 * (widest.max(0) - widest.min(0)).max()
look = {"view": "three-quarter", "size": 220, "center": middle, "extent": half}
clay = [[shaded_normals(mesh, **look) for mesh in row.values()] for row in nested.values()]
show(
    images(clay, list(levels), ["all three terms", "points only"], width=9),
    alt="Two rows of four grey heads, levels -10, 0, 10 and 30 mm. Upper row, all three terms: a gaunt head, the "
    "head, and two swollen ones with creases. Lower row, points only: a lump, a head with holes in its neck and a torn "
    "ear, a swollen one with hardly a face, and a balloon.",
)

# %% [markdown]
# ## 7. A ray that steps by the distance
#
# A distance has one more use. You shoot a ray at a surface that you know only as a function. How far can you go
# without missing it? $f(x)$: no surface is nearer, in any direction. So step by $f$, ask again, and so on: far from
# everything you make large steps, close to the surface small ones. It is called **sphere tracing** (Hart 1996), since
# each step stays in a ball that is known to be empty.
#
# It needs less than a distance. Say $f$ is *$L$-Lipschitz*, $|f(x) - f(y)| \le L |x - y|$. If $y$ is on the surface,
# $f(y) = 0$, so $|x - y| \ge |f(x)| / L$: a step of $f / L$ is safe. That is why the bounds of section 2 were good
# enough, with $L = 1$, and why a trained field, whose gradient is a little over 1 here and there, needs a little care.
#
# ### Exercise 0206 (hard, 45 min): sphere tracing
#
# Give the depth of the first hit of each ray, `inf` where there is none up to `far`. A ray has hit where $f \le
# 10^{-4}$ (so one that begins inside has depth 0). Rays finish at different times. Get it right first; the check then
# tells how many times as often as ours your tracer asks the field. Can you come down to 1.0? And prove, on paper: the
# depths that a ray takes rise, and if they converge, they converge to a zero of $f$. Which rays make it slow? (If the
# cell never ends, some ray neither hits nor is given up: interrupt the kernel.)


# %% tags=["exercise"]
def trace(sdf, origins, directions, lipschitz, far):
    """Depth (N,) of the first hit along rays (N, 3), (N, 3); inf where there is none."""
    ### BEGIN SOLUTION
    depth = torch.zeros(len(origins))
    going = torch.arange(len(origins))
    while len(going):
        f = sdf(origins[going] + depth[going, None] * directions[going])
        going, f = going[f > 1e-4], f[f > 1e-4]
        depth[going] += f / lipschitz
        missed = depth[going] > far
        depth[going[missed]] = math.inf
        going = going[~missed]
    return depth
    ### END SOLUTION


# %%
checks.ex0206(trace)

# %% [markdown]
# With that you can look at the head that you trained without ever making a mesh: a picture is a tracer and a
# gradient. For $L$ we take the longest gradient at twenty thousand random places, and a fifth more. (A guess, not a
# proof: something steeper may hide between them. The colour network of lesson 7 has a bound that *is* a proof, see
# [7, the Lipschitz ablation](07_lipschitz_ablation.ipynb).) Look at the fine steps in the light: a trilinear value is
# continuous from cell to cell, its gradient is not. On a reconstructed head the coarse cells leave straight creases
# across the forehead. So the package's grids interpolate by *quadratic B-splines*, whose gradient is continuous, too:
# 27 corners for 8, a quarter more seconds, and the creases are gone (`docs/reconstruction.md`).

# %% tags=["tolerance-10"]
side = 160
steepest = with_slope(own, eikonal_points(cloud, 20_000))[1].norm(dim=-1).max().item()
origins = shapes.plane(side, at=1.0, reach=0.85).reshape(-1, 3)
directions = torch.tensor([0.0, 0.0, -1.0]).expand_as(origins)
with torch.no_grad():
    depth = trace(own, origins, directions, 1.2 * steepest, 2.0)
hit = torch.isfinite(depth)
met = origins[hit] + depth[hit, None] * directions[hit]
normal = F.normalize(with_slope(own, met)[1].detach(), dim=-1)
off = closest_points(in_mm(met.numpy()), truth)[0]
print(f"longest gradient {steepest:.1f}; {hit.float().mean():.0%} of the rays hit;", end=" ")
print(f"half of the hits lie within {np.median(off):.1f} mm of the truth")
lamp = F.normalize(torch.tensor([-0.45, 0.55, 0.70]), dim=0)
light = 0.12 + 0.45 * normal[:, 2].clamp_min(0) + 0.43 * (normal @ lamp).clamp_min(0)
lit = torch.ones(side**2).masked_scatter(hit, light).reshape(side, side)
far = scene.radius * depth.where(hit, torch.nan).reshape(side, side)
figure, ((left, right),) = grid(1, 2, width=9, height=4.2)
image(left, far, "depth", origin="lower", cmap="cividis_r", vmin=None, vmax=None)
image(right, lit, "lit by the gradient", origin="lower")
figure.colorbar(left.images[0], ax=left, shrink=0.8, label="depth along the ray [mm]")
show(
    figure,
    alt="A head from the front, made by stepping along rays: its depth, least at the nose, and the head as lit.",
)

# %% [markdown]
# ## 8. From distance to density: beta
#
# Nobody gives us points of a head, only pictures. To learn from those, lesson 1 let rays collect weights from a
# *density*. VolSDF makes one from $f$: nothing outside, $1/\beta$ inside, and in between the cumulative function of a
# Laplace distribution of scale $\beta$:
#
# $$\sigma = \frac{1}{\beta} \, \Psi_\beta(-f), \qquad
# \Psi_\beta(s) = \begin{cases} \tfrac12 e^{s / \beta} & s \le 0 \\ 1 - \tfrac12 e^{-s / \beta} & s > 0
# \end{cases} \qquad \text{(VolSDF, 2 and 3)}$$
#
# Both branches are made from $e^{-|s| / \beta}$, which can't overflow. Here it is, with the weights that you wrote in
# lesson 1, for a ray that comes straight at a flat surface.


# %%
def laplace_density(f, beta):
    """sigma of signed distances f, any shape."""
    tail = 0.5 * torch.exp(-f.abs() / beta)
    return torch.where(f > 0, tail, 1 - tail) / beta


def weights_of(density, delta):
    """Weights (R, N) from density and section lengths (R, N), as in lesson 1."""
    tau = density * delta
    before = F.pad(torch.cumsum(tau[:, :-1], dim=1), (1, 0))
    return torch.exp(-before) * -torch.expm1(-tau)


way = torch.linspace(-25, 25, 200_001, dtype=torch.float64)  # mm; f = -way, the surface at 0
spacing = torch.full_like(way, 50 / 200_000)[None]
densities = {f"beta = {beta:g} mm": laplace_density(-way, beta) for beta in (4.0, 2.0, 1.0)}
stopped = {name: (weights_of(d[None], spacing) / spacing)[0] for name, d in densities.items()}
theirs = density.laplace_density(-way, 2.0)
gap = (densities["beta = 2 mm"] - theirs).abs().max()
print(f"our density and the package's: {gap:.6f} apart at most")
figure, ((left, right),) = grid(1, 2, width=9.5, height=2.9)
words = {"xlim": (-14, 14), "xlabel": "-f [mm], outside to inside"}
curves(left, way, densities, ylabel="density [1 / mm]", **words)
curves(right, way, stopped, legend=False, ylabel="light stopped [1 / mm]", **words)
show(
    figure,
    alt="Left, density over the depth behind the surface for beta 4, 2 and 1 mm: it rises towards "
    "the inside to 1 / beta. Right, where the light of a head-on ray is stopped: a hump at the surface, narrower and higher the smaller beta "
    "is, its top a little inside.",
)

# %% [markdown]
# How thick is the layer that such a ray sees? Write $u = -f / \beta$, how many betas deep it is. The density adds up,
# from outside to $u$, to an optical depth $R$:
#
# $$R(u) = \tfrac12 e^u \quad (u \le 0), \qquad R(u) = u + \tfrac12 e^{-u} \quad (u > 0),
# \qquad \text{stopped so far: } 1 - e^{-R(u)} .$$
#
# Look: $\beta$ enters by $u$ only. **The layer's thickness is a number times beta.** And a ray that comes in at an
# angle $\theta$ to the normal spends $1 / \cos \theta$ as long at each depth, so its $R$ is that of above divided by
# $\cos \theta$.
#
# ### Exercise 0207 (solid, 20 min): from beta to millimetres
#
# Turn it round. How deep behind the surface (as $-f$, so negative in front of it) has a given share of the light been
# stopped? In front of the surface $R$ has a simple inverse. Behind it, it has none, and you have to *search*: by
# bisection, by Newton, or by writing $u = R - \tfrac12 e^{-u}$ and putting the answer in again and again. (Why does
# that converge?)


# %% tags=["exercise"]
def depth_at(share, beta, cosine):
    """Depth -f at which a share (0 to 1) of the light is stopped; cosine of the angle to the normal."""
    ### BEGIN SOLUTION
    R = -math.log(1 - share) * cosine
    if R <= 0.5:
        return beta * math.log(2 * R)
    u = R
    for _ in range(60):  # the right side changes by less than half as much as u does
        u = R - 0.5 * math.exp(-u)
    return beta * u
    ### END SOLUTION


# %%
checks.ex0207(depth_at)

# %% [markdown]
# Two hundred thousand samples must say the same as your formula: a quarter of the light, half of it, and 95 %, of the
# ray above with a beta of 2 mm. Then a schedule of betas becomes a thickness in millimetres. Training starts with a
# wide $\beta$, so that every sample on a ray feels something, and ends with a narrow one. From where 5 % of the light
# is stopped to where 95 % is, with the settings of this project, on a head in a sphere of 185 mm:

# %%
so_far = (stopped["beta = 2 mm"] * spacing[0]).cumsum(0)
for share in (0.25, 0.5, 0.95):
    sampled = way[torch.searchsorted(so_far, share)].item()
    print(f"{share:.0%} stopped: at {sampled:+.2f} mm by samples,", end=" ")
    print(f"{depth_at(share, 2.0, 1.0):+.2f} mm by yours")
figure, ((ax,),) = grid(1, 1, width=8.5, height=2.4)
for stage in ("stage1", "stage2"):
    for when, beta in zip(("first", "last"), getattr(PROFILES["cpu"], stage).beta, strict=True):
        front, back = (depth_at(share, beta * scene.radius, 1.0) for share in (0.05, 0.95))
        name = f"{stage}, {when} beta {beta:g}"
        ax.barh(name, back - front, 0.55, left=front, color=BLUE)
        ax.text(back + 0.4, name, f"{back - front:.1f} mm", va="center", fontsize=9)
        print(f"{name} is {beta * scene.radius:.2f} mm: the layer is {back - front:.1f} mm thick")
for angle in (0, 30, 60, 80):
    middle = depth_at(0.5, 1.0, math.cos(math.radians(angle)))
    print(f"{angle} degrees to the normal: half has stopped {middle:+.1f} betas behind the surface")
ax.axvline(0, color=ORANGE, lw=1.5, ls=":")
ax.set(xlabel="depth behind the surface [mm]", xlim=(-14, 25))
ax.invert_yaxis()
show(
    figure,
    alt="Four bars around the surface, the layer's thickness in mm: about 29 and 3 for the first and the last beta "
    "of stage 1, 12 and 1.5 for those of stage 2.",
)

# %% [markdown]
# A layer three centimetres thick can't show a nose; one of 1.5 mm can. You see why of all settings beta mattered most
# ([5, two-stage reconstruction](05_two_stage_reconstruction.ipynb)), and why the eikonal term is needed *there*: if
# $\lVert \nabla f \rVert$ were 2, the layer would be over a quarter thinner than $\beta$ says (its front comes close
# to the surface; its back, where the density is $1 / \beta$ anyway, stays). If it were 1/2, it would be about two
# thirds thicker. A field could fake a sharper surface by growing steep, or a softer one by growing flat, whatever
# $\beta$ is.
#
# ### The other form: NeuS
#
# NeuS (Wang et al. 2021) does not start from a density. It asks that what gets through be $T = \Phi(f)$, with the
# logistic function $\Phi(f) = 1 / (1 + e^{-f / \beta})$, and takes the opacity of each piece of ray from the *ratio*
# of $\Phi$ at its two ends. Then $T$ knows nothing of the angle, and half of the light is stopped at $f = 0$, always.
# VolSDF's $R$ does know the angle: see the last lines above.
#
# So VolSDF sees a silhouette that is a bit too fat, by a beta or two, and NeuS does not. It's a reason why NeuS was
# made. It is also a reason not to worry much: the error is a number times beta, and at the end of training beta is
# 0.3 mm. The paper, and this project, use VolSDF's form; `logistic_alpha` of the package is the other.
#
# Now play. Make beta small and watch the samples lose the surface; move the hit by a fraction of a millimetre and see
# the weights flicker; lean the ray.
#
# Below the panel stand four of its settings, for readers without a kernel: beta 2 and 0.5 mm head-on,
# then the two forms at 75 degrees and 2 mm. (The panel's ray is only 60 mm long. At 75 degrees both
# ends of a wide hump are cut off, which is why the middle lies a little deeper there than the formulas above say.)

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %%
widgets.twin(panel.picture, panel.TWIN)

# %% [markdown]
# ## Now you, without a check
#
# 1. *First steps.* Fit the head to 500 points instead of 20,000. Which of the four fits suffers least, and what do the
#    normals tell that points don't?
# 2. *Solid.* Weigh the eikonal term with 10 instead of 0.1. The norms get even better. Does the zero set's distance,
#    too?
# 3. *Solid.* Add a random number of half a millimetre to each point of the scan. Which term keeps the surface smooth?
# 4. *Solid, and the one that counts.* Close this page. From an empty file, with torch, numpy and scikit-image alone:
#    500 points on a capsule, a network that starts as a sphere, the eikonal loss, a loop, a mesh. How far is it from
#    the capsule? Which line did you have to look up?
# 5. *Hard.* Sphere tracing is slow at grazing rays. Step by $1.6 f / L$ instead, and go back when the ball of the new
#    place does not touch that of the last one (why is that the right test?). Does it save questions, and on which
#    rays?
#
# ## What to remember
#
# - A signed distance says how far; with its gradient it says where. The surface is its zero set, the gradient its
#   normal.
# - The gradient's norm is one, except on the medial axis, where two points of the surface are equally near, and on
#   sharp edges.
# - Norm one is necessary, not sufficient: the start, a sphere, chooses inside and outside.
# - Points alone are happy with $f = 0$ everywhere. The eikonal term, or normals, forbid it; only the eikonal term
#   speaks of places far from the surface.
# - A training loop: forget, compute, walk back, step, slow down. Network, loss and data change; these lines don't.
# - $\beta$ is a length: the layer that a ray sees is about five betas thick, if the gradient's norm is one.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | shapes are exact distances, joined ones bounds | sections 1 and 2, against a mesh; `tests/test_lesson_02.py` |
# | the norm is one but for the medial axis and smooth seams | section 3 |
# | random weights start as a sphere | section 4; `tests/test_lesson_02.py`, `tests/test_field.py` |
# | our networks are the package's `MLPField` and `GridField` | sections 4 and 6, the same weights in both |
# | without eikonal term or geometric start a torus is missed | section 5, measured; `tests/test_lesson_02.py` |
# | what more steps change, and what not | sections 5 and 6, `benchmarks/results/sdf_fits.json` |
# | off the surface only the eikonal term makes a head's field a distance | section 6, measured |
# | a step of $f / L$ jumps over nothing | exercise 0206, `tests/test_lesson_02.py` |
# | the layer's thickness is a number times beta | section 8, against two hundred thousand samples |
# | VolSDF's layer comes forward at grazing angles, NeuS's does not | section 8, `tests/test_lesson_02.py` |
#
# **Read on**: [1, volume rendering](01_volume_rendering.ipynb), for the weights; [5, two-stage
# reconstruction](05_two_stage_reconstruction.ipynb), where such a field is learned from pictures;
# `privhead_nb/field/sdf.py` and `privhead_nb/field/density.py`. Further: Hart, *Sphere tracing* (1996); Atzmon and
# Lipman, *SAL* (2020); Gropp et al., *Implicit geometric regularization* (2020); Yariv et al., *VolSDF* (2021); Wang
# et al., *NeuS* (2021).

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
# **You will be able to** write the distance to a shape as a function, say why its gradient has length one and
# where it has none, start a network as a sphere, fit it to points, and choose the thickness of the wall that a
# ray sees.
#
# **You should know** what a gradient is, PyTorch tensors, and that a ray collects weights
# ([lesson 1](01_volume_rendering.ipynb)). No geometry beyond Pythagoras is needed.
#
# **Time**: 80 minutes of reading and writing, without the hard exercise, which is worth an evening; computing takes
# about a minute on a CPU, and five on the `cpu` profile. A GPU changes nothing here.
#
# **Equations of the paper**: 3 (the surface) and 4 (eikonal). From VolSDF (Yariv et al. 2021): 2 and 3 (density).

# %%
import math
from functools import partial

import numpy as np
import torch

from privhead_nb import load_scene
from privhead_nb.field.density import laplace_density
from privhead_nb.field.sdf import MLPField
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import closest_points
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, interactive, results, widgets
from privhead_nb.teach.lesson02 import figures, panel, sdf_fit, shapes, wall
from privhead_nb.training.profiles import PROFILES, get_profile
from privhead_nb.viz.shading import shaded_normals
from privhead_nb.viz.style import BLUE, ORANGE, VERMILLION, curves, grid, image, images, show

profile = get_profile()
steps = min(3 * profile.stage1.steps, 900)  # of each fit below

# %% [markdown]
# ## 1. How far is it to the surface?
#
# You stand somewhere in the dark, and somebody tells you one number: how far it is to the nearest wall. Not where
# the wall is, only how far. With a minus sign if you are inside it. That number, known for every place, is the
# **signed distance function** $f$, and the surface is where it is zero (equation 3):
#
# $$S = \{ x : f(x) = 0 \}$$
#
# Why describe a head in such a roundabout way? Because a mesh is a list of triangles, and no small change of numbers
# turns a list with one hole into a list with none. A function can be changed a little, anywhere, and its zero set
# follows: it bends, splits, closes. That is what a gradient can work with.
#
# For simple shapes $f$ is a line of school geometry. A sphere is the distance to a point, less the radius. A torus is
# the distance to a *circle*, less the radius of the tube: first how far you are from the circle as seen from above, then
# Pythagoras with the height.

# %%
places = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
x, y, z = places.T

sphere = (x**2 + y**2 + z**2).sqrt() - 0.6
torus = (((x**2 + y**2).sqrt() - 0.5) ** 2 + z**2).sqrt() - 0.2

print("our sphere is the package's:", torch.allclose(sphere, shapes.sphere(places), atol=1e-6))
print("our torus is the package's: ", torch.allclose(torus, shapes.torus(places), atol=1e-6))

# %% [markdown]
# Here are four of them, cut at $z = 0$. The thick line is the surface. The thin ones are drawn every 0.1, dashed inside.
# Look at how *evenly* they lie: that is the whole subject of this lesson.

# %%
four = {
    "sphere": shapes.sphere,
    "box": shapes.box,
    "capsule": shapes.capsule,
    "torus": shapes.torus,
}
show(
    figures.slices(four),
    alt="Slices through four shapes with their contour lines. All lines are evenly spaced. Outside the box they "
    "have round corners, inside sharp ones; the torus shows two circles as its surface.",
)

# %% [markdown]
# ### Exercise 0201 (easy): how far is it to a box?
#
# Look at the box. Outside, the lines are straight along the faces and round about the corners; inside, they are smaller
# boxes. Write the function that makes both. `half` holds half of the three edges; the box lies around the origin. A
# start: by symmetry you may take $|x|$, and $q = |x| - \text{half}$ says for each axis how far you are beyond the face
# (negative: not beyond).


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
# ### One number and its gradient tell you where the wall is
#
# The number says how far. The *direction* in which it grows fastest says which way. So from any place you reach the
# surface in one step: $x - f(x) \, \nabla f(x)$. And the gradient there is the surface's **normal**, for on the
# surface $f$ does not change along it. Autograd gives gradients, so let us jump.

# %%
for name, shape in four.items():
    f, gradient = shapes.value_and_gradient(shape, places)
    foot = places - f[:, None] * gradient
    f_foot, normal = shapes.value_and_gradient(shape, foot)
    same = (normal * gradient).sum(-1) > 0.99
    print(f"{name}: all land on the surface: {bool((f_foot.abs() < 1e-4).all())}", end="; ")
    print(f"with the normal of their landing place: {bool(same.float().mean() > 0.95)}")

# %% [markdown]
# All land. Only at the box the normal differs, and rightly so: many places outside are nearest to an *edge*, and an edge has
# no single normal. Each of them comes from its own direction, which is why the outer lines are round there.
#
# ## 2. Joining shapes, and what it breaks
#
# If $a$ and $b$ are distances to two solids, then, seen from outside, the distance to both together is the smaller one:
# $\min(a, b)$. What lies in both is negative in $\max(a, b)$. With a few such lines people build whole worlds, and the made heads of this course, too. But
# count the rings:

# %%
ball = shapes.moved(partial(shapes.sphere, radius=0.5), (-0.3, 0.0, 0.0))
block = shapes.moved(partial(shapes.box, half=(0.4, 0.35, 0.35)), (0.3, 0.0, 0.0))
joined = {
    "union": shapes.union(ball, block),
    "intersection": shapes.intersection(ball, block),
    "smooth union": shapes.smooth_union(ball, block),
}
show(
    figures.slices(joined, columns=3),
    alt="Slices through a ball joined with a block. The union's outer lines are even, its inner ones are two "
    "separate nests; the intersection is a small half-round slab whose outer lines keep a kink; the smooth union fills "
    "the notch, and its inner lines bulge.",
)

# %% [markdown]
# Inside the union you see two nests of lines, as if the ball and the block still had a wall between them. Whoever stands
# there is told that a wall is near which is not there any more. Outside the intersection it is the same the other way
# round. How wrong are they? We make a mesh of each zero set and measure the true distance to its triangles.

# %%
short = {}
for name, shape in joined.items():
    mesh = sdf_fit.level_mesh(shape, 0.0, resolution=128)
    true = closest_points(shapes.plane(61).reshape(-1, 3).numpy(), mesh)[0].reshape(61, 61)
    f = figures.values_on(shape, side=61)
    short[name] = true - abs(f)
    print(f"{name}: never more than the truth: {short[name].min() > -0.01}", end="; ")
    print(f"too short by over 0.03 outside: {short[name][f > 0].max() > 0.03}", end=", ")
    print(f"inside: {short[name][f < 0].max() > 0.03}")
scale = {"label": "true distance less |f|", "line": "white", "vmin": 0, "vmax": 0.15}
show(
    figures.slices(joined, short, columns=3, **scale),
    alt="By how much three fields fall short of the true distance. Union: inside, where ball and block "
    "overlap. Intersection: faintly, in wedges outside its edge. Smooth union: inside, and faintly above and below its seam.",
)

# %% [markdown]
# All three are **bounds**: they may say too little, never too much (but for the mesh's own roughness). The *zero set* is
# right in all of them. Whether "too little" does any harm depends on what you use $f$ for. A ray that steps by $f$ only
# takes more steps (exercise 0203). But fog whose thickness is measured by $f$ gets thicker, and an offset by 5 mm is no
# longer 5 mm. So keep two questions apart, also for a network: is the *surface* right, and is the function a *distance*?
#
# ## 3. Why the gradient has length one
#
# Two steps, and both can be done while walking. **It can't be longer.** If you move by a length $h$, your distance to the
# wall changes by at most $h$: the point of the wall that was nearest is now at most $h$ further away, and so the nearest
# one is. Hence $|f(x) - f(y)| \le |x - y|$, which is called *1-Lipschitz*, and $\lVert \nabla f \rVert \le 1$. **It can't
# be shorter.** Walk straight towards your nearest point. After a length $h$ it is still the nearest (if another were
# nearer, it would have been nearer before), and you are exactly $h$ closer. There is a direction in which $f$ changes
# by one for each unit, so $\lVert \nabla f \rVert \ge 1$. Together, wherever there is a gradient,
#
# $$\lVert \nabla f \rVert = 1,$$
#
# the **eikonal equation**. And where is there none? The second step needed *one* nearest point. On the ridge between two
# walls, where two points of the surface are equally near, you can walk either way, and the gradient jumps. We look for
# ridges with the package's `difference_gradient`: four samples around each place see both sides of a jump, and their
# mean is too short. And we ask autograd for the norm at a thousand random places.

# %%
for name, shape in (four | joined).items():
    norm = shapes.value_and_gradient(shape, places)[1].norm(dim=-1)
    one = bool(((norm - 1).abs() < 1e-3).float().mean() > 0.95)
    print(f"{name}: norm 1 at more than 95 % of places: {one}", end="; ")
    print(f"never over 1: {bool(norm.max() < 1.001)}")
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
# Ridges are thin: a place drawn at random is never on one. So all sharp shapes pass this test, *the union too*, whose
# inside we have just seen to be wrong! Only the smooth union fails: in its seam two gradients are mixed, and a mean of
# two unit vectors that disagree is shorter than one.
#
# So the eikonal equation is necessary, and not enough. Here are three functions of one variable. All have slope 1 or -1
# wherever they have one, and all are zero at the two red points.

# %%
x = torch.linspace(-1.6, 1.6, 641)
zigzags = {
    "the signed distance": x.abs() - 1,
    "inside and outside swapped": 1 - x.abs(),
    "two more kinks": ((x.abs() - 1).abs() - 0.25).abs() - 0.25,
}
figure, (axes,) = grid(1, 3, width=9, height=2.3, sharey=True)
for ax, (title, f) in zip(axes, zigzags.items(), strict=True):
    curves(ax, x, {"f": f}, title=title, xlabel="x", ylim=(-1.15, 1.15))
    ax.plot([-1, 1], [0, 0], "o", color=VERMILLION, ms=6)
axes[0].set_ylabel("f")
show(
    figure,
    alt="Three zigzag curves that are zero at -1 and 1: the signed distance, a V; the same upside down; and a "
    "curve that turns back twice and has more zeros.",
)

# %% [markdown]
# The first is the distance; the second has inside and outside swapped; the third has walls that nobody asked for. What
# picks the right one? Nothing in the equation. In practice it is the *start*, and that networks dislike kinks. Keep
# that in mind for section 4.
#
# As a loss (equation 4) the eikonal term asks for norm 1 on average, over places drawn at random:
#
# $$L_\text{eik} = \frac1N \sum_i \bigl( \lVert \nabla f(x_i) \rVert - 1 \bigr)^2$$
#
# ### Exercise 0202 (middle): the eikonal loss by hand
#
# Write it for any field, with `torch.autograd.grad`. Mind two things. Autograd differentiates *one* number: of which
# number of all $f(x_i)$ is each place's gradient a part? And this loss shall be *trained* with: somebody will
# differentiate your result once more, by the parameters of the field. So the gradient itself must stay differentiable.


# %% tags=["exercise"]
def eikonal_by_hand(field, points):
    """Equation 4 at points (N, 3) for field: (N, 3) -> (N,); a scalar to train with."""
    ### BEGIN SOLUTION
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(field(points).sum(), points, create_graph=True)
    return (gradient.norm(dim=-1) - 1).square().mean()
    ### END SOLUTION


# %%
checks.ex0202(eikonal_by_hand)

# %% [markdown]
# ## 4. Before training: a sphere out of random numbers
#
# A network with random weights is *some* function, and its zero set is some rag through space. Training must then turn it
# into a closed surface, and as we have seen nothing tells inside from outside. How nice it would be to start from a
# sphere! Atzmon and Lipman (2020) found that random weights can do that, and the argument takes three lines. Let $W$ have
# $m$ rows, each number normal with variance $2/m$, and let $h = \max(Wx, 0)$.
#
# - Each $(Wx)_j$ is normal, with variance $2 |x|^2 / m$: *the direction of $x$ has gone, only its length is left*.
# - The mean of the positive part of a normal number is its standard deviation over $\sqrt{2 \pi}$, here
#   $|x| / \sqrt{\pi m}$. Sum all $m$ of them, times $\sqrt{\pi / m}$, and you have $|x|$.
# - Subtract $r$: on average $f(x) = |x| - r$, a sphere. And the wider the network, the nearer a draw is, as a rule, to
#   that average.
#
# Deeper networks need no more, since $|h|^2$ is on average $|x|^2$ again: each layer hands on the length. Here it is by
# hand, with one layer, beside the package's `MLPField`; then along the circle of radius $r$, for three widths. (There
# the corner of $\max$ is sharp. The rounded one, which the package needs for its second derivatives, adds a little to
# each unit, and in a layer of 2048 that is a lot.)


# %%
def one_layer(points, width, generator, corner=100):
    rows = torch.randn(width, 3, generator=generator) * math.sqrt(2 / width)
    hidden = torch.nn.functional.softplus(points @ rows.T, beta=corner)  # max(., 0), a bit rounded
    return math.sqrt(math.pi / width) * hidden.sum(dim=-1) - 0.6


one, two = (torch.Generator().manual_seed(3) for _ in range(2))
theirs = MLPField(width=256, depth=1, frequencies=0, features=1, generator=one).sdf(places)
print("our start is the package's:", torch.allclose(one_layer(places, 256, two), theirs, atol=0.02))
angle = torch.linspace(0, 2 * torch.pi, 361)
circle = 0.6 * torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=-1)
along = {f"{w} wide": one_layer(circle, w, one, corner=1e6) for w in (16, 128, 2048)}
figure, ((ax,),) = grid(1, 1, width=7.5, height=2.8)
words = {"xlabel": "angle along the circle [degrees]", "ylabel": "f"}
curves(ax, angle.rad2deg(), along, xticks=range(0, 361, 90), **words)
show(
    figure,
    alt="f on the circle where it should be zero, for one layer of 16, 128 and 2048 units: the wider, the nearer to zero.",
)

# %% [markdown]
# The package's other field is a *grid*: features in the corners of a lattice, and a small network that reads them
# (`GridField`). There the sphere is simply added: $f(x) = |x| - r + \text{head}(x)$, and the head starts near nothing. Let us
# look at both kinds, each with PyTorch's own random start on the left and with the package's on the right.

# %%
lattice = sdf_fit.start_grid(profile)
starts = {
    "mlp, PyTorch's start": sdf_fit.start_mlp(plain=True).sdf,
    "mlp, geometric": sdf_fit.start_mlp().sdf,
    "grid, no sphere": sdf_fit.without_sphere(lattice),
    "grid + sphere": lattice.sdf,
}
rays = torch.nn.functional.normalize(places, dim=-1)
for name, start in starts.items():
    closed = bool((start(0.2 * rays) < 0).all() and (start(rays) > 0).all())
    print(f"{name}: negative around the middle, positive on the unit sphere: {closed}")
show(
    figures.slices(starts),
    alt="Slices of four untrained networks. The plain mlp is nearly flat, its zero set a rag through space; the "
    "geometric one shows a dented ball with rings. The grid without sphere is nearly flat and nowhere zero; with it "
    "the rings are perfect circles.",
)

# %% [markdown]
# ## 5. Points, and nothing else
#
# Now a fit. A scanner gives us 500 points on a torus: no triangles, no normals, no inside. The loss asks for one thing only,
# $f = 0$ at the points (the mean of $|f|$). Can you see why that can't be enough? There is a very lazy solution: $f = 0$
# *everywhere*. The eikonal term forbids just that. We train three times: with PyTorch's start and the eikonal term, with
# the geometric start and no eikonal term, and with both.

# %%
torus_mesh = sdf_fit.level_mesh(shapes.torus, 0.0, resolution=96)
scan = sdf_fit.cloud_of(torus_mesh, 500, (0, 0, 0), 1.0)
runs = {"plain start, eikonal": (True, 0.1), "geometric, no eikonal": (False, 0.0)}
runs |= {"geometric, eikonal": (False, 0.1)}
fitted = {}
for name, (plain, weight) in runs.items():
    fitted[name] = sdf_fit.start_mlp(plain=plain)
    small = sdf_fit.FitSettings(steps=steps, batch=256, probes=256, eikonal=weight)
    sdf_fit.fit(fitted[name], scan, small)

# %%
longer = results.table("sdf_fits")  # by `python benchmarks/studies/sdf.py`
for name, field in fitted.items():
    zero = sdf_fit.level_mesh(field.sdf, 0.0, resolution=96, largest=False)
    apart, norms = sdf_fit.distance_of(zero, torus_mesh), sdf_fit.gradient_norms(field)
    print(f"{name}: within 0.007 of the torus: {apart < 0.007}", end="; ")
    print(f"half of the norms are over 0.7: {bool(norms.median() > 0.7)}")
    print("    900 steps, three seeds:", *(f"{1000 * d:.1f}" for d in longer["torus"][name]))
found = {name: field.sdf for name, field in fitted.items()}
show(
    figures.slices(found, columns=3, truth=shapes.torus, points=scan.points),
    alt="Slices of three fits to dots on a torus, its outline orange. First: the outer circle is found, the inner one "
    "is not, the hole is filled. Second: a wobbling zero line with a bay in it, and few rings. Third: two round zero "
    "lines on the dots, and even rings outside.",
)

# %% [markdown]
# Both matter, and for different reasons. Without the eikonal term the network does get small at the points, by getting small
# nearly everywhere; where exactly it crosses zero between them is then left to chance. With the eikonal term and a
# plain start the slopes are right, but the surface is not. On the inner circle $f$ *touches* zero and turns back without
# changing its sign: a zigzag of section 3, with the hole counted as inside. The loss sees little fault in it.
#
# Could we not simply train longer? `python benchmarks/studies/sdf.py` did, once: 900 steps, which is what the `cpu` profile
# takes, for three seeds each. The indented lines above say how far the zero set then is from the torus, in thousandths.
# More steps help the one and not the other. The plain start finds the torus after all, three times of three, and nearly as well:
# there, the sphere saves time. Without the eikonal term the zero set stays four times as far off in the best of three tries,
# and far more in the others.
#
# ## 6. A head
#
# Enough of tori. We take 20,000 points of the truth mesh of a made head, and the grid field that the head reconstruction of
# this course uses. A mesh knows its normals, so we may also ask for $\nabla f = n$ at the points (the loss of Gropp et al.
# 2020). That makes four fits: with and without normals, with and without the eikonal term.

# %%
scene = load_scene(SAMPLES / "scene")
truth = Mesh.from_trimesh(scene.truth_mesh())
cloud = sdf_fit.cloud_of(truth, 20_000, scene.center, scene.radius)
terms = {"points": (0.0, 0.0), "points, eikonal": (0.0, 0.1)}
terms |= {"points, normals": (0.1, 0.0), "all three": (0.1, 0.1)}
heads = {}
for name, (normals, eikonal) in terms.items():
    heads[name] = sdf_fit.start_grid(profile)
    large = sdf_fit.FitSettings(steps=steps, batch=2048, normals=normals, eikonal=eikonal)
    sdf_fit.fit(heads[name], cloud, large)

# %%
show(
    figures.slices({name: h.sdf for name, h in heads.items()}, axis="x"),
    alt="Four slices through the middle of a head, seen from the side, nose to the right. With points only the outline "
    "has holes, bubbles and doubled lines. With the eikonal term the rings follow the head's shape, in and out; "
    "without it the inner rings are circles around the middle.",
)

# %% [markdown]
# And now numbers, by the package's own metric: the zero set's distance to the truth, two-way and over the whole head; the
# angle between normals; and two tests of whether $f$ is a *distance*. Is the gradient's norm one, at random places of the
# ball? And take the level set $f = 30$ mm: how far from the truth is it really?

# %%
judged = {name: sdf_fit.judge(head.sdf, scene) for name, head in heads.items()}
norms = {name: sdf_fit.gradient_norms(head) for name, head in heads.items()}
for name, found in judged.items():
    near = ((norms[name] - 1).abs() < 0.2).float().mean()
    print(f"{name}: zero set within 0.6 mm: {found.distance < 0.6}", end="; ")
    print(f"norm 0.8 to 1.2 at over 3/4 of all places: {bool(near > 0.75)}", end="; ")
    print(f"level 30 mm off by under 2 mm: {abs(found.levels[30.0] - 30) < 2}")
figure, (axes,) = grid(1, len(norms), width=11, height=2.3, sharey=True)
for ax, (name, values) in zip(axes, norms.items(), strict=True):
    shares = torch.full_like(values, 1 / len(values))
    ax.hist(values.clamp(max=1.999), 40, (0, 2), color=BLUE, weights=shares)
    ax.axvline(1, color="black", lw=1, ls="--")
    ax.set(xlim=(0, 2), xlabel="norm of the gradient")
    ax.set_title(name, fontsize=10)
axes[0].set_ylabel("share of places")
show(
    figure,
    alt="Four histograms of the gradient's norm at random places. Without the eikonal term a broad hill from 0.4 to "
    "1.7, and what is over 2 in its last bar; with it, a narrow peak at one.",
)

# %% tags=["nbval-ignore-output"]
print("                  surface     normals   pieces   level -10, 10, 30 mm is really at")
for name, found in judged.items():
    really = ", ".join(f"{value:.1f}" for value in found.levels.values())
    print(
        f"{name:<16} {found.distance:>5.2f} mm  {found.normals:>5.1f} deg  {found.pieces:>6}   {really} mm"
    )
print("stored: 900 steps, finer grid")
for name, stored in longer["head"].items():
    print(
        f"{name:<16} {stored['distance']:>5.2f} mm  {stored['normals']:>5.1f} deg  {stored['pieces']:>6}"
    )

# %% [markdown]
# Read the upper half of the table line by line (it is not compared with yours, so your digits may differ a little). *Points alone* do badly even on
# the surface: besides the head there are dozens of loose pieces on which $f = 0$, where nobody asked for anything. Add the
# *eikonal term*, or add *normals*, and the surface is good to a third of a millimetre. Normals are even the better help
# there, by two degrees: on a surface that is covered densely with points, telling the gradient's direction also tells its length.
#
# The two differ *away* from the surface. Without the eikonal term the level set of 30 mm is about 5 mm further out than it
# says. With it, it is right to a fraction of a millimetre, though no point of the scan is near. The slices show why:
# where no term speaks, the field stays what it was at the start, a sphere; look at the circles in the first and the third. And when a head is learned
# from pictures, there are neither points nor normals. The eikonal term is then the only one that can speak at all.
#
# And here, would more steps help? The last four lines are from the same study: 900 steps, and the finer grid of the `cpu`
# profile. All three terms gain a third. The eikonal term without normals gains nothing. And normals *without* the eikonal term get worse,
# three times as far off as before, in dozens of pieces: a finer grid has more cells that no point ever touches, and nobody
# tells them what to do.
#
# ### All its levels
#
# Turn them: the zero set, a level inside, and two outside, of the field that was trained with all three terms. A
# distance field is a set of nested heads, like Russian dolls. Look at what becomes of nose and ears on the way out, and
# where new creases appear on the way in: those are the ridges of section 3.

# %%
levels = {"-10 mm": -10.0, "surface": 0.0, "10 mm": 10.0, "30 mm": 30.0}


def level_set(name, level, resolution=96):
    sdf = heads[name].sdf
    return sdf_fit.level_mesh(sdf, level, scene.center, scene.radius, resolution=resolution)


dolls = {label: level_set("all three", level) for label, level in levels.items()}
interactive.show(
    interactive.turning({"surface": dolls["surface"]} | dolls, faces=1300),
    alt="A grey head to turn, with a button for each of four levels of its distance field: 10 mm inside, the "
    "surface, 10 mm and 30 mm outside.",
)

# %%
ragged = {label: level_set("points", level) for label, level in levels.items()}
widest = np.concatenate([dolls["30 mm"].vertices, ragged["30 mm"].vertices])
middle, half = (widest.max(0) + widest.min(0)) / 2, 0.52 * (widest.max(0) - widest.min(0)).max()
look = {"view": "three-quarter", "size": 200, "center": middle, "extent": half}
clay = [[shaded_normals(mesh, **look) for mesh in row.values()] for row in (dolls, ragged)]
show(
    images(clay, list(levels), ["all three", "points only"], width=7),
    alt="Two rows of four grey heads, levels -10, 0, 10 and 30 mm. Upper row, all three terms: a gaunt head, the "
    "head, and two swollen ones that still have its nose and chin. Lower row, points only: a lump, a head "
    "with torn hair, a balloon with a hint of a face, and a balloon.",
)

# %% [markdown]
# ## 7. A ray that steps by the distance
#
# Here is the nicest use of a distance. You shoot a ray at a surface that you know only as a function. How far can you go
# without missing it? $f(x)$! No wall is nearer, in no direction. So step by $f$, ask again, and so on: far from everything
# you make large steps, close to the wall small ones. It is called **sphere tracing** (Hart 1996), since each step stays
# in a ball that is known to be empty.
#
# It needs less than a distance. Say $f$ is *$L$-Lipschitz*, $|f(x) - f(y)| \le L |x - y|$. If $y$ is on the surface, $f(y) = 0$,
# so $|x - y| \ge |f(x)| / L$: a step of $f / L$ is safe. That is why the bounds of section 2 were good enough, with $L = 1$,
# and why a trained field, whose gradient is a little over 1 here and there, needs a little care.
#
# ### Exercise 0203 (hard): sphere tracing
#
# Give the depth of the first hit of each ray, `inf` where there is none up to `far`. A ray has hit where $f \le 10^{-4}$
# (so one that begins inside has depth 0). Rays finish at different times. Get it right first; the check then tells how many
# times as often as ours your tracer asks the field. Can you come down to 1.0? And prove, on paper: the depths that a ray
# takes rise, and if they converge, they converge to a zero of $f$. Which rays make it slow?


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
checks.ex0203(trace)

# %% [markdown]
# With that you can look at your head without ever making a mesh: a picture is a tracer and a gradient. For $L$ we take the
# longest gradient at fifty thousand random places, and a bit more. (A guess, not a proof: something steeper may hide
# between them. The colour network of lesson 7 has a bound that *is* a proof, see
# [7, the Lipschitz ablation](07_lipschitz_ablation.ipynb).)

# %%
side, head = 128, heads["all three"]
steepest = float(sdf_fit.gradient_norms(head, 50_000, seed=2).max())
origins, directions = shapes.parallel_rays(side)
with torch.no_grad():
    depth = trace(head.sdf, origins, directions, 1.2 * steepest, 2.0)
hit = torch.isfinite(depth)
met = origins[hit] + depth[hit, None] * directions[hit]
gradient = torch.nn.functional.normalize(head.with_gradient(met)[2].detach(), dim=-1)
off = closest_points((met.double() * scene.radius + torch.tensor(scene.center)).numpy(), truth)[0]
print(f"more than a quarter of {side * side} rays hit: {bool(hit.float().mean() > 0.25)}")
print("half of the hits lie within 0.5 mm of the truth:", bool(torch.tensor(off).median() < 0.5))
lamp = torch.nn.functional.normalize(torch.tensor([-0.45, 0.55, 0.70]), dim=0)
light = 0.12 + 0.45 * gradient[:, 2].clamp_min(0) + 0.43 * (gradient @ lamp).clamp_min(0)
lit = torch.ones(side**2).masked_scatter(hit, light).reshape(side, side)
far = depth.where(hit, torch.nan).reshape(side, side)
figure, ((left, right),) = grid(1, 2, width=7.4, height=3.4)
image(left, far, "depth along the ray", origin="lower", cmap="cividis_r", vmin=None, vmax=None)
image(right, lit, "lit by the gradient", origin="lower")
figure.colorbar(left.images[0], ax=left, shrink=0.8)
show(
    figure,
    alt="A head from the front, made by stepping along rays: its depth, least at the nose, and the head as lit.",
)

# %% [markdown]
# ## 8. From distance to fog: beta
#
# Nobody gives us points of a head, only pictures. To learn from those, lesson 1 let rays collect weights from a
# *density*. VolSDF makes one from $f$: nothing outside, $1/\beta$ inside, and in between the cumulative function of a
# Laplace distribution of width $\beta$:
#
# $$\sigma = \frac{1}{\beta} \, \Psi_\beta(-f), \qquad
# \Psi_\beta(s) = \begin{cases} \tfrac12 e^{s / \beta} & s \le 0 \\ 1 - \tfrac12 e^{-s / \beta} & s > 0
# \end{cases} \qquad \text{(VolSDF, 2 and 3)}$$

# %%
f = torch.linspace(-14, 14, 561, dtype=torch.float64)
densities, humps = {}, {}
for beta in (4.0, 2.0, 1.0):
    densities[f"beta = {beta:g} mm"] = laplace_density(f, beta)
    humps[f"beta = {beta:g} mm"] = -torch.gradient(wall.stopped(-f, beta), spacing=(f,))[0]
figure, ((left, right),) = grid(1, 2, width=9.5, height=2.9)
words = {"xlim": (14, -14), "xlabel": "f [mm], outside to inside"}
curves(left, f, densities, ylabel="density [1 / mm]", **words)
curves(right, f, humps, legend=False, ylabel="light stopped a mm", **words)
show(
    figure,
    alt="Left, density over the signed distance for beta 4, 2 and 1 mm: it rises towards the inside to 1 / beta. "
    "Right, where the light of a head-on ray is stopped: a hump at the surface, narrower and higher the smaller beta "
    "is, its top a little inside.",
)

# %% [markdown]
# How thick is that wall? Let a ray come straight at it, and write $u = -f / \beta$, how many betas deep it is. The density
# adds up to an optical depth $R$, and integrals of exponentials are kind:
#
# $$R(u) = \tfrac12 e^u \quad (u \le 0), \qquad R(u) = u + \tfrac12 e^{-u} \quad (u > 0),
# \qquad \text{stopped so far: } 1 - e^{-R(u)} .$$
#
# Look: $\beta$ enters by $u$ only. **The wall's thickness is a number times beta.** And a ray that comes in at an angle
# $\theta$ spends $1 / \cos \theta$ as long at each depth, so its $R$ is divided by $\cos \theta$. Is that what the package's
# compositing does, when we give it a million samples?

# %%
way = torch.linspace(-25, 25, 1_000_001, dtype=torch.float64)
for angle in (0, 60):
    cosine = math.cos(math.radians(angle))
    u = way * cosine / 1.5  # beta is 1.5 mm
    R = torch.where(u > 0, u + 0.5 * torch.exp(-u.abs()), 0.5 * torch.exp(-u.abs())) / cosine
    weights = wall.sampled_weights(-way * cosine, 5e-5, 1.5)
    same = torch.allclose(weights.cumsum(0), 1 - torch.exp(-R), atol=1e-3)
    print(f"{angle} degrees: our formula is the package's compositing: {same}")

# %% [markdown]
# ### Exercise 0204 (middle): from beta to millimetres
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
checks.ex0204(depth_at)

# %% [markdown]
# Now a schedule becomes something that you can hold between two fingers. Training starts with a wide $\beta$, so that every
# sample on a ray feels something, and ends with a narrow one. From where 5 % of the light is stopped to where 95 % is, with
# the settings of this project, on a head in a sphere of 185 mm:

# %%
figure, ((ax,),) = grid(1, 1, width=8.5, height=2.4)
for stage in ("stage1", "stage2"):
    for when, beta in zip(("first", "last"), getattr(PROFILES["cpu"], stage).beta, strict=True):
        front, back = (depth_at(share, beta * scene.radius, 1.0) for share in (0.05, 0.95))
        name = f"{stage}, {when} beta {beta:g}"
        ax.barh(name, back - front, 0.55, left=front, color=BLUE)
        ax.text(back + 0.4, name, f"{back - front:.1f} mm", va="center", fontsize=9)
        print(f"{stage}, {when}: the wall is {back - front:.1f} mm thick")
ax.axvline(0, color=ORANGE, lw=1.5, ls=":")
ax.set(xlabel="mm behind the surface", xlim=(-14, 25))
ax.invert_yaxis()
show(
    figure,
    alt="Four bars around the surface, the wall's thickness in mm: about 29 and 3 for the first and the last beta "
    "of stage 1, 12 and 1.5 for those of stage 2.",
)

# %% [markdown]
# A wall of three centimetres has no nose; one of 1.5 mm does. You see why of all settings beta mattered most
# ([5, two-stage reconstruction](05_two_stage_reconstruction.ipynb)), and why the eikonal term is needed *there*: if
# $\lVert \nabla f \rVert$ were 2, the wall would be half as thick as $\beta$ says. A field could fake a sharp wall by growing
# steep, or a soft one by growing flat, and the two knobs would fight.
#
# ### The other form: NeuS
#
# NeuS (Wang et al. 2021) does not start from a density. It asks that what gets through be $T = \Phi(f)$, with the logistic
# function $\Phi(f) = 1 / (1 + e^{-f / \beta})$, and takes the opacity of each piece of ray from the *ratio* of $\Phi$ at its two
# ends. Then $T$ knows nothing of the angle. Does VolSDF's? Where half of the light has been stopped is marked by a triangle:

# %%
f = torch.linspace(6, -6, 481, dtype=torch.float64)
figure, (axes,) = grid(1, 3, height=2.7, sharey=True)
for ax, angle in zip(axes, (0, 60, 80), strict=True):
    cosine = math.cos(math.radians(angle))
    middle = [wall.depth_at(0.5, 1.0, cosine, form) for form in wall.FORMS]
    print(f"{angle} degrees: half has stopped {middle[0]:+.1f} betas behind the surface", end="")
    print(f" (VolSDF), {middle[1]:.1f} (NeuS)")
    stopped = {form: wall.stopped(-f, 1.0, cosine, form) for form in wall.FORMS}
    humps = {form: -torch.gradient(share, spacing=(f,))[0] for form, share in stopped.items()}
    title = f"{angle} degrees from the normal"
    curves(ax, f, humps, title=title, xlim=(6, -6), xlabel="f [mm], outside to inside")
    for depth, colour in zip(middle, (BLUE, VERMILLION), strict=True):
        ax.plot(-depth, 0, "^", color=colour, ms=8, mec="black", clip_on=False, zorder=5)
axes[0].set_ylabel("light stopped a mm of f")
show(
    figure,
    alt="Where light stops, for rays at 0, 60 and 80 degrees. NeuS's hump is centred on the surface in all three. "
    "VolSDF's lies a little behind the surface head-on, and moves in front of it at grazing angles.",
)

# %% [markdown]
# So VolSDF sees a silhouette that is a bit too fat, by a beta or two, and NeuS does not. It's a reason why NeuS was made. It is
# also a reason not to worry much: the error is a number times beta, and at the end of training beta is a third of a
# millimetre. The paper, and this project, use VolSDF's form; `logistic_alpha` of the package is the other.
#
# Now play. Make beta small and watch the samples lose the wall; move the hit by a fraction of a millimetre and see the
# weights flicker; lean the ray.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Four settings of the panel, for readers without a kernel: two thicknesses head-on in the upper row, the two forms at 75
# degrees in the lower one. (The panel's ray is only 60 mm long. At 75 degrees both ends of a wide hump are cut off, which is
# why the middle in the last two lines lies a little deeper than the formulas above say.)

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for setting in panel.TWIN:
    beta, angle, form = setting["beta"], setting["angle"], setting["form"]
    share, middle = wall.exactly(beta, angle, setting["hit"], form)
    print(f"{form}, beta {beta:g} mm, {angle} degrees: {share:.0%} within 1 mm", end="; ")
    print(f"half has stopped {middle:+.1f} mm behind the surface")

# %% [markdown]
# ## Now you, without a check
#
# 1. *Easy.* Fit the head to 500 points instead of 20,000. Which of the four fits suffers least, and what do the normals
#    tell that points don't?
# 2. *Middle.* Weigh the eikonal term with 10 instead of 0.1. The norms get even better. Does the zero set's distance, too?
# 3. *Middle.* Add a random number of half a millimetre to each point of the scan. Which term keeps the surface smooth?
# 4. *Hard.* Sphere tracing is slow at grazing rays. Step by $1.6 f / L$ instead, and go back when the ball of the new place does not
#    touch that of the last one (why is that the right test?). How many questions does it save?
#
# ## What to remember
#
# - A signed distance says how far; with its gradient it says where. The surface is its zero set, the gradient its normal.
# - The gradient's norm is one, except on ridges, where two points of the surface are equally near.
# - Norm one is necessary, not sufficient: the start, a sphere, chooses inside and outside.
# - Points alone are happy with $f = 0$ everywhere. The eikonal term, or normals, forbid it; only the eikonal term speaks of
#   places far from the surface.
# - $\beta$ is a length: the wall is about five betas thick, if the gradient's norm is one.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | our sphere, torus and box are the package's | section 1, exercise 0201, `tests/test_lesson_02.py` |
# | unions and intersections are bounds, wrong on one side | section 2, against exact distances to a mesh |
# | the norm is one but for ridges and smooth seams | section 3 |
# | random weights start as a sphere | section 4; `tests/test_field.py` |
# | without eikonal or geometric start a torus is missed | section 5, measured; `tests/test_lesson_02.py` |
# | what more steps change, and what not | sections 5 and 6, `benchmarks/results/sdf_fits.json` |
# | off the surface only the eikonal term makes a head's field a distance | section 6, measured |
# | a step of $f / L$ jumps over nothing | exercise 0203, `tests/test_lesson_02.py` |
# | the wall's thickness is a number times beta | section 8, against the package's compositing |
# | VolSDF's wall comes forward at grazing angles, NeuS's does not | section 8, `tests/test_lesson_02.py` |
#
# **Read on**: [1, volume rendering](01_volume_rendering.ipynb), for the weights;
# [5, two-stage reconstruction](05_two_stage_reconstruction.ipynb), where such a field is learned from pictures;
# `privhead_nb/field/sdf.py` and `privhead_nb/field/density.py`. Further: Hart, *Sphere tracing* (1996); Atzmon and Lipman, *SAL*
# (2020); Gropp et al., *Implicit geometric regularization* (2020); Yariv et al., *VolSDF* (2021); Wang et al., *NeuS* (2021).

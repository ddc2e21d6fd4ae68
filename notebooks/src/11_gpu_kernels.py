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
# # 11. From an equation to a loop to a kernel
#
# **You will be able to** count the bytes that an operation moves, and say from that count how long it must take;
# write a forward and its backward as loops that touch every number once, and train with them; read a roofline;
# write the forward again as a GPU kernel, and run it without a GPU.
#
# **You should know** Python loops, NumPy arrays, PyTorch tensors and the chain rule. Notebook 05 tells
# what compositing is for. You need to know nothing about GPUs, and need none.
#
# **Time**: 135 minutes of reading and writing, most of it with the five exercises; computing takes under a minute on a CPU.
#
# **Equations of the paper**: 1 (compositing). From VolSDF (Yariv et al. 2021): 2 and 3 (density).

# %%
from __future__ import annotations  # lets Python read a kernel where there is no Triton

import math
import time

import numpy as np
import pandas as pd
import torch
from numba import njit

from privhead_nb.bench import harness, show
from privhead_nb.kernels import compositing
from privhead_nb.kernels.lazy import triton_kernel
from privhead_nb.teach import checks, results, widgets
from privhead_nb.teach.lesson11 import panel, roofline
from privhead_nb.teach.lesson11.traffic import backward_traffic, saved_bytes, traffic
from privhead_nb.viz import style
from privhead_nb.viz.roofline import largest_rows
from privhead_nb.viz.roofline import roofline as under_the_roof

stored = results.table("kernels_cpu")  # what `privhead bench --device cpu` measured on two cores
place = roofline.triton_place()  # "cuda", "cpu" (by its interpreter), or None

# %% [markdown]
# ## 1. One line that runs a hundred thousand times
#
# A training step sends about a thousand rays into the scene and asks the network for the signed distance
# $f$ at about a hundred places on each. Then one small piece of maths makes pixels of it. With
# $s_i = -f_i$ and the scale $\beta$:
#
# $$\sigma_i = \tfrac{1}{\beta} \, \Psi_\beta(s_i), \qquad
# \Psi_\beta(s) = \begin{cases} \tfrac12 e^{s / \beta} & s \le 0 \\ 1 - \tfrac12 e^{-s / \beta} & s > 0
# \end{cases} \qquad \text{(VolSDF, 2 and 3)}$$
#
# $$\tau_i = \sigma_i \delta_i, \qquad T_i = e^{-\sum_{j<i} \tau_j}, \qquad
# w_i = T_i \, (1 - e^{-\tau_i}), \qquad c = \sum_i w_i c_i \qquad \text{(equation 1)}$$
#
# In words: distance becomes density, density stops light, and what is stopped at a place shows that place's
# colour. Follow one ray from left to right. The dashed line is where the surface is.

# %%
depth = torch.linspace(0, 1, 97)
sdf = 0.55 - depth
density, deltas = compositing.laplace_density(sdf, 0.02), torch.full_like(depth, 1 / 96)
along = {
    "signed distance f": sdf,
    "density": density,
    "transmittance T": torch.exp(-compositing.sum_before(density * deltas)),
    "weight w": compositing.weights_from_density(density, deltas),
}
figure, axes = style.grid(1, 4, width=11, height=2.6)
for ax, (name, values) in zip(axes[0], along.items(), strict=True):
    style.curves(ax, depth, {name: values}, xlabel="depth", title=name)
    ax.axvline(0.55, color="0.5", lw=1, ls="--")
style.show(
    figure,
    alt="Four curves over the depth along a ray, with a dashed line at the surface. The signed distance "
    "falls through zero there; the density rises from nothing to fifty; the transmittance falls from one "
    "to zero; the weight is a narrow peak at the surface.",
)

# %% [markdown]
# In PyTorch that is a handful of lines, and they are the best *specification* that one could wish for:
# short, right, differentiable. Here they are by hand, beside the package's. (`expm1(x)` is $e^x - 1$; section 4
# tells why it does not say `1 - exp`.)

# %%
sdf, deltas, t, colours, beta = roofline.rays(64, 128)

tail = 0.5 * torch.exp(-sdf.abs() / beta)
tau = torch.where(sdf > 0, tail, 1 - tail) / beta * deltas
before = torch.cumsum(tau, dim=1).roll(1, dims=1)
before[:, 0] = 0
weights = torch.exp(-before) * -torch.expm1(-tau)
colour = (weights[..., None] * colours).sum(dim=1)

theirs = compositing.composite_sdf_reference(sdf, deltas, t, colours, beta)
for name, ours, other in (("colours", colour, theirs.values), ("weights", weights, theirs.weights)):
    print(f"{name}: ours and the package's differ by {(ours - other).abs().max():.4f} at most")

# %% [markdown]
# So why would anybody write it again? Because of how these lines *run*.
#
# ## 2. Arithmetic is cheap, carrying is not
#
# A processor computes with numbers in its registers, and these lines' numbers lie in memory. To multiply a thousand
# numbers by two, they are fetched, multiplied, and written back. Eager PyTorch does that **once for every
# operation**: once for `abs`, once for `neg`, once for `div`. Each trip has two costs:
#
# - the **launch**: starting the operation. A few microseconds, no matter how little is carried;
# - the **traffic**: bytes read from memory and bytes written to it.
#
# The arithmetic itself hardly ever matters here. And the nice thing about bytes is that they can be
# *counted*, exactly, without a stopwatch and without a GPU. `traffic` listens to each operation that
# PyTorch runs, and adds up the sizes of what goes in and what comes out. Here is a toy: a density,
# but round, $e^{-f^2}$.

# %%
f = torch.linspace(-1, 1, 1000)
print(traffic(lambda f: torch.exp(-f.square()), f).table(samples=len(f)))

# %% [markdown]
# Three operations (`square` is listed as `pow`), each reads 4 bytes and writes 4: 24 bytes. How many *must* move?
# Read $f$, write the answer: 8. The other 16 carry two intermediate results to memory and back, which nobody asked for.
#
# ### Exercise 1101 (first steps, 12 min): count the bytes of the density
#
# Below is `laplace_density` of the package. Count, on paper, what PyTorch reads and writes for one number:
#
# ```python
# tail = 0.5 * torch.exp(-sdf.abs() / beta)
# return torch.where(sdf > 0, tail, 1 - tail) / beta
# ```
#
# Then write a function that gives, for `samples` numbers of `itemsize` bytes each (4 for float32), the
# bytes read, the bytes written, and the least that could be moved in all. `beta` is a plain Python number, as 0.5 and
# 1 are, and costs nothing. Careful with what a comparison makes: how large is a *boolean*?


# %% tags=["exercise"]
def laplace_traffic(samples, itemsize):
    """Bytes that laplace_density reads, bytes that it writes, and the least that must move."""
    ### BEGIN SOLUTION
    unary = 7  # abs, neg, / beta, exp, 0.5 *, 1 -, / beta
    read = unary * itemsize + itemsize + (2 * itemsize + 1)  # those, the comparison, where
    written = unary * itemsize + 1 + itemsize
    return samples * read, samples * written, samples * 2 * itemsize
    ### END SOLUTION


# %%
checks.ex1101(laplace_traffic)

# %% [markdown]
# What that means for the densities of one training step, and for narrower numbers, is what the next cell prints first.
# Halving the numbers halves the bytes (not the booleans'), and the factor hardly changes: the waste is in the trips.
#
# Then the whole of section 1, forward and backward. Each slice of a bar is one operation, one trip to memory. Under it,
# in blue, is the floor: every input read once, every result written once. For the forward
# that is $f$, $\delta$, the depth $t$ and three colours in, and the weight out. For the backward it is the
# same inputs again, and the gradients of $f$ and of three colours out.

# %% tags=["tolerance-10"]
for itemsize, kind in ((4, "float32"), (2, "float16")):
    read, written, least = laplace_traffic(1024 * 98, itemsize)
    print(f"{kind}: {(read + written) / 1e6:.1f} MB move, {least / 1e6:.1f} MB must: ", end="")
    print(f"{(read + written) / least:.2f} times as much")
inputs = roofline.rays(8, 128)
samples = inputs[0].numel()
eager = {
    "forward": traffic(roofline.render, *inputs),
    "backward": backward_traffic(roofline.render, *inputs),
}
floor = roofline.FLOOR_BYTES
figure, axes = style.grid(1, 1, width=10, height=3.1)
ax, names = axes[0][0], []
for name, moved in eager.items():
    widths = np.array([o.read + o.written for o in moved.operations]) / samples
    total, row = widths.sum(), len(names)
    print(f"{name}: {total:.0f} bytes a sample, {total / floor[name]:.1f} times the floor")
    ax.barh(row, widths, 0.8, left=np.cumsum(widths) - widths, edgecolor="white", lw=0.4,
            color=[style.VERMILLION, "#F0A878"])  # fmt: skip
    ax.text(total + 4, row, f"{total:.0f} B in {moved.launches} launches", va="center")
    ax.barh(row + 1, floor[name], 0.8, color=style.BLUE)
    ax.text(floor[name] + 4, row + 1, f"{floor[name]} B in one", va="center")
    names += [f"{name}, eager", f"{name}, fused"]
ax.set_yticks(range(4), names)
ax.invert_yaxis()
ax.set(xlabel="bytes a sample; each slice is one operation", xlim=(0, 520))
style.show(
    figure,
    alt="Two pairs of bars of bytes a sample. Eager PyTorch moves over two hundred bytes forward and over "
    "four hundred backward, cut into dozens of operations; the fused floors are 28 and 40 bytes.",
)

# %% [markdown]
# That is the whole promise of a *fused* kernel, before a line of it is written: one launch instead of
# dozens, and a seventh of the bytes or less. No cleverness with the maths is involved. We only stop
# carrying.
#
# ## 3. From the equation to a loop
#
# Look at equation 1 as a person with a pencil would. You walk along the ray, and keep **one number in your
# head**: the sum of all $\tau$ so far. At each sample you look up $\sigma$ and $\delta$, write down a weight,
# and add to the sum. Nothing else needs to be remembered, let alone stored. The long line of PyTorch
# operations was never in the maths; it is there since each of them can only say one thing to *all* samples.
#
# Python would be slow at such a loop. [Numba](https://numba.pydata.org) compiles it to machine code when it
# is first called, and the number in your head becomes a register of the processor.
#
# ### Exercise 1102 (solid, 15 min): the loop
#
# Fill `weights[ray, i]` for every ray and sample. The check runs your loop as plain Python first, so its
# mistakes are readable, then compiled, then counts what it reads and writes. One of its rays passes through haze so
# thin that $\tau$ is $10^{-14}$: think of `math.expm1`.


# %% tags=["exercise"]
@njit
def weights_loop(density, deltas, weights):
    """Fill weights (rays, samples) with w_i = T_i (1 - exp(-tau_i))."""
    for ray in range(density.shape[0]):
        ### BEGIN SOLUTION
        before = 0.0
        for i in range(density.shape[1]):
            tau = density[ray, i] * deltas[ray, i]
            weights[ray, i] = math.exp(-before) * -math.expm1(-tau)
            before += tau
        ### END SOLUTION


# %%
checks.ex1102(weights_loop)

# %% [markdown]
# Let it draw. One ray a pixel, all looking straight ahead at two balls and a floor; each sample's "colour" is how
# much its normal turns to the light. `weights_loop` says how much of it the pixel gets.
#
# The package's loop is yours with density before it and colours behind it. It takes a block of samples at a
# time, so that the exponentials can be computed side by side, and rays in parallel, since no ray needs another.
# `backend=` names the form that is to run; "auto" chooses. They all must give the same answer.

# %%
side, planes = 120, 96
rows, columns = np.linspace(1, -1, side), np.linspace(-1, 1, side)
depths = np.linspace(-1, 1, planes)
y, x, z = np.meshgrid(rows, columns, depths, indexing="ij")
balls = [((-0.35, 0.1, 0.0), 0.45), ((0.45, -0.2, -0.25), 0.3)]
distances = [np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) - r for (a, b, c), r in balls]
volume = np.minimum.reduce([*distances, y + 0.55])
up, right, ahead = np.gradient(volume, rows, columns, depths)
shade = 0.1 + 0.9 * np.clip(0.6 * up - 0.4 * right - 0.7 * ahead, 0, 1)

step = np.full((side * side, planes), 2 / (planes - 1), dtype=np.float32)
density = compositing.laplace_density(torch.tensor(volume), 0.01).float().numpy()
drawn = np.zeros_like(step)
weights_loop(density.reshape(step.shape), step, drawn)
picture = (drawn * shade.reshape(step.shape)).sum(axis=1).reshape(side, side)
print(f"{(drawn.sum(axis=1) > 0.5).mean():.0%} of the pixels show something")
fast = compositing.composite_sdf(sdf, deltas, t, colours, beta, backend="numba")
for name in ("values", "opacity", "depth", "weights"):
    apart = (getattr(fast, name) - getattr(theirs, name)).abs().max()
    print(f"{name}: the package's loop is {apart:.4f} from the specification at most")
style.show(
    style.images([[np.repeat(picture[..., None], 3, 2).clip(0, 1)]], width=3),
    alt="A large and a small grey ball, lit from the upper left, on an evenly grey floor before a black background; "
    "drawn by the learner's own loop.",
)

# %% [markdown]
# And on your machine? The next cell measures, so what it prints is yours alone; it is the *ratio* that
# travels.

# %% tags=["nbval-ignore-output"]
big = roofline.rays(1024, 98)
timer = harness.Timer(torch.device("cpu"), budget=0.2)
for backend in ("torch", "numba"):
    run = timer(lambda b=backend: compositing.composite_sdf(*big, backend=b))
    print(f"{backend}: {run['median']:.2f} ms a forward of 1024 rays x 98 samples")
dense, lengths = compositing.laplace_density(big[0], 0.02).detach().numpy(), big[1].numpy()
run = timer(lambda: weights_loop(dense, lengths, np.empty_like(lengths)))
print(f"your loop, weights alone: {run['median']:.2f} ms")

# %% [markdown]
# ## 4. Sums, not products; and what a difference loses
#
# Books write $T_i = \prod_{j<i} (1 - \alpha_j)$ with $\alpha_j = 1 - e^{-\tau_j}$. It is the same number. It
# is not the same *program*. Take the derivative of a product by dividing it by the factor that changes:
#
# $$\frac{\partial T_i}{\partial \alpha_k} = -\frac{T_i}{1 - \alpha_k} \qquad (k < i)$$
#
# Behind a wall, $T_i = 0$ and $1 - \alpha_k = 0$. In float32 that happens as soon as $\tau > 17$, which for a
# sharp $\beta$ is every ray that hits. TensorFlow's `cumprod` had such gradients, NaN where a factor is 0 (its issue
# 3862). With sums, $T_i = e^{-\sum \tau_j}$ and $\partial T_i / \partial \tau_k = -T_i$: no division at all.
#
# There is a second trap of the same family. "The sum of all before me" looks like `cumsum(tau) - tau`. Try it
# with a thin sample before a thick wall, and remember that float32 carries seven digits. And a third: $1 - e^{-\tau}$
# of a thin sample is a difference, too.

# %%
tau = torch.tensor([0.3, 40.0, 0.5])  # haze, a wall, haze behind it
alpha = -torch.expm1(-tau)
print(f"1 - alpha of the wall: {1 - alpha[1]:.3g} in float32, in truth {math.exp(-40):.3g}")

behind = torch.prod(1 - alpha[:2])  # T of the third sample, as a product
by_product = -behind / (1 - alpha[:2])
by_sum = -torch.exp(-tau[:2].sum())
print("d T_3 / d alpha by the product:", [round(g, 3) for g in by_product.tolist()])
print(f"d T_3 / d tau by the sum:       {by_sum:.3g}")

tau = torch.tensor([0.3, 5.0e7, 1.0])
by_difference, shifted = (torch.cumsum(tau, 0) - tau)[1], compositing.sum_before(tau)[1]
print(f"before the wall: {by_difference:.1f} by subtraction, {shifted:.1f} by a shifted sum")
print("     tau    1 - exp(-tau)    -expm1(-tau)")
for thin in torch.tensor([1e-3, 1e-5, 1e-7, 1e-9]):
    print(f"{thin:8.0e} {1 - torch.exp(-thin):16.3e} {-torch.expm1(-thin):15.3e}")

# %% [markdown]
# Subtracting has lost what stands before the wall, and the haze altogether. A loop that adds *after* it has written,
# like yours, never subtracts, and `expm1` computes the small difference by a series instead of taking it.
#
# ## 5. The way back
#
# Training needs the gradient. The loss hands down $g_i = \partial L / \partial w_i$, and
# we want $\partial L / \partial \tau_k$ for all $k$. A little more density at place $k$ does two things:
#
# - it *stops more light there*: $\partial w_k / \partial \tau_k = T_k e^{-\tau_k} = T_{k+1}$;
# - it *takes light from everything behind*: $\partial w_i / \partial \tau_k = -w_i$ for each $i > k$.
#
# So
#
# $$\frac{\partial L}{\partial \tau_k} = g_k T_{k+1} - \sum_{i > k} g_i w_i .$$
#
# The forward carried a sum of what stands *before*. The backward carries a sum of what stands *behind*, and
# so it walks the ray from the far end. Each pass keeps one number in its head.
#
# ### Exercise 1103 (hard, 35 min): its backward
#
# Fill `grad` with $\partial L / \partial \sigma_k$ (mind: $\tau = \sigma \delta$), given `upstream`, which holds
# $g$. A tip: walk forward first, and leave $T_{k+1}$ in `grad[ray, k]`; on the way back it waits there for
# you, and you overwrite it with the answer. What section 4 says of sums and differences holds here, too.


# %% tags=["exercise"]
@njit
def backward_loop(density, deltas, upstream, grad):
    """Fill grad (rays, samples) with d loss / d density."""
    for ray in range(density.shape[0]):
        ### BEGIN SOLUTION
        before = behind = 0.0
        for i in range(density.shape[1]):
            before += density[ray, i] * deltas[ray, i]
            grad[ray, i] = math.exp(-before)
        for i in range(density.shape[1] - 1, -1, -1):
            through = grad[ray, i - 1] if i > 0 else 1.0
            weight = through * -math.expm1(-density[ray, i] * deltas[ray, i])
            grad[ray, i] = (upstream[ray, i] * grad[ray, i] - behind) * deltas[ray, i]
            behind += upstream[ray, i] * weight
        ### END SOLUTION


# %%
checks.ex1103(backward_loop)

# %% [markdown]
# The check handed you a random upstream gradient, and not ones. With ones, a forgotten factor of $g$ would
# pass.
#
# Your loop reads a number more than once. On a processor that is nearly free: the second time, the number is
# still in the cache. What counts is how often it comes from memory.
#
# ### Train with it
#
# Two loops make one operation of PyTorch: a `torch.autograd.Function` names the forward, the backward, and what is
# kept for it. Then any loss and any optimiser can use them. Here 64 rays each meet a wall somewhere; each sample's
# value is its own depth, so that a pixel says how far the wall is. We know the pixels, start with all walls in the
# middle, and descend.


# %%
class Weights(torch.autograd.Function):
    """Weights of equation 1 by your two loops; kept for the backward: nothing but the inputs."""

    @staticmethod
    def forward(ctx, density, deltas):
        """(rays, samples) weights."""
        ctx.save_for_backward(density, deltas)
        weights = torch.empty_like(density)
        weights_loop(density.detach().numpy(), deltas.numpy(), weights.numpy())
        return weights

    @staticmethod
    def backward(ctx, upstream):
        """Gradients of density, and of deltas: none."""
        density, deltas = (saved.detach() for saved in ctx.saved_tensors)
        grad = torch.empty_like(density)
        backward_loop(density.numpy(), deltas.numpy(), upstream.contiguous().numpy(), grad.numpy())
        return grad, None


def find_walls(weights_of, steps=120):
    """Root mean square error of 64 walls' places in mm, after each step of Adam."""
    random = torch.Generator().manual_seed(11)
    truth = 0.3 + 0.4 * torch.rand(64, 1, generator=random)
    deltas = torch.full((64, 128), 1 / 128)
    t = torch.cumsum(deltas, dim=1) - deltas
    walls = torch.full((64, 1), 0.5, requires_grad=True)
    adam, errors = torch.optim.Adam([walls], lr=0.01), []
    for _ in range(steps + 1):
        errors.append(1000 * (walls - truth).square().mean().sqrt().item())
        wanted, drawn = (
            (weights_of(compositing.laplace_density(w - t, 0.02), deltas) * t).sum(1)
            for w in (truth, walls)
        )
        adam.zero_grad()
        (drawn - wanted).square().mean().backward()
        adam.step()
    return errors


# %% tags=["tolerance-10"]
learned = {"your two loops": find_walls(Weights.apply)}
learned["PyTorch's own gradient"] = find_walls(compositing.weights_from_density)
for step in (0, 20, 60):
    said = ", ".join(f"{name} {errors[step]:.0f} mm" for name, errors in learned.items())
    print(f"step {step:>2}: {said}")
figure, axes = style.grid(1, 1, width=6.5, height=2.8)
style.curves(axes[0][0], range(121), learned, yscale="log", xlabel="step",
             ylabel="walls' error [mm]")  # fmt: skip
style.show(
    figure,
    alt="The error of 64 walls in millimetres over 120 steps on a logarithmic axis; the curve by the learner's two "
    "loops and the one by PyTorch's gradient lie on each other, and fall from over a hundred to a few tenths.",
)

# %% [markdown]
# ### Compute it again instead of keeping it
#
# Autograd keeps for the backward what the forward has computed: exponentials, masks, weights. It is a habit of
# thrift that costs more than it saves: a stored number is written once and read once, 8 bytes of traffic,
# while an exponential is a few dozen operations of a processor that is waiting anyway. So the package's backward
# keeps *nothing but the inputs*, and walks forward again, as yours does.


# %% tags=["tolerance-10"]
def fused(*given):
    return compositing.composite_sdf(*given, backend="numba").values


def of_density(*given):
    return Weights.apply(*given)


kept = {
    "eager": saved_bytes(roofline.render, *big) / big[0].numel(),
    "fused": saved_bytes(fused, *big) / big[0].numel(),
    "your two loops": saved_bytes(
        of_density, torch.ones(8, 9, requires_grad=True), torch.ones(8, 9)
    ),
}
for name, bytes_kept in kept.items():
    print(f"{name}: keeps {bytes_kept:.0f} bytes a sample beside the inputs")

# %% [markdown]
# For a ray with 98 samples that is small change. For a picture of a million rays it is the difference between
# gigabytes and none, which is why the same idea made long attention windows possible.
#
# ## 6. How long must it take? The roofline
#
# A machine has three queues, and the longest one hides the other two:
#
# $$\text{time} = \max \left( \frac{\text{bytes}}{\text{bandwidth}}, \; \frac{\text{flops}}{\text{peak}}, \;
# \text{launches} \times \text{cost of a launch} \right)$$
#
# Draw the arithmetic per second that comes out of it over the **intensity**, the arithmetic per byte, and you
# get a roof: it rises as long as bytes are the longer queue, and is flat where arithmetic is. The corner is the
# *ridge*. What lies left of it is bound by memory; making its arithmetic faster does nothing.
#
# The ceilings of a machine at hand are *measured*: a large copy for the bandwidth, a large matrix product for
# the peak. So were those of two CPU cores, which are stored with this project. Of an H200, a GPU of data centres, we
# take what its **datasheet** says, 4.8 TB/s and 67
# Tflop/s, and *assume* 5 microseconds a launch; section 9 tells what may be concluded from that.

# %%
machines = {"2 CPU cores": roofline.machine_of(stored), "H200 on paper": roofline.H200}
flops = roofline.flops_a_sample(stored)
intensity = flops / floor["forward"]
print(f"a sample of compositing, fused, costs {intensity:.1f} operations a byte")
for name, machine in machines.items():
    print(f"the ridge of the {name} is at {machine.ridge:.0f}")

# %% [markdown]
# Now play. Move a slider with the mouse, or with Tab and the arrow keys. Watch two things: which of the three
# bars is the longest, and how far under the roof the point hangs. (The line that the cell prints first was measured on
# your machine.) Below it are four settings, for readers without a running kernel: a training step's thousand rays,
# eager and fused, then a picture's quarter million, eager and fused, all on the H200 on paper.

# %% tags=["nbval-ignore-output"]
bytes_s = harness.copy_bandwidth(torch.device("cpu"))
flop_s = harness.matmul_rate(torch.device("cpu"))
tiny, began = torch.ones(8), time.perf_counter()
for _ in range(2000):
    tiny.exp()
launch_s = (time.perf_counter() - began) / 2000
print(f"here: copy {bytes_s / 1e9:.0f} GB/s, product {flop_s / 1e9:.0f} Gflop/s, ", end="")
print(f"launch {launch_s * 1e6:.1f} us, ridge at {flop_s / bytes_s:.0f} flop per byte")
widgets.panel(panel.picture, panel.controls())

# %%
for setting in panel.TWIN + [panel.TWIN[0] | {"machine": "2 CPU cores"}]:
    rays, function, name = setting["rays"], setting["function"], setting["machine"]
    work = roofline.compositing_work(rays, 96, function, flops)
    bound = roofline.times(work, machines[name]).bound
    print(f"{rays:>6} rays, {function}, {name}: bound by {bound}")
widgets.twin(panel.picture, panel.TWIN)

# %% [markdown]
# Read the picture twice. At a thousand rays, a large GPU spends its time *starting* operations, dozens of
# them, each with next to nothing to carry. Buying a GPU with twice the bandwidth would change nothing there; one launch
# instead of many would. At a quarter million rays bytes are what counts. Fusing helps in
# both cases, for two different reasons. CPU cores have slow memory and cheap launches, so there it is bytes from
# the start.
#
# ## 7. What was measured, on two cores
#
# A model is a promise. `privhead bench` tests it: it runs each kernel of the package beside its
# PyTorch reference and `torch.compile` of that reference, on the same inputs, after comparing their answers and
# gradients. On a CPU "fused" is the Numba form. A run on two cores is stored in
# `benchmarks/results/kernels_cpu.json`, and the pictures below are drawn from it. First each op under the roof,
# at the last size that was timed. The higher, the better; a mark *on* the roof can't be improved without moving
# fewer bytes or doing less arithmetic.

# %%
style.show(
    under_the_roof(stored),
    alt="A roofline on logarithmic axes with one column of marks for each op: eager PyTorch, torch.compile "
    "and the fused form, joined by a line; the roof is what a large copy and a large matrix product reached.",
)

# %%
forms = {"compile": "torch.compile of the same lines", "fused": "fused"}
rows = {}
for row in show.ratios(stored):  # an op with no backward is shown by its forward
    faster = row["full"] or row["forward"]
    if row["function"] in forms and faster:
        name = f"{row['op'].replace('_', ' ')}, {row['size']}"
        rows.setdefault(name, {})[forms[row["function"]]] = (faster, 1.0, faster)
figure, axes = style.grid(1, 1, width=9, height=1.0 + 0.26 * len(rows))
ax = axes[0][0]
style.dots(
    ax, rows, percent=False, xscale="log", xlabel="times faster than eager (ratio of medians)"
)
for height, ratios in enumerate(rows.values()):
    ax.text(1.2 * ratios["fused"][0], height - 0.18, f"{ratios['fused'][0]:.1f}", va="center",
            fontsize=8)  # fmt: skip
ax.axvline(1, color=style.VERMILLION, lw=1.5)
ax.margins(x=0.18)
ax.xaxis.set_major_formatter("{x:g}")
style.show(
    figure,
    alt="One row for each op and size: how many times faster than eager PyTorch torch.compile and the "
    "fused form are, on a logarithmic axis, with the fused form's number beside it.",
)

# %% [markdown]
# We quote ratios and shares, and no milliseconds: those change with the machine and the compiler. And a ratio has two
# ends. The largest ones stand where eager PyTorch is slow, so look at what others have. Where another library does the
# same, or others do it in another way, that was timed, too, forward only.
#
# The lines after those are of compositing alone, forward and backward. The share of copy bandwidth says how near the
# floor we are: *least* bytes over time, against what a plain copy reaches. It is less than section 2 promised: bytes
# went down to a seventh, time did not. Where is the rest? Ask the model of section 6, forward only: by what factor did
# each form take longer than its longest queue? And are the answers right? Every form was compared with eager before it
# was timed.

# %%
ours = {(r["op"], r["size"]): r for r in stored["rows"] if r["function"] == "fused"}
for row in stored["rows"]:
    own = ours.get((row["op"], row["size"]))
    if own and row["function"] not in ("eager", "compile", "fused"):
        longer = row["forward_ms"]["median"] / own["forward_ms"]["median"]
        print(
            f"{row['op']}, {row['size']}: {row['function']} takes {longer:.1f} times as long as ours"
        )
lines = show.ratios(stored)
for name in ("compile", "fused"):
    for line in roofline.of_compositing(lines, name):
        share = f"{line['share_full']:.0%} of copy bandwidth"
        print(f"{line['size']:>12}  {name:<8} {line['full']:>5.1f} x eager, {share}")

factors, per_sample = {}, {}
for function in ("eager", "fused"):
    for row in roofline.of_compositing(stored["rows"], function):
        rays, samples = roofline.rays_and_samples(row)
        work = roofline.compositing_work(rays, samples, function, flops)
        model = roofline.times(work, machines["2 CPU cores"]).total
        factors[row["size"], function] = 1e-3 * row["forward_ms"]["median"] / model
        per_sample[row["size"], function] = row["forward_ms"]["median"] / (rays * samples)
for size in ("1024 x 8", "1024 x 98", "8192 x 98"):
    eager_factor, fused_factor = factors[size, "eager"], factors[size, "fused"]
    print(f"{size:>12}: eager {eager_factor:.1f} times the model, fused {fused_factor:.1f} times")
small, large = per_sample["1024 x 98", "fused"], per_sample["8192 x 98", "fused"]
print(f"where all fits in a cache a fused sample takes {small / large:.0%} of the time")
errors = {"fused": [], "compile": []}
for row in stored["rows"]:
    if row["function"] in errors:
        errors[row["function"]].append((row["error"], row["op"]))
for name, found in errors.items():
    off = sorted({op for error, op in found if error > 1e-4})
    print(f"{name}: off by more than 1e-4 in {', '.join(off) or 'none'}")

# %% [markdown]
# From a hundred thousand samples on, eager takes one to two times as long as its bytes do: the model is near. The fused
# loop takes three to four times as long as *its* bytes do, and much of that stays when all of them come from a cache.
# So two cores are no longer waiting for memory; now arithmetic takes long. Exponentials are counted as a few
# operations, and the peak is that of a matrix product, which nothing else reaches. Fusing has moved the work from the
# queue that was the longest to the one that was the next, and that is all that it can do. At the smallest size neither
# form comes near the model: there it is the calls, which cost more than the bare launch of our model.
#
# The compiler has undone the remark of section 4: on a CPU, torch 2.13 compiles `expm1(x)` to $e^x - 1$. Weights of
# thin samples become multiples of 6e-8, rays that meet next to nothing get a wrong depth, and $\beta$ a gradient that
# is up to 1 % off. A form that is not compared with its specification is quick at something else.
#
# ### Exercise 1104 (solid, 15 min): who is bound by memory?
#
# Write a function that takes a stored benchmark and gives the set of kernels that are bound by *memory* on its
# machine. `result["rows"]` is a list of dictionaries with the keys `op`, `size`, `function`, `flops` and
# `bytes_forward`; take the rows whose `function` is `"fused"`, and of each op the one that comes last. Leave out
# rows whose `flops` are 0: of these nobody could count the arithmetic. `result["machine"]` has `fp32_gflop_s` and
# `copy_gb_s`. The check will also try machines that nobody has built.


# %% tags=["exercise"]
def memory_bound(result):
    """Names of the ops whose arithmetic per byte lies below the machine's ridge."""
    ### BEGIN SOLUTION
    ridge = result["machine"]["fp32_gflop_s"] / result["machine"]["copy_gb_s"]
    last = {
        row["op"]: row["flops"] / row["bytes_forward"]
        for row in result["rows"]
        if row["function"] == "fused" and row["flops"] > 0
    }
    return {op for op, intensity in last.items() if intensity < ridge}
    ### END SOLUTION


# %%
checks.ex1104(memory_bound)

# %%
bound = set(memory_bound(stored))
print("bound by memory on two cores:", ", ".join(sorted(bound)))
print("bound by something else:     ", ", ".join(sorted(set(largest_rows(stored)) - bound)))

# %% [markdown]
# Being bound by memory says which roof is above you, not that you hang from it. What hangs far under its roof is
# held up by what this model leaves out: look-ups that wait for one another, branches that go another way for each
# ray, exponentials.
#
# ## 8. The same as a GPU kernel
#
# A GPU runs thousands of threads, in groups of 32 called *warps*. In [Triton](https://triton-lang.org) you write what
# one *program* does, a few warps together, and say how many programs there are; each handles a block of numbers at
# once. The natural choice here: **one program a ray**, all samples of the ray side by side, one in each *lane*. The
# running sum becomes `tl.cumsum`, which the lanes do together in a few rounds. To get what stands
# *before*, each lane loads its left neighbour's $\tau$ instead of its own.
#
# | | equation | PyTorch | Numba | Triton |
# | --- | --- | --- | --- | --- |
# | all rays | for each ray | first dimension | `for ray in range(...)` | `tl.program_id(0)` |
# | all samples | index $i$ | last dimension | `for i in range(...)` | `tl.arange(0, BLOCK)` |
# | what stands before | $\sum_{j<i} \tau_j$ | `pad(cumsum(tau[:-1]))` | `before += tau` | `tl.cumsum` of the neighbours' |
# | where results wait | | memory | register | register |
# | launches, forward | | more than 20 | 1 | 1 |
#
# A kernel gets *pointers*, the place of an array's first number in memory, and adds to them. (`tl` is Triton's
# language. `@triton_kernel` brings it along when a kernel is first launched, so that these cells need not.)
# Here is one that is whole: `density_kernel` makes densities of distances. `BLOCK` must be a power of two, so the last
# lanes may have nothing to do: that is what **masks** are for. A load without one reads memory that belongs to
# somebody else, and a store without one overwrites it.


# %%
@triton_kernel
def density_kernel(p_sdf, p_density, inverse, count, BLOCK: tl.constexpr):
    """One program a ray of `count` samples: p_ are pointers, `inverse` is 1 / beta."""
    lane = tl.arange(0, BLOCK)
    place = tl.program_id(0) * count + lane
    sdf = tl.load(p_sdf + place, mask=lane < count, other=0.0)
    tail = 0.5 * tl.exp(-tl.abs(sdf) * inverse)
    tl.store(p_density + place, tl.where(sdf > 0, tail, 1 - tail) * inverse, mask=lane < count)


# %% [markdown]
# Triton comes with PyTorch on Linux only. Without a GPU it still runs there, in an *interpreter* that is slow and exact
# (`TRITON_INTERPRET=1`, which this lesson has set where there is no GPU); so this project tests its GPU kernels on
# machines that have none. Where Triton is missing, the next cells say so; then read on, since the table is the lesson.
#
# ### Exercise 1105 (hard, 35 min): the kernel of the weights
#
# Fill the weights of one ray. The program's own samples stand at `p_density + own` and `p_deltas + own`, where `own` is
# what `place` was above. Load a second time for the neighbours, one place to the left; which lanes have none? Masks are
# combined by `&`, each in brackets, and `tl.cumsum(values, axis=0)` is the sum up to a lane and with it.
# And Triton has no `expm1`, so there is `stopped`, which gives $1 - e^{-\tau}$: below 1/4 by its series, nested so that
# it needs no powers,
#
# $$1 - e^{-\tau} = \tau \left(1 - \tfrac{\tau}{2} \left(1 - \tfrac{\tau}{3} \left(1 - \tfrac{\tau}{4}
# \left(1 - \tfrac{\tau}{5} \cdots\right)\right)\right)\right),$$
#
# and where nothing is lost, by the difference.


# %% tags=["exercise"]
@triton_kernel
def stopped(tau):
    """1 - exp(-tau), without a difference where it would lose digits."""
    thin = tl.minimum(tau, 0.25)
    series = thin * (1 - thin / 2 * (1 - thin / 3 * (1 - thin / 4 * (1 - thin / 5))))
    return tl.where(tau < 0.25, series, 1 - tl.exp(-tau))


@triton_kernel
def weights_kernel(p_density, p_deltas, p_weights, count, BLOCK: tl.constexpr):
    """One program a ray: w_i = T_i (1 - exp(-tau_i)) for i from 0 to count - 1."""
    ### BEGIN SOLUTION
    lane = tl.arange(0, BLOCK)
    own = tl.program_id(0) * count + lane
    m_own, m_left = lane < count, (lane > 0) & (lane < count)
    tau = tl.load(p_density + own, mask=m_own, other=0.0)
    tau *= tl.load(p_deltas + own, mask=m_own, other=0.0)
    tau_left = tl.load(p_density + own - 1, mask=m_left, other=0.0)
    tau_left *= tl.load(p_deltas + own - 1, mask=m_left, other=0.0)
    through = tl.exp(-tl.cumsum(tau_left, axis=0))
    tl.store(p_weights + own, through * stopped(tau), mask=m_own)
    ### END SOLUTION


# %% tags=["nbval-ignore-output"]
checks.ex1105(weights_kernel)

# %% [markdown]
# Both kernels in a row: distances in, weights out. Then the haze again, in float32: what is left of a thin sample's
# weight if a kernel takes the difference, and by yours.

# %% tags=["nbval-ignore-output"]
if place:
    import triton.language as tl

    rays, count = 16, 100  # not a power of two: 28 of 128 lanes are idle
    distances = sdf[:rays, :count].detach().contiguous().to(place)
    steps = deltas[:rays, :count].contiguous().to(place)
    density, by_kernel = torch.empty_like(distances), torch.empty_like(distances)
    density_kernel[(rays,)](distances, density, 1 / beta.item(), count, BLOCK=128)
    weights_kernel[(rays,)](density, steps, by_kernel, count, BLOCK=128)
    by_loop = np.empty_like(steps.cpu().numpy())
    weights_loop(density.cpu().numpy(), steps.cpu().numpy(), by_loop)
    apart = np.abs(by_kernel.cpu().numpy() - by_loop).max()
    print(f"kernel and loop differ by {apart:.6f} at most")

    haze = torch.logspace(-8, -1, 8, device=place)[:, None]
    lengths, thin = torch.ones_like(haze), torch.empty_like(haze)
    weights_kernel[(8,)](haze, lengths, thin, 1, BLOCK=1)
    true = -torch.expm1(-haze.double())
    for tau, good, bad, exact in zip(haze, thin, 1 - torch.exp(-haze), true, strict=True):
        wrong = [f"{abs(v.item() / exact.item() - 1):8.4%}" for v in (bad, good)]
        print(f"tau {tau.item():.0e}: wrong by {wrong[0]} as a difference, {wrong[1]} by yours")
else:
    print("Triton does not run here; read the kernels, and go on")

# %% [markdown]
# ## 9. What a GPU would do, on paper
#
# Nothing in this section was timed on a GPU. But three things can be had without one.
#
# **The floor.** Bytes over bandwidth, dotted in the picture. A datasheet's bandwidth is one that no program reaches,
# so a fused kernel that fetches its inputs from memory can't be quicker than its dotted line, on any H200. (Eager
# might be: up to some ten thousand rays a cache of 50 MB catches part of what it carries.) **The launches.** They
# were counted in section 2, and only their *cost* is assumed. The model makes of both what forward and backward of
# compositing would take. Fused, that is a kernel each, and a third launch adds up what each program has found of
# $\beta$'s gradient.

# %%
for rays, samples in ((1024, 98), (65536, 128)):
    eager_work, fused_work = (
        roofline.compositing_work(rays, samples, name, flops, backward=True)
        for name in ("eager", "fused")
    )
    slow, quick = (roofline.times(work, roofline.H200) for work in (eager_work, fused_work))
    even = 1e6 * slow.memory / eager_work.launches
    print(f"{rays} rays x {samples} samples:")
    print(f"  launches: {eager_work.launches} eager, {fused_work.launches} fused")
    print(f"  eager is bound by {slow.bound}, fused by {quick.bound}")
    print(f"  by the model eager takes {slow.total / quick.total:.0f} times as long")
    print(f"  bytes count for eager once a launch costs less than {even:.1f} microseconds")

# %%
figure, axes = style.grid(1, 1, width=8, height=3.6)
ax, counts = axes[0][0], np.geomspace(64, 2**20, 200)
for name, colour in (("eager", style.VERMILLION), ("fused", style.BLUE)):
    works = [roofline.compositing_work(int(n), 98, name, flops, backward=True) for n in counts]
    spent = [roofline.times(work, roofline.H200) for work in works]
    total = np.array([one.total for one in spent])
    ax.loglog(counts, total, color=colour, lw=2)
    ax.loglog(counts, [one.memory for one in spent], color=colour, lw=1, ls=":")
    turn = int(np.argmax([one.bound == "memory" for one in spent]))
    ax.plot(counts[turn], total[turn], "|", color=colour, ms=14, mew=2)
    ax.text(64, 1.15 * total[0], f"{name}: {works[0].launches} launches", color=colour, va="bottom")
ax.set_yticks([1e-5, 1e-4, 1e-3, 1e-2], ["10 us", "100 us", "1 ms", "10 ms"])
ax.set(ylim=(3e-6, 3e-2), xlabel="rays of 98 samples", ylabel="predicted time")
ax.minorticks_off()
ax.xaxis.set_major_formatter("{x:,.0f}")
style.show(
    figure,
    alt="Predicted time over the number of rays, both logarithmic. Eager and fused each are level at first, "
    "where launches count, then rise with the rays, where bytes do; fused lies below by more than a factor of "
    "nine everywhere.",
)

# %% [markdown]
# The last line of each block is how to live with an assumption: ask how wrong it may be before the conclusion falls.
# For a training step's thousand rays a launch would have to be some twenty-five times cheaper than we took it to be,
# before bytes counted at all.
#
# **What the compiler says.** A GPU's compiler needs no GPU. `privhead bench --ahead 90` compiles each Triton kernel
# for an H100 or H200 (they share *compute capability* 9.0), and NVIDIA's assembler reports how many registers a
# thread takes. That matters: one *multiprocessor* has 65,536 registers, and a program that is resident on it
# holds its share until it is done. While one program waits for memory, others can work, but only
# those that are resident.
#
# Do the division yourself: the registers of a thread, rounded up to a multiple of eight, times the threads, into
# 65,536. And compare what a multiprocessor holds with what it gets: a training step's thousand rays leave those of a
# large GPU mostly empty.
#
# If a program wants more registers than the 255 that a thread may have, or than the compiler grants it, the rest is
# **spilled**: written to memory and fetched again, which is the very traffic that fusing was to save. The table shows
# the worst kernel of each op; a multiprocessor has places for 64 warps.

# %%
kernels = results.table("kernels_sm90")["kernels"]  # benchmarks/results/kernels_sm90.json


def in_flight(kernel):
    """Programs of a kernel that one multiprocessor of an H100 or H200 can hold at a time."""
    a_thread = 8 * math.ceil(kernel["registers"] / 8)
    fit = [65536 // (32 * kernel["warps"] * a_thread), 64 // kernel["warps"], 32]
    if kernel["shared_bytes"]:
        fit.append(233472 // (kernel["shared_bytes"] + 1024))  # shared memory, 228 KB
    return min(fit)


for kernel in kernels:
    blocks = kernel["blocks"]
    if kernel["op"] == "compositing" and (blocks["SAMPLES"], blocks["C"]) == (128, 3):
        threads, held = 32 * kernel["warps"], in_flight(kernel)
        print(f"{kernel['kernel']}: {kernel['registers']} registers in each of {threads} threads,")
        print(f"  {kernel['spill_bytes']} bytes spilled; {held} programs resident", end="")
        print(f" of {blocks['RAYS']} rays each")
        share = 1024 / blocks["RAYS"] / 132
        print(f"  of 1024 rays each of an H200's 132 multiprocessors gets {share:.0f} programs")

table = pd.DataFrame(kernels)
table["warps held"] = [k["warps"] * in_flight(k) for k in kernels]
worst = table.groupby("op", sort=False).agg(
    **{
        "kernels": ("kernel", "size"),
        "most registers": ("registers", "max"),
        "most spilled B": ("spill_bytes", "max"),
        "fewest warps": ("warps held", "min"),
    }
)
print(worst.to_string())
spilling = sorted({k["op"] for k in kernels if k["spill_bytes"]})
print("ops with a kernel that spills:", ", ".join(spilling) or "none")

# %% [markdown]
# A kernel that spills is not wrong, only slower than it need be, and few bytes at a rare place do little harm. But
# hundreds of bytes a thread, which none has here, would say that its block is too large for its registers: there the
# first thing to try, with a GPU at hand, is a smaller one. And 255 registers leave room for 8 warps of 64: while all
# of them wait for memory, nothing is computed.
#
# **What it is worth** only a GPU can say. Whoever has one finds out by one command:
#
# ```
# privhead bench --device cuda --json out/kernels_gpu.json --picture out/roofline.png
# ```
#
# ## Now you, without a check
#
# 1. *First steps.* Replace `njit` by `njit(parallel=True)` and `range` by `numba.prange` in the loop over rays. Why is
#    that allowed for rays, and not for samples?
# 2. *Solid.* Count the traffic of `Operator("sobel").modulus` from notebook 05 with `traffic`. What is its floor?
# 3. *Hard.* Write the backward as a Triton kernel. (`tl.cumsum` has `reverse=True`; load the right neighbour.) Run it
#    in the interpreter, with a random upstream gradient, and put both kernels into `Weights`.
#
# ## What to remember
#
# - Count bytes and launches before you measure; both can be counted on any laptop.
# - Eager PyTorch carries every intermediate result to memory and back. A fused loop carries inputs and results.
# - Keep sums of $\tau$, not products of $1 - \alpha$; never get a small number as a difference of large ones, be it a
#   sum or $1 - e^{-\tau}$; compute again what is cheap to compute.
# - The forward carries what stands before, the backward what stands behind.
# - A roofline says when to stop: on the roof, only moving less helps.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | our equation is the package's | section 1, `tests/test_compositing.py` |
# | eager moves over 7 times the least bytes | the cell with the bars of section 2, `tests/test_lesson_11.py` |
# | the Numba loop gives the specification's answers | section 3, `tests/test_compositing_kernels.py` |
# | a product's gradient fails behind a wall, a sum's does not | section 4, `tests/test_compositing_kernels.py` |
# | `1 - exp` loses thin samples in float32 | sections 4 and 8, `tests/test_lesson_11.py` |
# | the backward is a sum of what stands behind | exercise 1103; section 5 trains with it; `tests/test_lesson_11.py` |
# | the fused backward keeps only its inputs | section 5, `tests/test_kernels.py` |
# | what fusing wins on two cores, and what it does not | section 7, measured; `tests/test_bench.py` |
# | the kernel is the loop | section 8, exercise 1105 |
# | what the Triton kernels take of a multiprocessor | section 9, as the compiler says |
# | on a large GPU, small steps wait for launches, large ones for bytes | sections 6, 9: predicted, **not measured** |
#
# **Read on**: `privhead_nb/kernels/compositing/__init__.py`, which derives the gradient of $\beta$ too. Its neighbours
# are built alike, a folder each: `naive.py` is the maths as you read it, `numba.py` the loop, `triton.py` the kernel.
# Each teaches something else:
#
# - `privhead_nb/kernels/error_bounded/`: VolSDF's sampler, where each ray needs another number of rounds;
# - `privhead_nb/kernels/gradient_loss/`: equations 5 and 6 of the paper, with a backward that gathers;
# - `privhead_nb/kernels/grid_encoding/`: look-ups in feature grids, with a backward that scatters;
# - `privhead_nb/kernels/sdf_head/`: a small network and the gradient of all its weights, near the ridge;
# - `privhead_nb/kernels/surface_march/`: rays that march through a lattice.
#
# Further: Williams, Waterman and Patterson, *Roofline* (2009); VolSDF (Yariv et al. 2021); the GPU-Puzzles of
# Sasha Rush, for more small kernels to write;
# [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb) for what all this is for.

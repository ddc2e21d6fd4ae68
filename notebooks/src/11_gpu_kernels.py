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
# **You will be able to** count the bytes that an operation moves, say from that count how long it must
# take, write its forward and its backward as a loop that touches every number once, and read a roofline.
#
# **You should know** Python loops, NumPy arrays, PyTorch tensors and the chain rule. Notebook 05 tells
# what compositing is for. You need to know nothing about GPUs, and need none.
#
# **Time**: 75 minutes of reading and writing; computing takes under a minute on a CPU. With a GPU the
# Triton kernel of section 6 runs on it; all else is the same.
#
# **Equations of the paper**: 1 (compositing). From VolSDF (Yariv et al. 2021): 2 and 3 (density).

# %%
from __future__ import annotations  # lets Python read the kernel of section 6 without Triton

import math
import time

import numpy as np
import pandas as pd
import torch
from numba import njit

from privhead_nb.bench import harness, show
from privhead_nb.kernels import compositing
from privhead_nb.kernels.lazy import triton_kernel
from privhead_nb.resources import RESULTS
from privhead_nb.teach import checks, results, widgets
from privhead_nb.teach.lesson11 import figures, panel, roofline
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
# $s_i = -f_i$ and the width $\beta$ of the wall:
#
# $$\sigma_i = \tfrac{1}{\beta} \, \Psi_\beta(s_i), \qquad
# \Psi_\beta(s) = \begin{cases} \tfrac12 e^{s / \beta} & s \le 0 \\ 1 - \tfrac12 e^{-s / \beta} & s > 0
# \end{cases} \qquad \text{(VolSDF, 2 and 3)}$$
#
# $$\tau_i = \sigma_i \delta_i, \qquad T_i = e^{-\sum_{j<i} \tau_j}, \qquad
# w_i = T_i \, (1 - e^{-\tau_i}), \qquad c = \sum_i w_i c_i \qquad \text{(equation 1)}$$
#
# In words: distance becomes fog, fog takes light away, and what is taken at a place shows that place's
# colour. Follow one ray from left to right. The dashed line is where the surface is.

# %%
depth = torch.linspace(0, 1, 97)
sdf = 0.55 - depth
density, deltas = compositing.laplace_density(sdf, 0.02), torch.full_like(depth, 1 / 96)
along = {
    "signed distance f": sdf,
    "density": density,
    "T, what gets through": torch.exp(-compositing.sum_before(density * deltas)),
    "weight w": compositing.weights_from_density(density, deltas),
}
figure, axes = style.grid(1, 4, width=11, height=2.6)
for ax, (name, values) in zip(axes[0], along.items(), strict=True):
    style.curves(ax, depth, {name: values}, xlabel="depth", title=name)
    ax.axvline(0.55, color="0.5", lw=1, ls="--")
style.show(
    figure,
    alt="Four curves over the depth along a ray, with a dashed line at the surface. The signed distance "
    "falls through zero there; the density rises from nothing to fifty; what gets through falls from one "
    "to zero; the weight is a narrow peak at the surface.",
)

# %% [markdown]
# In PyTorch that is a handful of lines, and they are the best *specification* that one could wish for:
# short, right, differentiable. Here they are by hand, beside the package's.

# %%
sdf, deltas, t, colours, beta = roofline.rays(64, 128)

tail = 0.5 * torch.exp(-sdf.abs() / beta)
tau = torch.where(sdf > 0, tail, 1 - tail) / beta * deltas
before = torch.cumsum(tau, dim=1).roll(1, dims=1)
before[:, 0] = 0
weights = torch.exp(-before) * (1 - torch.exp(-tau))
colour = (weights[..., None] * colours).sum(dim=1)

theirs = compositing.composite_sdf_reference(sdf, deltas, t, colours, beta)
print("our colours are the package's:", torch.allclose(colour, theirs.values, atol=1e-5))
print("our weights are, too:         ", torch.allclose(weights, theirs.weights, atol=1e-5))

# %% [markdown]
# So why would anybody write it again? Because of how these lines *run*.
#
# ## 2. Arithmetic is cheap, carrying is not
#
# Think of a workshop with very fast hands and a store in the next street. To multiply a thousand numbers
# by two, somebody walks to the store, brings the numbers, the hands multiply, somebody carries the results
# back. Eager PyTorch does that **once for every operation**: `abs` walks, `neg` walks, `div` walks. Each
# trip has two costs:
#
# - the **launch**: deciding to go. A few microseconds, no matter how little is carried;
# - the **traffic**: bytes read from memory and bytes written to it.
#
# The hands themselves hardly ever matter here. And the nice thing about bytes is that they can be
# *counted*, exactly, without a stopwatch and without a GPU. `traffic` listens to each operation that
# PyTorch runs, and adds up the sizes of what goes in and what comes out. Here is a toy: distance to fog,
# but round, $e^{-f^2}$.

# %%
f = torch.linspace(-1, 1, 1000)
print(traffic(lambda f: torch.exp(-f.square()), f).table(samples=len(f)))

# %% [markdown]
# Three operations, each reads 4 bytes and writes 4: 24 bytes. How many *must* move? Read $f$, write the
# answer: 8. The other 16 carry two intermediate results to the store and back, which nobody asked for.
#
# ### Exercise 1101 (easy): count the bytes of the density
#
# Below is `laplace_density` of the package. Count, on paper, what PyTorch reads and writes for one number:
#
# ```python
# tail = 0.5 * torch.exp(-sdf.abs() / beta)
# return torch.where(sdf > 0, tail, 1 - tail) / beta
# ```
#
# Then write a function that gives, for `samples` numbers of `itemsize` bytes each (4 for float32), the
# bytes read, the bytes written, and the least that could be moved in all. `beta` is a plain Python number
# and costs nothing. Careful with what a comparison makes: how large is a *boolean*?


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
# Now the whole of section 1, forward and backward. Each slice of a bar is one operation, one walk to the
# store. Under it, in blue, is the floor: every input read once, every result written once. For the forward
# that is $f$, $\delta$, the depth $t$ and three colours in, and the weight out. For the backward it is the
# same inputs again, and the gradients of $f$ and of three colours out.

# %%
inputs = roofline.rays(8, 128)
samples = inputs[0].numel()
eager = {
    "forward": traffic(roofline.render, *inputs),
    "backward": backward_traffic(roofline.render, *inputs),
}
floor = roofline.FLOOR_BYTES
for name, moved in eager.items():
    print(f"{name}: eager moves over 7 times the floor:", moved.moved > 7 * samples * floor[name])
figure, axes = style.grid(1, 1, width=10, height=3.1)
ax, names = axes[0][0], []
for name, moved in eager.items():
    widths = np.array([o.read + o.written for o in moved.operations]) / samples
    total, row = widths.sum(), len(names)
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
# is first called, and the numbers in your head become registers of the processor, which is as close to the
# hands as it gets.
#
# ### Exercise 1102 (middle): the loop
#
# Fill `weights[ray, i]` for every ray and sample. The check runs your loop as plain Python first, so its
# mistakes are readable, then compiled, then counts what it reads and writes.


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
# `expm1(x)` is $e^x - 1$ without the rounding: for a thin sample, $1 - e^{-\tau}$ subtracts two numbers that
# are nearly equal, and small weights lose their digits.
#
# The package's loop is yours with density before it and colours behind it. It takes a block of samples at a
# time, so that the exponentials can be computed side by side, and rays in parallel, since no ray needs another.
# `backend=` names the form that is to run; "auto" chooses. They all must give the same answer:

# %%
fast = compositing.composite_sdf(sdf, deltas, t, colours, beta, backend="numba")
for name in ("values", "opacity", "depth", "weights"):
    same = torch.allclose(getattr(fast, name), getattr(theirs, name), rtol=1e-4, atol=1e-5)
    print(f"{name}: the loop agrees with the specification: {same}")

# %% [markdown]
# And on your machine? The next cell measures, so what it prints is yours alone; it is the *ratio* that
# travels.

# %% tags=["nbval-ignore-output"]
big = roofline.rays(1024, 98)
timer = harness.Timer(torch.device("cpu"), budget=0.2)
for backend in ("torch", "numba"):
    run = timer(lambda b=backend: compositing.composite_sdf(*big, backend=b))
    print(f"{backend}: {run['median']:.2f} ms a forward of 1024 rays x 98 samples")

# %% [markdown]
# ## 4. Sums, not products
#
# Books write $T_i = \prod_{j<i} (1 - \alpha_j)$ with $\alpha_j = 1 - e^{-\tau_j}$. It is the same number. It
# is not the same *program*. Take the derivative of a product by dividing it by the factor that changes:
#
# $$\frac{\partial T_i}{\partial \alpha_k} = -\frac{T_i}{1 - \alpha_k} \qquad (k < i)$$
#
# Behind a wall, $T_i = 0$ and $1 - \alpha_k = 0$. In float32 that happens as soon as $\tau > 17$, which for a
# sharp $\beta$ is every ray that hits. A published GPU library for product scans carries that as a known
# flaw. With sums, $T_i = e^{-\sum \tau_j}$ and $\partial T_i / \partial \tau_k = -T_i$: no division at all.

# %%
tau = torch.tensor([0.3, 40.0, 0.5])  # fog, a wall, fog behind it
alpha = 1 - torch.exp(-tau)
print("the wall's alpha is exactly 1 in float32:", bool(alpha[1] == 1))

behind = torch.prod(1 - alpha[:2])  # T of the third sample, as a product
by_product = -behind / (1 - alpha[:2])
by_sum = -torch.exp(-tau[:2].sum())
print("d T_3 / d alpha by the product:", by_product)
print("d T_3 / d tau by the sum is finite:", bool(by_sum.isfinite()))

# %% [markdown]
# There is a second trap of the same family. "The sum of all before me" looks like `cumsum(tau) - tau`. Try it
# with a thin sample before a thick wall, and remember that float32 carries seven digits:

# %%
tau = torch.tensor([0.3, 5.0e7, 1.0])
print("what stands before the wall, by subtraction:  ", (torch.cumsum(tau, 0) - tau)[1].item())
print(
    "what stands before the wall, by a shifted sum:",
    round(compositing.sum_before(tau)[1].item(), 3),
)

# %% [markdown]
# Subtracting has lost the fog in front of the wall. A loop that adds *after* it has written, like yours,
# never subtracts. Loops are honest that way.
#
# ## 5. The way back
#
# Training needs the gradient. Somebody above us, the loss, hands down $g_i = \partial L / \partial w_i$, and
# wants $\partial L / \partial \tau_k$ for all $k$. A little more fog at place $k$ does two things:
#
# - it *stops more light there*: $\partial w_k / \partial \tau_k = T_k e^{-\tau_k} = T_{k+1}$;
# - it *takes light from everything behind*: $\partial w_i / \partial \tau_k = -w_i$ for each $i > k$.
#
# So
#
# $$\frac{\partial L}{\partial \tau_k} = g_k T_{k+1} - \sum_{i > k} g_i w_i .$$
#
# The forward carried a sum of what stands *before*. The backward carries a sum of what stands *behind*, and
# so it walks the ray from the far end. Each pass keeps one number in its head. Is that not beautiful?
#
# ### Exercise 1103 (hard): its backward
#
# Fill `grad` with $\partial L / \partial \sigma_k$ (mind: $\tau = \sigma \delta$), given `upstream`, which holds
# $g$. A tip: walk forward first, and leave $T_{k+1}$ in `grad[ray, k]`; on the way back it waits there for
# you, and you overwrite it with the answer.


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
# pass; a public kernel library once shipped wrong gradients that way.
#
# Your loop reads a number more than once. On a processor that is nearly free: the second time, the number is
# still in the cache. What counts is how often it crosses the street.
#
# ### Compute it again instead of keeping it
#
# Autograd keeps for the backward what the forward has computed: exponentials, masks, weights. It is a habit of
# thrift that costs more than it saves: a stored number is written once and read once, 8 bytes of traffic,
# while an exponential is a few dozen operations by hands that are waiting anyway. So the package's backward
# keeps *nothing but the inputs*, and walks forward again, as you just did.


# %%
def fused(*given):
    return compositing.composite_sdf(*given, backend="numba").values


kept = {"eager": saved_bytes(roofline.render, *big), "fused": saved_bytes(fused, *big)}
print("eager keeps more than 20 bytes a sample:", kept["eager"] / big[0].numel() > 20)
print("fused keeps less than 1 byte a sample:  ", kept["fused"] / big[0].numel() < 1)

# %% [markdown]
# For a ray with 98 samples that is small change. For a picture of a million rays it is the difference between
# three gigabytes and none, which is why the same idea made long attention windows possible.
#
# ## 6. The same as a GPU kernel
#
# A GPU has thousands of hands, and they work in squads. You write what *one* squad does, and say how many
# squads there are. In [Triton](https://triton-lang.org) a squad is called a *program*, and it handles a block
# of numbers at once. The natural choice here: **one program a ray**, all samples of the ray side by side. The
# running sum becomes `tl.cumsum`, which the squad does together in a few rounds. To get what stands
# *before*, each hand reads its neighbour's $\tau$ instead of its own.
#
# | | equation | PyTorch | Numba | Triton |
# | --- | --- | --- | --- | --- |
# | all rays | for each ray | first dimension | `for ray in range(...)` | `ray = tl.program_id(0)` |
# | all samples | index $i$ | last dimension | `for i in range(...)` | `b = tl.arange(0, BLOCK)` |
# | what stands before | $\sum_{j<i} \tau_j$ | `pad(cumsum(tau[:-1]))` | `before += tau` | `tl.cumsum`, shifted |
# | where results wait | | memory | register | register |
# | launches, forward | | more than 20 | 1 | 1 |


# %%
@triton_kernel
def weights_kernel(p_density, p_deltas, p_weights, count, BLOCK: tl.constexpr):
    """One program a ray; p_ are pointers, b_ blocks, m_ masks."""
    b_sample = tl.arange(0, BLOCK)
    m_own, m_before = b_sample < count, (b_sample > 0) & (b_sample <= count)
    own = tl.program_id(0) * count + b_sample
    density = tl.load(p_density + own, mask=m_own, other=0.0)
    deltas = tl.load(p_deltas + own, mask=m_own, other=0.0)
    density_1 = tl.load(p_density + own - 1, mask=m_before, other=0.0)
    deltas_1 = tl.load(p_deltas + own - 1, mask=m_before, other=0.0)
    before = tl.cumsum(density_1 * deltas_1, axis=0)
    weights = tl.exp(-before) * (1 - tl.exp(-density * deltas))
    tl.store(p_weights + own, weights, mask=m_own)


# %% [markdown]
# `BLOCK` must be a power of two, so the last hands have nothing to do: that is what masks are for. A load
# without one reads memory that belongs to somebody else.
#
# Triton installs on Linux only. Without a GPU it still runs there, in an *interpreter* that is slow and exact,
# which is how this project tests its GPU kernels on machines that have none. Where Triton is missing, the next
# cell says so, and you lose nothing: the table above is the lesson.

# %% tags=["nbval-ignore-output"]
if place:
    import triton.language as tl

    density = compositing.laplace_density(sdf, beta).detach().to(place)
    out, lengths = torch.empty_like(density), deltas.to(place)
    weights_kernel[(len(out),)](density, lengths, out, out.shape[1], BLOCK=128)
    wanted = compositing.weights_from_density(density, lengths)
    print("the kernel agrees with the specification:", torch.allclose(out, wanted, atol=1e-5))
else:
    print("Triton does not run here; read the kernel, and go on")

# %% [markdown]
# ## 7. How long must it take? The roofline
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
# the peak. So were those of two CPU cores, which are stored with this project. No GPU was at hand when this
# lesson was written. Of an H200, a GPU of data centres, we take what its **datasheet** says, 4.8 TB/s and 67
# Tflop/s, and *assume* 5 microseconds a launch; section 9 tells what may be concluded from that. Your machine is
# measured by this cell:

# %% tags=["nbval-ignore-output"]
bytes_s = harness.copy_bandwidth(torch.device("cpu"))
flop_s = harness.matmul_rate(torch.device("cpu"))
tiny, began = torch.ones(8), time.perf_counter()
for _ in range(2000):
    tiny.exp()
launch_s = (time.perf_counter() - began) / 2000
print(f"copy {bytes_s / 1e9:.0f} GB/s, product {flop_s / 1e9:.0f} Gflop/s")
print(f"launch {launch_s * 1e6:.1f} us, ridge at {flop_s / bytes_s:.0f} flop per byte")

# %%
machines = {"2 CPU cores": roofline.machine_of(stored), "H200 on paper": roofline.H200}
flops = roofline.flops_a_sample(stored)
intensity = flops / floor["forward"]
print("a sample of compositing, fused, costs more than 1 operation a byte:", intensity > 1)
for name, machine in machines.items():
    side = "left" if intensity < machine.ridge else "right"
    print(f"and lies {side} of the ridge of the {name}")

# %% [markdown]
# Now play. Move a slider with the mouse, or with Tab and the arrow keys. Watch two things: which of the three
# bars is the longest, and how far under the roof the point hangs.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# Four settings of the panel side by side, for readers without a running kernel: a training step's thousand rays
# in the upper row, a picture's quarter million in the lower one, both on the H200 on paper; eager on the left,
# fused on the right.

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for setting in panel.TWIN + [panel.TWIN[0] | {"machine": "2 CPU cores"}]:
    rays, function, name = setting["rays"], setting["function"], setting["machine"]
    work = roofline.compositing_work(rays, 96, function, flops)
    bound = roofline.times(work, machines[name]).bound
    print(f"{rays:>6} rays, {function}, {name}: bound by {bound}")

# %% [markdown]
# Read the picture twice. At a thousand rays, a large GPU spends its time *starting* operations: dozens of walks to
# the store with a nearly empty cart. Buying a GPU with twice the bandwidth would change nothing there; one launch
# instead of many would. At a quarter million rays carts are full, and bytes are what counts. Fusing helps in
# both cases, for two different reasons. CPU cores have slow memory and cheap launches, so there it is bytes from
# the start.
#
# ## 8. What was measured, on two cores
#
# A model is a promise. `privhead bench` keeps it or breaks it: it runs each kernel of the package beside its
# PyTorch reference and `torch.compile` of that reference, on the same inputs, after comparing their answers and
# gradients. On a CPU "fused" is the Numba form. A run on two cores is stored in
# `benchmarks/results/kernels_cpu.json`, and the pictures below are drawn from it. First each op under the roof,
# at its last and largest size. The higher, the better; a mark *on* the roof can't be improved without moving
# fewer bytes or doing less arithmetic. (Two ops are left out, since nobody can say beforehand how much arithmetic
# they need.)

# %%
style.show(
    under_the_roof(stored),
    alt="A roofline on logarithmic axes with one column of marks for each op: eager PyTorch, torch.compile "
    "and the fused form, joined by a line; the roof is what a large copy and a large matrix product reached.",
)

# %%
style.show(
    figures.speedups(stored),
    alt="One row for each op and size: how many times faster than eager PyTorch torch.compile and the "
    "fused form are, on a logarithmic axis, with the fused form's number beside it.",
)

# %% [markdown]
# We quote ratios and shares, and no milliseconds: those change with the machine, the compiler and the weather in
# the machine room. And a ratio has two ends. The largest ones stand where eager PyTorch is slow, so look at what
# others have. Where another library does the same, or others do it in another way, that was timed, too, forward only.
#
# The last lines are of compositing alone, forward and backward. The share of copy bandwidth says how near the floor
# we are: *least* bytes over time, against what a plain copy reaches.

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

# %% [markdown]
# That is less than section 2 promised: bytes went down to a seventh, time did not. Where is the rest? Ask the model
# of section 7, forward only: by what factor did each form take longer than its longest queue?
# And are the answers right? Every form was compared with eager before it was timed.

# %%
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
print("a fused sample takes over half as long where all fits in a cache:", small / large > 0.5)
errors = {"fused": [], "compile": []}
for row in stored["rows"]:
    if row["function"] in errors:
        errors[row["function"]].append((row["error"], row["op"]))
for name, found in errors.items():
    off = sorted({op for error, op in found if error > 1e-4})
    print(f"{name}: off by more than 1e-4 in {', '.join(off) or 'none'}")

# %% [markdown]
# From a hundred thousand samples on, eager takes about as long as its bytes do: the model holds. The fused loop takes
# several times longer than *its* bytes do, and much of that stays when all of them come from a cache. So two cores
# are no longer waiting for the store; now the hands are slow. Exponentials are counted as a few operations, and the
# peak is that of a matrix product, which nothing else reaches. Fusing has moved the work from the queue that was the
# longest to the one that was the next, and that is all that it can do. At the smallest size neither form comes near
# the model: there it is the calls, which cost more than the bare launch of our model.
#
# The compiler has undone the remark of section 3: on a CPU, torch 2.13 compiles `expm1(x)` to $e^x - 1$. Weights of
# thin samples become multiples of 6e-8, rays that meet next to nothing get a wrong depth, and $\beta$ a gradient that
# is up to 1 % off. A form that is not compared with its specification is quick at something else.
#
# ### Exercise 1104 (middle): who is bound by memory?
#
# Write a function that takes a stored benchmark and gives the set of kernels that are bound by *memory* on its
# machine. `result["rows"]` is a list of dictionaries with the keys `op`, `size`, `function`, `flops` and
# `bytes_forward`, small sizes first; take the rows whose `function` is `"fused"`, and of each op the one that
# comes last. Leave out rows whose `flops` are 0. `result["machine"]` has `fp32_gflop_s` and
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
others = set(largest_rows(stored)) - memory_bound(stored)
print("bound by memory on two cores:", ", ".join(sorted(memory_bound(stored))))
print("bound by something else:     ", ", ".join(sorted(others)))

# %% [markdown]
# Being bound by memory says which roof is above you, not that you hang from it. What hangs far under its roof is
# held up by what this model leaves out: look-ups that wait for one another, branches that go another way for each
# ray, exponentials.
#
# ## 9. What a GPU would do, on paper
#
# No GPU was at hand when this was written, so nothing in this section was timed. But three things can be had
# without one.
#
# **The floor.** Bytes over bandwidth, dotted in the picture. A datasheet's bandwidth is one that no program reaches,
# so a fused kernel that fetches its inputs from memory can't be quicker than its dotted line, on any H200. (Eager
# might be: up to some ten thousand rays a cache of 50 MB catches part of what it carries.) **The launches.** They
# were counted in section 2, and only their *cost* is assumed. The model makes of both what forward and backward of
# compositing would take. Fused, that is a kernel each, and a third launch adds up what each program has found of
# $\beta$'s gradient.

# %%
on_gpu = (RESULTS / "kernels_gpu.json").is_file()  # not until somebody has stored a run on a GPU
measured = results.table("kernels_gpu") if on_gpu else None
style.show(
    figures.on_paper(roofline.H200, flops, measured),
    alt="Predicted time over the number of rays, both logarithmic. Eager and fused each are level at first, "
    "where launches count, then rise with the rays, where bytes do; fused lies below by more than a factor of "
    "nine everywhere.",
)

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

# %% [markdown]
# The last line is how to live with an assumption: ask how wrong it may be before the conclusion falls. For a
# training step's thousand rays a launch would have to be some twenty-five times cheaper than we took it to be,
# before bytes counted at all.
#
# **What the compiler says.** A GPU's compiler needs no GPU. `privhead bench --ahead 90` compiles each Triton kernel
# for an H100 or H200 (they share *compute capability* 9.0), and NVIDIA's assembler reports how many registers a
# thread takes. That matters: one *multiprocessor*, a squad room, has 65,536 registers, and whoever is
# in the room holds theirs until they are done. While one program waits for memory, others can work, but only
# those in the room.

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
        print(f"  {kernel['spill_bytes']} bytes spilled; a room holds {held} programs", end="")
        print(f" of {blocks['RAYS']} rays each")
        share = 1024 / blocks["RAYS"] / 132
        print(f"  of 1024 rays each of an H200's 132 rooms gets {share:.0f} programs")

# %% [markdown]
# Do the division yourself: the registers of a thread, rounded up to a multiple of eight, times the threads, into
# 65,536. And compare what a room holds with what it gets: a training step's thousand rays leave the rooms of a large
# GPU mostly empty.
#
# If a program wants more registers than the 255 that a thread may have, or than the compiler grants it, the rest is
# **spilled**: written to memory and fetched again, which is the very walk to the store that fusing was to save. Of
# each op, the worst of its kernels; a room has places for 64 warps, squads of 32 threads:

# %%
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
# hundreds of bytes a thread say that its block is too large for its registers: there the first thing to try, with a
# GPU at hand, is a smaller one. And 255 registers leave a room with 8 warps of 64: while all of them wait for
# memory, nobody works.
#
# **What it is worth** only a GPU can say. Whoever has one finds out by one command; the picture of this section
# then shows the measured times beside the predicted ones:
#
# ```
# privhead bench --device cuda --json benchmarks/results/kernels_gpu.json --picture out/roofline.png
# ```
#
# ## Now you, without a check
#
# 1. *Easy.* Replace `njit` by `njit(parallel=True)` and `range` by `numba.prange` in the loop over rays. Why is
#    that allowed for rays, and not for samples?
# 2. *Middle.* Count the traffic of `Operator("sobel").modulus` from notebook 05 with `traffic`. What is its floor?
# 3. *Hard.* Write the backward as a Triton kernel. (`tl.cumsum` has `reverse=True`.) Run it in the interpreter,
#    with a random upstream gradient.
#
# ## What to remember
#
# - Count bytes and launches before you measure; both can be counted on any laptop.
# - Eager PyTorch carries every intermediate result to memory and back. A fused loop carries inputs and results.
# - Keep sums of $\tau$, not products of $1 - \alpha$; never get a sum by subtraction; compute again what is
#   cheap to compute.
# - The forward carries what stands before, the backward what stands behind.
# - A roofline says when to stop: on the roof, only moving less helps.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | our equation is the package's | section 1, `tests/test_compositing.py` |
# | eager moves over 7 times the least bytes | the cell under the bars of section 2, `tests/test_lesson_11.py` |
# | the Numba loop gives the specification's answers | section 3, `tests/test_compositing_kernels.py` |
# | a product's gradient fails behind a wall, a sum's does not | section 4, `tests/test_compositing_kernels.py` |
# | the backward is a sum of what stands behind | exercise 1103, against autograd |
# | the fused backward keeps only its inputs | section 5, `tests/test_compositing_kernels.py` |
# | what fusing wins on two cores, and what it does not | section 8, measured; `tests/test_bench.py` |
# | what the Triton kernels take of a multiprocessor | section 9, as the compiler says |
# | on a large GPU, small steps wait for launches, large ones for bytes | sections 7, 9: predicted, **not measured** |
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

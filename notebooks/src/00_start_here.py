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
# # 0. Start here: a head from photos that show no face
#
# **You will be able to** say what leaves your device and what does not, read a release, and judge a
# reconstructed head by two numbers.
#
# **You should know** a little Python, and what a picture is to a computer: a grid of red, green and blue
# numbers between 0 and 1. Nothing about 3D is assumed.
#
# **Time**: 15 minutes of reading, under a minute of computing, on a laptop. No GPU is needed.
#
# **Equations of the paper**: 6, the gradient modulus, and a first look at the two stages (9 to 11).
# The paper is Kong et al., *Do Not DeepFake Me* (AAAI 2025).

# %%
import torch

from privhead_nb import Operator, Reconstruction, Release, doctor, evaluate, load_scene
from privhead_nb.teach import diagrams, plots
from privhead_nb.teach.samples import FOLDER

# %% [markdown]
# ## The problem
#
# To scan a head in 3D you walk around it and take thirty photos. Somebody with a big computer turns
# them into a mesh. But to get the mesh made, you had to hand over thirty photos of a face, sharp and
# from every side: all that it takes to recognise a person in a crowd, or to make a film in which that
# person says what they never said.
#
# Is there a way to get the *shape* made and keep the *photos*?
#
# Here is such a set of photos. The head in it belongs to nobody: it was made from the number 7.

# %%
scene = load_scene(FOLDER / "scene")
print(f"{len(scene.cameras)} photos of {scene.cameras.width} x {scene.cameras.height} pixels")
print(f"{len(scene.sensitive)} show the face (sensitive), {len(scene.neutral)} don't (neutral)")

# %% [markdown]
# ## The trust boundary
#
# The idea fits into one picture. On your own device, a program called `protect` writes a **release**.
# Neutral views go into it as they are. Of each sensitive view only the *gradient modulus* goes into it:
# how fast colours change from pixel to pixel, not which colours they are. Everybody else, and that
# includes the computer that makes the mesh, sees the release and nothing more.

# %%
release = Release.load(FOLDER / "release")
head = Reconstruction.load(FOLDER / "reconstruction")
plots.show(
    diagrams.trust_boundary(scene, release, head.mesh),
    alt="Left of a wall, on your device: three colour photos of a face and three of the back of the "
    "head. An arrow named protect leads through the wall to three line drawings; the photos of the "
    "back pass as they are. Right of the wall, a grey 3D head is made from what passed.",
)

# %% [markdown]
# Look for the colours of the face on the right-hand side. A neutral view has three numbers for each
# pixel; of a sensitive view, one is left:

# %%
print("neutral views  (views, height, width, colours):", tuple(release.neutral_images.shape))
print("sensitive views (views, height, width):        ", tuple(release.moduli.shape))

# %% [markdown]
# ## What the modulus forgets
#
# Write $c(x, y)$ for the colour of a pixel. Equation 6 takes the two directions of change and adds
# their lengths:
#
# $$\lVert g \rVert = \left\lVert \frac{\partial c}{\partial x} \right\rVert_2 +
# \left\lVert \frac{\partial c}{\partial y} \right\rVert_2$$
#
# A difference forgets what was added; a length forgets the sign. So a photo, the same photo made
# darker by a constant, and its *negative* all have one and the same modulus. Whoever holds the modulus
# cannot tell which of them it came from. Let us not believe that, but try it:

# %%
operator = Operator("sobel")
photo = scene.images[scene.sensitive[0]]
modulus = operator.modulus(photo)
changed = {"darker": photo - 0.2, "negative": 1 - photo, "half the contrast": 0.5 * photo}
for name, other in changed.items():
    same = torch.allclose(modulus, operator.modulus(other), atol=1e-5)
    print(f"{name}: same modulus? {same}")

# %% [markdown]
# The third line says that the modulus does *not* forget everything: contrast stays, and so do outlines.
# That is what the reconstruction lives on. It is also why a release is *less* than the photos, not
# *nothing*: you may well recognise a friend from the drawing. How much it gives away to a machine is a
# question that this course measures instead of promising.
#
# ## Your machine
#
# `doctor` says what your computer can run. The next cell differs from machine to machine; the one below
# it should not.

# %% tags=["nbval-ignore-output"]
facts = doctor.report()
print(doctor.text(facts))

# %%
print("this machine can run the course:", facts["can_run"])

# %% [markdown]
# ## From the release to a head
#
# The mesh is made in two stages. **Stage 1** looks at the neutral views only and finds a coarse head:
# the back is good, the face a guess. **Stage 2** looks at the moduli only, and moves the surface until
# *renderings of it change colour as fast, in the same places, as the photos did*. Colours may end up
# wrong. The shape may not, because shape is what makes the changes fall into place in twenty views at
# once.

# %%
figure, axes = plots.grid(2, 3)
meshes = {
    "after stage 1": head.stage1_mesh,
    "after stage 2": head.mesh,
    "truth": scene.truth_mesh(),
}
plots.mesh_row(axes[0], meshes, "front")
plots.mesh_row(axes[1], meshes, "three-quarter", titles=False)
plots.show(
    figure,
    alt="Three grey heads from the front and from three-quarter. After stage 1 the face is a rough "
    "lump; after stage 2 nose, mouth and brow are there, a little soft; the truth is sharp.",
)

# %% [markdown]
# ## Two numbers
#
# Pictures flatter. So we measure, in the face region, with two numbers:
#
# - the **distance**: from 200,000 points on each surface to the other surface, averaged both ways, in mm;
# - the **normal error**: the angle between the two surfaces' directions where they face each other, in
#   degrees. Eyes judge a surface by its shading, and shading is all about direction.

# %%
stage1, stage2 = evaluate(head.stage1_mesh, scene), evaluate(head, scene)
closer = stage1.distance_mean / stage2.distance_mean
turned = stage2.normal_median_deg / stage1.normal_median_deg
print("stage 1 is within 6 mm of the truth:     ", stage1.distance_mean < 6)
print("stage 2 is within 2.5 mm:                ", stage2.distance_mean < 2.5)
print("stage 2 is at least 1.4 times closer:    ", closer > 1.4)
print("its normals improve by a quarter or more:", turned < 0.75)

# %% [markdown]
# ## Now you
#
# In a terminal (or in a cell, with `!` in front):
#
# ```
# privhead demo out/demo          # the whole way, with a head of your choice: --identity 12
# privhead inspect out/demo/release --picture release.png
# ```
#
# Three questions to take along; the answers are in the notebooks named:
#
# 1. Which two of these have the same modulus: a photo, the photo in black and white, the photo with
#    red and blue swapped? (Try it with the cell above. Notebook 02 says why.)
# 2. Stage 2 never sees a colour of the face. What colour will the face of a rendering be? (Notebook 05)
# 3. What could somebody do who has your release *and* an old photo of you? (Notebook 07)
#
# ## What to remember
#
# - A release holds neutral views as RGB and sensitive views as gradient modulus, and training sees nothing
#   else.
# - The modulus forgets colour offsets and signs; it keeps outlines and contrast.
# - Two stages: a coarse head from neutral views, then the face from moduli.
# - A head is judged by distance and by normals, on the mesh as it was written.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | a photo, a darker one and its negative share one modulus | the cell under equation 6 |
# | no colour of a sensitive view is in a release | `tests/test_release.py` |
# | stage 2 is closer than stage 1, in mm and in degrees | the cell under *Two numbers* |
# | distances are exact, point to triangle | `tests/test_metrics.py` |
#
# **Read on**: [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb);
# `docs/release.md` on what a release does not promise; the paper.

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
# # 0. Start here: a head, while the photos of its face stay at home
#
# **You will be able to** make a release and say what leaves your device and what does not, look at it as a stranger
# would, judge a reconstructed head by two numbers, and use the exercises and panels of this course.
#
# **You should know** a little Python, and what a picture is to a computer: a grid of red, green and blue
# numbers between 0 and 1. Nothing about 3D is assumed.
#
# **Time**: 45 minutes of reading and trying; computing takes under a minute, on a laptop. No GPU is needed.
#
# **Equations of the paper**: 6, the gradient modulus, and a first look at the two stages (9 to 11).
# The paper is Kong et al., *Do Not DeepFake Me* (AAAI 2025).

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from privhead_nb import Operator, Reconstruction, doctor, evaluate, load_scene, protect
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson00 import figures, panel
from privhead_nb.viz.plots import mesh_row
from privhead_nb.viz.style import grid, images, show

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
# Here is such a set of photos. The head in it belongs to nobody: it was made from the number 7. So do all
# heads in this course; no photo of a real person is in it.

# %%
scene = load_scene(SAMPLES / "scene")
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
release = protect(scene, Operator("sobel"), size=64)
head = Reconstruction.load(SAMPLES / "reconstruction")  # made of just such a release, for later
show(
    figures.trust_boundary(scene, release, head.mesh),
    alt="Left of a wall, on your device: three colour photos of a face and three of the back of the "
    "head. An arrow named protect leads through the wall to three line drawings; the photos of the "
    "back pass as they are. Right of the wall, a grey 3D head is made from what passed.",
)

# %% [markdown]
# Look for the colours of the face on the right-hand side. There you see drawings, and even these are helped a little: what
# is drawn is the *square root* of the modulus, or the faint lines of the face would hardly show beside the outline.
#
# That was your first release, and it took one line. Write it into a folder and look at it as a stranger would, who has the
# folder and nothing else:

# %% tags=["tolerance-2"]
folder = Path(tempfile.mkdtemp()) / "release"
release.save(folder)
for path in sorted(folder.iterdir()):
    inside = sorted(path.glob("*.png"))
    print(f"{path.name}, {len(inside)} pictures" if inside else path.name)
one, other = folder / "neutral/view_0020.png", folder / "sensitive/view_0007.png"
for path in (one, other):
    codes = np.asarray(Image.open(path)).astype(int)
    print(
        f"{path.parent.name} view, middle pixel: {codes[32, 32].tolist()}, of an array {codes.shape}"
    )

# %% [markdown]
# A neutral view has three numbers for each pixel, red, green and blue; of a sensitive view one is left, in steps of
# 1/65,535. A *mask* says which pixels of a neutral view are head and which are background, and the manifest lists the
# files, so that one notices when one of them was changed.
#
# ### Neutral is not harmless
#
# The ten neutral views go out as they are. Here they are all, each with the angle between the camera and where the face
# looks: 0 degrees is a passport photo, 180 degrees the back of the head.

# %%
eyes = scene.cameras.c2w[:, :3, 3] - torch.tensor(scene.center)  # the face looks along +z
angles = torch.rad2deg(torch.arccos(eyes[:, 2] / eyes.norm(dim=1)))
views = [np.asarray(Image.open(path)) / 255 for path in sorted((folder / "neutral").iterdir())]
titles = [f"view {view}: {angles[view]:.0f} degrees" for view in scene.neutral]
show(
    images([views[:5], views[5:]], titles, width=9),
    alt="Ten small colour pictures of the head. Six show hair from behind, some with an ear. Views 20, 24, 25 and 29, at 103 "
    "to 105 degrees, show a profile: forehead, nose, lips and chin in the skin's own colour.",
)

# %% [markdown]
# Look at views 20, 24, 25 and 29. They are called neutral, and whoever has the release has a profile in the true
# colours of skin and hair. "Neutral" doesn't mean harmless; it means that the owner *said* so. `protect` refuses a
# neutral view whose camera stands less than 100 degrees from the front, unless you name it; these stand at 103 to
# 105, and pass. (For your own photographs, `capture` in [lesson 16](16_your_own_head.ipynb) takes 137.) Which of the
# ten would *you* give away? Fewer neutral views make a worse head, and [lesson 8](08_templates_and_few_views.ipynb)
# measures how much worse.
#
# ### Walk around the head
#
# Every lesson has a **panel**: a picture that changes as you move its controls. This one has two. `view` walks
# around the head, and `seen by` changes the side of the wall. The plan shows the cameras from above.
#
# - *By mouse*: drag a handle, or click on the bar.
# - *By keyboard*: press Tab until a handle is framed, then the arrow keys move it, a step at a time.
# - The line over the picture says what you see, and a screen reader reads it out. While something is being
#   computed, it says so. If something goes wrong, the error stands there.
#
# A panel needs a running kernel: choose *Run All* first. Under each panel there is a still picture of a few
# settings, for readers on paper or on a web page, and after it the same facts as plain text.

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %%
widgets.twin(panel.picture, panel.TWIN)

# %%
for setting in panel.TWIN:
    print(panel.picture(**setting).facts)

# %% [markdown]
# Views 20 to 29 look the same from both sides of the wall. That is what neutral means here.
#
# ## How an exercise works
#
# Every lesson has exercises, and every exercise has a **check**. Each lesson comes twice: solved, and once more in the
# folder `student/`, with a line `raise NotImplementedError("your turn")` in place of each solution. You replace that
# line, run the cell, and run the next one, which is the check. It compares what your function gives with what the
# package gives, on a few cases, and tells the first difference, and the slip, if it is one that it knows. If you are
# stuck, ask: `checks.hint("0001")` in a cell of its own gives a question to think about, and called once more, the
# idea. You may try as often as you like; nobody counts.
#
# ### Exercise 0001 (first steps, 10 min): the negative
#
# To warm up. A picture is a tensor of shape `(height, width, 3)` with numbers from 0 (black) to 1 (white). Give its
# negative: black becomes white and white black, in each colour.


# %% tags=["exercise"]
def negative(photo):
    """The negative of a picture (H, W, 3) in [0, 1]."""
    ### BEGIN SOLUTION
    white = 1
    return white - photo
    ### END SOLUTION


# %%
checks.ex0001(negative)

# %% [markdown]
# That was a pass. Here is how a check fails, for an answer that many give:

# %%
try:
    checks.ex0001(lambda photo: 255 - photo)
except checks.CheckFailed as error:
    print("... and then it raises:", error)

# %% [markdown]
# `yours` and `specification` are a row of numbers around the first place where they differ, and the line *slip* names
# what is wrong, for the usual mistakes.
#
# ### Exercise 0002 (first steps, 10 min): how many numbers leave?
#
# A release has `neutral` and `sensitive` views of `size` by `size` pixels. How many numbers are that, of
# pictures alone? (Cameras and masks don't count.) The check makes real releases and counts.


# %% tags=["exercise"]
def numbers_released(neutral, sensitive, size):
    """How many numbers the pictures of a release hold."""
    ### BEGIN SOLUTION
    pixels = size**2
    return (3 * neutral + sensitive) * pixels
    ### END SOLUTION


# %%
checks.ex0002(numbers_released)

# %% [markdown]
# Set it beside the release that you made, and beside others:

# %%
counted = release.neutral_images.numel() + release.moduli.numel()
print(f"your release: {numbers_released(10, 20, 64):,} by your function, {counted:,} counted")
for neutral, sensitive in ((10, 20), (4, 26), (0, 30)):
    leave, all_of_them = numbers_released(neutral, sensitive, 64), 3 * 30 * 64**2
    print(f"{neutral} neutral views of thirty: {leave / all_of_them:.0%} of the numbers leave")

# %% [markdown]
# How many numbers leave says little about what they tell. What *are* they?
#
# ## What the modulus forgets
#
# Write $c(x, y)$ for the colour of a pixel. Equation 6 takes the two directions of change and adds
# their lengths:
#
# $$\lVert g \rVert = \left\lVert \frac{\partial c}{\partial x} \right\rVert_2 +
# \left\lVert \frac{\partial c}{\partial y} \right\rVert_2$$
#
# A difference forgets what was added; a length forgets the sign. So a photo, the same photo made darker by a
# constant, and its *negative* all have one and the same modulus. Whoever holds the modulus alone cannot tell which of
# them it came from. Try it, with your `negative`. (Some colours of the darker one fall below 0. The screen shows
# those as black; the arithmetic doesn't mind.)

# %%
operator = Operator("sobel")
photo = scene.images[scene.sensitive[7]]
changed = {"darker": photo - 0.2, "negative": negative(photo), "half the contrast": 0.5 * photo}
for name, changed_photo in changed.items():
    apart = (operator.modulus(photo) - operator.modulus(changed_photo)).abs().max()
    print(f"{name}: the modulus changes by up to {apart:.3f}")
show(
    figures.forgets({"the photo": photo, **changed}, operator),
    alt="Four pictures of a face from the front and their moduli as drawings. The photo, a darker one and the "
    "negative, pale on black, have the same drawing; that of half the contrast is paler.",
)

# %% [markdown]
# The third line says that the modulus does *not* forget everything: contrast stays, and so do outlines. That is what
# the reconstruction lives on. It is also why a release is *less* than the photos, not *nothing*: you may well
# recognise a friend from the drawing, and so do machines: an attacker who trained on other made heads names nine of
# ten people, among a hundred made ones, from one modulus, and guesses most of their colours ([lesson
# 6](06_irreversibility.ipynb)).
#
# ### Exercise 0003 (solid, 20 min): a stranger with the same modulus
#
# Offsets and signs are not all that is forgotten. Look at equation 6 again: the norm goes over three colours. Find a
# picture with the *same modulus* and colours within 0 and 1 that is neither the photo, nor the photo with a
# constant added, nor the negative. Then look at your stranger.


# %% tags=["exercise"]
def stranger(photo):
    """Another picture (H, W, 3) in [0, 1] with the same modulus."""
    ### BEGIN SOLUTION
    red, green, blue = photo.unbind(dim=-1)
    return torch.stack([blue, green, red], dim=-1)  # any order; each may be its own negative, too
    ### END SOLUTION


# %%
checks.ex0003(stranger)

# %%
colourful = torch.stack([photo[..., 0], 1 - photo[..., 1], photo[..., 2].roll(8, 1)], -1)
pictures = {"a colourful picture": colourful, "its stranger": stranger(colourful)}
show(
    figures.forgets(pictures, operator),
    alt="A face in false colours, with a shifted copy of itself, and the same picture with red and blue "
    "swapped; below them, two drawings that are the same.",
)

# %% [markdown]
# ## From the release to a head
#
# The mesh is made in two stages. **Stage 1** looks at the neutral views only and finds a coarse head: the back is
# good, the face a guess. **Stage 2** looks at the moduli only, and moves the surface until *renderings of it change
# colour as fast, in the same places, as the photos did*. Colours may end up wrong, since the modulus is the same for
# many of them. A wrong shape shows, because the changes must then be in the right places in twenty views at once.

# %%
figure, axes = grid(2, 3)
meshes = {
    "after stage 1": head.stage1_mesh,
    "after stage 2": head.mesh,
    "truth": scene.truth_mesh(),
}
mesh_row(axes[0], meshes, "front")
mesh_row(axes[1], meshes, "three-quarter", titles=False)
show(
    figure,
    alt="Three grey heads from the front and from three-quarter. After stage 1 the face is a rough "
    "lump; after stage 2 nose, brow, cheeks and the notch of the mouth are there, soft and uneven, without eyelids "
    "or hair; the truth is sharp.",
)

# %% [markdown]
# ## Two numbers
#
# Looking at pictures is not enough. So we measure, with two numbers. Of 200,000 points on each of the two surfaces,
# those in the face region count.
#
# - The **distance**: how far it is from a point to the nearest place of the other surface, averaged over the
#   points and both ways, in mm.
# - The **normal error**: at a point of the truth, the angle between the truth's direction and that of the mesh at its
#   nearest place; the median over all points, in degrees. What we see of a grey surface is its shading, which depends
#   on direction alone.

# %% tags=["tolerance-2"]
stage1, stage2 = evaluate(head.stage1_mesh, scene), evaluate(head, scene)
closer = stage1.distance_mean / stage2.distance_mean
turned = stage2.normal_median_deg / stage1.normal_median_deg
for name, found in {"stage 1": stage1, "stage 2": stage2}.items():
    print(f"{name}: {found.distance_mean:.1f} mm, {found.normal_median_deg:.0f} degrees")
print(
    f"stage 2 is {closer:.1f} times closer, and its normals are off by {turned:.0%} of what they were"
)

# %% [markdown]
# ## The course
#
# Each lesson says at its top what it takes for granted. An arrow means *builds on*. The middle road is 00, 01, 02,
# 03, 04, 05.

# %%
show(
    figures.course_map(),
    alt="A map of the lessons as boxes and arrows. From 00 to 01, volume rendering, and 03, protecting operators. From "
    "01 to 02, SDF and eikonal, to 04, gradient loss, and to 11, GPU kernels. From 03 to 04 and to 06, "
    "irreversibility. From 02 and 04 to 05, two stages. From 05 to 07, Lipschitz ablation, 08, templates "
    "and few views, 10, appearance transfer, and 16, your own head. From 06 to 09, recognition and deepfakes. From 09 "
    "to three systems that the method is compared with: 12, IDeudemon, 13, 3D-aware de-identification, 14, G2Face.",
)

# %% [markdown]
# | | lesson | what it is about | minutes | builds on |
# | --- | --- | --- | --- | --- |
# | 00 | Start here | your first release, and what comes back from it | 45 | |
# | 01 | [Volume rendering](01_volume_rendering.ipynb) | your own renderer: samples, weights, pixels | 120 | 00 |
# | 02 | [SDF and eikonal](02_sdf_and_eikonal.ipynb) | a network that is a surface, trained by you | 120 | 01 |
# | 03 | [Protecting operators](03_protecting_operators.ipynb) | the modulus and a release by hand; leaks | 95 | 00 |
# | 04 | [Gradient loss](04_gradient_loss.ipynb) | the loss that compares moduli, and where it is blind | 100 | 01, 03 |
# | 05 | [Two-stage reconstruction](05_two_stage_reconstruction.ipynb) | a two-stage trainer of your own, then the package's | 150 | 02, 04 |
# | 06 | [Irreversibility](06_irreversibility.ipynb) | an attacker tries to get the photo back | 120 | 03 |
# | 07 | [Lipschitz ablation](07_lipschitz_ablation.ipynb) | does a calm colour network help? An experiment | 120 | 05 |
# | 08 | [Templates and few views](08_templates_and_few_views.ipynb) | when there are few neutral views, or none | 90 | 05 |
# | 09 | [Recognition and deepfakes](09_recognition_and_deepfakes.ipynb) | how well machines recognise what is left | 150 | 06 |
# | 10 | [Appearance transfer](10_appearance_transfer.ipynb) | one head's shape, another's colours | 90 | 05 |
# | 11 | [GPU kernels](11_gpu_kernels.ipynb) | from an equation to a loop to a kernel | 135 | 01 |
# | 12 | [IDeudemon](12_ideudemon.ipynb) | a compared system: noise on an identity code | 120 | 09 |
# | 13 | [3D-aware de-identification](13_3d_aware_deidentification.ipynb) | one new person in all views, and the link | 110 | 09 |
# | 14 | [G2Face](14_g2face.ipynb) | a compared system: a face given away and taken back | 120 | 09 |
# | 16 | [Your own head](16_your_own_head.ipynb) | from a phone's photographs to a release | 90 | 05 |
#
# Minutes are for reading and for the exercises but the hard one, which is worth an evening of its own.
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
# How *much* a lesson computes is set by a **profile**, the variable `PRIVHEAD_PROFILE`, before Jupyter is started.
# `ci` trains for a few dozen steps, which is enough to see that everything works; `cpu` for two thousand, which takes
# minutes on two cores and gives the heads that you see here; `gpu` takes larger steps, and `paper` the paper's own
# network, on a GPU alone. The cells are the same. The outputs that are stored in the lessons are those of `ci`, and
# `make test` compares what they print with what your machine prints, but for the few cells that must differ, such as
# the one about your machine. (The profile in *its* last lines is the one that `doctor` advises.)
#
# ## Now you
#
# In a terminal (or in a cell, with `!` in front):
#
# ```
# privhead demo out/demo          # the whole way, with a head of your choice: --identity 12
# privhead inspect out/demo/release --picture release.png
# ```
#
# The demo takes a few minutes. If it stops, its last lines say what is wrong and what to do. If `privhead` is not
# found, write `python -m privhead_nb` in its place.
#
# Three questions to take along; the answers are in the notebooks named:
#
# 1. Which two of these have the same modulus: a photo, the photo in black and white, the photo with
#    red and blue swapped? (Try it with exercise 0003. Notebook 03 says why.)
# 2. Stage 2 never sees a colour of the face. What colour will the face of a rendering be? (Notebook 05)
# 3. What could somebody do who has your release *and* an old photo of you? (Notebook 06)
#
# ## What to remember
#
# - A release holds neutral views as RGB and sensitive views as gradient modulus, and training sees nothing
#   else.
# - Neutral is not harmless: look at every view that goes out in colour.
# - The modulus forgets colour offsets, signs, and which colour is which; it keeps outlines and contrast, by which a
#   trained attacker still names most people.
# - Two stages: a coarse head from neutral views, then the face from moduli.
# - A head is judged by distance and by normals, on the mesh as it was written.
# - Exercises have checks, panels have a still picture and facts beside them.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | four of ten neutral views show a profile | the cell under *Neutral is not harmless*, `tests/test_lesson_03.py` |
# | a photo, a darker one and its negative share one modulus | the cell under equation 6 |
# | so does a picture with its colours swapped | exercise 0003 |
# | no colour of a sensitive view is in a release | `tests/test_release.py` |
# | a little more than half of the numbers leave | exercise 0002 |
# | stage 2 is closer than stage 1, in mm and in degrees | the cell under *Two numbers* |
# | distances are exact, point to triangle | `tests/test_metrics.py` |
# | every solution passes its check, and every stub fails it | `tests/test_notebooks.py` |
#
# **Read on**: [01, volume rendering](01_volume_rendering.ipynb), or straight to
# [03, protecting operators](03_protecting_operators.ipynb) if privacy is what you came for;
# [05, two-stage reconstruction](05_two_stage_reconstruction.ipynb) if you want to train a head now;
# `docs/release.md` on what a release does not promise; the paper.

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
# # 10. Appearance transfer
#
# **You will be able to** dress one person's head in another's colours, with a generator and with trained
# fields; say from which place each colour is taken, and what that choice smuggles in; measure whom the result
# looks like, and to whom; give a share an interval when every picture hangs on two people; and say what somebody
# gives away who releases a shape without colours.
#
# **You should know** what a field is made of, distance, features, colour network
# ([05, two-stage reconstruction](05_two_stage_reconstruction.ipynb)), and what a signed distance's gradient means
# ([02, SDF and eikonal](02_sdf_and_eikonal.ipynb)).
#
# **Time**: 60 minutes of reading and writing, and an evening for the hard exercise if you like; computing takes
# half a minute on a CPU. A GPU is not needed.
#
# **Equations of the paper**: 1 (compositing, with distances of one field and colours of another), and its
# section "Preventing misuse" with Figure 9, which are Figures 10 and 12 of the arXiv version.

# %%
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from privhead_nb import Template
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import Head, make_head
from privhead_nb.heads.light import to_srgb
from privhead_nb.lab import appearance
from privhead_nb.lab.attacks.field_renders import renders
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.lab.intervals import draws, exact_interval
from privhead_nb.lab.raster import grey_surface, photograph, render_mesh, surface_mesh
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.stored import shipped
from privhead_nb.resources import RESULTS, SAMPLES
from privhead_nb.teach import checks, interactive, lab_runs, results, widgets
from privhead_nb.teach.lesson10 import figures, mixed_heads, panel
from privhead_nb.teach.lesson10.mixed_heads import PEOPLE, PLACE, POINT, WAYS, pictures
from privhead_nb.training.profiles import get_profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.viz import style

# %% [markdown]
# ## 1. A claim, and six pictures
#
# A head is a shape and its colours. The method of this course releases the shape. Suppose somebody wants to forge
# your portrait with it: they need colours as well, and yours have never left your device. So they take
# somebody else's. Whom does the result look like?
#
# The paper tried it with three people, 401, 429 and 491: the geometry of one trained field, the radiance of another, laid
# over each other in space, nothing trained again. Its Figure 12 (arXiv) gives the cosine distance of each result to the
# two people in it. Small means alike.

# %%
paper = [
    (401, 429, 0.6360, 0.2570),
    (401, 491, 0.4295, 0.1109),
    (429, 401, 0.4728, 0.2308),
    (429, 491, 0.5468, 0.2183),
    (491, 429, 0.5964, 0.1534),
    (491, 401, 0.4804, 0.2512),
]
print("shape  colours   to shape  to colours")
for shape, colours, far, near in paper:
    print(f"{shape:>5}  {colours:>7}     {far:.4f}      {near:.4f}")
nearer = sum(near < far for _, _, far, near in paper)
low, high = exact_interval(nearer, len(paper))
print(f"{nearer} of {len(paper)} are nearer to whom the colours are from; ", end="")
print(f"95 % interval, as if they were independent: {low:.0%} to {high:.0%}")

# %% [markdown]
# Six of six. The paper concludes that identity sits in the *texture*: who has only the geometry can't forge a face. It
# is a comforting reading, and it may be right. Let us be careful with it all the same:
#
# - The six pictures are made of **three people**. If 491 has striking eyebrows, four of the six rows profit. So even the
#   interval above is too narrow.
# - A distance is *somebody's* distance. The text does not name the recogniser. It can't well be the one of its Figure
#   8 at the same threshold: there a pair at 0.4978 counts as verified, here one at 0.4295 does not.
# - **Which colours, from where?** A trained radiance is asked at points in space. It answers "eyebrow" where the
#   *other* person has an eyebrow. Is that colour, or is it shape?
#
# We can take all of this apart, because our people are made of numbers.
#
# ## 2. Shape and colours, apart
#
# A made head has an identity code (64 numbers that bend the surface) and an albedo code (24 numbers that paint it). So
# a transfer is a line of code: one's identity, the other's albedo. Nothing has to be aligned. The brush knows the
# face that it paints: lips go on lips, whoever's they are.

# %%
one, other = (make_head(PEOPLE[name]) for name in "AC")
by_hand = Head(one.identity, other.albedo, one.expression, one.light)
theirs = appearance.exact_head(PEOPLE["A"], PEOPLE["C"])
points = mixed_heads.body("A").vertices[::40]
same_shape = torch.equal(by_hand.sdf(points), one.sdf(points))
print("the shape is A's, to the last bit:     ", same_shape)
print("our head is the package's:             ", torch.equal(by_hand.albedo, theirs.albedo))
apart = (by_hand.reflectance(points) - one.reflectance(points)).abs().mean()
print("its colours differ from A's by over 0.1:", bool(apart > 0.1))

# %% [markdown]
# Four people, A to D, in each other's colours: sixteen heads. Rows have one shape, columns one set of colours; on the
# diagonal are the four as they are. **Before you read on, decide:** do rows look like one person, or do columns?

# %%
mixtures = {f"shape of {a}": [pictures(a, b, angles=FRONT)[0] for b in PEOPLE] for a in PEOPLE}
style.show(
    figures.sheet(mixtures, [f"colours of {b}" for b in PEOPLE]),
    alt="Four by four small portraits from the front. Rows share a shape: short hair and a narrow face, a "
    "fringe and a round face, long hair, long loose hair. Columns share colours: yellowish with grey hair, reddish with black "
    "hair, pale with brown hair, very dark with grey hair.",
)

# %% [markdown]
# Most people say columns at first: skin and hair colour leap to the eye. Look again, at the width of the jaw, at how
# far the eyes are apart, at the hairline, and rows become persons. Both answers are right. *Whom it looks like
# depends on what you look at*, and that goes for recognisers, too. Keep this sentence; the rest of the lesson puts
# numbers to it.
#
# ## 3. Where is a colour taken from?
#
# With trained fields nobody knows which lip belongs to which. One field has a surface here, the other one has it a few
# millimetres further. We stand on A's surface at $x$ and want a colour of C's. Three answers:
#
# - **same place on the face**: C's colour *for lips*, if $x$ is on A's lips. Only the generator can tell;
# - **same point**: what C's field says at $x$, though C's surface is somewhere else. This is what the paper describes;
# - **nearest surface point**: first go to C's surface, then ask. A colour network has been trained near its own surface
#   and may say anything elsewhere.
#
# How does one go there? Let $f$ be C's signed distance. Near $x$ it is about linear:
#
# $$f(x - s \nabla f) \approx f(x) - s \, \|\nabla f\|^2 .$$
#
# That is zero for $s = f(x) / \|\nabla f\|^2$, so
#
# $$x' = x - \frac{f(x)}{\|\nabla f(x)\|^2} \, \nabla f(x) ,$$
#
# one step of Newton's method, along the steepest way. With a true distance, $\|\nabla f\| = 1$, one step would be
# enough on any surface that is flat. Trained fields are no true distances, so the square below matters.
#
# ### Exercise 1001 (easy): a step to the surface


# %% tags=["exercise"]
def to_surface(points, distance, gradient):
    """(N, 3), (N,) f there, (N, 3) its gradient -> (N, 3) points after one Newton step to f = 0."""
    ### BEGIN SOLUTION
    step = distance / (gradient**2).sum(axis=1)
    return points - step[:, None] * gradient
    ### END SOLUTION


# %%
checks.ex1001(to_surface)

# %%
for shape, whose in ("AC", "BD", "CB"):
    face = mixed_heads.body(shape).vertices
    face = face[(face[:, 2] > 40) & (face[:, 1].abs() < 90)]
    other = mixed_heads.person(whose)
    with torch.no_grad():
        before, after = (
            float(other.sdf(x).abs().mean()) for x in (face, mixed_heads.toward(other, face))
        )
    words = "over 1.5 mm apart" if before > 1.5 else "close", "under 0.5" if after < 0.5 else "more"
    print(f"the face of {shape} and the surface of {whose}: {words[0]}; after one step {words[1]}")
style.show(
    figures.steps_to_surface("A", "C"),
    alt="Two profiles cut through the nose, A solid and C dashed, a few millimetres apart, and arrows from A to the nearest "
    "point of C. Enlarged at the right, arrows from A's lower lip end below C's mouth, which is higher.",
)

# %% [markdown]
# Look at the enlarged mouth. The two surfaces are a few millimetres apart, and a step bridges that. But A's mouth,
# the notch in its line, is *lower* than C's. The arrows from A's lower lip end below C's mouth, in skin, and neither
# "same point" nor "nearest point" knows about mouths. So what is painted on A's face is **C's face where C has it**.
# Here is what that looks like.

# %%
rows = {"A itself": pictures("A", "A"), "C itself": pictures("C", "C")}
rows |= {way: pictures("A", "C", way) for way in WAYS}
style.show(
    figures.sheet(rows, ["front", "from one side", "the other"]),
    alt="Five rows, each from the front and from two sides: A with short grey hair; C with long brown hair; A painted in C's colours by "
    "place: short brown hair, all in order; by the same point: brown hair is painted down the cheeks and "
    "neck, where C's long hair would be, and the mouth is smeared; by the nearest surface point: much the same.",
)

# %% [markdown]
# In the third row A wears C's colours. In the last two A wears *a picture of C's head*: the outline of C's long hair
# is painted on A's neck, C's brows stand at C's height, the lips are in between. So a field's radiance is **not the
# counterpart of shape**. It is colour and layout, and layout is a good part of what we call the shape of a face. If
# identity is found to follow radiance, part of that is shape that has travelled with it.
#
# ## 4. The same with trained fields
#
# Now without a generator. At hand are two fields: head 7, reconstructed from *protected* pictures (the sample of this
# course), and the mean of ten people that [lesson 8](08_templates_and_few_views.ipynb) trained on colour pictures.
# Rendering asks each for a distance, and at the surface for a colour:
#
# $$c = C_\phi(x, n, v, z(x)), \qquad n = \nabla f / \|\nabla f\|,$$
#
# with the viewing direction $v$ and *features* $z(x)$ which the field hands to its colour network. Which of these
# come from whom? The place and the normal are those of the geometry, so that light falls on the shape that is seen.
# The features have to be the *radiance's own*: the two networks grew up together, and a feature vector means nothing
# to another's colour network. The next cell does it by hand, with the step of section 3.

# %%
seven = Reconstruction.load(SAMPLES / "reconstruction")
template = Template.load(SAMPLES / "template_trained")
model, white = template.model(), (1.0, 1.0, 1.0)
model.beta.set(float(seven.model.beta()))
settings = get_profile("cpu")
ten = Reconstruction(
    model, template.mesh(), None, template.center, template.radius, white, settings
)
joined = appearance.transfer(seven, ten, snap=True)
x = (torch.tensor(seven.mesh.vertices[::97]) - torch.tensor(seven.center)) / seven.radius
x, n = (
    x.float(),
    torch.nn.functional.normalize(x.float(), dim=1),
)  # on head 7's surface; any normals
there = (seven.radius * x + torch.tensor(seven.center) - torch.tensor(ten.center)) / ten.radius
value, _, gradient = ten.model.field.with_gradient(there)
slope = gradient.square().sum(1).clamp_min(0.25)  # where the field is nearly flat, no giant step
there = there - (value / slope)[:, None] * gradient
ours = ten.model.colour(there, n, -n, ten.model.field.sdf_and_features(there)[1])
theirs = joined.model.colour(x, n, -n, x[:, :0])
print("our colours are the package's:", torch.allclose(ours, theirs, atol=1e-4))
print("the distance is head 7's:     ", torch.equal(joined.model.sdf(x), seven.model.sdf(x)))

# %%
cameras = portrait_cameras(appearance.VIEWS)
fields = {
    "head 7, own colours": renders(seven, cameras),
    "the mean of ten": renders(ten, cameras),
    "shape of 7,\ncolours of the ten": renders(joined, cameras),
    "shape of the ten,\ncolours of 7": renders(appearance.transfer(ten, seven), cameras),
}
style.show(
    figures.sheet(fields, ["front", "35 deg", "35 deg"]),
    alt="Four rows from three sides: head 7 with a dark red face and pale hair, colours that its training made up; a blurred "
    "brownish mean head; head 7's sharper features in those brownish colours; the mean head wearing head 7's red face, eyes "
    "and hairline painted on.",
)

# %% [markdown]
# The first row is what a release lets one reconstruct: the shape is good, the colours are *made up*. A gradient loss
# knows how strongly colours change and not what they are, so training has found dark red to be as good as anything.
# The third row is dull, but it is skin: the made-up colours are gone, and the face behind them is there. Remember it
# for section 9.
#
# ## 5. To whom is it near?
#
# A recogniser turns a picture into a vector; cosine distance is $1 - \cos$ of the angle between two. For each
# transferred picture we want three things: the distance to a clean frontal picture of whoever gave the shape, the
# same for the colours, and the name of the nearest in the whole gallery, who may be neither.
#
# ### Exercise 1002 (middle): two distances and a name
#
# `pictures` is (N, D) and `gallery` (P, D), as they come out of a network: of any length. `shape` and `colours` (N,)
# say which row of the gallery gave what. Return three arrays (N,): distance to the shape's person, to the colours'
# person, and the number of the nearest row.


# %% tags=["exercise"]
def near_to(pictures, gallery, shape, colours):
    """Cosine distances (N,) to two people each, and the row of the gallery that is nearest."""
    ### BEGIN SOLUTION
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (pictures, gallery)]
    distance = 1 - unit[0] @ unit[1].T
    rows = np.arange(len(pictures))
    return distance[rows, shape], distance[rows, colours], distance.argmin(axis=1)
    ### END SOLUTION


# %%
checks.ex1002(near_to)

# %% [markdown]
# Now ask. The project ships four recognisers of its own. They learned from 1600 made people, none of whom is
# here. Two are networks that name strangers rightly in 98.8 and 98.9 % of cases; the other two, of edges and of
# pixels, in 48 and 40 %. (`benchmarks/results/recognisers.json`.) To these we add one that you can read in a minute:
# `mixed_heads.palette` gives the mean colours of the upper, middle and lower third of a head. It sees no shape at
# all.
#
# First two yardsticks: how far is the same person, seen from aside, and how far are strangers?

# %%
judges = (*shipped(), Recogniser("palette", mixed_heads.palette))
known, who = mixed_heads.gallery()
sides = torch.cat([pictures(name, name, angles=appearance.VIEWS[1:]) for name in PEOPLE])
own = who.repeat_interleave(2)[:, None] == who
for judge in judges:
    distance = 1 - judge.embed(sides)[0] @ judge.embed(known)[0].T
    same, strangers = float(distance[own].mean()), float(distance[~own].mean())
    print(f"{judge.name:>11}: same person nearer than strangers, in the mean: {same < strangers}")
answers = {j.name: {way: mixed_heads.asked(j, way) for way in WAYS} for j in judges}

# %%
figure, axes = style.grid(1, len(answers), width=11, height=3.0)
for ax, (name, by_way) in zip(axes[0], answers.items(), strict=True):
    for (way, said), (colour, mark, _) in zip(by_way.items(), style.LOOKS, strict=False):
        ax.plot(said.to_geometry, said.to_radiance, mark, color=colour, mec="black", mew=0.4,
                ms=4.5, label=way)  # fmt: skip
    top = max(*ax.get_xlim(), *ax.get_ylim())
    ax.plot([0, top], [0, top], color="0.4", lw=1, ls=":")  # below it, colours win
    ax.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    ax.set_title(name, fontsize=10)
axes[0][0].set_ylabel("to the colours' person")
figure.supxlabel("cosine distance to the shape's person", fontsize=9)
above = {"loc": "outside upper center", "ncols": 3, "fontsize": 8, "frameon": False}
figure.legend(*axes[0][0].get_legend_handles_labels()[:2], **above)
style.show(
    figure,
    alt="Five scatter plots, one a recogniser, of each picture's distance to the colours' person over that to the shape's person. "
    "arcface_cnn: most marks below the diagonal, near to the colours; triplet_cnn: circles above it, squares and triangles "
    "on both sides; hog_lda and pca_lda: most above, frontal pictures in a cloud of their own at the left; palette: all at "
    "the bottom.",
)

# %% tags=["nbval-ignore-output"]
print(f"nearer to the colours' person, of {len(answers['palette'][PLACE].named)} pictures")
for name, by_way in answers.items():
    counts = (f"{way}: {int(said.radiance_nearer.sum()):>2}" for way, said in by_way.items())
    print(f"{name:>11}  {'   '.join(counts)}")

# %%
share = {n: {w: s.radiance_nearer.float().mean() for w, s in a.items()} for n, a in answers.items()}
print(
    "arcface_cnn, same point: colours win 3 in 4 or more:", bool(share["arcface_cnn"][POINT] > 0.75)
)
print(
    "triplet_cnn, same place: shape wins 3 in 4 or more: ", bool(share["triplet_cnn"][PLACE] < 0.25)
)
for name in ("hog_lda", "pca_lda"):
    print(f"{name}, same place: shape wins 3 in 4 or more:     ", bool(share[name][PLACE] < 0.25))
print("palette, same point: colours win 3 in 4 or more:    ", bool(share["palette"][POINT] > 0.75))
moved = [float(share[n][POINT] - share[n][PLACE]) for n in ("arcface_cnn", "triplet_cnn")]
print("for both networks, the same point gives colours over a fifth more:", min(moved) > 0.2)

# %% [markdown]
# There is the paper's result, and its opposite, on the same pictures:
#
# - **Two recognisers of equal skill disagree about these pictures.** `arcface_cnn` and `triplet_cnn` have the same
#   layers, learned from the same people, and name strangers equally well. One follows colours, the other shape. To name
#   people as they *are*, either will do. A transfer is a picture that no training has shown them. They differ in their
#   loss and in the order of their lessons (`benchmarks/studies/recogniser.py`); what turned one to colours we have not
#   found out.
# - **Edges follow shape, palettes follow colours**, as they must. Neither tells anything about faces.
# - **From the same place to the same point** both networks move towards the colours' person. The albedo codes are the
#   same in both. What has been added is layout: C's hairline, C's brows, at C's places.
#
# Before you carry that home: these are four people, and we picked them for loud colours, so that you can tell them apart
# in small pictures. Write down what you would conclude about `arcface_cnn`. Section 8 asks thirty shapes and a gallery
# of a hundred.
#
# ## 6. Half a person
#
# How much does each half tell *alone*? We can switch one off. **Shape alone**: everybody in the same albedo. Then all
# of a row is one picture, whoever gave the colours. **Colours alone**: everybody's paint on the average head, which
# nobody has. And **without hair**: grey over it, in the probe and in the gallery.

# %%
nobody = surface_mesh(make_head(torch.zeros(64)), 5.0)  # the average head


def colours_alone(name):
    """(3, 64, 64, 3) the average head in somebody's colours."""
    head = make_head(torch.zeros(64), albedo=mixed_heads.person(name).albedo)
    with torch.no_grad():
        painted = replace(nobody, reflectance=head.reflectance(nobody.vertices))
    return photograph(painted, portrait_cameras(appearance.VIEWS))


plain = [pictures("A", whose, one_albedo=True) for whose in "AC"]
print("in one albedo, whose colours they were can't be seen:", torch.equal(*plain))
looks = {
    "as they are": {n: pictures(n, n) for n in PEOPLE},
    "shape alone": {n: pictures(n, n, one_albedo=True) for n in PEOPLE},
    "colours alone": {n: colours_alone(n) for n in PEOPLE},
    "hair masked": {n: pictures(n, n, hair=False) for n in PEOPLE},
}
style.show(
    figures.sheet({n: [look[n][0] for look in looks.values()] for n in PEOPLE}, list(looks)),
    alt="Four people in four columns: as they are; all in the same light brown skin and hair, with their shapes; the average head "
    "in each one's colours; and with the hair covered by grey.",
)

# %%
halves = ("as they are", "shape alone", "colours alone")
print(f"{'named rightly':>13}", *(f"{half:>14}" for half in halves))
for judge in judges:
    words = []
    for half in halves:
        shown = torch.cat(list(looks[half].values()))  # three of each person
        first = (judge.embed(shown)[0] @ judge.embed(known)[0].T).argmax(1)
        right = float((who[first] == who.repeat_interleave(3)).float().mean())
        words.append("over 3 in 4" if right > 0.75 else "under a half" if right < 0.5 else "some")
    print(f"{judge.name:>13}", *(f"{word:>14}" for word in words))
masked = {j.name: mixed_heads.asked(j, POINT, hair=False) for j in judges[:2]}
for name in ("arcface_cnn", "triplet_cnn"):
    fewer = share[name][POINT] - masked[name].radiance_nearer.float().mean()
    print(f"{name}: with hair masked, colours win less often: {bool(fewer > 0.1)}")

# %% [markdown]
# Among four people, **shape alone names them for each of the four shipped recognisers**; colours alone do for one
# network, and a little for others. So both halves carry identity here, and where they contradict each other somebody
# has to lose. That is all that a transfer experiment can show: *who loses the contradiction*. It does not show that
# the loser carried nothing. And with hair masked colours win less: the painted outline of somebody's hair did much of
# the work.
#
# Mind one thing about our recognisers. Half of the portraits that they learned from were whole, a quarter had masked
# hair, and a quarter came **in one albedo**. So they were taught that a person may turn up without their colours, and
# had a reason to look at shape. A recogniser that was trained on ordinary photographs has no such reason. It may well
# follow colours more, as the paper's did. But who attacks a release of shapes will train as *we* did.
#
# ## 7. Play
#
# Mix shape, colours and blend yourself; turn the head; take colours from the same place or from the same point. Find
# a pair for which the two networks agree. Where on the blend does `arcface_cnn` change its mind?

# %% tags=["nbval-ignore-output"]
widgets.panel(panel.picture, panel.controls())

# %% [markdown]
# For readers without a running kernel: the shape of B with none, half and all of D's colours, and once more with D's
# colours taken from the same point.

# %%
widgets.twin(panel.picture, panel.TWIN, columns=1)

# %%
for setting in panel.TWIN:
    found = panel.distances(**setting).items()
    nearest = [f"{name} {'B' if shape < colours else 'D'}" for name, (shape, colours) in found]
    print(f"blend {setting['blend']}, {setting['way']}: {', '.join(nearest)}")

# %% [markdown]
# A flat picture hides how little has changed. Turn this head with the mouse: the buttons repaint it, and not a vertex
# moves.

# %%
coarse = mixed_heads.body("B", 8.0)
mesh = Mesh(coarse.vertices.double().numpy(), coarse.faces.numpy())
painted = {
    f"B in {whose}'s colours": to_srgb(mixed_heads.colours("B", whose, spacing=8.0).clamp(0, 1))
    for whose in "BCD"
}
interactive.show(
    interactive.turning(dict.fromkeys(painted, mesh), {n: p.numpy() for n, p in painted.items()}),
    alt="The head of B in three dimensions, with buttons for the colours of B, C and D.",
)

# %%
stills = {f"{w}'s colours": pictures("B", w) for w in "BCD"}
style.show(
    figures.sheet(stills, ["front", "one side", "the other"]),
    alt="A still of the same: the head of B from three sides in its own colours, in C's and in D's.",
)

# %% [markdown]
# ## 8. The study, with intervals
#
# Four people are an illustration. The stored study (`python benchmarks/studies/tables.py appearance`) has thirty
# shapes, each in the colours of five others, from three sides, out of a gallery of a hundred; and trained fields of
# ten people, each in the colours of two others, by the same point and by the nearest surface point. *full-RGB shapes*
# were trained on unprotected pictures, as the paper's were. *our shapes* were reconstructed from protected ones: what
# somebody has who forges from a release.
#
# What is its interval? One picture hangs on *two* people. If a person is odd, all pictures with their shape and all
# with their colours are odd together. So draw **people** again, with replacement, and let a picture count as often as
# both of its people were drawn:
#
# $$w_n = k_{\text{shape}(n)} \cdot k_{\text{colours}(n)}, \qquad p = \frac{\sum_n w_n h_n}{\sum_n w_n},$$
#
# where $k_i$ is how often person $i$ came up and $h_n$ is 1 for a hit. The middle 95 % of such $p$ are the interval.
#
# ### Exercise 1003 (middle): pictures that hang on two people
#
# `hits`, `shape` and `colours` are (N,), the latter two whole numbers below P; `times` is (B, P), how often each
# person was drawn in each of B draws. Return the two ends. In small studies some draw may leave no picture at all:
# leave such draws out.


# %% tags=["exercise"]
def two_person_interval(hits, shape, colours, times):
    """The 2.5 and 97.5 percent quantiles of the share of hits over B draws of people."""
    ### BEGIN SOLUTION
    weights = times[:, shape] * times[:, colours]
    some = weights.sum(axis=1) > 0
    shares = (weights[some] @ hits) / weights[some].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return low, high
    ### END SOLUTION


# %%
checks.ex1003(two_person_interval)

# %%
said = answers["triplet_cnn"][POINT]
hits = said.radiance_nearer.double().numpy()
numbers = list(PEOPLE.values())
rows = [np.array([numbers.index(int(i)) for i in who]) for who in (said.geometry, said.radiance)]
low, high = two_person_interval(hits, *rows, draws(len(numbers), 2000, 0))
print("four people, triplet_cnn, same point: an interval wider than a third:", high - low > 1 / 3)
naive = 2 * 1.96 * (hits.mean() * (1 - hits.mean()) / len(hits)) ** 0.5
print("and wider than if the pictures were independent:", high - low > naive)

# %% [markdown]
# Thirty-six pictures look like a lot. They are four people. Now the study:

# %%
study = results.table("tables")["appearance"]
arms = [
    "generator",
    *(f"{shapes} shapes, {way}" for shapes in ("full-RGB", "our") for way in WAYS[1:]),
]
shares = {
    one.name: {arm: results.rate(study[one.name][arm]["radiance_nearer"]) for arm in arms}
    for one in shipped()
}
print(f"{'':>50} nearer to the colours' person")
for name, by_arm in shares.items():
    for arm, rate in by_arm.items():
        side = "colours" if rate.low > 0.5 else "shape" if rate.high < 0.5 else "undecided"
        print(f"{name:>11}, {arm:<38} {rate.percent()}: {side}")
figure, axes = style.grid(1, 1, width=9, height=6.5)
style.dots(
    axes[0][0],
    {"the paper's 6 of 6,\nas if independent": {"the paper": (1, *exact_interval(6, 6))}} | shares,
    xlabel="share of pictures nearer to the colours' person than to the shape's",
)
axes[0][0].axvline(0.5, color="0.4", lw=1, ls=":")
style.show(
    figure,
    alt="Rows for each recogniser and kind of transfer over the share of pictures nearer to the colours' person. On the generator "
    "all four lie left, under a fifth. On fields arcface_cnn lies right, triplet_cnn in the middle, the other two left, with "
    "wide bars. On top the paper's six of six with its wide bar.",
)

# %%
sheet = np.asarray(Image.open(RESULTS / "transfer.png").convert("RGB")) / 255
tiles = sheet.reshape(7, 64, 5, 64, 3).swapaxes(1, 2)
titles = ["gave the shape", "gave the colours", "front", "one side", "the other"]
style.show(
    style.images(tiles, titles, width=6),
    alt="Rows of five portraits: who gave the shape, who gave the colours, and the transfer from three sides; first rows from the "
    "generator, then from trained fields by the same point and by the nearest surface point, with hair painted on cheeks.",
)

# %% [markdown]
# *colours* means that the whole interval lies above one half, as the paper says; *shape* that it lies below;
# *undecided* that so many people can't tell. What do we see?
#
# **On the generator all four follow shape**, no interval comes near one half. Also `arcface_cnn`, which in section 5 had
# gone with colours in most pictures! Four people with loud colours had told us the wrong sign. Among people as they
# come, a stranger's skin is seldom that different. Had we stopped in section 5, we would have published it.
#
# **On trained fields the sides move.** By the same point the networks' intervals do not overlap with those of the
# generator, and `arcface_cnn` with the nearest surface point is on the side of colours, if only just. There is the
# paper's finding, in kind. The albedo is the same in both, so it can't be what makes the difference. A field adds
# what the generator's brush does not have: layout, and light that was baked into the colours. (The people differ,
# too: ten here, thirty there.) `triplet_cnn` can't be told from a coin, and edges and pixels lean to shape.
#
# **Where the shape is from hardly matters.** Shapes from protected pictures give the shares of full-RGB shapes. That is a
# compliment to the method of this course.
#
# And how often is somebody *named* among the hundred?

# %%
print(" " * 48 + "the shape's person  the colours' person")
for name in shares:
    for arm in arms[:2]:
        shape, colours = (
            results.rate(study[name][arm][f"named_{whose}"]).percent()
            for whose in ("geometry", "radiance")
        )
        print(f"{name:>11}, {arm:<35}{shape:<20}{colours}")

# %% [markdown]
# On the generator the shape's person is named in about half of all pictures, where chance is 1 %: somebody else's
# colours do not make anybody anonymous. On fields it is the colours' person whom the networks name more often, with
# intervals from a few per cent to two thirds. Ten people are few.
#
# ## 9. What if only the shape is released?
#
# Back to the person who trusts this method. Their release lets everybody reconstruct their *shape*; the colours stay
# at home. The paper's argument says: then nobody can forge them. Take head 7 and its reconstruction from protected
# pictures, and put yourself into the attacker's place.
#
# **First, throw the made-up colours away.** They are no use. Show the bare mesh, grey, in studio light. Or lend it
# *any* plausible skin, such as that of the mean of ten. Whom do the recognisers name, among A to D and head 7?

# %%
shown = {
    "field": fields["head 7, own colours"],
    "mesh": render_mesh(seven.mesh, cameras),
    "skin": fields["shape of 7,\ncolours of the ten"],
}
for judge in judges[:2]:
    nearest = {what: mixed_heads.to_five(judge, p).argmin(1) for what, p in shown.items()}
    field, mesh, skin = (int((who == 4).sum()) for who in nearest.values())
    print(
        f"{judge.name} names head 7 in {field} of 3 pictures of the field, {mesh} of 3 of the mesh;"
    )
    print(f"  in a borrowed skin more often than in its own colours: {skin > field}")

# %% [markdown]
# A triumph, it seems: the field in its own colours is not once named as head 7, and the grey mesh in every picture, by
# both networks. The made-up colours would be a mask that everybody may wipe off. But we have just learned something
# about small samples. Here is the stored study of ten people, eight pictures each, among a hundred (`python
# benchmarks/studies/tables.py table2`):

# %%
among = lab_runs.table2("rank1")
for kind in ("original", "rendered mesh", "our rendering"):
    rates = ", ".join(f"{name} {rate.percent()}" for name, rate in among[kind].items())
    print(f"{kind:>13}: {rates}")

# %% [markdown]
# Nothing is left of the triumph. Among a hundred people the networks name a grey mesh as good as never, and the field
# in its own colours more often: head 7 was an exception, or five people were no gallery. The paper has the same
# order, 6 % for meshes and 34 % for its renderings. So is the bare shape anonymous? Look at the other two. The weak
# recognisers, of edges and of pixels, name *more* grey meshes than the networks do, many times more than the 1 % of
# chance. The identity is in the mesh; a network that has never seen grey skin does not find it. One that learns on
# meshes is the next attack (`benchmarks/studies/artefact.py`).
#
# **Second, get the colours elsewhere.** "Your colours never left your device" holds for *this* release. But who has
# no photograph on the internet? One is enough to paint a mesh: look up each point of the mesh in the photograph.
#
# ### Exercise 1004 (hard): a photograph on a mesh
#
# A camera stands at $c$ with axes $R$ (right, down, forward; `c2w` is $[R \,|\, c]$). A point $x$ has in its frame
# the coordinates
#
# $$p = R^\top (x - c), \qquad (u, v, 1)^\top \sim K p ,$$
#
# and falls into column $\lfloor u \rfloor$ and row $\lfloor v \rfloor$. It is **seen** if that is inside of the
# picture, $p_z > 0$, and nothing is before it: `depth[row, column]` is how far the surface is there (along the axis,
# mm; 0 where there is no head), and $p_z$ may be at most 8 mm more. Return colours (N, 3), 0 where not seen, and a
# boolean (N,). Then, without a check, and worth the evening: fill what isn't seen from the other side of the face,
# since faces are nearly symmetric.


# %% tags=["exercise"]
def paint(points, picture, depth, K, c2w):
    """Colours (N, 3) that a photograph gives to points (N, 3), and which of them it sees (N,)."""
    ### BEGIN SOLUTION
    p = (points - c2w[:3, 3]) @ c2w[:3, :3]
    u, v = (p @ K.T)[:, :2].T / p[:, 2]
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    height, width = depth.shape
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (p[:, 2] > 0)
    column, row = column.clip(0, width - 1), row.clip(0, height - 1)
    seen &= (depth[row, column] > 0) & (p[:, 2] <= depth[row, column] + 8)
    return np.where(seen[:, None], picture[row, column], 0.0), seen
    ### END SOLUTION


# %%
checks.ex1004(paint)

# %%
photo, camera = mixed_heads.photo(), portrait_cameras(FRONT)  # any holiday picture
points = grey_surface(seven.mesh).vertices
depth = mixed_heads.depth_of(grey_surface(seven.mesh), camera)
given = (points, photo, depth, camera.K[0], camera.c2w[0])
mine = paint(*(a.double().numpy() for a in given))
theirs = mixed_heads.painted(points, photo, depth, camera)
agree = (torch.from_numpy(mine[1]) == theirs[1]).float().mean()
print("our paint is the package's, for over 99 % of the points:", bool(agree > 0.99))

# %%
of_b = pictures("B", "B", angles=FRONT)[0]
forged = {"truth": photograph(make_head(7), cameras)}
for name, picture in (("7", photo), ("B", of_b)):
    forged[f"released mesh,\none photo of {name}"] = mixed_heads.forged(seven.mesh, picture, camera)
style.show(
    figures.sheet(forged, ["front", "35 deg", "35 deg"]),
    alt="Three rows from three sides: head 7, dark skin and long grey hair; the released mesh with a photograph of head 7 painted on, "
    "much the same, with cheeks and hair smeared behind; the same mesh with a photograph of B, black fringe and red lips, "
    "the lips close under the nose.",
)

# %%
for judge in judges[:2]:
    true, ours = (
        mixed_heads.to_five(judge, forged[what][1:])[:, 4]
        for what in ("truth", "released mesh,\none photo of 7")
    )
    print(
        f"{judge.name}: from aside, within twice a true picture's distance: {bool((ours < 2 * true).all())}"
    )
    for name, number in (("7", 4), ("B", 1)):
        distance = mixed_heads.to_five(judge, forged[f"released mesh,\none photo of {name}"])
        others = distance[:, [k for k in range(5) if k != number]].min(1).values
        clear = bool((distance[:, number] < 0.75 * others).all())
        print(f"{judge.name}, a photo of {name}: by far nearest to {name}, from all sides: {clear}")

# %% [markdown]
# With one photograph of head 7, the released mesh becomes head 7 from sides that the photograph has never shown: as
# near to its gallery picture as twice the distance of a true portrait from there, or nearer. This time it is a
# distance that is compared, and no rank among five. With a photograph of B it is B to both networks, on head 7's
# bones: there is the paper's finding, and it is *right*. What makes a forgery is the texture. What does not follow is
# that the owner of the shape is safe, for a texture is the one thing that is easy to get. What a release adds for a
# forger is the other half: depth, profile, views from the side, in the right proportions. (We made it easy: the
# photograph's pose was known, its light the same. A real one has to be aligned first, which is daily business.)
#
# ## 10. Reading the claim again
#
# The claim, in our words: whoever lacks the face's own texture can't forge it well.
#
# **What holds.** With trained fields, a strong network takes the picture for the colours' person more often than for the
# shape's. A release of the shape alone does not put a finished portrait into anybody's hands.
#
# **What does not follow.** That identity *is* texture: with colours and no layout, all four recognisers follow the
# shape. That a shape without texture is anonymous: edges and pixels alone name some grey meshes among a hundred. That the
# texture can't be had: it can, from one photograph.
#
# **What was not tested, here or there.** Real faces at real resolution; recognisers trained for transfers; people who
# look. Our heads have no pores and few wrinkles, and the lab's recognisers were taught to see through colours.
#
# ## Now you, without a check
#
# 1. *Easy.* In the panel, find the blend at which `arcface_cnn` changes its mind, for three pairs. Is it nearer to 0
#    or to 1?
# 2. *Middle.* Build a recogniser of two, the mean of the vectors of `hog_lda` and `palette`. Can you set their
#    weights so that half of all transfers go to either side? What have you learned about faces by that?
# 3. *Middle.* Transfer only *part* of the albedo code: brows, lips, hair (`ALBEDO_NAMES` has the names). Which
#    entries move `arcface_cnn` most?
# 4. *Hard.* Align before you transfer: move C's field so that its 68 landmarks (`Head.landmarks`) come nearest to
#    A's, with a similarity, then with thin plate splines. How much of the "same point" effect is left?
#
# ## What to remember
#
# - A transfer needs a correspondence. A field's radiance carries its person's layout along, and layout is shape.
# - Features of one network mean nothing to another's: ask the radiance's own field, with the geometry's place and normal.
# - "Identity follows X" is a sentence about a recogniser. Try two of equal skill.
# - A contradiction shows who loses it, not that the loser knew nothing. Test each half alone.
# - Four people told us the wrong sign, and five the wrong order. Small samples don't only blur; they mislead.
# - Pictures of two people want an interval that draws both.
# - A shape without colours is not anonymous to all, and the colours are a photograph away.
#
# | what we claimed | which cell or test shows it |
# | --- | --- |
# | one's identity with another's albedo is the package's transfer | section 2, `tests/test_appearance.py` |
# | one Newton step reaches the other surface within half a millimetre | section 3, exercise 1001 |
# | by the same point, hair and brows are painted where the other has them | section 3, seen |
# | colours of a joined field are the radiance's own, at the geometry's place | section 4, `tests/test_appearance.py` |
# | two networks go to opposite sides on four people, and do not on thirty | sections 5 and 8; `tests/test_lesson_10.py` |
# | shape alone names four people for each shipped recogniser | section 6, `tests/test_lesson_10.py` |
# | on the generator all follow shape; on fields the networks move towards colours | section 8, stored; `tests/test_lesson_10.py` |
# | networks name few grey meshes among a hundred, edges and pixels some | section 9, stored; `tests/test_lesson_10.py` |
# | one photograph makes the released mesh its person | section 9, `tests/test_lesson_10.py` |
# | real faces, other recognisers | **not measured** |
#
# **Read on**: `privhead_nb/lab/appearance.py` joins two fields in a hundred lines; `benchmarks/studies/transfers.py`
# runs many; `privhead_nb/lab/attacks/radiance_refit.py` fits skins of others to a release, which is the attacker's
# next step. Xu et al., *Deformable model-driven neural rendering for high-fidelity 3D reconstruction of human heads
# under low-view settings* (2023), whose way to transfer the paper follows; O'Toole, Vetter and Blanz,
# *Three-dimensional shape and two-dimensional surface reflectance contributions to face recognition* (1999), who
# asked people instead of networks. [06, irreversibility](06_irreversibility.ipynb): what the moduli themselves tell.
# [08, templates](08_templates_and_few_views.ipynb): where the mean of ten comes from.

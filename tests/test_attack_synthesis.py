"""Claims about analysis by synthesis: it descends to the true code, and finds none in noise."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies import synthesis_bank, synthesis_render
from benchmarks.studies.guessed import rate_lines, recognised
from benchmarks.studies.synthesis_bank import see_colours, see_modulus
from benchmarks.studies.synthesis_codes import Codes, code_errors, face_distance
from benchmarks.studies.synthesis_fit import Fit, fit
from privhead_nb.errors import LabError
from privhead_nb.heads.head import Head, make_head
from privhead_nb.lab.attacks import decoder
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.camera import Cameras, facescape_rig

SPACING = 8.0
CENTER = (0.0, -20.0, -10.0)


def rig(views: int = 2, size: int = 32) -> Cameras:
    return facescape_rig(0, views, size=size, distance=885.0)[0]


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head(30_000)


@pytest.fixture(scope="module")
def mesh(head: Head) -> synthesis_render.Carried:
    return synthesis_render.carried(head, SPACING)


def test_the_gradient_is_that_of_differences(head: Head, mesh: synthesis_render.Carried) -> None:
    cameras = synthesis_bank.moved(rig(1), CENTER)
    seen = synthesis_render.splat(mesh, cameras)
    codes = Codes(("identity", "albedo", "light"))
    random = torch.Generator().manual_seed(1)
    start = codes.read(head).double()
    way = torch.randn(len(start), generator=random, dtype=torch.float64)
    weights = torch.randn(1, 32, 32, 3, generator=random, dtype=torch.float64)

    def value(code: Tensor) -> Tensor:
        other = codes.head(code)
        carried = synthesis_render.carry(mesh, other)
        return (weights * seen.pictures(synthesis_render.colours(carried, other, cameras))).sum()

    code = (0.9 * start).requires_grad_()
    (gradient,) = torch.autograd.grad(value(code), code)
    with torch.no_grad():
        far = (value(code + 1e-6 * way) - value(code - 1e-6 * way)) / 2e-6
    assert float(gradient @ way) == pytest.approx(float(far), rel=1e-3)


def test_a_carried_mesh_lies_on_the_other_head(head: Head, mesh: synthesis_render.Carried) -> None:
    other = dataclasses.replace(head, identity=(0.8 * head.identity))
    moved = synthesis_render.carry(mesh, other)
    before, after = other.sdf(mesh.vertices).abs(), other.sdf(moved.vertices).abs()
    assert float(after.mean()) < 0.4 * float(before.mean())
    cameras = synthesis_bank.moved(rig(1), CENTER)
    anew = synthesis_render.render(synthesis_render.carried(other, SPACING), other, cameras)
    stayed, went = (
        synthesis_render.render(m, h, cameras) for m, h in ((mesh, head), (moved, other))
    )
    assert float((went - anew).square().mean()) < 0.6 * float((stayed - anew).square().mean())


def test_a_head_is_no_distance_from_itself(head: Head) -> None:
    assert face_distance(head, head) < 0.1
    assert face_distance(make_head(30_001), head) > 0.5
    assert code_errors(head, head) == {"identity": 0.0, "albedo": 0.0}


def small_bank(views: int, see: synthesis_bank.See, codes: Codes) -> synthesis_bank.Bank:
    random = torch.Generator().manual_seed(0)
    width = see(torch.ones(views, 32, 32, 3)).shape[-1] * views * 16 * 16
    values = torch.randn(4, len(codes.mean), generator=random)
    seen = torch.randn(4, width, generator=random)
    return synthesis_bank.learn_bank(codes, values, seen, rig(views))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["modulus", "colours"])
def test_a_fit_from_a_near_code_comes_nearer_to_the_face(head: Head, what: str) -> None:
    """Colours are the positive control. Over three starts the face comes to 0.60 to 0.83 of its
    distance, the misfit to 0.29 to 0.75."""
    see = see_colours if what == "colours" else see_modulus(Operator())
    codes = Codes(("identity",))
    grey = codes.head(codes.read(head))
    cameras = synthesis_bank.moved(rig(), CENTER)
    target = see(synthesis_render.render(synthesis_render.carried(grey, SPACING), grey, cameras))
    random = torch.Generator().manual_seed(2)
    start = codes.clamped(codes.read(head) + 0.3 * torch.randn(64, generator=random))
    how = Fit(levels=(1,), views=2, spacing=SPACING, regressions=0, prior=1.0)
    bank = small_bank(2, see, codes)
    found = fit(target, rig(), CENTER, see, bank, how, start=start)
    assert found.misfit < 0.85 * found.history[0]
    assert face_distance(found.head, grey) < 0.9 * face_distance(codes.head(start), grey)
    assert found.card.data == "4 made heads of other people"


def test_nothing_explains_noise() -> None:
    """The null control: a modulus of nobody is not explained by any head."""
    see, codes = see_modulus(Operator()), Codes(("identity",))
    random = torch.Generator().manual_seed(3)
    target = see(torch.rand(2, 32, 32, 3, generator=random))
    how = Fit(levels=(), regressions=1, spacing=SPACING)
    assert fit(target, rig(), CENTER, see, small_bank(2, see, codes), how).explained < 0.05


def test_a_bank_learns_what_is_there_and_nothing_from_noise() -> None:
    random = torch.Generator().manual_seed(4)
    codes = Codes(("identity",))
    values = 2 * torch.rand(260, 64, generator=random) - 1
    seen = values @ torch.randn(64, 300, generator=random)
    seen = seen + 0.3 * torch.randn(seen.shape, generator=random)
    bank = synthesis_bank.learn_bank(codes, values[:200], seen[:200], rig())
    assert float(bank.explained.mean()) > 0.8
    off = torch.stack([bank.first(s) for s in seen[200:]]) - values[200:]
    held_out = 1 - float(off.square().mean() / values[200:].square().mean())
    assert held_out == pytest.approx(float(bank.explained.mean()), abs=0.1)
    noise = torch.randn(200, 300, generator=random)
    of_noise = synthesis_bank.learn_bank(codes, values[:200], noise, rig())
    assert float(of_noise.explained.mean()) < 0.05


def test_a_bank_renders_other_people() -> None:
    see, codes = see_modulus(Operator()), Codes(("identity", "albedo", "expression", "light"))
    code, seen = synthesis_bank.bank_row(30_003, rig(1), see, codes)
    assert code.shape == (125,) and seen.shape == (256,)
    assert torch.equal(code[:64], make_head(30_003).identity)
    assert codes.is_shape(0) and not codes.is_shape(64) and codes.is_shape(90)
    assert torch.equal(codes.read(codes.head(code)), code)


def test_what_does_not_fit_is_refused() -> None:
    see, codes = see_modulus(Operator()), Codes(("identity",))
    bank = small_bank(2, see, codes)
    target = torch.zeros(3, 32, 32, 1)
    for words, refuse in (
        ("views", lambda: fit(target, rig(), CENTER, see, bank)),
        ("another rig", lambda: fit(target, rig(3), CENTER, see, bank)),
        ("2 heads", lambda: synthesis_bank.learn_bank(codes, bank.values[:2], bank.seen, rig())),
        ("unknown parts", lambda: Codes(("albedo",))),
    ):
        with pytest.raises(LabError, match=words):
            refuse()


# The learned decoder ------------------------------------------------------------------------------


def toy_faces(people: range, size: int = 16) -> FaceDataset:
    """Three soft-coloured "portraits" a person in front of white."""
    pictures, turns = [], (-6.0, 0.0, 6.0)
    y, x = torch.meshgrid(*(2 * [torch.linspace(-1, 1, size)]), indexing="ij")
    for person in people:
        random = torch.Generator().manual_seed(person)
        knots = torch.rand(1, 3, 3, 3, generator=random)
        soft = F.interpolate(knots, size=(size, size), mode="bicubic")[0].movedim(0, -1)
        for turn in turns:
            oval = torch.sigmoid(8 * (0.8 - ((x - turn / 60) ** 2 + y**2).sqrt()))[..., None]
            pictures.append((1 - oval * (0.2 + 0.6 * soft.clamp(0, 1))).mul(255).byte())
    who = torch.tensor(list(people)).repeat_interleave(3)
    made = FaceDataset.of_pictures(who, torch.ones_like(who), torch.stack(pictures))
    return dataclasses.replace(made, yaw=torch.tensor(turns).repeat(len(people)))


def test_a_decoder_finds_people_it_never_saw_and_none_in_noise() -> None:
    learned = toy_faces(range(60))
    made, mean = decoder.learn(learned, components=30), learned.rgb().mean(0)
    others = toy_faces(range(100, 112))
    truth, operator = others.rgb()[1::3], Operator()
    who = others.identity[1::3]
    gallery = others.only(torch.arange(0, len(others), 3))
    judge = Recogniser("pixels", lambda x: (x - mean).flatten(1))
    how = decoder.Descent(steps=300)
    control, misfit = decoder.decode(made, operator, truth, how, colours=True)
    assert float(misfit.max()) < 0.1
    rates = recognised(control, who, gallery, [judge])["pixels"]
    assert rates["right"]["rank1"][0] > 0.9
    assert rates["shuffled"]["rank1"][0] <= 0.1
    attack = decoder.attack(made, judge, operator, how)
    assert attack.picture is not None
    moduli = operator.protect(truth)
    guess = attack.picture(moduli)
    off = (operator.modulus(guess) - moduli).square().mean()
    assert float(off) < 0.02 * float(moduli.square().mean())
    rates = recognised(guess, who, gallery, [judge])["pixels"]
    assert rates["right"]["rank1"][0] > 0.4 > 3 * rates["chance"]["rank1"]
    assert "pixels" in rate_lines("decoder", "modulus", {"pixels": rates})[0]
    random = torch.Generator().manual_seed(5)
    noise = operator.protect(torch.rand(2, 16, 16, 3, generator=random))
    assert float(decoder.decode(made, operator, noise, how)[1].min()) > 0.3
    assert attack.probe(moduli[:2]).shape == attack.enrol(truth[:2]).shape


def test_a_decoder_refuses_other_sizes_and_few_portraits() -> None:
    made, two = decoder.learn(toy_faces(range(8)), components=4), toy_faces(range(2))
    alone = two.only(two.identity == 0)
    for words, refuse in (
        ("16 x 16", lambda: decoder.decode(made, Operator(), torch.zeros(1, 32, 32))),
        ("3 portraits", lambda: decoder.learn(alone)),
        ("one person", lambda: recognised(alone.rgb(), alone.identity, two, [])),
    ):
        with pytest.raises(LabError, match=words):
            refuse()

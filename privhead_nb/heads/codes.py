"""The codes of a parametric head: what each number is called, and its range.

A head is four vectors. *Identity* (64) is shape that stays with a person, *albedo* (24) is colour
that stays with a person, *expression* (10) moves the face, *light* (27) holds spherical harmonics
(light.py). All but light live in [-1, 1]; 0 is the average head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.errors import SceneError, check_choice

GENERATOR_VERSION = 1
"""Changes whenever the same codes give another head; stored beside every figure made from heads."""

IDENTITY_NAMES: tuple[str, ...] = (
    # skull
    "skull_width", "skull_length", "skull_height", "forehead_width", "forehead_slope",
    "forehead_bulge", "occiput", "crown_peak", "temple_hollow",
    # face
    "midface_depth", "cheekbone_width", "cheekbone_height", "cheekbone_prominence",
    "cheek_fullness", "jaw_width", "jaw_angle", "jaw_line",
    # brow
    "brow_ridge", "brow_height", "brow_arch", "brow_tilt",
    # eyes
    "eye_size", "eye_spacing", "eye_depth", "eye_tilt", "eye_width",
    "upper_lid", "lower_lid", "lid_crease", "eye_bags",
    # nose
    "nose_length", "nose_width", "nose_bridge_width", "nose_bridge_height", "nose_tip_size",
    "nose_tip_lift", "nose_projection", "nostril_flare", "nose_hump",
    # mouth
    "philtrum_length", "philtrum_depth", "mouth_width", "mouth_protrusion", "upper_lip",
    "lower_lip", "cupid_bow",
    # chin
    "chin_width", "chin_height", "chin_protrusion", "chin_cleft",
    # ears
    "ear_size", "ear_angle", "ear_height",
    # neck
    "neck_width",
    # hair
    "hair_length", "hair_volume", "hairline_height", "hair_fringe", "hair_part", "hair_relief",
    "hair_curl", "hair_bun",
    # what is left and right
    "asymmetry_nose", "asymmetry_mouth",
)  # fmt: skip

EXPRESSION_NAMES: tuple[str, ...] = (
    "smile", "jaw_open", "brow_raise", "frown", "blink_left", "blink_right", "pout", "sneer",
    "mouth_shift", "cheek_puff",
)  # fmt: skip

ALBEDO_NAMES: tuple[str, ...] = (
    "skin_tone", "skin_undertone", "skin_saturation", "lip_redness", "lip_darkness",
    "brow_darkness", "brow_thickness", "brow_density", "iris_hue", "iris_lightness",
    "hair_lightness", "hair_redness", "hair_grey", "hair_contrast", "freckles", "moles", "stubble",
    "blush", "nose_redness", "eye_shadow", "texture_strength", "texture_scale",
    "texture_phase_a", "texture_phase_b",
)  # fmt: skip

Values = dict[str, Tensor]
"""A code with names: each entry is a 0-d tensor."""


def named_code(code: Tensor, names: tuple[str, ...], what: str) -> Values:
    """Check a code and give its numbers their names.

    Args:
        code: (len(names),) floating point, each in [-1, 1].
        names: the code's entries.
        what: how to call the code in an error.

    Raises:
        SceneError: wrong length, not a number, or out of [-1, 1].
    """
    if code.shape != (len(names),):
        raise SceneError(
            f"has shape {tuple(code.shape)}, not ({len(names)},)",
            where=f"{what} code",
            remedy=f"Give {len(names)} numbers; their names are in heads/codes.py.",
        )
    detached = code.detach()
    bad = ~(detached.abs() <= 1.0 + 1e-6)  # also true for NaN
    if bool(bad.any()):
        k = int(bad.nonzero()[0])
        raise SceneError(
            f"entry {k} ({names[k]}) is {float(detached[k]):g}, outside of [-1, 1]",
            where=f"{what} code",
            remedy="Clamp the code to [-1, 1].",
        )
    return dict(zip(names, code.unbind(), strict=True))


def code_from(names: tuple[str, ...], entries: dict[str, float]) -> Tensor:
    """A code that is 0 but for the named entries, as {"smile": 1.0} names them.

    Raises:
        SceneError: an entry has no such name.
    """
    code = torch.zeros(len(names))
    for name, value in entries.items():
        check_choice("name", name, names, where="head code", error=SceneError)
        code[names.index(name)] = value
    return code


def identity_codes(identity: int) -> tuple[Tensor, Tensor]:
    """The identity (64,) and albedo (24,) codes of person number `identity`.

    Every entry is uniform in [-1, 1], so people differ much; the one dependence is that dark skin
    makes light hair and irises rarer. The same number always gives the same person.

    Raises:
        SceneError: `identity` is negative or not an integer.
    """
    if isinstance(identity, bool) or not isinstance(identity, int) or identity < 0:
        raise SceneError(
            f"identity is {identity!r}", where="head", remedy="Give an integer of 0 or more."
        )
    generator = torch.Generator().manual_seed(7_919 * identity + 101)
    shape = torch.rand(len(IDENTITY_NAMES), generator=generator) * 2 - 1
    albedo = torch.rand(len(ALBEDO_NAMES), generator=generator) * 2 - 1
    tone = albedo[ALBEDO_NAMES.index("skin_tone")]
    for name, fall in (("hair_lightness", 1.1), ("iris_hue", 1.3)):
        entry = ALBEDO_NAMES.index(name)
        ceiling = 1.0 + fall * torch.clamp(tone, max=0.0)  # tone -1 is the darkest skin
        albedo[entry] = -1 + (albedo[entry] + 1) / 2 * (ceiling + 1)
    return shape, albedo

"""Checks of lesson 14: feature fusion, bits into a picture and out, a tag, an attack's controls."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from privhead_nb.deid.g2face.payload import NONCE, TAG, stream_of, tag_of, xor
from privhead_nb.teach.checks import Array, Function, Slip, check


def ex1401(yours: Function) -> None:
    """Eq. 7 and 8: (generated, original, hidden (N, C, H, W), logits_of) -> blended, mask."""
    random = torch.Generator().manual_seed(1401)
    cases = {}
    for count, width, side in ((1, 1, 1), (2, 3, 4), (1, 8, 6)):
        weight = torch.randn(3 * width, generator=random, dtype=torch.float64)
        three = torch.randn(3, count, width, side, side, generator=random, dtype=torch.float64)

        def logits_of(x: Tensor, weight: Tensor = weight) -> Tensor:
            return (x * weight[:, None, None]).sum(1, keepdim=True) + 0.3

        cases[f"features {count} x {width} x {side} x {side}"] = (*three, logits_of)
    slips: dict[str, Slip] = {
        "a mask lies between 0 and 1: eq. 7 ends with a sigmoid": ("torch.sigmoid", ""),
        "mask and 1 - mask have changed places":
            ("mask * generated + (1 - mask)", "(1 - mask) * generated + mask"),
        "where is what is to be hidden?": (" + hidden", ""),
        "side by side in the order generated, original, hidden":
            ("[generated, original,", "[original, generated,"),
    }  # fmt: skip
    check("ex1401", yours, _blend, cases, slips=slips)


def _blend(
    generated: Tensor, original: Tensor, hidden: Tensor, logits_of: Function
) -> tuple[Tensor, Tensor]:
    mask = torch.sigmoid(logits_of(torch.cat([generated, original, hidden], 1)))
    return mask * generated + (1 - mask) * original + hidden, mask


def ex1402(yours: Function) -> None:
    """Bits into a picture: (body (N, B), spare (N, S), order (3 B + S,)) -> (N, 3 B + S)."""

    def shuffled(body: Tensor, spare: Tensor, order: Tensor) -> Tensor:
        return _into_places(body, spare, torch.argsort(order))

    cases = {
        "two bits and one spare, in order": _bits(1, 2, 1, shuffle=False),
        "two bits and one spare": _bits(1, 2, 1),
        "a whole payload": _bits(3, 336, 16),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "three copies of the list, not of each bit: neighbours would fall together":
            ("repeat(1, 3)", "repeat_interleave(3, 1)"),
        "place j of the picture shows entry order[j] of the list; yours puts entry j at place "
        "order[j]": shuffled,
        "the spare bits stand at the end": ("body.repeat(1, 3), spare", "spare, body.repeat(1, 3)"),
        "the list is not in the picture's order yet": ("[:, order]", ""),
    }  # fmt: skip
    check("ex1402", yours, _into_places, cases, slips=slips)


def _into_places(body: Tensor, spare: Tensor, order: Tensor) -> Tensor:
    return torch.cat([body.repeat(1, 3), spare], 1)[:, order]


def ex1403(yours: Function) -> None:
    """The vote: (logits (N, L), order (L,), size) -> bits (N, size), of three copies."""
    cases = {}
    for name, (count, size, spare) in {
        "two dozen bits": (2, 24, 4),
        "a whole payload": (3, 336, 16),
    }.items():
        body, extra, order = _bits(count, size, spare)
        random = torch.Generator().manual_seed(size)
        sent = 2 * _into_places(body, extra, order) - 1
        logits = 3 * sent + 4 * torch.randn(sent.shape, generator=random)
        cases[name] = (logits, order, size)
    slips: dict[str, Slip] = {
        "each copy has one vote: count signs, or one loud copy outvotes two":
            ("(copies > 0).sum(1) >= 2", "copies.sum(1) > 0"),
        "put what you read back first: place j holds entry order[j]": ("torch.argsort(order)", ":"),
        "that shuffles once more; to undo it, assign to the places in order":
            ("torch.argsort(order)", "order"),
        "one vote is no majority: two of three": (">= 2", ">= 1"),
    }  # fmt: skip
    check("ex1403", yours, _vote, cases, slips=slips)


def _vote(logits: Tensor, order: Tensor, size: int) -> Tensor:
    copies = logits[:, torch.argsort(order)][:, : 3 * size].reshape(-1, 3, size)
    return ((copies > 0).sum(1) >= 2).float()


def ex1404(yours: Function) -> None:
    """Open a message: (told, key, stream, tag) -> (numbers (K,), right); else zeros, False."""
    slips: dict[str, Slip] = {
        "nothing may be shown that was not verified: zeros where the tag is wrong":
            ("numbers if right else np.zeros_like(numbers)", "numbers"),
        "a wrong key must not open it: compare the tags":
            ("sent == tag(key, nonce + cipher)", "True"),
        "the tag is over all that was sent before it: nonce and cipher": ("nonce + ", ""),
        "still enciphered: XOR with the stream of this nonce":
            ("xor(cipher, stream(key, nonce))", "cipher"),
    }  # fmt: skip
    check(
        "ex1404",
        yours,
        _opened,
        {name: (*message, stream_of, tag_of) for name, message in messages().items()},
        slips=slips,
    )


def _opened(told: bytes, key: bytes, stream: Function, tag: Function) -> tuple[Array, bool]:
    nonce, cipher, sent = told[:NONCE], told[NONCE:-TAG], told[-TAG:]
    numbers = np.frombuffer(xor(cipher, stream(key, nonce)), np.uint8)
    right = sent == tag(key, nonce + cipher)
    return (numbers if right else np.zeros_like(numbers)), right


def ex1405(yours: Function) -> None:
    """Hits and null: (probes (P, D), gallery (G, D), who (P,), names (G,)) -> two (P,)."""
    slips: dict[str, Slip] = {
        "compare directions: a long row of the gallery is nobody's nearest":
            ("a @ b.T", "probes @ gallery.T"),
        "a cosine is largest where two are alike": ("argmax", "argmin"),
        "that is a row of the gallery; names says whose it is":
            ("names[(a @ b.T).argmax(1)]", "(a @ b.T).argmax(1)"),
        "the next picture is often the same person's: shift people, not pictures":
            ("np.roll(people, -1)[np.searchsorted(people, who)]", "np.roll(who, -1)"),
    }  # fmt: skip
    check("ex1405", yours, _hits, pictures_of_people(), slips=slips)


def _bits(count: int, size: int, spare: int, shuffle: bool = True) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(7 * size + shuffle)
    body = torch.randint(2, (count, size), generator=random).float()
    body[:, 0], body[:, -1] = 1.0, 0.0  # so that no slip is right by chance
    extra = torch.ones(count, spare)
    total = 3 * size + spare
    order = torch.randperm(total, generator=random) if shuffle else torch.arange(total)
    return body, extra, order


def messages() -> dict[str, tuple[bytes, bytes]]:
    """A message under the right key, a wrong one, and with a byte changed at four places."""
    random = np.random.default_rng(1404)
    packed, nonce = random.bytes(32), b"\x05\x07"
    key, other = (hashlib.sha256(word).digest() for word in (b"one", b"two"))
    body = nonce + xor(packed, stream_of(key, nonce))
    sent = body + tag_of(key, body)

    places = {"the cipher": 9, "the nonce": 1, "the tag": len(sent) - 1}
    return {
        "the right key": (sent, key),
        "another key": (sent, other),
        **{
            f"a bit of {name} was changed": (bytes(x ^ (k == at) for k, x in enumerate(sent)), key)
            for name, at in places.items()
        },
    }


def pictures_of_people() -> dict[str, tuple[Array, ...]]:
    """Vectors of any length of people whose numbers have gaps, two pictures each, shuffled."""
    random = np.random.default_rng(1405)
    names = np.array([4, 1, 0, 7, 2, 5])
    gallery = random.normal(size=(6, 8))
    who = np.repeat(names[:5], 2)
    probes = np.repeat(gallery[:5], 2, 0) + 0.9 * random.normal(size=(10, 8))
    wrong = np.repeat(gallery[[3, 4, 1, 5, 1]], 2, 0) + 0.2 * random.normal(size=(10, 8))
    lengths = np.array([1.0, 9.0, 0.3, 2.0, 5.0, 0.5])[:, None]
    return {
        "two pictures of each": (probes, gallery, who, names),
        "a gallery of many lengths": (probes, gallery * lengths, who, names),
        "all are taken for others, three for the next": (wrong, gallery, who, names),
    }


def _hits(probes: Array, gallery: Array, who: Array, names: Array) -> tuple[Array, Array]:
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (probes, gallery))
    told, people = names[(a @ b.T).argmax(1)], np.unique(who)
    following = np.roll(people, -1)[np.searchsorted(people, who)]
    return 1.0 * (told == who), 1.0 * (told == following)

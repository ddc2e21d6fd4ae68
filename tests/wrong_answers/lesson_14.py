"""Lesson 14: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import numpy as np
import torch
from answers import spoiled

# 1401, the fusion ---------------------------------------------------------------------------------


def fusion(g, o, h, logits_of):
    logits = logits_of(torch.cat([g, o, h], 1))
    mask = torch.sigmoid(logits)
    return mask * g + (1 - mask) * o + h, mask


def as_lerp(generated, original, hidden, logits_of):
    """From the original towards the generated."""
    logits = logits_of(torch.cat((generated, original, hidden), dim=1))
    mask = 1 / (1 + torch.exp(-logits))
    return original + mask * (generated - original) + hidden, mask


# 1402, bits to their places -----------------------------------------------------------------------


def all_at_once(body, spare, order):
    return torch.cat([body.repeat(1, 3), spare], 1)[:, order]


def place_by_place(body, spare, order):
    listed = torch.cat([body, body, body, spare], 1)
    return torch.stack([listed[:, k] for k in order.tolist()], 1)


# 1403, the vote -----------------------------------------------------------------------------------


def vote(logits, order, size):
    copies = logits[:, torch.argsort(order)][:, : 3 * size].reshape(-1, 3, size)
    return ((copies > 0).sum(1) >= 2).float()


def by_median(logits, order, size):
    """The middle one of three has the majority's sign."""
    copies = logits[:, torch.argsort(order)][:, : 3 * size].reshape(-1, 3, size)
    return (copies.median(1).values > 0).int()


# 1404, open, or show nothing ----------------------------------------------------------------------


def by_arrays(told, key, stream_of, tag_of):
    """XOR of arrays, times whether the tag is right."""
    nonce, cipher = told[:2], told[2:-8]
    numbers = np.frombuffer(cipher, np.uint8) ^ np.frombuffer(stream_of(key, nonce), np.uint8)
    right = told[-8:] == tag_of(key, nonce + cipher)
    return right * numbers, right


# 1405, an attack with its null --------------------------------------------------------------------


def in_a_loop(probes, gallery, who, names):
    """One probe after the other."""
    known = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    told = [names[max(range(len(known)), key=lambda k: p @ known[k])] for p in probes]
    people = sorted(set(who.tolist()))
    other = [people[(people.index(one) + 1) % len(people)] for one in who]
    return 1.0 * (np.array(told) == who), 1.0 * (np.array(told) == other)


NEXT = "[people[(people.index(one) + 1) % len(people)] for one in who]"

WRONG = [
    *spoiled(
        "1401", fusion,
        ("torch.sigmoid(logits)", "logits", "ends with a sigmoid"),
        ("mask * g + (1 - mask) * o", "mask * o + (1 - mask) * g", "changed places"),
        ("mask * g + (1 - mask) * o + h", "mask * (g + h) + (1 - mask) * o",
         "outside of the mask"),
        (" + h", "", "where is what is to be hidden?"),
        ("(1 - mask) * o", "o", "add up to 1"),
        ("[g, o, h]", "[o, g, h]", "in the order generated"),
        ("[g, o, h], 1", "[g, o, h], 0", "has the shape"),
    ),
    *spoiled(
        "1402", all_at_once,
        ("repeat(1, 3)", "repeat_interleave(3, 1)", "copies of the list"),
        ("[:, order]", "[:, torch.argsort(order)]", "yours puts entry j"),
        ("body.repeat(1, 3), spare", "spare, body.repeat(1, 3)", "stand at the end"),
        ("[:, order]", "", "not in the picture's order"),
        (", spare], 1)[:, order]", "], 1)", "has the shape"),
    ),
    *spoiled(
        "1403", vote,
        ("(copies > 0).sum(1) >= 2", "copies.mean(1) > 0", "one vote"),
        ("torch.argsort(order)", ":", "put what you read back"),
        ("torch.argsort(order)", "order", "shuffles once more"),
        (">= 2", ">= 1", "no majority"),
        (">= 2", ">= 3", "are enough"),
        ("[:, : 3 * size]", "", "raises"),
    ),
    *spoiled(
        "1404", by_arrays,
        ("right * ", "", "nothing may be shown"),
        ("told[-8:] == tag_of(key, nonce + cipher)", "True", "must not open it"),
        ("nonce + cipher", "cipher", "nonce and cipher"),
        ("nonce + cipher", "nonce + numbers.tobytes()", "all that was sent"),
        (" ^ np.frombuffer(stream_of(key, nonce), np.uint8)", "", "still enciphered"),
        ("told[:2], told[2:-8]", "told[:1], told[1:-8]", "raises"),
    ),
    *spoiled(
        "1405", in_a_loop,
        (" / np.linalg.norm(gallery, axis=1, keepdims=True)", "", "compare directions"),
        ("max(", "min(", "largest where two are alike"),
        ("    told =", "    names = np.arange(len(names))\n    told =", "a row of the gallery"),
        (NEXT, "np.roll(who, -1)", "shift people, not pictures"),
        (NEXT, "who + 1", "need not be anybody"),
    ),
    ("1405", lambda *given: [hits.mean() for hits in in_a_loop(*given)], "has the shape"),
]  # fmt: skip

RIGHT = [
    ("1401", fusion),
    ("1401", as_lerp),
    ("1402", all_at_once),
    ("1402", place_by_place),
    ("1403", vote),
    ("1403", by_median),
    ("1404", by_arrays),
    ("1405", in_a_loop),
]

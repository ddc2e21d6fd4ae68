"""Lesson 14: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

# 1401, the fusion ---------------------------------------------------------------------------------


def blended(mask: Any, generated: Any, original: Any, hidden: Any) -> Any:
    return mask * generated + (1 - mask) * original + hidden, mask


def as_lerp(generated: Any, original: Any, hidden: Any, logits_of: Any) -> Any:
    """Right: from the original towards the generated."""
    logits = logits_of(torch.cat((generated, original, hidden), dim=1))
    mask = 1 / (1 + torch.exp(-logits))
    return original + mask * (generated - original) + hidden, mask


def no_sigmoid(generated: Any, original: Any, hidden: Any, logits_of: Any) -> Any:
    mask = logits_of(torch.cat([generated, original, hidden], 1))
    return blended(mask, generated, original, hidden)


def mask_of(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    return torch.sigmoid(logits_of(torch.cat([g, o, h], 1)))


def changed_places(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    return blended(mask_of(g, o, h, logits_of), o, g, h)


def hidden_in_the_mask(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    mask = mask_of(g, o, h, logits_of)
    return mask * (g + h) + (1 - mask) * o, mask


def hidden_forgotten(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    mask = mask_of(g, o, h, logits_of)
    return mask * g + (1 - mask) * o, mask


def original_whole(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    mask = mask_of(g, o, h, logits_of)
    return mask * g + o + h, mask


def another_order(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    return blended(torch.sigmoid(logits_of(torch.cat([o, g, h], 1))), g, o, h)


def side_by_side_in_rows(g: Any, o: Any, h: Any, logits_of: Any) -> Any:
    return blended(torch.sigmoid(logits_of(torch.cat([g, o, h], 0))), g, o, h)


# 1402, bits to their places -----------------------------------------------------------------------


def place_by_place(body: Any, spare: Any, order: Any) -> Any:
    """Right: a loop over places."""
    listed = torch.cat([body, body, body, spare], 1)
    return torch.stack([listed[:, k] for k in order.tolist()], 1)


def each_bit_thrice(body: Any, spare: Any, order: Any) -> Any:
    return torch.cat([body.repeat_interleave(3, 1), spare], 1)[:, order]


def order_undone(body: Any, spare: Any, order: Any) -> Any:
    return torch.cat([body.repeat(1, 3), spare], 1)[:, torch.argsort(order)]


def spare_first(body: Any, spare: Any, order: Any) -> Any:
    return torch.cat([spare, body.repeat(1, 3)], 1)[:, order]


def not_shuffled(body: Any, spare: Any, order: Any) -> Any:
    return torch.cat([body.repeat(1, 3), spare], 1)


def no_spare(body: Any, spare: Any, order: Any) -> Any:
    return body.repeat(1, 3)


# 1403, the vote -----------------------------------------------------------------------------------


def copies_of(logits: Any, order: Any, size: int) -> Any:
    return logits[:, torch.argsort(order)][:, : 3 * size].reshape(-1, 3, size)


def by_median(logits: Any, order: Any, size: int) -> Any:
    """Right: the middle one of three has the majority's sign."""
    return (copies_of(logits, order, size).median(1).values > 0).int()


def loudest(logits: Any, order: Any, size: int) -> Any:
    return (copies_of(logits, order, size).mean(1) > 0).float()


def order_forgotten(logits: Any, order: Any, size: int) -> Any:
    return ((logits[:, : 3 * size].reshape(-1, 3, size) > 0).sum(1) > 1.5).float()


def shuffled_again(logits: Any, order: Any, size: int) -> Any:
    return order_forgotten(logits[:, order], order, size)


def any_of_them(logits: Any, order: Any, size: int) -> Any:
    return (copies_of(logits, order, size) > 0).any(1).float()


def all_of_them(logits: Any, order: Any, size: int) -> Any:
    return (copies_of(logits, order, size) > 0).all(1).float()


def with_the_spare(logits: Any, order: Any, size: int) -> Any:
    return (logits[:, torch.argsort(order)].reshape(-1, 3, size) > 0).sum(1) >= 2


# 1404, open, or show nothing ----------------------------------------------------------------------


def numbers(cipher: bytes, stream: bytes) -> Any:
    return np.frombuffer(cipher, np.uint8) ^ np.frombuffer(stream, np.uint8)


def by_arrays(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    """Right: XOR of arrays, times whether the tag is right."""
    right = told[-8:] == tag_of(key, told[:-8])
    return right * numbers(told[2:-8], stream_of(key, told[:2])), right


def shown_all_the_same(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    return numbers(told[2:-8], stream_of(key, told[:2])), told[-8:] == tag_of(key, told[:-8])


def never_compared(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    return numbers(told[2:-8], stream_of(key, told[:2])), True


def without_nonce(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    right = told[-8:] == tag_of(key, told[2:-8])
    return right * numbers(told[2:-8], stream_of(key, told[:2])), right


def over_the_plain(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    plain = numbers(told[2:-8], stream_of(key, told[:2]))
    right = told[-8:] == tag_of(key, told[:2] + plain.tobytes())
    return right * plain, right


def still_enciphered(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    right = told[-8:] == tag_of(key, told[:-8])
    return right * np.frombuffer(told[2:-8], np.uint8), right


def nonce_is_a_byte(told: bytes, key: bytes, stream_of: Any, tag_of: Any) -> Any:
    return numbers(told[1:-8], stream_of(key, told[:1])), True


# 1405, an attack with its null --------------------------------------------------------------------


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def named(probes: Any, gallery: Any, names: Any) -> Any:
    return names[np.argmax(unit(probes) @ unit(gallery).T, axis=1)]


def next_person(who: Any) -> Any:
    people = sorted(set(who.tolist()))
    return np.array([people[(people.index(one) + 1) % len(people)] for one in who])


def scored(told: Any, who: Any, other: Any) -> Any:
    return (told == who).astype(float), (told == other).astype(float)


def in_a_loop(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    """Right: one probe after the other."""
    told = [names[max(range(len(gallery)), key=lambda k: p @ unit(gallery)[k])] for p in probes]
    return scored(np.array(told), who, next_person(who))


def any_length(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    return scored(names[(probes @ gallery.T).argmax(1)], who, next_person(who))


def farthest(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    return scored(named(-probes, gallery, names), who, next_person(who))


def row_for_name(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    return scored(named(probes, gallery, np.arange(len(names))), who, next_person(who))


def next_picture(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    return scored(named(probes, gallery, names), who, np.roll(who, -1))


def next_number(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    return scored(named(probes, gallery, names), who, who + 1)


def shares(probes: Any, gallery: Any, who: Any, names: Any) -> Any:
    one, two = in_a_loop(probes, gallery, who, names)
    return one.mean(), two.mean()


WRONG = [
    ("1401", no_sigmoid, "ends with a sigmoid"),
    ("1401", changed_places, "changed places"),
    ("1401", hidden_in_the_mask, "outside of the mask"),
    ("1401", hidden_forgotten, "where is what is to be hidden?"),
    ("1401", original_whole, "add up to 1"),
    ("1401", another_order, "in the order generated"),
    ("1401", side_by_side_in_rows, "has the shape"),
    ("1402", each_bit_thrice, "copies of the list"),
    ("1402", order_undone, "yours puts entry j"),
    ("1402", spare_first, "stand at the end"),
    ("1402", not_shuffled, "not in the picture's order"),
    ("1402", no_spare, "has the shape"),
    ("1403", loudest, "one vote"),
    ("1403", order_forgotten, "put what you read back"),
    ("1403", shuffled_again, "shuffles once more"),
    ("1403", any_of_them, "no majority"),
    ("1403", all_of_them, "are enough"),
    ("1403", with_the_spare, "raises"),
    ("1404", shown_all_the_same, "nothing may be shown"),
    ("1404", never_compared, "must not open it"),
    ("1404", without_nonce, "nonce and cipher"),
    ("1404", over_the_plain, "all that was sent"),
    ("1404", still_enciphered, "still enciphered"),
    ("1404", nonce_is_a_byte, "raises"),
    ("1405", any_length, "compare directions"),
    ("1405", farthest, "largest where two are alike"),
    ("1405", row_for_name, "a row of the gallery"),
    ("1405", next_picture, "shift people, not pictures"),
    ("1405", next_number, "need not be anybody"),
    ("1405", shares, "has the shape"),
]

RIGHT = [
    ("1401", as_lerp),
    ("1402", place_by_place),
    ("1403", by_median),
    ("1404", by_arrays),
    ("1405", in_a_loop),
]

"""What is hidden in an anonymised picture: 1,024 bits, the paper's 0.25 bit a pixel.

The paper hides 512 floats of 32 bits in 256 x 256 pixels as they are. One wrong bit then may be any
number, and nothing says whether what is read was ever written. Here

    identity   64 numbers of 4 bits: steps of 0.05, which keep a cosine of 0.99
    nonce      16 bits
    tag        64 bits of HMAC-SHA256 over both: without the right one nothing is recovered

are 336 bits, each written three times and read by majority. A key enciphers the identity and makes
the tag. Without a passphrase the key is public, so that anyone who has the extractor can read
the password, as in the paper; with one it comes from scrypt.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError

BITS = 1024
COPIES = 3
LEVELS, STEP = 16, 0.05
"""Of an identity's number: from -0.375 to 0.375."""
NONCE, TAG = 2, 8  # bytes
_PUBLIC = hashlib.sha256(b"privhead g2face: no passphrase").digest()
_SALT = b"privhead g2face"


def coarse(identity: Tensor) -> Tensor:
    """Identities (N, 64) as the payload keeps them, of unit length again."""
    return F.normalize(_value(_level(identity)), dim=1)


def written(identity: Tensor, random: torch.Generator, passphrase: str | None = None) -> Tensor:
    """Bits (N, 1024), float 0 and 1, that hide identities (N, 64)."""
    key = key_of(passphrase)
    rows = []
    for levels in _level(identity).tolist():
        nonce = bytes(torch.randint(256, (NONCE,), generator=random).tolist())
        packed = bytes(16 * a + b for a, b in zip(levels[::2], levels[1::2], strict=True))
        body = nonce + xor(packed, stream_of(key, nonce))
        rows.append(_bits(body + tag_of(key, body)))
    bits = torch.tensor(rows, dtype=torch.float32).repeat(1, COPIES)
    spare = torch.randint(2, (len(bits), BITS - bits.shape[1]), generator=random)
    return torch.cat([bits, spare.to(bits)], 1)[:, _order()]


def read(bits: Tensor, passphrase: str | None = None) -> tuple[Tensor, list[bool]]:
    """Identities (N, 64) of unit length out of bits (N, 1024), and whether each tag is right.

    Args:
        bits: 0 and 1, or logits, of which the sign counts; copies are added up before.
    """
    key, plain = key_of(passphrase), bits if bits.min() < 0 else 2 * bits - 1
    apart = torch.empty_like(plain)
    apart[:, _order()] = plain
    size = 8 * (NONCE + 32 + TAG)
    votes = apart[:, : COPIES * size].reshape(-1, COPIES, size).sign().sum(1) > 0
    levels, right = [], []
    for row in votes.int().tolist():
        told = _bytes(row)
        body, tag = told[:-TAG], told[-TAG:]
        right.append(hmac.compare_digest(tag, tag_of(key, body)))
        packed = xor(body[NONCE:], stream_of(key, body[:NONCE]))
        levels.append([n for byte in packed for n in (byte >> 4, byte & 15)])
    return F.normalize(_value(torch.tensor(levels)), dim=1), right


@lru_cache(maxsize=8)
def key_of(passphrase: str | None) -> bytes:
    """32 bytes: of scrypt (n = 2^14, r = 8, p = 1), or the public ones.

    Raises:
        LabError: the passphrase is empty, which would lock nothing.
    """
    if passphrase is None:
        return _PUBLIC
    if not passphrase:
        raise LabError("is empty", where="passphrase", remedy="Give one, or leave it out.")
    said = passphrase.encode("utf-8")
    return hashlib.scrypt(said, salt=_SALT, n=2**14, r=8, p=1, maxmem=64_000_000, dklen=32)


def _level(identity: Tensor) -> Tensor:
    return (identity / STEP + LEVELS / 2 - 0.5).round().clamp(0, LEVELS - 1).long()


def _value(level: Tensor) -> Tensor:
    return STEP * (level.float() + 0.5 - LEVELS / 2)


def stream_of(key: bytes, nonce: bytes) -> bytes:
    """32 bytes that a key makes of a nonce."""
    return hmac.digest(key, b"stream" + nonce, "sha256")


def tag_of(key: bytes, body: bytes) -> bytes:
    """The first 8 bytes of HMAC-SHA256 of nonce and cipher."""
    return hmac.digest(key, b"tag" + body, "sha256")[:TAG]


def xor(data: bytes, stream: bytes) -> bytes:
    """Data enciphered by a stream of as many bytes; the same call deciphers."""
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def _bits(data: bytes) -> list[int]:
    return [byte >> k & 1 for byte in data for k in range(7, -1, -1)]


def _bytes(bits: list[int]) -> bytes:
    eights = (bits[k : k + 8] for k in range(0, len(bits), 8))
    return bytes(sum(bit << (7 - k) for k, bit in enumerate(eight)) for eight in eights)


@lru_cache(maxsize=1)
def _order() -> Tensor:
    """Where each bit goes: copies of one are far from each other in the picture."""
    return torch.randperm(BITS, generator=torch.Generator().manual_seed(1024))

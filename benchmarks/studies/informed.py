"""Train the informed attackers on moduli that ship with the package.

    python benchmarks/studies/informed.py        both: about 15 minutes on a core

`attacker_any` learned all settings of the study, `attacker_sobel64` goes on at the paper's default.
Both are the study's own (`privhead study privacy`), kept in out/lab (PRIVHEAD_LAB), where its jobs
find them again.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.recogniser import save
from privhead_nb import resources
from privhead_nb.lab import faces
from privhead_nb.lab.picture_jobs import FULL, many, shared
from privhead_nb.lab.recognisers.learn import protecting, train_network
from privhead_nb.lab.settings import DEFAULT, setting

COMMAND = "python benchmarks/studies/informed.py"


def main() -> None:
    """Train what is missing, store both."""
    folder = str(faces.cache_folder() / "picture_attacks")
    network = shared("any", FULL, folder)
    learned = many(FULL)
    facts = {
        "note": f"{len(learned)} portraits of {len(learned.identity.unique())} made people, "
        "and the codes of their heads; it began as arcface_cnn",
        "command": COMMAND,
        "seed": FULL.any.seed,
    }
    save("attacker_any", network, facts, resources.WEIGHTS / "attacker_any.safetensors")
    protect = protecting(*setting(DEFAULT))
    one = train_network(learned, FULL.at_one, protect=protect, start=network, progress=True)
    save("attacker_sobel64", one, facts, resources.WEIGHTS / "attacker_sobel64.safetensors")


if __name__ == "__main__":
    main()

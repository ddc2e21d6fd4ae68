"""The people that recognisers learn from: the group "recogniser"."""

from __future__ import annotations

from privhead_nb.lab import albums
from privhead_nb.lab.albums import Album

MUCH_OF, LITTLE_OF = 400, 1200


def learning_album(
    much_of: int = MUCH_OF,
    little_of: int = LITTLE_OF,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> Album:
    """Portraits of the first people of the group: 12 of each of `much_of`, then 6 of each other."""
    folder = albums.cache_folder()
    everyone = albums.people("recogniser", much_of + little_of)
    much, little = everyone[:much_of], everyone[much_of:]
    return albums.join(
        [
            albums.make_album(
                much, albums.LEARNING, folder=folder, workers=workers, progress=progress
            ).views(),
            albums.make_album(
                little, albums.MANY, folder=folder, workers=workers, progress=progress
            ),
        ]
    )

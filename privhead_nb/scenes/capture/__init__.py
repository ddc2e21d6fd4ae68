"""Own photographs and films become a scene: one file a step.

`photographs` and `film` read, `poses` places the cameras, `frame` finds up, front and scale,
`hull` and `masks` cut the head out, `roles` says which views show the face, `write` writes the
scene. They know nothing of detectors: what those see comes in as numbers (`privhead_nb.capture`
calls them, and runs the steps in order).
"""

"""Own photographs or a film become a scene: one file a step, and `run` calls them in order.

`photographs` and `film` read, `matching` and `poses` place the cameras, `faces` asks the detectors,
`frame` finds up, front and scale, `hull` and `masks` cut the head out, `roles` says which views
show the face, `write` writes the scene, `report` and `page` what is said of it. `kept` keeps
finished steps.
"""

"""From own photographs or a film to a scene: the steps of `scenes.capture`, with face detectors."""

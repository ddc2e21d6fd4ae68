"""Privacy-aware 3D head reconstruction: Scene -> protect -> Release -> reconstruct -> evaluate.

Names are loaded when they are first used, so that `privhead --help` need not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from privhead_nb.threads import wait_briefly

if TYPE_CHECKING:
    from privhead_nb.geometry.mesh import Mesh as Mesh
    from privhead_nb.geometry.metrics import evaluate as evaluate
    from privhead_nb.heads.synthetic import synthetic_scene as synthetic_scene
    from privhead_nb.privacy.operators import Operator as Operator
    from privhead_nb.privacy.protect import protect as protect
    from privhead_nb.privacy.release import Release as Release
    from privhead_nb.scenes.folder import load_scene as load_scene
    from privhead_nb.scenes.scene import Scene as Scene
    from privhead_nb.training.make_template import make_template as make_template
    from privhead_nb.training.profiles import PROFILES as PROFILES
    from privhead_nb.training.reconstruction import Reconstruction as Reconstruction
    from privhead_nb.training.template import Template as Template
    from privhead_nb.training.two_stage import reconstruct as reconstruct
    from privhead_nb.training.two_stage import reconstruct_full_rgb as reconstruct_full_rgb

__version__ = "0.1.0"

wait_briefly()  # before anything here loads PyTorch

_HOME = {
    "Mesh": "geometry.mesh",
    "Operator": "privacy.operators",
    "PROFILES": "training.profiles",
    "Reconstruction": "training.reconstruction",
    "Release": "privacy.release",
    "Scene": "scenes.scene",
    "Template": "training.template",
    "evaluate": "geometry.metrics",
    "load_scene": "scenes.folder",
    "make_template": "training.make_template",
    "protect": "privacy.protect",
    "reconstruct": "training.two_stage",
    "reconstruct_full_rgb": "training.two_stage",
    "synthetic_scene": "heads.synthetic",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'privhead_nb' has no attribute {name!r}")
    value = getattr(import_module(f"privhead_nb.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

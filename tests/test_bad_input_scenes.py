"""Bad scenes are refused with the file, the field and the remedy, and cost no memory."""

import cv2
import numpy as np
import pytest
from refusals import (
    enlarged,
    own_peak,
    picture,
    refused,
    traced_peak,
)

from privhead_nb.errors import SceneError
from privhead_nb.scenes import folder as scene_folder
from privhead_nb.scenes import images
from privhead_nb.scenes.folder import load_scene

# Memory


def test_huge_pictures_are_refused_and_memory_stays_flat(ball_folder):
    huge = np.zeros((20_000, 20_000), np.uint8)  # less than a megabyte on disk
    cv2.imwrite(str(ball_folder / "image" / "img_0000.png"), huge)
    refused(lambda: load_scene(ball_folder), "img_0000.png", "too large", "limit is 64 million")
    imports = "from privhead_nb.errors import SceneError; from privhead_nb import load_scene"
    code = "with contextlib.suppress(SceneError): load_scene(sys.argv[1])"
    before, after = own_peak(imports, code, ball_folder)
    # Modules that are imported late take some; decoding would take 400 MB (a byte a pixel).
    assert after - before < 100e6


def test_pictures_just_above_the_limit_are_refused(tmp_path):
    path = picture(tmp_path / "a.png", (100, 101), "1")
    assert images.image_size(path, max_pixels=10_100) == (100, 101)
    for read in (images.read_image, images.read_mask, images.image_size):
        with pytest.raises(SceneError, match="too large"):
            read(path, max_pixels=10_099)


def test_a_scene_of_too_many_pixels_loads_at_a_smaller_size(ball_folder, monkeypatch):
    monkeypatch.setattr(scene_folder, "MAX_SCENE_PIXELS", 6 * 20 * 20)
    words = ["6 views of 32 x 32", "load_scene(folder, size=512)", "open_scene(folder)"]
    refused(lambda: load_scene(ball_folder), *words)
    assert load_scene(ball_folder, size=16).cameras.width == 16


def test_loading_at_a_size_holds_one_picture_at_a_time(ball, tmp_path):
    side = 768
    enlarged(ball, side // 32).save(tmp_path / "big")
    peak = traced_peak(lambda: load_scene(tmp_path / "big", size=32))
    assert peak < 4 * side * side * 4 * 4  # four float pictures with their masks

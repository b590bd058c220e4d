"""Where the parts of a body lie beside its joints."""

from __future__ import annotations

import numpy as np

from dreamactor_cli.renderers.geometry.body_skeleton import head_distance, skeleton_of
from tests.renderers.geometry.figures import HEIGHT, WIDTH, figure


def test_a_bowed_head_ends_at_its_ears_and_takes_the_collar_along() -> None:
    """Nose and mouth below the ears: the crown is above them, and the back beside the head is none of it."""
    face = {0: (120.0, 126.0), 7: (132.0, 114.0), 8: (108.0, 114.0), 9: (124.0, 128.0), 10: (116.0, 128.0)}
    body = figure(face).reference.controls.body
    skeleton = skeleton_of(body, None, 0, WIDTH, HEIGHT)
    metre = skeleton.scale
    ears, mouth = np.array([120.0, 114.0]), np.array([120.0, 128.0])
    crown, collar = ears - [0, 0.15 * metre], mouth + [0, 0.06 * metre]
    back = ears + np.array([[1.0, 0.0], [-1.0, 0.0]]) * 0.1 * metre
    off = head_distance(np.array([ears, mouth, crown, collar, *back]), skeleton)
    assert (off[:4] < 0).all()
    assert (off[4:] > 0.01).all()

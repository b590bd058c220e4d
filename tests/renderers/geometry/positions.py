"""Maps of a drawn layer, turned back to what a test can look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.raster import DrawnLayer
from dreamactor_cli.renderers.geometry.texture import Texture


def picture_positions(drawn: DrawnLayer, texture: Texture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where in the picture each pixel of the layer's part comes from, px, x and y (h, w)."""
    origin, one = texture.positions(np.array([[0.0, 0.0], [1.0, 1.0]]))
    x, y = ((drawn.grid.enlarge(drawn.maps[k]) - origin[k]) / (one - origin)[k] for k in range(2))
    return x, y

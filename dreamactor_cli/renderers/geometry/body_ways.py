"""Where arms end and the torso begins, by ways through the picture on which an edge is a hill (Bai and Sapiro 2007).

A sleeve that hangs beside a torso of the same cloth is as near to one as to the other. What parts them is a fold, and a way
from the torso to the sleeve has to cross it, while one from the sleeve's own bone has not.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.graph import MCP_Geometric

from dreamactor_cli.renderers.geometry.body_skeleton import CORE

Array = NDArray[np.float64]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

HILL = 6.0  # what a way pays on an edge, against 1 on a plain
STEEP = 90.0  # percentile of the person's gradients that counts as an edge
CLIFF = 1.5  # steeper than so many edges is no dearer
SMOOTH = 1.0  # px of the working size
BONE = 0.3  # limbs' radii about an arm's bone from where its ways begin
APART = 0.9  # limbs' radii from every arm, from where on the torso's do


def by_ways(reach: Array, image: U8, person: Mask, units: Mapping[int, float], inside: float) -> Array:
    """How near the parts are, in limbs' radii, (12, h, w): arms farther than the torso where it is nearer by ways.

    Args:
        reach: how near they are as the crow flies, (12, h, w).
        image: RGB, (h, w, 3).
        person: where it shows the person, (h, w).
        units: px of a limb's radius, of the arms that are there and of the torso.
        inside: how near the torso is within its outline.
    """
    arms = [part for part in units if part != CORE]
    begun = {part: person & (reach[part] < BONE) for part in arms}
    torso = person & (reach[CORE] <= inside) & (np.min(reach[arms], axis=0, initial=np.inf) > APART)
    out = reach.copy()
    if not torso.any():
        return out
    steps = _steps(image, person)
    to_torso = inside + _ways(steps, torso) / units[CORE]
    for part in (part for part in arms if begun[part].any()):
        to_arm = BONE + _ways(steps, begun[part]) / units[part]
        behind = np.full(person.shape, -np.inf)
        np.subtract(to_arm, to_torso, out=behind, where=np.isfinite(to_arm) & np.isfinite(to_torso))
        out[part] = np.maximum(reach[part], reach[CORE] + behind)
    return out


def _ways(steps: Array, begun: Mask) -> Array:
    """Length of the shortest ways, (h, w) px on a plain; infinite where none leads."""
    return np.asarray(MCP_Geometric(steps).find_costs(np.argwhere(begun))[0])


def _steps(image: U8, person: Mask) -> Array:
    """What a step on each pixel costs, (h, w): 1 on a plain, more on edges; -1 where nobody is."""
    smooth = cv2.GaussianBlur(image, (0, 0), SMOOTH).astype(np.float32)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    edge = np.sqrt((across**2 + down**2).sum(2))
    steps = 1 + HILL * np.minimum(edge / max(float(np.percentile(edge[person], STEEP)), 1e-6), CLIFF)
    return np.where(person, steps, -1.0)

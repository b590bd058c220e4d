"""What the layers of a body's parts show: rims, ends beyond the border, and which parts there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_layers import PartLayer, _across, lies_across, part_layers
from dreamactor_cli.renderers.geometry.body_order import depth_order
from dreamactor_cli.renderers.geometry.body_skeleton import CORE, JOINTS, PARTS, skeleton_of, with_points
from dreamactor_cli.renderers.geometry.body_split import split
from dreamactor_cli.renderers.geometry.layers import Layers

from .figures import COLORS, HEIGHT, PX_PER_METRE, THICKNESS, WIDTH, Figure, figure

U8 = NDArray[np.uint8]


def _layers(image: U8, shown: Figure) -> dict[int, PartLayer]:
    """Layers of the parts of a figure's picture."""
    reference, body = shown.reference, shown.reference.controls.body
    assert body is not None
    order = depth_order(range(len(PARTS)), with_points(body.joints_3d[0].astype(np.float64)))
    skeleton = skeleton_of(body, None, 0, WIDTH, HEIGHT)
    alpha = np.rint(255 * reference.matte[0]).astype(np.uint8)
    cut = split(image, reference.matte[0], skeleton, order)
    return part_layers(Layers(color=image, alpha=alpha, background=image, empty=image), cut, skeleton, order)


@pytest.mark.parametrize(("share", "cut"), [(0.3, False), (1.0, True)])
def test_strands_that_touch_the_border_are_not_cut_by_it(share: float, cut: bool) -> None:
    """Mirrored above it, what is below them would be a second head."""
    standing = figure()
    image, matte = standing.reference.images[0].copy(), standing.reference.matte[0].copy()
    image[:40, 105:135] = COLORS["head"]
    matte[:40, 105:135] = np.maximum(matte[:40, 105:135], share)
    hairy = replace(standing, reference=replace(standing.reference, images=image[None], matte=matte[None]))
    assert _layers(image, hairy)[CORE].cover[0].any() == cut


def test_a_thin_limb_goes_on_as_a_round_end_beyond_its_elbow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(THICKNESS, "left_arm", 9)
    bent = figure({13: (196.0, 120.0), 15: (196.0, 70.0), 17: (197.0, 56.0), 19: (196.0, 54.0), 21: (194.0, 58.0)})
    layer = _layers(bent.reference.images[0], bent)[PARTS.index("left_upper_arm")]
    x0, y0 = layer.box[:2]
    assert layer.image[120 - y0, 196 - x0, 3] > 200
    stump = layer.image[106 - y0 : 111 - y0, 198 - x0 : 202 - x0, 3]  # would stick out when the elbow bends down
    assert stump.mean() < 100


def test_a_limb_that_the_border_cuts_goes_on_as_it_is_there() -> None:
    out = figure({13: (200.0, 140.0), 15: (236.0, 140.0), 17: (252.0, 138.0), 19: (252.0, 142.0), 21: (248.0, 146.0)})
    image = out.reference.images[0].copy()
    image[:, WIDTH - 14 : WIDTH - 8] = 0  # a watch band
    layer = _layers(image, out)[PARTS.index("left_forearm")]
    assert layer.box[2] > WIDTH + 20
    beyond = layer.image[140 - layer.box[1], WIDTH - layer.box[0] :][:20]
    assert beyond[:, 3].min() > 200
    assert np.abs(beyond[:, :3].astype(float) - np.array(COLORS["left_arm"])).max() < 45


def test_a_hand_that_the_border_cuts_is_a_mitten() -> None:
    """The gap between two fingers is no stripe over its whole length, and it ends where fingers do."""
    out = figure({13: (180.0, 140.0), 15: (216.0, 140.0), 17: (232.0, 138.0), 19: (232.0, 142.0), 21: (228.0, 146.0)})
    image = out.reference.images[0].copy()
    image[139:141, WIDTH - 6 :] = 0
    layer = _layers(image, out)[PARTS.index("left_forearm")]
    row, border = 140 - layer.box[1], WIDTH - layer.box[0]
    tips = round(216 + 1.9 * 16) - layer.box[0]
    assert border < tips - 2
    assert layer.image[row, tips - 2, 3] > 200
    assert layer.image[row, tips + round(0.05 * PX_PER_METRE) + 2, 3] == 0
    near, far = (np.abs(layer.image[row, at, :3] - np.array(COLORS["left_arm"])).max() for at in (border - 3, tips - 2))
    assert far < 0.5 * near


def test_arms_that_hang_beside_closed_legs_make_no_skirt() -> None:
    legs = {
        23: (133, 190),
        24: (107, 190),
        25: (132, 256),
        26: (108, 256),
        27: (132, 318),
        28: (108, 318),
        31: (140, 330),
        32: (100, 330),
    }
    arms = {13: (160, 150), 15: (158, 206), 17: (157, 222), 19: (156, 224), 21: (154, 218)}
    arms |= {14: (80, 150), 16: (82, 206), 18: (83, 222), 20: (84, 224), 22: (86, 218)}
    attention = figure({joint: (float(x), float(y)) for joint, (x, y) in (legs | arms).items()})
    parts = _layers(attention.reference.images[0], attention)
    assert {PARTS.index("left_thigh"), PARTS.index("right_thigh")} <= set(parts)


@pytest.mark.parametrize("off", [-7, 0, 7])
def test_the_middle_of_a_limb_is_told_though_its_bone_lies_beside_it(off: int) -> None:
    limb = np.zeros((200, 120), bool)
    limb[20:180, 50:71] = True  # its middle is column 60
    limb[20:60, 30:91] = True  # further up it is much wider
    x, y, half = _across(limb, np.array([60.0 + off, 110.0]), np.array([0.0, 1.0]), 15)
    assert (x, y) == (60, 110)
    assert half == pytest.approx(10.5, abs=1)


def test_of_a_limb_that_is_nowhere_near_its_joint_nothing_is_shared() -> None:
    limb = np.zeros((200, 120), bool)
    assert _across(limb, np.array([60.0, 110.0]), np.array([0.0, 1.0]), 15)[2] == 0
    assert _across(limb, np.array([-400.0, 900.0]), np.array([0.0, 1.0]), 15)[2] == 0


def test_of_limbs_that_lie_across_the_spine_a_torso_shows_less() -> None:
    """What it shows of an arm that is stretched out sideways is a lump beside one that hangs."""
    body = figure({13: (196.0, 104.0), 25: (190.0, 215.0)}).reference.controls.body
    assert body is not None
    skeleton = skeleton_of(body, None, 0, WIDTH, HEIGHT)
    joints = {joint.point: joint for joint in JOINTS if CORE in joint.parts}
    assert [point for point, joint in joints.items() if lies_across(joint, skeleton)] == [11, 23]

"""A drawn figure in motion: what a limb shows, hides and uncovers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Hands, Preset, Reference, RenderSettings
from dreamactor_cli.renderers.geometry.body import BodyActor
from dreamactor_cli.renderers.geometry.body_layers import PartLayer
from dreamactor_cli.renderers.geometry.body_order import depth_order
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONE_INDEX,
    CORE,
    HAND_PARTS,
    HEAD_PART,
    PARTS,
    skeleton_of,
    with_points,
)
from dreamactor_cli.renderers.geometry.body_split import _hem, connected
from dreamactor_cli.renderers.geometry.body_view import _part, draw_part
from dreamactor_cli.renderers.geometry.portrait import channels, lay_layer
from dreamactor_cli.renderers.geometry.renderer import GeometryRenderer

from .figures import COLORS, HEIGHT, PX_PER_METRE, WIDTH, Figure, draw, figure

U8 = NDArray[np.uint8]
RAISED = {13: (196.0, 66.0), 15: (206.0, 22.0), 17: (207.0, 8.0), 19: (206.0, 6.0), 21: (204.0, 10.0)}
ACROSS = {13: (172.0, 140.0), 15: (118.0, 150.0), 17: (103.0, 152.0), 19: (101.0, 150.0), 21: (104.0, 147.0)}


@pytest.fixture(scope="module")
def standing() -> Figure:
    """Arms away from the body."""
    return figure()


@pytest.fixture(scope="module")
def actor(standing: Figure) -> BodyActor:
    """Of the standing figure."""
    return BodyActor(standing.reference)


def _psnr(a: U8, b: U8) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-9)))


def _near(color: NDArray[np.generic], name: str, by: float = 45) -> bool:
    return bool(np.abs(color.astype(float) - np.array(COLORS[name])).max() < by)


def _share(frame: U8, name: str) -> float:
    """How many pixels have a limb's colour."""
    return float((np.abs(frame[..., :3].astype(float) - np.array(COLORS[name])).max(2) < 30).sum())


def test_a_still_body_is_the_picture(standing: Figure, actor: BodyActor) -> None:
    drawn = actor.draw(standing.reference.controls, 0, False)
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    assert _psnr(drawn, standing.reference.images[0]) >= 45


def test_a_body_that_is_not_to_move_is_the_picture(standing: Figure, actor: BodyActor) -> None:
    still = replace(standing.reference.controls, body=None)
    assert _psnr(actor.draw(still, 0, False), standing.reference.images[0]) >= 45


def test_a_bowed_head_is_none_of_the_chest() -> None:
    """It lies before the chest; raised, all of it comes along, and the chest that it hid stays as it is."""
    bowed = figure({0: (120.0, 126.0), 7: (132.0, 114.0), 8: (108.0, 114.0), **dict.fromkeys(range(1, 7), (120.0, 118.0))})
    actor = BodyActor(bowed.reference)
    raised = bowed.posed({k: (float(x), float(y) - 40) for k, (x, y) in enumerate(bowed.joints[:11])})
    places, before = (actor.moved(controls, 0)[0] for controls in (raised, bowed.reference.controls))
    moved = {part: places[part] - before[part] for part in (CORE, HEAD_PART)}
    np.testing.assert_allclose(moved[HEAD_PART], np.tile([0, -40], (len(moved[HEAD_PART]), 1)), atol=1)
    assert np.abs(moved[CORE]).max() < 1
    order = actor.draw_order(raised, 0)
    assert order.index(HEAD_PART) == order.index(CORE) + 1
    drawn = actor.draw(raised, 0, False)
    assert _near(drawn[118, 120], "torso")


def test_a_head_with_a_face_is_never_taken_for_a_bowed_one() -> None:
    bowed = figure({0: (120.0, 126.0), 7: (132.0, 114.0), 8: (108.0, 114.0)}).reference
    body = bowed.controls.body
    assert body is not None
    assert skeleton_of(body, None, 0, WIDTH, HEIGHT).bowed
    assert not skeleton_of(body, None, 0, WIDTH, HEIGHT, face=True).bowed


def test_a_raised_arm_leaves_nothing_behind(standing: Figure, actor: BodyActor) -> None:
    drawn = actor.draw(standing.posed(RAISED), 0, False)
    truth, _ = draw(standing.joints_with(RAISED))
    assert _near(drawn[88, 178], "left_arm")  # the upper arm
    assert _near(drawn[44, 201], "left_arm")  # the forearm
    background = standing.reference.images[0][192, 225].astype(float)
    assert np.abs(drawn[192, 196].astype(float) - background).max() < 12  # where the wrist was
    assert _psnr(drawn, truth) > _psnr(standing.reference.images[0], truth) + 4
    assert _share(drawn, "right_arm") == pytest.approx(_share(truth, "right_arm"), rel=0.05)


def test_no_cracks_open(standing: Figure, actor: BodyActor) -> None:
    bent = RAISED | {25: (150.0, 240.0), 27: (190.0, 290.0), 29: (192.0, 298.0), 31: (206.0, 300.0)}
    alpha = actor.draw(standing.posed(bent), 0, True)[..., 3]
    person = (alpha > 127).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(1 - person, connectivity=4)
    small = [stats[k, cv2.CC_STAT_AREA] for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] < 200]
    assert sum(small) <= 0.005 * person.sum()


def test_alpha_over_the_plate_is_the_frame(standing: Figure, actor: BodyActor) -> None:
    controls = standing.posed(RAISED)
    frame, layer = actor.draw(controls, 0, False), actor.draw(controls, 0, True).astype(float)
    plate = channels(actor.backdrop.canvas(actor.moved(controls, 0)[0]))[..., :3]
    share = layer[..., 3:] / 255
    np.testing.assert_allclose(layer[..., :3] * share + plate * (1 - share), frame, atol=3)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_nothing_does_not_hide_something_where_a_part_folds(order: tuple[int, int]) -> None:
    """The left half of a part shows red, the right half nothing; folded onto each other, they show red."""
    image = np.zeros((40, 80, 4), np.uint8)
    image[:, :40] = (200, 0, 0, 255)
    nodes = np.array([[2, 2], [36, 2], [36, 38], [2, 38], [44, 2], [78, 2], [78, 38], [44, 38]], np.float64)
    halves = [[[0, 1, 2], [0, 2, 3]], [[4, 5, 6], [4, 6, 7]]]
    triangles = np.array(halves[order[0]] + halves[order[1]], np.int32)
    part = _part(PartLayer(image=image, box=(0, 0, 80, 40), cover=image[..., 3] > 0, seen=1.0), nodes, triangles)
    folded = np.concatenate([nodes[:4], nodes[:4]])
    canvas = np.zeros((40, 80), np.uint32)
    lay_layer(canvas, draw_part(part, folded, part.triangles, 80, 40), part.texture)
    assert channels(canvas)[5:35, 5:33].min((0, 1)).tolist() == [200, 0, 0, 255]


@pytest.mark.parametrize(("depth", "arm_in_front"), [(-0.2, True), (0.4, False)])
def test_what_is_nearer_is_drawn_on_top(standing: Figure, actor: BodyActor, depth: float, arm_in_front: bool) -> None:
    deep = dict.fromkeys((13, 15, 17, 19, 21), depth)
    drawn = actor.draw(standing.posed(ACROSS, deep), 0, False)
    assert _near(drawn[147, 128], "left_arm" if arm_in_front else "torso")


def test_the_torso_goes_on_below_an_arm() -> None:
    folded = figure(ACROSS, depth=dict.fromkeys((13, 15, 17, 19, 21), -0.2))
    actor = BodyActor(folded.reference)
    assert _psnr(actor.draw(folded.reference.controls, 0, False), folded.reference.images[0]) >= 45
    drawn = actor.draw(folded.posed(RAISED, dict.fromkeys((13, 15, 17, 19, 21), -0.2)), 0, False)
    assert _near(drawn[147, 125], "torso")


def test_a_wide_torso_goes_on_below_an_arm_that_hangs_along_it() -> None:
    hanging = {13: (166.0, 148.0), 15: (168.0, 196.0), 17: (169.0, 210.0), 19: (168.0, 212.0), 21: (166.0, 208.0)}
    hanging |= {23: (138.0, 230.0), 24: (102.0, 230.0), 25: (144.0, 276.0), 26: (96.0, 276.0)}
    slim = figure(hanging)
    image, matte = slim.reference.images[0].copy(), slim.reference.matte[0].copy()
    arm = np.abs(image.astype(float) - np.array(COLORS["left_arm"])).max(2) < 60
    pullover = np.zeros(matte.shape, bool)
    pullover[110:200, 140:164] = True
    image[pullover & ~arm], matte[pullover] = COLORS["torso"], 1.0
    actor = BodyActor(replace(slim.reference, images=image[None], matte=matte[None]))
    drawn = actor.draw(slim.posed(RAISED), 0, False)
    assert _near(drawn[180, 161], "torso")  # its side was hidden
    background = slim.reference.images[0][180, 200]
    assert np.abs(drawn[180, 176].astype(float) - background).max() < 30  # and it is no wider than that


def test_a_torso_ends_where_the_picture_shows_nobody_before_an_arm() -> None:
    hanging = {13: (156.0, 148.0), 15: (157.0, 196.0), 17: (158.0, 210.0), 19: (157.0, 212.0), 21: (155.0, 208.0)}
    slim = figure(hanging)
    image, matte = slim.reference.images[0].copy(), slim.reference.matte[0].copy()
    arm = np.abs(image.astype(float) - np.array(COLORS["left_arm"])).max(2) < 60
    gap = np.zeros(matte.shape, bool)
    gap[135:190, 140:147] = True
    image[gap & ~arm], matte[gap & ~arm] = (176, 176, 168), 0
    actor = BodyActor(replace(slim.reference, images=image[None], matte=matte[None]))
    drawn = actor.draw(slim.posed(RAISED), 0, False)
    assert not _share(drawn[150:185, 148:156], "torso")


def test_a_skirt_stays_in_one_piece() -> None:
    dressed = figure(skirt=True)
    actor = BodyActor(dressed.reference)
    stride = {25: (176.0, 250.0), 27: (192.0, 308.0), 29: (190.0, 316.0), 31: (204.0, 322.0)}
    drawn = actor.draw(dressed.posed(stride), 0, True)
    cloth = (np.abs(drawn[..., :3].astype(float) - np.array(COLORS["skirt"])).max(2) < 40) & (drawn[..., 3] > 127)
    count, _, stats, _ = cv2.connectedComponentsWithStats(cloth.astype(np.uint8))
    areas = sorted((stats[k, cv2.CC_STAT_AREA] for k in range(1, count)), reverse=True)
    assert areas[0] > 0.97 * sum(areas)
    assert "left_thigh" not in {PARTS[part] for part in actor.draw_order(dressed.reference.controls, 0)}


@pytest.mark.parametrize(("wide", "hem"), [
    ([1.15, 1.23, 1.24, 1.19, 1.14, 0.81, 0.75, 0.76], True),  # a pleated skirt of a dancer
    ([1.24, 1.11, 0.99, 0.90, 0.85, 0.80, 0.78, 0.75], False),  # trousers
    ([1.36, 1.36, 1.01, 1.13, 1.01, 0.95, 0.95, 0.95], False),  # a suit
])  # fmt: skip
def test_where_cloth_ends_above_bare_legs_is_a_hem(wide: list[float], hem: bool) -> None:
    assert _hem(np.array(wide), np.ones(8)) == hem


@pytest.mark.parametrize("skirt", [True, False])
def test_a_short_skirt_over_closed_legs_is_no_trousers(skirt: bool) -> None:
    closed = {25: (128.0, 256.0), 26: (112.0, 256.0), 27: (128.0, 318.0), 28: (112.0, 318.0)}
    bare = figure(closed | {29: (126.0, 326.0), 30: (114.0, 326.0), 31: (134.0, 332.0), 32: (106.0, 332.0)})
    image, matte = bare.reference.images[0].copy(), bare.reference.matte[0].copy()
    if skirt:
        cloth = np.zeros(matte.shape, np.uint8)
        cv2.fillPoly(cloth, [np.array([[142, 196], [98, 196], [84, 228], [156, 228]], np.int32)], 1)
        image[cloth > 0], matte[cloth > 0] = COLORS["skirt"], 1.0
    actor = BodyActor(replace(bare.reference, images=image[None], matte=matte[None]))
    parts = {PARTS[part] for part in actor.draw_order(bare.reference.controls, 0)}
    assert ("left_thigh" in parts) != skirt


def test_a_hidden_limb_is_the_other_side_s() -> None:
    # The left arm lies behind the back: its bones are guessed, its pixels are the torso's.
    behind = {13: (140.0, 140.0), 15: (122.0, 170.0), 17: (118.0, 176.0), 19: (116.0, 176.0), 21: (118.0, 174.0)}
    guessed = dict.fromkeys((15, 17, 19, 21), 0.4) | {13: 0.6}
    one_armed = figure(behind, hidden=("left_arm",), scores=guessed, depth=dict.fromkeys((13, 15, 17, 19, 21), 0.3))
    actor = BodyActor(one_armed.reference)
    assert _psnr(actor.draw(one_armed.reference.controls, 0, False), one_armed.reference.images[0]) > 30
    drawn = actor.draw(one_armed.posed(RAISED, dict.fromkeys((13, 15, 17, 19, 21), -0.2)), 0, False)
    assert _near(drawn[44, 201], "right_arm")


def test_a_limb_comes_from_the_picture_that_shows_it() -> None:
    behind = {13: (140.0, 140.0), 15: (122.0, 170.0), 17: (118.0, 176.0), 19: (116.0, 176.0), 21: (118.0, 174.0)}
    guessed = dict.fromkeys((15, 17, 19, 21), 0.4) | {13: 0.6}
    first = figure(behind, hidden=("left_arm",), scores=guessed, depth=dict.fromkeys((13, 15, 17, 19, 21), 0.3)).reference
    second = figure().reference
    bodies = [r.controls.body for r in (first, second)]
    body = replace(bodies[0], **{n: np.concatenate([b.arrays()[n] for b in bodies]) for n in bodies[0].SHAPES})
    both = Reference(
        images=np.concatenate([first.images, second.images]), matte=np.concatenate([first.matte, second.matte]),
        controls=replace(first.controls, num_frames=2, body=body),
    )  # fmt: skip
    drawn = BodyActor(both).draw(figure().posed(RAISED, dict.fromkeys((13, 15, 17, 19, 21), -0.2)), 0, False)
    assert _near(drawn[44, 201], "left_arm")


def test_a_body_that_comes_nearer_grows(standing: Figure, actor: BodyActor) -> None:
    body = standing.reference.controls.body
    assert body is not None
    middle = np.array([WIDTH / 2, 190], np.float32)
    near = replace(
        body, joints_2d=(body.joints_2d - middle) * np.float32(0.7) + middle, joints_3d=body.joints_3d * np.float32(0.7)
    )
    before = actor.draw(standing.reference.controls, 0, True)[..., 3].sum(dtype=float)
    after = actor.draw(replace(standing.reference.controls, body=near), 0, True)[..., 3].sum(dtype=float)
    assert after / before == pytest.approx(0.49, rel=0.08)


def test_a_foreshortened_arm_keeps_its_width(standing: Figure, actor: BodyActor) -> None:
    short = {13: (164.0, 124.0), 15: (172.0, 140.0), 17: (176.0, 146.0), 19: (175.0, 147.0), 21: (173.0, 145.0)}
    drawn = actor.draw(standing.posed(short, dict.fromkeys((13, 15, 17, 19, 21), -0.3)), 0, False)
    assert _share(drawn, "left_arm") < 0.75 * _share(standing.reference.images[0], "left_arm")
    assert _near(drawn[125, 164], "left_arm")


def test_a_turn_beyond_the_limit_is_told_once(standing: Figure) -> None:
    body = standing.reference.controls.body
    assert body is not None
    frames = 40
    angle = np.linspace(0, np.radians(80), frames)
    space = np.repeat(body.joints_3d, frames, 0)
    x = space[..., 0].copy()
    space[..., 0], space[..., 2] = x * np.cos(angle)[:, None], x * np.sin(angle)[:, None]
    flat = (space[..., :2] * PX_PER_METRE + standing.joints[[23, 24]].mean(0)).astype(np.float32)
    turning = replace(body, joints_2d=flat, joints_3d=space.astype(np.float32), score=np.repeat(body.score, frames, 0))
    told: list[str] = []
    settings = RenderSettings(width=WIDTH, height=HEIGHT, preset=Preset(), warn=told.append)
    controls = replace(standing.reference.controls, num_frames=frames, body=turning)
    drawn = list(GeometryRenderer(1).render(standing.reference, controls, settings))
    assert len(drawn) == frames
    assert len(told) == 1
    assert "35 degrees" in told[0]
    wide = [float((np.abs(f[0, 150].astype(float) - np.array(COLORS["torso"])).max(1) < 45).sum()) for f in (drawn[0], drawn[-1])]
    assert wide[1] > 0.45 * wide[0]  # held, behind an arm, and not squeezed to a line


def _open_hand() -> tuple[Figure, NDArray[np.float32]]:
    """A figure whose left hand is a disc with five fingers, and its joints (21, 2) px."""
    wrist = np.array([196.0, 192.0])
    joints = np.zeros((21, 2))
    joints[0] = wrist
    for finger, angle in enumerate(np.radians([150, 120, 95, 70, 45])):
        direction = np.array([np.cos(angle), np.sin(angle)])
        for k, distance in enumerate((18, 28, 36, 44)):
            joints[1 + 4 * finger + k] = wrist + distance * direction
    hands = Hands(
        joints_2d=np.stack([joints, np.zeros((21, 2))])[None].astype(np.float32),
        joints_3d=np.zeros((1, 2, 21, 3), np.float32), score=np.array([[0.9, 0.0]], np.float32),
    )  # fmt: skip
    made = figure({17: (193.0, 210.0), 19: (199.0, 210.0)}, hands=hands)
    image, matte = made.reference.images[0].copy(), (made.reference.matte[0] * 255).astype(np.uint8)
    hand = np.zeros_like(matte)
    cv2.circle(hand, (196, 200), 12, 255, -1, cv2.LINE_AA)
    for finger in range(5):
        ends = np.rint(joints[[0, 4 + 4 * finger]]).astype(np.int32)
        cv2.line(hand, tuple(ends[0].tolist()), tuple(ends[1].tolist()), 255, 6, cv2.LINE_AA)
    soft = (hand / 255.0)[..., None]
    image = np.rint(image * (1 - soft) + np.array(COLORS["left_arm"]) * soft).astype(np.uint8)
    reference = replace(made.reference, images=image[None], matte=(np.maximum(matte, hand) / 255).astype(np.float32)[None])
    return Figure(reference=reference, joints=made.joints), joints.astype(np.float32)


def test_a_finger_bends_alone() -> None:
    made, joints = _open_hand()
    actor = BodyActor(made.reference)
    still = actor.draw(made.reference.controls, 0, False)
    assert _psnr(still, made.reference.images[0]) >= 45
    bent = joints.copy()
    bent[18:21] = joints[17] + (joints[17] - joints[18:21]) * 0.3  # the little finger folds back
    hands = made.reference.controls.hands
    assert hands is not None
    moved = hands.joints_2d.copy()
    moved[0, 0] = bent
    drawn = actor.draw(replace(made.reference.controls, hands=replace(hands, joints_2d=moved)), 0, False)
    tips = np.rint(joints[[8, 12, 20]]).astype(int)
    assert all(_near(drawn[y, x], "left_arm") for x, y in tips[:2])
    assert not _near(drawn[tips[2, 1], tips[2, 0]], "left_arm")


def test_a_hand_in_a_pocket_is_the_other_one_mirrored() -> None:
    """The picture at rest shows none; a raised arm has one, and what is seen of it in the picture is no hand."""
    made, _ = _open_hand()
    hands = made.reference.controls.hands
    assert hands is not None
    image = made.reference.images[0].copy()
    hand = np.all(np.abs(image.astype(int) - COLORS["left_arm"]) < 60, axis=2) & (np.mgrid[:HEIGHT, :WIDTH][0] > 194)
    image[hand] = COLORS["head"]  # bare; the right arm ends in its sleeve
    reference = replace(made.reference, images=image[None])
    actor = BodyActor(reference)
    right = HAND_PARTS[1]
    assert right not in actor.draw_order(reference.controls, 0)
    up = {14: (44.0, 66.0), 16: (34.0, 22.0), 18: (33.0, 8.0), 20: (34.0, 6.0), 22: (36.0, 10.0)}
    raised = replace(made.posed(up, dict.fromkeys((14, 16, 18, 20, 22), -0.2)), hands=hands)
    assert right in actor.draw_order(raised, 0)
    drawn = actor.draw(raised, 0, False)
    assert _near(drawn[14, 34], "head")
    lower = {16: (34.0, 110.0), 14: (44.0, 66.0), 18: (33.0, 125.0), 20: (34.0, 127.0), 22: (36.0, 124.0)}
    places, _ = actor.moved(replace(made.posed(lower), hands=hands), 0)
    fingers = places[right]
    assert np.ptp(fingers, axis=0).min() > 30  # as large as the other
    assert np.abs(np.median(fingers, axis=0) - (34, 125)).max() < 20


def _clasped() -> Figure:
    """A figure whose right hand lies before the left one, of which the network of hands sees the right hand again."""
    arms = {
        13: (176.0, 150.0), 15: (122.0, 150.0), 17: (106.0, 152.0), 19: (106.0, 148.0), 21: (108.0, 146.0),
        14: (64.0, 150.0), 16: (118.0, 150.0), 18: (134.0, 152.0), 20: (134.0, 148.0), 22: (132.0, 146.0),
    }  # fmt: skip
    hand = np.zeros((21, 2), np.float32)
    hand[0] = 118.0, 150.0
    for finger in range(5):
        for k in range(4):
            hand[1 + 4 * finger + k] = 136 + 9 * k, 150 + 4 * (finger - 2)
    hands = Hands(
        joints_2d=np.stack([hand, hand + 1])[None], joints_3d=np.zeros((1, 2, 21, 3), np.float32),
        score=np.array([[0.9, 0.9]], np.float32),
    )  # fmt: skip
    made = figure(arms, hands=hands)
    image = made.reference.images[0].copy()
    cv2.fillConvexPoly(image, cv2.convexHull(np.rint(hand).astype(np.int32)), COLORS["head"])
    return Figure(reference=replace(made.reference, images=image[None]), joints=made.joints)


def test_a_hand_behind_the_other_is_that_one_mirrored_once_its_arm_moves() -> None:
    """With its forearm, of which the picture shows little; at rest what it shows is drawn."""
    made = _clasped()
    actor = BodyActor(made.reference)
    forearm, hand = PARTS.index("left_forearm"), HAND_PARTS[0]
    controls = made.reference.controls
    order = actor.draw_order(controls, 0)
    assert forearm in order
    assert hand not in order
    assert _psnr(actor.draw(controls, 0, False), made.reference.images[0]) >= 40
    assert _near(actor.draw(controls, 0, False)[150, 168], "left_arm")
    up = {13: (196.0, 120.0), 15: (206.0, 66.0), 17: (206.0, 50.0), 19: (208.0, 50.0), 21: (204.0, 52.0)}
    moved = controls.hands.joints_2d.copy() if controls.hands is not None else np.zeros((1, 2, 21, 2), np.float32)
    way = moved[0, 0] - moved[0, 0, 0]
    moved[0, 0] = np.array([206.0, 66.0]) + np.stack([way[:, 1], -way[:, 0]], 1)
    assert controls.hands is not None
    raised = replace(made.posed(up, dict.fromkeys(up, -0.2)), hands=replace(controls.hands, joints_2d=moved))
    assert hand in actor.draw_order(raised, 0)
    drawn = actor.draw(raised, 0, False)
    assert _near(drawn[95, 201], "right_arm")
    assert _near(drawn[35, 206], "head")


def test_others_in_the_picture_are_not_the_person(standing: Figure) -> None:
    body = standing.reference.controls.body
    assert body is not None
    matte = standing.reference.matte[0].copy()
    matte[300:350, 5:40] = 1.0
    kept = connected(matte, skeleton_of(body, None, 0, WIDTH, HEIGHT))
    assert kept[320, 20] == 0
    np.testing.assert_array_equal(kept[:290], matte[:290])


def test_an_arm_of_which_only_the_root_is_seen_is_no_limb(standing: Figure) -> None:
    body = standing.reference.controls.body
    assert body is not None
    score = body.score.copy()
    score[0, [13, 15, 17, 19, 21]] = 0.1
    skeleton = skeleton_of(replace(body, score=score), None, 0, WIDTH, HEIGHT)
    assert not skeleton.bones[BONE_INDEX["left_upper_arm"]]
    assert skeleton.bones[BONE_INDEX["right_forearm"]]
    assert skeleton.scale == pytest.approx(PX_PER_METRE, rel=0.02)


def test_the_order_follows_the_depth(standing: Figure) -> None:
    body = standing.reference.controls.body
    assert body is not None
    points = with_points(body.joints_3d[0].astype(float))
    near, far = points.copy(), points.copy()
    near[[25, 27], 2], far[[13, 15], 2] = -0.4, 0.5
    thigh, upper = PARTS.index("left_thigh"), PARTS.index("left_upper_arm")
    parts = range(len(PARTS))
    assert depth_order(parts, near).index(thigh) > depth_order(parts, near).index(CORE)
    assert depth_order(parts, far).index(upper) < depth_order(parts, far).index(CORE)


def test_a_window_of_a_stream_gives_the_same_frames(standing: Figure) -> None:
    frames: list[Controls] = [standing.posed(RAISED), standing.reference.controls]
    body = frames[0].body
    assert body is not None
    both = replace(body, **{n: np.concatenate([f.body.arrays()[n] for f in frames if f.body]) for n in body.SHAPES})
    controls = replace(frames[0], num_frames=2, body=both)
    settings = RenderSettings(width=WIDTH, height=HEIGHT, preset=Preset())
    one, two = (np.concatenate(list(GeometryRenderer(n).render(standing.reference, controls, settings))) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert _psnr(one[1], standing.reference.images[0]) >= 45

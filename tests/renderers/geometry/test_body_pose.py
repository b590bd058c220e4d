"""Where nodes go with their bones."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli.renderers.geometry.body_mesh import BodyMesh
from dreamactor_cli.renderers.geometry.body_pose import BodyPose
from dreamactor_cli.renderers.geometry.body_skeleton import BONE_INDEX, BONES, skeleton_of
from tests.renderers.geometry.figures import HEIGHT, PX_PER_METRE, WIDTH, figure

ARM = BONE_INDEX["left_upper_arm"]


@pytest.mark.parametrize("times", [0.5, 1.0, 1.6])
def test_a_limb_stretches_between_its_joints_and_its_ends_stay_round(times: float) -> None:
    body = figure().reference.controls.body
    assert body is not None
    joints, space = body.joints_2d[0].astype(np.float64), body.joints_3d[0].astype(np.float64)
    start, end = joints[11], joints[13]
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    normal = np.array([-along[1], along[0]])
    places = np.array([(-8.0, 0.0), (0.0, 0.0), (0.5 * length, 5.0), (length, -5.0), (length + 8.0, 3.0)])
    nodes = start + places[:, :1] * along + places[:, 1:] * normal
    weights = np.zeros((len(nodes), len(BONES)))
    weights[:, ARM] = 1
    own = {BONES[ARM].part: np.full(len(nodes), ARM)}
    mesh = BodyMesh(nodes=nodes, weights=weights, triangles={}, pivots=np.full(len(nodes), 11), own=own, step=4.0)
    pose = BodyPose(skeleton_of(body, None, 0, WIDTH, HEIGHT), space, mesh)
    moved = joints.copy()
    moved[13] = start + times * (end - start)
    place = pose.place(moved, space, PX_PER_METRE)
    matrices = pose.matrices(place._replace(size=1.0))
    ends, still = pose.ends(matrices, 1.0), np.zeros((len(nodes), 2))
    at = np.array([-8.0, 0.0, 0.5 * times * length, times * length, times * length + 8.0])
    expected = start + at[:, None] * along + places[:, 1:] * normal
    np.testing.assert_allclose(pose.move(matrices, still, ends), expected, atol=0.2)
    np.testing.assert_allclose(pose.rigid(matrices, still, ends, BONES[ARM].part, np.arange(len(nodes))), expected, atol=0.2)

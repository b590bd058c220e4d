"""Skeletons in JSON files, from us and from anybody."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamactor_cli.body_space import JOINTS
from dreamactor_cli.errors import DreamActorError, UnreadableInput, UnsafeInput, UsageError
from dreamactor_cli.skeleton_file import MAX_FILE_BYTES, guessed_body, read_skeleton, with_skeleton, write_skeleton
from tests.retarget.bodies import hide, open_hands, picture, pose

SHOULDERS = {"left_shoulder": {"x": 60, "y": 40}, "right_shoulder": {"x": 40, "y": 40}}


def table(**changes: Any) -> dict[str, Any]:
    """A small skeleton."""
    return {"format": "dreamactor-skeleton", "version": 1, "width": 100, "height": 100, "joints": SHOULDERS, **changes}


def saved(tmp_path: Path, what: Any) -> Path:
    path = tmp_path / "joints.json"
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    controls = hide(picture(pose(leftArmForward=40.0, rightElbow=70.0)), 29)
    controls = replace(controls, hands=open_hands(pose(), controls))
    path = tmp_path / "joints.json"
    write_skeleton(path, controls)
    again = with_skeleton(replace(controls, body=None, hands=None), read_skeleton(path), "a.png")
    assert again.body is not None
    assert again.hands is not None
    np.testing.assert_allclose(again.body.joints_2d, controls.body.joints_2d, atol=0.01)
    np.testing.assert_allclose(again.body.score, controls.body.score, atol=1e-3)
    depth = [b.joints_3d[0, :, 2] / np.linalg.norm(b.joints_3d[0, 11] - b.joints_3d[0, 23]) for b in (again.body, controls.body)]
    np.testing.assert_allclose(depth[0], depth[1], atol=0.02)
    np.testing.assert_allclose(again.hands.joints_2d, controls.hands.joints_2d, atol=0.01)
    assert sum('"left_elbow"' in line for line in path.read_text().splitlines()) == 1  # a joint a line, to be edited


def test_a_file_is_scaled_to_the_picture(tmp_path: Path) -> None:
    controls = picture(pose(), size=(300, 300))
    out = with_skeleton(controls, read_skeleton(saved(tmp_path, table())), "a.png").body
    assert out is not None
    np.testing.assert_allclose(out.joints_2d[0, [11, 12]], [[180, 120], [120, 120]])
    assert (out.score[0] > 0).sum() == 2
    assert np.isfinite(out.joints_2d).all()


def test_a_skeleton_of_another_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="100x100"):
        with_skeleton(picture(pose(), size=(300, 200)), read_skeleton(saved(tmp_path, table())), "a.png")


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("[1, 2", UnreadableInput, "not a JSON file"),
        ("[" * 60_000, UnreadableInput, "not a JSON file"),
        (" " * (MAX_FILE_BYTES + 1), UnsafeInput, "larger"),
        ([], UsageError, "joints.json"),
        (table(format="else"), UsageError, "format"),
        (table(width=0), UsageError, "width"),
        (table(width=10**9), UsageError, "width"),
        (table(extra=1), UsageError, "extra"),
        (table(joints={}), UsageError, "left_shoulder and right_shoulder"),
        (table(joints={**SHOULDERS, "left_elbo": {"x": 1, "y": 1}}), UsageError, "left_elbow"),
        (table(joints={**SHOULDERS, "nose": {"x": 1}}), UsageError, r"joints\.nose\.y"),
        (table(joints={**SHOULDERS, "nose": {"x": 1, "y": 1e12}}), UsageError, r"joints\.nose\.y"),
        (table(joints={**SHOULDERS, "nose": {"x": float("nan"), "y": 1}}), UsageError, r"joints\.nose\.x"),
        (table(joints={**SHOULDERS, "nose": {"x": 1, "y": 1, "score": 2}}), UsageError, "score"),
        (table(joints={**SHOULDERS, "left_shoulder": {"x": 1, "y": 1, "score": 0.1}}), UsageError, "left_shoulder must"),
        (table(hands={"left": [[1, 2]] * 20}), UsageError, r"hands\.left"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(tmp_path: Path, what: Any, error: type[DreamActorError], says: str) -> None:
    with pytest.raises(error, match=says) as refused:
        read_skeleton(saved(tmp_path, what))
    assert "extract IMAGE --format json" in refused.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"none\.json"):
        read_skeleton(tmp_path / "none.json")


def test_a_guess_stands_in_the_picture_unseen() -> None:
    body = guessed_body(replace(picture(pose()), body=None))
    assert body.score.max() == 0
    assert (body.joints_2d > 0).all()
    assert (body.joints_2d < [600, 700]).all()
    joints = {name: body.joints_2d[0, k] for k, name in enumerate(JOINTS)}
    assert joints["left_wrist"][0] > joints["nose"][0] > joints["right_wrist"][0]
    assert joints["left_ankle"][1] > joints["left_knee"][1] > joints["left_hip"][1] > joints["left_shoulder"][1]

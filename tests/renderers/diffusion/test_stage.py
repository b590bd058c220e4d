"""Where the model draws within a picture, and how that gets back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.models.weights_folder import Index
from dreamactor_cli.renderers.diffusion.stage import MULTIPLE, Stage

SMALL = Index(config="debug", size=64, view=6.4, bodies=True)


def cut(reference: Reference, width: int, height: int) -> Reference:
    """The top left corner of the reference, which shows less of the body."""
    return Reference(
        images=reference.images[:, :height, :width], matte=reference.matte[:, :height, :width],
        controls=replace(reference.controls, width=width, height=height, body=None),
    )  # fmt: skip


def test_the_square_is_around_the_head(reference: Reference) -> None:
    portrait = replace(reference, controls=replace(reference.controls, body=None))
    stage = Stage.of(portrait, SMALL)
    head = reference.controls.head
    assert head is not None
    left, top, width, height = stage.view
    assert (stage.width, stage.height, width) == (64, 64, height)
    assert width == pytest.approx(6.4 * head.radius[0], abs=1)
    assert left < head.center[0, 0] - head.radius[0]
    assert head.center[0, 0] + head.radius[0] < left + width
    assert top <= head.center[0, 1] - head.radius[0]
    assert stage.enlarges


@pytest.mark.parametrize(("width", "height"), [(512, 400), (330, 512), (300, 300)])
def test_the_square_stays_inside(reference: Reference, width: int, height: int) -> None:
    left, top, side, high = Stage.of(cut(reference, width, height), SMALL).view
    assert side == high <= min(width, height)
    assert 0 <= left <= width - side
    assert 0 <= top <= height - side


def test_a_body_widens_the_square(reference: Reference) -> None:
    body = reference.controls.body
    assert body is not None
    narrow = Stage.of(replace(reference, controls=replace(reference.controls, body=None)), SMALL)
    joints, score = body.joints_2d.copy(), np.zeros_like(body.score)
    joints[0, [11, 12, 23, 24]] = [(420, 250), (60, 250), (400, 500), (90, 500)]
    score[0, [11, 12, 23, 24]] = 1
    wide = Stage.of(
        replace(reference, controls=replace(reference.controls, body=replace(body, joints_2d=joints, score=score))), SMALL
    )
    assert narrow.view.width < wide.view.width <= 512


def test_a_picture_of_nothing_known_is_drawn_from_its_middle(reference: Reference) -> None:
    bare = Controls(num_frames=1, fps=reference.controls.fps, width=512, height=400)
    stage = Stage.of(Reference(images=reference.images[:, :400], matte=reference.matte[:, :400], controls=bare), SMALL)
    assert stage.view == (56, 0, 400, 400)


@pytest.mark.parametrize(("width", "height"), [(512, 400), (250, 130), (64, 64)])
def test_a_model_for_any_size_draws_the_whole_picture(reference: Reference, width: int, height: int) -> None:
    stage = Stage.of(cut(reference, width, height), Index(config="1.3b"))
    assert stage.view == (0, 0, width, height)
    assert stage.width % MULTIPLE == stage.height % MULTIPLE == 0
    assert abs(stage.width - width) <= MULTIPLE / 2
    assert not stage.enlarges
    assert stage.put_back(stage.show(cut(reference, width, height).images), reference.images[0, :height, :width]).shape == (
        1, height, width, 3,
    )  # fmt: skip


def test_what_is_drawn_gets_back_to_its_place(reference: Reference) -> None:
    """A model that draws what it sees, at the size of the square, changes nothing; red shows where the square is."""
    known = Stage.of(reference, SMALL)
    exact = Stage(known.view, int(known.view.width), int(known.view.height))
    image = reference.images[0]
    assert np.array_equal(exact.put_back(exact.show(reference.images), image)[0], image)
    red = np.zeros((2, exact.height, exact.width, 3), np.uint8)
    red[..., 0] = 255
    laid = exact.put_back(red, image)
    left, top, side, _ = known.view
    assert laid.shape == (2, 512, 512, 3)
    assert (laid[0, top + side // 2, left + side // 2] == [255, 0, 0]).all()
    outside = np.ones((512, 512), bool)
    outside[top : top + side, left : left + side] = False
    assert np.array_equal(laid[0][outside], image[outside])


def test_borders_are_soft_inside_of_the_picture_and_hard_at_its_edge(reference: Reference) -> None:
    portrait = replace(reference, controls=replace(reference.controls, body=None))
    stage = Stage.of(portrait, SMALL)
    left, top, side, _ = stage.view
    assert top == 0
    assert left > 0
    black, white = np.zeros((512, 512, 3), np.uint8), np.full((1, 64, 64, 3), 255, np.uint8)
    [laid] = stage.put_back(white, black)
    row = laid[side // 2, left : left + side // 2, 0].astype(int)
    assert row[0] < 30
    assert row[-1] == 255
    assert (np.diff(row) >= 0).all()
    assert (laid[0, left + side // 4 : left + side // 2, 0] == 255).all()


def test_a_model_of_heads_draws_the_head_of_a_whole_person(reference: Reference) -> None:
    heads = Index(config="starter", size=64)
    body = reference.controls.body
    assert body is not None
    shown = replace(reference, controls=replace(reference.controls, body=replace(body, score=np.ones_like(body.score))))
    head = reference.controls.head
    assert head is not None
    view = Stage.of(shown, heads).view
    assert view.width == pytest.approx(3.5 * head.radius[0], abs=1)
    assert view.top + view.height / 2 == pytest.approx(head.center[0, 1] + 0.165 * head.radius[0], abs=2)

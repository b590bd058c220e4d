"""Clips, batches, stages and noise: small things that a training stands on."""

from concurrent.futures import Future
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, Face
from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.models.configs import load_config
from dreamactor_cli.models.draw import View
from dreamactor_cli.models.draw_face import DRAWN
from dreamactor_cli.models.video_vae import make_vae
from dreamactor_cli.training.diffusion import pool as pool_module
from dreamactor_cli.training.diffusion.batches import Batches, Recipe, cell_weights
from dreamactor_cli.training.diffusion.begin import from_nothing, load_vae
from dreamactor_cli.training.diffusion.clips import FACE, REGION, draw_weights, make_clip, show, with_expression
from dreamactor_cli.training.diffusion.evaluate import seam_of
from dreamactor_cli.training.diffusion.latents import LatentStore
from dreamactor_cli.training.diffusion.network import DiffusionNetwork, add_noise
from dreamactor_cli.training.diffusion.pool import Pool, make_shard
from dreamactor_cli.training.diffusion.recipes import check_frames
from dreamactor_cli.training.diffusion.sources import SyntheticPeople, parse_framings
from dreamactor_cli.training.diffusion.stages import STAGES, enter, stage_of
from dreamactor_cli.training.diffusion.train import _pixel_weights
from dreamactor_cli.training.diffusion.videos import bucket, by_yaw
from dreamactor_cli.training.synthetic import generate_clip

from .conftest import Toys

CONFIG = load_config("debug")


@pytest.fixture
def network() -> DiffusionNetwork:
    models, _ = from_nothing(CONFIG, make_vae(CONFIG.vae), 0)
    return DiffusionNetwork(models.transformer, models.pose_encoder, models.face_motion)


def batches(tmp_path: Path, **changed: object) -> Batches:
    torch.manual_seed(0)
    store = LatentStore(make_vae(CONFIG.vae).eval(), "0" * 64)
    recipe = Recipe(batch=6, latents=2, **changed)  # type: ignore[arg-type]
    return Batches(Pool(Toys(8), tmp_path, workers=0, clips_a_shard=4), store, recipe, 100)


def test_a_stored_clip_is_the_one_that_was_made(tmp_path: Path, toys: Toys) -> None:
    pool = Pool(toys, tmp_path, workers=0, clips_a_shard=3)
    assert len(pool) == 3
    clip, wanted = pool.shard(1).clip(2), toys.clip(5)
    for field in fields(clip):
        np.testing.assert_array_equal(getattr(clip, field.name), getattr(wanted, field.name))
    pool.path(1).write_bytes(pool.path(1).read_bytes()[:-7])
    with pytest.raises(UnreadableInput):
        Pool(toys, tmp_path, workers=0, clips_a_shard=3).shard(1)


def test_ranks_share_the_making_of_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each begins with its own; one that another rank has made is waited for no longer, and not made again."""

    class Slow:
        """Never comes to its tasks."""

        def __init__(self, *_: object) -> None:
            self.asked: list[Path] = []

        def submit(self, _: object, source: object, numbers: object, path: Path) -> Future[None]:
            self.asked.append(path)
            return Future()

        def shutdown(self, **_: object) -> None: ...

    monkeypatch.setattr(pool_module, "ProcessPoolExecutor", Slow)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    toys = Toys(10)
    with Pool(toys, tmp_path, workers=1, clips_a_shard=2) as pool:
        pool.start()
        assert [pool.path(k) for k in (1, 3, 0, 2, 4)] == pool._workers.asked
        make_shard(toys, range(2), pool.path(0))
        made = pool.path(0).stat().st_mtime_ns
        assert len(pool.shard(0)) == 2
        make_shard(toys, range(2), pool.path(0))
        assert pool.path(0).stat().st_mtime_ns == made


def test_shards_join_as_planned_and_not_as_they_are_made(tmp_path: Path) -> None:
    pool = Pool(Toys(40), tmp_path, workers=0, clips_a_shard=4)
    assert [pool.open_at(step, 100) for step in (0, 5, 12, 24, 99)] == [1, 3, 5, 10, 10]


def test_a_batch_follows_from_its_step(tmp_path: Path) -> None:
    draw = batches(tmp_path)
    once, again, other = draw(7, 0), batches(tmp_path)(7, 0), draw(7, 1)
    for name, values in once.items():
        assert torch.equal(values, again[name])
    assert not torch.equal(once["noise"], other["noise"])
    assert once["latents"].shape == (6, 24, 2, 4, 4)
    assert once["poses"].shape == (6, 5, 32, 32, 6)
    assert (once["weights"] >= 1).all()


def test_stretches_lie_where_the_renderer_has_its_segments(tmp_path: Path, toys: Toys) -> None:
    """One that goes on begins with the last frame of its clean latent; one that begins has no clean latent."""
    draw = batches(tmp_path)
    clips = [toys.clip(k) for k in range(4)]
    seen = set()
    for step in range(4):
        batch = draw(step, 0)
        for poses, opened in zip(batch["poses"].numpy(), batch["opened"].numpy(), strict=True):
            first = 4 if opened else 0
            assert any(np.array_equal(poses, clip.poses[first : first + 5]) for clip in clips)
            seen.add(bool(opened))
    assert seen == {True, False}


def test_a_clean_latent_is_given_and_not_learned() -> None:
    latents, noise = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 4, 3, 2, 2)
    noised = add_noise(latents, noise, torch.tensor([0.7, 0.2]), torch.tensor([True, False]), torch.zeros(2), torch.zeros(2, 4))
    assert noised.times.tolist() == [pytest.approx([0, 0.7, 0.7]), pytest.approx([0.2, 0.2, 0.2])]
    assert torch.equal(noised.latents[0, :, 0], latents[0, :, 0])
    torch.testing.assert_close(noised.latents[0, :, 1], 0.3 * latents[0, :, 1] + 0.7 * noise[0, :, 1])
    assert noised.counted[:, 0, :, 0, 0].tolist() == [[0, 1, 1], [1, 1, 1]]


def test_a_given_latent_may_be_off() -> None:
    """All its cells alike, and the answer is still held to the truth; a stretch that begins a clip has none."""
    latents, noise = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 4, 3, 2, 2)
    off = torch.randn(2, 4)
    noised = add_noise(latents, noise, torch.tensor([0.7, 0.2]), torch.tensor([True, False]), torch.zeros(2), off)
    torch.testing.assert_close(noised.latents[0, :, 0], latents[0, :, 0] + off[0, :, None, None])
    torch.testing.assert_close(noised.latents[1], 0.8 * latents[1] + 0.2 * noise[1])
    assert torch.equal(noised.target, noise - latents)


def test_the_error_is_of_the_clean_latent_and_channels_count_as_told(tmp_path: Path, network: DiffusionNetwork) -> None:
    batch = batches(tmp_path)(0, 0)
    latents, level = batch["latents"], batch["sigma"][:, None, None, None, None]
    batch["opened"] = torch.zeros_like(batch["opened"])
    noised = add_noise(latents, batch["noise"], batch["sigma"], batch["opened"], batch["opening"], batch["drift"])
    counted = torch.arange(latents.shape[1], dtype=torch.float32)
    with torch.inference_mode():
        clean = noised.latents - level * network.velocity(batch, noised)
        network.channel_weights = counted[:, None, None, None]
        told = network(batch)["plain"]
    expected = ((clean - latents).square() * counted[:, None, None, None]).mean((1, 2, 3, 4))
    assert network.transformer.config.predicts == "clean"
    torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-5)


def test_channels_count_by_what_they_change_in_pixels() -> None:
    """One channel is divided by twice the deviation of the other: an error of it is twice as large in a picture."""
    vae = make_vae(CONFIG.vae | {"latents_std": [2.0] + [1.0] * (CONFIG.vae["z_dim"] - 1)})
    weights = _pixel_weights(vae)
    assert weights[0] / weights[1] == pytest.approx(4)
    assert weights.mean() == pytest.approx(1)


def test_what_is_left_out_changes_nothing(tmp_path: Path, network: DiffusionNetwork) -> None:
    for parameter in network.parameters():  # what begins at zero says nothing yet
        parameter.data += 0.02 * torch.randn_like(parameter)
    batch = batches(tmp_path, drop_motion=1.0, drop_reference=0.0)(0, 0)
    with torch.inference_mode():
        moved = network({**batch, "face": batch["face"] + 1, "poses": 255 - batch["poses"]})["loss"]
        assert torch.equal(network(batch)["loss"], moved)
        seen = {**batch, "no_motion": ~batch["no_motion"]}
        assert not torch.allclose(network(seen)["loss"], network({**seen, "face": batch["face"] + 1})["loss"])


def test_a_stage_trains_its_own(network: DiffusionNetwork, tmp_path: Path) -> None:
    batch = batches(tmp_path)(0, 0)
    learned = {}
    for name in STAGES:
        enter(stage_of(name), network)
        network.zero_grad()
        network(batch)["loss"].mean().backward()
        asked = {key for key, value in network.named_parameters() if value.requires_grad}
        assert asked == {key for key, value in network.named_parameters() if value.grad is not None}
        learned[name] = asked
    assert all("face" in key or "motion" in key for key in learned["face"])
    assert not learned["pose"] & learned["face"]
    assert learned["all"] == learned["pose"] | learned["face"]
    assert learned["small"] == {key for key in learned["all"] if not key.startswith("face_motion")}
    with pytest.raises(UsageError):
        stage_of("mouth")


def test_weights_are_largest_where_a_face_speaks() -> None:
    landmarks = np.full((1, 478, 3), 32, np.float32)
    angle = np.linspace(0, 2 * np.pi, 478)
    landmarks[0, :, :2] += 20 * np.stack([np.cos(angle), np.sin(angle)], 1)
    zeros = {"expression": landmarks * 0, "identity": landmarks[0] * 0, "blendshapes": np.zeros((1, 52), np.float32)}
    face = Face(landmarks=landmarks, gaze=np.zeros((1, 2, 2), np.float32), score=np.ones(1, np.float32), **zeros)
    controls = Controls(num_frames=1, fps=Fraction(12), width=64, height=64, face=face)
    drawn = draw_weights(controls, (64, 64), View(0, 0, 64, 64))
    assert set(np.unique(drawn)) <= {0, FACE, REGION}
    assert drawn[0, 32, 32] > 0
    assert drawn[0, 2, 2] == 0
    half = draw_weights(controls, (32, 32), View(32, 0, 32, 32))[0]
    np.testing.assert_array_equal(half > 0, drawn[0, :32, 32:] > 0)
    cells = cell_weights(np.repeat(drawn, 5, 0), (8, 8))
    assert cells.shape == (2, 8, 8)
    assert cells.min() == 1
    assert 10 < cells.max() <= 21


def test_another_expression_is_drawn_on_the_same_head() -> None:
    """Where each clip's mouth stands stays; how far it opens is the other's: the skeleton and the sphere do not change."""
    one, other = Toys(8, seed=1).clip(0), Toys(8, seed=1).clip(1)
    swapped = with_expression(one, other)
    np.testing.assert_array_equal(with_expression(one, one), one.poses)
    np.testing.assert_array_equal(swapped[..., :3], one.poses[..., :3])

    def mouth(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        level = (poses[..., 3].astype(float) - 96).clip(0)
        return level.sum((1, 2)), (level.sum(1) * np.arange(32)).sum(1) / level.sum((1, 2))

    (open_one, x_one), (open_other, x_other), (opened, x) = (mouth(poses) for poses in (one.poses, other.poses, swapped))
    assert np.abs(open_one - open_other).max() > 0.2 * open_other.max()
    np.testing.assert_allclose(opened, open_other, rtol=0.1)
    np.testing.assert_allclose(x, x_one, atol=0.3)
    assert np.abs(x_one - x_other).max() > 1


def test_an_expression_is_put_where_the_truth_has_it() -> None:
    """Without its expression a face is drawn where its neutral shape is, posed by the head."""
    made = generate_clip(0, size=64, frames=2, framing="face")
    face, head = made.controls.face, made.controls.head
    assert face is not None
    assert head is not None
    whole = make_clip(made.frames, made.controls, made.references, made.reference_controls, (64, 64))
    still = replace(whole, expression=np.zeros_like(whole.expression))
    neutral = whole.outlines + np.einsum("tij,tnj->tni", whole.axes, still.expression - whole.expression)
    pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
    wanted = head_space.to_image(face.identity.astype(np.float64), pose)[:, list(DRAWN), :2]
    assert np.abs(neutral - wanted).mean() < 0.06 * float(head.radius.mean())


def test_a_stage_without_faces_does_not_see_them_drawn(network: DiffusionNetwork, tmp_path: Path) -> None:
    for parameter in network.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    batch = batches(tmp_path, drop_motion=0.0)(0, 0)
    faceless = {name: batch[name].clone() for name in ("poses", "reference_poses")}
    for pictures in faceless.values():
        pictures[..., 3:] = 0
    with torch.inference_mode():
        enter(stage_of("all"), network)
        assert not torch.equal(network(batch)["loss"], network({**batch, **faceless})["loss"])
        enter(stage_of("pose"), network)
        assert torch.equal(network(batch)["loss"], network({**batch, **faceless})["loss"])


def test_a_view_is_brought_to_size() -> None:
    pictures = np.zeros((2, 40, 60, 3), np.uint8)
    pictures[:, 10:30, 20:40] = 200
    assert (show(pictures, (10, 10), View(20, 10, 20, 20)) == 200).all()


def test_people_who_judge_are_never_learned_from() -> None:
    learned, judged = (SyntheticPeople(count=1000, size=64, frames=9, seed=s, held_out=h) for s, h in ((1, False), (1, True)))
    seeds = {learned.seeds(k)[0] for k in range(1000)}
    assert not seeds & {judged.seeds(k)[0] for k in range(1000)}
    assert learned.key != judged.key


def test_references_by_yaw_and_buckets() -> None:
    yaw = np.array([0.0, 0.9, -0.4, 0.1, -1.2])
    assert by_yaw(yaw, np.ones(5)) == (0, 1, 4)
    assert by_yaw(yaw, np.array([1, 0, 1, 1, 0])) == (0, 3, 2)
    assert by_yaw(yaw, np.zeros(5)) == ()
    assert bucket(1920, 1080, 256 * 256) == (192, 336)
    assert bucket(1080, 1920, 256 * 256) == (336, 192)
    assert bucket(720, 720, 64 * 64) == (64, 64)


def test_a_jump_at_a_seam_is_seen() -> None:
    """Where the truth moves more at the border by itself, that is no seam's."""
    rng = np.random.default_rng(0)
    truth = [rng.integers(0, 20, (17, 8, 8, 3)).astype(np.uint8) for _ in range(4)]
    noised = [np.clip(frames + rng.integers(-2, 3, frames.shape), 0, 255).astype(np.uint8) for frames in truth]
    jumped, moved = [frames.copy() for frames in noised], [frames.copy() for frames in truth]
    for frames in (*jumped, *moved):
        frames[9:] += 100
    plain, noise = seam_of(noised, truth, 9)
    assert plain == pytest.approx(1, abs=0.1)
    assert noise < 0.1
    jump, noise = seam_of(jumped, truth, 9)
    assert jump - noise > 4
    assert seam_of(jumped, moved, 9)[0] == pytest.approx(1, abs=0.1)
    assert np.isnan(seam_of(noised, truth, 17)[0])


@pytest.mark.parametrize("text", ["face:x", "faces", "face:-1", "face:0"])
def test_framings_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError):
        parse_framings(text)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    assert check_frames(9) == 3
    with pytest.raises(UsageError, match="13"):
        check_frames(12)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnreadableInput):
        load_vae(tmp_path)

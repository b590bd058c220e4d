"""Folders of weights: what is written is read, and what is not whole is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dreamactor_cli.errors import DreamActorError, MissingRequirement, UnreadableInput, UsageError
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.weights_folder import PARTS, Index
from tests.diffusion_models import debug_models


@pytest.fixture
def copy(debug_weights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(debug_weights, tmp_path / "copy"))


def test_what_is_written_is_read(debug_weights: Path) -> None:
    models, index = weights_folder.load(debug_weights)
    assert (index.config, index.size, index.frames, index.inputs) == ("debug", 64, 9, ("face",))
    for part in PARTS:
        wanted = getattr(debug_models(), part).state_dict()
        found = getattr(models, part).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_same_weights_are_the_same_bytes(debug_weights: Path, tmp_path: Path) -> None:
    """Also of models that were loaded from elsewhere: where they lay is not written."""
    models, index = weights_folder.load(debug_weights)
    weights_folder.save(tmp_path / "again", models, index)
    assert weights_folder.sha256(tmp_path / "again") == weights_folder.sha256(debug_weights)
    assert str(debug_weights) not in "".join(path.read_text() for path in (tmp_path / "again").rglob("*.json"))


def test_half_precision_on_disk_and_exact_layers_in_memory(tmp_path: Path) -> None:
    weights_folder.save(tmp_path / "half", debug_models(), Index(config="debug"), dtype=torch.float16)
    models, _ = weights_folder.load(tmp_path / "half", dtype=torch.bfloat16)
    assert models.vae.dtype == torch.bfloat16
    assert models.transformer.scale_shift_table.dtype == torch.float32
    assert models.transformer.patch_embedding.weight.dtype == torch.bfloat16


def test_a_folder_is_replaced_when_the_new_one_is_complete(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = weights_folder.sha256(copy)
    with monkeypatch.context() as patched:
        patched.setattr(weights_folder, "_hash", lambda path: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(DreamActorError, match="no space left"):
            weights_folder.save(copy, debug_models(1), Index(config="debug"))
    assert weights_folder.sha256(copy) == before
    weights_folder.save(copy, debug_models(1), Index(config="debug"))
    assert weights_folder.sha256(copy) != before
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    read = json.loads(path.read_text())
    change(read)
    path.write_text(json.dumps(read))


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda f: shutil.rmtree(f), MissingRequirement, "no weights"),
        (lambda f: (f / "model_index.json").write_text("[]"), UnreadableInput, "does not describe"),
        (lambda f: (f / "model_index.json").write_text("{"), UnreadableInput, "does not describe"),
        (lambda f: edit(f / "model_index.json", lambda r: r.update(format=2)), UnreadableInput, "does not describe"),
        (lambda f: edit(f / "model_index.json", lambda r: r.update(size=-1)), UnreadableInput, "of this version"),
        (lambda f: edit(f / "model_index.json", lambda r: r.update(most_steps=-1)), UnreadableInput, "of this version"),
        (lambda f: edit(f / "model_index.json", lambda r: r.update(opening_noise=1)), UnreadableInput, "of this version"),
        (
            lambda f: edit(f / "model_index.json", lambda r: r["files"].update({"../x": [1, "0"]})),
            UnreadableInput,
            "of this version",
        ),
        (lambda f: (f / "vae" / "config.json").unlink(), MissingRequirement, "config.json is not there"),
        (lambda f: (f / "vae" / "config.json").write_text("{}"), UnreadableInput, "bytes and not"),
    ],
)
def test_what_is_not_whole_is_refused_at_a_glance(
    copy: Path, damage: Callable[[Path], object], error: type[DreamActorError], says: str
) -> None:
    damage(copy)
    with pytest.raises(error, match=says) as raised:
        weights_folder.read_index(copy)
    assert raised.value.hint


def test_a_flipped_bit_is_found(copy: Path) -> None:
    path = copy / "pose_encoder" / "diffusion_pytorch_model.safetensors"
    held = bytearray(path.read_bytes())
    held[-1] ^= 1
    path.write_bytes(bytes(held))
    weights_folder.read_index(copy)
    with pytest.raises(UnreadableInput, match="damaged"):
        weights_folder.load(copy)


def test_tensors_that_do_not_fit_their_config_are_refused_before_memory_is_taken(copy: Path) -> None:
    config = copy / "face_motion" / "config.json"
    edit(config, lambda read: read.update(hidden=1 << 18))
    name = "face_motion/config.json"
    fresh = [config.stat().st_size, weights_folder._hash(config)]
    edit(copy / "model_index.json", lambda read: read["files"].update({name: fresh}))  # type: ignore[index, attr-defined]
    with pytest.raises(UnreadableInput, match="does not fit its config"):
        weights_folder.load(copy)


def test_names_of_weights() -> None:
    assert weights_folder.find("") == weights_folder.find("starter")
    assert weights_folder.find("starter").parts[-2:] == ("weights", "starter")
    assert weights_folder.find("some/folder") == Path("some/folder")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        weights_folder.save(tmp_path / "file" / "weights", debug_models(), Index(config="debug"))

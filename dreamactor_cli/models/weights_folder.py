"""A folder of weights: ``model_index.json``, and a diffusers-style folder for each part of the model.

``model_index.json`` says what the model is (`Index`) and lists every file with its size and SHA-256, so that the index alone
identifies the weights: its hash is quick to take, and `load` holds the files to it. Tensors are safetensors in shards below
16 MB. Nothing here imports torch before a model is loaded or saved, so that a plan can be made without it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamactor_cli.atomic import replacing, unique_suffix, write_errors
from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.resources import PACKAGE

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKLWan

    from dreamactor_cli.models.face_motion import FaceMotionEncoder
    from dreamactor_cli.models.pose_encoder import PoseEncoder
    from dreamactor_cli.models.refiner import FrameRefiner
    from dreamactor_cli.models.transformer import DreamActorTransformer3DModel

STARTER = "starter"
FORMAT = 1
SHIFTS = (1, 2, 4)
INDEX = "model_index.json"
SHARD = "15MB"
PARTS = {
    "transformer": "dreamactor_cli.models.transformer:DreamActorTransformer3DModel",
    "vae": "diffusers:AutoencoderKLWan",
    "pose_encoder": "dreamactor_cli.models.pose_encoder:PoseEncoder",
    "face_motion": "dreamactor_cli.models.face_motion:FaceMotionEncoder",
}
MORE_PARTS = {"refiner": "dreamactor_cli.models.refiner:FrameRefiner"}  # that weights may have
_TRAIN = "dreamactor train diffusion --config starter -o DIR"  # which writes DIR/weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The parts of a model, by the names of their folders; a refiner is for small ones."""

    transformer: DreamActorTransformer3DModel
    vae: AutoencoderKLWan
    pose_encoder: PoseEncoder
    face_motion: FaceMotionEncoder
    refiner: FrameRefiner | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of those that are there."""
        return (*PARTS, *(part for part in MORE_PARTS if getattr(self, part) is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What ``model_index.json`` says.

    Attributes:
        config: name of the config that the model was made with, like ``"starter"``.
        size: side of the square pictures that it was trained on, px; 0 takes pictures of any size.
        frames: of the longest segment that it was trained on.
        view: side of those squares in radii of the head sphere, where they show a head and little else.
        bodies: whether they also showed whole bodies.
        shift: of the flow's noise levels, see `sampling.flow_sigmas`.
        most_steps, most_guidance: from noise, and of either guidance, that they gain from; 0 is no limit. A small model that
            learned for minutes draws better in one step than in many.
        shifts: draws whose mean is shown, see `shifts`; worth it for weights that draw in one step.
        opening_noise: see `sampling.Sampling`; half the most that training gave.
        inputs: of the face motion encoder that were trained: of ``face``, ``crop``, ``speech``.
        reference_poses: whether it saw the poses of the references, too.
        about: what else there is to tell, like steps, seed, data and machine.
        files: size and SHA-256 by name of every file.
    """

    config: str
    size: int = 0
    frames: int = 73
    view: float = 3.5
    bodies: bool = False
    shift: float = 3.0
    most_steps: int = 0
    most_guidance: float = 0.0
    shifts: int = 1
    opening_noise: float = 0.0
    inputs: tuple[str, ...] = ("face",)
    reference_poses: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def find(name: str) -> Path:
    """The folder of weights that a name means: ``"starter"`` or "" ships with the package, all else is a folder."""
    return PACKAGE / "weights" / STARTER if name in (STARTER, "") else Path(name)


def read_index(folder: Path) -> Index:
    """What a folder of weights holds; all files are there and have their sizes.

    Raises:
        MissingRequirement: there are no weights.
        UnreadableInput: they are not whole, or not ours.
    """
    try:
        read = json.loads((folder / INDEX).read_text("utf-8"))
        parts = set(read.pop("parts"))
        if read.pop("format") != FORMAT or parts - set(MORE_PARTS) != set(PARTS):
            raise ValueError("another format")
        files = {str(name): (int(size), str(sha256)) for name, (size, sha256) in read.pop("files").items()}
        index = Index(**{**read, "inputs": tuple(read["inputs"])}, files=files)
        usable = 0 <= int(index.size) <= 8192 and int(index.frames) >= 1 and float(index.shift) > 0 and float(index.view) > 0
        usable = usable and int(index.most_steps) >= 0 and float(index.most_guidance) >= 0 and 0 <= float(index.opening_noise) < 1
        usable = usable and index.shifts in SHIFTS and parts <= _folders(files)
    except FileNotFoundError as error:
        hint = f"make some with `{_TRAIN}`, and name them with --weights DIR/weights"
        raise MissingRequirement(f"no weights of the diffusion renderer are in {folder}", hint) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInput(f"{folder / INDEX} does not describe weights of the diffusion renderer", _remedy()) from error
    if not usable or any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
        raise UnreadableInput(f"{folder / INDEX} does not describe weights of this version", _remedy())
    for name, (size, _) in files.items():
        path = folder / name
        if not path.is_file():
            raise MissingRequirement(f"{path} is not there", _remedy())
        if path.stat().st_size != size:
            raise UnreadableInput(f"{path} has {path.stat().st_size} bytes and not {size}", _remedy())
    return index


def sha256(folder: Path) -> str:
    """What identifies the weights of a folder, 64 hex digits: the hash of its index, which holds those of all files.

    Raises:
        MissingRequirement: there are no weights.
    """
    try:
        return hashlib.sha256((folder / INDEX).read_bytes()).hexdigest()
    except OSError as error:
        raise MissingRequirement(f"no weights of the diffusion renderer are in {folder}", f"make some with `{_TRAIN}`") from error


def verify(folder: Path) -> Index:
    """`read_index`, and the bytes of every file are those that the index names.

    Raises:
        MissingRequirement, UnreadableInput: as `read_index`.
    """
    index = read_index(folder)
    for name, (_, wanted) in index.files.items():
        if _hash(folder / name) != wanted:
            raise UnreadableInput(f"{folder / name} is damaged: its hash is not the one that was written", _remedy())
    return index


def load(folder: Path, *, dtype: torch.dtype | None = None) -> tuple[Models, Index]:
    """The models of a folder on the CPU, ready to be used; layers that must stay exact stay float32.

    Args:
        dtype: of the weights; None is float32.

    Raises:
        MissingRequirement: there are no weights.
        UnreadableInput: they are damaged, or do not fit their config.
    """
    import torch

    index = verify(folder)
    parts = [part for part in PARTS | MORE_PARTS if part in _folders(index.files)]
    return Models(**{part: _load_part(folder / part, part, dtype or torch.float32) for part in parts}), index


def save(folder: Path, models: Models, index: Index, *, dtype: torch.dtype | None = None, card: str = "") -> Index:
    """Write a folder of weights; one that is there is replaced when the new one is complete.

    Args:
        index: its ``files`` are filled in.
        dtype: of the stored tensors; None is as they are.
        card: text of README.md, the model card.

    Returns:
        The index as it was written.

    Raises:
        DiskFull, UsageError: it cannot be written.
    """
    beside = folder.with_name(f".{folder.name}.{unique_suffix()}.tmp")
    try:
        with write_errors(folder):
            beside.mkdir(parents=True)
            for part in models.parts:
                _save_part(beside / part, getattr(models, part), dtype)
            if card:
                (beside / "README.md").write_text(card, "utf-8")
            names = sorted(path.relative_to(beside).as_posix() for path in beside.rglob("*") if path.is_file())
            hashed = {name: ((beside / name).stat().st_size, _hash(beside / name)) for name in names if name != "README.md"}
            written = Index(**{**asdict(index), "files": hashed})
            with replacing(beside / INDEX) as path:
                path.write_text(
                    json.dumps({"format": FORMAT, "parts": models.parts, **asdict(written)}, indent=1) + "\n", "utf-8"
                )
            _put(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return written


def _put(beside: Path, folder: Path) -> None:
    """Move a complete folder to its place, out of which the old one goes first."""
    old = folder.with_name(f".{folder.name}.{unique_suffix()}.old")
    with suppress(FileNotFoundError):
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _folders(files: Mapping[str, object]) -> set[str]:
    """The parts that files are of."""
    return {name.partition("/")[0] for name in files}


def _class(part: str) -> Any:
    module, _, name = (PARTS | MORE_PARTS)[part].partition(":")
    return getattr(import_module(module), name)


def _save_part(folder: Path, model: Any, dtype: torch.dtype | None) -> None:
    """Config and shards of one model, which stays as it is."""
    state = {
        name: (tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    # The model's own way of splitting, over tensors of another type; where it once lay is nobody's business.
    copied = type(model).from_config({name: value for name, value in model.config.items() if name != "_name_or_path"})
    copied.load_state_dict(state, assign=True)
    copied.save_pretrained(folder, max_shard_size=SHARD)


def _load_part(folder: Path, part: str, dtype: torch.dtype) -> Any:
    """One model; its shapes are held to its config before memory is taken for it."""
    import torch
    from safetensors import SafetensorError, safe_open

    from dreamactor_cli.models.patch_vae import vae_class

    made = _class(part)
    try:
        config = made.load_config(folder)
        if part == "vae":
            made = vae_class(config)
        with torch.device("meta"):
            empty = made.from_config(config)
        wanted = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
        found: dict[str, tuple[int, ...]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as tensors:
                found |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118 - no mapping
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise UnreadableInput(f"{folder} holds no usable {part}: {error!s:.200}", _remedy()) from error
    if wanted != found:
        odd = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise UnreadableInput(f"{folder} does not fit its config: {odd[0]} is {found.get(odd[0], 'missing')}", _remedy())
    model = made.from_pretrained(folder, torch_dtype=dtype, use_safetensors=True, local_files_only=True)
    return model.eval().requires_grad_(False)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy() -> str:
    return f"get them again, or make some with `{_TRAIN}`"

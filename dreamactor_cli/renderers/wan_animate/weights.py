"""The folder of Wan-Animate's weights: looked through before a job, without torch, and loaded for it.

Each part is loaded by its own class; what ``model_index.json`` says of classes is not followed, so that no file names code.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import MissingRequirement, OutOfMemory, UnreadableInput, UsageError
from dreamactor_cli.model_store.folder import check_tensors, file_sha256, weights_sha256

if TYPE_CHECKING:
    import torch
    from diffusers import WanAnimatePipeline

    from dreamactor_cli.renderers.wan_animate.segments import Prompt

NAME = "wan2.2-animate-14b"
PROMPT_FILE = "prompt_embeds.safetensors"
# The texts of the model's own code for animating; it was trained with the first one.
PROMPT = "视频中的人在做动作"
NEGATIVE = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，"
    "多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，"
    "背景人很多，倒着走"
)
_WEIGHTS = ("transformer", "vae", "image_encoder")
_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors")
_HEAVY = 4e9  # bytes of a transformer from which a CPU takes hours
_GIB = 1 << 30

Offload = Literal["none", "model", "block"]
# Free bytes of a GPU from which a way of placing the full-size model fits at 1280x720: its transformer in bfloat16, 3 GB of the
# other parts, and what a segment takes. Smaller ones need less in proportion.
_FULL_SIZE = 34.6e9
_ROOM: tuple[tuple[Offload, float], ...] = (("none", 54e9), ("model", 48e9), ("block", 0.0))


def check_packages() -> None:
    """Refuse where the packages of diffusion are not installed.

    Raises:
        MissingRequirement: one of them.
    """
    lacking = [name for name in _PACKAGES if find_spec(name) is None]
    if lacking:
        raise MissingRequirement(f"wan-animate needs {', '.join(lacking)}", "in the checkout: pip install '.[diffusion]'")


def check_folder(folder: Path) -> None:
    """Look at a folder of weights: all parts, all shards, none cut off.

    Raises:
        UnreadableInput: it is not such a folder, or is damaged.
        MissingRequirement: neither the text encoder nor what it once said is there, or the memory is too small.
    """
    for part in (*_WEIGHTS, "scheduler", "image_processor"):
        name = {"scheduler": "scheduler_config.json", "image_processor": "preprocessor_config.json"}.get(part, "config.json")
        if not (folder / part / name).is_file():
            raise UnreadableInput(f"{folder} holds no Wan-Animate: {part}/{name} is not there", _get_again())
    for part in _WEIGHTS:
        for shard in shards(folder / part):
            check_tensors(shard)
    if not (folder / PROMPT_FILE).is_file() and not (folder / "text_encoder" / "config.json").is_file():
        raise MissingRequirement(
            f"{folder} has neither {PROMPT_FILE} nor the text encoder that makes it",
            f"copy one of the two there, or {_get_again()}",
        )
    _check_memory(folder)


def shards(part: Path) -> list[Path]:
    """The files of a part's tensors.

    Raises:
        UnreadableInput: one is missing, or there are none.
    """
    indices = sorted(part.glob("*.safetensors.index.json"))
    if not indices:
        found = sorted(part.glob("*.safetensors"))
        if len(found) != 1:
            raise UnreadableInput(f"{part} holds {len(found)} files of tensors and no index", _get_again())
        return found
    try:
        names = sorted(set(json.loads(indices[0].read_text("utf-8"))["weight_map"].values()))
        files = [part / Path(str(name)).name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInput(f"{indices[0]} is damaged", _get_again()) from error
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise UnreadableInput(f"{part} is not whole: {', '.join(missing[:3])} missing", _get_again())
    return files


def is_heavy(folder: Path) -> bool:
    """Whether the transformer is so large that a CPU takes hours for a second of video."""
    return sum(shard.stat().st_size for shard in shards(folder / "transformer")) > _HEAVY


def identity(folder: Path) -> str:
    """What identifies the weights and the embedded prompt, 64 hex digits."""
    known = weights_sha256(folder, without=(PROMPT_FILE,))
    if (folder / "text_encoder").is_dir():
        return known  # the prompt follows from the weights
    return hashlib.sha256(f"{known} {file_sha256(folder / PROMPT_FILE)}".encode()).hexdigest()


def _get_again() -> str:
    return f"get it with: dreamactor models pull {NAME} --overwrite"


def _check_memory(folder: Path) -> None:
    """Refuse what this machine can never load: the transformer passes through its memory in bfloat16.

    Raises:
        MissingRequirement: the memory is too small.
    """
    import psutil

    bytes_in_file = {"F32": 4, "F64": 8}
    needed = 0.0
    for shard in shards(folder / "transformer"):
        needed += shard.stat().st_size * 2 / bytes_in_file.get(_dtype_of(shard), 2)
    have = psutil.virtual_memory().total + psutil.swap_memory().total
    if needed > have:
        raise MissingRequirement(
            f"wan-animate needs {needed / _GIB:.0f} GiB of memory to load its weights; this machine has {have / _GIB:.0f}",
            "run it on a larger one",
        )


def _dtype_of(shard: Path) -> str:
    """Type of the first tensor of a file that `check_tensors` has found whole."""
    with shard.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return next((str(one["dtype"]) for name, one in header.items() if name != "__metadata__"), "")


def load_pipeline(folder: Path, device: str, dtype: torch.dtype, less: int) -> WanAnimatePipeline:
    """The pipeline, placed on its device, without a text encoder.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        less: how often memory ran out before; each time the model is placed so that it takes less.

    Raises:
        UnreadableInput: weights that do not fit their config.
        OutOfMemory: of the device or the machine.
    """
    _silence()  # before the imports, which have advice too
    import torch
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanAnimatePipeline, WanAnimateTransformer3DModel
    from transformers import CLIPImageProcessorPil, CLIPVisionModel

    local: dict[str, Any] = {"local_files_only": True}
    try:
        pipeline = WanAnimatePipeline(
            tokenizer=None,
            text_encoder=None,
            vae=AutoencoderKLWan.from_pretrained(folder / "vae", torch_dtype=torch.float32, use_safetensors=True, **local),
            scheduler=UniPCMultistepScheduler.from_pretrained(folder / "scheduler", **local),
            image_processor=CLIPImageProcessorPil.from_pretrained(folder / "image_processor", **local),
            image_encoder=CLIPVisionModel.from_pretrained(folder / "image_encoder", dtype=torch.float32, **local).eval(),
            transformer=WanAnimateTransformer3DModel.from_pretrained(
                folder / "transformer", torch_dtype=dtype, use_safetensors=True, **local
            ),
        )
        _place(pipeline, device, less)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemory(f"the weights of {folder.name} do not fit into memory", "close other programs that use it") from error
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        said = str(error).splitlines() or [type(error).__name__]
        raise UnreadableInput(f"the weights in {folder} cannot be used: {said[0][:200]}", _get_again()) from error
    return pipeline


def _silence() -> None:
    """Keep the libraries' bars and advice off the terminal; what goes wrong is raised."""
    import diffusers.utils.logging
    import transformers.utils.logging

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


def placement(free: int, size: int, less: int) -> Offload:
    """How to place the model on a GPU.

    Args:
        free: bytes of the GPU.
        size: bytes of the transformer.
        less: how often memory ran out before.
    """
    ways = [way for way, room in _ROOM if free >= room * size / _FULL_SIZE]
    return ways[min(less, len(ways) - 1)]


def _place(pipeline: WanAnimatePipeline, device: str, less: int) -> None:
    """Bring the parts to the device, all at once, one after the other, or block by block."""
    if device == "cpu":
        return
    import torch

    way = placement(torch.cuda.mem_get_info()[0], _size(pipeline), less)
    if way == "model":
        pipeline.enable_model_cpu_offload()
    elif way == "none":
        pipeline.to(device)
    else:
        pipeline.vae.enable_tiling()
        pipeline.vae.to(device)
        pipeline.image_encoder.to(device)
        pipeline.transformer.enable_group_offload(
            onload_device=torch.device(device), offload_device=torch.device("cpu"), offload_type="block_level",
            num_blocks_per_group=1, use_stream=True,
        )  # fmt: skip


def _size(pipeline: WanAnimatePipeline) -> int:
    """Bytes of the transformer."""
    return sum(parameter.numel() * parameter.element_size() for parameter in pipeline.transformer.parameters())


def load_prompt(folder: Path) -> Prompt:
    """The embedded texts: read, or made by the text encoder and kept beside the weights, so that it is needed once.

    Raises:
        UnreadableInput: the file, or the text encoder, is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from dreamactor_cli.renderers.wan_animate.segments import Prompt

    path = folder / PROMPT_FILE
    try:
        if not path.is_file():
            return _embed(folder)
        found = load_file(path)
        prompt = Prompt(found["prompt_embeds"], found["negative_prompt_embeds"])
    except (OSError, SafetensorError, KeyError) as error:
        raise UnreadableInput(f"{path} is not usable", "remove it: the text encoder makes it again") from error
    if prompt.positive.ndim != 3 or prompt.positive.shape != prompt.negative.shape:
        raise UnreadableInput(f"{path} holds no embedded texts (1, L, D)", "remove it: the text encoder makes it again")
    return prompt


def _embed(folder: Path) -> Prompt:
    """Embed the texts on the CPU, and keep them if the folder can be written."""
    _silence()
    import torch
    from diffusers import WanAnimatePipeline
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, UMT5EncoderModel

    from dreamactor_cli.renderers.wan_animate.segments import Prompt

    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.bfloat16, local_files_only=True).eval()
    pipeline = WanAnimatePipeline(
        tokenizer=tokenizer, text_encoder=encoder, vae=None, scheduler=None, image_processor=None, image_encoder=None,
        transformer=None,
    )  # fmt: skip
    with torch.no_grad():
        positive, negative = pipeline.encode_prompt(PROMPT, NEGATIVE, max_sequence_length=512, device=torch.device("cpu"))
    prompt = Prompt(positive.contiguous(), negative.contiguous())
    try:
        with replacing(folder / PROMPT_FILE) as beside:
            save_file({"prompt_embeds": prompt.positive, "negative_prompt_embeds": prompt.negative}, beside)
    except UsageError:
        pass  # a folder of somebody else's; they are made again next time
    return prompt

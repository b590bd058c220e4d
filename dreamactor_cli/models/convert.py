"""Weights of Wan 2.1 in our transformer and out of it again: the one file that knows foreign names.

Wan's weights come in two layouts: diffusers', whose names are ours, and the original one of the Wan team (also with the prefix
of ComfyUI's files). Image-to-video checkpoints load too: their image embedding and image keys have no place here and stay out,
and of their patch embedding the channels of the noise are taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel

Layout = Literal["diffusers", "original"]

# Original name, ours; of the model and of a block.
_MODEL = (
    ("patch_embedding", "patch_embedding"),
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("head.modulation", "scale_shift_table"),
    ("head.head", "proj_out"),
)
_BLOCK = (
    ("modulation", "scale_shift_table"),
    *((f"{theirs}.{part}", f"{ours}.{part}") for theirs, ours in (("self_attn", "attn1"), ("cross_attn", "attn2"))
      for part in ("norm_q", "norm_k")),
    *((f"{theirs}.{part}", f"{ours}.to_{part}") for theirs, ours in (("self_attn", "attn1"), ("cross_attn", "attn2"))
      for part in "qkv"),
    ("self_attn.o", "attn1.to_out.0"),
    ("cross_attn.o", "attn2.to_out.0"),
    ("norm3", "norm2"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
)  # fmt: skip
_COMFY = "model.diffusion_model."
_IMAGE = re.compile(
    r"img_emb\.|condition_embedder\.image_embedder\.|.*\.(k_img|v_img|norm_k_img|add_[kv]_proj|norm_added_[kq])\."
)
_TEXT = re.compile(r"condition_embedder\.text_embedder\.|blocks\.\d+\.(attn2|norm2)\.")
_ADDED = re.compile(
    r"pose_embedding\.|reference_embedding$|motion_embedder\.|motion_order$|blocks\.\d+\.(attn|norm)_(face|reference)\."
)
_NAME = re.compile(r"(blocks\.\d+\.|)(.+?)(\.weight|\.bias|)$")
_NOISE_CHANNELS = 16  # of Wan's latents, the first of an image-to-video model's channels ...
_IMAGE_CHANNELS = 36  # ... which are noise, a mask of 4 and the picture
_HEAD_DIM = 128  # of every Wan, where no config.json says so
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_HINT = "get the safetensors of Wan 2.1 again, from Wan-AI on the Hugging Face hub"


def layout_of(names: Iterable[str]) -> Layout:
    """Whose names they are.

    Raises:
        UnreadableInput: nobody's that is known here.
    """
    known = {name.removeprefix(_COMFY) for name in names}
    if "blocks.0.self_attn.q.weight" in known:
        return "original"
    if "blocks.0.attn1.to_q.weight" in known:
        return "diffusers"
    raise UnreadableInput("these are no weights of a Wan transformer", _HINT)


def our_name(name: str, layout: Layout) -> str | None:
    """Our name of a tensor of Wan; None: it has no place here.

    Raises:
        UnreadableInput: the name is unknown.
    """
    name = name.removeprefix(_COMFY)
    if _IMAGE.match(name):
        return None
    return name if layout == "diffusers" else _translate(name, dict(_MODEL), dict(_BLOCK))


def from_wan(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Wan's tensors under our names.

    Args:
        state: in either layout.

    Raises:
        UnreadableInput: there are names that no Wan has.
    """
    layout = layout_of(state)
    named = ((our_name(name, layout), tensor) for name, tensor in state.items())
    return {name: _fitted(name, tensor) for name, tensor in named if name is not None}


def to_wan(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """What of our tensors is Wan's, in a layout of its own.

    Args:
        state: of a `DreamActorTransformer3DModel`.
        layout: to write.
    """
    model, block = ({ours: theirs for theirs, ours in table} for table in (_MODEL, _BLOCK))
    of_wan = {name: tensor for name, tensor in state.items() if not _ADDED.match(name)}
    if layout == "diffusers":
        return of_wan
    return {_translate(name, model, block): tensor for name, tensor in of_wan.items()}


def load_wan(
    source: Path, *, text: bool = False, dtype: torch.dtype | None = None, **added: Any
) -> DreamActorTransformer3DModel:  # fmt: skip
    """A transformer with Wan's weights, whose added parts are at the beginning of their training.

    Args:
        source: a safetensors file, or a folder of them: the transformer's, or the one above with ``transformer/`` in it.
        text: keep the text attention; DreamActor-M1 has none.
        dtype: of the weights; what must stay exact stays float32. None is float32.
        added: ``pose_channels``, ``motion_dim``, ``condition_heads``, in place of the transformer's defaults.

    Raises:
        MissingRequirement: there are no weights, or not all of them.
        UnreadableInput: they are damaged, or not Wan's.
    """
    files = _weight_files(source)
    state = dict(_read(files, text, dtype or torch.float32))
    config = {**_config(state, files[0].parent), **added}
    with init_empty_weights():
        model = DreamActorTransformer3DModel(**config)
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        found = state.get(name)
        if (found is None and not _ADDED.match(name)) or (found is not None and found.shape != tensor.shape):
            told = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise UnreadableInput(f"{source}: {name} is {told}", _HINT)
    if odd := sorted(set(state) - set(wanted)):
        raise UnreadableInput(f"{source}: {odd[0]} has no place in a Wan transformer", _HINT)
    model.load_state_dict(state, strict=False, assign=True)
    _make_added(model, dtype or torch.float32)
    return model.eval()


def _translate(name: str, model: Mapping[str, str], block: Mapping[str, str]) -> str:
    found = _NAME.match(name)
    assert found is not None
    place, part, kind = found.groups()
    other = (block if place else model).get(part)
    if other is None:
        raise UnreadableInput(f"{name} is no name of a Wan transformer", _HINT)
    return f"{place}{other}{kind}"


def _fitted(name: str, tensor: Tensor) -> Tensor:
    """Image-to-video models take more channels than the noise, behind it."""
    of_image = name == "patch_embedding.weight" and tensor.shape[1] == _IMAGE_CHANNELS
    return tensor[:, :_NOISE_CHANNELS] if of_image else tensor


def _kept_dtype(name: str, dtype: torch.dtype) -> torch.dtype:
    exact = any(part in name.split(".") for part in DreamActorTransformer3DModel._keep_in_fp32_modules)
    return torch.float32 if exact else dtype


def _weight_files(source: Path) -> list[Path]:
    """The shards, all of them."""
    if source.is_file():
        folder, files = source.parent, [source]
    else:
        folder = source / "transformer" if (source / "transformer").is_dir() else source
        files = sorted(folder.glob("*.safetensors"))
    if not files or files[0].suffix != ".safetensors":
        others = [path for path in (folder.iterdir() if folder.is_dir() else ()) if path.suffix in _PICKLES]
        told = f"only pickle files such as {others[0].name}, which can run code and are not read" if others else "no weights"
        raise MissingRequirement(f"{source} holds {told}", _HINT)
    for index in folder.glob("*.safetensors.index.json") if source.is_dir() else ():
        try:
            named = {folder / str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableInput(f"{index} is no index of shards", _HINT) from error
        if missing := sorted(named - set(files)):
            raise MissingRequirement(f"{missing[0]} is not there, of {len(named)} shards", _HINT)
        return sorted(named)
    return files


def _read(files: Iterable[Path], text: bool, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Tensors under our names, one at a time. That a file has the size that its head tells is checked as it is opened."""
    files = list(files)
    layout = layout_of(name for path in files for name in _names(path))
    for path in files:
        for theirs in _names(path):
            name = our_name(theirs, layout)
            if name is None or (not text and _TEXT.match(name)):
                continue
            with _opened(path) as tensors:
                tensor = _fitted(name, tensors.get_tensor(theirs))
            yield name, tensor.to(_kept_dtype(name, dtype)).contiguous()


def _names(path: Path) -> list[str]:
    with _opened(path) as tensors:
        return list(tensors.keys())


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (OSError, SafetensorError) as error:
        raise UnreadableInput(f"{path} is damaged or no safetensors file: {error!s:.200}", _HINT) from error


def _config(state: Mapping[str, Tensor], folder: Path) -> dict[str, Any]:
    """Sizes, from the tensors themselves; only how the width falls into heads is told by the config beside them."""
    try:
        dim, channels, *patch = state["patch_embedding.weight"].shape
        layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
        out, ffn = (len(state[name]) for name in ("proj_out.bias", "blocks.0.ffn.net.0.proj.bias"))
        freq = state["condition_embedder.time_embedder.linear_1.weight"].shape[1]
    except (KeyError, ValueError) as error:
        raise UnreadableInput(f"{folder} lacks a part of a Wan transformer: {error}", _HINT) from error
    heads = _num_heads(folder, dim)
    text = state.get("condition_embedder.text_embedder.linear_1.weight")
    normed = text is None or "blocks.0.norm2.weight" in state
    return {
        "patch_size": tuple(patch), "num_attention_heads": heads, "attention_head_dim": dim // heads, "in_channels": channels,
        "out_channels": out // (patch[0] * patch[1] * patch[2]), "text_dim": None if text is None else text.shape[1],
        "freq_dim": freq, "ffn_dim": ffn, "num_layers": layers, "cross_attn_norm": normed,
    }  # fmt: skip


def _num_heads(folder: Path, dim: int) -> int:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        heads = int(config.get("num_attention_heads", config.get("num_heads", dim // _HEAD_DIM)))
    except FileNotFoundError:
        heads = dim // _HEAD_DIM
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInput(f"{folder / 'config.json'} does not describe a Wan transformer", _HINT) from error
    if heads < 1 or dim % heads:
        raise UnreadableInput(f"{folder}: a width of {dim} does not fall into {heads} heads", _HINT)
    return heads


def _make_added(model: DreamActorTransformer3DModel, dtype: torch.dtype) -> None:
    """Memory and first values for what Wan does not have."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                setattr(module, name, torch.nn.Parameter(torch.empty_like(parameter, device="cpu")))
    model.reset_added()
    for name, parameter in model.named_parameters():
        if _ADDED.match(name):
            parameter.data = parameter.data.to(_kept_dtype(name, dtype))

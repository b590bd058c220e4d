"""Which renderer, and the options of those that draw with a network: what several commands take alike."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

import typer

from dreamactor_cli.commands import options as o

Sampling = Mapping[str, object]  # values of these options by the preset's fields; None was not given
NOT_GIVEN: Sampling = MappingProxyType({})

_OPTIONS: dict[str, Any] = {
    "renderer": o.Renderer,
    "weights": o.Weights,
    "steps": Annotated[int | None, typer.Option("--steps", metavar="N", help="Of the diffusion renderers: steps from noise.")],
    "guidance_reference": Annotated[
        float | None,
        typer.Option(
            "--cfg-reference", "--guidance-reference", metavar="X", help="How strictly they keep to the picture; 1 is faster."
        ),
    ],
    "guidance_motion": Annotated[
        float | None,
        typer.Option("--cfg-motion", "--guidance-motion", metavar="X", help="How strictly they keep to the motion; 1 is faster."),
    ],
    "segment_frames": Annotated[int | None, typer.Option("--segment-frames", metavar="4N+1", help="Frames drawn at a time.")],
    "precision": Annotated[
        str | None, typer.Option("--dtype", "--precision", metavar="auto|float32|bfloat16", help="What they compute in.")
    ],
    "step_cache": Annotated[
        str | None,
        typer.Option(
            "--step-cache", metavar="off|first-block|taylor|mag", help="Reuse what earlier steps gave: faster, not the same."
        ),
    ],
    "reference_views": Annotated[
        str | None,
        typer.Option(
            "--references", "--reference-views", metavar="given|auto", help="auto: a first pass makes views of the person to use."
        ),
    ],
    "quantize": Annotated[
        str | None, typer.Option("--quantize", metavar="off|int8|float8", help="8-bit weights; needs torchao.")
    ],
    "compile": Annotated[bool | None, typer.Option("--compile/--no-compile", help="Let torch.compile translate the model.")],
    "context_parallel": Annotated[
        int | None, typer.Option("--context-parallel", metavar="N", help="Devices that share the work on one clip.")
    ],
}


def with_sampling_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options in place of its parameter ``sampling``, which gets their values."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(sampling={name: options.pop(name) for name in _OPTIONS}, **options)

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "sampling":
            parameters += [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
                for name, annotation in _OPTIONS.items()
            ]
        else:
            parameters.append(parameter)
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run

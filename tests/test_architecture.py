"""Holds the code to the import rule and the house's limits of size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dreamactor_cli"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70

# Packages that cost more than a moment to import.
HEAVY = {
    "torch", "diffusers", "transformers", "accelerate", "peft", "mediapipe", "librosa", "whisper", "ray", "pebble", "decord",
    "av",
    "numba", "scipy", "skimage", "cv2", "matplotlib", "pydantic", "PIL", "ffmpeg", "imageio_ffmpeg",
    "c2pa", "cryptography", "jinja2",
}  # fmt: skip

# Who may import which packages of ours. A file belongs to the first layer whose name its module starts with.
BASE = (
    "contracts", "arkit", "errors", "head_space", "person_space", "body_space", "picture_space", "rotations", "resources",
    "nearest", "atomic", "quiet", "fresh_python",
)  # fmt: skip
RUN = ("run_record", "results", "strays", "folder_lock", "plan", "renderers.needs", "executors", "report", "sidecar", "cache")
# What the pipeline is made of.
PIPELINE = (
    "scene", "driving", "speaking", "dubbing", "captions", "reference", "compose", "sidecar", "provenance", "kept", "readying",
)  # fmt: skip
LAYERS: dict[str, tuple[str, ...]] = {
    "app": ("commands", "console", "endings", *BASE),
    "__main__": ("app",),
    "commands": (
        "commands", "console", "endings", "executors", "pipeline", "presets", "manifest", "controls",
        "controls_file", "controls_export", "skeleton_file", "cache", "media", "motion", "renderers", "environment", "preview",
        "provenance",
        "evaluation", "plan", "emit", "job_options", "run", "run_record", "live", "results", "training", "model_store", *BASE,
    ),
    "manifest": ("manifest_columns", "manifest_rows", "manifest_files", "presets", "job_options", *BASE),
    "manifest_files": ("driving", "media", *BASE),
    "manifest_columns": ("presets", "job_options", *BASE),
    "manifest_rows": BASE,
    "job_options": BASE,
    "plan": (
        "plan_inputs", "executors.settings", "executors.worker", "pipeline", "sidecar", "rates", "renderers", "media", "cache",
        *BASE,
    ),
    "plan_inputs": (
        "pipeline", "driving", "speaking", "dubbing", "reference", "controls", "controls_file", "retarget", "media", "cache",
        *BASE,
    ),
    "rates": BASE,
    "emit": ("emit", *BASE),
    "api": (
        "executors", "pipeline", "renderers.needs", "presets", "cache", "controls", "controls_file", "controls_export", "media",
        "motion", *BASE,
    ),
    "live": ("run", "results", "executors", "plan", "console", *BASE),
    "run": (*RUN, *BASE),
    "run_record": ("plan", "executors", "sidecar", *BASE),
    "results": BASE, "strays": BASE, "folder_lock": BASE,
    "executors": (
        "executors", "strays", "pipeline", "kept", "reference", "endings", "evaluation", "controls", "cache", "media", *BASE,
    ),
    "pipeline": (*PIPELINE, "speech_face", "retarget", "renderers", "media", "cache", *BASE),
    "driving": ("controls", "controls_file", "media", "cache", "motion", "bvh", "bvh_joints", *BASE),
    "reference": ("controls", "controls_file", "skeleton_file", "media", "cache", "retarget", *BASE),
    "skeleton_file": ("retarget", *BASE),
    "compose": ("driving", "media", *BASE),
    "scene": ("compose", "driving", "controls_file", "retarget", "media", *BASE),
    "sidecar": ("driving", "credentials", "media", *BASE),
    "kept": ("reference", "renderers", "cache", "media", *BASE),
    "provenance": ("sidecar", "credentials", "media", *BASE),
    "credentials": BASE,
    "evaluation": ("evaluation", "presets", "driving", "sidecar", "controls", "retarget", "cache", "media", *BASE),
    "report": ("report", "results", "sidecar", "media", *BASE),
    "preview": ("media", *BASE),
    "environment": ("cache", "model_store", *BASE),
    "presets": ("renderers", *BASE),
    "console": ("cache", *BASE),
    "endings": BASE,
    "captions": ("media", "cache", "models", *BASE),
    "dubbing": (
        "speaking", "captions", "speech_face", "controls", "renderers", "retarget", "media", "cache", *BASE,
    ),
    "speaking": (
        "driving", "captions", "speech_face", "controls", "controls_file", "retarget", "media", "cache", "motion", *BASE,
    ),
    "speech_face": ("speech_face", "motion", "motion_layers", "retarget", "controls.blendshapes", *BASE),
    "motion_body": BASE, "bvh": BASE, "bvh_joints": ("bvh", "motion_body", *BASE),
    "motion": ("motion_keys", "motion_layers", "motion_body", "controls.blendshapes", "controls.gaze", *BASE),
    "motion_keys": BASE, "motion_layers": BASE,
    "renderers": ("renderers", *BASE),
    "renderers.diffusion": ("renderers", "models", *BASE),
    "renderers.wan_animate": ("renderers", "model_store", *BASE),
    "model_store": ("model_store", *BASE),
    "retarget": ("retarget", "controls.blendshapes", *BASE),
    "models": ("models", *BASE),
    "training": ("training", "models", "media", "controls", "cache", "tensor_file", *BASE),
    "controls.extract": ("controls", "controls_file", "cache", "media", *BASE),
    "controls.measurer": ("controls", "media", *BASE),
    "controls.speech": ("controls", "controls_file", "cache", "media", *BASE),
    "controls.hearer": ("controls", "controls_file", "media", "models", *BASE),
    "controls": ("controls", *BASE),
    "controls_export": ("controls_file", *BASE),
    "controls_file": ("matte_file", "tensor_file", *BASE),
    "matte_file": ("tensor_file", *BASE),
    "tensor_file": BASE,
    "cache": BASE,
    "media": ("media", *BASE),
    "contracts": ("contracts", "arkit"), "arkit": (), "errors": (), "resources": (), "nearest": (), "head_space": ("resources",),
    "atomic": ("errors",), "quiet": (), "fresh_python": (), "readying": ("reference",),
    "person_space": ("contracts", "head_space"),
    "body_space": ("contracts",), "picture_space": ("contracts",), "rotations": (),
}  # fmt: skip

# Only these packages may know a library, wherever in a file it is imported.
OWNERS = {
    "ffmpeg": ("media",), "imageio_ffmpeg": ("media", "environment"), "decord": ("media",), "av": ("media",),
    "PIL": ("media",), "mediapipe": ("controls",), "torch": (
        "models", "training", "renderers.diffusion", "renderers.wan_animate", "renderers.needs", "environment",
    ),
    "typer": ("app", "commands", "endings"), "c2pa": ("credentials",), "cryptography": ("credentials",), "jinja2": ("report",),
}  # fmt: skip


def module_name(path: Path) -> str:
    """Dotted name below the package: ``controls.face``; the package's own ``__init__`` is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imported(path: Path) -> tuple[tuple[str, int, bool], ...]:
    """Absolute name, line, and whether it is imported when the file is, of every import but those for type checkers."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    package = ["dreamactor_cli", *path.relative_to(PACKAGE).parts[:-1]]
    tree = parsed(path)
    late = {id(child) for node in ast.walk(tree) if _is_late(node) for child in ast.walk(node) if child is not node}
    typing_only = {id(child) for node in ast.walk(tree) if _is_type_checking(node) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) not in late
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], node.module or ""]) if node.level else node.module or ""
            for alias in node.names:
                yield f"{base.rstrip('.')}.{alias.name}", node.lineno, id(node) not in late


def _is_late(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def starts(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the prefixes or lies below one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def layer_of(module: str) -> str | None:
    """The longest name of `LAYERS` that holds a module."""
    names = [name for name in LAYERS if starts(module, (name,))]
    return max(names, key=len) if names else None


def test_every_file_belongs_to_a_layer() -> None:
    lost = [module_name(path) for path in FILES if module_name(path) and layer_of(module_name(path)) is None]
    assert lost == []


def test_imports_go_down_only() -> None:
    wrong = []
    for path in FILES:
        module = module_name(path)
        if not module:
            continue
        allowed = LAYERS.get(layer_of(module) or "", ())
        for name, line, _ in imported(path):
            if name.startswith("dreamactor_cli."):
                ours = name.removeprefix("dreamactor_cli.")
                if not starts(ours, (*allowed, "__version__")):
                    wrong.append(f"{path.relative_to(ROOT)}:{line} imports {ours}")
    assert wrong == []


def test_only_its_owner_knows_a_library() -> None:
    wrong = []
    for path in FILES:
        for name, line, _ in imported(path):
            top = name.partition(".")[0]
            if top in OWNERS and not starts(module_name(path), OWNERS[top]):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {top}")
    assert wrong == []


def test_heavy_libraries_stay_out_of_light_files() -> None:
    light = ("", "__main__", "app", "commands", "console", "endings", *BASE, "presets", "cache", "executors", "environment")
    wrong = []
    for path in FILES:
        if module_name(path) and not starts(module_name(path), light):
            continue
        for name, line, at_import in imported(path):
            if at_import and name.partition(".")[0] in HEAVY:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name} at the top")
    assert wrong == []


@pytest.mark.parametrize("arguments", [["--help"], ["animate", "--help"], ["cache", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from dreamactor_cli.app import main; main(sys.argv[1:]);"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "Usage: dreamactor" in done.stdout
    loaded = set(done.stderr.split()) & (HEAVY | {"numpy", "rich"})
    assert loaded <= ({"pydantic"} if len(arguments) > 1 else set())  # typer's own, for the options of a command


def test_files_and_functions_are_short() -> None:
    wrong = []
    for path in FILES:
        lines = path.read_text("utf-8").count("\n")
        if lines > MAX_FILE_LINES:
            wrong.append(f"{path.relative_to(ROOT)} has {lines} lines")
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines")
    assert wrong == []


def test_no_pickle_and_no_shell() -> None:
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
    wrong = []
    for path in FILES:
        wrong += [
            f"{path.relative_to(ROOT)}:{line} {name}" for name, line, _ in imported(path) if name.partition(".")[0] in banned
        ]
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                shell = [
                    k for k in node.keywords if k.arg == "shell" or (k.arg == "allow_pickle" and ast.unparse(k.value) != "False")
                ]
                if shell or ast.unparse(node.func) in ("os.system", "os.popen", "eval", "exec"):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node.func)}")
    assert wrong == []

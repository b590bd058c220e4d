"""What a file says of itself: the texts in a container or a PNG file."""

from __future__ import annotations

from pathlib import Path

from dreamactor_cli.media.container import opened
from dreamactor_cli.media.files import require_file


def read_tags(path: Path) -> dict[str, str]:
    """Texts by name in lower case; of a picture, those of a PNG file.

    Raises:
        UnreadableInput: not there, empty, or neither a video nor a PNG file.
    """
    path = Path(path)
    require_file(path)
    if path.suffix.lower() == ".png":
        return _png_texts(path)
    with opened(path) as container:
        return {name.lower(): text for name, text in container.metadata.items()}


def _png_texts(path: Path) -> dict[str, str]:
    from PIL import Image, UnidentifiedImageError

    from dreamactor_cli.errors import UnreadableInput

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return {str(name).lower(): text for name, text in picture.info.items() if isinstance(text, str)}
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UnreadableInput(f"{path} is no PNG file that can be read", "copy or download it again") from error

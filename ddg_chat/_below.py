"""What a reply has besides its text, shown below it: sources, images, and what could not be made or answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from ddg_protocol import TurnFinished
from ddg_protocol.events import GeneratedImage

from ._files import private
from ._text import one_line

#: How images begin, and the suffix of their files.
_KINDS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"))


def show_below(
    turn: TurnFinished,
    say: Callable[[str], None],
    folder: Path | None = None,
    *,
    draw: Callable[[bytes], None] | None = None,
) -> None:
    """Show what a turn has besides its text. Its images are saved to new files.

    Args:
        turn: the turn.
        say: shows a line to the user.
        folder: where the images go; None is the current folder.
        draw: draws an image on the terminal; None if it can't.
    """
    titles = titles_of((source.url, source.title or source.site) for source in turn.sources)
    for number, (url, title) in enumerate(titles.items(), 1):
        say(f"[{number}] {one_line(title, 100)}: {one_line(url)}" if title else f"[{number}] {one_line(url)}")
    for image in turn.images:
        if draw is not None and image.data is not None:
            draw(image.data)
        say(_saved(image, folder or Path()))
    for failed in turn.failed_images:
        why = one_line(failed.message or failed.error, 300)
        say(f"an image could not be made: {why}" if why else "an image could not be made")
    if turn.refusals:
        say("the model refused to answer")


def titles_of(sources: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the addresses of sources, each once, with the first title that isn't empty.

    Args:
        sources: addresses and titles.
    """
    titles: dict[str, str] = {}
    for url, title in sources:
        titles[url] = titles.get(url) or title
    return titles


def kind_of(data: bytes) -> str | None:
    """Return the suffix for an image, by how its bytes begin; None if they don't begin like one that is known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((kind for begin, kind in _KINDS if data.startswith(begin)), None)


def save_image(data: bytes, folder: Path, name: str = "image") -> Path:
    """Save an image to a new file.

    Args:
        data: the image.
        folder: where it goes.
        name: how the file's name begins. A number and the suffix of the image's kind follow.

    Returns:
        The path of the file.

    Raises:
        OSError: it can't be written; the exception has the file's name.
    """
    for number in count(1):
        path = folder / f"{name}-{number}.{kind_of(data) or 'bin'}"
        try:
            with open(path, "xb", opener=private) as file:
                file.write(data)
        except FileExistsError:
            continue
        break
    return path


def _saved(image: GeneratedImage, folder: Path) -> str:
    """Save an image to a new file, and return a sentence about it."""
    data = image.data
    if data is None:
        return "an image came that can't be read: it is not base64"
    try:
        path = save_image(data, folder)
    except OSError as error:
        return f"an image could not be saved as {error.filename}: {error.strerror}"
    return f"an image is saved as {path} ({len(data):,} bytes)"

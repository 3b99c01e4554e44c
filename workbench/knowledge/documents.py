"""Documents as passages: Markdown and text files, cut at headings and paragraphs.

A passage says where it stands, so that an answer can be checked against its
source. This module knows nothing about embeddings or stores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError
from workbench.records import content_id

SUFFIXES = (".md", ".txt")
WORDS = 120
"""Longest passage, in words: all-MiniLM-L6-v2 reads 256 word pieces and ignores the rest."""

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*")
_FENCE = re.compile(r"\s*(```|~~~)")


@dataclass(frozen=True)
class Passage:
    """A piece of a document.

    `id` is made from source, headings and text (32 hex digits). `source` is the
    file's path below the folder that was read, with `/`; `line` counts from 1.
    `heading` holds the headings above the passage, joined by ` > `.
    """

    id: str
    source: str
    line: int
    heading: str
    text: str


def document_files(folder: Path) -> list[Path]:
    """The .md and .txt files below `folder`, in order of path; hidden ones are left out."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def read_documents(folder: Path | str, *, words: int = WORDS) -> list[Passage]:
    """Passages of every .md and .txt file below `folder`, in order of path and line.

    Short paragraphs under one heading are joined up to `words` words; a longer
    one is cut between words. Headings without text give no passage, hidden
    files are left out. Raises InputError where there is no such file, or where
    one is not UTF-8.
    """
    folder = Path(folder)
    files = document_files(folder)
    if not files:
        raise InputError(
            f"There are no documents in {folder}", f"Put {' or '.join(SUFFIXES)} files there"
        )
    return [passage for path in files for passage in _passages(path, folder, words)]


def _passages(path: Path, folder: Path, words: int) -> Iterator[Passage]:
    source = path.relative_to(folder).as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} can't be read: {error}", "Save it as UTF-8 text") from None
    markdown = path.suffix.lower() == ".md"
    for heading, line, body in _joined(_paragraphs(text, markdown), words):
        for lines_before, piece in _cut(body, words):
            id = content_id(source, heading, piece, length=32)
            yield Passage(id, source, line + lines_before, heading, piece)


def _paragraphs(text: str, markdown: bool) -> Iterator[tuple[str, int, str]]:
    """(headings above, line, text) of each paragraph; a fenced block stays in one piece."""
    headings: dict[int, str] = {}
    lines: list[str] = []
    start, fence = 1, ""

    def above() -> str:
        return " > ".join(headings[level] for level in sorted(headings))

    for number, line in enumerate(text.split("\n"), start=1):
        heading = _HEADING.fullmatch(line) if markdown and not fence else None
        if (not line.strip() or heading) and not fence:
            if lines:
                yield above(), start, "\n".join(lines)
            lines = []
        if heading:
            level = len(heading[1])
            headings = {k: v for k, v in headings.items() if k < level} | {level: heading[2]}
            continue
        if not line.strip() and not fence:
            continue
        if not lines:
            start = number
        lines.append(line.rstrip())
        if markdown and (mark := _FENCE.match(line)):
            fence = "" if fence == mark[1] else fence or mark[1]
    if lines:
        yield above(), start, "\n".join(lines)


def _joined(
    paragraphs: Iterator[tuple[str, int, str]], words: int
) -> Iterator[tuple[str, int, str]]:
    """Neighbouring paragraphs under one heading, as long as they stay within `words`."""
    held: tuple[str, int, str] | None = None
    for heading, line, text in paragraphs:
        if held and held[0] == heading and len(f"{held[2]} {text}".split()) <= words:
            gap = line - held[1] - held[2].count("\n")
            held = (heading, held[1], held[2] + "\n" * gap + text)
            continue
        if held:
            yield held
        held = (heading, line, text)
    if held:
        yield held


def _cut(text: str, words: int) -> Iterator[tuple[int, str]]:
    """(lines before it, piece) for pieces of at most `words` words."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    start = 0
    for end in [*ends[words - 1 : -1 : words], ends[-1]]:
        piece = text[start:end]
        body = piece.lstrip()
        yield text.count("\n", 0, end - len(body)), body
        start = end

"""What is kept of a program's output: the head, the tail, and a word about the cut between.

Output is data. Control characters, by which a terminal could be steered, are written
out; letters of all scripts stay, those that set the direction of writing among them.
"""

from __future__ import annotations

_TERMINAL = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}


def visible(data: bytes) -> str:
    """UTF-8 as text: broken bytes as U+FFFD, control characters but newline and tab as \\x1b."""
    return data.decode("utf-8", "replace").translate(_TERMINAL)


class Kept:
    """The first and the last bytes of one stream, `limit` together."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._half = (limit + 1) // 2
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        del self._tail[: -self._half]

    def text(self, limit: int) -> str:
        """All of it, or `limit` bytes (no more than were kept) around a line that states the cut.

        Counted before control characters are written out.
        """
        kept = bytes(self._head + self._tail)
        if self.total <= limit:
            return visible(kept)
        head, tail = _whole(kept[: limit // 2], kept[len(kept) - limit // 2 :])
        cut = self.total - len(head) - len(tail)
        return f"{visible(head)}\n[... {cut:,} bytes left out ...]\n{visible(tail)}"


def texts(stdout: Kept, stderr: Kept, limit: int) -> tuple[str, str, bool]:
    """Both streams in `limit` bytes together, and whether something was left out.

    Where both are long, a quarter is for stderr.
    """
    quarter = limit // 4
    for_stdout = limit - min(stderr.total, quarter)
    for_stderr = limit - min(stdout.total, limit - quarter)
    truncated = stdout.total > for_stdout or stderr.total > for_stderr
    return stdout.text(for_stdout), stderr.text(for_stderr), truncated


def _whole(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """Without the parts of a UTF-8 letter that was cut in two."""
    for back in range(1, min(3, len(head)) + 1):
        lead = head[-back]
        if lead >= 0xC0:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            head = head[:-back] if length > back else head
            break
        if lead < 0x80:
            break
    start = next((i for i, byte in enumerate(tail[:4]) if byte & 0xC0 != 0x80), 0)
    return head, tail[start:]

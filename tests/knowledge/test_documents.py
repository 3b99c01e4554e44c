"""Files into passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.knowledge import read_documents


def passages(folder: Path, text: str, name: str = "a.md", **options: int):
    (folder / name).write_text(text, encoding="utf-8")
    return read_documents(folder, **options)


def test_passages_stand_under_their_headings_and_lines(tmp_path):
    found = passages(tmp_path, "# Top\n\nOne.\n\n## Sub ##\n\nTwo\nlines.\n\n# Next\nThree.\n")
    assert [(p.heading, p.line, p.text) for p in found] == [
        ("Top", 3, "One."),
        ("Top > Sub", 7, "Two\nlines."),
        ("Next", 11, "Three."),
    ]
    assert {p.source for p in found} == {"a.md"}


def test_short_paragraphs_join_up_to_the_size_and_keep_their_lines(tmp_path):
    text = "# H\n\na b\n\n\nc d\n\ne f g h\n"
    found = passages(tmp_path, text, words=4)
    assert [(p.line, p.text) for p in found] == [(3, "a b\n\n\nc d"), (8, "e f g h")]


def test_a_long_paragraph_is_cut_with_true_lines(tmp_path):
    text = "\n".join(f"word{i} more{i}" for i in range(10))
    found = passages(tmp_path, text, words=5)
    assert [p.line for p in found] == [1, 3, 6, 8]
    assert " ".join(p.text for p in found).split() == text.split()
    assert all(len(p.text.split()) <= 5 for p in found)
    lines = text.split("\n")
    assert all(p.text.split()[0] in lines[p.line - 1] for p in found)


def test_a_hash_in_code_is_no_heading_and_code_stays_whole(tmp_path):
    found = passages(tmp_path, "# H\n\n```sh\n# a comment\n\nls\n```\n\nAfter.\n")
    (passage,) = found
    assert passage.heading == "H"
    assert passage.text == "```sh\n# a comment\n\nls\n```\n\nAfter."


def test_plain_text_has_no_headings(tmp_path):
    (passage,) = passages(tmp_path, "# not a heading\n", name="a.txt")
    assert (passage.heading, passage.text) == ("", "# not a heading")


def test_files_are_read_in_order_and_others_left_out(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("z.md", "sub/b.TXT", ".hidden/c.md", "d.py"):
        (tmp_path / name).write_text("text\n")
    assert [p.source for p in read_documents(tmp_path)] == ["sub/b.TXT", "z.md"]


def test_ids_follow_the_content_not_the_line(tmp_path):
    (before,) = passages(tmp_path, "# H\n\nSame.\n")
    (moved,) = passages(tmp_path, "# H\n\n\n\nSame.\n")
    (changed,) = passages(tmp_path, "# H\n\nOther.\n")
    assert before.id == moved.id != changed.id
    assert (before.line, moved.line) == (3, 5)


def test_windows_files_give_the_same_passages(tmp_path):
    (unix,) = passages(tmp_path, "# H\n\nOne\ntwo.\n")
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf# H\r\n\r\nOne\r\ntwo.\r\n")
    assert read_documents(tmp_path) == [unix]


@pytest.mark.parametrize("text", ["", "\n\n", "# Only a heading\n"])
def test_a_file_without_text_gives_no_passage(tmp_path, text):
    assert passages(tmp_path, text) == []


def test_no_documents_and_no_text_are_errors(tmp_path):
    with pytest.raises(InputError, match="no documents"):
        read_documents(tmp_path)
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_documents(tmp_path)

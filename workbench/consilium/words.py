"""Words as the routing rules compare them: stems, fixed expressions, file names.

A phrase is words with a space between them; it is found in a sentence that has all
of them, in any order. `a|b` is one word or the other; `a_b` is a fixed expression,
read as one word and no longer as its parts, so that a knowledge base is no database.
FILE stands for any file or folder name, DATA for the name of a file of records, CALL
for a name with a parenthesis behind it, `?` for the end of a question.

English and Russian words are compared by their stems (Snowball), chosen by the letters
of the word, so that a Russian sentence may name things in English. Other scripts are
compared as they stand. This module knows no grammar and no meaning: a negated word is
the same word.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

CLASSES = (FILE, DATA, CALL, QUESTION) = ("FILE", "DATA", "CALL", "?")

_CHUNK = re.compile(r"(?P<word>[^\W_]+(?:[._/\\-]{1,2}[^\W_]+)*/?)(?P<call>\(?)|(?P<end>[.!?;…\n])")
_PART = re.compile(r"[^\W_]+")
_FLEETING = re.compile(r"(?<=[бвгджзклмнпрстфхцчшщ])[ео](?=[кц]$)")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_DATA = r"csv|tsv|jsonl?|parquet|xlsx?|h5|npy"
_FILE_NAME = re.compile(
    rf".*\.(?:{_DATA}|bak|c|cc|cfg|conf|cpp|css|db|env|go|h|html?|ini|ipynb|java|js|jsx|lock|log"
    r"|md|patch|pdf|php|py|rb|rs|sh|sql|sqlite|tf|toml|tsx?|txt|xml|ya?ml)|.*/"
    r"|(?:app|build|core|data|datasets|docs|lib|public|reports|src|static|templates|tests?)/.*"
    r"|dockerfile|makefile|readme"
)
_NAMES = {FILE: _FILE_NAME, DATA: re.compile(rf".*\.(?:{_DATA})")}
_LONGEST_NAME = 200
_LONGEST_WORD = 40


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of one lower-case word, by the English or the Russian Snowball stemmer.

    Of a Russian one without the vowel that comes and goes: "кнопка" and "кнопок" are one.
    """
    import snowballstemmer

    if len(word) > _LONGEST_WORD:
        return word
    language = "russian" if _CYRILLIC.search(word) else "english"
    # A stemmer keeps its word in itself, so threads must not share one.
    return _FLEETING.sub("", str(snowballstemmer.stemmer(language).stemWord(word)))


class Phrases:
    """Phrases to be found in texts; see the module for how they are written."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._slots = {phrase: _slots(phrase) for phrase in phrases}
        keys = {key for slots in self._slots.values() for slot in slots for key in slot}
        self._expressions = {key for key in keys if "_" in key}
        self._begin = {key.split("_")[0] for key in self._expressions}
        self._by_key: dict[str, list[str]] = defaultdict(list)
        for phrase, (first, *_) in self._slots.items():
            for key in sorted(first):
                self._by_key[key].append(phrase)

    def find(self, text: str) -> dict[str, str]:
        """Phrase -> the words of the text that it was found in, at the first place of each."""
        found: dict[str, str] = {}
        for sentence in _sentences(text):
            said = self._keys(sentence)
            for phrase in dict.fromkeys(p for key in said for p in self._by_key.get(key, ())):
                if phrase in found:
                    continue
                words = [_first(said, slot) for slot in self._slots[phrase]]
                if all(words):
                    found[phrase] = " … ".join(dict.fromkeys(words))
        return found

    def _keys(self, sentence: list[str]) -> dict[str, str]:
        """What a sentence says: key -> the word that gave it first."""
        said: dict[str, str] = {}
        parts = [tuple(stem(p) for p in _PART.findall(word.casefold())) for word in sentence]
        place = 0
        while place < len(sentence):
            taken = self._expression(parts, place)
            word = " ".join(sentence[place : place + taken])
            if taken > 1:
                said.setdefault("_".join(p[0] for p in parts[place : place + taken]), word)
            else:
                for key in self._keys_of(word.casefold(), parts[place]):
                    said.setdefault(key, word)
            place += taken
        return said

    def _keys_of(self, word: str, parts: tuple[str, ...]) -> list[str]:
        """What a word counts as: a file its name, a fixed expression itself, others their parts."""
        classes, whole = _classes(word), "_".join(parts)
        if QUESTION in classes:
            return classes
        if FILE in classes:
            name = word.rstrip("(/").rsplit("/", 1)[-1].split(".", 1)[0]
            return [whole, "_".join(stem(p) for p in _PART.findall(name)), *classes]
        return [whole, *classes] if whole in self._expressions else [whole, *parts, *classes]

    def _expression(self, parts: list[tuple[str, ...]], place: int) -> int:
        """How many words from `place` on are one fixed expression; 1 where there is none."""
        if parts[place] and parts[place][0] in self._begin:
            for taken in (3, 2):
                run = parts[place : place + taken]
                joined = "_".join(part[0] for part in run if len(part) == 1)
                if joined.count("_") == taken - 1 and joined in self._expressions:
                    return taken
        return 1


def terms(text: str) -> list[str]:
    """The stems of all words of a text and the classes that they belong to, in order."""
    words = [word.casefold() for sentence in _sentences(text) for word in sentence]
    return [term for word in words for term in (*map(stem, _PART.findall(word)), *_classes(word))]


def plain(text: str) -> str:
    """The text in lower case, letters that are read alike spelled alike."""
    return _alike(text).casefold()


def _classes(word: str) -> list[str]:
    """Which of `CLASSES` a word in lower case belongs to."""
    if word == QUESTION:
        return [QUESTION]
    name = word.rstrip("(")[:_LONGEST_NAME]
    names = [known for known, form in _NAMES.items() if form.fullmatch(name)]
    return [*names, CALL] if word.endswith("(") else names


def _alike(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("ё", "е").replace("Ё", "Е")


def _sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence; one that is called keeps its "(", a question ends in "?"."""
    words: list[str] = []
    for chunk in _CHUNK.finditer(_alike(text)):
        if chunk["word"]:
            words.append(chunk["word"] + chunk["call"])
        elif words:
            yield [*words, QUESTION] if chunk["end"] == "?" else words
            words = []
    if words:
        yield words


def _slots(phrase: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(_key(word) for word in slot.split("|")) for slot in phrase.split())


def _key(word: str) -> str:
    if word in CLASSES:
        return word
    return "_".join(stem(part) for part in word.casefold().replace("ё", "е").split("_"))


def _first(said: dict[str, str], slot: frozenset[str]) -> str:
    """The word of the sentence that fills a slot; "" where none does."""
    return next((said[key] for key in sorted(slot) if key in said), "")

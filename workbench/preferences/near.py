"""Texts that say nearly the same, by the Jaccard similarity of what they consist of.

Two notions of it. `words` of a text know no order, so that a paraphrase with the
same words is the same; such sets are small, and `alike` compares them exactly.
`shingles`, runs of five characters, know order, so that "A beats B" is not
"B beats A"; such sets are large, and MinHash proposes which of them to compare to
find the `firsts` of their kind, and which of those say the opposite. The seed of
MinHash is fixed. This module knows nothing about meaning: a paraphrase in other
words is another text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    """A set as its hashes: sorted, each once."""
    Triple = tuple[Hashes, Hashes, Hashes]
    """A prompt and two answers to it, each as its shingles."""
    _Band = tuple[int, bytes]

_SHINGLE = 5
_FACTOR = 0x9E3779B97F4A7C15
_PERMUTATIONS = 128
_MISSED = 1e-3
_AT_ONCE = 8192
_ROUNDING = 1e-9
_AS_THEY_STAND, _SWAPPED = (0, 1, 2), (0, 2, 1)

# Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese characters.
_UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_TATWEEL = "\u0640"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")


def words(text: str) -> frozenset[str]:
    """The words of a text in any order, without letter case, accents and punctuation.

    A run of a script without spaces gives its characters and pairs of characters.
    Characters that only shape or hide (joiners, soft hyphens, marks of direction, the
    Arabic tatweel) are no part of a word. A text without words gives its characters.
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not _is_ornament(c))
    found: set[str] = set()
    for word in _WORD.findall(plain):
        if re.match(f"[{_UNSPACED}]", word):
            found.update(word)
            found.update(word[i : i + 2] for i in range(len(word) - 1))
        else:
            found.add(word)
    return frozenset(found or "".join(plain.split()))


def _is_ornament(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("M") or category == "Cf" or character == _TATWEEL


def alike(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs of places in `sets` that connect all whose Jaccard similarity is `threshold` or more.

    Each pair has that similarity; one that the pairs before it connect is left out, so
    that sets of one template cost little. Exact: two such sets share an item among
    their rarest, so that only those that share one are compared. Empty sets are like
    no other.

    Source: the prefix filter of Chaudhuri, Ganti and Kaushik, "A primitive operator
    for similarity joins in data cleaning" (2006).
    """
    from scipy.cluster.hierarchy import DisjointSet

    count = Counter(item for items in sets for item in items)
    groups = DisjointSet(range(len(sets)))
    holders: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, items in enumerate(sets):
        rarest = sorted(items, key=lambda item: (count[item], item))
        prefix = rarest[: len(items) - math.ceil(threshold * len(items) - _ROUNDING) + 1]
        compared: set[int] = set()
        for group, members in chain.from_iterable(holders[item].items() for item in prefix):
            if groups.connected(group, place):
                continue
            for other in members:
                if other in compared:
                    continue
                compared.add(other)
                shared = len(items & sets[other])
                if shared >= threshold * (len(items) + len(sets[other]) - shared) - _ROUNDING:
                    groups.merge(group, place)
                    yield other, place
                    break
        for item in prefix:
            holders[item][groups[place]].append(place)


def shingles(text: str) -> Hashes:
    """Every run of five characters as a 64-bit hash; of a shorter text, the whole."""
    import numpy as np

    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    length = min(_SHINGLE, len(letters))
    runs = len(letters) - length + 1
    hashes: Hashes = np.full(runs if length else 0, length, np.uint64)
    for offset in range(length):
        hashes = (hashes ^ letters[offset : offset + runs]) * np.uint64(_FACTOR)
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


@dataclass(frozen=True)
class Firsts:
    """What is left of texts when each in turn goes that is like one left before it.

    `of` has, for each place, that of the first it is like; of a first, its own.
    `swapped` are the firsts, two by two, that are alike when the answers of one
    change places.
    """

    of: tuple[int, ...]
    swapped: tuple[tuple[int, int], ...]


def firsts(texts: Sequence[Triple], threshold: float) -> Firsts:
    """Which of `texts` are like one before them, as they stand or with answers swapped.

    Two are alike where each set has a Jaccard similarity of `threshold` or more with
    its counterpart; two empty sets are equal. Where a text's own answers are alike,
    it may be like another in both ways: the greater sum of similarities tells which,
    and as they stand where both are equal. About one in a thousand of those that are
    like another is missed at most: MinHash proposes and `_Alike` compares exactly.
    Only firsts are looked up, by that set of a text which has the fewest others in
    its buckets, so that texts of one template cost little more than others.

    Source: Broder, "On the resemblance and containment of documents" (1997); the
    bands are those of Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
    section 3.4.
    """
    if not texts:
        return Firsts((), ())
    lookup = _Lookup(texts, threshold)
    of: list[int] = []
    swapped: list[tuple[int, int]] = []
    for place in range(len(texts)):
        keys = lookup.keys(place)
        like = (
            int(other)
            for other in lookup.found(place, keys, _AS_THEY_STAND)
            if not lookup.is_rather_swapped(place, other)
        )
        of.append(next(like, place))
        if of[place] == place:
            swapped += [(int(o), place) for o in lookup.found(place, keys, _SWAPPED)]
            lookup.add(place, keys)
    return Firsts(tuple(of), tuple(swapped))


class _Lookup:
    """Finds, of the texts added, those like one: by buckets of MinHash bands, then exactly."""

    def __init__(self, texts: Sequence[Triple], threshold: float) -> None:
        from datasketch import MinHash

        self._texts, self._threshold = texts, threshold
        self._rows = _rows(threshold)
        self._empty = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=int)
        self._buckets: list[dict[_Band, array[int]]] = [{} for _ in _AS_THEY_STAND]
        # Every set of every text, those of one column side by side.
        self._alike = _Alike(list(chain.from_iterable(zip(*texts, strict=True))), threshold)

    def keys(self, place: int) -> list[list[_Band]]:
        """The bands of the signature of each set of a text."""
        return [self._bands(items) for items in self._texts[place]]

    def add(self, place: int, keys: list[list[_Band]]) -> None:
        """Let a text be found from now on."""
        for buckets, bands in zip(self._buckets, keys, strict=True):
            for band in bands:
                buckets.setdefault(band, array("q")).append(place)

    def found(
        self, place: int, keys: list[list[_Band]], columns: tuple[int, ...]
    ) -> NDArray[np.int_]:
        """Those like a text, each of its sets compared with theirs in the column given for it."""
        import numpy as np

        proposals = [
            [self._buckets[column][band] for band in bands if band in self._buckets[column]]
            for column, bands in zip(columns, keys, strict=True)
        ]
        proposed = np.zeros(len(self._texts), bool)
        for bucket in min(proposals, key=lambda buckets: sum(map(len, buckets))):
            proposed[np.frombuffer(bucket, np.int64)] = True
        others = np.flatnonzero(proposed)
        for own, column in enumerate(columns):
            mine, theirs = (at * len(self._texts) for at in (own, column))
            others = self._alike.with_one(mine + place, theirs + others) - theirs
        return others

    def is_rather_swapped(self, place: int, other: int) -> bool:
        """Whether two texts that are alike as they stand are more so with answers swapped."""
        (_, a, b), (_, c, d) = self._texts[place], self._texts[other]
        crossed = (_similarity(a, d), _similarity(b, c))
        if min(crossed) < self._threshold - _ROUNDING:
            return False
        return sum(crossed) > _similarity(a, c) + _similarity(b, d)

    def _bands(self, items: Hashes) -> list[_Band]:
        import numpy as np

        sketch = self._empty.copy()
        low = (items & np.uint64(0xFFFFFFFF)).tolist()
        for start in range(0, len(low), _AT_ONCE):
            sketch.update_batch(low[start : start + _AT_ONCE])
        bands = range(0, _PERMUTATIONS - self._rows + 1, self._rows)
        return [(at, sketch.hashvalues[at : at + self._rows].tobytes()) for at in bands]


class _Alike:
    """Finds, of many sets, those with a Jaccard similarity of `threshold` or more with one.

    Exact. Sets of sizes m and n have it where they share t / (1 + t) (m + n) items or
    more, so that few of a set's rarest items may be missing in the other: that tells
    sets of one template apart without counting what all of them share.
    """

    def __init__(self, sets: Sequence[Hashes], threshold: float) -> None:
        import numpy as np
        from scipy.sparse import csr_array

        self._least = threshold / (1 + threshold)
        self._sizes = np.array([len(items) for items in sets])
        ends = np.concatenate([[0], np.cumsum(self._sizes)])
        _, items, count = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
        for start, end in pairwise(ends):
            items[start:end] = items[start:end][np.argsort(count[items[start:end]], kind="stable")]
        shape = (len(sets), len(count))
        self._whole = csr_array((np.ones(len(items), np.int32), items, ends), shape=shape)
        # A set misses fewer of its items than this in any other that is alike.
        self._few = np.minimum(self._sizes, (1 - threshold) * self._sizes + 1).astype(int)
        rare = np.concatenate(
            [items[start : start + few] for start, few in zip(ends[:-1], self._few, strict=True)]
        )
        bounds = np.concatenate([[0], np.cumsum(self._few)])
        self._rare = csr_array((np.ones(len(rare), np.int32), rare, bounds), shape=shape)
        self._here = np.zeros(len(count), np.int32)

    def with_one(self, place: int, others: NDArray[np.int_]) -> NDArray[np.int_]:
        """Those of `others` that are like the set at `place`."""
        import numpy as np

        if not len(others):
            return others
        items = self._whole.indices[self._whole.indptr[place] : self._whole.indptr[place + 1]]
        self._here[items] = 1
        shared = np.ceil(self._least * (self._sizes[others] + len(items)) - _ROUNDING)
        missing = self._few[others] - self._rare[others] @ self._here
        near = missing <= self._sizes[others] - shared
        others, shared = others[near], shared[near]
        found = others[self._whole[others] @ self._here >= shared]
        self._here[items] = 0
        return found


def _similarity(one: Hashes, other: Hashes) -> float:
    import numpy as np

    shared = len(np.intersect1d(one, other, assume_unique=True))
    either = len(one) + len(other) - shared
    return shared / either if either else 1.0


def _rows(threshold: float) -> int:
    """Rows of a band: the most, hence the fewest candidates, that miss no more than stated."""
    return max(
        rows
        for rows in range(1, _PERMUTATIONS + 1)
        if rows == 1 or (1 - threshold**rows) ** (_PERMUTATIONS // rows) <= _MISSED
    )

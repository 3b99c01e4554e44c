"""Texts that say nearly the same, by the Jaccard similarity of what they consist of.

Two notions of it. `words` of a text know no order, so that a paraphrase with the
same words is the same; such sets are small, and `alike` compares them exactly.
`shingles`, runs of five characters, know order, so that "A beats B" is not
"B beats A"; such sets are large, and MinHash proposes the `candidates`. Nothing
depends on the order of the texts, and the seed of MinHash is fixed. This module
knows nothing about meaning: a paraphrase in other words is another text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    """A set as its hashes: sorted, each once."""

_SHINGLE = 5
_FACTOR = 0x9E3779B97F4A7C15
_PERMUTATIONS = 128
_MISSED = 1e-3
_AT_ONCE = 8192
_DEVIATIONS = 4.0

# Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese characters.
_UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")


def words(text: str) -> frozenset[str]:
    """The words of a text in any order, without letter case, accents and punctuation.

    A run of a script without spaces gives its characters and pairs of characters.
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("M"))
    found: set[str] = set()
    for word in _WORD.findall(plain):
        if re.match(f"[{_UNSPACED}]", word):
            found.update(word)
            found.update(word[i : i + 2] for i in range(len(word) - 1))
        else:
            found.add(word)
    return frozenset(found)


def alike(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, of places in `sets` whose Jaccard similarity is `threshold` or more.

    Exact: two such sets share an item among their rarest, so that only those that
    share one are compared. Empty sets are like no other.

    Source: the prefix filter of Chaudhuri, Ganti and Kaushik, "A primitive operator
    for similarity joins in data cleaning" (2006).
    """
    count = Counter(item for items in sets for item in items)
    holders: dict[str, list[int]] = defaultdict(list)
    for place, items in enumerate(sets):
        rarest = sorted(items, key=lambda item: (count[item], item))
        prefix = rarest[: len(items) - math.ceil(threshold * len(items) - 1e-9) + 1]
        for other in sorted({other for item in prefix for other in holders[item]}):
            shared = len(items & sets[other])
            if shared >= threshold * (len(items) + len(sets[other]) - shared) - 1e-9:
                yield other, place
        for item in prefix:
            holders[item].append(place)


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


def jaccard(a: Hashes, b: Hashes) -> float:
    """Shared items over all items, from 0 to 1; two empty sets are equal."""
    import numpy as np

    if not len(a) or not len(b):
        return float(len(a) == len(b))
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def candidates(sets: Sequence[Hashes], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, of places in `sets` that may have a similarity of `threshold` or more.

    In the order of j, then i. About one in a thousand of those that have it is
    missed at most; whoever asks checks the others with `jaccard`. Empty sets are
    like no other.

    Source: Broder, "On the resemblance and containment of documents" (1997); the
    bands are those of Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
    section 3.4.
    """
    import numpy as np
    from datasketch import MinHash, MinHashLSH

    rows = _rows(threshold)
    error = _DEVIATIONS * math.sqrt(threshold * (1 - threshold) / _PERMUTATIONS)
    index = MinHashLSH(num_perm=_PERMUTATIONS, params=(_PERMUTATIONS // rows, rows))
    empty = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=int)
    signatures = np.zeros((len(sets), _PERMUTATIONS), empty.hashvalues.dtype)
    for place, items in enumerate(sets):
        if not len(items):
            continue
        sketch = empty.copy()
        low = (items & np.uint64(0xFFFFFFFF)).tolist()
        for start in range(0, len(low), _AT_ONCE):
            sketch.update_batch(low[start : start + _AT_ONCE])
        signatures[place] = sketch.hashvalues
        others = np.array(sorted(index.query(sketch)), int)
        # Some share a band by chance: the whole signature tells most of them apart.
        estimates = (signatures[others] == signatures[place]).mean(axis=1)
        yield from ((int(other), place) for other in others[estimates >= threshold - error])
        index.insert(place, sketch, check_duplication=False)


def _rows(threshold: float) -> int:
    """Rows of a band: the most, hence the fewest candidates, that miss no more than stated.

    There are two bands at least, since datasketch asks for them.
    """
    return max(
        rows
        for rows in range(1, _PERMUTATIONS // 2 + 1)
        if rows == 1 or (1 - threshold**rows) ** (_PERMUTATIONS // rows) <= _MISSED
    )

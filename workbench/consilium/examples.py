"""What labelled tasks teach about a new one: for every role and tool a linear classifier.

    Examples(Embedder()).evidence("Which cases should we try on the order form?")

A task is seen in three ways: its runs of letters, the stems of its words, both weighted by
TF-IDF, and the vector of an embedding model. A model that cannot read a language is not
asked about it: on the examples of each language is measured whether it helps.

Levels are set so that in each language the same share of the choices that examples need is
found, each example scored by a fit to the others. So the language in which less is known may
get more false choices, and not fewer true ones (Hardt, Price and Srebro, "Equality of
Opportunity in Supervised Learning", 2016).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from workbench.consilium.roles import ROLES
from workbench.consilium.vocabulary import TOOL_CUES
from workbench.consilium.words import plain, terms
from workbench.journal import read

if TYPE_CHECKING:
    import numpy as np

FILE = Path(__file__).with_name("examples.jsonl")

_FOUND = (0.5, 0.25)
"""Shares of the needed choices that score above the level of one point, and of two."""

_REGULARISATION = 1.0
"""Of 0.1, 0.3 and 1 the one with the best precision on left-out English examples."""

_HELPS = 0.01
"""Average precision that an embedding model must add to be asked."""

_RUSSIAN = 0.25
"""Share of Cyrillic letters: Russian tasks name files, commands and products in Latin ones."""

_READ_CHARACTERS = 2_000
_LETTER = re.compile(r"[^\W\d_]")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")


@dataclass(frozen=True)
class LabelledTask:
    """One task and what it needs. Tasks of one `group` are translations of each other."""

    id: str
    group: str
    language: Literal["en", "ru"]
    text: str
    roles: tuple[str, ...]
    tools: tuple[str, ...]
    debate: bool


@dataclass(frozen=True)
class Evidence:
    """What speaks for one choice, and how strongly."""

    choice: str
    points: int
    because: str


class Embeds(Protocol):
    """What turns texts into unit vectors, such as `workbench.knowledge.Embedder`."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors, float [len(texts), width]."""


class Examples:
    """The tasks of examples.jsonl, learned beside an embedding model."""

    def __init__(self, embedder: Embeds) -> None:
        tasks = read(FILE, LabelledTask)
        self._learned = {
            russian: _learn([t for t in tasks if _is_russian(t.text) == russian], embedder)
            for russian in (False, True)
        }

    def evidence(self, task: str) -> list[Evidence]:
        """What speaks for roles and tools of a task. 2,000 characters of it are read.

        Nothing speaks for any where there is no letter.
        """
        start = task[:_READ_CHARACTERS]
        if not _LETTER.search(start):
            return []
        return self._learned[_is_russian(start)].evidence(start)


def _learn(tasks: Sequence[LabelledTask], embedder: Embeds) -> _Learned:
    """What tasks of one language teach, with the embedding model where that helps."""
    texts = [task.text for task in tasks]
    letters = _Tfidf(texts, analyzer="char_wb", ngram_range=(3, 5), preprocessor=plain)
    stems, model = _Tfidf(texts, analyzer=terms), _Centred(embedder, texts)
    views, seen = (letters, stems, model), (letters.embed(texts), stems.embed(texts), model.fitted)
    without, beside = (_Learned(tasks, views[:n], seen[:n]) for n in (2, 3))
    return beside if beside.precision >= without.precision + _HELPS else without


class _Learned:
    """A classifier for each role and tool: tasks with it and tasks without weigh the same.

    `precision` is the average precision over all choices, each task scored by a fit to the
    others; what words there are, and how rare, was counted with it.
    """

    def __init__(
        self, tasks: Sequence[LabelledTask], views: Sequence[Embeds], seen: Sequence[np.ndarray]
    ) -> None:
        import numpy as np
        from sklearn.metrics import average_precision_score

        self._tasks, self._views = tasks, views
        self._vectors = _joined(seen)
        kernel = (self._vectors @ self._vectors.T).astype("float64")
        self._weights, self._needed, scores = {}, {}, {}
        for choice in (*ROLES, *TOOL_CUES):
            needed = np.array([choice in (*task.roles, *task.tools) for task in tasks])
            target = np.where(needed, 1.0, -1.0)
            share = np.where(needed, needed.mean(), 1 - needed.mean())
            dual, scores[choice] = kernel_ridge(kernel, target, 2 * _REGULARISATION * share)
            self._weights[choice] = self._vectors.T @ dual
            self._needed[choice] = needed
        self._levels: dict[str, np.ndarray] = {}
        for kind in (ROLES, TOOL_CUES):
            of_needed = np.concatenate([scores[choice][self._needed[choice]] for choice in kind])
            levels = np.quantile(of_needed, [1 - share for share in _FOUND])
            self._levels |= dict.fromkeys(kind, levels)
        self.precision = average_precision_score(
            np.concatenate(list(self._needed.values())), np.concatenate(list(scores.values()))
        )

    def evidence(self, text: str) -> list[Evidence]:
        vector = _joined([view.embed([text]) for view in self._views])[0]
        alike = self._vectors @ vector
        found = []
        for choice, levels in self._levels.items():
            points = int((self._weights[choice] @ vector > levels).sum())
            if points:
                nearest = max(self._needed[choice].nonzero()[0], key=lambda place: alike[place])
                because = f'learned from examples like "{self._tasks[nearest].text}"'
                found.append(Evidence(choice, points, because))
        return found


def kernel_ridge(
    kernel: np.ndarray, targets: np.ndarray, penalties: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients of kernel ridge regression, and what all others say of each target.

    `kernel` [n, n], `targets` and `penalties` [n]; a penalty is the regularisation divided by
    the weight of its example. The second is what a fit without the example would give, in
    closed form (Rifkin and Lippert, "Notes on Regularized Least Squares", 2007).
    """
    import numpy as np

    inverse = np.linalg.inv(kernel + np.diag(penalties))
    dual = inverse @ targets
    return dual, targets - dual / np.diag(inverse)


def _joined(seen: Sequence[np.ndarray]) -> np.ndarray:
    """Views side by side and a one for the bias, float32 [texts, width].

    The product of two rows is the mean cosine of their views, and 1.
    """
    import numpy as np

    one = np.full((len(seen[0]), 1), len(seen) ** 0.5)
    return (np.hstack([*seen, one]) / len(seen) ** 0.5).astype("float32")


class _Tfidf:
    """Texts as what `analyzer` makes of them; what few of the fitted texts have weighs more."""

    def __init__(self, texts: Sequence[str], **how: Any) -> None:
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **how).fit(texts)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self._vectorizer.transform(texts).toarray()


class _Centred:
    """An embedding model's vectors less their mean, unit vectors again.

    Some models, multilingual-e5 among them, put all texts into one narrow cone (Mu and
    Viswanath, "All-but-the-Top", 2018).
    """

    def __init__(self, embedder: Embeds, texts: Sequence[str]) -> None:
        vectors = embedder.embed(texts)
        self._embedder, self._mean = embedder, vectors.mean(axis=0)
        self.fitted = self._centred(vectors)
        """The vectors of `texts`, which the mean was taken from."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self._centred(self._embedder.embed(texts))

    def _centred(self, vectors: np.ndarray) -> np.ndarray:
        import numpy as np

        vectors = vectors - self._mean
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths, lengths, 1)


def _is_russian(text: str) -> bool:
    """Whether more than a share of `_RUSSIAN` of its letters are Cyrillic."""
    letters = _LETTER.findall(text)
    return len(_CYRILLIC.findall(text)) > _RUSSIAN * len(letters)

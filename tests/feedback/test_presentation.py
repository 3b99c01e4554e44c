"""Who is asked what, in which order."""

from __future__ import annotations

from collections import Counter

import pytest

from workbench.errors import InputError, SettingsError
from workbench.feedback.presentation import REPEAT_AFTER, items, with_repeats


def _shown(sets, mode, **change):
    return [item.shown for item in items(sets, mode, **{"seed": 0, "rater": "person:a", **change})]


def test_each_mode_asks_about_every_answer(make_set) -> None:
    sets = [make_set("s", *"abcd"), make_set("r", *"abc")]
    assert [len(s) for s in _shown(sets, "ranking")] == [4, 3]
    pairs = _shown(sets, "pairwise")
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 6 + 3
    for mode in ("thumbs", "stars"):
        assert Counter(_shown(sets, mode)) == Counter((c.id,) for s in sets for c in s.completions)


def test_the_order_follows_from_seed_and_rater_alone(make_set) -> None:
    sets = [make_set(str(n), *"abcdefgh") for n in range(5)]
    assert _shown(sets, "ranking") == _shown(sets, "ranking")
    assert _shown(sets, "ranking") != _shown(sets, "ranking", seed=1)
    assert _shown(sets, "ranking") != _shown(sets, "ranking", rater="person:b")


@pytest.mark.parametrize("mode", ["ranking", "pairwise", "thumbs", "stars"])
def test_no_place_favours_an_answer(make_set, mode: str) -> None:
    sets = [make_set(str(n), "a", "b") for n in range(400)]
    first_shown = [shown[0] for shown in _shown(sets, mode)]
    step = 1 if mode in ("ranking", "pairwise") else 2
    share = sum(id.endswith("-0") for id in first_shown[::step]) / 400
    assert 0.4 < share < 0.6


@pytest.mark.parametrize(
    ("texts", "mode", "words"),
    [
        ("a", "ranking", "has 1 answers; ranking needs 2"),
        ("a", "pairwise", "pairwise needs 2"),
        ("", "stars", "stars needs 1"),
        ("abcdefghi", "ranking", "at most 8"),
    ],
)
def test_sets_that_can_not_be_shown_are_refused(make_set, texts, mode, words) -> None:
    with pytest.raises(InputError, match=words):
        items([make_set("s", *texts)], mode, seed=0, rater="person:a")


def test_doubled_sets_no_sets_and_unknown_modes_are_refused(make_set) -> None:
    one = make_set("s", "a", "b")
    with pytest.raises(InputError, match="there twice"):
        items([one, one], "ranking", seed=0, rater="person:a")
    with pytest.raises(InputError, match="no candidate sets"):
        items([], "ranking", seed=0, rater="person:a")
    with pytest.raises(SettingsError, match="ranking, pairwise, thumbs, stars"):
        items([one], "best", seed=0, rater="person:a")


def _with_repeats(make_set, n: int, share: float, **change):
    given = {"seed": 0, "rater": "person:a", **change}
    sets = [make_set(str(k), "a", "b") for k in range(n)]
    return with_repeats(items(sets, "pairwise", **given), share, **given)


@pytest.mark.parametrize(("n", "share", "repeats"), [(100, 0.1, 10), (40, 0.0, 0), (40, 0.5, 20)])
def test_a_share_is_asked_again_after_others_and_turned_round(make_set, n, share, repeats) -> None:
    queue = _with_repeats(make_set, n, share)
    assert [item.repeat for item in queue].count(True) == repeats
    assert len({item.key for item in queue}) == n + repeats
    place = {item.key: k for k, item in enumerate(queue)}
    for k, item in enumerate(queue):
        if item.repeat:
            first = place[item.first_key]
            between = [other for other in queue[first + 1 : k] if not other.repeat]
            assert len(between) >= REPEAT_AFTER
            assert item.shown == queue[first].shown[::-1]


def test_a_short_queue_has_fewer_repeats_and_a_tiny_one_none(make_set) -> None:
    counts = [len(_with_repeats(make_set, n, 1.0)) - n for n in range(1, 12)]
    assert counts == [0] * REPEAT_AFTER + [1, 2, 3, 4, 5, 6]


def test_which_are_repeated_follows_from_seed_and_rater(make_set) -> None:
    def shown(**change):
        return [item.shown for item in _with_repeats(make_set, 50, 0.2, **change)]

    assert shown() == shown()
    repeated = {
        tuple(k for k, i in enumerate(_with_repeats(make_set, 50, 0.2, seed=s)) if i.repeat)
        for s in range(5)
    }
    assert len(repeated) == 5

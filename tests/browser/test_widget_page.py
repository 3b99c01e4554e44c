"""The widget in a real browser without Jupyter: differences, corrections, strange texts, themes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bare_page import BarePage
from examples import STRANGE_TEXTS, candidate_set

from workbench import feedback, ratings
from workbench.journal import Journal
from workbench.records import Rating

pytestmark = pytest.mark.browser

NAMES = list(STRANGE_TEXTS)
SCRIPTS = Path(feedback.__file__).parent
VSCODE = (
    ":root { --vscode-editor-background: rgb(1, 2, 3); --vscode-foreground: rgb(200, 201, 202); }"
)


@pytest.fixture
def open_page(page, tmp_path: Path):
    """`open_page(set, ...)`: the widget on a page of its own."""

    def open(*sets, mode: str = "ranking", **look: str) -> BarePage:
        journal = Journal(tmp_path / "ratings.jsonl", Rating)
        widget = feedback.RankingWidget(sets, journal, rater="person:anna", mode=mode)
        return BarePage(page, widget, **look)

    return open


@pytest.fixture
def ratings_of(tmp_path: Path):
    return lambda: list(Journal(tmp_path / "ratings.jsonl", Rating))


@pytest.fixture
def differences(page):
    """The page's own `differences`: flags of the words of `a` and `b` without a partner."""
    page.goto("about:blank")
    page.add_script_tag(content=(SCRIPTS / "differences.js").read_text())
    return lambda a, b: page.evaluate("([a, b]) => differences(a, b).map((f) => [...f])", [a, b])


def _shared(words: list[str], flags: list[int]) -> list[str]:
    return [word for word, lone in zip(words, flags, strict=True) if not lone]


def _longest(a: list[str], b: list[str]) -> int:
    """Length of a longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for k, y in enumerate(b, start=1):
            diagonal, row[k] = row[k], diagonal + 1 if x == y else max(row[k], row[k - 1])
    return row[-1]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_not_marked_is_a_longest_common_part(differences, seed: int) -> None:
    draw = random.Random(seed)
    a, b = (draw.choices("abcdef", k=draw.randrange(40)) for _ in "ab")
    flags_a, flags_b = differences(a, b)
    assert _shared(a, flags_a) == _shared(b, flags_b)
    assert len(_shared(a, flags_a)) == _longest(a, b)


@pytest.mark.parametrize("words", [2, 50, 40_000])
def test_texts_of_any_size_share_what_is_not_marked(differences, words: int) -> None:
    """Forty thousand words are 200 kB. With few different words, nothing anchors the match."""
    draw = random.Random(words)
    a = [str(draw.randrange(words)) for _ in range(40_000)]
    b = [word for word in a if draw.random() < 0.5]
    draw.shuffle(b)
    flags_a, flags_b = differences(a, b)
    assert sorted(_shared(a, flags_a)) == sorted(_shared(b, flags_b)) != []


def test_a_small_change_in_a_long_text_is_found(differences) -> None:
    a = [f"w{n % 3000}" for n in range(40_000)]
    b = [*a[:20_000], "new", *a[20_000:30_000], *a[30_005:]]
    flags_a, flags_b = differences(a, b)
    assert [n for n, lone in enumerate(flags_b) if lone] == [20_000]
    assert sum(flags_a) == 5


def test_differences_are_marked_on_demand_and_leave_the_text_alone(open_page) -> None:
    desk = open_page(candidate_set("s", "The **blue** sky, `x = 1`", "The **red** sky, `x = 2`"))
    texts = desk.widget.locator(".wb-text").all_inner_texts()
    html = desk.widget.locator(".wb-cards").inner_html()
    assert desk.widget.locator("mark").count() == 0
    desk.press("d")
    assert sorted(desk.widget.locator("mark").all_text_contents()) == ["1", "2", "blue", "red"]
    assert desk.widget.locator("strong mark").count() == 2
    assert desk.widget.get_by_text("2 words differ").count() == 2
    assert desk.widget.locator(".wb-text").all_inner_texts() == texts
    desk.press("d")
    assert desk.widget.locator(".wb-cards").inner_html() == html


def test_the_focused_answer_is_what_the_others_differ_from(open_page) -> None:
    desk = open_page(candidate_set("s", "one two", "one three", "one four"))
    desk.press("ArrowLeft", "d")
    cards = desk.widget.locator(".wb-card")
    assert "compared with this" in cards.nth(2).text_content()
    marked = desk.widget.locator("mark").all_text_contents()
    assert sorted(marked) == ["four", "three", "two"]
    desk.press("ArrowLeft")
    assert "compared with this" in cards.nth(1).text_content()
    assert "1 word differs" in cards.nth(2).text_content()


def test_the_next_question_starts_without_marks(open_page) -> None:
    desk = open_page(candidate_set("s", "one", "two"), candidate_set("r", "three", "four"))
    desk.press("d", "1", "Enter")
    desk.wait_for("1 of 2 ranked")
    assert desk.widget.locator("mark").count() == 0


def test_a_correction_is_written_by_keyboard_and_leaves_the_draft(open_page, ratings_of) -> None:
    desk = open_page(candidate_set("s", "a wrong answer", "a wrong answer"))
    desk.press("2", "e")
    editor = desk.widget.get_by_label("Answer 2 as it should have been")
    assert editor.input_value() == "a wrong answer"
    desk.press("End")
    desk.page.keyboard.type(" no more: 12tbsz")
    desk.press("Enter")
    desk.page.keyboard.type("second line")
    desk.press("Control+Enter")
    desk.wait_for("Correction saved")
    desk.wait_for("corrected")
    assert desk.widget.locator(".wb-rank").all_text_contents() == ["2nd", "1st"]
    desk.press("Enter")
    desk.wait_for("All judged")
    correction, ranking = ratings_of()
    assert correction.text == "a wrong answer no more: 12tbsz\nsecond line"
    assert correction.shown == (ranking.shown[1],) == ranking.ranking[0]


def test_a_correction_opens_again_and_can_be_taken_back(open_page, ratings_of) -> None:
    desk = open_page(candidate_set("s", "first", "second"))
    desk.press("ArrowRight", "e", "x", "Escape")
    desk.wait_for("corrected")
    desk.press("e")
    assert desk.widget.locator(".wb-correction").input_value().startswith("x")
    desk.press("Escape", "z")
    desk.wait_for("Taken back")
    assert desk.widget.get_by_text("corrected", exact=True).count() == 0
    assert ratings.standing(ratings_of()) == []


def test_an_answer_that_was_looked_at_in_the_editor_is_not_corrected(open_page, ratings_of) -> None:
    desk = open_page(candidate_set("s", STRANGE_TEXTS["line ends"], "second"))
    for answer in ("ArrowRight", "ArrowRight"):
        desk.press(answer, "e", "Escape")
    assert desk.widget.locator(".wb-correction").count() == 0
    desk.press("1", "Enter")
    desk.wait_for("All judged")
    assert [rating.kind for rating in ratings_of()] == ["ranking"]


def test_a_correction_that_can_not_be_saved_stays_in_the_editor(open_page, tmp_path) -> None:
    desk = open_page(candidate_set("s", "first", "second"))
    (tmp_path / "ratings.jsonl").mkdir()
    desk.press("e", "x", "Escape")
    desk.wait_for("can't be written")
    assert desk.widget.locator(".wb-correction").input_value().startswith("x")
    (tmp_path / "ratings.jsonl").rmdir()
    desk.press("Escape")
    desk.wait_for("Correction saved")


@pytest.mark.parametrize("names", [NAMES[:5], NAMES[5:]], ids=", ".join)
def test_strange_texts_are_shown_compared_corrected_and_judged(
    open_page, ratings_of, names: list[str]
) -> None:
    desk = open_page(candidate_set("s", *(STRANGE_TEXTS[name] for name in names)))
    texts = desk.widget.locator(".wb-text").all_text_contents()
    shown = {"".join(text.split()) for text in texts}
    whole = {name for name in names if "".join(STRANGE_TEXTS[name].split()) in shown}
    assert set(names) - whole <= {"control"}, "a browser has no null character"
    desk.press("d")
    assert desk.widget.locator("mark").count() > 0
    desk.press("e", "x", "Escape")
    desk.wait_for("corrected")
    desk.press("b", "Enter")
    desk.wait_for("All judged")
    assert [rating.kind for rating in ratings_of()] == ["correction", "ranking"]


def test_long_texts_fold(open_page) -> None:
    long = ("200 kB", "one long word")
    desk = open_page(candidate_set("s", *(STRANGE_TEXTS[name] for name in long)))
    desk.widget.locator(".wb-folded").nth(1).wait_for()
    assert all(
        card.bounding_box()["height"] < 600 for card in desk.widget.locator(".wb-card").all()
    )


def test_empty_answers_say_so_and_can_be_corrected(open_page, ratings_of) -> None:
    desk = open_page(candidate_set("s", "", " \n\t "))
    assert desk.widget.get_by_text("(an empty answer)").count() == 2
    desk.press("e")
    desk.page.keyboard.type("something")
    desk.press("Escape")
    desk.wait_for("corrected")
    assert [rating.text.strip() for rating in ratings_of()] == ["something"]


def test_a_skip_is_seen_again_when_asked_for(open_page, ratings_of) -> None:
    desk = open_page(candidate_set("s", "one", "two"), candidate_set("r", "three", "four"))
    desk.press("s")
    desk.wait_for("Question of r?")
    desk.press("1", "Enter")
    desk.wait_for("1 skipped. Press s to see them again.")
    desk.press("s")
    desk.wait_for("Question of s?")
    desk.press("2", "Enter")
    desk.wait_for("All judged")
    assert [rating.kind for rating in ratings.standing(ratings_of())] == ["ranking", "ranking"]


def test_colours_come_from_vs_code_where_there_is_no_jupyter(open_page) -> None:
    desk = open_page(candidate_set("s", "one", "two"), theme=VSCODE, body="vscode-dark")
    look = "(e) => (s => [s.backgroundColor, s.color, s.colorScheme])(getComputedStyle(e))"
    assert desk.widget.evaluate(look) == ["rgb(1, 2, 3)", "rgb(200, 201, 202)", "dark"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_come_from_the_system_where_the_page_has_none(open_page, page, scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    desk = open_page(candidate_set("s", "one", "two"))
    ground = desk.widget.evaluate("(e) => getComputedStyle(e).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 29)"}[scheme]


def test_nothing_moves_for_those_who_asked_for_that(open_page, page) -> None:
    page.emulate_media(reduced_motion="reduce")
    desk = open_page(candidate_set("s", "one", "two"), candidate_set("r", "three", "four"))
    desk.press("Enter", "1", "Enter")
    desk.wait_for("1 of 2 ranked")
    moving = """(root) => [...root.querySelectorAll("*")].filter((e) => {
        const style = getComputedStyle(e);
        return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
    }).length"""
    assert desk.widget.evaluate(moving) == 0


def test_everything_that_can_be_pressed_has_a_name_and_tab_reaches_it(open_page) -> None:
    desk = open_page(candidate_set("s", "one", "two", "three"))
    buttons = desk.widget.locator("button:visible").all()
    assert all(b.get_attribute("aria-label") or b.text_content().strip() for b in buttons)
    assert desk.widget.locator("[role=group][aria-label='Answer 2']").count() == 1
    reached = []
    for _ in buttons:
        desk.press("Tab")
        reached.append(desk.page.evaluate("() => document.activeElement.textContent"))
    assert reached[:3] == ["1", "2", "3"], "answers before the keys"
    assert len(set(reached)) == len(buttons)


def test_pages_that_hear_keys_first_are_told_to_leave_them(open_page, page) -> None:
    """Jupyter's applications ignore keys below this attribute; Notebook 7 hears them first."""
    desk = open_page(candidate_set("s", "one", "two"))
    page.evaluate("""() => {
        window.heard = [];
        const left = (event) => event.target.closest("[data-lm-suppress-shortcuts]") !== null;
        document.addEventListener("keydown", (event) => window.heard.push(left(event)), true);
    }""")
    desk.press("d", "d", "ArrowRight", "x", "e", "x", "Control+Enter", "c", "x")
    heard = page.evaluate("() => window.heard")
    assert len(heard) >= 9
    assert all(heard)


def test_the_page_lets_go_of_the_model_when_it_is_closed(open_page, page) -> None:
    desk = open_page(candidate_set("s", "one", "two"), candidate_set("r", "three", "four"))
    page.evaluate("() => window.close()")
    desk.press("1", "Enter")
    page.wait_for_timeout(200)
    assert desk.widget.get_by_text("0 of 2 ranked").count() == 1

"""A person at Label Studio's page: log in, choose, submit; the choice arrives as a rating."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from examples import candidate_set
from hostile import EVIL, PAYLOADS
from label_studio_server import LabelStudioServer

from workbench import ratings as rules
from workbench.exchange.label_studio import Template
from workbench.exchange.label_studio_project import export_pairs
from workbench.exchange.label_studio_pull import pull_annotations
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SUBMIT = "button[aria-label='Submit current annotation']"
HOSTILE = "\n".join(PAYLOADS.values()).replace("\0", "")
SETS = [candidate_set("s", "Air scatters blue light more.", "Из-за океана. 🌊", HOSTILE)]


class Rater:
    """Somebody who is logged in and looks at tasks."""

    def __init__(self, page: Any, label_studio: LabelStudioServer, folder: Path) -> None:
        self.page = page
        self.studio = label_studio
        self.ratings = Journal(folder / "ratings.jsonl", Rating)
        self.aside = Journal(folder / "aside.jsonl", SetAside)
        self.cursor = folder / "cursor.json"
        page.goto(f"{label_studio.server.url}/user/login/")
        page.fill("input[name=email]", label_studio.access.email)
        page.fill("input[name=password]", label_studio.access.password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url, wait_until="domcontentloaded")

    def open(self, template: Template) -> int:
        """The first task of a new project; the project."""
        title = f"page {uuid4().hex}"
        exported = export_pairs(self.studio.server, SETS, title=title, seed=0, template=template)
        task = next(iter(self.studio.client().tasks.list(project=exported.project)))
        self.data = task.data
        self.page.goto(f"{exported.url}/data?task={task.id}")
        self.page.wait_for_selector(".wb-ask")
        self.page.wait_for_selector(SUBMIT)
        self.page.wait_for_load_state("networkidle")  # the page answers clicks only then
        return exported.project

    def submit(self) -> None:
        with self.page.expect_response(
            lambda response: "/annotations" in response.url and response.request.method == "POST"
        ) as answer:
            self.page.click(SUBMIT)
        assert answer.value.ok

    def rating(self, project: int, sets: list[CandidateSet] = SETS) -> Rating:
        server = self.studio.server
        pulled = pull_annotations(
            server, project, sets, self.ratings, self.aside, cursor=self.cursor
        )
        assert (pulled.ratings, pulled.aside) == (1, 0)
        checked = rules.check(self.ratings, sets)
        assert checked.aside == ()
        return checked.good[-1]


@pytest.fixture
def rater(page: Any, label_studio: LabelStudioServer, tmp_path: Path) -> Rater:
    page.set_default_timeout(60_000)
    return Rater(page, label_studio, tmp_path)


def text(id: str) -> str:
    return SETS[0].completion(id).text


def test_a_verdict_with_its_reason_arrives_as_a_rating(rater: Rater) -> None:
    project = rater.open("verdict")
    answers = rater.page.locator(".wb-answer")
    for name, field in enumerate(("answer_a", "answer_b")):
        assert rater.data[field].splitlines()[0] in answers.nth(name).inner_text()
    assert rater.page.locator(SUBMIT).is_disabled()
    rater.page.get_by_role("radio", name="B", exact=False).first.wait_for()
    rater.page.locator(".wb-ask label", has_text="B").first.click()
    rater.page.locator(".ant-rate li [role=radio]").nth(3).click()
    rater.page.fill(".wb-comment textarea", "оба хороши, но B короче 🙂")
    rater.submit()
    rating = rater.rating(project)
    assert (rating.kind, rating.confidence) == ("pairwise", 4)
    assert rating.comment == "оба хороши, но B короче 🙂"
    assert text(rating.ranking[0][0]) == rater.data["answer_b"]
    assert [text(id) for id in rating.shown] == [rater.data["answer_a"], rater.data["answer_b"]]
    assert rating.rater == f"person:{rater.studio.access.email}"
    assert rating.seconds is not None
    assert rating.seconds > 0


def test_a_click_on_an_answer_arrives_as_a_rating(rater: Rater) -> None:
    project = rater.open("pairwise")
    rater.page.locator(".wb-answer").nth(1).locator(".lsf-richtext__container").click()
    rater.submit()
    assert text(rater.rating(project).ranking[0][0]) == rater.data["answer_b"]


def test_a_ranking_arrives_as_a_rating(rater: Rater) -> None:
    project = rater.open("ranker")
    handles = "[data-rbd-drag-handle-draggable-id], [data-rfd-drag-handle-draggable-id]"
    rater.page.wait_for_selector(handles)
    names = rater.data["answers"]
    for answer, columns in ((names[2], 1), (names[0], 2), (names[1], 2)):
        handle = rater.page.locator(handles).filter(has_text=answer["body"].splitlines()[0])
        handle.focus()
        for key in ("Space", *["ArrowRight"] * columns, "Space"):
            rater.page.keyboard.press(key)
            rater.page.wait_for_timeout(700)  # the drag is animated
    rater.submit()
    rating = rater.rating(project)
    assert rating.kind == "ranking"
    best, bad = rating.ranking
    assert [text(id) for id in best] == [names[2]["body"]]
    assert {text(id) for id in bad} == {names[0]["body"], names[1]["body"]}


@pytest.mark.parametrize("template", ["verdict", "pairwise", "ranker"])
def test_hostile_answers_are_shown_as_text(rater: Rater, template: Template) -> None:
    asked: list[str] = []
    rater.page.on("request", lambda request: asked.append(request.url))
    project, shown = rater.open(template), 0
    for task in rater.studio.client().tasks.list(project=project):
        rater.page.goto(f"{rater.studio.server.url}/projects/{project}/data?task={task.id}")
        rater.page.wait_for_selector(".wb-ask")
        rater.page.wait_for_timeout(500)
        assert rater.page.evaluate("window.hit") is None
        if HOSTILE.splitlines()[0] in rater.page.locator(".wb").inner_text():
            shown += 1
    assert shown > 0
    assert not [url for url in asked if url.startswith(EVIL)]

"""A debate: roles answer, criticise each other, a director decides; it survives a kill.

    consilium = Consilium(BackendChat(backend=backend, sampling=sampling), folder, tracer, settings)
    debate = consilium.run("Should we cache answers?", roles=("dev", "architect"))
    print(debate.decision.text, debate.director.said)

Everything that is said is on disk before the next one is asked, in a folder of the
debate's name: `question.json`, `answers.jsonl`, `critiques.jsonl`, `decision.jsonl`; for
each role with tools also its checkpoints and the passages that it found. A debate that was
killed goes on with `go_on(id)`; who has spoken is not asked again.

What runs together: a local engine computes one prompt at a time (its batches are many
answers to one prompt, and roles have different ones), so roles are asked in turn, and the
common beginning of their prompts comes from the cache. A chat model behind a server may be
asked by several roles at once (`at_once`); whether it computes together is its business.
The prompt of a role with tools begins with their descriptions: it shares its beginning
only with roles that have the same tools.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

from filelock import FileLock, Timeout
from langchain_core.language_models import BaseChatModel

from workbench import journal
from workbench.approval import Asker, Nobody
from workbench.consilium.cloud import cloud_director
from workbench.consilium.knowledge import SHARED, RoleKnowledge
from workbench.consilium.panel import Panel
from workbench.consilium.record import (
    Answer,
    Critique,
    Debate,
    Decision,
    DirectorChoice,
    Question,
)
from workbench.consilium.roles import ROLES, Role
from workbench.consilium.voice import Voice
from workbench.errors import InputError
from workbench.journal import Journal
from workbench.records import content_id, encode
from workbench.settings import Settings
from workbench.tracing import Place, Tracer

if TYPE_CHECKING:
    from workbench.agents.calls import Calls

Said = Answer | Critique | Decision
S = TypeVar("S", Answer, Critique)

CHARACTERS = 1_200
"""Longest text in a critique or decision: about 300 tokens in English, 600 in Russian."""

_MOST_ROLES = 26
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Consilium:
    """Debates of roles, kept below `folder`; one model speaks for all roles.

    `director` is another chat model that directs, on this machine or wherever the program
    that gave it has it; without one `model` directs. `calls` makes the tool calls of a
    role: a role that has tools answers as an agent with them. Without `calls` no role has
    tools. A policy that needs a person asks `asker` (of `run`); without one it refuses.
    `characters` bounds each text of critiques and decision; see that the model may write
    as many tokens. `at_once` is how many roles are asked at the same time: more than one
    only of a model that is no local engine.
    """

    def __init__(
        self,
        model: BaseChatModel,
        folder: Path | str,
        tracer: Tracer,
        settings: Settings,
        *,
        roles: Mapping[str, Role] = ROLES,
        knowledge: RoleKnowledge | None = None,
        calls: Callable[[Role], Calls] | None = None,
        director: BaseChatModel | None = None,
        characters: int = CHARACTERS,
        at_once: int = 1,
    ) -> None:
        self._folder, self._tracer, self._settings = Path(folder), tracer, settings
        self._roles, self._knowledge = roles, knowledge
        self._director, self._at_once = director or model, at_once
        self._panel = Panel(
            model,
            tracer,
            self._folder,
            knowledge=knowledge,
            calls=calls,
            characters=characters,
        )
        wheres = [Voice(model, tracer).where, Voice(self._director, tracer).where]
        if "cloud" in wheres:
            raise InputError(
                "A cloud model was given as if it were here",
                'Ask for it in the call: run(..., director="cloud")',
            )
        if at_once < 1 or (at_once > 1 and wheres[0] == "local"):
            raise InputError(
                f"{at_once} roles can't be asked at once",
                "Leave at_once at 1 for a local engine, which takes one prompt at a time",
            )

    def run(
        self,
        task: str,
        *,
        roles: Sequence[str],
        director: DirectorChoice = "local",
        seed: int = 0,
        id: str | None = None,
        resume: bool = False,
        asker: Asker | None = None,
        progress: Callable[[Said], None] | None = None,
    ) -> Debate:
        """Debate a task to its decision.

        With `director="cloud"` the decision is made behind DIRECTOR_BASE_URL, to which the
        task, the notes and what the roles said are sent; otherwise nothing is sent
        anywhere, and neither stands in for the other. `seed` and task draw the order of
        the answers. `id` names the debate. One of that name that is there already, whatever
        its task and roles, goes on with `resume` as `go_on` does. `progress` is told what
        was said.

        Raises InputError for an empty task, unknown or fewer than two roles and, without
        `resume`, a name that is taken, SettingsError where no cloud director is configured;
        these before anyone is asked. Raises BackendError or ServerError where a model fails:
        what was said is kept, and `go_on` goes on.
        """
        id = id or uuid.uuid4().hex
        self._check(task, roles, id)
        if resume and self._has(id):
            return self.go_on(id, director=director, asker=asker, progress=progress)
        voice = self._directing(director)
        with self._alone(id) as folder:
            if self._has(id):
                raise InputError(
                    f"There is a debate {id} already", "Go on with it, or take another name"
                )
            with self._tracer.span("agent", "consilium", input=task) as span:
                question = Question(
                    id=id,
                    task=task,
                    roles=tuple(roles),
                    order=tuple(random.Random(content_id(seed, task)).sample(roles, len(roles))),
                    seed=seed,
                    director=director,
                    passages=self._knowledge.search(SHARED, task) if self._knowledge else (),
                    place=Place(span.trace_id, span.id),
                )
                journal.write_whole(folder / "question.json", encode(question))
                debate = self._advance(question, voice, asker or Nobody(), progress)
                span.finish(output=debate.decision, metadata=_about(debate))
        return debate

    def go_on(
        self,
        id: str,
        *,
        director: DirectorChoice | None = None,
        asker: Asker | None = None,
        progress: Callable[[Said], None] | None = None,
    ) -> Debate:
        """Go on with a debate that was broken off; one that is over is given back as it is.

        `director` decides anew who directs; None leaves it as it was asked for. Raises
        InputError where there is no such debate, and what `run` raises.
        """
        if not _ID.fullmatch(id) or not self._has(id):
            raise InputError(f"There is no debate {id}", "Start it with run(task, roles=...)")
        with self._alone(id) as folder:
            [question] = journal.read(folder / "question.json", Question)
            if done := list(Journal(folder / "decision.jsonl", Decision)):
                return self._over(question, done[0])
            self._known(question.roles)
            voice = self._directing(director or question.director)
            place = question.place
            with self._tracer.span("agent", "consilium goes on", under=place) as span:
                debate = self._advance(question, voice, asker or Nobody(), progress)
                span.finish(output=debate.decision, metadata=_about(debate))
        return debate

    # --- rounds -------------------------------------------------------------

    def _advance(
        self,
        question: Question,
        director: Voice,
        asker: Asker,
        progress: Callable[[Said], None] | None,
    ) -> Debate:
        """What is still to be said.

        LangSmith is shut off meanwhile: told by its environment variables to trace other
        work, it would send every prompt away.
        """
        from langsmith.run_helpers import tracing_context

        with tracing_context(enabled=False):
            return self._rounds(question, director, asker, progress or (lambda said: None))

    def _rounds(
        self,
        question: Question,
        director: Voice,
        asker: Asker,
        tell: Callable[[Said], None],
    ) -> Debate:
        folder = self._folder / question.id
        answers = self._round(
            question,
            Journal(folder / "answers.jsonl", Answer),
            lambda role: self._panel.answer(question, role, asker),
            tell,
        )
        critiques = self._round(
            question,
            Journal(folder / "critiques.jsonl", Critique),
            lambda role: self._panel.criticise(question, role, answers),
            tell,
        )
        decision = self._panel.decide(question, critiques, director)
        Journal(folder / "decision.jsonl", Decision).append(decision)
        tell(decision)
        return self._over(question, decision)

    def _round(
        self,
        question: Question,
        kept: Journal[S],
        ask: Callable[[Role], S],
        tell: Callable[[Said], None],
    ) -> dict[str, S]:
        """What each role said in a round, by role; asks those who have not spoken yet."""
        said = {one.role: one for one in kept}

        def speak(name: str) -> None:
            one = ask(self._roles[name])
            kept.append(one)
            said[name] = one
            tell(one)

        missing = [name for name in question.roles if name not in said]
        if self._at_once == 1:
            for name in missing:
                speak(name)
            return said
        with ThreadPoolExecutor(self._at_once) as pool:
            running = [pool.submit(copy_context().run, speak, name) for name in missing]
        for speaking in running:
            speaking.result()
        return said

    def _over(self, question: Question, decision: Decision) -> Debate:
        folder = self._folder / question.id
        answers = {one.role: one for one in Journal(folder / "answers.jsonl", Answer)}
        critiques = {one.role: one for one in Journal(folder / "critiques.jsonl", Critique)}
        return Debate(
            question,
            tuple(answers[role] for role in question.roles),
            tuple(critiques[role] for role in question.roles),
            decision,
        )

    # --- before anyone is asked -----------------------------------------------

    def _directing(self, director: DirectorChoice) -> Voice:
        if director not in get_args(DirectorChoice):
            raise InputError(
                f"{director!r} can't direct", f"Use {' or '.join(get_args(DirectorChoice))}"
            )
        if director == "cloud":
            return Voice(cloud_director(self._settings, self._tracer), self._tracer)
        return Voice(self._director, self._tracer)

    def _check(self, task: str, roles: Sequence[str], id: str) -> None:
        if not task.strip():
            raise InputError("The task is empty", "Say what is to be debated")
        try:
            task.encode()
        except UnicodeEncodeError:
            raise InputError("The task holds half a character", "Give whole Unicode text") from None
        if not _ID.fullmatch(id):
            raise InputError(f"{id!r} can't name a debate", "Use up to 64 letters, digits, _ and -")
        if not 2 <= len(set(roles)) <= _MOST_ROLES or len(set(roles)) < len(roles):
            raise InputError(
                f"{', '.join(roles) or 'nobody'} can't debate",
                f"Name 2 to {_MOST_ROLES} different roles",
            )
        self._known(roles)

    def _known(self, roles: Sequence[str]) -> None:
        unknown = [role for role in roles if role not in self._roles]
        if unknown:
            raise InputError(
                f"There is no role {', '.join(unknown)}", f"Use {', '.join(self._roles)}"
            )

    def _has(self, id: str) -> bool:
        return (self._folder / id / "question.json").is_file()

    @contextmanager
    def _alone(self, id: str) -> Iterator[Path]:
        """The debate's folder, while no other process works on it."""
        folder = self._folder / id
        lock = FileLock(folder / "lock", timeout=0)
        try:
            journal.make_folder(folder)
            lock.acquire()
        except Timeout:
            raise InputError(
                f"The debate {id} is under way elsewhere", "Wait for it, or end the other notebook"
            ) from None
        except OSError as error:
            raise InputError(
                f"{folder} can't be written ({error.strerror})", "Allow writing there"
            ) from error
        try:
            yield folder
        finally:
            lock.release()


def _about(debate: Debate) -> dict[str, object]:
    """What the span says beside the decision."""
    return {
        "debate": debate.id,
        "director": debate.director.said,
        "dissent": debate.dissent,
        "letters": dict(zip(debate.question.letters, debate.question.order, strict=True)),
    }

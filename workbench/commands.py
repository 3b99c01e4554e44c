"""Commands about judgements: to and from other tools, about raters, about datasets.

For scripts and timers; notebooks 10 to 13 show more of each. Each command reads and
writes the files of one run, by default those of notebooks opened by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.errors import ServerError

if TYPE_CHECKING:
    from workbench.records import SetAside, Split
    from workbench.session import Session

_RUN = click.option("--run", "run", default="notebook", help="Whose files. Default: notebook.")


def _session(run: str) -> Session:
    from workbench.session import Session
    from workbench.settings import Settings

    return Session("command line", run, 0, Settings.load())


@click.group()
def langfuse() -> None:
    """Ratings to Langfuse as scores; its traces and scores here as ratings."""


@langfuse.command()
@_RUN
@click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    default=60.0,
    help="Seconds to wait for a server in trouble.",
)
def push(run: str, deadline: float) -> None:
    """Deliver this run's ratings as scores; what is there already is not sent again."""
    from workbench import exchange
    from workbench.journal import Journal
    from workbench.records import Rating

    session = _session(run)
    with closing(exchange.connect(session.settings)) as project:
        done = exchange.deliver(
            Journal(session.ratings, Rating),
            session.judged_sets(),
            project,
            exchange.ledger_beside(session.ratings),
            deadline_s=deadline,
        )
    click.echo(f"{done.sent} scores sent, {done.withdrawn} withdrawn, {done.pending} wait")
    click.echo(f"{done.without_trace} ratings have no trace, {len(done.refused)} were refused")
    _keep_aside(session, (*done.refused, *done.unfit))
    if done.pending:
        raise ServerError(
            done.waiting or "The server did not take everything in time",
            "Nothing is lost: repeat the command",
        )


@langfuse.command(name="pull")
@_RUN
@click.option(
    "--since", type=click.DateTime(), help="Only traces that began at that time or later."
)
@click.option("--until", type=click.DateTime(), help="Only traces that began before that time.")
@click.option("--tag", "tags", multiple=True, help="Only traces with this tag; repeat for more.")
@click.option("--session", "session_id", default="", help="Only traces of this session.")
@click.option("--name", default="", help="Only traces of this name.")
@click.option("--score", "scores", multiple=True, help="Only scores of this name.")
@click.option(
    "--scale",
    "scales",
    multiple=True,
    metavar="NAME=LOW..HIGH",
    help="How scores of that name are to be read: LOW..HIGH, thumbs or stars; repeat for more.",
)
def pull_scores(
    run: str,
    since: datetime | None,
    until: datetime | None,
    tags: tuple[str, ...],
    session_id: str,
    name: str,
    scores: tuple[str, ...],
    scales: tuple[str, ...],
) -> None:
    """Take in traces and scores; what is here already is not counted again."""
    from workbench import exchange
    from workbench.journal import Journal
    from workbench.records import CandidateSet, Rating, SetAside

    session = _session(run)
    begin, end = (
        exchange.local_time(time.isoformat()) if time else None for time in (since, until)
    )
    filters = exchange.Filters(begin, end, tags, session_id, name, scores)
    with closing(exchange.connect(session.settings)) as project:
        pulled = exchange.pull_scores(
            project,
            filters,
            Journal(session.pulled, CandidateSet),
            Journal(session.ratings, Rating),
            Journal(session.aside, SetAside),
            drawn=session.drawn(),
            scales=exchange.meanings(scales),
        )
    click.echo(
        f"{pulled.answers} new answers, {pulled.ratings} new ratings, {pulled.undone} undone"
    )
    _say_aside(session, pulled.aside)


@langfuse.command()
@_RUN
@click.option(
    "--split",
    "side",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    help="The side to take, where items name one. Default: train, with those that name none.",
)
@click.argument("dataset")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def prompts(run: str, side: Split, dataset: str, file: Path) -> None:
    """Add the prompts of a Langfuse DATASET to FILE, such as datasets/prompts/theirs.jsonl.

    Those that are there already are not added again, nor changed; held-out ones are
    left out unless --split asks for them.
    """
    from workbench import exchange
    from workbench.journal import Journal
    from workbench.records import Prompt

    session = _session(run)
    kept = Journal(file, Prompt)
    known = {prompt.id: prompt.messages for prompt in kept}
    with closing(exchange.connect(session.settings)) as project:
        found = exchange.read_prompts(project, dataset, side)
    new = [prompt for prompt in found.prompts if prompt.id not in known]
    changed = [p.id for p in found.prompts if p.id in known and p.messages != known[p.id]]
    kept.append(*new)
    click.echo(f"{len(new)} new prompts, {len(found.prompts) - len(new)} were there: {file}")
    for other, number in found.elsewhere.items():
        click.echo(f"{number} are for {other} and were left out (--split {other} takes them)")
    if changed:
        named = ", ".join(map(repr, changed[:5])) + (", ..." if len(changed) > 5 else "")
        click.echo(f"{len(changed)} changed there; kept here as they were: {named}", err=True)
    _keep_aside(session, found.aside)


@langfuse.command()
@click.argument("version", type=click.Path(path_type=Path))
@click.argument("dataset")
def pairs(version: Path, dataset: str) -> None:
    """Write the pairs of a VERSION's folder into a Langfuse DATASET, made where it is missing.

    Pairs of earlier versions of the same name that this one lacks are archived there.
    """
    from workbench import exchange, preferences
    from workbench.settings import Settings

    found = preferences.load(version)
    with closing(exchange.connect(Settings.load())) as project:
        written = exchange.write_preferences(project, dataset, found)
    click.echo(
        f"{written.items} items written into {dataset}, "
        f"{written.archived} of other versions archived"
    )


def _by_number(
    context: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    if not all("=" in name for name in given):
        raise click.BadParameter("write NUMBER=EMAIL, for example 1=anna@example.com")
    return {who.strip(): name.strip() for who, _, name in (one.partition("=") for one in given)}


_NAMES = click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NUMBER=EMAIL",
    callback=_by_number,
    help="Who the annotator of that number is; repeat for more.",
)


@click.group(name="label-studio")
def label_studio() -> None:
    """Blind tasks to Label Studio; annotations back as ratings."""


@label_studio.command()
@_RUN
@click.option("--title", default="Workbench", help="The project, made or found.")
@click.option("--template", type=click.Choice(["verdict", "pairwise", "ranker"]), default="verdict")
@click.option("--overlap", default=1, help="Annotators per task.")
@click.option("--seed", default=0, help="Decides which answer is A.")
def export(run: str, title: str, template: str, overlap: int, seed: int) -> None:
    """Make this run's candidate sets tasks of a project; those there are not sent again."""
    from workbench import exchange, services

    session = _session(run)
    done = exchange.export_pairs(
        services.label_studio(session.settings),
        session.own_sets(),
        title=title,
        seed=seed,
        template=template,  # type: ignore[arg-type]
        overlap=overlap,
        progress=lambda done, total: session.say(f"{done} of {total} tasks are there"),
    )
    click.echo(f"{done.new} new tasks, {done.present} were there: {done.url}")


@label_studio.command(name="pull")
@_RUN
@_NAMES
@click.option(
    "--foreign", is_flag=True, help="Others made it with <Pairwise>: take in their texts as well."
)
@click.argument("project", type=int)
def pull_annotations(run: str, project: int, names: dict[str, str], foreign: bool) -> None:
    """Take in what is new in a project, by its number; edits and deletions count."""
    from workbench import exchange, services
    from workbench.journal import Journal
    from workbench.records import CandidateSet, Rating, SetAside

    session = _session(run)
    server = services.label_studio(session.settings)
    kept, aside = Journal(session.ratings, Rating), Journal(session.aside, SetAside)
    cursor = session.label_studio(project)
    if foreign:
        sets = Journal(session.pulled, CandidateSet)
        pulled = exchange.pull_foreign(
            server, project, sets, kept, aside, cursor=cursor, names=names
        )
    else:
        pulled = exchange.pull_annotations(
            server, project, session.judged_sets(), kept, aside, cursor=cursor, names=names
        )
    click.echo(f"{pulled.ratings} new ratings, {pulled.taken_back} taken back")
    _say_aside(session, pulled.aside)


@label_studio.command(name="import")
@_RUN
@_NAMES
@click.argument("file", type=click.Path(path_type=Path))
def read_export(run: str, file: Path, names: dict[str, str]) -> None:
    """Take in a JSON file exported from Label Studio by hand.

    It names annotators by number only. Without --name they are those of the server
    in the settings, or of the one started here; while it is down, what needs their
    names is set aside, and importing the file again takes it in.
    """
    from workbench import exchange
    from workbench.journal import Journal
    from workbench.records import Rating, SetAside

    session = _session(run)
    pulled = exchange.read_export(
        file,
        exchange.OurTasks(session.judged_sets()),
        Journal(session.ratings, Rating),
        Journal(session.aside, SetAside),
        names=names or (lambda: _annotators(session)),
    )
    click.echo(f"{pulled.ratings} new ratings")
    _say_aside(session, pulled.aside)


def _annotators(session: Session) -> dict[str, str]:
    """E-mails by number, as the server says; none where there is no server or it fails."""
    from workbench import exchange, services
    from workbench.errors import SettingsError

    try:
        server = services.label_studio(session.settings)
        return {str(number): email for number, email in exchange.annotators(server).items()}
    except SettingsError:
        return {}
    except ServerError as error:
        click.echo(f"{error.fact}: nobody is named; repeat later, or give --name", err=True)
        return {}


@click.command()
@_RUN
@click.option("--seed", default=0, help="Seeds the intervals.")
def raters(run: str, seed: int) -> None:
    """Say how far the raters agree with each other and with themselves."""
    from workbench import raters as statistics
    from workbench.journal import Journal
    from workbench.records import Rating

    session = _session(run)
    given = Journal(session.given(session.ratings), Rating)
    found = statistics.summary(given, session.judged_sets(), seed=seed)
    for rater in found.raters:
        click.echo(
            f"{rater.name}: {rater.judgements} judgements, {rater.ties} ties among "
            f"{rater.pairs} pairs; accuracy {rater.accuracy}; consistency {rater.consistency}; "
            f"shown earlier wins {rater.position.earlier}"
        )
    click.echo(f"Krippendorff's alpha of {found.agreement_of}: {found.alpha}")
    click.echo(f"Highest win rate that such raters can show: {found.ceiling}")
    if found.set_aside:
        click.echo(f"{found.set_aside} ratings fit no answer of this run", err=True)


@click.group()
def dataset() -> None:
    """Versions of preference data."""


@dataset.command(name="export")
@click.argument("version", type=click.Path(path_type=Path))
@click.argument("format")
@click.argument("folder", type=click.Path(path_type=Path))
def export_dataset(version: Path, format: str, folder: Path) -> None:
    """Write a version's folder in the FORMAT of another trainer into FOLDER.

    FORMAT is dpo, dpo-text, kto, sft, reward, ppo, trlx or openai.
    """
    from workbench import preferences

    for path in preferences.export(preferences.load(version), format, folder):  # type: ignore[arg-type]
        click.echo(str(path))


def _keep_aside(session: Session, items: Sequence[SetAside]) -> None:
    """Keep what can't be used, each once, and say where."""
    from workbench import ratings
    from workbench.journal import Journal
    from workbench.records import SetAside

    _say_aside(session, ratings.set_aside(Journal(session.aside, SetAside), items))


def _say_aside(session: Session, number: int) -> None:
    if number:
        click.echo(
            f"{number} set aside, with the reason: {session.relative(session.aside)}", err=True
        )


COMMANDS = (langfuse, label_studio, raters, dataset)

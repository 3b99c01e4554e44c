"""What manifest, card and picture say about a dataset, and what they must not say."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import yaml
from examples import candidate_set, preference, rating

from workbench.errors import InputError
from workbench.preferences import Personal, judgements, load, plot, write
from workbench.preferences.personal import kinds
from workbench.raters import summary
from workbench.ratings import check
from workbench.records import Origin

PAIRS = [
    preference(f"Question {i}?", f"short {i}", f"a longer answer {i}", topic=f"t{i % 8}")
    for i in range(24)
]


def written(tmp_path, preferences=PAIRS, **options):
    return write(preferences, "demo", tmp_path, validation=0, test=0, **options)


def card(dataset):
    return (dataset.folder / "README.md").read_text()


def with_consent(consent, i):
    pair = preference(f"Question {i}?", "yes", f"no {i}")
    return replace(pair, prompt=replace(pair.prompt, origin=Origin(consent=consent)))


def test_refused_prompts_are_always_left_out_and_counted(tmp_path):
    pairs = [with_consent(c, i) for i, c in enumerate(["given", "refused", "", "refused", ""])]
    audit = written(tmp_path, pairs).manifest.audit
    assert (audit.dropped.refused, audit.dropped.not_asked) == (2, 0)
    assert {s.name: s.total for s in audit.consent} == {"given": 1, "not asked": 2}
    audit = written(tmp_path, pairs, require_consent=True).manifest.audit
    assert (audit.dropped.refused, audit.dropped.not_asked, audit.pairs.total) == (2, 2, 1)


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("mail anna.b@example.com today", "en", "e-mail"),
        ("почта иван@пример.рф", "ru", "e-mail"),
        ("Звоните 8 (912) 345-67-89", "ru", "phone"),
        ("call +44 20 7946 0958", "", "phone"),
        ("card 4111 1111 1111 1111.", "en", "card"),
        ("DE89 3704 0044 0532 0130 00 is mine", "de", "IBAN"),
        ("from 8.8.8.8.", "en", "IP address"),
        ("from 2001:4860:4860::8888", "en", "IP address"),
    ],
)
def test_personal_data_is_found(text, language, kind):
    assert kinds(text, language) == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112",
        "127.0.0.1 and 192.168.0.1",
        "version 1.2.3.4.5, 12:30:45, std::vector",
        "In 2023-2024 we sold 1000000 items",
        "3.14159265358979",
        "GB82 WEST 1234 5698 7654 33",
    ],
)
def test_what_only_looks_like_personal_data_is_not_counted(text):
    assert kinds(text, "en") == set()


def test_personal_data_is_counted_and_never_shown(tmp_path):
    secret = "anna.b@example.com"
    pairs = [preference("Mail?", f"To {secret}.", "No."), preference("Who?", "I.", f"{secret}!")]
    dataset = written(tmp_path, pairs)
    assert dataset.manifest.audit.personal == (Personal("e-mail", 0, 1, 1),)
    for name in ("manifest.json", "README.md"):
        assert secret not in (dataset.folder / name).read_text()
    assert "e-mail: in 0 prompts, 1 chosen and 1 rejected" in card(dataset)


def test_position_bias_is_the_share_of_decided_pairs_that_the_earlier_shown_won():
    sets = [candidate_set(f"s{i}", "one", "two", "three") for i in range(20)]
    by_person = [rating(s.id, "a>b", kind="pairwise", shown="ab") for s in sets[:18]]
    by_person += [rating(s.id, "b>a", kind="pairwise", shown="ab") for s in sets[18:]]
    by_model = [rating(s.id, "c>b>a", shown="abc", rater="model:x") for s in sets[:2]]
    others = [
        rating("s0", "bc", kind="pairwise"),
        rating("s0", "", shown="ac", both_bad=True),
        rating("s1", kind="skip", shown="bc"),
        rating("s2", kind="thumbs", shown="a", value=1),
        rating("s3", kind="correction", shown="a", text="1"),
        rating("nowhere", "a>b"),
    ]
    found = judgements(sets, [*by_person, *by_model, *others])
    model, person = found.positions
    assert (person.judge, person.n, person.first, person.biased) == ("person", 20, 18, True)
    assert (model.judge, model.n, model.first, model.biased) == ("model", 6, 0, False)
    assert (found.decided, found.ties, found.both_bad, found.skips) == (22, 1, 1, 1)
    assert (found.marks, found.corrections, found.set_aside) == (1, 1, 1)


def test_position_of_one_rater_is_what_the_raters_summary_says():
    random = np.random.default_rng(0)
    sets = [candidate_set(f"s{n}", *"wxyz") for n in range(12)]
    given = [rating(s.id, "a>b>c>d", shown="".join(random.permutation(list("abcd")))) for s in sets]
    given.append(replace(given[0], id="again", repeats=given[0].id, shown=tuple("dcba")))
    [position] = judgements(sets, given).positions
    [anna] = summary(given, sets, seed=0).raters
    earlier = anna.position.earlier
    assert (position.n, position.share, position.low, position.high) == (
        earlier.n,
        earlier.value,
        earlier.low,
        earlier.high,
    )
    assert (position.n, position.biased) == (78, anna.position.biased)


@pytest.mark.slow
def test_unbiased_raters_of_pairs_are_called_biased_about_as_rarely_as_stated():
    """All pairs of six answers, each set shown in one order: its pairs hang together."""
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(150):
        sets, given = [], []
        for n in range(20):
            sets.append(candidate_set(f"s{n}", *"uvwxyz"))
            for shown in combinations(random.permutation(list("abcdef")), 2):
                better, worse = sorted(shown)
                pair = "".join(shown)
                given.append(rating(f"s{n}", f"{better}>{worse}", kind="pairwise", shown=pair))
        [position] = judgements(sets, given).positions
        assert position.n == 300
        alarms += position.biased
    assert alarms <= 15  # 7.5 expected; as independent pairs they would raise about 25


def test_ratings_that_fit_nothing_are_counted_as_set_aside_and_on_the_card(tmp_path):
    """Given as the journal has them: who checks them before has nothing left to set aside."""
    sets = [candidate_set(f"s{i}", "one", "two") for i in range(3)]
    good = [rating(s.id, "a>b", kind="pairwise", shown="ab") for s in sets]
    unusable = [
        rating("nowhere", "a>b"),
        rating("s0", "a>z"),
        rating("s0", "a>b", rater="anna"),
        rating("s0", "a>b", at="yesterday"),
        rating("s1", kind="thumbs", shown="a", value=7),
        rating("s1", kind="undo", undoes="never given", shown="a"),
    ]
    found = judgements(sets, [*unusable, *good])
    assert (found.decided, found.set_aside) == (3, 6)
    assert summary([*unusable, *good], sets, seed=0).set_aside == 6
    assert judgements(sets, check([*unusable, *good], sets).good).set_aside == 0
    assert "6 set aside as unusable" in card(written(tmp_path, judgements=found))


def test_the_audit_warns_of_what_misleads(tmp_path):
    same_session = [
        replace(p, prompt=replace(p.prompt, origin=Origin(session="one"))) for p in PAIRS[:20]
    ]
    dataset = write([*same_session, *PAIRS[20:]], "demo", tmp_path, validation=0, test=0)
    assert dataset.manifest.audit.largest_component == 1.0
    component, length = dataset.manifest.audit.warnings
    assert "One component" in component
    assert "shorter one in 100%" in length
    assert component in card(dataset)
    fair = [preference(f"Question {i}?", "yes", f"no {i}", topic=f"t{i}") for i in range(9)]
    assert written(tmp_path, fair).manifest.audit.warnings == ()


def test_the_card_s_head_is_yaml_that_the_hub_reads(tmp_path):
    pairs = [replace(PAIRS[0], prompt=replace(PAIRS[0].prompt, language="no")), *PAIRS[1:]]
    dataset = written(tmp_path, pairs, licence="cc-by-4.0")
    _, head, text = card(dataset).split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["language"] == ["en", "no"]
    assert metadata["license"] == "cc-by-4.0"
    assert metadata["configs"][0]["data_files"] == [{"split": "train", "path": "train.jsonl"}]
    assert text.startswith(f"\n# demo {dataset.version}\n")


def test_the_card_states_the_rule_and_names_nobody(tmp_path):
    options = {"resolve": "bradley-terry", "strategy": "all", "agreement": "alpha 0.71 on 40 items"}
    trust = {"person:anna": 0.9}
    said = card(written(tmp_path, **options, trust=trust))
    for phrase in ("Bradley-Terry", "0.2 log-odds", "alpha 0.71", "every two", "1 rater of kind"):
        assert phrase in said
    assert "anna" not in said
    assert "Votes of 1 rater are weighted" in said


def test_names_of_raters_stay_out_of_the_card_s_agreement(tmp_path):
    names = ("person:anna@example.com", "person:Анна", "model:judge@1", "person:ben", "person:1")
    pairs = [replace(p, raters=names) for p in PAIRS]
    agreement = (
        "kappa of person:anna@example.com and Анна 0.4, of BEN with judge@1 0.1, "
        "of person:1 with person:carl 0.2; Annapolis and benefits of 10 pairs"
    )
    said = card(written(tmp_path, pairs, agreement=agreement, trust={"person:carl": 0.9}))
    assert (
        "kappa of person 2 and person 5 0.4, of person 3 with model 1 0.1, "
        "of person 1 with person 4 0.2; Annapolis and benefits of 10 pairs"
    ) in said


def test_the_card_is_hashed(tmp_path):
    one = written(tmp_path, agreement="alpha 0.7", licence="mit")
    (one.folder / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"README\.md is not as it was written"):
        load(one.folder)


def test_an_older_layout_is_refused_in_one_line(tmp_path):
    dataset = written(tmp_path)
    (dataset.folder / "manifest.json").write_text('{"name": "demo", "version": "0"}')
    with pytest.raises(InputError, match="is of layout 1, and this Workbench reads layout 3"):
        load(dataset.folder)


def test_the_picture_shows_position_bias_where_judgements_are_known(tmp_path):
    sets = [candidate_set(f"s{i}", "one", "two") for i in range(4)]
    given = judgements(sets, [rating(s.id, "a>b", shown="ab") for s in sets])
    with_them = plot(written(tmp_path / "a", judgements=given))
    titles = [axes.get_title("left") for axes in with_them.axes]
    assert titles[-1].startswith("The answer shown earlier won")
    assert len(plot(written(tmp_path / "b")).axes) == len(titles) - 1

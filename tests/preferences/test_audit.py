"""What manifest, card and picture say about a dataset, and what they must not say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from examples import candidate_set, preference, rating
from scipy.stats import binomtest

from workbench.errors import InputError
from workbench.preferences import Personal, judgements, load, plot, write
from workbench.preferences.personal import kinds
from workbench.preferences.raters import wilson
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


def test_position_bias_is_the_share_of_judgements_that_the_first_shown_won():
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
    assert (model.judge, model.n, model.first, model.biased) == ("model", 2, 0, False)
    assert (found.decided, found.ties, found.both_bad, found.skips) == (22, 1, 1, 1)
    assert (found.marks, found.corrections, found.set_aside) == (1, 1, 1)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (3, 3), (7, 20), (500, 1000)])
def test_the_interval_is_wilson_s(k, n):
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high))


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
    assert titles[-1].startswith("The answer shown first won")
    assert len(plot(written(tmp_path / "b")).axes) == len(titles) - 1

"""The cloud director: used only when asked for, told what the trace says, its troubles told."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from chat_server import KEY, Trouble, answer, running
from debate_parts import NAMES, Speaker, consilium, decision, spans
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

from workbench import tracing
from workbench.consilium.cloud import CloudChat, cloud_director
from workbench.errors import BackendError, InputError, ServerError, SettingsError
from workbench.settings import Settings

TASK = "Should we cache the answers of the model?"
THREE = NAMES[:3]


@pytest.fixture
def server():
    with running(decision(decision="From above.")) as server:
        yield server


def settings(tmp_path: Path, server, **more) -> Settings:
    return Settings(
        root=tmp_path,
        home=tmp_path / "home",
        director_base_url=server.url,
        director_api_key=more.pop("key", KEY),
        director_model="big-model",
        **more,
    )


def chat(tmp_path: Path, server, **more) -> CloudChat:
    """A director that gives up soon."""
    fields = {name: more.pop(name) for name in ("seconds", "attempts") if name in more}
    given = settings(tmp_path, server, **more)
    made = cloud_director(given, tracing.Tracer(tmp_path / "spans.jsonl", given))
    return made.model_copy(update={"pause_s": 0.01, **fields})


def debate(tmp_path, server, director, **more):
    bench = consilium(tmp_path, Speaker(), settings=settings(tmp_path, server, **more))
    return bench.run(TASK, roles=THREE, director=director, id="d1")


# --- asked or not asked ---------------------------------------------------------


def test_nothing_is_sent_unless_it_is_asked_for(tmp_path, server):
    done = debate(tmp_path, server, "local")
    assert server.asked == []
    assert done.decision.text == "Do it."
    assert done.director.where == "given"


def test_the_cloud_decides_when_it_is_asked_for(tmp_path, server):
    done = debate(tmp_path, server, "cloud")
    assert len(server.asked) == 1
    assert done.decision.text == "From above."
    assert done.director.said == (
        f"A cloud model directed, and was sent the debate: big-model at 127.0.0.1:{server.port}"
    )
    assert done.decision.completion.backend == "cloud"
    assert (done.decision.usage.prompt_tokens, done.decision.usage.cached_tokens) == (900, 300)


def test_a_cloud_that_fails_is_not_stood_in_for(tmp_path, server):
    server.troubles = [Trouble(400, '{"error": {"message": "no"}}')]
    with pytest.raises(ServerError, match="400"):
        debate(tmp_path, server, "cloud")
    assert not (tmp_path / "debates" / "d1" / "decision.jsonl").exists()
    model = Speaker()
    bench = consilium(tmp_path, model, settings=settings(tmp_path, server))
    assert bench.go_on("d1").decision.text == "From above."
    assert (len(server.asked), model.asked) == (2, [])


def test_a_debate_that_was_for_the_cloud_may_end_here(tmp_path, server):
    server.troubles = [Trouble(400)]
    with pytest.raises(ServerError):
        debate(tmp_path, server, "cloud")
    bench = consilium(tmp_path, Speaker(), settings=settings(tmp_path, server))
    done = bench.go_on("d1", director="local")
    assert (done.decision.text, done.director.where, len(server.asked)) == ("Do it.", "given", 1)


def test_a_cloud_model_does_not_slip_in_as_a_local_one(tmp_path, server):
    given = settings(tmp_path, server)
    model = chat(tmp_path, server)
    for models in ({"model": model}, {"model": Speaker(), "director": model}):
        with pytest.raises(InputError, match="cloud model"):
            consilium(tmp_path, settings=given, **models)
    assert server.asked == []


# --- what is sent ------------------------------------------------------------------


def test_exactly_the_debate_is_sent_and_the_trace_shows_it(tmp_path, server):
    done = debate(tmp_path, server, "cloud")
    [body] = server.asked
    assert set(body) == {"model", "messages", "response_format"}
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    sent = body["messages"][-1]["content"]
    assert TASK in sent
    assert all(revision in sent for revision in done.revisions.values())
    assert "You are the dev" not in sent
    [shown] = [span for span in spans(tmp_path) if span.name.startswith("sent to")]
    assert shown.input == {"to": f"{server.url}/chat/completions", "body": body}
    assert set(server.headers[0]) == {
        *("host", "accept", "accept-encoding", "connection", "user-agent"),
        *("authorization", "content-length", "content-type"),
    }


def test_the_trace_shows_it_before_it_is_sent(tmp_path, server):
    server.troubles = [Trouble(does="drop")] * 2
    model = chat(tmp_path, server, attempts=1)
    with pytest.raises(ServerError):
        model.invoke("Hello")
    first, *rest = spans(tmp_path)
    assert first.input["body"] == server.asked[0]
    assert first.ended < rest[0].ended


def test_secrets_of_the_settings_are_blotted_out_of_what_is_sent(tmp_path, server):
    model = chat(tmp_path, server, label_studio_api_key="ls-very-secret")
    model.invoke(f"The log says ls-very-secret and {KEY}.")
    assert server.asked[0]["messages"][0]["content"] == "The log says [secret] and [secret]."
    assert KEY.encode() not in server.raw[0]
    assert KEY not in (tmp_path / "spans.jsonl").read_text()


def test_a_server_on_this_machine_is_asked_without_a_proxy(tmp_path, server, monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with running("From a proxy.") as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert "above" in str(chat(tmp_path, server).invoke("Hello").text)
        assert (len(server.asked), proxy.asked) == (1, [])


def test_the_key_is_not_shown(tmp_path, server):
    model = chat(tmp_path, server)
    assert KEY not in repr(model) + str(model) + repr(settings(tmp_path, server))


def test_the_schema_is_sent_without_lengths(tmp_path, server):
    debate(tmp_path, server, "cloud")
    form = server.asked[0]["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    schema = form["json_schema"]["schema"]
    assert schema["properties"]["decision"] == {"type": "string"}
    assert schema["properties"]["reasons"]["maxItems"] == 3
    assert schema["required"] == list(schema["properties"])


# --- its troubles --------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(429, '{"error": {"message": "slow down"}}', (("Retry-After", "0"),)),
        Trouble(429, "", (("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT"),)),
        Trouble(429, "", (("Retry-After", "nan"),)),
        Trouble(500, "oops"),
        Trouble(503),
        Trouble(does="drop"),
    ],
)
def test_what_passes_is_waited_for(tmp_path, server, trouble):
    server.troubles = [trouble] * 2
    assert "From above." in str(chat(tmp_path, server).invoke("Hello").text)
    assert server.asked == [server.asked[0]] * 3
    assert len([s for s in spans(tmp_path) if s.kind == "generation"]) == 1


@pytest.mark.parametrize(
    ("trouble", "told", "requests"),
    [
        (Trouble(429, '{"error": {"message": "quota"}}'), "429.*quota.*go on", 4),
        (Trouble(500, "<html>\n\x1b[31moops</html>"), r"500: <html> \[31moops", 4),
        (Trouble(does="drop"), "can't be reached", 4),
        (Trouble(400, '{"error": {"message": "bad schema"}}'), "400.*bad schema", 1),
        (Trouble(403), "403.*DIRECTOR_API_KEY", 1),
        (Trouble(404), "404.*DIRECTOR_BASE_URL", 1),
        (Trouble(200, "<html>hello</html>"), "can't be read", 1),
        (Trouble(200, ""), "can't be read", 1),
        (Trouble(200, '{"choices": []}'), "can't be read", 1),
        (Trouble(200, '{"choices": [{"message": {"content": 7}}]}'), "can't be read", 1),
        (Trouble(200, '{"choices": [{"message": {"content": "\\ud800"}}]}'), "can't be read", 1),
        (Trouble(200, answer(None, refusal="I won't.")), "refused to answer: I won't", 1),
        (Trouble(does="flood"), "more than 4,000,000 bytes", 1),
    ],
)
def test_what_does_not_pass_is_one_clear_error(tmp_path, server, trouble, told, requests):
    server.troubles = [trouble] * 10
    with pytest.raises(ServerError, match=f"The director at 127.0.0.1.*{told}") as caught:
        chat(tmp_path, server).invoke("Hello")
    assert len(server.asked) == requests
    assert str(caught.value).isprintable()
    assert spans(tmp_path)[-1].error is not None


@pytest.mark.parametrize("does", ["hang", "drip", "drip a header"])
def test_a_server_that_does_not_end_is_left(tmp_path, server, does):
    server.troubles = [Trouble(does=does)] * 2
    with pytest.raises(ServerError, match=r"did not answer in 0\.3 s"):
        chat(tmp_path, server, seconds=0.3, attempts=2).invoke("Hello")
    assert len(server.asked) == 2
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_wrong_key_is_told_and_not_shown(tmp_path, server):
    wrong = "sk-a-wrong-key"
    with pytest.raises(ServerError, match="Check DIRECTOR_API_KEY") as caught:
        chat(tmp_path, server, key=wrong).invoke("Hello")
    assert wrong not in str(caught.value)
    assert wrong not in (tmp_path / "spans.jsonl").read_text()
    assert len(server.asked) == 1


def test_without_a_key_none_is_sent(tmp_path, server):
    with pytest.raises(ServerError, match="401"):
        chat(tmp_path, server, key="").invoke("Hello")
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize("state", [301, 302, 307, 308])
def test_no_redirect_is_followed(tmp_path, server, state):
    with running("Elsewhere.") as other:
        there = (("Location", f"{other.url}/chat/completions"),)
        server.troubles = [Trouble(state, "", there)]
        with pytest.raises(ServerError, match="sends elsewhere"):
            chat(tmp_path, server).invoke("Hello")
        assert other.asked == []


def test_nobody_there_is_told(tmp_path, server):
    gone = settings(tmp_path, server).with_(director_base_url="http://127.0.0.1:9/v1")
    model = cloud_director(gone, tracing.Tracer(tmp_path / "spans.jsonl", gone))
    with pytest.raises(ServerError, match="can't be reached"):
        model.model_copy(update={"pause_s": 0.01}).invoke("Hello")


@pytest.mark.parametrize("said", ["I'd rather not.", decision(basis="Q"), '{"decision": "Do'])
def test_a_server_that_disregards_the_schema_is_asked_twice(tmp_path, server, said):
    server.says = [said]
    with pytest.raises(BackendError, match="not of the form"):
        debate(tmp_path, server, "cloud")
    assert len(server.asked) == 2


# --- settings and use -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://api.example.com/v1", "unencrypted"),
        ("http://10.0.0.7:8000/v1", "unencrypted"),
        ("http://localhost.example.com/v1", "unencrypted"),
        ("ftp://api.example.com", "is 'ftp"),
        ("api.example.com", "is 'api"),
        ("https://", "is 'https"),
    ],
)
def test_an_address_that_would_not_do_is_refused(tmp_path, server, address, told):
    given = settings(tmp_path, server).with_(director_base_url=address)
    with pytest.raises(SettingsError, match=told):
        cloud_director(given, tracing.Tracer(tmp_path / "spans.jsonl", given))


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-ключ"])
def test_a_key_that_is_none_is_refused_without_repeating_it(tmp_path, server, key):
    with pytest.raises(SettingsError, match="DIRECTOR_API_KEY holds") as caught:
        chat(tmp_path, server, key=key)
    assert "sk-" not in str(caught.value)


def test_an_address_with_a_password_is_refused():
    with pytest.raises(SettingsError, match="DIRECTOR_BASE_URL holds"):
        Settings.load({"DIRECTOR_BASE_URL": "https://a:pw-7@example.com"}, root=Path("/"))


@pytest.mark.parametrize("address", ["https://api.example.com/v1/", "http://[::1]:8000/v1"])
def test_an_address_that_will_do_is_taken(tmp_path, server, address):
    given = settings(tmp_path, server).with_(director_base_url=address)
    model = cloud_director(given, tracing.Tracer(tmp_path / "spans.jsonl", given))
    assert model.base_url == address.rstrip("/")


def test_it_is_a_chat_model_like_others(tmp_path, server):
    server.says = [json.dumps({"yes": True}), "Так.", "…"]
    model = chat(tmp_path, server)
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}}
    assert model.with_structured_output(schema).invoke("Yes?") == {"yes": True}
    said = (model.bind(stop=["."])).invoke([SystemMessage("Кратко."), HumanMessage("Так? 👍")])
    assert (said.text, server.asked[-1]["stop"]) == ("Так.", ["."])
    assert server.asked[-1]["messages"][1] == {"role": "user", "content": "Так? 👍"}
    with pytest.raises(InputError, match="'tool' is not sent"):
        model.invoke([ToolMessage("x", tool_call_id="1")])

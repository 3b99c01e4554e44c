"""The one part that may leave the machine: a chat model behind an OpenAI-compatible address.

    chat = cloud_director(settings, tracer)          # DIRECTOR_BASE_URL, _API_KEY, _MODEL
    chat.with_structured_output(schema, include_raw=True).invoke(messages)

What is sent is the model's name, the messages and the schema of the reply, and nothing
else; it is written to the trace before the first byte leaves. Secrets of the settings are
blotted out of it. No redirect is followed: it could hand the debate to another host. A proxy
of the environment (HTTPS_PROXY) carries what is encrypted and can't read it; a server on
loopback is reached without one.

It does not choose: whoever makes one has decided that the debate may leave. What the
server keeps of it is the server's business.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import msgspec
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import PrivateAttr, SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from workbench.characters import hidden
from workbench.consilium.deadline import Deadline
from workbench.errors import InputError, ServerError, SettingsError
from workbench.records import Usage
from workbench.settings import Settings
from workbench.tools.network import is_loopback
from workbench.tracing import Tracer, spans

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""States that may be others a moment later."""
_LONGEST_PAUSE_S = 30.0
_LONGEST_ANSWER = 4_000_000
_SAID_CHARS = 200
_REMEDY = "Change the settings DIRECTOR_*, or let a local model direct"
_REMEDIES = {
    401: "Check DIRECTOR_API_KEY",
    403: "Check what the key in DIRECTOR_API_KEY may use",
    404: "Check DIRECTOR_BASE_URL and DIRECTOR_MODEL",
}
_UNBOUND = {"minLength", "maxLength"}
"""Keywords that strict modes of servers refuse."""


def cloud_director(settings: Settings, tracer: Tracer) -> CloudChat:
    """The model behind DIRECTOR_BASE_URL; nothing is sent yet.

    Raises SettingsError where it is not configured, or where its address would carry the
    debate in the clear to another machine.
    """
    missing = [
        name.upper()
        for name in ("director_base_url", "director_model")
        if not getattr(settings, name)
    ]
    if missing:
        raise SettingsError(
            f"A cloud director was asked for, and {' and '.join(missing)} is not set",
            "Set DIRECTOR_BASE_URL, DIRECTOR_MODEL and DIRECTOR_API_KEY, or let a local model "
            'direct: director="local"',
        )
    address = urlsplit(settings.director_base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise SettingsError(
            f"DIRECTOR_BASE_URL is {settings.director_base_url!r}",
            "Set it to an address such as https://api.example.com/v1",
        )
    if address.scheme == "http" and not is_loopback(address.hostname):
        raise SettingsError(
            f"DIRECTOR_BASE_URL would send the key and the debate to {address.hostname} "
            "unencrypted",
            "Use https, or a tunnel to this machine",
        )
    if not (settings.director_api_key.isascii() and settings.director_api_key.isprintable()):
        raise SettingsError(
            "DIRECTOR_API_KEY holds characters that no key has", "Copy it again, without line ends"
        )
    return CloudChat(
        base_url=settings.director_base_url.rstrip("/"),
        api_key=SecretStr(settings.director_api_key),
        model_name=settings.director_model,
        tracer=tracer,
        secrets=settings.secrets,
    )


class CloudChat(BaseChatModel):
    """A LangChain chat model over `POST base_url/chat/completions`.

    `seconds` bounds one request. Requests that fail in passing are repeated, `attempts` in
    all, after pauses that begin with `pause_s` and double, or as long as the server asks
    for. Raises ServerError, with the reason in one line, when they are used up and for
    whatever will not pass. Only system, human and ai messages are taken.
    """

    base_url: str
    api_key: SecretStr
    model_name: str
    seconds: float = 120.0
    attempts: int = 4
    pause_s: float = 1.0
    _tracer: Tracer = PrivateAttr()
    _secrets: tuple[str, ...] = PrivateAttr()

    def __init__(self, *, tracer: Tracer, secrets: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(**fields)
        self._tracer, self._secrets = tracer, tuple(secrets)

    @property
    def host(self) -> str:
        """Where requests go."""
        return urlsplit(self.base_url).netloc

    @property
    def _llm_type(self) -> str:
        return "cloud"

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """This model asked for JSON of `schema`; the server may disregard it, so check.

        The reply is `{"raw": message}`, or without `include_raw` the JSON itself.
        Lengths of strings are left out of what is sent.
        """
        wanted = {"name": "reply", "strict": True, "schema": _without_lengths(schema)}
        bound = self.bind(response_format={"type": "json_schema", "json_schema": wanted}, **kwargs)
        if include_raw:
            return bound | RunnableLambda(lambda message: {"raw": message})
        return bound | RunnableLambda(lambda message: json.loads(str(message.text)))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        body: dict[str, Any] = {"model": self.model_name, "messages": [_plain(m) for m in messages]}
        body |= (
            {"response_format": kwargs["response_format"]} if "response_format" in kwargs else {}
        )
        body |= {"stop": stop} if stop else {}
        body = spans.json_value(body, self._secrets)
        to = f"{self.base_url}/chat/completions"
        self._tracer.start("chain", f"sent to {self.host}", input={"to": to, "body": body}).finish()
        label = f"{self.model_name} at {self.host}"
        with self._tracer.span("generation", "cloud", input=body["messages"], model=label) as span:
            message = self._patiently(lambda: self._post(to, body))
            used: Any = message.usage_metadata
            span.finish(
                output=message.text,
                usage=Usage(
                    used["input_tokens"],
                    used["output_tokens"],
                    used["input_token_details"]["cache_read"],
                ),
                metadata={"finish_reason": message.response_metadata["finish_reason"]},
            )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _patiently(self, post: Callable[[], AIMessage]) -> AIMessage:
        def pause(state: RetryCallState) -> float:
            error = state.outcome and state.outcome.exception()
            asked = error.retry_after if isinstance(error, _Passing) else None
            grown = self.pause_s * 2 ** (state.attempt_number - 1)
            return min(grown if asked is None else asked, _LONGEST_PAUSE_S)

        return Retrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(self.attempts),
            wait=pause,
            reraise=True,
        )(post)

    def _post(self, to: str, body: Mapping[str, Any]) -> AIMessage:
        """One request. Raises ServerError; `_Passing` where another attempt may help."""
        key = self.api_key.get_secret_value()
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        late = f"did not answer in {self.seconds:g} s"
        by_proxy = not is_loopback(urlsplit(self.base_url).hostname or "")
        content = b""
        try:
            with (
                Deadline(self.seconds) as deadline,
                httpx.Client(
                    timeout=self.seconds, follow_redirects=False, trust_env=by_proxy
                ) as client,
                client.stream(
                    "POST", to, json=body, headers=headers, extensions={"trace": deadline.watch}
                ) as response,
            ):
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > _LONGEST_ANSWER:
                        raise self._lasting(f"answered with more than {_LONGEST_ANSWER:,} bytes")
        except httpx.TransportError as error:
            in_time = not (deadline.passed or isinstance(error, httpx.TimeoutException))
            raise self._passing(f"can't be reached ({error})" if in_time else late) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._lasting(f"can't be asked ({error})") from None
        if deadline.passed:  # the answer may be cut off
            raise self._passing(late)
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response, content)
        return self._read(content)

    def _read(self, content: bytes) -> AIMessage:
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except ValueError as error:
            raise self._lasting(f"answered what can't be read ({error})") from None
        choice = answer.choices[0]
        if choice.message.refusal:
            raise self._lasting(f"refused to answer: {self._shown(choice.message.refusal)}")
        used = answer.usage or _Usage()
        details = used.prompt_tokens_details or _Details()
        return AIMessage(
            choice.message.content or "",
            response_metadata={
                "finish_reason": choice.finish_reason or "stop",
                "model_name": answer.model or self.model_name,
                "backend": self._llm_type,
            },
            usage_metadata=UsageMetadata(
                input_tokens=used.prompt_tokens,
                output_tokens=used.completion_tokens,
                total_tokens=used.prompt_tokens + used.completion_tokens,
                input_token_details=InputTokenDetails(cache_read=details.cached_tokens or 0),
            ),
        )

    def _refusal(self, response: httpx.Response, content: bytes) -> ServerError:
        state = response.status_code
        said = self._shown(content.decode(errors="replace"))
        fact = f"refused the request ({state}{': ' + said if said else ''})"
        if state in _PASSING:
            return self._passing(fact, _seconds(response.headers.get("retry-after")))
        if response.is_redirect:
            return self._lasting("sends elsewhere", "Set DIRECTOR_BASE_URL to the final address")
        return self._lasting(fact, _REMEDIES.get(state, _REMEDY))

    def _lasting(self, fact: str, remedy: str = _REMEDY) -> ServerError:
        return ServerError(self._of_director(fact), remedy)

    def _passing(self, fact: str, retry_after: float | None = None) -> ServerError:
        return _Passing(self._of_director(fact), retry_after)

    def _of_director(self, fact: str) -> str:
        blotted: str = spans.json_value(f"The director at {self.host} {fact}", self._secrets)
        return blotted

    def _shown(self, said: str) -> str:
        """What the server said, in one short line."""
        words = " ".join("".join(" " if hidden(c) else c for c in said).split())
        return words if len(words) <= _SAID_CHARS else words[: _SAID_CHARS - 1] + "…"


class _Passing(ServerError):
    """A trouble that may pass; `retry_after` is the pause that the server asked for."""

    def __init__(self, fact: str, retry_after: float | None) -> None:
        super().__init__(fact, "Nothing is lost: go on with the debate later")
        self.retry_after = retry_after


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    completion_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    prompt_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    """What is read of an answer, in OpenAI's format; all else is passed over."""

    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    model: str | None = None
    usage: _Usage | None = None


def _plain(message: BaseMessage) -> dict[str, str]:
    if message.type not in _ROLES:
        raise InputError(
            f"A message of the kind {message.type!r} is not sent to the director",
            f"Use {', '.join(_ROLES)}",
        )
    return {"role": _ROLES[message.type], "content": str(message.text)}


def _without_lengths(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_lengths(v) for k, v in schema.items() if k not in _UNBOUND}
    return [_without_lengths(item) for item in schema] if isinstance(schema, list) else schema


def _seconds(retry_after: str | None) -> float | None:
    """The header's seconds; None for a date or nonsense."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None

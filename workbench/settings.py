"""Settings: one frozen record read from the environment and from `.env`.

The environment wins over `.env`; `.env.example` lists every name with its
meaning. Settings know nothing about models or runtimes: they only say what the
user asked for. Secrets are kept out of `repr`, so they stay out of logs,
notebooks and reports.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from workbench.errors import SettingsError

BackendName = Literal["llama.cpp", "onnx", "torch"]
OnnxPrecision = Literal["int4", "int8", "fp32", "fp16"]
Provider = Literal["cpu", "cuda"]

_HOME_VARIABLE = "WORKBENCH_HOME"
_ROOT_VARIABLE = "WORKBENCH_ROOT"
_SERVERS = ("langfuse_", "label_studio_", "databases", "director_", "mcp_")
"""Other processes read these from the environment and `.env` themselves."""
LANGFUSE_CLOUD = "https://cloud.langfuse.com"
"""Where Langfuse is when only its keys are set."""
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True)
class Settings:
    """What the user asked for. Each field is read from the variable of its name in capitals.

    `root` is the project's folder (datasets/, adapters/, reports/ lie in it; paths
    are relative to it); `home` is the cache of converted models. `n_ctx` is in tokens; 0 means the
    model's own length. `rope_scaling_factor` above 1 turns on YaRN by that
    factor. `n_threads` 0 means one per core. `lora_paths` holds globs. Raises
    SettingsError for a server's address with a password in it.
    """

    root: Path
    home: Path
    model_path: str = "embedded"
    runtime_backend: BackendName = "llama.cpp"
    lora_paths: tuple[str, ...] = ()
    n_ctx: int = 4096
    n_threads: int = 0
    n_gpu_layers: int = 0
    use_mmap: bool = True
    onnx_precision: OnnxPrecision | None = None
    onnx_provider: Provider = "cpu"
    rope_scaling_factor: float = 1.0
    langfuse_public_key: str = ""
    langfuse_secret_key: str = field(default="", repr=False)
    langfuse_base_url: str = ""
    label_studio_url: str = ""
    label_studio_api_key: str = field(default="", repr=False)
    label_studio_database_url: str = field(default="", repr=False)
    databases: tuple[str, ...] = field(default=(), repr=False)
    test_command: str = ""
    allow_network_tools: bool = False
    director_base_url: str = ""
    director_api_key: str = field(default="", repr=False)
    director_model: str = ""
    mcp_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in ("langfuse_base_url", "label_studio_url", "director_base_url"):
            if "@" in getattr(self, name):  # a password may hold anything, "/" as well
                raise SettingsError(
                    f"{name.upper()} holds an @, as an address with a user name or a password does",
                    "Remove what stands before it: addresses are shown, and keys have settings of "
                    "their own. Write %40 for an @ in a path",
                )

    @property
    def serving(self) -> dict[str, Any]:
        """What decides answers, beside the notebooks' parameters: which model, served how."""
        return {
            "model_path": self.model_path,
            "runtime_backend": self.runtime_backend,
            "lora_paths": list(self.lora_paths),
            "n_ctx": self.n_ctx,
            "n_gpu_layers": self.n_gpu_layers,
            "onnx_precision": self.onnx_precision,
            "onnx_provider": self.onnx_provider,
            "rope_scaling_factor": self.rope_scaling_factor,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables that give these settings again, without secrets: for other processes."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        names = {"root": _ROOT_VARIABLE, "home": _HOME_VARIABLE}
        return {
            names.get(name, name.upper()): _text(value)
            for name, value in given.items()
            if not name.startswith(_SERVERS)
        }

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown anywhere: what `repr` leaves out, the longest first.

        Of a database its address alone is one as well.
        """
        hidden = [getattr(self, f.name) for f in fields(self) if not f.repr]
        texts = [value for value in hidden if isinstance(value, str)]
        for entry in self.databases:
            texts += [entry, entry.partition("=")[2]]
        return tuple(sorted(filter(None, texts), key=len, reverse=True))

    @property
    def onnx_served(self) -> OnnxPrecision:
        """`onnx_precision`, or the one that suits the provider."""
        return self.onnx_precision or ("fp16" if self.onnx_provider == "cuda" else "int8")

    @property
    def threads(self) -> int:
        """Threads to compute with: `n_threads`, or the cores this process may use."""
        return self.n_threads or len(os.sched_getaffinity(0))

    @property
    def datasets(self) -> Path:
        """Folder of prompts, samples, traces, ratings and preferences."""
        return self.root / "datasets"

    @property
    def prompts(self) -> Path:
        """Folder of the prompt collections."""
        return self.datasets / "prompts"

    @property
    def adapters(self) -> Path:
        """Folder of adapter generations."""
        return self.root / "adapters"

    @property
    def reports(self) -> Path:
        """Folder of run reports."""
        return self.root / "reports"

    @property
    def tools(self) -> Path:
        """Folder of the YAML manifests of tools."""
        return self.root / "tools"

    @property
    def notebooks(self) -> Path:
        """Folder of the numbered notebooks."""
        return self.root / "notebooks"

    def with_(self, **changes: Any) -> Settings:
        """A copy with other values; a value of the wrong kind is a SettingsError."""
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise SettingsError(
                    f"There is no setting {name!r}", f"Use one of {', '.join(sorted(known))}"
                )
        parsed = {n: _parse(n, v) if isinstance(v, str) else v for n, v in changes.items()}
        return replace(self, **parsed)._located()

    def _located(self) -> Settings:
        """Relative paths, made absolute from `root`: notebooks and commands run in any folder."""
        home = self.root / self.home.expanduser()
        model = self.root / Path(self.model_path).expanduser()
        if self.model_path == "embedded" or not model.exists():  # a name, or a hub id
            return replace(self, home=home)
        return replace(self, home=home, model_path=str(model))

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, root: Path | None = None) -> Settings:
        """Settings from `environ` (default: the process's) and from `.env` in the project.

        Raises SettingsError for a value of the wrong kind, naming the variable.
        """
        from dotenv import dotenv_values
        from platformdirs import user_cache_path

        environ = os.environ if environ is None else environ
        root = root or find_root(environ)
        from_file = {k: v for k, v in dotenv_values(root / ".env").items() if v is not None}
        values = {**from_file, **environ}
        home = values.get(_HOME_VARIABLE, "")
        given = {
            f.name: _parse(f.name, values[f.name.upper()])
            for f in fields(cls)
            if f.name not in ("root", "home") and values.get(f.name.upper(), "") != ""
        }
        return cls(
            root=root,
            home=Path(home) if home else user_cache_path("workbench"),
            **given,
        )._located()


def find_root(environ: Mapping[str, str] | None = None) -> Path:
    """The project's folder: WORKBENCH_ROOT, or the nearest one above with notebooks/ and datasets/.

    Raises SettingsError where neither is found.
    """
    environ = os.environ if environ is None else environ
    if environ.get(_ROOT_VARIABLE):
        return Path(environ[_ROOT_VARIABLE]).expanduser().resolve()
    here = Path.cwd().resolve()
    checkout = Path(__file__).resolve().parent.parent
    for folder in (here, *here.parents, checkout):
        if (folder / "notebooks").is_dir() and (folder / "datasets").is_dir():
            return folder
    raise SettingsError(
        f"No project folder (with notebooks/ and datasets/) at or above {here}",
        f"Change into the project, or set {_ROOT_VARIABLE}",
    )


_HINTS = get_type_hints(Settings)


def _parse(name: str, text: str) -> Any:
    """The value of setting `name` from its text."""
    hint = _HINTS[name]
    choices = [c for c in (get_args(hint) or ()) if isinstance(c, str)]
    for arg in get_args(hint):
        choices += [c for c in get_args(arg) if isinstance(c, str)]
    text = text.strip()
    try:
        if choices:
            if text not in choices:
                raise ValueError(f"one of {', '.join(choices)}")
            return text
        if hint is bool:
            if text.lower() not in _TRUE | _FALSE:
                raise ValueError("true or false")
            return text.lower() in _TRUE
        if hint in (int, float):
            return _number(hint, text, least=-1 if name == "n_gpu_layers" else 0)
        if hint is Path:
            return Path(text).expanduser()
        if hint == tuple[str, ...]:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return text
    except ValueError as error:
        raise SettingsError(
            f"{name.upper()} is {text!r}", f"Set it to {error} (in the environment or in .env)"
        ) from None


def _text(value: Any) -> str:
    """What `_parse` reads as `value`; empty for None, which is every such setting's default."""
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _number(kind: type, text: str, least: int) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(what) from None
    if value < least:
        raise ValueError(f"{least} or more")
    return value

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
import tiny_models
from examples import preference

from workbench import adapters, models, preferences
from workbench.adapters import Generation, Parity, RuntimeParity
from workbench.adapters.tokens import hash_pairs, read_pairs
from workbench.errors import AdapterError, InputError, ParityError
from workbench.records import encode

PASSED = RuntimeParity("onnx", "fp32", True, True, (32,), 1.0, 1e-6, 1e-6, 0.5, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class _Serving:
    """What `admit` asks of a backend."""

    model: str
    name: str = "onnx"
    precision: str = "fp32"


@dataclass(frozen=True)
class Project:
    """A project's folder with all that an adapter's lineage names."""

    root: Path
    home: Path
    model: models.Model
    peft: Path
    lineage: adapters.Lineage

    @property
    def serving(self) -> _Serving:
        return _Serving(self.model.fingerprint)

    def create(self) -> Generation:
        return adapters.create(
            self.peft, self.model, "short", self.root / "adapters", self.home, lineage=self.lineage
        )


@pytest.fixture(scope="module")
def lora(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_lora(tiny_llama, tmp_path_factory.mktemp("lora"))


@pytest.fixture
def project(llama: models.Model, home: Path, lora: Path, tmp_path: Path) -> Project:
    made = [preference(f"Question {n}?", "Short.", "Rather a long answer.") for n in range(4)]
    dataset = preferences.write(made, "demo", tmp_path / "datasets", validation=0.0, test=0.0)
    journals = {name: tmp_path / "datasets" / f"{name}.jsonl" for name in ("ratings", "traces")}
    for journal in journals.values():
        journal.write_text('{"one": 1}\n')
    (tmp_path / adapters.LOCK_FILE).write_text("torch==2\n")
    pairs = read_pairs(dataset.file("train"), models.tokenizer(llama, home))
    lineage = adapters.take_lineage(
        llama,
        root=tmp_path,
        home=home,
        dataset=dataset.folder,
        token_ids=hash_pairs(pairs),
        options={"seed": 3, "max_length": 100, "rank": 4},
        ratings=[journals["ratings"]],
        traces=[journals["traces"]],
    )
    return Project(tmp_path, home, llama, lora, lineage)


def _write_parity(made: Generation, *runtimes: RuntimeParity) -> None:
    parity = Parity(made.fingerprint, "torch float32", 1, 32, 0.5, runtimes)
    (made.folder / "parity.json").write_bytes(encode(parity))


def test_a_generation_holds_every_form_and_reads_back(project: Project) -> None:
    made = project.create()
    assert made.folder.name.startswith("0001-")
    assert made.folder.parent == project.root / "adapters" / "short"
    assert (made.peft / "adapter_model.safetensors").is_file()
    assert made.gguf.read_bytes().startswith(b"GGUF")
    assert made.onnx_adapter.is_file()
    assert adapters.open(made.folder) == made
    assert made.manifest.lineage == project.lineage


def test_the_same_adapter_again_is_the_same_generation(project: Project) -> None:
    assert project.create() == project.create()


def test_a_changed_lineage_is_the_next_generation(project: Project) -> None:
    first = project.create()
    later = replace(project, lineage=replace(project.lineage, seed=4)).create()
    assert later.folder.name.startswith("0002-")
    assert adapters.open(first.folder) == first


def test_a_refused_adapter_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "adapter_config.json").write_bytes(
        (project.peft / "adapter_config.json").read_bytes()
    )
    (broken / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(AdapterError, match="can't be read"):
        replace(project, peft=broken).create()
    left = [path.name for path in (project.root / "adapters" / "short").iterdir()]
    assert left in ([], [".lock"])


def test_what_a_killed_process_left_is_swept_away(project: Project) -> None:
    left = project.root / "adapters" / "short" / ".4711.partial"
    left.mkdir(parents=True)
    project.create()
    assert not left.exists()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", ".."])
def test_a_name_that_is_no_folder_is_refused(project: Project, name: str) -> None:
    with pytest.raises(AdapterError, match="can't name an adapter"):
        adapters.create(
            project.peft, project.model, name, project.root, project.home, lineage=project.lineage
        )


def test_an_adapter_of_another_base_is_not_made(project: Project, tiny_qwen3: Path) -> None:
    other = models.find(str(tiny_qwen3), project.home)
    with pytest.raises(AdapterError, match="another base"):
        replace(project, model=other).create()
    # Nor when the lineage claims it: the dimensions tell.
    claimed = replace(project.lineage, base=other.fingerprint)
    with pytest.raises(AdapterError, match="Use the base that the adapter was trained on"):
        replace(project, model=other, lineage=claimed).create()


# --- before serving -------------------------------------------------------


def test_a_generation_that_passed_is_admitted(project: Project) -> None:
    made = project.create()
    _write_parity(made, PASSED)
    assert adapters.admit(made.folder, project.serving) == made


def test_without_parity_a_generation_is_not_served(project: Project) -> None:
    made = project.create()
    with pytest.raises(ParityError, match="never compared"):
        adapters.admit(made.folder, project.serving)


@pytest.mark.parametrize("runtimes", [(), (PASSED, replace(PASSED, failures=("mean KL 0.4",)))])
def test_a_failed_parity_is_not_served(
    project: Project, runtimes: tuple[RuntimeParity, ...]
) -> None:
    made = project.create()
    _write_parity(made, *runtimes)
    with pytest.raises(ParityError, match=r"mean KL 0\.4|none asked"):
        adapters.admit(made.folder, project.serving)


def test_the_parity_of_another_generation_does_not_count(project: Project) -> None:
    first = project.create()
    _write_parity(first, PASSED)
    later = replace(project, lineage=replace(project.lineage, seed=4)).create()
    (later.folder / "parity.json").write_bytes((first.folder / "parity.json").read_bytes())
    with pytest.raises(ParityError, match="measured on other files"):
        adapters.admit(later.folder, project.serving)


def test_beside_another_base_a_generation_is_not_served(project: Project, tiny_qwen2: Path) -> None:
    made = project.create()
    _write_parity(made, PASSED)
    with pytest.raises(AdapterError, match="belongs to another base"):
        adapters.admit(
            made.folder, _Serving(models.find(str(tiny_qwen2), project.home).fingerprint)
        )


def test_a_precision_that_was_not_compared_is_not_served(project: Project) -> None:
    made = project.create()
    _write_parity(made, PASSED)
    with pytest.raises(ParityError, match=r"never compared in onnx int4.*onnx fp32"):
        adapters.admit(made.folder, replace(project.serving, precision="int4"))


def test_a_changed_file_is_not_served(project: Project) -> None:
    made = project.create()
    _write_parity(made, PASSED)
    made.gguf.write_bytes(made.gguf.read_bytes() + b"!")
    with pytest.raises(AdapterError, match=r"adapter\.gguf changed"):
        adapters.admit(made.folder, project.serving)


# --- verify ---------------------------------------------------------------


@pytest.fixture
def made(project: Project) -> Generation:
    made = project.create()
    _write_parity(made, PASSED)
    return made


def test_verify_checks_every_link(project: Project, made: Generation) -> None:
    links = adapters.verify(made.folder, project.root, project.home)
    assert links == (
        *("files", "parity", "base", "tokenizer", "dataset", "token ids"),
        *("ratings", "traces", "lock file", "code"),
    )


def test_a_journal_that_grew_is_no_broken_link(project: Project, made: Generation) -> None:
    with open(project.root / "datasets" / "ratings.jsonl", "a") as journal:
        journal.write('{"two": 2}\n')
    adapters.verify(made.folder, project.root, project.home)


@pytest.mark.parametrize(
    ("file", "link"),
    [
        ("datasets/ratings.jsonl", "ratings"),
        ("datasets/traces.jsonl", "traces"),
        ("datasets/demo/*/train.jsonl", "dataset"),
        ("constraints.txt", "lock file"),
        ("adapters/short/*/adapter.onnx_adapter", "files"),
    ],
)
@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_verify_names_the_first_link_that_broke(
    project: Project, made: Generation, file: str, link: str, harm: str
) -> None:
    [path] = project.root.glob(file)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"X" + path.read_bytes()[1:])
    with pytest.raises(AdapterError, match=f"'{link}' is broken"):
        adapters.verify(made.folder, project.root, project.home)


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        ({"base_source": "/nowhere/model"}, "base"),
        ({"tokenizer": "0" * 64}, "tokenizer"),
        ({"token_ids": "0" * 64}, "token ids"),
        ({"max_length": 5}, "token ids"),
        ({"code": "0" * 64}, "code"),
    ],
)
def test_verify_finds_a_lineage_that_does_not_hold(
    project: Project, changes: dict[str, object], link: str
) -> None:
    made = replace(project, lineage=replace(project.lineage, **changes)).create()
    _write_parity(made, PASSED)
    with pytest.raises(AdapterError, match=f"'{link}' is broken"):
        adapters.verify(made.folder, project.root, project.home)


def test_a_lineage_names_no_path_of_this_machine_within_the_project(project: Project) -> None:
    recorded = asdict(project.lineage)
    recorded.pop("base_source")
    assert str(project.root) not in json.dumps(recorded)


def test_a_missing_input_has_no_lineage(project: Project) -> None:
    with pytest.raises(InputError, match="Run the step that makes it"):
        adapters.take_lineage(
            project.model,
            root=project.root,
            home=project.home,
            dataset=project.root / "nowhere",
            token_ids="",
            options={"seed": 0, "max_length": 1},
        )


def test_a_folder_that_is_no_generation_is_an_adapter_error(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="holds no adapter generation"):
        adapters.open(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "x"}')
    with pytest.raises(AdapterError, match="damaged"):
        adapters.open(tmp_path)

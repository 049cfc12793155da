"""The environment is read once, in one table, and a bad value names its variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from the_edge_agent.errors import SettingInvalid
from the_edge_agent.settings import VARIABLES, load_settings

SOURCE = Path(__file__).resolve().parents[1] / "src" / "the_edge_agent"


def test_an_empty_environment_gives_the_defaults_under_home() -> None:
    settings = load_settings({"HOME": "/home/ada"})
    assert settings.data_dir == Path("/home/ada/.local/share/the-edge-agent")
    assert settings.models_dir == settings.data_dir / "models"
    assert settings.hf_hub_cache == Path("/home/ada/.cache/huggingface/hub")
    assert settings.model_path is None
    assert settings.offline is False


def test_xdg_and_tea_variables_move_the_folders() -> None:
    settings = load_settings(
        {"HOME": "/h", "XDG_DATA_HOME": "/data", "TEA_MODELS_DIR": "/m", "HF_HOME": "/hf"}
    )
    assert settings.data_dir == Path("/data/the-edge-agent")
    assert settings.models_dir == Path("/m")
    assert settings.hf_hub_cache == Path("/hf/hub")


def test_an_empty_variable_counts_as_absent() -> None:
    assert load_settings({"HOME": "/h", "TEA_MODEL_PATH": ""}).model_path is None


@pytest.mark.parametrize(
    ("name", "value"), [("TEA_OFFLINE", "maybe"), ("TEA_N_THREADS", "0"), ("TEA_N_THREADS", "two")]
)
def test_a_bad_value_is_an_error_that_names_the_variable_and_its_meaning(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=name) as caught:
        load_settings({"HOME": "/h", name: value})
    assert "it means:" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_home_is_no_reason_to_fail() -> None:
    assert load_settings({}).data_dir.is_absolute()


def test_only_variables_that_are_named_as_secrets_are_secrets() -> None:
    environ = {"HOME": "/h", "TEA_SECRET_TOKEN": "abc", "TEA_SECRET_EMPTY": "", "AWS_KEY": "private"}
    assert load_settings(environ).secrets == {"TOKEN": "abc"}


def test_no_other_module_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    ]
    # llama_cpp learns the libraries' folders from variables and from nothing else, so the bindings have to set them.
    bindings = {"llama/bindings.py", "llama/vision_bindings.py"}
    assert [name for name in readers if name not in bindings] == ["settings.py"]


def test_the_table_in_the_docs_is_the_table_in_the_code() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [f"| `{variable.name}` | {variable.help} |" for variable in VARIABLES.values()]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows

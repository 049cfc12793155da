"""Which file answers: the order of rules, and that no rule falls through to the next."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from the_edge_agent.errors import GgufInvalid, ModelNotFound
from the_edge_agent.gguf.types import ValueType
from the_edge_agent.store import locate
from the_edge_agent.store.hub_cache import HubCache
from the_edge_agent.store.locate import ModelQuery, locate_model
from the_edge_agent.testing.gguf_file import DEFAULT_METADATA, FakeGguf

COMMIT = "c0ffee0123456789c0ffee0123456789c0ffee01"


def model_bytes(name="pattern", **metadata):
    named = {**DEFAULT_METADATA, "general.name": (ValueType.STRING, name), **metadata}
    return FakeGguf(metadata=named).build()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder where every rule has a file of its own, and the embedded model is a small one."""
    for name in ("flag", "action", "environment", "settings", "embedded/tiny"):
        path = tmp_path / f"{name}.gguf"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model_bytes(name))
    (tmp_path / "app/usr/share/models").mkdir(parents=True)
    (tmp_path / "app/usr/share/models/bundled.gguf").write_bytes(model_bytes("bundled"))
    monkeypatch.setattr(locate, "EMBEDDED_DIR", tmp_path / "embedded")
    return tmp_path


@pytest.fixture
def full(place):
    return ModelQuery(
        store_dir=place / "store",
        hf_hub_dir=place / "hub",
        base_dir=place,
        gguf=str(place / "flag.gguf"),
        action_model_path="action.gguf",
        env_model_path=str(place / "environment.gguf"),
        settings_model_path="settings.gguf",
        appdir=str(place / "app"),
        environ={"HOME": str(place), "MODELS": str(place)},
    )


def put(root, repo, file, data, commit=COMMIT):
    cache, sha256 = HubCache(root), hashlib.sha256(data).hexdigest()
    blob = cache.blob(repo, sha256)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    return cache.link(repo, file, sha256=sha256, commit=commit)


def test_the_first_rule_that_speaks_decides(full):
    order = [
        ("gguf", "flag", locate.RULE_GGUF),
        ("action_model_path", "action", locate.RULE_ACTION_PATH),
        ("env_model_path", "environment", locate.RULE_ENVIRONMENT),
        ("settings_model_path", "settings", locate.RULE_SETTINGS_PATH),
        ("appdir", "bundled", locate.RULE_APPDIR),
        (None, "embedded/tiny", locate.RULE_EMBEDDED),
    ]
    query = full
    for field, expected, rule in order:
        found = locate_model(query)
        assert (found.header.name, found.rule) == (expected, rule)
        query = replace(query, **{field: None}) if field else query


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("gguf", "--gguf"),
        ("action_model_path", "the action's model_path"),
        ("env_model_path", "TEA_MODEL_PATH"),
        ("settings_model_path", "settings.llm.model_path"),
    ],
)
def test_a_named_file_that_is_missing_is_an_error_that_says_which_rule_named_it(full, field, rule):
    nothing = dict.fromkeys(("gguf", "action_model_path", "env_model_path", "settings_model_path"))
    with pytest.raises(ModelNotFound, match="there is no file") as caught:
        locate_model(replace(full, **{**nothing, field: "gone.gguf"}))
    assert caught.value.place == rule


def test_a_missing_file_is_answered_with_what_the_folder_holds(full):
    with pytest.raises(ModelNotFound, match=r"that folder holds action\.gguf, environment\.gguf"):
        locate_model(replace(full, gguf=None, action_model_path="acton.gguf"))


def test_a_relative_path_in_an_agent_file_starts_at_the_files_folder(full, place):
    (place / "agents").mkdir()
    found = locate_model(
        replace(full, gguf=None, action_model_path="../action.gguf", base_dir=place / "agents")
    )
    assert found.header.name == "action"


@pytest.mark.parametrize("text", ["~/action.gguf", "$MODELS/action.gguf", "${MODELS}/action.gguf"])
def test_home_and_variables_expand(full, text):
    assert locate_model(replace(full, gguf=text)).header.name == "action"


def test_a_variable_that_is_not_set_is_named(full):
    with pytest.raises(ModelNotFound, match=r"uses \$NOWHERE, which is not set"):
        locate_model(replace(full, gguf="$NOWHERE/action.gguf"))


def test_a_folder_is_no_model(full, place):
    with pytest.raises(ModelNotFound, match="is a folder"):
        locate_model(replace(full, gguf=str(place)))


def test_an_unsound_file_is_refused_before_anything_loads_it(full, place):
    (place / "flag.gguf").write_bytes(b"<html>")
    with pytest.raises(GgufInvalid, match="no GGUF file"):
        locate_model(full)


def test_an_appdir_with_several_models_asks_for_a_name(full, place):
    (place / "app/usr/share/models/other.gguf").write_bytes(model_bytes())
    bare = ModelQuery(store_dir=full.store_dir, hf_hub_dir=full.hf_hub_dir, appdir=full.appdir)
    with pytest.raises(ModelNotFound, match=r"several models: bundled\.gguf, other\.gguf"):
        locate_model(bare)


def test_an_appdir_without_models_leaves_the_embedded_one(full, place):
    (place / "app/usr/share/models/bundled.gguf").unlink()
    bare = ModelQuery(store_dir=full.store_dir, hf_hub_dir=full.hf_hub_dir, appdir=full.appdir)
    assert locate_model(bare).rule == locate.RULE_EMBEDDED


@pytest.mark.parametrize("cache", ["store", "hub"])
@pytest.mark.parametrize(
    "name",
    [
        "gemma-3-1b",
        "GEMMA3-1B",
        "hf:unsloth/gemma-3-1b-it-GGUF:Q8_0",
        "hf:unsloth/gemma-3-1b-it-GGUF",
        "hf:unsloth/gemma-3-1b-it-GGUF/gemma-3-1b-it-Q8_0.gguf",
    ],
)
def test_a_named_model_is_found_in_the_store_and_in_the_hugging_face_cache(full, place, cache, name):
    put(place / cache, "unsloth/gemma-3-1b-it-GGUF", "gemma-3-1b-it-Q8_0.gguf", model_bytes("gemma"))
    found = locate_model(ModelQuery(store_dir=full.store_dir, hf_hub_dir=full.hf_hub_dir, model_name=name))
    assert found.header.name == "gemma"


def test_the_store_comes_before_the_hugging_face_cache(full, place):
    for cache in ("store", "hub"):
        put(place / cache, "unsloth/gemma-3-1b-it-GGUF", "gemma-3-1b-it-Q8_0.gguf", model_bytes(cache))
    query = ModelQuery(store_dir=full.store_dir, hf_hub_dir=full.hf_hub_dir, model_name="gemma-3-1b")
    assert locate_model(query).header.name == "store"


def test_a_named_model_is_found_in_the_appimage_by_its_file(full, place):
    (place / "app/usr/share/models/gemma-3-1b-it-Q8_0.gguf").write_bytes(model_bytes("bundled gemma"))
    query = replace(full, gguf=None, action_model_path=None, model_name="gemma-3-1b")
    assert locate_model(query).header.name == "bundled gemma"


def test_a_named_model_that_is_absent_is_never_replaced_by_the_tiny_one(full):
    query = replace(full, gguf=None, action_model_path=None, model_name="mistral-7b")
    with pytest.raises(ModelNotFound, match="`tea models pull mistral-7b` fetches it") as caught:
        locate_model(query)
    assert caught.value.place == locate.RULE_ACTION_NAME


def test_an_unknown_name_is_answered_with_the_nearest(full):
    with pytest.raises(ModelNotFound, match="did you mean 'mistral-7b'"):
        locate_model(replace(full, gguf=None, action_model_path=None, model_name="mistrall-7b"))


def test_the_name_tiny_is_the_embedded_model(full):
    query = replace(full, gguf=None, action_model_path=None, model_name="tiny")
    assert locate_model(query).header.name == "embedded/tiny"


def test_a_half_fetched_model_in_the_hugging_face_cache_is_not_found(full, place):
    path = put(place / "hub", "unsloth/gemma-3-1b-it-GGUF", "gemma-3-1b-it-Q8_0.gguf", model_bytes())
    path.resolve().rename(path.resolve().with_suffix(".incomplete"))
    with pytest.raises(ModelNotFound):
        locate_model(
            ModelQuery(store_dir=full.store_dir, hf_hub_dir=full.hf_hub_dir, model_name="gemma-3-1b")
        )


def split(folder, count=3, lie=None):
    for number in range(count):
        parts = {"split.count": (ValueType.UINT16, count), "split.no": (ValueType.UINT16, number)}
        if number == lie:
            parts["split.no"] = (ValueType.UINT16, 0)
        name = f"m-{number + 1:05d}-of-{count:05d}.gguf"
        (folder / name).write_bytes(model_bytes(name, **parts))


def test_a_split_model_is_found_whole_by_its_first_part(full, place):
    split(place)
    found = locate_model(replace(full, gguf=str(place / "m-00001-of-00003.gguf")))
    assert [path.name for path in found.shards] == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]


def test_a_split_model_lacking_a_part_is_an_error_that_names_it(full, place):
    split(place)
    (place / "m-00002-of-00003.gguf").unlink()
    with pytest.raises(ModelNotFound, match=r"m-00002-of-00003\.gguf are missing"):
        locate_model(replace(full, gguf=str(place / "m-00001-of-00003.gguf")))


def test_a_later_part_of_a_split_model_is_no_model(full, place):
    split(place)
    with pytest.raises(ModelNotFound, match="part 2 of 3"):
        locate_model(replace(full, gguf=str(place / "m-00002-of-00003.gguf")))


def test_a_part_in_the_wrong_place_is_refused(full, place):
    split(place, lie=2)
    with pytest.raises(GgufInvalid, match="it is not part 3 of 3"):
        locate_model(replace(full, gguf=str(place / "m-00001-of-00003.gguf")))

"""The daemon's configuration: what is read, what is refused, and the schema that says the same."""

import contextlib
import json

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.errors import ConfigInvalid
from the_edge_agent.runtime.config import (
    RuntimeConfig,
    config_schema,
    is_model_name,
    load_config,
    parse_config,
)


def test_no_file_at_all_is_loopback_on_the_usual_ports():
    config = parse_config("")
    assert config == RuntimeConfig()
    assert (config.http.host, config.http.port, config.grpc.port) == ("127.0.0.1", 11435, 50051)


def test_a_full_file_is_read():
    config = parse_config(
        """
        models:
          tiny: {level: operational}
          big: {path: ~/big.gguf, n_gpu_layers: -1, keep_alive_s: null}
        limits: {queue_size: 3}
        gateway:
          providers: {api: {base_url: "https://api.example.com/v1", model: m, api_key_env: KEY}}
          budget_usd: 5
        """
    )
    assert list(config.models) == ["tiny", "big"]
    assert config.models["big"].keep_alive_s is None
    assert config.limits.queue_size == 3
    assert config.gateway.providers["api"].model == "m"
    assert isinstance(config.gateway.budget_usd, float)


def test_every_mistake_is_reported_in_one_go_with_its_key():
    with pytest.raises(ConfigInvalid) as caught:
        parse_config("modles: {}\nhttp: {port: 70000}\nlimits: {queue_size: many}\n", place="r.yaml")
    text = str(caught.value)
    assert "unknown key 'modles'" in text
    assert "r.yaml: http.port: is 70000; give a whole number from 0 to 65535" in text
    assert "r.yaml: limits.queue_size: is 'many'; give a whole number" in text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[1]", "must be a mapping"),
        ("a: [", "not YAML"),
        ("models: {a: &x {}, b: *x}", "aliases are not allowed"),
        ("models: {../etc: {}}", "is no model's name"),
        ("models: {a: {level: strategic}}", "can't be strategic"),
        ("allowed_origins: ['*']", "every web page"),
        ("gateway: {providers: {x: {base_url: 'file:///etc', model: m}}}", "http or https"),
        ("gateway: {providers: {x: {model: m}}}", "is missing"),
        ("models: {x: {}}\ngateway: {providers: {x: {base_url: 'http://a', model: m}}}", "taken by a model"),
        ("limits: {deadline_s: .nan}", "give a number"),
        ("models: {a: {worker: llama-server, projector: p.gguf}}", "llama-server worker doesn't take it"),
        ("models: {a: {kv_type: q3}}", "give one of f32"),
        ("models: {a: {lora: {a.gguf: strong}}}", "give a number"),
        ("offline: 1", "give true or false"),
        (
            "models: {a: {worker: llama-server, flash_attention: false}}",
            "llama-server worker doesn't take it",
        ),
        ("models: {a: {lora: {a.gguf: .inf}}}", r"a\.gguf: is inf; give a number"),
        ("workers: {failed_retry_s: .inf}", "is inf; give a number from 0"),
        ("limits: {queue_size: 1" + "0" * 400 + "}", "give a whole number from 1 to 1e"),
        ("limits: {queue_size: 1" + "0" * 5000 + "}", "not YAML"),
        ("models: 2026-13-40", "not YAML: month must be"),
        ('socket: "a\\0b"', "without NUL"),
        ("models: {tiny: {}, tiny: {level: operational}}", r"yaml:1: the key 'tiny' is given twice"),
        ("limits: {queue_size: 1}\nlimits: {}", r"yaml:2: the key 'limits' is given twice"),
        ("http: {port: true}", "give a whole number"),
        ("#" + "x" * 1_000_001, "larger than"),
    ],
)
def test_what_can_not_be_used_is_refused_with_the_reason(text, what):
    with pytest.raises(ConfigInvalid, match="(?s)" + what):
        parse_config(text)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigInvalid, match=r"gone\.yaml: can't be read: No such file"):
        load_config(tmp_path / "gone.yaml")


def test_the_schema_is_valid_and_agrees_with_the_parser():
    schema = json.loads(json.dumps(config_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in (
        "{}",
        "models: {a: {n_ctx: 4096}}",
        "models: {a: {kv_type: null, lora: {a: 1}}}",
        "grpc: {enabled: false}",
    ):
        assert validator.is_valid(yaml.safe_load(text))
        parse_config(text)
    for text in ("x: 1", "models: {a: {n_ctx: 1}}", "http: {port: -1}", "gateway: {providers: {a: {}}}"):
        assert not validator.is_valid(yaml.safe_load(text))
        with pytest.raises(ConfigInvalid):
            parse_config(text)


def test_every_key_says_what_it_means():
    def walk(schema):
        assert schema.get("description")
        for inner in schema.get("properties", {}).values():
            walk(inner)

    walk(config_schema())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["models", "http", "limits", "a", "port", "path", "gateway", "providers"]), x
            )
        ),
    )
)
def test_any_tree_is_read_or_refused_with_a_reason(tree):
    with contextlib.suppress(ConfigInvalid):
        assert isinstance(parse_config(yaml.safe_dump(tree)), RuntimeConfig)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a..b", "-m", "a b", "a\x00", "x" * 65, "é", "$HOME"])
def test_names_that_could_be_a_path_or_an_option_are_no_model_names(name):
    assert not is_model_name(name)

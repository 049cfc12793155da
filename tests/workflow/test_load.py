"""Loading an agent file: what it may hold, and every way it is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from the_edge_agent.errors import WorkflowInvalid
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.load import load_workflow, parse_workflow
from the_edge_agent.workflow.nodes import (
    ActionCall,
    DynamicParallel,
    Empty,
    ExpressionBody,
    InlineCode,
    Retry,
    Settings,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)
from the_edge_agent.workflow.signatures import Param, Signature
from the_edge_agent.workflow.tree import Constant, render_tree

ONE = "nodes:\n  - name: a\n"


def load(text: str, **more: object) -> Workflow:
    return parse_workflow(text, file="a.yaml", **more)  # type: ignore[arg-type]


def problems(text: str, **more: object) -> list[str]:
    with pytest.raises(WorkflowInvalid) as caught:
        load(text, **more)
    return [str(problem) for problem in caught.value.problems]


def refused(text: str, said: str, **more: object) -> None:
    found = problems(text, **more)
    assert any(said in problem for problem in found), found


def node(text: str) -> str:
    """A file with one node, whose keys are ``text``."""
    return "nodes:\n  - name: a\n" + "".join(f"    {line}\n" for line in text.splitlines())


# --- what it may hold -------------------------------------------------------------------------------------------------


def test_every_top_level_key_is_read() -> None:
    workflow = load(
        """\
name: agent
description: Does things
version: 1.10
variables: {a: [1, {b: null}]}
input_schema: {q: {type: string, required: true}, n: integer}
state_schema: {log: {type: array, reducer: append, default: []}}
initial_state: {x: 1}
output_schema: {answer: string}
settings:
  llm: {backend: local, model: m, model_path: m.gguf, n_ctx: 1024, n_threads: 2, n_gpu_layers: -1, chat_format: chatml,
        deterministic: false, kv_type: q8_0, flash_attention: true, use_mmap: true, repack: false, draft_tokens: 4,
        draft_model: small.gguf, projector: mmproj.gguf, lora: [{path: a.gguf}, {path: b.gguf, scale: 0.5}],
        api: {base_url: "https://x/v1", model: y, key_env: KEY}, fallback: api}
  max_steps: 7
  parallel: {max_concurrency: 3, fail_fast: false}
  permissions: {net: [example.com], files: [data], code: true, tools: ["*"]}
  error_handling: {on_error: continue, retry: {max_attempts: 3, backoff_s: 0.5, max_backoff_s: 2, on: [RateLimited]}}
  checkpoint: {sync: full}
nodes:
  - name: a
  - name: b
edges: [{from: a, to: b}]
config: {raise_exceptions: true, interrupt_before: [a], interrupt_after: b}
"""
    )
    assert (workflow.name, workflow.description, workflow.version) == ("agent", "Does things", "1.10")
    assert workflow.variables == {"a": [1, {"b": None}]}
    assert workflow.input_schema["q"].required
    assert workflow.input_schema["n"].type == "integer"
    assert workflow.reducers == {"log": "append"}
    assert workflow.initial_state == {"log": [], "x": 1}
    assert list(workflow.output_schema) == ["answer"]
    settings = workflow.settings
    assert (settings.llm.backend, settings.llm.n_gpu_layers, settings.llm.api.key_env) == ("local", -1, "KEY")
    assert (settings.llm.kv_type, settings.llm.draft_tokens, settings.llm.repack) == ("q8_0", 4, False)
    assert (settings.llm.draft_model, settings.llm.projector) == ("small.gguf", "mmproj.gguf")
    assert settings.llm.lora == (("a.gguf", 1.0), ("b.gguf", 0.5))
    assert (settings.max_steps, settings.max_concurrency, settings.fail_fast) == (7, 3, False)
    assert settings.permissions.net == {"example.com"}
    assert settings.permissions.files == ("data",)
    assert settings.on_error == "continue"
    assert settings.retry == Retry(3, 0.5, 2.0, ("RateLimited",))
    assert settings.checkpoint_sync == "full"
    assert workflow.edges[0].to == ("b",)
    assert workflow.config.interrupt_before == {"a"}
    assert workflow.config.interrupt_after == {"b"}
    assert workflow.config.raise_exceptions


def test_a_file_needs_nothing_but_nodes() -> None:
    workflow = load(ONE)
    assert workflow.settings == Settings()
    assert workflow.nodes[0].body == Empty()
    assert workflow.name == "a"


def test_the_places_of_nodes_are_those_of_the_file() -> None:
    assert str(load(ONE).nodes[0].place) == "a.yaml:2:5"


def test_an_action_gets_its_templated_parameters() -> None:
    body = (
        load(node('uses: llm.call\nwith: {prompt: "{{ state.q }}", max_tokens: 5}\noutput: x')).nodes[0].body
    )
    assert isinstance(body, ActionCall)
    assert body.uses == "llm.call"
    assert render_tree(body.params, {"state": {"q": "hi"}}) == {"prompt": "hi", "max_tokens": 5}


def test_the_template_of_template_render_arrives_unrendered() -> None:
    body = load(node('uses: template.render\nwith: {template: "{{ anything | upper }}"}')).nodes[0].body
    assert isinstance(body, ActionCall)
    assert render_tree(body.params, {}) == {"template": "{{ anything | upper }}"}


def test_every_kind_of_node_is_read() -> None:
    workflow = load(
        """\
nodes:
  - {name: steps, steps: [{run: {type: expression, value: "1", output_key: x}}, {name: named, steps: [{}]}]}
  - {name: code, run: "return {}"}
  - {name: loop, type: while_loop, condition: state.n < 3, max_iterations: 5, body: [{}]}
  - {name: each, type: dynamic_parallel, items: state.l, item_var: it, index_var: i, max_concurrency: 2, fail_fast: false,
     action: {uses: template.render, with: {template: x}}, output: all}
  - {name: each_steps, type: dynamic_parallel, items: [1, 2], steps: [{when: index == 1}]}
""",
        allow_code=True,
    )
    steps, code, loop, each, each_steps = (entry.body for entry in workflow.nodes)
    assert isinstance(steps, Steps)
    assert [step.name for step in steps.steps] == ["step_1", "named"]
    assert isinstance(steps.steps[0].body, ExpressionBody)
    assert code == InlineCode("return {}")
    assert isinstance(loop, WhileLoop)
    assert loop.max_iterations == 5
    assert isinstance(each, DynamicParallel)
    assert (each.item_var, each.index_var, each.max_concurrency, each.fail_fast) == ("it", "i", 2, False)
    assert isinstance(each.body[0].body, ActionCall)
    assert isinstance(each_steps, DynamicParallel)
    assert each_steps.items.evaluate({}) == [1, 2]


def test_the_common_keys_of_nodes_are_read() -> None:
    loaded = load(
        node(
            'uses: llm.call\nwith: {prompt: hi}\noutputs: {t: "{{ result.content }}"}\nwhen: "{{ state.x }}"\n'
            "retry: {max_attempts: 2, on: [RateLimited]}\ntimeout_s: 1.5\non_error: {fallback: {content: sorry}}\n"
            "cache: {ttl_s: 60}\nstream: true\ngoto: [{if: state.x > 1, to: a}, {to: __end__}]"
        )
    ).nodes[0]
    assert loaded.outputs["t"].render({"result": {"content": "c"}}) == "c"
    assert loaded.when is not None
    assert loaded.when.evaluate({"state": {"x": 1}}) == 1
    assert loaded.retry == Retry(2, on=("RateLimited",))
    assert (loaded.timeout_s, loaded.cache_ttl_s, loaded.stream) == (1.5, 60, True)
    assert loaded.on_error is not None
    assert isinstance(loaded.on_error.fallback, Constant)
    assert [(jump.to, jump.condition is None) for jump in loaded.goto] == [("a", False), ("__end__", True)]


def test_settings_retry_is_for_nodes_that_say_nothing_themselves() -> None:
    text = "settings: {error_handling: {retry: {max_attempts: 4}}}\nnodes:\n"
    text += "  - {name: a, run: {type: expression, value: '1', output_key: x}}\n"
    text += "  - {name: b, run: {type: expression, value: '1', output_key: x}, retry: {max_attempts: 1}}\n"
    text += "  - {name: c, steps: [{run: {type: expression, value: '1', output_key: x}}]}\n"
    a, b, c = load(text).nodes
    assert a.retry.max_attempts == 4
    assert b.retry.max_attempts == 1
    assert b.retry != Retry()
    assert c.retry.max_attempts == 1
    assert isinstance(c.body, Steps)
    assert c.body.steps[0].retry.max_attempts == 4


def test_output_on_the_node_may_name_what_a_run_expression_writes() -> None:
    loaded = load(node("run: {type: expression, value: '1'}\noutput: x")).nodes[0]
    assert loaded.body == ExpressionBody(loaded.body.value, "x")  # type: ignore[union-attr]
    assert loaded.output is None


def test_actions_of_the_caller_are_known_when_handed_over() -> None:
    mine = Signature("mine.act", "Acts", (Param("n", ("integer",), "N", required=True),))
    text = node("uses: mine.act\nwith: {n: 1}")
    assert load(text, actions={**BUILTIN, "mine.act": mine}).nodes[0].body.uses == "mine.act"  # type: ignore[union-attr]
    refused(text, "unknown action 'mine.act'")


# --- what it may not hold ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nmae: x\n" + ONE, "a.yaml:1:1: unknown key 'nmae'; did you mean 'name'? allowed here: name, description,"),
        (node("us: llm.call"), "a.yaml:3:5: unknown key 'us'; did you mean 'uses'? allowed here: name, uses,"),
        ("settings: {lm: {}}\n" + ONE, "a.yaml:1:12: unknown key 'lm'; did you mean 'llm'?"),
        ("settings: {llm: {n_ctxt: 1}}\n" + ONE, "unknown key 'n_ctxt'; did you mean 'n_ctx'?"),
        ("settings: {llm: {api: {key: x}}}\n" + ONE, "unknown key 'key'; did you mean 'key_env'?"),
        ("input_schema: {q: {typ: string}}\n" + ONE, "unknown key 'typ'; did you mean 'type'?"),
        (node("retry: {attempts: 2}\nuses: llm.call\nwith: {prompt: x}"), "unknown key 'attempts'; did you mean 'max_attempts'?"),
        (node("goto: [{when: x, to: a}]"), "unknown key 'when'"),
        (ONE + "edges: [{from: a, too: a}]", "unknown key 'too'; did you mean 'to'?"),
        ("config: {interupt_before: [a]}\n" + ONE, "unknown key 'interupt_before'; did you mean 'interrupt_before'?"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_and_lists_the_allowed_ones(text: str, said: str) -> None:
    refused(text, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (node("uses: llm.cal\nwith: {prompt: x}"), "a.yaml:3:11: unknown action 'llm.cal'; did you mean 'llm.call'?"),
        (node("uses: llm.call\nwith: {promt: x}"), "a.yaml:4:12: llm.call has no parameter 'promt'; did you mean 'prompt'?"),
        (node("uses: llm.call"), "llm.call needs messages or prompt"),
        (node("uses: http.get\nwith: {}"), "http.get needs 'url'"),
        (node("uses: llm.call\nwith: {prompt: 3}"), "'prompt' of llm.call is '3'; give text"),
        (node("uses: llm.call\nwith: {prompt: x, max_tokens: many}"), "'max_tokens' of llm.call is 'many'; give a whole number"),
        (node("uses: llm.call\nwith: {prompt: x, max_tokens: 0}"), "'max_tokens' of llm.call is 0; give 1 or more"),
        (node("uses: llm.call\nwith: {prompt: x, level: tactic}"), "did you mean 'tactical'?"),
        (node("uses: llm.call\nwith: {prompt: x, stop: {a: 1}}"), "'stop' of llm.call is an object; give text or a list"),
        (node('uses: llm.call\nwith: {messages: "x {{ state.y }}"}'), "'messages' of llm.call is"),
        (node("uses: template.render\nwith: {template: '{% if %}'}"), "a.yaml:4:22: "),
        (node("uses: json.transform\nwith: {data: 1, expression: 'data +'}"), "a.yaml:4:33: "),
        (node("uses: llm.tools\nwith: {prompt: x, tools: [{name: t, uses: jsn.parse}]}"), "unknown action 'jsn.parse'"),
        (node("with: {a: 1}"), "'with' can't stand in a node that does nothing but route"),
        (node("uses: llm.call\nwith: [1]"), "'with' is a list; give an object of parameters"),
    ],
)  # fmt: skip
def test_an_action_call_is_checked_against_its_signature(text: str, said: str) -> None:
    refused(text, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "the file is a list; give an object"),
        ("", "a.yaml:1:1: the file is empty"),
        ("name: x\n", "the file has no 'nodes'"),
        ("nodes: []\n", "there are no nodes"),
        ("nodes: {a: 1}\n", "'nodes' is an object; give a list"),
        ("nodes: [a]\n", "the node is 'a'; give an object"),
        ("nodes: [{uses: llm.call}]\n", "the node has no 'name'"),
        (ONE + "  - name: a\n", "a.yaml:3:5: two nodes are called 'a', the first in line 2"),
        ("nodes: [{name: __start__}]", "the name '__start__' is reserved"),
        ("nodes: [{name: __mine}]", "is reserved"),
        ("nodes: [{name: 'a/b'}]", "'a/b' is no name"),
        ("nodes: [{name: ''}]", "'' is no name"),
        ("nodes: [{name: {a: 1}}]", "'name' is an object; give text"),
        (node("output: 3\nuses: llm.call\nwith: {prompt: x}"), "'output' is '3'; give a name"),
        (node("output: a.b\nuses: llm.call\nwith: {prompt: x}"), "'output' is 'a.b'; use letters"),
        (node("output: x\noutputs: {y: 1}\nuses: llm.call\nwith: {prompt: x}"), "the node has output and outputs"),
        (node("output: x"), "'output' has no effect in 'a', which does nothing"),
        (node("uses: llm.call\nwith: {prompt: x}\nsteps: [{}]"), "'steps' can't stand in a node with `uses`"),
        (node("uses: llm.call\nwith: {prompt: x}\nrun: {type: expression, value: '1'}"), "'run' can't stand"),
        (node("type: loop"), "'type' is 'loop'; choose one of: while_loop, dynamic_parallel"),
        (node("type: while_loop"), "the while_loop has no 'condition'"),
        (node("type: while_loop\ncondition: x"), "the while_loop has no 'body'"),
        (node("type: while_loop\ncondition: 'true'\nbody: []"), "'body' is empty"),
        (node("type: while_loop\ncondition: 'true'\nmax_iterations: 1001\nbody: [{}]"), "'max_iterations' is 1001; give a number from 1 to 1000"),
        (node("type: while_loop\ncondition: 'true'\nmax_iterations: 0\nbody: [{}]"), "'max_iterations' is 0"),
        (node("type: dynamic_parallel\nitems: [1]"), "the dynamic_parallel has nothing to do; give one: action, steps or subgraph"),
        (node("type: dynamic_parallel\nitems: [1]\nsteps: [{}]\naction: {uses: llm.call, with: {prompt: x}}"), "has action and steps"),
        (node("type: dynamic_parallel\nsteps: [{}]"), "the dynamic_parallel has no 'items'"),
        (node("type: dynamic_parallel\nitems: [1]\nsteps: [{}]\nitem_var: state"), "the name 'state' is taken"),
        (node("type: dynamic_parallel\nitems: [1]\nsteps: [{}]\nitem_var: index"), "the item and its index have one name"),
        (node("type: dynamic_parallel\nitems: [1]\nsteps: [{}]\ncondition: x"), "'condition' can't stand in a node of type dynamic_parallel"),
        (node("run: {type: expression, value: '1'}"), "nothing takes the value; add output_key: NAME"),
        (node("run: {type: python, value: '1', output_key: x}"), "'type' is 'python'"),
        (node("run: {type: expression, value: '1 +', output_key: x}"), "a.yaml:3:36: "),
        (node("steps: [{goto: a}]"), "unknown key 'goto'"),
        (node("steps: [{name: x}, {name: x}]"), "two steps are called 'x'"),
        (node("retry: {on: [RateLimit]}\nuses: llm.call\nwith: {prompt: x}"), "unknown error 'RateLimit'; did you mean 'RateLimited'?"),
        (node("timeout_s: -1\nuses: llm.call\nwith: {prompt: x}"), "'timeout_s' is -1; give 0 or more"),
        (node("timeout_s: soon\nuses: llm.call\nwith: {prompt: x}"), "'timeout_s' is 'soon'; give a number"),
        (node("on_error: {}\nuses: llm.call\nwith: {prompt: x}"), "on_error needs one of goto and fallback"),
        (node("on_error: {goto: a, fallback: 1}\nuses: llm.call\nwith: {prompt: x}"), "on_error needs one of"),
        (node("cache: {}\nuses: llm.call\nwith: {prompt: x}"), "`cache` has no 'ttl_s'"),
        (node("fan_in: yes"), "'fan_in' is 'yes'; give true or false"),
        (node("goto: [{to: __end__}, {if: state.x, to: a}]"), "this is never reached"),
        (node("goto: []"), "'goto' is empty"),
        (node("when: [1]"), "an expression is a list"),
        ("settings: {max_steps: 0}\n" + ONE, "'max_steps' is 0"),
        ("settings: {llm: {backend: cloud}}\n" + ONE, "'backend' is 'cloud'; choose one of: local, runtime, api, auto"),
        ("settings: {llm: {api: {base_url: 'ftp://x'}}}\n" + ONE, "'base_url' is 'ftp://x'; begin it with https://"),
        ("settings: {llm: {api: {key_env: sk-12}}}\n" + ONE, "the key itself never stands in the file"),
        ("settings: {checkpoint: {sync: off}}\n" + ONE, "'sync' is 'off'; choose one of: normal, full"),
        ("settings:\n" + ONE, "'settings' is empty; give an object"),
        ("config: {interrupt_before: [b]}\n" + ONE, "a.yaml:1:29: there is no node 'b'"),
        ("input_schema: {q: {type: str}}\n" + ONE, "'type' is 'str'; did you mean 'string'?"),
        ("input_schema: {q: {type: string, min: 3}}\n" + ONE, "'min' has no effect on the type string"),
        ("input_schema: {q: {type: integer, min: 3, max: 1}}\n" + ONE, "'min' is more than 'max'"),
        ("input_schema: {q: {type: string, pattern: '(?=a)'}}\n" + ONE, "the pattern can't be used: look-around"),
        ("input_schema: {q: {type: integer, default: x}}\n" + ONE, "the default is 'x'; give a whole number"),
        ("state_schema: {q: {type: array, required: true}}\n" + ONE, "unknown key 'required'"),
        ("state_schema: {q: {reducer: push}}\n" + ONE, "'reducer' is 'push'; choose one of: replace, append"),
        ("state_schema: {q: integer}\ninitial_state: {q: x}\n" + ONE, "initial_state.q is 'x'; give a whole number"),
        ("imports: {other: o.yaml}\n" + ONE, "the import 'other' is never used"),
        ("imports: [o.yaml]\n" + ONE, "'imports' is a list; give an object"),
        ("variables: [1]\n" + ONE, "'variables' is a list; give an object"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str, said: str) -> None:
    refused(text, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (node('uses: llm.call\nwith: {prompt: "{{ stat.x }}"}'), "a.yaml:4:20: unknown name 'stat'; did you mean 'state'?"),
        (node("when: item.x"), "unknown name 'item'; did you mean 'state.item'?"),
        (node("when: parallel_results"), "unknown name 'parallel_results'"),
        (node('uses: llm.call\nwith: {prompt: "{{ result.x }}"}'), "unknown name 'result'"),
        (node("type: dynamic_parallel\nitems: item\nsteps: [{}]"), "unknown name 'item'"),
        (node("uses: llm.call\nwith:\n  prompt: |\n    one\n    {{ state.x | nofilter }}"), "a.yaml:7:1: unknown filter 'nofilter'"),
        (node("uses: llm.call\nwith:\n  prompt: |\n    one\n    two\n    {% for %}"), "a.yaml:8:1: "),
        (ONE + "edges: [{from: a, to: __end__, when: 'x y'}]", "a.yaml:3:38: "),
    ],
)  # fmt: skip
def test_templates_are_parsed_at_load_with_the_names_they_may_use(text: str, said: str) -> None:
    refused(text, said)


def test_names_are_known_where_they_mean_something() -> None:
    load(
        """\
nodes:
  - name: fork
  - {name: x, run: {type: expression, value: "1", output_key: x}}
  - {name: y, run: {type: expression, value: "1", output_key: y}}
  - name: join
    fan_in: true
    when: parallel_results | length
    steps: [{run: {type: expression, value: "parallel_results[0].node", output_key: z}}]
  - name: each
    type: dynamic_parallel
    items: state.l
    item_var: it
    steps:
      - type: dynamic_parallel
        items: it.parts
        item_var: part
        index_var: part_index
        action: {uses: template.render, with: {template: "x", values: {a: "{{ it }}{{ index }}{{ part }}{{ part_index }}"}}}
edges: [{from: fork, to: [x, y], parallel: true}]
"""
    )


def test_all_problems_of_a_file_are_told_in_one_go_in_the_order_of_the_file() -> None:
    found = problems(
        "nme: x\nvariables: 3\nnodes:\n"
        "  - {name: a, uses: llm.cal, output: 'x y', when: 'b +', timeout_s: soon, goto: c}\n"
        "  - {name: b, type: while_loop}\n"
    )
    assert len(found) == 9
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)


def test_a_file_full_of_mistakes_tells_a_bearable_number_of_them() -> None:
    assert len(problems("nodes: [" + "{bad: 1}," * 1000 + "]")) == 50


def test_every_message_says_where_what_and_what_to_do() -> None:
    for problem in problems("nme: x\nnodes:\n  - {name: a, uses: llm.cal, goto: c, when: 'b +'}\n"):
        place, _, rest = problem.partition(": ")
        assert place.startswith("a.yaml:")
        assert "; " in rest


# --- code -------------------------------------------------------------------------------------------------------------


def test_inline_code_is_refused_unless_the_caller_allows_it() -> None:
    text = node("run: |\n  return {'x': 1}")
    refused(
        text, "a.yaml:3:10: the node 'a' holds Python code, and code isn't allowed; allow it (--allow-code"
    )
    assert isinstance(load(text, allow_code=True).nodes[0].body, InlineCode)


def test_a_file_never_grants_itself_code() -> None:
    refused("settings: {permissions: {code: true}}\n" + node("run: return {}"), "holds Python code")


def test_code_that_is_no_python_is_refused_with_its_line() -> None:
    refused(node("run: |\n  x = 1\n  return {"), "a.yaml:5:1: this isn't Python", allow_code=True)


# --- other files ------------------------------------------------------------------------------------------------------


def test_a_subgraph_is_loaded_with_the_file_that_names_it() -> None:
    files = {"lib/other.yaml": "name: other\n" + ONE}
    text = "imports: {o: lib/other.yaml}\n" + node('subgraph: o\ninput: {q: "{{ state.q }}"}\noutput: r')
    workflow = load(text, read_import=files.__getitem__)
    body = workflow.nodes[0].body
    assert isinstance(body, Subgraph)
    assert body.workflow.name == "other"
    assert body.workflow.file == "lib/other.yaml"
    assert render_tree(body.input, {"state": {"q": 1}}) == {"q": 1}


def test_the_digest_changes_with_the_file_and_with_what_it_imports() -> None:
    text = node("subgraph: o.yaml")
    first = load(text, read_import=lambda _path: ONE)
    assert first.digest == load(text, read_import=lambda _path: ONE).digest
    assert first.digest != load(text, read_import=lambda _path: ONE + "\n").digest
    assert first.digest != load(text + "\n", read_import=lambda _path: ONE).digest


def test_problems_of_an_imported_file_have_its_name() -> None:
    refused(node("subgraph: o.yaml"), "o.yaml:1:1: unknown key 'x'", read_import=lambda _path: "x: 1\n" + ONE)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../up.yaml", "a/../../up.yaml", "C:x.yaml", "\\\\host\\x", "http://x/y"]
)
def test_an_import_never_leads_out_of_the_folder(path: str) -> None:
    refused(node(f"subgraph: '{path}'"), "leads out of the folder", read_import=lambda _path: ONE)


def test_imports_in_a_circle_are_refused() -> None:
    files = {"b.yaml": node("subgraph: c.yaml"), "c.yaml": node("subgraph: b.yaml")}
    refused(node("subgraph: b.yaml"), "imports itself in a circle", read_import=files.__getitem__)
    refused(node("subgraph: a.yaml"), "imports itself in a circle", read_import=lambda _path: ONE)


def test_an_import_that_is_not_there_is_refused_at_its_place() -> None:
    files: dict[str, str] = {}
    refused(node("subgraph: b.yaml"), "a.yaml:3:15: 'b.yaml' can't be read", read_import=files.__getitem__)
    refused(node("subgraph: b.yaml"), "load the workflow from a file")


def test_a_workflow_and_its_imports_are_loaded_from_disk(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(node("subgraph: inner/other.yaml"))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "other.yaml").write_text(node("subgraph: third.yaml"))
    (tmp_path / "inner" / "third.yaml").write_text("name: third\n" + ONE)
    workflow = Workflow.load(tmp_path / "main.yaml")
    assert workflow.name == "main"
    other = workflow.nodes[0].body
    assert isinstance(other, Subgraph)
    third = other.workflow.nodes[0].body
    assert isinstance(third, Subgraph)
    assert third.workflow.name == "third"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out.yaml").write_text(ONE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "main.yaml").write_text(node("subgraph: link.yaml"))
    (tmp_path / "in" / "link.yaml").symlink_to(tmp_path / "out.yaml")
    with pytest.raises(WorkflowInvalid, match="leads out of the folder"):
        load_workflow(tmp_path / "in" / "main.yaml")


def test_a_file_that_is_not_there_or_no_file_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(WorkflowInvalid, match=f"{path}: the file can't be read"):
            load_workflow(path)


def test_a_file_that_is_not_utf_8_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"name: x\nnodes: [\xff]\n")
    with pytest.raises(WorkflowInvalid, match=f"{path}:2:9: this isn't UTF-8"):
        load_workflow(path)


def test_parse_and_load_are_offered_by_the_workflow_itself() -> None:
    assert Workflow.parse(ONE).nodes[0].name == "a"
    with pytest.raises(WorkflowInvalid, match="<text>:1:1"):
        Workflow.parse("x: 1")

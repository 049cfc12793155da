"""Small agent files for the tests of the command line."""

from __future__ import annotations

CHAT = """\
name: small-chat
description: Answers a question.
input_schema:
  question: {type: string, required: true, description: what is asked}
nodes:
  - name: answer
    uses: llm.chat
    with: {prompt: "{{ state.question }}", max_tokens: 32}
    outputs: {answer: "{{ result.content }}"}
"""

#: Needs no model.
COUNT = """\
name: count
nodes:
  - name: one
    run: {type: expression, value: "1 + (state.start or 0)", output_key: first}
  - name: two
    run: {type: expression, value: "state.first + 1", output_key: answer}
"""

STATE = """\
name: state
nodes:
  - name: make
    run: {type: expression, value: "{'text': 'two\\nlines é', 'list': [1, 2.5, none, true]}", output_key: made}
"""

ASK = """\
name: approval
nodes:
  - name: draft
    run: {type: expression, value: "'a draft'", output_key: draft}
  - name: approve
    uses: human.ask
    with: {prompt: "Publish this?", kind: choice, choices: [publish, discard], context: "{{ state.draft }}"}
    output: decision
  - name: done
    run: {type: expression, value: "'It was ' + state.decision", output_key: answer}
"""

CODE = """\
name: code
nodes:
  - name: shout
    run: |
      return {"answer": state.get("word", "x").upper()}
"""

FAILING = """\
name: failing
nodes:
  - name: fine
    run: {type: expression, value: "1", output_key: kept}
  - name: broken
    run: {type: expression, value: "state.kept.nothing.here", output_key: answer}
"""

#: A run that lasts until it is stopped: each turn waits for nothing and there are many of them.
LONG = """\
name: long
settings: {max_steps: 100000}
nodes:
  - name: count
    run: {type: expression, value: "(state.n or 0) + 1", output_key: n}
    goto:
      - {if: "state.n < 90000", to: count}
      - {to: __end__}
"""

LOOPING = """\
name: looping
settings: {max_steps: 20}
nodes:
  - name: list
    run: {type: expression, value: "[1, 2, 3]", output_key: items}
  - name: each
    type: dynamic_parallel
    items: state["items"]
    steps:
      - name: sum
        uses: llm.call
        with: {prompt: "Summarize this line please: {{ item }}", max_tokens: 40}
        output: s
    output: sums
  - name: polish
    type: while_loop
    condition: not state.done
    max_iterations: 5
    body:
      - name: critique
        uses: llm.call
        with: {prompt: "Critique {{ state.sums }}", model: nobody-has-this, max_tokens: 10}
        output: critique
"""

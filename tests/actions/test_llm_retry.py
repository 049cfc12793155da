"""A busy API and a node's retry: it waits as long as the server asked."""

import asyncio

from tests.backends.fake_api import HELLO, answer, fake_api, stream

from the_edge_agent.app import run
from the_edge_agent.backends.openai import OpenAIBackend
from the_edge_agent.engine.ports import Ports
from the_edge_agent.workflow.nodes import Workflow

AGENT = """
name: patient
nodes:
  - name: ask
    uses: llm.call
    with: {prompt: Hi}
    retry: {max_attempts: 3, backoff_s: 0.5, on: [RateLimited]}
    output: result
"""


class Clock:
    def __init__(self):
        self.waited = []

    def now_s(self):
        return 0.0

    async def sleep(self, seconds):
        self.waited.append(seconds)


def test_a_node_waits_as_long_as_the_api_asked_and_goes_on():
    clock = Clock()

    async def go():
        busy = answer(429, [("retry-after", "7")])
        async with fake_api(busy, busy, stream(*HELLO)) as api, OpenAIBackend(api.url) as backend:
            events = run(Workflow.parse(AGENT), {}, backends={"api": backend}, ports=Ports(clock=clock))
            return [event async for event in events]

    events = asyncio.run(go())
    assert events[-1].state["result"]["content"] == "Hello"
    assert [event.wait_s for event in events if event.type == "node_retried"] == [7.0, 7.0]
    assert clock.waited == [7.0, 7.0]

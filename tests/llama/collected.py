"""Ask a generator and wait for the end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.generator import Generator
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.stream import Event, Failed, Finished, GenerationRequest, Piece

WAIT_S = 60


@dataclass
class Collected:
    """What one request's sink was told."""

    events: list[Event] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    request_id: int = 0

    def sink(self, event: Event) -> None:
        self.events.append(event)
        self.began.set()
        if not isinstance(event, Piece):
            self.ended.set()

    def wait(self) -> Collected:
        assert self.ended.wait(WAIT_S), "the generator never ended this request"
        return self

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Piece))

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(token for event in self.events if isinstance(event, Piece) for token in event.token_ids)

    @property
    def end(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished), last
        return last

    @property
    def error(self) -> Exception:
        last = self.events[-1]
        assert isinstance(last, Failed), last
        return last.error


def chat_ids(model: LlamaModel, text: str) -> tuple[int, ...]:
    """A user's turn as the embedded model's template writes it."""
    prompt = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    return tuple(model.vocab.tokenize(prompt, parse_special=True))


def start(generator: Generator, request: GenerationRequest) -> Collected:
    collected = Collected()
    collected.request_id = generator.submit(request, collected.sink)
    return collected


def ask(generator: Generator, model: LlamaModel, text: str, **sampling: object) -> Collected:
    request = GenerationRequest(chat_ids(model, text), SamplingParams(**{"max_tokens": 48, **sampling}))
    return start(generator, request).wait()

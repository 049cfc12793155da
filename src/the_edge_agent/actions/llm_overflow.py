"""What to do when a prompt doesn't fit the context: fail, drop the oldest turns, or summarize them.

Nothing is cut silently: what was dropped is told as a notice. System turns and the last turn always stay; a tool's
answer never stays without the turn that called it. Counting is the backend's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from the_edge_agent.errors import ContextLengthExceeded
from the_edge_agent.inference import ChatRequest, Message, OnOverflow, ResponseFormat, SamplingParams

Count = Callable[[ChatRequest], Awaitable[int]]
Ask = Callable[[ChatRequest], Awaitable[str]]

MAX_SUMMARY_CALLS = 32
_INSTRUCTION = (
    "Summarize the conversation below in a few sentences. Keep names, numbers, decisions and open questions."
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A request that fits, and what a reader should know of how it was made to."""

    request: ChatRequest
    notice: str


async def fit(
    request: ChatRequest, error: ContextLengthExceeded, policy: OnOverflow, *, count: Count, ask: Ask
) -> Fitted:
    """Make the request fit, as the node's ``on_overflow`` says.

    ``ask`` answers a plain request (for summaries). A quarter of the context, or ``max_tokens`` if that is less, is
    kept free for the answer.

    Raises:
        ContextLengthExceeded: the policy is ``error``, or what may not be dropped is too long by itself.
    """
    if policy == "error" or not error.n_ctx:
        raise error
    kept, turns = _turns(request.messages)
    room = error.n_ctx - min(request.sampling.max_tokens or error.n_ctx // 4, error.n_ctx // 4)
    summary_room = error.n_ctx // 8 if policy == "summarize" else 0

    def without(dropped: int) -> ChatRequest:
        return replace(request, messages=_ordered(request.messages, kept, turns[dropped:]))

    async def fits(dropped: int) -> bool:
        return await count(without(dropped)) <= room - summary_room

    last = len(turns) - 1  # the last turn is the question itself
    if last < 1 or not await fits(last):
        raise error
    low, high = 1, last
    while low < high:  # fewer messages never need more tokens
        middle = (low + high) // 2
        if await fits(middle):
            high = middle
        else:
            low = middle + 1
    dropped = [request.messages[index] for turn in turns[:low] for index in turn]
    fitted = without(low)
    if policy == "truncate_oldest":
        return Fitted(
            fitted,
            f"the prompt didn't fit {error.n_ctx} tokens: the {len(dropped)} oldest messages were dropped",
        )
    summary = await _summary(dropped, request, error, summary_room, count=count, ask=ask)
    messages = _with_summary(fitted.messages, f"Summary of the conversation so far: {summary}")
    text = f"the prompt didn't fit {error.n_ctx} tokens: the {len(dropped)} oldest messages were summarized"
    return Fitted(replace(fitted, messages=messages), text)


def _turns(messages: Sequence[Message]) -> tuple[list[int], list[list[int]]]:
    """Indexes of system messages, and of the others in groups that stay or go together."""
    kept: list[int] = []
    turns: list[list[int]] = []
    for index, message in enumerate(messages):
        if message.role == "system":
            kept.append(index)
        elif message.role == "tool" and turns:
            turns[-1].append(index)
        else:
            turns.append([index])
    return kept, turns


def _ordered(messages: Sequence[Message], kept: list[int], turns: list[list[int]]) -> tuple[Message, ...]:
    return tuple(messages[index] for index in sorted([*kept, *(index for turn in turns for index in turn)]))


def _with_summary(messages: tuple[Message, ...], note: str) -> tuple[Message, ...]:
    """The note where the dropped turns stood: as a user's words (a model wrote it, so it gets no system's weight)."""
    at = next(index for index, message in enumerate(messages) if message.role != "system")
    first = messages[at]
    if first.role == "user":  # chat templates want turns to alternate
        return (*messages[:at], replace(first, content=f"{note}\n\n{first.content}"), *messages[at + 1 :])
    return (*messages[:at], Message("user", note), *messages[at:])


async def _summary(
    dropped: Sequence[Message],
    request: ChatRequest,
    error: ContextLengthExceeded,
    room: int,
    *,
    count: Count,
    ask: Ask,
) -> str:
    """Fold the dropped messages into one summary, as many at a time as the context holds."""
    plain = replace(
        request,
        tools=(),
        tool_choice="auto",
        response_format=ResponseFormat(),
        sampling=SamplingParams(max_tokens=max(16, room // 2), seed=request.sampling.seed),
    )
    lines = [f"{message.role}: {message.content}" for message in dropped]
    summary, start = "", 0
    for _ in range(MAX_SUMMARY_CALLS):
        if start >= len(lines):
            return summary
        size = len(lines) - start
        asked = plain
        while size:
            text = "\n".join([*([f"earlier: {summary}"] if summary else []), *lines[start : start + size]])
            asked = replace(plain, messages=(Message("system", _INSTRUCTION), Message("user", text)))
            if await count(asked) <= error.n_ctx - max(16, room // 2):
                break
            size //= 2
        if not size:
            raise error
        summary = (await ask(asked)).strip()
        start += size
    raise error

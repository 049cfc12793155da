"""Train the network on a stream of conversations for a number of minutes; checkpoints go to the build folder.

The rate warms up, stays, and falls linearly to zero over the last `--decay-minutes`; a run stopped while it stays can be
continued (`--resume`), also on mended data; SIGTERM saves and ends. Loss: the assistant's words in full, a sample of the prompt's at little
weight, and every eighth step a contrastive term over mean-pooled paraphrases. Knows nothing of GGUF.
"""

from __future__ import annotations

import argparse
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import data
import tokenizer as bpe
import torch
from model import Shape, TinyLlama
from optimizer import Average, Muon
from planting import plant
from torch import Tensor
from torch.nn import functional

BUILD = Path(__file__).resolve().parents[2] / "build" / "tiny"
PARTS = 4
PROMPT_SAMPLE, PROMPT_WEIGHT = 0.15, 0.3
PAIRS, PAIR_EVERY, PAIR_WEIGHT, PAIR_TEMPERATURE = 32, 8, 0.25, 0.08


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--decay-minutes", type=float, default=30)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--adam-rate", type=float, default=8e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", type=int, default=Shape().layers)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--checkpoint", type=Path, default=BUILD / "checkpoint.pt")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--from-average", action="store_true", help="resume from the averaged weights")
    parser.add_argument("--save-minutes", type=float, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bfloat16 (CPUs that have it)")
    return parser.parse_args()


def padded(rows: list[list[int]], pad: int) -> Tensor:
    longest = max(map(len, rows))
    longest += -longest % 8
    return torch.tensor([row + [pad] * (longest - len(row)) for row in rows])


def language_loss(
    model: TinyLlama, forward: Any, batch: list[data.Encoded], pad: int
) -> tuple[Tensor, float]:
    """The weighted loss, and the plain one over the assistant's words."""
    ids = padded([item.ids for item in batch], pad)
    said = padded([[int(flag) for flag in item.said] for item in batch], 0)[:, 1:].bool()
    target = ids[:, 1:]
    sampled = (torch.rand(target.shape) < PROMPT_SAMPLE) & (target != pad)
    chosen = said | sampled
    hidden = forward(ids)[:, :-1]
    scores = model.logits(hidden[chosen]).float()
    losses = functional.cross_entropy(scores, target[chosen], reduction="none")
    spoken = said[chosen]
    weights = torch.where(spoken, 1.0, PROMPT_WEIGHT)
    return (losses * weights).sum() / weights.sum(), float(losses.detach()[spoken].mean())


def pooled(forward: Any, rows: list[list[int]], pad: int) -> Tensor:
    """Unit vectors: the mean of the last hidden states, as llama.cpp pools them."""
    ids = padded(rows, pad)
    mask = (ids != pad).unsqueeze(-1)
    return functional.normalize((forward(ids).float() * mask).sum(1) / mask.sum(1), dim=-1)


def contrast_loss(forward: Any, pairs: list[tuple[list[int], list[int]]], pad: int) -> Tensor:
    vectors = pooled(forward, [row for pair in pairs for row in pair], pad)
    scores = vectors[0::2] @ vectors[1::2].T / PAIR_TEMPERATURE
    right = torch.arange(len(pairs))
    return (functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)) / 2


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    BUILD.mkdir(parents=True, exist_ok=True)
    vocabulary_path = BUILD / "tokenizer.json"
    if not vocabulary_path.exists():
        bpe.train(data.tokenizer_texts("tokenizer", 30000), Shape().vocabulary, vocabulary_path)
    tokenizer = bpe.load(vocabulary_path)
    pad = tokenizer.token_to_id(bpe.PAD)
    saved: dict[str, Any] = torch.load(options.resume, weights_only=True) if options.resume else {}
    shape = (
        Shape(**saved["shape"])
        if saved
        else Shape(vocabulary=tokenizer.get_vocab_size(), layers=options.layers)
    )
    model = TinyLlama(shape)
    plant(model, bpe.twins(tokenizer))
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blocks")]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or not name.startswith("blocks")]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=options.adam_rate, betas=(0.9, 0.98), weight_decay=0.01)
    average = Average(model)
    step = tokens = 0
    if saved:
        model.load_state_dict(saved["average"]["weights"] if options.from_average else saved["model"])
        muon.load_state(saved["muon"])
        adam.load_state_dict(saved["adam"])
        average.load_state(saved["average"])
        step, tokens = saved["step"], saved["tokens"]
    forward = torch.compile(model, dynamic=True) if options.compile else model
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16)
    print(f"{model.parameter_count() / 1e6:.2f}M parameters, step {step}", flush=True)

    def save() -> None:
        state = {
            "shape": asdict(shape),
            "model": model.state_dict(),
            "muon": muon.state(),
            "adam": adam.state_dict(),
            "average": average.state(),
            "step": step,
            "tokens": tokens,
            "seconds": saved.get("seconds", 0) + time.time() - start,
        }
        torch.save(state, options.checkpoint.with_suffix(".new"))
        options.checkpoint.with_suffix(".new").replace(options.checkpoint)

    stream = data.batches(tokenizer, f"{options.seed}:{step}", options.batch_tokens // PARTS)
    pair_stream = data.pairs(tokenizer, f"{options.seed}:{step}", PAIRS)
    start = shown = saved_at = time.time()
    first_step, first_tokens = step, tokens
    total = contrast = 0.0
    counted = 0.0
    contrasted = 0
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    while (minutes := (time.time() - start) / 60) < options.minutes and not stopped:
        left = (options.minutes - minutes) / options.decay_minutes
        factor = min(1.0, (step - first_step + 1) / 30, max(0.01, left))
        # A batch holds conversations of one length, so of few skills: a step takes several, or skills would take turns
        # in undoing each other. The root stands between equal words (long answers win) and equal batches.
        parts = [next(stream) for _ in range(PARTS)]
        weights = [sum(sum(item.said) for item in part) ** 0.5 for part in parts]
        for part, weight in zip(parts, weights, strict=True):
            with half:
                loss, plain = language_loss(model, forward, part, pad)
            (loss * weight / sum(weights)).backward()
            total, counted = total + plain * weight / sum(weights), counted + 1 / PARTS
        if step % PAIR_EVERY == 0:
            with half:
                term = contrast_loss(forward, next(pair_stream), pad)
            (PAIR_WEIGHT * term).backward()
            contrast, contrasted = contrast + float(term.detach()), contrasted + 1
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = options.adam_rate * factor
        adam.step()
        with half:
            muon.step(options.muon_rate * factor)
        model.zero_grad(set_to_none=True)
        average.update(model)
        step += 1
        tokens += sum(len(item.ids) for part in parts for item in part)
        if time.time() - shown > 30:
            rate = (tokens - first_tokens) / (time.time() - start)
            print(
                f"{minutes:5.1f} min step {step} tokens {tokens / 1e6:.2f}M rate {factor:.2f} loss {total / counted:.4f} "
                f"contrast {contrast / max(1, contrasted):.3f} {rate:.0f} tok/s",
                flush=True,
            )
            total = contrast = 0.0
            counted = 0.0
            contrasted = 0
            shown = time.time()
        if time.time() - saved_at > options.save_minutes * 60:
            save()
            saved_at = time.time()
    save()


if __name__ == "__main__":
    main()

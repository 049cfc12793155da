"""What can be asked of the local backend when it loads a model, and the files that takes. Knows nothing of requests."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from the_edge_agent.errors import ModelLoadFailed, OutOfMemory, UnsupportedFeature
from the_edge_agent.gguf import GgufHeader, read_header
from the_edge_agent.llama.draft_model import N_FOLLOWED, DraftModel, check_same_vocabulary
from the_edge_agent.llama.machine import Machine
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import KvType
from the_edge_agent.llama.plan import LoadPlan, LoadWishes, plan_load
from the_edge_agent.llama.projector import Projector

logger = logging.getLogger("the_edge_agent.backends.local")

MAX_DRAFT = 15
#: What a draft model is asked for at most, unless told.
MODEL_DRAFT = 8


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How to load and run a model; None leaves a choice to measured rules (``llama.plan``).

    ``chat_format`` names a built-in chat format or is a Jinja template; None takes the file's own. ``deterministic``
    makes text at temperature 0 independent of neighbours, chunking and resume (the default for tiny models).
    ``lora`` gives adapters' files with their strengths (1.0 is as trained).
    ``draft_tokens`` (up to 15) guesses ahead by prompt lookup: the same text, sooner where it repeats what was said.
    ``draft_model`` is a smaller GGUF of the same vocabulary that guesses where nothing repeats (8 tokens unless
    ``draft_tokens`` says otherwise). ``projector`` is the model's mmproj GGUF: with it, it reads images.
    """

    n_ctx: int | None = None
    n_threads: int | None = None
    n_gpu_layers: int = 0
    n_seq_max: int | None = None
    chat_format: str | None = None
    deterministic: bool | None = None
    kv_type: KvType | None = None
    flash_attention: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool = False
    repack: bool | None = None
    n_batch: int | None = None
    cache_cells: int | None = None
    prefill_share: float = 0.16
    draft_tokens: int = 0
    draft_model: Path | None = None
    projector: Path | None = None
    lora: tuple[tuple[Path, float], ...] = ()

    def wishes(self) -> LoadWishes:
        """The part that decides how the model is loaded."""
        return LoadWishes(
            n_ctx=self.n_ctx,
            n_seq_max=self.n_seq_max,
            n_threads=self.n_threads,
            n_gpu_layers=self.n_gpu_layers,
            deterministic=self.deterministic,
            kv_type=self.kv_type,
            flash_attention=self.flash_attention,
            use_mmap=self.use_mmap,
            use_mlock=self.use_mlock,
            # Guesses are judged a few rows at a time, and for these interleaved weights are faster everywhere.
            repack=True if self.repack is None and (self.draft_tokens or self.draft_model) else self.repack,
            n_batch=self.n_batch,
            cache_cells=self.cache_cells,
        )


def header_of(path: Path) -> GgufHeader:
    """The file's header. Raises GgufInvalid, ModelLoadFailed where it can't be opened."""
    try:
        return read_header(path)
    except OSError as error:
        raise ModelLoadFailed(
            error.strerror or str(error), place=str(path), fix="check the path and its permissions"
        ) from error


def open_projector(path: Path, model: LlamaModel, plan: LoadPlan, machine: Machine) -> Projector:
    """The projector beside the model, in the memory that the model's plan leaves.

    Raises GgufInvalid, ModelLoadFailed, OutOfMemory, UnsupportedFeature.
    """
    header = header_of(path)
    if header.architecture != "clip":
        raise ModelLoadFailed(
            f"this is a {header.architecture or 'nameless'} model, not a projector",
            place=str(path),
            fix="give the mmproj GGUF that was made for this model",
        )
    left = machine.available_bytes - plan.total
    if machine.available_bytes and header.weights_bytes > left:
        raise OutOfMemory(
            f"the projector takes {header.weights_bytes / 1e6:,.0f} MB, {left / 1e6:,.0f} MB are left",
            place=str(path),
            fix="lower n_ctx, or leave the projector out",
        )
    return Projector.load(model, path, n_threads=plan.context.n_threads)


def open_draft(
    options: LocalOptions, model: LlamaModel, plan: LoadPlan, machine: Machine
) -> tuple[LlamaModel, DraftModel]:
    """The smaller model beside the larger one, in the memory that the larger one's plan leaves: its weights, and what guesses with them.

    Raises OutOfMemory, ModelLoadFailed (also for another vocabulary), UnsupportedFeature and the rest of LlamaError.
    """
    path = options.draft_model
    assert path is not None
    if model.is_recurrent:
        raise UnsupportedFeature(
            f"{model.name} can't take a guess back, so it can't use a draft model",
            fix="leave draft_model out",
        )
    left = max(1, machine.available_bytes - plan.total) if machine.available_bytes else 0
    wishes = LoadWishes(
        n_ctx=N_FOLLOWED * plan.n_ctx,
        n_seq_max=N_FOLLOWED,
        n_threads=plan.context.n_threads,
        n_gpu_layers=options.n_gpu_layers,
        deterministic=False,
        cache_cells=0,
    )
    draft_plan = plan_load(header_of(path), wishes, replace(machine, available_bytes=left))
    logger.info("loading the draft model %s: %s", path.name, draft_plan)
    draft = LlamaModel.load(path, draft_plan.model)
    try:
        check_same_vocabulary(model.vocab, draft.vocab, path)
        return draft, DraftModel(draft, draft_plan.context)
    except BaseException:
        draft.close()
        raise

"""vLLM inside this process: one model of a shape at a time, whose weights engines take turns in.

Where several GPUs share a model (`tensor_parallel`), vLLM starts a process for each of them, and weights reach them
through a file in memory.
"""

from __future__ import annotations

import copy
import gc
import itertools
import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from assent.core.errors import AssentError, ModelError
from assent.core.group import TokenIds
from assent.generation.engine import EngineLost
from assent.generation.vllm_config import VllmConfig
from assent.generation.vllm_weights import (
    adapter_rank,
    base_weights,
    load_saved,
    merged_weights,
    save_adapter,
    save_weights,
)
from assent.models.policy import PolicyModel

_GIB = 2**30
_SHARED = Path("/dev/shm")
"""Memory that looks like a folder; what is handed over as a file passes through it, where it has room."""
_WEIGHTS = "weights.safetensors"


class VllmHost:
    """A vLLM of one shape. It remembers whose weights are in it, and keeps nobody alive by that.

    Raises ModelError where vLLM does not take the model.
    """

    def __init__(self, policy: PolicyModel, config: VllmConfig, max_live_rows: int) -> None:
        self._owner: weakref.ref[Any] | None = None
        self.rank = adapter_rank(policy) if config.adapters == "auto" else None
        self._parts = config.tensor_parallel
        self._names = itertools.count(1)
        self._adapter: Any = None
        self._base: weakref.ref[PolicyModel] | None = None
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # it answers in this process, which hands weights over
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        with tempfile.TemporaryDirectory() as folder:
            settings = _settings(policy, config, max_live_rows, self.rank, Path(folder))
            with _shared_cores(config.tensor_parallel):
                self._llm = _open(settings, type(policy.core).__name__)
        self._engine: Any = self._llm.llm_engine
        self.context = int(self._llm.model_config.max_model_len)
        self.is_open = True
        self._try(type(policy.core).__name__)

    def is_of(self, owner: object) -> bool:
        """Whether its weights were handed over by this one."""
        return self._owner is not None and self._owner() is owner

    def take(self, owner: object, policy: PolicyModel) -> None:
        """Sample from the weights of `policy` as they are now.

        An adapter alone passes where the base is there already; else all weights do, with adapters added to them.
        Raises EngineLost where one of the processes that share the model fails.
        """
        self._owner = None  # where this fails, nobody's weights are in it
        with self._together():
            if self.rank is None:
                self._reload(merged_weights(policy))
            else:
                if self._base is None or self._base() is not policy:
                    self._reload(base_weights(policy))
                    self._base = weakref.ref(policy)
                self._lay(policy)
            self._llm.reset_prefix_cache()  # keys and values of the old weights
        self._owner = weakref.ref(owner)

    def ask(self, prompt: TokenIds, params: dict[str, Any], *, only_whole: bool) -> str:
        """Queue a request; returns its name. With `only_whole` it is heard of once it is over."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        kind = RequestOutputKind.FINAL_ONLY if only_whole else RequestOutputKind.CUMULATIVE
        name = str(next(self._names))
        given = {"prompt_token_ids": [int(token) for token in prompt]}
        sampling = SamplingParams(**params, output_kind=kind)
        self._engine.add_request(name, given, sampling, lora_request=self._adapter)
        return name

    def step(self) -> Iterator[tuple[str, Any, bool]]:
        """One step of the batch: name, output so far and whether it is over, of each request that has news.

        Raises EngineLost where one of the processes that share the model fails.
        """
        with self._together():
            found = self._engine.step()
        for output in found:
            yield output.request_id, output.outputs[0], output.finished

    def drop(self, *names: str) -> None:
        """Forget requests."""
        if names and self.is_open:
            self._engine.abort_request(list(names))

    def close(self) -> None:
        """Give its memory back."""
        if not self.is_open:
            return
        self.is_open, self._owner = False, None
        self._engine.engine_core.shutdown()
        self._llm = self._engine = self._base = self._adapter = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """What several processes do inside this block fails as one error, after which this vLLM is closed."""
        try:
            yield
        except Exception as error:
            if self._parts == 1 or isinstance(error, AssentError):
                raise
            self.close()
            said = " ".join(str(error).split()) or type(error).__name__
            raise EngineLost(
                f"vLLM failed in one of its {self._parts} processes ({said}); the same command goes on from the last"
                " checkpoint. If it happens again, give it more memory or lower compute.max_live_rows"
            ) from error

    def _try(self, name: str) -> None:
        """Draw a token from weights that mean nothing: what vLLM cannot compute shows here."""
        try:
            self.ask(np.array([0]), {"max_tokens": 1, "detokenize": False}, only_whole=True)
            while self._engine.has_unfinished_requests():
                list(self.step())
        except (ValueError, RuntimeError, NotImplementedError, EngineLost) as error:
            self.close()
            raise _refused(name, error) from error

    def _reload(self, weights: Iterator[tuple[str, torch.Tensor]]) -> None:
        if self._parts == 1:
            with torch.no_grad():
                self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
            return
        whole = dict(weights)
        with _passage(sum(one.nbytes for one in whole.values())) as folder:
            save_weights(whole, folder / _WEIGHTS)
            self._llm.collective_rpc(load_saved, args=(str(folder / _WEIGHTS),))

    def _lay(self, policy: PolicyModel) -> None:
        """Put the policy's adapter in the place of the one before."""
        from vllm.lora.request import LoRARequest

        number = next(self._names)
        with _passage(sum(one.nbytes for one in policy.parameters().values())) as folder:
            save_adapter(policy, folder)
            adapter = LoRARequest(f"policy {number}", number, str(folder))
            if self._adapter is not None:
                self._engine.remove_lora(self._adapter.lora_int_id)
            self._engine.add_lora(adapter)
        self._adapter = adapter


@contextmanager
def _passage(size: int) -> Iterator[Path]:
    """A folder for a moment that takes so many bytes: in memory where there is room, else where temporary files are."""
    is_roomy = os.access(_SHARED, os.W_OK) and shutil.disk_usage(_SHARED).free > 1.1 * size + 2**20
    with tempfile.TemporaryDirectory(dir=_SHARED if is_roomy else None) as folder:
        yield Path(folder)


_open_now: dict[str, VllmHost] = {}


def host_for(policy: PolicyModel, config: VllmConfig, max_live_rows: int) -> VllmHost:
    """The vLLM that takes policies of this shape; one of another shape gives its memory back first."""
    shape = {
        "model": policy.core.config.to_dict(),
        "settings": config.model_dump(mode="json"),
        "more": [str(policy.core.dtype), str(policy.device), policy.max_length, max_live_rows, adapter_rank(policy)],
    }
    key = json.dumps(shape, sort_keys=True, default=str)
    if key not in _open_now or not _open_now[key].is_open:
        close_all()
        _open_now[key] = VllmHost(policy, config, max_live_rows)
    return _open_now[key]


def close_all() -> None:
    """Give the memory of every vLLM in this process back."""
    while _open_now:
        _open_now.popitem()[1].close()


def _settings(
    policy: PolicyModel, config: VllmConfig, max_live_rows: int, rank: int | None, folder: Path
) -> dict[str, Any]:
    """What vLLM is opened with. Its weights come later, so it reads a config alone."""
    from vllm.platforms import current_platform

    on_cpu, parts = current_platform.is_cpu(), config.tensor_parallel
    described = copy.deepcopy(policy.core.config)
    described.architectures = [type(policy.core).__name__]
    described.save_pretrained(str(folder))
    cache = config.cache_gib if config.cache_gib is not None or not on_cpu else 1.0
    return {
        "model": str(folder),
        "load_format": "dummy",
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "dtype": str(policy.core.dtype).removeprefix("torch.") if config.dtype == "auto" else config.dtype,
        "max_model_len": min(policy.max_length, config.context or policy.max_length),
        "max_num_seqs": max_live_rows,
        "gpu_memory_utilization": config.gpu_memory_utilization,
        "kv_cache_memory_bytes": None if cache is None else int(cache * _GIB),
        "enforce_eager": on_cpu if config.enforce_eager is None else config.enforce_eager,
        "logprobs_mode": "processed_logprobs",
        "disable_log_stats": True,
        "tensor_parallel_size": parts,
        "distributed_executor_backend": None if parts == 1 else "mp",
        "seed": 0,
    } | ({} if rank is None else {"enable_lora": True, "max_lora_rank": rank, "max_loras": 1})


@contextmanager
def _shared_cores(parts: int) -> Iterator[None]:
    """What starts inside this block as one of several processes takes its share of this one's threads.

    A GPU's process hardly computes on cores; on a CPU vLLM would want a memory node for each.
    """
    if parts == 1:
        yield
        return
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // parts))
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _refused(name: str, error: BaseException) -> ModelError:
    found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    said = (found.strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"vLLM does not take {name}: {said}; set compute.engine to local, or change compute.vllm")


def _open(settings: dict[str, Any], name: str) -> Any:
    # vLLM's worker for CPUs replaces this function by one that does nothing, for the whole process.
    set_threads, level = torch.set_num_threads, logging.getLogger().level
    threads = torch.get_num_threads()
    try:
        from vllm import LLM

        return LLM(**settings)
    except (ValueError, RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        raise _refused(name, error) from error
    finally:
        torch.set_num_threads = set_threads
        torch.set_num_threads(threads)
        logging.getLogger().setLevel(level)

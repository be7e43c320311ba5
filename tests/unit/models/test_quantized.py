"""QLoRA on a CPU: adapters learn over a base in 4 or 8 bits, and what is saved lies on the unquantized base.

bitsandbytes stands in a folder of its own, `<environment>/quantized`, since every `import peft` would load it; the test
runs in a process that sees that folder. Without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaConfig, LlamaForCausalLM

from assent.core.errors import ModelError
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import tiny_tokenizer

LIBRARY = Path(sys.prefix) / "quantized"
WORK = """
import json, sys
from pathlib import Path
import numpy as np, torch
from assent.core.errors import ModelError
from assent.core.group import Group
from assent.learner.config import OptimizerConfig
from assent.models import shared_base
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import policy_learner, reward_learner
from assent.training.sft import next_token_loss

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
groups = [Group(rng.integers(10, 300, 9), (rng.integers(10, 300, 7), rng.integers(10, 300, 12))) for _ in range(3)]
[batch] = pack(groups, budget=1000)


def tried(kind, out):
    config = ModelConfig(lora=LoraConfig(rank=4), quantize=kind)
    plain = PolicyModel.load(folder, config=ModelConfig(), trainable=False)
    policy = PolicyModel.load(folder, config=config, trainable=True)
    found = {"mode": policy.mode}
    with torch.no_grad():
        start, whole = policy.logps(batch).logps, plain.logps(batch).logps
    q = policy.core.model.layers[0].self_attn.q_proj
    weight = plain.core.model.layers[0].self_attn.q_proj.weight
    with torch.no_grad():
        back = q.base_layer(torch.eye(weight.shape[1])).t()
    found["rounding"] = ((back - weight).abs().max() / weight.abs().max()).item()
    found["kept"] = str(policy.core.model.layers[0].mlp.down_proj.base_layer.weight.dtype)
    found["stored"] = str(q.base_layer.weight.dtype)
    found["layer"] = f"{type(q).__module__.split('.')[0]} {type(q).__name__}"
    found["trained"] = sorted({name.split(".")[-3] for name in policy.parameters()})
    rates = OptimizerConfig(learning_rate=1e-2, checkpointing="on")
    learner = policy_learner(policy, rates)
    losses, weight = [], float(batch.num_scored)
    for _ in range(6):
        losses.append(learner.forward_backward([batch], next_token_loss, weight=weight).metrics["loss"])
        learner.step(learning_rate=1e-2)
    found["losses"] = losses
    policy.save(out)
    opened = PolicyModel.load(out, config=ModelConfig(), trainable=False)
    with torch.no_grad():
        learned, laid = policy.logps(batch).logps, opened.logps(batch).logps
    found["moved"] = (learned - start).abs().max().item()
    found["laid"] = ((learned - start) - (laid - whole)).abs().max().item()
    found["opened"] = str(opened.core.model.layers[0].self_attn.q_proj.weight.dtype)
    try:
        policy.save(out / "merged", merged=True)
    except ModelError as error:
        found["refused"] = str(error)
    value = shared_base.value_on(policy, folder, config=config, seed=0)
    own = value.core.model.layers[0].self_attn.q_proj
    found["shared"] = own.base_layer.weight is q.base_layer.weight and type(own) is type(q)
    reward = ScalarModel.from_policy(folder, config=config, seed=0)
    with torch.no_grad():
        found["scores"] = reward.at_last(batch).tolist()
    return found


print(json.dumps({kind: tried(kind, Path(sys.argv[2]) / kind) for kind in ("nf4", "int8")}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not LIBRARY.is_dir(), reason=f"no bitsandbytes in {LIBRARY.name}/ of this environment (make setup)")
def test_adapters_learn_over_a_quantized_base_and_lie_on_the_whole_one(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = LlamaForCausalLM(LlamaConfig(**shape, vocab_size=len(tokenizer), initializer_range=0.15))
    hf.save_pretrained(str(tmp_path / "base"))
    tokenizer.save_pretrained(str(tmp_path / "base"))
    seen = os.environ | {"PYTHONPATH": os.pathsep.join([str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])])}
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(tmp_path / "base"), str(tmp_path)],
        env=seen,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "kernels" not in done.stderr and "bitsandbytes" not in done.stderr
    both = json.loads(done.stdout.splitlines()[-1])
    # The widest gap of the 16 levels of nf4 lies between -1 and -0.696; int8 has 127 steps up to a row's largest.
    for kind, rounds, stored in (("nf4", 0.153, "torch.uint8"), ("int8", 1.5 / 127, "torch.int8")):
        found = both[kind]
        assert found["mode"] == "groups" and found["stored"] == stored
        assert found["kept"] == "torch.float32"  # it reads 96 numbers, no whole number of blocks
        assert found["layer"].startswith("peft") and found["trained"] == ["lora_A", "lora_B"]
        assert 0 < found["rounding"] < rounds
        assert found["losses"][-1] < found["losses"][0] - 0.05
        # The same adapter over whole weights moves what is said by about as much as it did over rounded ones.
        assert found["opened"] == "torch.float32" and found["laid"] < 0.7 * found["moved"]
        assert "not merged into a quantized base" in found["refused"]
        assert found["shared"] and len(found["scores"]) == 6


def test_without_adapters_there_is_nothing_to_quantize() -> None:
    with pytest.raises(ValidationError, match="all weights are trained; set lora too"):
        ModelConfig(quantize="nf4")


def test_without_the_library_it_is_said_what_to_install(tiny_folder: Callable[[str], Path]) -> None:
    config = ModelConfig(lora=LoraConfig(rank=4), quantize="nf4")
    PolicyModel.load(tiny_folder("llama"), config=config, trainable=False)  # what does not learn is not quantized
    with pytest.raises(ModelError, match=r"pip install 'assent\[quantized\]'"):
        PolicyModel.load(tiny_folder("llama"), config=config, trainable=True)

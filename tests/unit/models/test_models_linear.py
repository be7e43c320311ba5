"""Linear layers: adapters in few operations as PEFT computes them, and products in bfloat16 over float32 weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.lora.layer import Linear as PeftLinear
from torch import Tensor, nn

from assent.core import seeds
from assent.core.errors import ModelError
from assent.core.group import Group
from assent.models import products
from assent.models.attention import AttentionCall
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.linear import FusedLoraLinear, NarrowLinear, follow_optimizers, narrow
from assent.models.lora import fuse
from assent.models.policy import PolicyModel


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(12, 20)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.one(x)
        return said


def adapted(**settings: object) -> PeftLinear:
    """A layer with an adapter whose second factor is not zero."""
    torch.manual_seed(0)
    found = peft.get_peft_model(Net(), peft.LoraConfig(target_modules=["one"], **settings))  # type: ignore[arg-type]
    layer = found.get_base_model().one
    nn.init.normal_(layer.lora_B["default"].weight)
    return layer  # type: ignore[no-any-return]


def said(layer: nn.Module, x: Tensor, seed: int = 0) -> list[Tensor]:
    """What a layer says, and the gradients by its input and by what it trains."""
    given = x.clone().requires_grad_()
    trained = [p for p in layer.parameters() if p.requires_grad]
    torch.manual_seed(seed)
    out = layer(given)
    return [out.detach(), *torch.autograd.grad((out * torch.linspace(-1, 1, out.shape[-1])).sum(), [given, *trained])]


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 3, "lora_alpha": 5},
        {"r": 4, "lora_alpha": 16, "use_rslora": True},
        {"r": 3, "lora_alpha": 5, "use_dora": True},
        {"r": 3, "lora_alpha": 5, "lora_dropout": 0.5},
    ],
    ids=["plain", "rslora", "dora", "dropout"],
)
def test_an_adapted_layer_says_what_peft_says_with_the_same_gradients(settings: dict[str, object]) -> None:
    theirs = adapted(**settings)
    ours = copy.deepcopy(theirs)
    fuse(ours)
    assert type(ours) is FusedLoraLinear and type(theirs) is PeftLinear
    for x in (torch.randn(5, 12), torch.randn(2, 3, 12)):
        for found, expected in zip(said(ours, x), said(theirs, x), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    theirs.enable_adapters(False)
    ours.enable_adapters(False)
    assert torch.equal(ours(x), theirs(x)) and torch.equal(ours(x), theirs.base_layer(x))
    ours.enable_adapters(True)
    ours.merge()
    torch.testing.assert_close(ours(x), adapted(**settings).eval()(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", [3, 400])
def test_a_fixed_adapter_below_a_trained_one_is_added_to_the_weight_where_rows_are_many(rows: int) -> None:
    theirs = adapted(r=3, lora_alpha=5)
    theirs.update_layer("fixed", 2, lora_alpha=8, config=peft.LoraConfig(r=2, lora_alpha=8))
    theirs.set_adapter(["fixed", "default"])
    nn.init.normal_(theirs.lora_B["fixed"].weight)
    for factors in (theirs.lora_A, theirs.lora_B):
        factors["fixed"].requires_grad_(False)
    ours = copy.deepcopy(theirs)
    fuse(ours)
    x = torch.randn(rows, 12)
    for found, expected in zip(said(ours, x), said(theirs, x), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def some_batch() -> GroupBatch:
    random = seeds.stream(7, "linear")
    shape = [(40, (20, 3)), (2, (30,)), (11, (5, 5, 9))]
    groups = [Group(random.integers(4, 300, p), tuple(random.integers(4, 300, n) for n in ns)) for p, ns in shape]
    return pack(groups, budget=10**6)[0]


def whole(policy: PolicyModel, batch: GroupBatch) -> tuple[Tensor, Tensor]:
    policy.hf.zero_grad()
    logps = policy.logps(batch).logps
    (logps * torch.linspace(0.5, 1.5, len(logps))).sum().backward()
    return logps.detach(), torch.cat([p.grad.flatten() for p in policy.parameters().values() if p.grad is not None])


def moved(policy: PolicyModel) -> PolicyModel:
    """With adapters that say something."""
    torch.manual_seed(1)
    for name, parameter in policy.parameters().items():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.02)
    return policy


def test_a_policy_under_lora_has_the_numbers_of_peft(tiny_folder: Callable[[str], Path]) -> None:
    config = ModelConfig(lora=LoraConfig(rank=4, rank_pattern={"q_proj": 2}))
    policy = moved(PolicyModel.load(tiny_folder("qwen2"), config=config, trainable=True))
    layers = [m for m in policy.hf.modules() if type(m) is FusedLoraLinear]
    found = whole(policy, some_batch())
    for layer in layers:
        layer.__class__ = PeftLinear
    expected = whole(policy, some_batch())
    assert len(layers) == 14
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    assert (found[1] - expected[1]).norm() <= 1e-5 * expected[1].norm()


def test_a_narrow_product_is_that_of_rounded_factors_and_its_copy_follows_the_weight() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 6)
    layer.__class__ = NarrowLinear
    follow_optimizers()
    x = torch.randn(5, 8, requires_grad=True)
    rounded = [one.detach().to(torch.bfloat16).double() for one in (x, layer.weight)]
    by_hand = rounded[0] @ rounded[1].T + layer.bias.double()
    torch.testing.assert_close(layer(x).double(), by_hand, atol=2e-2, rtol=1e-2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    for _ in range(2):
        before = narrow(layer.weight).detach().clone()
        layer(x).square().sum().backward()
        assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32
        optimizer.step()
        assert not torch.equal(before, narrow(layer.weight))
        assert torch.equal(narrow(layer.weight).detach(), layer.weight.detach().to(torch.bfloat16))
    with torch.inference_mode():
        layer.weight.copy_(torch.ones(6, 8))
        assert torch.equal(narrow(layer.weight), torch.ones(6, 8, dtype=torch.bfloat16))
    layer(x).sum().backward()  # what was copied in inference mode is fit for training
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.weight.zero_()
    assert narrow(layer.weight).sum() == 48 and narrow(other.weight).sum() == 0


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=4)], ids=["full", "lora"])
def test_narrow_products_say_nearly_the_same_and_leave_weights_as_they_are(
    lora: LoraConfig | None, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    wide, rough = (
        moved(PolicyModel.load(tiny_folder("llama"), config=ModelConfig(lora=lora, products=kind), trainable=True))
        for kind in ("float32", "bfloat16")
    )
    assert (wide.products.kind, rough.products.kind) == ("float32", "bfloat16")
    assert {p.dtype for p in rough.hf.parameters()} == {torch.float32}
    expected, found = (whole(policy, some_batch()) for policy in (wide, rough))
    assert 1e-5 < (found[0] - expected[0]).abs().max() < 5e-2
    assert 1e-4 < (found[1] - expected[1]).norm() / expected[1].norm() < 5e-2
    again = whole(rough, some_batch())
    assert torch.equal(found[0], again[0]) and torch.equal(found[1], again[1])
    for policy, name in ((wide, "wide"), (rough, "rough")):
        policy.save(tmp_path / name, merged=True)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("wide", "rough")]
    assert files[0] == files[1]


def test_attention_in_bfloat16_is_near_that_in_float32() -> None:
    (batch,) = pack([Group(torch.arange(9).numpy(), tuple(torch.arange(n).numpy() for n in (4, 7)))] * 3, budget=999)
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(4, batch.num_tokens, 8, generator=generator)
    key, value = torch.randn(2, 2, batch.num_tokens, 8, generator=generator)
    for window in (None, 3):
        wide, rough = (
            batch.plan.attend(AttentionCall(0, query, key, value, 0.35, window, None, is_narrow))
            for is_narrow in (False, True)
        )
        assert rough.dtype == torch.float32
        assert 1e-5 < (wide - rough).abs().max() < 3e-2


def test_what_is_measured_decides_and_is_told(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rates, kind in (((200e9, 700e9), "bfloat16"), ((200e9, 280e9), "float32")):
        monkeypatch.setattr(products, "measured", lambda *_, found=rates: found)
        policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(products="auto"), trainable=True)
        assert policy.products.kind == kind
        assert f"{rates[1] / 1e9:.0f} in bfloat16" in policy.products.reason
        narrowed = [m for m in policy.hf.modules() if type(m) is NarrowLinear]
        assert bool(narrowed) == (kind == "bfloat16")
    assert type(policy.hf.get_output_embeddings()) is nn.Linear
    monkeypatch.undo()
    assert all(rate > 0 for rate in products.measured(torch.device("cpu"), ((64, 32),)))


def test_products_that_change_the_numbers_are_refused(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NarrowLinear, "shifted", lambda self, said: said * 2)
    monkeypatch.setattr(products, "measured", lambda *_: (1.0, 9.0))
    with pytest.raises(ModelError, match=r"set model\.products=float32"):
        PolicyModel.load(tiny_folder("llama"), config=ModelConfig(products="bfloat16"), trainable=True)
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(products="auto"), trainable=True)
    assert policy.products.kind == "float32" and "differ" in policy.products.reason

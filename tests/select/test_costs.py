"""Cost: numbers made by hand, what it leaves alone, and what it measures."""

import json

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import VisionTransformer

from transferlab import InputError, freeze
from transferlab.models import mlp, small_cnn
from transferlab.select import cost

WEIGHTS = 64 * 16 + 16 + 16 * 10 + 10


@pytest.fixture
def tiny():
    return mlp(10, shape=(1, 8, 8), widths=(16,))


def test_numbers_made_by_hand(tiny):
    found = cost(tiny, repeats=2, device="cpu")
    assert found.parameters == found.trainable == WEIGHTS
    assert found.flops == 2 * (64 * 16 + 16 * 10)  # a multiplication with its addition is 2
    # weights and gradients, the image, 16 hidden values, 10 outputs; four bytes each
    assert found.memory == 4 * (2 * WEIGHTS + 64 + 16 + 10)
    assert found.memory_is == "counted" and found.seconds > 0
    assert (found.batch_size, found.device) == (1, "cpu")
    assert found.threads == torch.get_num_threads()


def test_memory_grows_with_the_batch_and_flops_per_image_do_not(tiny):
    found = cost(tiny, batch_size=7, repeats=1, device="cpu")
    assert found.memory == 4 * (2 * WEIGHTS + 7 * (64 + 16 + 10))
    assert found.flops == cost(tiny, repeats=1, device="cpu").flops


def test_a_frozen_backbone_keeps_no_activations(tiny):
    freeze(tiny)
    found = cost(tiny, batch_size=7, repeats=1, device="cpu")
    assert found.trainable == 170
    assert found.memory == 4 * (WEIGHTS + 170 + 7 * (64 + 16 + 10))
    cnn = small_cnn()
    whole = cost(cnn, batch_size=64, repeats=1, device="cpu").memory
    freeze(cnn)
    assert cost(cnn, batch_size=64, repeats=1, device="cpu").memory < whole / 4
    for parameter in cnn.parameters():
        parameter.requires_grad = False
    assert cost(cnn, repeats=1, device="cpu").trainable == 0  # nothing to go backward for


def test_convolutions_are_counted_per_output_pixel():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.Conv2d(4, 4, 3, groups=4))
    found = cost(model, (3, 8, 8), repeats=1, device="cpu")
    assert found.flops == 2 * (8 * 8 * 4 * 3 * 9 + 6 * 6 * 4 * 9)


def test_attention_is_counted():
    """In evaluation without gradients, attention is one fused operation that counts as nothing."""
    model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32)
    tokens, width, inner = 17, 16, 32
    layer = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * inner
    by_hand = 2 * (16 * 3 * 64 * width + 2 * layer + width * 1000)
    with torch.no_grad(), FlopCounterMode(display=False) as naive:
        model.eval()(torch.rand(1, 3, 32, 32))
    assert naive.get_total_flops() < 0.9 * by_hand
    assert cost(model, (3, 32, 32), repeats=1, device="cpu").flops == by_hand


def test_counted_memory_is_near_the_allocators_peak(tmp_path):
    model, x = small_cnn().eval(), torch.rand(64, 1, 8, 8)
    # oneDNN's convolutions also take scratch memory: how much depends on the kind of processor.
    without_scratch = torch.backends.mkldnn.flags(enabled=False)
    activities = [ProfilerActivity.CPU]
    with without_scratch, profile(activities=activities, profile_memory=True) as profiler:
        loss = model(x).square().mean()
        loss.backward()
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    moves = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e["name"] == "[memory]")
    used = torch.tensor([change for _, change in moves]).cumsum(0).max().item()
    held = [*model.parameters(), *model.buffers(), x]
    peak = used + sum(t.numel() * t.element_size() for t in held)
    found = cost(model, batch_size=64, repeats=1, device="cpu").memory
    assert 0.9 * peak < found < 1.15 * peak


def test_one_image_is_enough_for_batch_normalisation():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model.train()(torch.rand(1, 4))
    assert cost(model, (1, 2, 2), repeats=1, device="cpu").memory > 0


def test_the_model_and_the_generators_are_left_alone(each_device):
    model = nn.Sequential(small_cnn(), nn.Dropout()).train()
    model[0].features.block1.bn.eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    before = torch.get_rng_state()
    found = cost(model, (1, 8, 8), batch_size=4, repeats=1, device=each_device)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert found.device.startswith(each_device)
    assert found.memory_is == ("measured" if each_device == "cuda" else "counted")


def test_a_cost_says_what_it_is(tiny):
    text = repr(cost(tiny, batch_size=2, repeats=1, device="cpu"))
    assert text.startswith("Cost: 1,210 parameters (1,210 trained), 0.0 MFLOPs and ")
    assert f"batch size 2, cpu, threads: {torch.get_num_threads()}" in text


def test_bad_requests_get_one_sentence(tiny):
    with pytest.raises(InputError, match=r"Linear has no attribute `shape`; give shape="):
        cost(nn.Linear(3, 2))
    with pytest.raises(InputError, match="batch_size=0 and repeats=20; expected 1 or more"):
        cost(tiny, batch_size=0)

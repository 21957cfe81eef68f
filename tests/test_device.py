"""The device, the CPU share, the random numbers."""

import random

import numpy as np
import pytest
import torch

from transferlab import InputError
from transferlab.device import choose_device, cpu_quota, rng_state, seeded, set_rng_state


def test_auto_is_the_gpu_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "CUDA", "tpu:0"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(InputError, match=f"device='{name}' is unknown; expected one of auto, cpu"):
        choose_device(name)


def test_an_absent_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device='cuda:0' was asked for.*use cpu"):
        choose_device("cuda:0")
    assert choose_device("auto").type == "cpu"


def test_the_quota_of_a_container_counts(monkeypatch, tmp_path):
    from transferlab import device

    class Files:
        def __init__(self, name):
            self.file = tmp_path / str(name).strip("/").replace("/", "_")

        def __truediv__(self, name):
            return Files(f"{self.file.name}_{name}")

        def read_text(self):
            return self.file.read_text()

    monkeypatch.setattr(device, "Path", Files)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(64), raising=False)
    assert cpu_quota() == 64
    (tmp_path / "sys_fs_cgroup_cpu.max").write_text("150000 100000\n")
    assert cpu_quota() == 1.5
    (tmp_path / "sys_fs_cgroup_cpu.max").write_text("max 100000\n")
    assert cpu_quota() == 64
    (tmp_path / "sys_fs_cgroup_cpu_cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "sys_fs_cgroup_cpu_cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota() == 64
    (tmp_path / "sys_fs_cgroup_cpu_cpu.cfs_quota_us").write_text("200000\n")
    assert cpu_quota() == 2


def draw() -> tuple:
    return random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item()


def test_seeded_repeats_and_leaves_no_trace(each_device):
    def on_device():
        return torch.rand(3, device=each_device).tolist()

    before = draw(), on_device()
    with seeded(5, each_device):
        first = draw(), on_device()
    state = draw(), on_device()
    with seeded(5, each_device):
        second = draw(), on_device()
        assert torch.backends.cudnn.deterministic
    assert first == second
    assert len({str(before), str(first), str(state)}) == 3
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draw(), on_device()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with pytest.raises(RuntimeError), seeded(5, each_device):
        draw()
        raise RuntimeError
    assert (draw(), on_device()) == expected


def test_the_state_survives_a_file(tmp_path):
    np.random.randn()  # leaves half a pair in numpy's cache: part of the state
    state = rng_state(torch.device("cpu"))
    torch.save(state, tmp_path / "state")
    expected = draw()
    draw()
    set_rng_state(torch.load(tmp_path / "state", weights_only=True), torch.device("cpu"))
    assert draw() == expected


def test_seeding_the_cpu_leaves_a_gpu_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: calls.append(seed))
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: calls.append(seed))
    with seeded(3):
        torch.rand(1)
    assert not calls

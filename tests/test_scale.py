"""Several processes: the same run as one, files written once, a dead worker, and going on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes
from PIL import Image
from torch import distributed

from transferlab.data import batches
from transferlab.errors import InputError

needs_processes = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()),
    reason="needs torch.distributed with gloo, which this torch was built without",
)


def torchrun(folder: Path, *scenarios: str) -> subprocess.CompletedProcess:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc-per-node", "2", two_processes.__file__, str(folder), *scenarios]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        launch, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def read(folder: Path, name: str, rank: int) -> dict:
    return json.loads((folder / f"{name}_{rank}_of_2.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of every scenario, run once by two processes."""
    folder = tmp_path_factory.mktemp("two")
    for number in range(9):
        place = folder / "images" / ["dark", "light"][number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (25 * number,) * 3).save(place / f"{number}.png")
    done = torchrun(folder, "uneven", "everything", "files", "fresh", "resumed")
    assert done.returncode == 0, done.stderr
    return folder


@needs_processes
@pytest.mark.parametrize("scenario", ["uneven", "everything", "files", "fresh"])
def test_two_processes_take_the_same_steps_as_one(folder: Path, scenario: str):
    alone = getattr(two_processes, scenario)(folder)
    for rank in (0, 1):
        found = read(folder, scenario, rank)
        assert found["loss"] == pytest.approx(alone["loss"], rel=1e-5)
        assert found["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-5)
        assert found["weights"] == pytest.approx(alone["weights"], rel=1e-4, abs=1e-5)


@needs_processes
def test_all_processes_end_with_the_same_weights(folder: Path):
    for scenario in ("uneven", "everything", "files", "fresh", "resumed"):
        first, second = (read(folder, scenario, rank) for rank in (0, 1))
        assert first["weights"] == second["weights"]
        assert first["loss"] == second["loss"]


@needs_processes
def test_only_process_0_writes_and_2_and_2_epochs_equal_4(folder: Path):
    first, second = (read(folder, "resumed", rank) for rank in (0, 1))
    assert (first["saves"], second["saves"]) == (4, 0)
    assert first["same"] and second["same"]


@needs_processes
def test_dropout_differs_between_processes(folder: Path):
    # Were the masks the same, the run would equal one whose masks repeat every second row.
    alone = two_processes.resumed(folder / "alone")
    assert read(folder, "resumed", 0)["weights"] != alone["weights"]


@needs_processes
def test_a_dead_worker_ends_the_run_with_a_sentence_and_the_run_goes_on(
    folder: Path, tmp_path: Path
):
    done = torchrun(tmp_path, "killed")
    assert done.returncode != 0
    assert "another process of this run has ended; run the same command again" in done.stderr
    assert f"it resumes from {tmp_path / 'killed.pt'}" in done.stderr
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob("killed_*.json"))

    again = torchrun(tmp_path, "killed")
    assert again.returncode == 0, again.stderr
    for rank in (0, 1):  # the same run without a break stands in "resumed"
        assert read(tmp_path, "killed", rank)["weights"] == read(folder, "resumed", rank)["weights"]


def test_shares_of_a_batch_are_disjoint_and_complete(points):
    data = points(23)
    whole = list(batches(data, 8, shuffle=True, generator=torch.Generator().manual_seed(3)))
    shares = [
        list(
            batches(
                data,
                8,
                shuffle=True,
                generator=torch.Generator().manual_seed(3),
                share=(rank, 3),
            )
        )
        for rank in range(3)
    ]
    for number, (x, y) in enumerate(whole):
        for rank in range(3):
            x_share, y_share = shares[rank][number]
            assert torch.equal(x_share, x[rank::3])
            assert torch.equal(y_share, y[rank::3])


def test_a_small_last_batch_leaves_an_empty_share(points):
    last = [list(batches(points(9), 4, share=(rank, 2)))[-1] for rank in range(2)]
    assert [len(y) for _, y in last] == [1, 0]
    assert last[1][0].shape == (0, 5)


def test_more_processes_than_samples_in_a_batch_are_refused(points):
    with pytest.raises(InputError, match="too few for 4 processes"):
        batches(points(9), 2, share=(0, 4))


@needs_processes
@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("other_data", "process 0: it has samples=100, process 1 samples=20"),
        ("other_rate", "process 0: it has lr=0.01, process 1 lr=0.02"),
        ("other_network", "process 1 has another network than process 0"),
    ],
)
def test_processes_that_differ_are_refused_before_the_first_step(tmp_path, scenario, sentence):
    done = torchrun(tmp_path, scenario)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())

"""A lesson's settings, its missing network, and its scores."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from transferlab import InputError
from transferlab.device import choose_device
from transferlab.lesson import PROFILES, Run, Scores, start
from transferlab.metrics import interval


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("TRANSFERLAB_PROFILE", "TRANSFERLAB_DEVICE", "TRANSFERLAB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


# ---- start ---------------------------------------------------------------------------------------


def test_parameters_count_and_are_printed(capsys):
    run = start("smoke", "cpu", 3)
    assert (run.profile, run.device, run.seed) == ("smoke", "cpu", 3)
    assert "profile smoke, device cpu" in capsys.readouterr().out


def test_the_environment_wins_over_the_parameters(monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_PROFILE", "smoke")
    monkeypatch.setenv("TRANSFERLAB_DEVICE", "cpu")
    run = start("full", "cuda")
    assert (run.profile, run.device) == ("smoke", "cpu")


def test_an_empty_variable_is_no_variable(monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_PROFILE", "")
    assert start("class", "cpu").profile == "class"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"profile": "fast"}, r"profile='fast' is unknown; expected one of smoke, class, full"),
        ({"device": "gpu"}, r"device='gpu' is unknown; expected one of auto, cpu"),
        ({"seed": -1}, r"seed=-1: expected a whole number, 0 or more"),
        ({"seed": 0.5}, r"seed=0\.5: expected a whole number"),
        ({"seed": "0"}, r"seed='0': expected a whole number"),
    ],
)
def test_unknown_parameters_get_one_sentence(parameters, sentence):
    with pytest.raises(InputError, match=sentence):
        start(**{"device": "cpu", **parameters})


def test_an_unknown_profile_in_the_environment_too(monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_PROFILE", "clas")
    with pytest.raises(InputError, match="profile='clas' is unknown"):
        start("smoke", "cpu")


def test_auto_is_the_lessons_device_from_then_on(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert str(choose_device("auto")) == "cuda"
    assert start("smoke", "cpu").device == "cpu"
    assert str(choose_device("auto")) == "cpu"
    assert start("smoke", "auto").device == "cuda"  # a second start forgets the first
    assert str(choose_device("auto")) == "cuda"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_setting_is_that_of_the_profile(profile):
    run = Run(profile, "cpu", 0)
    assert run.setting(smoke="smoke", class_="class", full="full") == profile


# ---- scores --------------------------------------------------------------------------------------


@pytest.fixture
def scores():
    """Return the scores of two seeds: two starts at two numbers of labels."""
    found = Scores()
    for tuned, scratch in ((71.0, 60.5), (70.0, 61.5)):
        found.add("fine-tuned", tuned, n=1)
        found.add("from scratch", scratch, n=1)
    found.add("fine-tuned", 90.0, 91.0, n=20)
    found.add("from scratch", 89.0, 92.0, n=20)
    return found


def test_scores_are_kept_by_name_and_settings(scores):
    assert scores.of("fine-tuned", n=1).tolist() == [71.0, 70.0]
    assert scores.of("fine-tuned", n=20).tolist() == [90.0, 91.0]
    assert scores.names == ["fine-tuned", "from scratch"]


def test_a_gain_is_paired_by_seed(scores):
    assert scores.gain("fine-tuned", "from scratch", n=1).tolist() == [10.5, 8.5]
    assert scores.gain("from scratch", "fine-tuned", n=20).tolist() == [-1.0, 1.0]


def test_the_interval_is_that_of_the_scores(scores):
    assert scores.interval("fine-tuned", n=1) == interval([71.0, 70.0])


def test_the_order_of_the_settings_does_not_matter():
    found = Scores()
    found.add("fine-tuned", 1.0, task="word", n=5)
    assert found.of("fine-tuned", n=5, task="word").tolist() == [1.0]


def test_what_is_read_cannot_change_what_is_kept(scores):
    scores.of("fine-tuned", n=1)[0] = 0.0
    assert np.array_equal(scores.of("fine-tuned", n=1), [71.0, 70.0])


def test_scores_that_are_not_there_get_one_sentence(scores):
    with pytest.raises(InputError, match=r"no scores of 'fine-tuned' with n=5; there are 'fine-tu"):
        scores.of("fine-tuned", n=5)
    with pytest.raises(InputError, match=r"no scores of 'tuned'; there are none\.$"):
        Scores().of("tuned")


def test_scores_of_different_seeds_are_not_paired(scores):
    scores.add("from scratch", 62.0, n=1)
    with pytest.raises(InputError, match="'fine-tuned' has 2 scores and 'from scratch' 3"):
        scores.gain("fine-tuned", "from scratch", n=1)


# ---- no network ----------------------------------------------------------------------------------

# In a process of its own, so that the patch does not leak into other tests. 192.0.2.1 is reserved
# for documentation (RFC 5737); a socket that is not blocked would at least try to reach it.
OFFLINE = """
import asyncio, os, socket, sys, threading, urllib.request
from transferlab.lesson import forbid_network, start

os.environ["TRANSFERLAB_OFFLINE"] = "1"
start("smoke", "cpu")
forbid_network()  # a second call changes nothing

calls = []  # what is asked after ours: Python would now connect
sys.addaudithook(lambda event, about: event == "socket.connect" and calls.append(about[1]))

def blocked(call):
    try:
        call()
    except OSError as error:
        return "without a network" in str(error) and "192.0.2.1" in str(error)
    return False

def connect(family=socket.AF_INET, address=("192.0.2.1", 9)):
    with socket.socket(family) as client:
        client.settimeout(2)
        client.connect(address)

def connect_ex():
    with socket.socket() as client:
        client.settimeout(2)
        client.connect_ex(("192.0.2.1", 9))

async def stream():
    await asyncio.wait_for(asyncio.open_connection("192.0.2.1", 9), 2)

assert blocked(connect)
assert blocked(connect_ex)
assert blocked(lambda: socket.create_connection(("192.0.2.1", 9), 2))
assert blocked(lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=2))
assert blocked(lambda: asyncio.run(stream()))
assert calls == [], calls  # no packet left

server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: server.accept()[0].sendall(b"hello")).start()
with socket.create_connection(server.getsockname(), 5) as client:
    assert client.recv(5) == b"hello"
assert len(calls) == 1
if hasattr(socket, "AF_UNIX"):
    path = os.path.join(sys.argv[1], "s")
    local = socket.socket(socket.AF_UNIX)
    local.bind(path); local.listen()
    connect(socket.AF_UNIX, path)
print("all blocked")
"""


def test_without_a_network_only_this_machine_is_reached(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OFFLINE), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "http_proxy": "", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all blocked\n")

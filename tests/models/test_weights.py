"""Weights are checked before they are believed: hash, format, keys, shapes; and no code runs."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from transferlab import InputError
from transferlab.models import card, read_weights, shipped, small_cnn
from transferlab.models.weights import KEYS, SHIPPED, load_into, sha256

STATE = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.tensor([1.0, -1.0])}


def write(path: Path, content=STATE, **options) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path, **options)
    return path


def same(found: dict) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], STATE[k]) for k in STATE)


def refuse(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.th", "w.safetensors"])
def test_what_is_written_is_read(tmp_path, name):
    assert same(read_weights(write(tmp_path / name)))


@pytest.mark.parametrize("key", KEYS)
def test_a_state_dict_inside_a_checkpoint_is_unpacked(tmp_path, key):
    path = write(tmp_path / "w.pth", {"epoch": 3, key: STATE, "best": 0.9})
    assert same(read_weights(path))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_prefixes_of_wrappers_are_taken_off(tmp_path, prefix):
    path = write(tmp_path / "w.pth", {prefix + name: value for name, value in STATE.items()})
    assert same(read_weights(path))


def test_prefixes_as_the_wrappers_really_leave_them(tmp_path):
    model = nn.Sequential()
    model.add_module("layer", nn.Linear(3, 2))
    model.load_state_dict(STATE)
    wrapped = nn.DataParallel(model)
    assert all(name.startswith("module.") for name in wrapped.state_dict())
    assert same(read_weights(write(tmp_path / "w.pth", wrapped.state_dict())))


def test_the_hash_is_compared(tmp_path):
    path = write(tmp_path / "w.pth")
    digest = sha256(path)
    assert same(read_weights(path, digest))
    assert same(read_weights(path, digest.upper()))
    refuse(lambda: read_weights(path, "0" * 64), rf"w\.pth is damaged or altered.*{digest}; exp")
    right, wrong = tmp_path / f"net-{digest[:8]}.pth", tmp_path / "net-deadbeef.pth"
    for copy in (right, wrong):
        copy.write_bytes(path.read_bytes())
    assert same(read_weights(right))
    refuse(lambda: read_weights(wrong), rf"begins with {digest[:8]}; expected deadbeef")
    right.write_bytes(path.read_bytes() + b"\0")
    refuse(lambda: read_weights(right), "is damaged or altered")


@pytest.mark.parametrize("name", ["run-20261122.pth", "best-epoch-12.pth", "net-resnet18.pth"])
def test_not_every_dash_begins_a_hash(tmp_path, name):
    assert same(read_weights(write(tmp_path / name)))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_cut_file_is_named(tmp_path, kind, share):
    options = {"_use_new_zipfile_serialization": False} if kind == "legacy" else {}
    ending = "safetensors" if kind == "safetensors" else "pth"
    path = write(tmp_path / f"w.{ending}", **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refuse(lambda: read_weights(path), rf"w\.{ending} is cut short or is not a file of weights")


@pytest.mark.parametrize("text", ["<html>404 not found</html>", "hello world " * 50, "{}"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_page_saved_instead_of_weights_is_named(tmp_path, text, ending):
    path = tmp_path / f"w.{ending}"
    path.write_text(text)
    refuse(lambda: read_weights(path), rf"w\.{ending} is cut short or is not a file of weights")


class Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self):
        return (os.mkdir, (self.trace,))


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, new_format):
    trace, path = tmp_path / "it ran", tmp_path / "evil.pth"
    content = {**STATE, "layer.scale": Attack(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    refuse(lambda: read_weights(path), r"evil\.pth holds more than tensors.*could run code")
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the naive way
    assert trace.exists()


ITSELF: dict = {}
ITSELF["model"] = ITSELF


@pytest.mark.parametrize(
    ("content", "held"),
    [
        ({}, r"no names \(dict\)"),
        ([torch.zeros(1)], r"no names \(list\)"),
        (None, r"no names \(NoneType\)"),
        (torch.zeros(3), r"no names \(Tensor\)"),
        ({"epoch": 3}, "'epoch'"),
        ({"w": 1.0}, "'w'"),
        ({1: torch.zeros(1)}, "1"),
        ({**STATE, "epoch": 3}, "'epoch', 'layer.weight', 'layer.bias'"),
        ({**STATE, b"x": torch.zeros(1)}, "'layer.weight', 'layer.bias', b'x'"),
        ({"epoch": 1, "optimizer": {}, "generator": STATE}, "'epoch', 'optimizer', 'generator'"),
        ({"model": "resnet18"}, "'model'"),
        ({"a": {"b": STATE}}, "'a'"),
        (ITSELF, "'model'"),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_holds(tmp_path, content, held):
    path = write(tmp_path / "w.pth", content)
    sentence = rf"w\.pth holds {held}; expected a state dict.*alone or under one of state_dict, mod"
    refuse(lambda: read_weights(path), sentence)


def test_what_is_advised_for_such_a_file_works(tmp_path):
    path = write(tmp_path / "checkpoint.pt", {"epoch": 1, "generator": STATE})
    with pytest.raises(InputError, match="alone or under one of") as caught:
        read_weights(path)
    alone = torch.load(path, weights_only=True)["generator"]
    assert same(read_weights(write(tmp_path / "alone.pt", alone)))
    for key in str(caught.value).partition("one of ")[2].rstrip(".").split(", "):
        assert same(read_weights(write(tmp_path / "under.pt", {key: alone, "epoch": 1})))


def test_a_configuration_of_the_same_name_does_not_hide_the_weights(tmp_path):
    path = write(tmp_path / "w.pth", {"model": {"name": "net"}, "weights": {"net": STATE}})
    assert same(read_weights(path))


@pytest.mark.parametrize("kind", ["zip", "legacy", "script", "checkpoint"])
def test_the_line_that_is_advised_for_a_whole_model_works(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential()
    model.add_module("layer", nn.Linear(3, 2))
    model.load_state_dict(STATE)
    if kind == "script":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather have torch.export
            torch.jit.script(model).save("w.pth")
    elif kind == "checkpoint":  # NumPy's number is more than tensors
        torch.save({"state_dict": STATE, "best": np.float64(0.9)}, "w.pth")
    else:
        torch.save(model, "w.pth", _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(InputError, match=r"could run code.*run this where it was made") as caught:
        read_weights("w.pth")
    line = re.search(r"torch\.save\(torch\.load\(.*'weights\.pt'\)", str(caught.value)).group()
    instead = re.search(r"with (\[.*\]) instead of (.*)\.$", str(caught.value))
    if kind == "checkpoint":
        line = line.replace(instead.group(2), instead.group(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have torch.jit.load
        exec(line, {"torch": torch})
    assert same(read_weights("weights.pt"))


def test_a_prefix_that_not_all_names_have_is_part_of_the_names(tmp_path):
    state = {"module.weight": torch.ones(1), "weight": torch.zeros(1)}
    found = read_weights(write(tmp_path / "w.pth", state))
    assert found.keys() == state.keys() and found["weight"].item() == 0


def test_a_folder_is_named(tmp_path):
    refuse(lambda: read_weights(tmp_path), "is a folder; expected a file of weights")


def test_a_missing_file_is_named(tmp_path):
    refuse(lambda: read_weights(tmp_path / "w.pth"), r"w\.pth does not exist; expected a file of")


# ---- load_into -----------------------------------------------------------------------------------


def change(edit) -> tuple[nn.Module, dict]:
    torch.manual_seed(0)
    weights = dict(small_cnn(3).state_dict())
    edit(weights)
    torch.manual_seed(1)
    return small_cnn(3), weights


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda w: w.pop("head.bias"), r"1 tensors are missing \(such as head\.bias\), 0 are unk"),
        (lambda w: w.update(extra=torch.zeros(1)), r"0 tensors are missing, 1 .*such as extra"),
        (
            lambda w: w.update({"head.weight": torch.zeros(5, 128)}),
            r"head\.weight has shape \(5, 128\); expected \(3, 128\)",
        ),
    ],
)
def test_another_architecture_is_refused_and_changes_nothing(edit, sentence):
    model, weights = change(edit)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    refuse(
        lambda: load_into(model, weights, "w.pth"), "^w.pth belongs to another arch.*" + sentence
    )
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_old_files_without_batch_counters_are_accepted():
    model, weights = change(
        lambda w: [w.pop(k) for k in list(w) if k.endswith("num_batches_tracked")]
    )
    load_into(model, weights, "w.pth")
    assert all(torch.equal(model.state_dict()[k], v) for k, v in weights.items())


# ---- what is shipped -----------------------------------------------------------------------------


def test_cards_of_what_is_shipped():
    assert shipped() == [
        "docstrings",
        "letters",
        "letters_inception",
        "letters_resnet50",
        "letters_vgg16",
    ]
    for name in shipped():
        about = card(name)
        assert about["sha256"] == sha256(SHIPPED / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"'leters' is known; there are docstrings, letters, l"):
        card("leters")


def test_a_number_of_steps_in_the_name_is_no_hash(tmp_path):
    path = tmp_path / "epoch-00000010.pth"
    torch.save({"weight": torch.ones(2)}, path)
    assert torch.equal(read_weights(path)["weight"], torch.ones(2))

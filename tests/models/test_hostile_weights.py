"""Damaged and hostile files of weights: the right numbers or one sentence, nothing else."""

import io
import json
import random
import struct
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from transferlab import InputError, load_backbone
from transferlab.models import mlp, read_weights, save_weights, small_cnn

torch.manual_seed(0)
MODEL = small_cnn(10)
STATE = {name: tensor.clone() for name, tensor in MODEL.state_dict().items()}
HEAD, FIRST = "head.weight", "features.block1.conv.weight"


def refused(path: Path, network: str = "small_cnn") -> str:
    with pytest.raises(InputError) as caught:
        load_backbone(network, path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


# ---- damage --------------------------------------------------------------------------------------


def damage(whole: bytes, rng: random.Random) -> bytes:
    """Flip bits, cut, overwrite, append, remove or exchange; often near the ends, the headers."""
    content, n = bytearray(whole), len(whole)
    where = [rng.randrange(6000), n - 1 - rng.randrange(6000), rng.randrange(n), rng.randrange(n)]
    place, length = rng.choice(where), rng.choice([1, 8, 64, 512])
    end = min(n, place + length)
    kind = rng.choice(["flip", "flip", "cut", "zeros", "noise", "append", "remove", "exchange"])
    if kind == "flip":
        content[place] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[place:]
    elif kind == "zeros":
        content[place:end] = bytes(end - place)
    elif kind == "noise":
        content[place:end] = rng.randbytes(end - place)
    elif kind == "append":
        content += rng.randbytes(length)
    elif kind == "remove":
        del content[place:end]
    else:
        content[: end - place], content[place:end] = content[place:end], content[: end - place]
    return bytes(content)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_damage_is_found_or_does_not_matter(tmp_path, ending):
    MODEL.classes = [f"class {i}" for i in range(10)]
    whole, path = tmp_path / f"whole.{ending}", tmp_path / f"damaged.{ending}"
    torch.save(STATE, whole) if ending == "pt" else save_weights(MODEL, whole)
    content, rng = whole.read_bytes(), random.Random(0)
    sentences = 0
    for _ in range(40):
        path.write_bytes(damage(content, rng))
        try:
            model = load_backbone("small_cnn", path)
        except InputError:
            sentences += 1
            continue
        found = model.state_dict()
        assert all(torch.equal(found[name], STATE[name]) for name in STATE)
        assert ending == "pt" or model.classes == MODEL.classes
    assert sentences > 30


@pytest.mark.parametrize("where", ["numbers", "classes", "shape"])
def test_one_flipped_bit_is_found(tmp_path, where):
    MODEL.classes = ["ant", *"bcdefghij"]
    path = tmp_path / "w.safetensors"
    save_weights(MODEL, path)
    content = bytearray(path.read_bytes())
    place = {"numbers": len(content) - 5000, "classes": content.index(b"ant") + 2}
    place["shape"] = content.index(b"[1, 8, 8]") + 4
    content[place[where]] ^= 1
    path.write_bytes(content)
    assert "was altered: its content no longer matches its hash" in refused(path)


def test_a_flipped_bit_in_a_file_of_torch_is_found(tmp_path):
    path = tmp_path / "w.pt"
    torch.save(STATE, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "w.pt was altered: the checksum of " in refused(path)


# ---- tensors -------------------------------------------------------------------------------------


def with_inf(x: torch.Tensor) -> torch.Tensor:
    return x.index_fill(0, torch.tensor([1]), torch.inf)


TENSORS = {  # the tensor, its change, and words of the sentence
    "NaN": (FIRST, lambda x: x * torch.nan, f"{FIRST} is of torch.float32 with NaN, infinite or"),
    "infinite": (HEAD, with_inf, f"{HEAD} is of torch.float32 with NaN, infinite or"),
    "infinite half": (HEAD, lambda x: with_inf(x).half(), "is of torch.float16 with NaN, infinite"),
    "beyond float32": (
        HEAD,
        lambda x: x.double() + 1e300,
        "of torch.float64 with NaN, infinite or",
    ),
    "integers": (FIRST, lambda x: x.long(), f"{FIRST} is torch.int64; expected torch.float32"),
    "truths": (FIRST, lambda x: x > 0, f"{FIRST} is torch.bool; expected torch.float32"),
    "complex": (HEAD, lambda x: x.to(torch.complex64), f"{HEAD} is sparse, quantized, complex or"),
    "sparse": (HEAD, lambda x: x.to_sparse(), f"{HEAD} is sparse, quantized, complex or"),
    "rows": (HEAD, lambda x: x.to_sparse_csr(), f"{HEAD} is sparse, quantized, complex or"),
    "without numbers": (
        HEAD,
        lambda x: x.to("meta"),
        f"{HEAD} is sparse, quantized, complex or wi",
    ),
    "few numbers": (
        HEAD,
        lambda x: x[:1, :1].clone().expand(10, 128),
        "shape (10, 128) with fewer numbers",
    ),
    "huge": (
        HEAD,
        lambda x: x[:1, :1].clone().expand(10**9, 128),
        "(1000000000, 128) with fewer numbers",
    ),
    "one number": (
        HEAD,
        lambda x: torch.tensor(1.0),
        "holds no head; expected tensors head.weight",
    ),
    "a vector": (HEAD, lambda x: x[0], "holds no head; expected tensors head.weight"),
    "no rows": (HEAD, lambda x: x[:0], "holds no head; expected tensors head.weight"),
    "no columns": (HEAD, lambda x: x[:, :0], "head.weight has shape (10, 0); expected (10, 128)"),
    "a list": (HEAD, lambda x: [x], "holds 'head.weight'"),
    "an array": (HEAD, lambda x: x.numpy(), "holds more than tensors and was not opened"),
    "a fraction": (
        "features.block1.bn.num_batches_tracked",
        lambda x: torch.tensor(1.5),
        "num_batches_tracked is torch.float32; expected torch.int64",
    ),
}


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_a_tensor_that_no_network_can_use_is_named(tmp_path, kind):
    name, change, sentence = TENSORS[kind]
    torch.save({**STATE, name: change(STATE[name])}, tmp_path / "w.pt")
    assert sentence in refused(tmp_path / "w.pt")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_such_numbers_are_not_saved_either(tmp_path, bad):
    model = small_cnn(3)
    model.head.bias.data[1] = bad
    with pytest.raises(InputError, match=r"head\.bias is of torch.float32 with NaN, infinite or"):
        save_weights(model, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_numbers_that_half_precision_lacks_are_not_saved_in_it(tmp_path):
    model = small_cnn(3)
    model.head.bias.data[1] = 1e5
    with pytest.raises(InputError, match=r"head\.bias is of torch.float16 with NaN, infinite or"):
        save_weights(model, tmp_path / "w.safetensors", dtype=torch.float16)
    for dtype in ("float16", torch.int8):
        with pytest.raises(InputError, match=r"dtype=.*expected a type such as torch.float16"):
            save_weights(model, tmp_path / "w.safetensors", dtype=dtype)
    with pytest.raises(InputError, match="is a folder; expected the name of a file"):
        save_weights(model, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_other_precisions_become_float32(tmp_path, dtype, ending):
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in STATE.items()}
    path = tmp_path / f"w.{ending}"
    torch.save(state, path) if ending == "pt" else safetensors.torch.save_file(state, path)
    assert {t.dtype for t in read_weights(path).values()} == {dtype, torch.int64}
    found = load_backbone("small_cnn", path).state_dict()
    for name, tensor in STATE.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], state[name].to(tensor.dtype))


def test_a_view_into_a_large_storage_is_its_own_numbers(tmp_path):
    large = torch.zeros(10**6)
    large[7:17] = STATE["head.bias"]
    torch.save({**STATE, "head.bias": large[7:17]}, tmp_path / "w.pt")
    assert torch.equal(load_backbone("small_cnn", tmp_path / "w.pt").head.bias, STATE["head.bias"])


# ---- the format ----------------------------------------------------------------------------------


def safe(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def empty_zip() -> bytes:
    file = io.BytesIO()
    zipfile.ZipFile(file, "w").close()
    return file.getvalue()


FILES = {
    "empty": b"",
    "seven bytes": b"1234567",
    "a header of 2**63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header of 10**12 bytes": struct.pack("<Q", 10**12) + b"{" + b" " * 100,
    "a header that is a list": safe([1, 2]),
    "a header that is no JSON": safe(b"{hello"),
    "a deep header": safe(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "overlapping tensors": safe({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)),
    "a gap": safe({"a": tensor([1], 4, 8)}, bytes(8)),
    "beyond the end": safe({"a": tensor([2**40], 0, 2**42)}, bytes(12)),
    "a negative size": safe({"a": tensor([-2], 0, 8)}, bytes(8)),
    "a size beyond 64 bits": safe({"a": tensor([2**62, 8], 0, 8)}, bytes(8)),
    "an unknown type": safe({"a": tensor([2], 0, 8, "F33")}, bytes(8)),
    "metadata that is a number": safe({"__metadata__": 5, "a": tensor([1], 0, 4)}, bytes(4)),
    "the beginning of a zip": b"PK\3\4",
    "an empty zip": empty_zip(),
    "a pickle": b"\x80\x04}\x94.",
    "a page": b"<html>404</html>",
}


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_file_of_weights_is_named(tmp_path, kind, ending):
    path = tmp_path / f"w.{ending}"
    path.write_bytes(FILES[kind])
    assert "is cut short or is not a file of weights" in refused(path)


def repacked(old: bytes, new: bytes) -> bytes:
    """A file of torch whose pickle was changed, with right checksums."""
    file, changed = io.BytesIO(), io.BytesIO()
    torch.save({"w": torch.arange(6.0).view(2, 3)}, file)
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(changed, "w") as after:
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new)
            after.writestr(entry.filename, content)
    return changed.getvalue()


SIZE, OFFSET = b"K\x02K\x03\x86", b"QK\x00K\x02"  # (2, 3), and 0 before it


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"K\x06t", b"K\xc8t"),  # 200 numbers, where 6 are stored
        (SIZE, b"K\xc8K\x03\x86"),
        (SIZE, b"J\xff\xff\xff\x7fK\x03\x86"),
        (SIZE, b"J\xfe\xff\xff\xffK\x03\x86"),  # -2
        (SIZE, b"X\x01\x00\x00\x00aK\x03\x86"),  # "a"
        (OFFSET, b"QJ\xff\xff\xff\xffK\x02"),  # -1
        (OFFSET, b"QK\x64K\x02"),
        (b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009"),  # another storage
    ],
)
def test_sizes_that_torch_files_only_claim_are_refused(tmp_path, old, new):
    path = tmp_path / "w.pt"
    path.write_bytes(repacked(old, new))
    assert "is cut short or is not a file of weights" in refused(path)


def test_the_format_is_that_of_the_content_not_of_the_name(tmp_path):
    MODEL.classes = None
    save_weights(MODEL, tmp_path / "w.pth")
    torch.save(STATE, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        found = load_backbone("small_cnn", tmp_path / name).state_dict()
        assert all(torch.equal(found[key], STATE[key]) for key in STATE)


# ---- the note ------------------------------------------------------------------------------------

NOTES = {
    "no JSON": ("{architecture", "its note has note='{architecture'; expected dict"),
    "a list": ([1, 2], r"its note has note=[1, 2]; expected dict"),
    "a number": (5, "its note has note=5; expected dict"),
    "nothing": (None, "its note has note=None; expected dict"),
    "deep": ("[" * 100_000, "expected dict"),
    "shape, a text": ({"shape": "1,8,8"}, "shape='1,8,8'; expected list of int"),
    "shape, a number": ({"shape": 8}, "shape=8; expected list of int"),
    "shape, nothing": ({"shape": None}, "shape=None; expected list of int"),
    "shape, empty": ({"shape": []}, "shape=[]; expected list of int"),
    "shape, fractions": ({"shape": [1.0, 8.0]}, "shape=[1.0, 8.0]; expected list of int"),
    "shape, nested": ({"shape": [[1], 8, 8]}, "shape=[[1], 8, 8]; expected list of int"),
    "shape, huge": ({"shape": [1, 10**9, 10**9]}, "expected list of int, each positive and none h"),
    "shape, large": ({"shape": [1, 9000, 9000]}, "expected list of int, each positive and none h"),
    "shape, negative": ({"shape": [1, -8, -8]}, "expected list of int, each positive and none h"),
    "shape, zero": ({"shape": [0, 8, 8]}, "expected list of int, each positive and none huge"),
    "shape, two": ({"shape": [8, 8]}, "notes inputs of shape (8, 8); small_cnn's are like (1, 8"),
    "normalized": ({"normalized": "no"}, "normalized='no'; expected bool"),
    "preprocessing": ({"preprocessing": {"a": 1}}, "expected str or NoneType"),
    "architecture": ({"architecture": ["small_cnn"]}, "belong to ['small_cnn'], not to small_cnn"),
    "classes, a text": ({"classes": "abc"}, "classes='abc'; expected list of str or NoneType"),
    "classes, numbers": ({"classes": [1, 2]}, "classes=[1, 2]; expected list of str or NoneType"),
    "columns": ({"columns": 7}, "columns=7; expected list of str or NoneType"),
    "hash": ({"sha256": "0" * 64}, "was altered: its content no longer matches its hash"),
    "hash, a number": ({"sha256": 5}, "was altered: its content no longer matches its hash"),
    "tied, a number": ({"tied": 7}, "tied=7; expected dict of str"),
    "tied, unknown": ({"tied": {"a": "b"}}, "its note has a and b as one; they differ"),
    "tied, different": ({"tied": {HEAD: FIRST}}, f"{HEAD} and {FIRST} as one; they differ"),
}


@pytest.mark.parametrize("kind", NOTES)
def test_a_note_of_another_kind_is_refused(tmp_path, kind):
    note, sentence = NOTES[kind]
    text = note if isinstance(note, str) else json.dumps(note)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(STATE, path, metadata={"transferlab": text})
    assert sentence in refused(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"transferlab": "{}"}])
def test_files_from_elsewhere_need_no_note(tmp_path, metadata):
    safetensors.torch.save_file(STATE, tmp_path / "w.safetensors", metadata=metadata)
    assert load_backbone("small_cnn", tmp_path / "w.safetensors").num_classes == 10


# ---- advice that works ---------------------------------------------------------------------------


def test_a_network_of_other_widths_reads_its_weights_as_the_sentence_says(tmp_path):
    from transferlab import models

    path = tmp_path / "mine.safetensors"
    mine = mlp(3, (1, 8, 8), widths=(16,))
    save_weights(mine, path)
    advice = refused(path, "mlp").partition("reads it with ")[2].rstrip(".")
    model = models.mlp(3, (1, 8, 8), widths=(16,))
    exec(advice, {"model": model, "models": models})
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(x), mine(x))


def test_layers_that_share_a_tensor_share_it_again(tmp_path):
    model = small_cnn(3)
    model.features.block2.bn.weight = model.features.block1.bn.weight
    nn.init.uniform_(model.features.block1.bn.weight)
    save_weights(model, tmp_path / "w.safetensors")
    again = load_backbone("small_cnn", tmp_path / "w.safetensors", num_classes=2)
    assert again.features.block2.bn.weight is again.features.block1.bn.weight
    assert torch.equal(again.features.block2.bn.weight, model.features.block1.bn.weight)
    tied = small_cnn(3)  # and where the network itself ties them
    tied.features.block2.bn.weight = tied.features.block1.bn.weight
    tied.load_state_dict(read_weights(tmp_path / "w.safetensors"))
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(tied.eval()(x), model.eval()(x))

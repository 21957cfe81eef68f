"""What a practitioner might do: right, or one sentence; never wrong in silence."""

import functools
import math
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from transferlab import InputError, data, evaluate, fit, freeze, load_backbone, models, predict
from transferlab.data import MemoryDataset
from transferlab.features import train_head
from transferlab.metrics import cross_entropy_with
from transferlab.select import rank_models

PETS = ["cat", "dog", "eel"]


def pets(n: int = 30, classes=PETS, columns=("kg", "cm"), name: str = "pets") -> MemoryDataset:
    """Three classes that two columns tell apart."""
    y = torch.arange(n) % len(classes)
    x = F.one_hot(y, 3)[:, :2].float() + 0.1 * torch.randn(
        n, 2, generator=torch.Generator().manual_seed(0)
    )
    return MemoryDataset(x, y, classes, name, columns)


def table_model() -> models.Backbone:
    torch.manual_seed(0)
    return models.mlp(3, shape=2, widths=(16,))


@pytest.fixture(scope="module")
def trained() -> models.Backbone:
    model = table_model()
    fit(model, pets(), epochs=40, lr=1e-2)
    return model


# ---- names travel --------------------------------------------------------------------------------


def test_the_model_learns_the_names_with_the_numbers(trained):
    assert (trained.classes, trained.columns, trained.trained_on) == (PETS, ["kg", "cm"], "pets")
    assert evaluate(trained, pets()).accuracy == 1
    trained_again = models.mlp(3, shape=2)
    trained_again.replace_head(4)
    assert trained_again.classes is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (pets(classes=["cat", "eel"]), "number 1 of the classes is 'eel'; expected 'dog', as in"),
        (pets(classes=["dog", "cat", "eel"]), "number 0 of the classes is 'dog'; expected 'cat'"),
        (pets(columns=("cm", "kg")), "number 0 of the columns is 'cm'; expected 'kg'.*columns=tra"),
        (pets(columns=("kg", "m")), "number 1 of the columns is 'm'; expected 'cm'"),
        (data.subset(pets(columns=("cm", "kg")), torch.arange(9)), "number 0 of the columns"),
    ],
)
def test_other_names_are_refused_wherever_data_meets_the_model(trained, given, sentence):
    with pytest.raises(InputError, match=sentence):
        evaluate(trained, given)
    with pytest.raises(InputError, match=sentence):
        predict(trained, given)
    with pytest.raises(InputError, match=sentence):
        fit(table_model(), pets(), val=given, epochs=1)


@pytest.mark.parametrize(
    "given",
    [
        pets(classes=["cat", "dog"]),  # the first ones in the same order
        pets(classes=["0", "1", "2"]),  # mere numbers
        pets(columns=None),
        TensorDataset(pets().x, pets().y),
    ],
)
def test_data_without_names_or_with_fewer_passes(trained, given):
    assert evaluate(trained, given).accuracy == 1
    fit(table_model(), pets(), val=given, epochs=1)


def test_a_head_trained_on_the_task_is_not_ranked_for_it():
    digits = data.digits()
    few = data.few_shot(digits, 5)
    model = load_backbone("small_cnn", "letters")
    rank_models({"a": model, "b": load_backbone("small_cnn", "letters")}, few, scores=["leep"])
    ready = load_backbone("small_cnn", "letters", num_classes=10)
    freeze(ready)
    train_head(ready, few, epochs=1)
    with pytest.raises(InputError, match="'ready' has a head that was trained on digits, the data"):
        rank_models({"ready": ready, "b": model}, few, scores=["leep"])


# ---- the last step is guarded --------------------------------------------------------------------


def test_fit_leaves_a_model_that_predicts(trained):
    assert not any(module.training for module in trained.modules())


@pytest.mark.parametrize("spoil_epoch", [0, 2])
def test_after_nan_the_weights_of_the_epoch_before_are_back(spoil_epoch):
    model, kept = table_model(), []

    def spoil(model, epoch):
        kept.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    def loss_fn(model, batch):
        loss = F.cross_entropy(model(batch[0]), batch[1])
        return loss * math.nan if len(kept) == spoil_epoch + 1 else loss

    sentence = f"the loss became nan in epoch {spoil_epoch + 1}; .*before that epoch again"
    with pytest.raises(InputError, match=sentence):
        fit(model, pets(), epochs=5, loss_fn=loss_fn, unfreeze=spoil)
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in kept[spoil_epoch].items())


def test_weights_that_explode_in_the_last_step_are_noticed():
    model = table_model()
    before = model.head.weight.clone()

    def loss_fn(model, batch):
        return 1e38 * (1e38 * model(batch[0]).mean())  # finite or not, its gradient is infinite

    with pytest.raises(InputError, match=r"became .*in epoch 1"):
        fit(model, pets(), steps=1, loss_fn=loss_fn, optimizer=torch.optim.SGD)
    assert torch.equal(model.head.weight, before)
    model.head.weight.data.fill_(math.nan)
    with pytest.raises(InputError, match="the model holds NaN or infinite weights"):
        fit(model, pets(), epochs=1)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, functools.partial(torch.optim.SGD)])
def test_the_rate_of_fit_is_the_rate_of_a_torch_optimizer(optimizer):
    """One step of plain gradient descent by hand, with the rate 0.1 and not torch's own 0.001."""
    model, by_hand = table_model(), table_model()
    batch = pets()
    F.cross_entropy(by_hand(batch.x), batch.y).backward()
    fit(model, batch, steps=1, batch_size=30, optimizer=optimizer, lr=0.1)
    for parameter, other in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(parameter, other - 0.1 * other.grad)


def test_a_function_that_makes_an_optimizer_keeps_its_own_rate():
    made = []

    def make(groups):
        made.append(torch.optim.SGD(groups, lr=0.25))
        return made[0]

    fit(table_model(), pets(), epochs=1, optimizer=make, lr=0.1)
    fit(table_model(), pets(), epochs=1, optimizer=functools.partial(torch.optim.SGD, lr=0.25))
    assert made[0].param_groups[0]["lr"] == 0.25


# ---- no foreign exception ------------------------------------------------------------------------


def batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"train": DataLoader(pets())}, "found a DataLoader.*loader.dataset"),
        ({"val": DataLoader(pets())}, "found a DataLoader.*loader.dataset"),
        ({"train": (pets().x, pets().y)}, r"found a tuple; .*MemoryDataset\(x, y, classes\)"),
        ({"train": pets().x}, "found a Tensor; expected a data set"),
        ({"train": pets().x.numpy()}, "found a ndarray; expected a data set"),
        ({"loss_fn": nn.CrossEntropyLoss(weight=torch.ones(3))}, "cross_entropy_with"),
        ({"loss_fn": F.cross_entropy}, r"cross_entropy_with\(weight="),
        ({"loss_fn": nn.MSELoss()}, r"fit calls loss_fn\(model, batch\)"),
        ({"loss_fn": lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="none")}, "their mean"),
        ({"loss_fn": lambda m, b: b[0].sum()}, "depends on no trainable parameter"),
        ({"model": batch_norm(), "batch_size": 29}, "batch of one sample; choose another batch"),
        ({"model": nn.Linear(2, 3), "train": MemoryDataset(pets().x.double(), pets().y, PETS)},
         r"different types of numbers; .*x\.float\(\)"),
        ({"model": nn.Linear(2, 2)}, "the data has label 2, but the model has 2 outputs"),
        ({"val": MemoryDataset(pets().x, pets().y + 1, [*PETS, "fox"])}, "label 3, but the model"),
        ({"lr": 0.0}, "expected a positive learning rate"),
        ({"lr": "0.1"}, "expected a number"),
        ({"epochs": 0}, "expected a whole number, at least 1"),
        ({"epochs": 1.5}, "expected a whole number"),
        ({"batch_size": 0}, "batch_size=0: expected at least 1"),
        ({"optimizer": "adamm"}, "optimizer='adamm' is unknown; expected one of adam"),
    ],
)  # fmt: skip
def test_what_fit_cannot_use_gets_one_sentence(change, sentence):
    arguments = {"model": table_model(), "train": pets(), "epochs": 1, **change}
    with pytest.raises(InputError, match=sentence) as caught:
        fit(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "train",
    [
        MemoryDataset(pets().x.double(), pets().y, PETS),
        MemoryDataset(np.asarray(pets().x), np.asarray(pets().y), PETS),
        TensorDataset(pets().x, pets().y),
        torch.utils.data.Subset(pets(), range(20)),
        torch.utils.data.ConcatDataset([pets(), pets()]),
    ],
)
def test_what_fit_can_use_trains(train):
    history = fit(table_model(), train, epochs=80, lr=1e-2)
    assert history.loss[-1] < history.loss[0] / 2


def test_weights_of_classes_and_smoothed_labels_are_those_of_torch():
    model, batch, weight = table_model(), (pets().x, pets().y), torch.tensor([1.0, 2.0, 5.0])
    for options in ({"weight": weight}, {"label_smoothing": 0.1}, {}):
        expected = nn.CrossEntropyLoss(**options)(model(batch[0]), batch[1])
        assert torch.equal(cross_entropy_with(**options)(model, batch), expected)
    fit(model, pets(), epochs=1, loss_fn=cross_entropy_with(weight=[1, 2, 5]))
    with pytest.raises(InputError, match=r"weight has shape \(2,\); expected one number for each"):
        fit(model, pets(), epochs=1, loss_fn=cross_entropy_with(weight=[1, 2]))
    with pytest.raises(InputError, match="label_smoothing=2"):
        cross_entropy_with(label_smoothing=2)


def test_shared_layers_train_as_one():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(2, 3))
    assert fit(model, pets(), epochs=30, lr=1e-2).loss[-1] < 1
    assert model[0] is model[2]


# ---- predict -------------------------------------------------------------------------------------


def test_a_table_is_read_by_the_names_of_its_columns(trained):
    frame = {"note": ["a", "b", "c"], "cm": [0.0, 1.0, 0.0], "kg": [1, 0, 0]}
    found = predict(trained, frame)
    assert found.labels == PETS and found.classes == PETS and found.inputs == ["0", "1", "2"]
    assert found.probabilities.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert found.rows()[0] == ["input", "class", *PETS]
    assert str(found).splitlines()[2].split()[:2] == ["0", "cat"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kg": [1.0]}, "the table has no column 'cm'; it has kg"),
        ({"kg": ["heavy"], "cm": [1]}, "the table holds what is no number: .*heavy"),
        ({"kg": [math.nan], "cm": [1]}, "sample 0 holds NaN"),
        ({"kg": [1, 2], "cm": [1]}, "the table holds what is no number|same shape"),
        (3, "found a int; expected a folder, image files, a table or a data set"),
        ([], "found a list; expected a folder"),
        (torch.zeros(2), "found a Tensor; expected"),
        ("nowhere.png", "this model has no transform for pictures"),
    ],
)
def test_what_cannot_be_predicted_gets_one_sentence(trained, given, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        predict(trained, given)
    assert "\n" not in str(caught.value)


@pytest.fixture
def colours(tmp_path):
    """Plain red and blue photos; a model that has learned which is which."""
    rng = np.random.default_rng(0)
    for i in range(12):
        name, colour = ("blue", (0, 0, 200)) if i % 2 else ("red", (200, 0, 0))
        file = tmp_path / "photos" / name / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 50, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(noise + np.array(colour, np.uint8)).save(file)
    torch.manual_seed(0)
    model = models.small_cnn(2, (3, 16, 16))
    train = data.in_memory(data.image_folder(tmp_path / "photos", model.transform), workers=0)
    fit(model, train, epochs=10)
    return model, tmp_path / "photos"


def test_photos_are_predicted_in_the_order_given(colours, tmp_path):
    model, folder = colours
    files = [folder / "red" / "2.png", str(folder / "blue" / "1.png"), folder / "red" / "0.png"]
    found = predict(model, files)
    assert found.labels == ["red", "blue", "red"]
    assert found.inputs == [str(file) for file in files]
    everything = predict(model, folder)
    assert everything.labels == ["blue"] * 6 + ["red"] * 6
    assert predict(model, data.image_folder(folder, model.transform)).labels == everything.labels
    assert predict(model, files[0]).labels == ["red"]
    everything.write_csv(tmp_path / "found.csv")
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert lines[0] == "input,class,blue,red" and lines[1].split(",")[1] == "blue"


def test_files_that_are_no_photos_are_named(colours, tmp_path):
    model, folder = colours
    (folder / "notes.txt").write_text("x")
    with pytest.warns(UserWarning, match=r"left out, not images: notes\.txt"):
        assert len(predict(model, folder)) == 12
    with pytest.raises(InputError, match=r"notes\.txt is damaged or not an image"):
        predict(model, [folder / "notes.txt"])
    with pytest.raises(InputError, match=r"nowhere\.png cannot be read: No such file"):
        predict(model, tmp_path / "nowhere.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no images"):
        predict(model, tmp_path / "empty")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(predict(model, folder / "red")) == 6


def test_weights_carry_names_and_preparation_to_the_next_process(colours, tmp_path):
    model, folder = colours
    models.save_weights(model, tmp_path / "colours.safetensors")
    again = load_backbone("small_cnn", tmp_path / "colours.safetensors")
    assert (again.classes, again.shape) == (["blue", "red"], (3, 16, 16))
    assert torch.equal(predict(again, folder).probabilities, predict(model, folder).probabilities)

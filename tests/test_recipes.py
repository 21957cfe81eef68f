"""The recipes of the shipped checkpoints: repeatable, and described by their cards."""

import json

import pytest
import torch

from transferlab import InputError, evaluate, load_backbone
from transferlab.applications.text import TOKEN, docstrings, encode, unlabelled_docstrings
from transferlab.data import letters
from transferlab.device import seeded
from transferlab.files import sha256
from transferlab.metrics import mean_loss
from transferlab.models import MaskedLanguageModel, card, shipped
from transferlab.models.transformer import SPECIAL
from transferlab.pretrain import guess_tokens
from transferlab.recipes import RECIPES, make_checkpoint

FIELDS = {
    "name",
    "architecture",
    "shape",
    "classes",
    "parameters",
    "data",
    "objective",
    "command",
    "seed",
    "steps",
    "batch_size",
    "metrics",
    "precision",
    "torch",
    "date",
    "license",
    "sha256",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The first recipe, cut to three steps, twice."""
    folders = [tmp_path_factory.mktemp(name) / "new" for name in ("one", "two")]
    for number, folder in enumerate(folders):
        torch.manual_seed(number)  # what was drawn before does not matter
        make_checkpoint("letters", folder, steps=3)
    return folders


def test_the_same_command_makes_the_same_file(made):
    one, two = (sha256(folder / "letters.safetensors") for folder in made)
    assert one == two


def test_another_seed_makes_another_file(made, tmp_path):
    path = make_checkpoint("letters", tmp_path, steps=3, seed=1)
    assert sha256(path) != sha256(made[0] / "letters.safetensors")


def test_the_card_says_everything_and_nothing_is_left_over(made):
    about = json.loads((made[0] / "letters.json").read_text(encoding="utf-8"))
    assert about.keys() >= FIELDS
    assert about["sha256"] == sha256(made[0] / "letters.safetensors")
    assert (about["steps"], about["seed"], about["batch_size"]) == (3, 0, 256)
    assert about["command"] == "transferlab pretrain letters --steps 3 --seed 0 --to FOLDER"
    assert sorted(p.name for p in made[0].iterdir()) == ["letters.json", "letters.safetensors"]


def test_an_unknown_recipe_is_refused(tmp_path):
    with pytest.raises(InputError, match="recipe 'leters' is unknown; expected one of letters, le"):
        make_checkpoint("leters", tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_default_number_of_steps_is_the_recipes(made):
    assert RECIPES["letters"].steps == card("letters")["steps"]
    assert (RECIPES.keys(), len(RECIPES)) == (dict.fromkeys(shipped()).keys(), len(shipped()))


@pytest.mark.parametrize("name", [name for name in sorted(RECIPES) if name != "docstrings"])
def test_a_shipped_checkpoint_is_as_good_as_its_card_says(name):
    about = card(name)
    assert about.keys() >= FIELDS
    channels, size, _ = about["shape"]
    model = load_backbone(about["architecture"], name)
    assert model.shape == tuple(about["shape"])
    assert sum(p.numel() for p in model.parameters()) == about["parameters"]
    unseen = letters(5000, seed=about["seed"] + 1_000_000, size=size, channels=channels)
    if name != "letters":
        unseen = unseen.subset(torch.arange(500))
    found = evaluate(model, unseen, device="cpu").accuracy
    said = about["metrics"]["accuracy on 5,000 unseen letters"]
    # the smaller one on the same 5,000 letters; the larger on 500 of them: three standard errors
    assert found == pytest.approx(said, abs=0.002 if name == "letters" else 0.054)


def test_the_network_for_texts_guesses_words_as_well_as_its_card_says():
    """Other versions of the packages have other passages, so the number may differ a little."""
    about = card("docstrings")
    assert about.keys() >= FIELDS
    model = load_backbone("text_transformer", "docstrings", num_classes=4)
    assert (model.shape, model.num_classes) == (tuple(about["shape"]), 4)
    unseen = encode(docstrings("test"), about["vocabulary"], length=32)
    with seeded(0):
        found = mean_loss(MaskedLanguageModel(model), unseen, guess_tokens(), device="cpu")
    said = about["metrics"]["loss at the hidden tokens of unseen passages"]
    assert found == pytest.approx(said, abs=0.3)


def test_the_vocabulary_of_the_shipped_network_is_a_list_of_plain_words():
    """No passage may be in the repository; single words may."""
    words = card("docstrings")["vocabulary"]
    assert words[:3] == list(SPECIAL) and len(words) == len(set(words)) == 2048
    assert all(TOKEN.fullmatch(word) for word in words[3:])
    read = {
        token for text in unlabelled_docstrings().texts for token in TOKEN.findall(text.lower())
    }
    assert len(set(words[3:]) - read) < 100  # other versions of the packages, other words


def test_the_recipe_for_texts_can_be_run(tmp_path):
    path = make_checkpoint("docstrings", tmp_path, steps=2)
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert about["objective"].startswith("masked tokens")
    words = len(about["vocabulary"])
    assert load_backbone("text_transformer", path).features.token.num_embeddings == words

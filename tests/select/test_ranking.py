"""The ranking of models: the right inputs for each score, noise, cost, and real fine-tuning."""

import inspect

import numpy as np
import pytest
import torch

from transferlab import InputError, freeze, load_backbone, plots, select
from transferlab.data import digits, few_shot, split
from transferlab.models import small_cnn
from transferlab.select import SCORES, fine_tuned_accuracy, rank_correlation, rank_models
from transferlab.select.ranking import _card_accuracy

QUICK = ("logme", "leep", "nce")


@pytest.fixture(scope="module")
def parts():
    train, val, _ = split(digits(), (0.4, 0.1, 0.5), seed=0)
    return few_shot(train, 5, seed=0), val


@pytest.fixture(scope="module")
def models():
    networks = {"letters": load_backbone("small_cnn", "letters")}
    for seed in range(2):
        networks[f"random {seed}"] = load_backbone("small_cnn", num_classes=37, seed=seed)
    return networks


@pytest.fixture(scope="module")
def ranking(models, parts):
    return rank_models(models, parts[0], shuffles=2, device="cpu")


@pytest.fixture(scope="module")
def compared(models, parts):
    runs = {"letters": [0.9, 0.92], "random 0": [0.5, 0.6], "random 1": [0.6, 0.7]}
    return rank_models(models, parts[0], scores=QUICK, fine_tuned=runs, device="cpu")


def test_every_score_sees_what_it_needs(models, parts, ranking):
    train = parts[0]
    for name, model in models.items():
        model.eval()
        with torch.no_grad():
            features, says = model.forward_features(train.x), model(train.x).double().softmax(1)
        expected = {s: SCORES[s](features, train.y) for s in ("logme", "h_score", "knn")}
        expected["linear_probe"] = select.linear_probe(features, train.y)
        expected["leep"] = select.leep(says, train.y)
        expected["nce"] = select.nce(says.argmax(1), train.y)
        assert ranking.scores[name] == pytest.approx(expected, rel=1e-4)
    assert ranking.score_names == list(SCORES)
    assert ranking.order[0] == "letters"


def test_noise_is_measured_for_every_score_and_model(ranking):
    for name in ranking.scores:
        assert all(len(ranking.noise[name][score]) == 2 for score in SCORES)
    for score in SCORES:
        assert ranking.beats_noise("letters", score)
        assert ranking.scores["letters"][score] > np.mean(ranking.noise["letters"][score])
    assert np.mean(ranking.noise["letters"]["linear_probe"]) < 0.25  # 10 classes


def test_a_score_that_is_no_better_than_noise_is_marked(models, parts):
    train = parts[0]
    mixed = train.y[torch.randperm(50, generator=torch.Generator().manual_seed(5))]
    noise = type(train)(train.x, mixed, train.classes, "digits with random labels")
    found = rank_models(models, noise, scores=("logme", "knn"), shuffles=9, device="cpu")
    marked = [not found.beats_noise(m, s) for m in models for s in ("logme", "knn")]
    assert sum(marked) >= 4  # of 6; a tenth of them beats nine shuffles by luck
    assert repr(found).count("°") == sum(marked) + 1  # and the sentence that explains it


def test_the_models_and_the_generators_are_left_alone(parts):
    model = small_cnn(37).train()
    freeze(model, until="block3")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained = [p.requires_grad for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    before = torch.get_rng_state()
    found = rank_models(
        {"one": model},
        parts[0],
        scores=("logme",),
        fine_tuned=lambda m, s: fine_tuned_accuracy(m, *parts, steps=2, seed=s, device="cpu"),
        seeds=[0],
        device="cpu",
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(t, state[name]) for name, t in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == trained
    assert [m.training for m in model.modules()] == modes
    assert model.num_classes == 37
    assert found.cost["one"].trainable < found.cost["one"].parameters
    assert "Kendall" not in repr(found)  # one model has no order


def test_the_same_ranking_twice(models, parts, ranking):
    same, other = (
        rank_models(models, parts[0], scores=QUICK, shuffles=2, seed=seed, device="cpu")
        for seed in (0, 1)
    )
    for name in models:
        for score in QUICK:
            assert same.scores[name][score] == ranking.scores[name][score]
            assert same.scores[name][score] == other.scores[name][score]
            assert same.noise[name][score] == ranking.noise[name][score]
        assert same.noise[name]["logme"] != other.noise[name]["logme"]


def test_there_is_no_way_to_pass_test_data():
    for function in (rank_models, fine_tuned_accuracy):
        assert not [name for name in inspect.signature(function).parameters if "test" in name]


def test_scores_are_compared_with_real_accuracies(compared):
    accuracies = [0.91, 0.55, 0.65]
    logmes = [compared.scores[m]["logme"] for m in ("letters", "random 0", "random 1")]
    assert compared.correlations()["logme"] == rank_correlation(logmes, accuracies)
    noise = [np.mean(compared.noise[m]["logme"]) for m in ("letters", "random 0", "random 1")]
    assert compared.noise_correlations()["logme"] == rank_correlation(noise, accuracies)
    assert compared.order == ["letters", "random 1", "random 0"]


def test_real_accuracies_can_be_measured(models, parts):
    calls = []

    def measure(model, seed):
        calls.append(seed)
        return fine_tuned_accuracy(model, *parts, steps=15, lr=3e-3, seed=seed, device="cpu")

    some = {name: models[name] for name in ("letters", "random 0")}
    found = rank_models(some, parts[0], scores=("nce",), fine_tuned=measure, seeds=(3, 4))
    assert calls == [3, 4, 3, 4]
    assert found.fine_tuned["letters"][1] == measure(some["letters"], 4)
    assert min(found.fine_tuned["letters"]) > max(found.fine_tuned["random 0"])


def test_a_frozen_model_is_fine_tuned_as_a_whole(models, parts):
    frozen = load_backbone("small_cnn", "letters")
    freeze(frozen)
    options = {"steps": 5, "seed": 0, "device": "cpu"}
    assert fine_tuned_accuracy(frozen, *parts, **options) == fine_tuned_accuracy(
        models["letters"], *parts, **options
    )


def test_the_sources_own_accuracy_comes_from_the_card(models, parts, ranking):
    assert ranking.source_accuracy == {"letters": 0.8122}
    assert "81.2%" in repr(ranking)
    given = {"random 0": 0.03, "random 1": 0.02}
    found = rank_models(
        models,
        parts[0],
        scores=("nce",),
        fine_tuned={"letters": [0.9], "random 0": [0.7], "random 1": [0.6]},
        source_accuracy=given,
    )
    assert found.source_accuracy == {"letters": 0.8122, **given}
    assert found.correlations()["source accuracy"].kendall == 1
    imagenet = load_backbone("mobilenet_v3_small", num_classes=2)
    assert _card_accuracy(imagenet) is None
    imagenet.weights = "IMAGENET1K_V1"
    assert _card_accuracy(imagenet) == pytest.approx(0.67668)


def test_the_table_shows_everything(ranking, compared):
    text = repr(ranking)
    for word in ("digits: 50 samples, 10 classes", "shuffled labels, highest", "MFLOPs", "letters"):
        assert word in text
    assert "Kendall" not in text
    assert "counted" in text and "batch size 1" in text
    text = repr(compared)
    for word in ("Kendall τ", "p of τ", "weighted τ", "Spearman ρ", "91.0 [78.3, 103.7]"):
        assert word in text
    assert "With 3 models chance alone reaches any τ too often" in text
    table = text.split("\n\n")[1].splitlines()
    assert len({len(line) for line in table[:2]}) == 1


def test_enough_models_may_prove_something(parts):
    networks = {f"<b>{i}": load_backbone("small_cnn", num_classes=5, seed=i) for i in range(6)}
    runs = {name: [0.5 + i / 100] for i, name in enumerate(networks)}
    found = rank_models(networks, parts[0], scores=("nce", "leep"), fine_tuned=runs)
    assert "With 6 models τ must reach 0.87 for p ≤ 0.05" in repr(found)
    assert "2 columns are 2 chances to be lucky" in repr(found)
    page = found._repr_html_()
    assert page.count("<tr>") == repr(found).count("<b>") + 2 + 6
    assert "&lt;b&gt;0" in page and "<b>" not in page


def test_a_ranking_is_drawn_with_its_noise_and_its_correlations(ranking, compared):
    figure = plots.ranking(ranking, alt="Three models.").figure
    assert [axis.get_xlabel() for axis in figure.axes] == list(SCORES)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ranking.order
    noise, measured = figure.axes[0].containers
    logme = [ranking.scores[model]["logme"] for model in ranking.order]
    assert measured.lines[0].get_xdata().tolist() == logme
    shuffled = [ranking.noise[model]["logme"] for model in ranking.order]
    assert noise.lines[0].get_xdata().tolist() == pytest.approx([np.mean(s) for s in shuffled])
    ends = [segment[:, 0].tolist() for segment in noise.lines[2][0].get_segments()]
    assert np.allclose(ends, [[min(s), max(s)] for s in shuffled])

    plot = plots.ranking(compared, alt="Three models.")
    assert plot.alt == "Three models."
    first, second, *_ = plot.figure.axes
    assert first.get_xlabel() == "fine-tuned (%)" and len(first.containers) == 1
    tau = compared.correlations()["logme"].kendall
    assert second.get_xlabel() == f"logme\nτ = {tau:.2f}"
    best = compared.fine_tuned[compared.order[0]]
    assert first.containers[0].lines[0].get_xdata()[0] == pytest.approx(100 * np.mean(best))
    with pytest.raises(InputError, match="found Ranking with 1 panels; expected a Ranking alone"):
        plots.ranking(compared, {"accuracy (%)": []}, alt="Three models.")


def test_features_are_kept_when_asked_for(models, parts, tmp_path, ranking):
    one = {"letters": models["letters"]}
    for _ in range(2):
        found = rank_models(one, parts[0], scores=("logme",), cache=tmp_path)
        expected = ranking.scores["letters"]["logme"]
        assert found.scores["letters"]["logme"] == pytest.approx(expected, rel=1e-4)
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scores": ("logme", "luck")}, "score 'luck' is unknown; expected some of logme, h_score"),
        ({"scores": ()}, "found 1 models and 0 scores; expected some"),
        ({"shuffles": 0}, "shuffles=0: expected 1 or more; noise is part of the table"),
        ({"fine_tuned": {"b": [0.5]}}, "must have the same names; 'a' is in only one"),
        ({"fine_tuned": {"a": []}}, r"fine_tuned\['a'\] must be accuracies in 0..1, one per run"),
        ({"fine_tuned": {"a": [93.4]}}, r"accuracies in 0..1, one per run; found \[93.4\]"),
        ({"source_accuracy": {"c": 0.5}}, "source_accuracy names 'c', which is not among"),
    ],
)
def test_bad_requests_get_one_sentence(parts, options, sentence):
    with pytest.raises(InputError, match=sentence):
        rank_models({"a": small_cnn()}, parts[0], **options)


def test_a_class_with_one_sample_is_named(models, parts):
    one_each = few_shot(parts[0], 1)
    with pytest.raises(InputError, match=r"class 0 has 1 sample.*logme, h_score and knn need one"):
        rank_models(models, one_each, scores=("linear_probe",))
    assert rank_models(models, one_each, scores=("logme",)).scores

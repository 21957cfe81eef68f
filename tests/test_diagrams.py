"""Drawings: words fit, the numbers are those of the models, bad input is refused."""

import base64
import importlib.util
import itertools
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
import torch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Bbox
from PIL import ImageFont
from torch import nn

from transferlab import InputError, freeze, load_backbone
from transferlab.applications.detection import Detector
from transferlab.applications.segmentation import UNet
from transferlab.finetune import blocks
from transferlab.models import (
    GAN,
    Autoencoder,
    Backbone,
    Encoder,
    Generator,
    Projector,
    add_lora,
    mlp,
    narrow_inception,
    narrow_resnet50,
    narrow_vgg16,
    resnet20,
    small_cnn,
    text_transformer,
)
from transferlab.plots import diagrams
from transferlab.plots.drawing import Drawing, sketch

SVG = "{http://www.w3.org/2000/svg}"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LONG = "Donaudampfschifffahrtsgesellschaft & <sons>"


def frozen(until: str) -> Backbone:
    model = small_cnn()
    freeze(model, until)
    return model


def with_lora() -> Backbone:
    model = frozen("head")
    add_lora(model, rank=4, alpha=4)
    return model


def deep() -> Backbone:
    """Five sizes of maps, with many channels."""
    layers = [nn.Sequential(nn.Conv2d(w, 2 * w, 3, 2, 1)) for w in (3, 6, 12, 24, 48)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Backbone(nn.Sequential(*layers), 96, 2, shape=(3, 64, 64), name=LONG)


def attends(words: list[str], seed: int = 0) -> Drawing:
    scores = torch.randn(len(words), len(words), generator=torch.Generator().manual_seed(seed))
    return diagrams.attention(words, (2 * scores).softmax(dim=1), len(words) - 1)


DRAWINGS = {
    "small_cnn": lambda: diagrams.network(small_cnn()),
    "resnet20": lambda: diagrams.network(resnet20()),
    "narrow_resnet50": lambda: diagrams.network(narrow_resnet50()),
    "narrow_vgg16": lambda: diagrams.network(narrow_vgg16()),
    "narrow_inception": lambda: diagrams.network(narrow_inception()),
    "mlp of a table": lambda: diagrams.network(mlp(3, 13)),
    "text_transformer": lambda: diagrams.network(text_transformer()),
    "encoder": lambda: diagrams.network(Encoder(small_cnn()), shape=(1, 8, 8)),
    "whole autoencoder": lambda: diagrams.network(Autoencoder(small_cnn()), shape=(1, 8, 8)),
    "long name": lambda: diagrams.network(deep()),
    "frozen until block3": lambda: diagrams.network(frozen("block3")),
    "frozen until the head": lambda: diagrams.network(frozen("head")),
    "LoRA in a network": lambda: diagrams.network(with_lora()),
    "head_swap": lambda: diagrams.head_swap(small_cnn(1000), 2),
    "head_swap, large": lambda: diagrams.head_swap(deep(), 21_843_123),
    "computation_graph": lambda: diagrams.computation_graph(w=0.5, x=2, b=1, y=3),
    "computation_graph, odd numbers": lambda: diagrams.computation_graph(
        -0.12345, 1234.5, -1e-5, 3
    ),
    "autoencoder": lambda: diagrams.autoencoder(Autoencoder(small_cnn(shape=(1, 28, 28)))),
    "autoencoder, wide": lambda: diagrams.autoencoder(Autoencoder(small_cnn(shape=(1, 4, 4)))),
    "gan": lambda: diagrams.gan(GAN(small_cnn(), Generator((1, 8, 8)))),
    "contrastive": lambda: diagrams.contrastive(Projector(small_cnn())),
    "unet": lambda: diagrams.unet(UNet(small_cnn(), 4)),
    "unet, deep": lambda: diagrams.unet(UNet(deep(), 1234)),
    "attention": lambda: attends(["the", "cat", "slept", "because", "it"]),
    "attention, long": lambda: attends([LONG] * 8),
    "attention, two": lambda: attends(["a", LONG]),
    "lora": lambda: diagrams.lora(64, 576, 4),
    "lora, large": lambda: diagrams.lora(128_256, 16_384, 1024),
    "detection_grid": lambda: diagrams.detection_grid(
        Detector(small_cnn(), 3), size=32, box=(5, 7, 24, 22)
    ),
    "detection_grid, fine": lambda: diagrams.detection_grid(
        Detector(small_cnn(), 1000), size=48, box=(0, 0, 3, 48)
    ),
    "gru": lambda: diagrams.gru(nn.GRU(24, 48)),
    "gru, large": lambda: diagrams.gru(nn.GRU(123_456, 654_321, device="meta")),
    "ctc_lattice": lambda: diagrams.ctc_lattice("meo", 9),
    "ctc_lattice, largest": lambda: diagrams.ctc_lattice("WWmm<&", 12),
    "two_towers": lambda: diagrams.two_towers(
        ["cat", "rocket"], ["a cat", "a rocket"], [[0.31, 0.12], [0.05, -0.33]]
    ),
    "two_towers, long": lambda: diagrams.two_towers([LONG] * 6, [LONG] * 6, torch.eye(6)),
}


@pytest.fixture(params=DRAWINGS, scope="module")
def drawing(request: pytest.FixtureRequest) -> Drawing:
    return DRAWINGS[request.param]()


def test_the_examples_of_the_docstring():
    names = {**vars(diagrams), "load_backbone": load_backbone, "small_cnn": small_cnn}
    names["Generator"] = Generator
    examples = re.findall("^>>> (.+)$", diagrams.__doc__, re.M)
    assert len(examples) == 13
    for example in examples:
        assert eval(example, names).alt


# ---- what a page gets ----------------------------------------------------------------------------


def test_it_is_an_image_with_its_text(drawing):
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(drawing._repr_html_())
    ((tag, attributes),) = tags
    assert tag == "img"
    assert attributes["alt"] == drawing.alt == repr(drawing)
    assert len(drawing.alt) > 60
    assert "&amp;" not in drawing.alt
    kind, source = attributes["src"].split(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(source).decode("utf-8") == drawing.svg


def test_it_is_small_and_stands_alone(drawing):
    root = ElementTree.fromstring(drawing.svg)
    assert root.find(f"{SVG}title").text == drawing.alt
    assert len(drawing.svg.encode()) <= 20_000
    ids = {element.get("id") for element in root.iter()}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("script", "image", "use", "style")
        for name, value in element.items():
            assert not name.endswith("href")
            assert "url(" not in value or re.fullmatch(r"url\(#(.+)\)", value)[1] in ids
    card = root.find(f"{SVG}rect")
    assert (card.get("width"), card.get("height"), card.get("fill")) == ("100%", "100%", "white")


# ---- words fit -----------------------------------------------------------------------------------


@cache
def font(bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONTS / f"DejaVuSans{'-Bold' * bold}.ttf", 200)


def extent(element: ElementTree.Element) -> Bbox:
    """Return where words stand, in DejaVu Sans, which is wider than Arial, Helvetica and Segoe."""
    size = float(element.get("font-size"))
    width = font(element.get("font-weight") == "bold").getlength(element.text) * size / 200
    left = (
        float(element.get("x"))
        - {"start": 0, "middle": 0.5, "end": 1}[element.get("text-anchor")] * width
    )
    base = float(element.get("y"))
    return Bbox([[left, base - 0.75 * size], [left + width, base + 0.22 * size]])


def corners(text: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def areas(root: ElementTree.Element) -> list[Outline]:
    """Return everything that words stand wholly inside of, or wholly outside of."""
    found = []
    for element in root.iter():
        place = {name: float(element.get(name, 0)) for name in ("x", "y", "cx", "cy", "r")}
        tag = element.tag.removeprefix(SVG)
        if tag == "rect" and element.get("width") != "100%":
            size = float(element.get("width")), float(element.get("height"))
            found.append(Bbox.from_bounds(place["x"], place["y"], *size))
        elif tag == "circle":
            side = 2 * place["r"]
            found.append(
                Bbox.from_bounds(place["cx"] - side / 2, place["cy"] - side / 2, side, side)
            )
        elif tag == "g" and element.get("class") == "lock":
            x, y = map(float, re.findall(r"[\d.]+", element.get("transform")))
            element.find(f"{SVG}rect").set("width", "0")  # it has coordinates of its own
            found.append(Bbox.from_bounds(x - 8, y - 10, 16, 19))
        elif tag == "polygon":
            points = corners(element.get("points"))
            found.append(Outline([*points, points[0]]))
    rectangles = [
        Outline(area.corners()[[0, 1, 3, 2, 0]]) for area in found if isinstance(area, Bbox)
    ]
    return rectangles + [area for area in found if isinstance(area, Outline)]


def strokes(root: ElementTree.Element) -> list[tuple[Outline, float]]:
    """Return all lines and arrows that are visible, with half their width."""
    found = []
    for element in root.iter():
        width = float(element.get("stroke-width", 1)) / 2
        if element.tag == f"{SVG}polyline":
            found.append((Outline(corners(element.get("points"))), width))
        elif element.tag == f"{SVG}path" and re.fullmatch(r"[ML\d. ]+", element.get("d")):
            for piece in element.get("d").split("M")[1:]:
                points = [tuple(map(float, point.split())) for point in piece.split("L")]
                found.append((Outline(points), width))
    return found


def faults(svg: str) -> list[str]:
    """Return a sentence for each word that does not fit, or that something covers."""
    root = ElementTree.fromstring(svg)
    height = float(root.get("height"))
    words = [(element.text, extent(element)) for element in root.iter(f"{SVG}text")]
    found = []
    for text, box in words:
        if box.x0 < 6 or box.x1 > 754 or box.y0 < 6 or box.y1 > height - 6:
            found.append(f"{text} leaves the card")
    for (text, box), (other, beside) in itertools.combinations(words, 2):
        if box.overlaps(beside):
            found.append(f"{text} covers {other}")
    for (text, box), (line, width) in itertools.product(words, strokes(root)):
        if line.intersects_bbox(box.padded(width), filled=False):
            found.append(f"a line crosses {text}")
    for (text, box), area in itertools.product(words, areas(root)):
        inside = area.contains_points(box.padded(2).corners())
        if area.intersects_bbox(box.padded(1), filled=True) and not inside.all():
            found.append(f"{text} sticks out of its box")
    return found


def test_words_fit_and_nothing_covers_them(drawing):
    assert faults(drawing.svg) == []


def test_words_are_large_enough_to_read(drawing):
    sizes = re.findall(r'font-size="([\d.]+)"', drawing.svg)
    assert len(sizes) > 3
    assert min(map(float, sizes)) >= 10.9


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (">block1<", f">{'block1' * 30}<", "leaves the card"),
        (">block5<", ">a block with quite a long name<", "sticks out of its box"),
        ('x="510', 'x="690', "covers"),
        ("<defs>", '<polyline points="285,80 285,360"/><defs>', "a line crosses input"),
    ],
)
def test_a_spoiled_drawing_is_found_out(old, new, fault):
    good = diagrams.network(small_cnn()).svg
    assert old in good
    assert any(fault in found for found in faults(good.replace(old, new))), faults(good)


# ---- the numbers are the models' -----------------------------------------------------------------


def texts(drawing: Drawing) -> list[str]:
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]


def table(drawing: Drawing) -> dict[str, list[str]]:
    """Return the rows of a network by height: block, output, parameters."""
    rows = {}
    for element in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text"):
        if element.get("fill") == "#1a1a1a":
            rows.setdefault(element.get("y"), []).append(element.text)
    return {name: rest for name, *rest in rows.values()}


def test_a_network_by_hand():
    rows = table(diagrams.network(small_cnn()))
    assert rows == {
        "small_cnn: 140,458 parameters": [],
        "input": ["1×8×8"],
        "block1": ["32×8×8", "352"],  # 9 · 1 · 32 + 2 · 32
        "block2": ["32×4×4", "9,280"],  # 9 · 32 · 32 + 2 · 32
        "block3": ["64×4×4", "18,560"],
        "block4": ["64×2×2", "36,992"],
        "block5": ["128×2×2", "73,984"],
        "head": ["10", "1,290"],
    }


@pytest.mark.parametrize(
    "make", [small_cnn, resnet20, narrow_resnet50, narrow_vgg16, narrow_inception, text_transformer]
)
def test_no_parameter_is_left_out(make):
    model = make()
    rows = list(table(diagrams.network(model)).items())[2:]
    assert sum(int(count.replace(",", "")) for _, (_, count) in rows) == sum(
        p.numel() for p in model.parameters()
    )
    for block, _ in rows:
        freeze(model, until=block)  # the names are those that `freeze` takes


def test_an_embedding_has_its_length():
    rows = table(diagrams.network(text_transformer()))
    assert rows["token"] == ["32×64", "131,072"]
    assert rows["position"] == ["32×64", "2,048"]


def test_a_network_of_timm():
    if importlib.util.find_spec("timm") is None:
        pytest.skip("needs timm")
    drawing = diagrams.network(load_backbone("efficientnet_lite0", num_classes=2, size=64))
    rows = table(drawing)
    assert rows["conv_stem"] == ["32×32×32", "928"]
    assert rows["conv_head"][0] == "1280×2×2"
    assert rows["head"] == ["2", "2,562"]
    assert faults(drawing.svg) == []


def test_drawing_leaves_the_model_as_it_was():
    model = small_cnn().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    diagrams.network(model)
    assert model.training and model.features.block1.bn.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not model.features.block1._forward_hooks


# ---- locks and gradients -------------------------------------------------------------------------


def lock_rows(drawing: Drawing) -> list[str]:
    """Return the names of the blocks beside which a lock stands."""
    root = ElementTree.fromstring(drawing.svg)
    heights = {
        float(element.get("y")): element.text
        for element in reversed(list(root.iter(f"{SVG}text")))
        if element.get("font-weight") == "bold"
    }
    locks = [float(g.get("transform")[:-1].split()[1]) for g in root.iter(f"{SVG}g")]
    return [heights[min(heights, key=lambda y: abs(y - lock))] for lock in locks]


@pytest.mark.parametrize("until", [name.removeprefix("features.") for name in blocks(small_cnn())])
def test_locks_stand_at_the_frozen_blocks(until):
    names = [name.removeprefix("features.") for name in blocks(small_cnn())]
    drawing = diagrams.network(frozen(until))
    assert lock_rows(drawing) == names[: names.index(until)]
    assert ("stops here" in texts(drawing)) == (until != "block1")
    assert drawing.alt.count("frozen") == names.index(until)


def test_a_lock_comes_from_the_parameters_themselves():
    model = small_cnn()
    model.features.block3.requires_grad_(False)
    drawing = diagrams.network(model)
    assert lock_rows(drawing) == ["block3"]
    assert "gradient" in texts(drawing)
    assert "stops here" not in texts(drawing)  # it goes through block3 to block1


def test_all_frozen_or_none():
    model = small_cnn()
    assert "gradient" not in texts(diagrams.network(model))
    model.requires_grad_(False)
    drawing = diagrams.network(model)
    assert len(lock_rows(drawing)) == 6
    assert "gradient" not in texts(drawing)
    assert "small_cnn: 140,458 parameters, 0 of them learn" in texts(drawing)


def test_matrices_of_lora_learn_in_frozen_blocks():
    drawing = diagrams.network(with_lora())
    assert lock_rows(drawing) == []
    assert table(drawing)["block1"][1] == "164 of 516 learn"  # 4 · (32 + 9) beside 352


def test_a_head_is_swapped_by_numbers():
    model = small_cnn(1000)
    said = texts(diagrams.head_swap(model, 2))
    assert {"128 → 1,000", "129,000 parameters", "128 → 2", "258 parameters"} <= set(said)
    assert model.num_classes == 1000


# ---- small numbers by hand -----------------------------------------------------------------------


def test_gradients_are_those_of_autograd():
    w, b = (torch.tensor(value, requires_grad=True) for value in (0.5, 1.0))
    ((w * 2 + b - 3) ** 2).backward()
    said = texts(diagrams.computation_graph(w=0.5, x=2, b=1, y=3))
    assert [words for words in said if words.startswith("gradient")] == [
        f"gradient −{-w.grad:g}",
        f"gradient −{-b.grad:g}",
    ]


def test_lines_are_as_wide_as_attention():
    weights = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    svg = diagrams.attention(["a", "b"], weights, 0).svg
    root = ElementTree.fromstring(svg)
    widths = [float(line.get("stroke-width")) for line in root.iter(f"{SVG}polyline")]
    assert widths == [4.5, 12.5]  # 0.5 and 16 times the weight
    assert {"25 %", "75 %"} <= set(texts(diagrams.attention(["a", "b"], weights, 0)))


def test_lora_counts_as_the_layer_does():
    model = mlp(2, 9, widths=(7,))
    freeze(model)
    add_lora(model, rank=3, alpha=3)
    learns = sum(p.numel() for p in model.features.parameters() if p.requires_grad)
    assert learns == 48
    assert "48 numbers learn," in texts(diagrams.lora(7, 9, 3))


def test_the_cells_around_an_object():
    def cells(box):
        root = ElementTree.fromstring(diagrams.detection_grid(model, size=32, box=box).svg)
        own = [r for r in root.iter(f"{SVG}rect") if r.get("fill-opacity") == "0.35"][:-1]
        return {(float(r.get("x")), float(r.get("y"))) for r in own}  # without the legend's

    model = Detector(small_cnn(), 3)  # cells of 4 pixels, drawn as 30
    assert cells((0, 0, 4, 4)) == {(40, 60)}  # around the middle of the first cell
    assert cells((4, 0, 12, 4)) == {(70, 60), (100, 60)}  # between the second and the third
    assert cells((2, 2, 6, 6)) == {(40, 60), (70, 60), (40, 90), (70, 90)}


@pytest.mark.parametrize(("text", "frames"), [("a", 1), ("ab", 4), ("aa", 4), ("aab", 5)])
def test_the_lattice_has_every_spelling(text, frames):
    """Against all strings of that length: those that mean the text visit just these nodes."""
    nodes, edges = set(), set()
    for said in itertools.product("–" + "".join(sorted(set(text))), repeat=frames):
        if collapsed(said) != text:
            continue
        place, path, before = 0, [], "–"
        for symbol in said:  # odd places are symbols, even ones the blanks between them
            if symbol != before:
                place += 2 if place % 2 and symbol != "–" else 1
            path.append(place)
            before = symbol
        nodes |= set(enumerate(path))
        edges |= {(t, *pair) for t, pair in enumerate(itertools.pairwise(path))}
    drawing = diagrams.ctc_lattice(text, frames)
    assert drawing.svg.count("<circle") == len(nodes)
    lattice = ElementTree.fromstring(drawing.svg).findall(f"{SVG}path")[0].get("d")
    assert lattice.count("M") == len(edges)


@pytest.mark.parametrize(("text", "frames"), [("meo", 3), ("meo", 9), ("eel", 4), ("aaa", 12)])
def test_the_bold_path_says_the_text(text, frames):
    drawing = diagrams.ctc_lattice(text, frames)
    path = re.search("The bold path says (.+);", drawing.alt)[1]
    assert len(path) == frames
    assert collapsed(path) == text


def collapsed(said) -> str:
    return "".join(symbol for symbol, _ in itertools.groupby(said)).replace("–", "")


def test_towers_mark_the_most_similar():
    drawing = diagrams.two_towers(["x", "y"], ["p", "q"], torch.tensor([[0.1, 0.4], [0.3, -0.2]]))
    assert "x is most similar to q, y is most similar to p." in drawing.alt
    assert {"0.10", "0.40", "0.30", "−0.20"} <= set(texts(drawing))


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: diagrams.network(Encoder(small_cnn())), "does not know its inputs' shape"),
        (lambda: diagrams.network(nn.ReLU(), shape=(3,)), "ReLU has no parameters"),
        (lambda: diagrams.network(small_cnn(), shape=(3, 8, 8)), "small_cnn expects inputs"),
        (lambda: diagrams.head_swap(small_cnn(), 0), "num_classes=0"),
        (lambda: diagrams.head_swap(nn.Linear(2, 2), 2), "found Linear; expected Backbone"),
        (lambda: diagrams.autoencoder(small_cnn()), "found Backbone; expected Autoencoder"),
        (lambda: diagrams.gan(small_cnn()), "expected GAN"),
        (lambda: diagrams.contrastive(small_cnn()), "expected Projector"),
        (lambda: diagrams.unet(small_cnn()), "expected UNet"),
        (lambda: diagrams.gru(nn.LSTM(2, 2)), "found LSTM; expected GRU"),
        (lambda: diagrams.detection_grid(small_cnn(), 32, (0, 0, 4, 4)), "expected Detector"),
        (
            lambda: diagrams.detection_grid(Detector(small_cnn(), 3), 32, (9, 0, 4, 4)),
            "left < right",
        ),
        (
            lambda: diagrams.detection_grid(Detector(small_cnn(), 3), 400, (0, 0, 4, 4)),
            "expected 1 to 12 cells of 4 pixels",
        ),
        (
            lambda: diagrams.detection_grid(Detector(small_cnn(), 3), 30, (0, 0, 4, 4)),
            "size=30",
        ),
        (lambda: diagrams.attention(["a", "b"], torch.eye(3), 0), r"weights \(3, 3\)"),
        (lambda: diagrams.attention(["a", "b"], torch.eye(2), 2), "word=2"),
        (lambda: diagrams.attention(["a", "b"], torch.ones(2, 2), 0), "row 0 sums to 2"),
        (lambda: diagrams.lora(8, 8, 9), "rank=9; expected 1 to 8"),
        (lambda: diagrams.ctc_lattice("aab", 3), "for this text 4 to 12 frames"),
        (lambda: diagrams.ctc_lattice("", 3), "0 symbols"),
        (lambda: diagrams.two_towers(["a"], ["b"], torch.eye(2)), "1 images, 1 texts"),
    ],
)
def test_bad_input_gets_a_sentence(draw, sentence):
    with pytest.raises(InputError, match=sentence):
        draw()


def test_a_sketch_names_every_value_that_it_needs():
    with pytest.raises(Exception, match="rank"):
        sketch("lora", rows=1, columns=1)

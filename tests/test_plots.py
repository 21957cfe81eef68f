"""Figures: alternative text, size, and what they refuse."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from transferlab import InputError, evaluate, plots
from transferlab.data import digits, few_shot
from transferlab.history import History
from transferlab.metrics import Interval
from transferlab.models import small_cnn

ALT = "Accuracy rises from 60 to 90 % with more labels."
SERIES = {
    "scratch": [Interval(60, 55, 65, 5), Interval(80, 78, 82, 5)],
    "fine-tuned": [Interval(75, 72, 78, 5), Interval(85, 84, 86, 5)],
}
PANELS = {
    "fine-tuned (%)": SERIES["scratch"],
    "logme": [Interval(0.8, 0.8, 0.8, 1), Interval(0.9, 0.9, 0.9, 1)],
}

POINTS = {
    "head only": (1290, Interval(93, 92, 94, 5)),
    "gradual": (140_458, Interval(95, 94, 96, 5)),
    "full": (140_458, Interval(96, 95, 97, 5)),
}

FOUND = [
    {
        "boxes": torch.tensor([[2.0, 3.0, 8.0, 12.0]]),
        "labels": torch.tensor([1]),
        "scores": torch.tensor([0.75]),
    },
    {"boxes": torch.empty(0, 4), "labels": torch.empty(0, dtype=torch.int64)},
]
MASK = torch.zeros(1, 8, 8, dtype=torch.int64)
MASK[0, 1:5, 2:6] = 2  # 16 pixels: numbered
MASK[0, 7, :3] = 1  # 3 pixels: too few


def evaluation():
    return evaluate(small_cnn(), few_shot(digits(), 5), device="cpu")


def training() -> History:
    return History([3, 6], [1.0, 0.5], [], [1.1, 0.7], [0.5, 0.8], [0.1, 0.1])


MAKERS = {
    "curves": lambda alt: plots.curves(
        [1, 2], SERIES, x_label="labels per class", y_label="accuracy (%)", alt=alt, log_x=True
    ),
    "bars": lambda alt: plots.bars(
        {"a": Interval(1, 0.5, 1.5, 5), "b": Interval(-2, -3, -1, 5)}, x_label="points", alt=alt
    ),
    "scatter": lambda alt: plots.scatter(
        POINTS, x_label="numbers", y_label="%", alt=alt, log_x=True
    ),
    "lines": lambda alt: plots.lines(
        {"a": ([1, 2, 3], [3, 2, 1])}, x_label="epoch", y_label="loss (nats)", alt=alt, log_y=True
    ),
    "scaling": lambda alt: plots.scaling(
        {"measured": ([100, 10_000], SERIES["scratch"])},
        {"power law": ([100, 10_000], [60, 80])},
        x_label="pool (images)",
        y_label="error (%)",
        alt=alt,
    ),
    "paths": lambda alt: plots.paths(
        lambda x, y: x**2 + 10 * y**2,
        {"descent": np.array([[2.0, 1.0], [1.0, 0.5], [0.5, 0.2]])},
        x_range=(-3, 3),
        y_range=(-2, 2),
        x_label="first weight",
        y_label="second weight",
        alt=alt,
    ),
    "history": lambda alt: plots.history(training(), alt=alt),
    "history without validation": lambda alt: plots.history(History([3], [1.0]), alt=alt),
    "images": lambda alt: plots.images(digits().x[:20], [str(i) for i in range(20)], alt=alt),
    "colour images": lambda alt: plots.images(torch.rand(3, 3, 32, 32), "abc", alt=alt, title="t"),
    "images with heat maps": lambda alt: plots.images(
        digits().x[:3], "abc", alt=alt, maps=torch.linspace(0, 9, 192).view(3, 8, 8)
    ),
    "boxes": lambda alt: plots.boxes(torch.rand(2, 3, 16, 16), FOUND, FOUND, "ab", alt=alt),
    "masks": lambda alt: plots.masks(torch.rand(1, 3, 8, 8), {"truth": MASK}, "abc", alt=alt),
    "spectrograms": lambda alt: plots.spectrograms(torch.rand(4, 1, 8, 5), "abcd", 0.5, alt=alt),
    "confusion": lambda alt: plots.confusion(evaluation(), alt=alt),
    "matrix": lambda alt: plots.matrix(
        [[1.0, 0.2], [0.3, 0.9], [0.1, 0.0]],
        ["block1", "block2", "block3"],
        ["block1", "block2"],
        x_label="after fine-tuning",
        y_label="before",
        alt=alt,
    ),
    "ranking": lambda alt: plots.ranking(
        ["a", "b"], PANELS, noise={"logme": [Interval(0.1, 0, 0.2, 5)] * 2}, alt=alt
    ),
    "roc": lambda alt: plots.roc({"loss": ([0, 0.1, 1], [0, 0.4, 1])}, alt=alt),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def test_a_plot_carries_its_text_and_a_small_picture(make):
    data, metadata = make(ALT)._repr_mimebundle_()
    assert data["text/plain"] == ALT
    assert metadata["image/png"]["alt"] == ALT
    png = base64.b64decode(data["image/png"])
    assert len(png) <= 100_000
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG" and min(image.size) > 80
    assert len(np.unique(np.asarray(image.convert("L")))) > 10  # something is drawn


def test_the_same_figure_is_the_same_bytes(make):
    torch.manual_seed(0)
    one = make(ALT)._repr_mimebundle_()
    torch.manual_seed(0)
    assert make(ALT)._repr_mimebundle_() == one


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_an_empty_text_is_refused(make, alt):
    with pytest.raises(InputError, match="alt is empty; expected a sentence"):
        make(alt)


def test_axes_have_labels_and_lines_differ_in_more_than_colour():
    figure = MAKERS["curves"](ALT).figure
    [axis] = figure.axes
    assert axis.get_xlabel() == "labels per class"
    assert axis.get_ylabel() == "accuracy (%)"
    drawn = [bars.lines[0] for bars in axis.containers]
    looks = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in drawn]
    assert all(len(set(values)) == len(drawn) == 2 for values in zip(*looks, strict=True))
    for name in ("history", "lines", "scatter", "scaling", "paths", "confusion", "matrix", "roc"):
        for axis in MAKERS[name](ALT).figure.axes:
            assert axis.get_xlabel() and axis.get_ylabel()


def test_the_interval_is_drawn_where_it_is():
    [axis] = MAKERS["curves"](ALT).figure.axes
    ends = axis.containers[0].lines[2][0].get_segments()
    assert [segment[:, 1].tolist() for segment in ends] == [[55, 65], [78, 82]]


def test_whole_numbers_get_no_ticks_in_between():
    found = [Interval(1, 0, 2, 5)] * 5
    figure = plots.curves(range(1, 6), {"a": found}, x_label="x", y_label="y", alt=ALT).figure
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


def test_many_names_stand_beside_the_axes():
    found = [Interval(1, 0, 2, 5)] * 2
    for names, inside in (("abc", True), ("abcd", False)):
        series = dict.fromkeys(names, found)
        figure = plots.curves([1, 2], series, x_label="x", y_label="y", alt=ALT).figure
        assert (figure.axes[0].get_legend() is not None) == inside
        assert (len(figure.legends) == 0) == inside


def test_no_line_is_left_out_silently():
    many = {f"line {i}": SERIES["scratch"] for i in range(7)}
    with pytest.raises(InputError, match=r"7 lines.*at most 6"):
        plots.curves([1, 2], many, x_label="x", y_label="y", alt=ALT)
    with pytest.raises(InputError, match=r"7 lines.*at most 6"):
        series = {f"line {i}": ([1], [2]) for i in range(7)}
        plots.lines(series, x_label="x", y_label="y", alt=ALT)


def test_points_of_one_place_stand_side_by_side():
    [axis] = MAKERS["scatter"](ALT).figure.axes
    drawn = [bars.lines[0] for bars in axis.containers]
    assert len({line.get_marker() for line in drawn}) == 3
    shown = [line.get_transform().transform(line.get_xydata())[0] for line in drawn]
    plain = [axis.transData.transform(line.get_xydata())[0] for line in drawn]
    head, gradual, full = (a[0] - b[0] for a, b in zip(shown, plain, strict=True))
    assert head == 0 and gradual == -full < -3  # pixels
    assert [line.get_ydata().tolist() for line in drawn] == [[93], [95], [96]]
    low, high = axis.get_ylim()
    assert low < 92 and 97 < high < 98  # the intervals are inside, and fill the figure
    assert axis.get_xlim()[0] < 1290 and axis.get_xlim()[1] > 140_458


def test_a_power_law_is_a_straight_line_through_points_that_are_not_joined():
    x = np.array([100, 1_000, 10_000])
    y = 500 * x**-0.5
    [axis] = plots.scaling(
        {"measured": (x, [Interval(v, v - 1, v + 1, 5) for v in y])},
        {"power law": (x, y)},
        x_label="pool (images)",
        y_label="error (%)",
        alt=ALT,
    ).figure.axes
    assert axis.containers[0].lines[0].get_linestyle() == "None"
    fit = axis.lines[-1]
    assert fit.get_marker() in ("", "None")
    shown = fit.get_transform().transform(fit.get_xydata())
    assert np.allclose(np.diff(shown, n=2, axis=0), 0)  # pixels: equal steps along both axes


def test_no_point_is_left_out_silently():
    many = {f"point {i}": (i, Interval(1, 0, 2, 5)) for i in range(11)}
    with pytest.raises(InputError, match=r"11 points.*at most 10"):
        plots.scatter(many, x_label="x", y_label="y", alt=ALT)


def test_no_picture_is_left_out_silently():
    with pytest.raises(InputError, match="3 images and 2 captions"):
        plots.images(torch.rand(3, 1, 8, 8), ["a", "b"], alt=ALT)


def test_no_heat_map_is_left_out_silently():
    with pytest.raises(InputError, match="3 images and 2 maps"):
        plots.images(torch.rand(3, 1, 8, 8), "abc", alt=ALT, maps=torch.rand(2, 8, 8))


def test_a_heat_map_is_laid_over_its_image_and_scaled_by_itself():
    maps = torch.zeros(2, 8, 8)
    maps[1, 2, 3] = 7
    figure = plots.images(torch.rand(2, 1, 8, 8), "ab", alt=ALT, maps=maps).figure
    drawn = [axis.images for axis in figure.axes[:2]]
    assert [len(layers) for layers in drawn] == [2, 2]
    assert [layers[1].get_clim() for layers in drawn] == [(0, 1), (0, 7)]  # a map of zeros is dark


def test_a_box_is_drawn_around_its_pixels_with_its_name():
    first, second = MAKERS["boxes"](ALT).figure.axes
    true, found = first.patches
    assert [found.get_bbox().extents.tolist(), found.get_linestyle()] == [
        [1.5, 2.5, 7.5, 11.5],
        "-",
    ]
    assert true.get_linestyle() == "--" and len(second.patches) == 0
    assert [text.get_text() for text in first.texts] == ["b 0.75"]
    [legend] = MAKERS["boxes"](ALT).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["true", "found"]
    first, _ = plots.boxes(torch.rand(2, 3, 16, 16), None, FOUND, "ab", alt=ALT).figure.axes
    assert [text.get_text() for text in first.texts] == ["b 0.75"]  # the true ones are named
    with pytest.raises(InputError, match="1 images and 2 entries of predicted; expected one"):
        plots.boxes(torch.rand(1, 3, 8, 8), FOUND, None, "ab", alt=ALT)


def test_a_mask_is_numbered_where_there_is_room_and_named_below():
    plot = MAKERS["masks"](ALT)
    image, truth = plot.figure.axes
    assert [text.get_text() for text in image.texts] == ["image"]
    assert sorted(text.get_text() for text in truth.texts) == ["2", "truth"]
    [legend] = plot.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0 a", "1 b", "2 c"]


@pytest.mark.parametrize(
    ("values", "classes", "message"),
    [
        (MASK, "ab", "'truth' hold classes 0 to 2; expected 0 to 1"),
        (MASK[:, :4], "abc", r"shape \(1, 4, 8\); expected \(1, 8, 8\)"),
        (MASK, "abcdefghi", "9 classes; expected at most 8"),
    ],
)
def test_odd_masks_are_refused(values, classes, message):
    with pytest.raises(InputError, match=message):
        plots.masks(torch.rand(1, 3, 8, 8), {"truth": values}, classes, alt=ALT)


def test_a_spectrogram_has_its_lowest_band_at_the_bottom():
    x = torch.zeros(2, 1, 8, 5)
    x[:, :, 0] = 1
    first, second, empty = plots.spectrograms(x, "ab", 0.5, alt=ALT).figure.axes
    assert [first.get_title(), second.get_title(), empty.get_visible()] == ["a", "b", False]
    image = first.images[0]
    assert image.origin == "lower" and image.get_array()[0].all()
    assert image.get_extent() == [0, 0.5, 0.5, 8.5]
    with pytest.raises(InputError, match="2 spectrograms and 1 captions"):
        plots.spectrograms(x, "a", 0.5, alt=ALT)


def test_a_matrix_shows_its_numbers_and_needs_its_names():
    [axis] = MAKERS["matrix"](ALT).figure.axes
    assert [text.get_text() for text in axis.texts][:3] == ["1.00", "0.20", "0.30"]
    with pytest.raises(InputError, match=r"shape \(3, 2\) with 2 row names and 2 column names"):
        names = ["a", "b"]
        plots.matrix(torch.rand(3, 2), names, names, x_label="x", y_label="y", alt=ALT)


def test_a_roc_curve_starts_at_a_rate_that_a_logarithm_has():
    [axis] = MAKERS["roc"](ALT).figure.axes
    curve, guessing = axis.lines
    assert curve.get_xdata().tolist() == [1e-3, 0.1, 1]
    assert curve.get_ydata().tolist() == [1e-3, 0.4, 1]
    assert guessing.get_label() == "guessing"


def test_a_roc_curve_marks_the_rate_where_curves_are_compared():
    [axis] = plots.roc({"a": ([0, 0.1, 1], [0, 0.4, 1])}, alt=ALT, mark_fpr=0.01).figure.axes
    assert [line.get_xdata() for line in axis.lines if "false alarms" in line.get_label()] == [
        [0.01, 0.01]
    ]


def test_a_roc_curve_on_plain_axes_is_not_changed():
    [axis] = plots.roc({"a": ([0, 0.1, 1], [0, 0.4, 1])}, alt=ALT, log=False).figure.axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("linear", "linear")
    assert list(axis.lines[0].get_xdata()) == [0, 0.1, 1]
    assert list(axis.lines[1].get_xdata()) == [0, 1]  # guessing


def test_bytes_are_drawn_as_the_same_numbers_in_0_to_1():
    pixels = (torch.rand(2, 3, 8, 8) * 255).byte()
    drawn = [
        [
            axis.images[0].get_array()
            for axis in plots.images(x, "ab", alt=ALT).figure.axes
            if axis.images
        ]
        for x in (pixels, pixels / 255)
    ]
    np.testing.assert_allclose(drawn[0], drawn[1])


def test_images_that_carry_a_gradient_can_be_drawn():
    plots.images(torch.rand(2, 1, 8, 8, requires_grad=True), "ab", alt=ALT)


def test_images_may_have_larger_tiles():
    small, large = (plots.images(torch.rand(4, 1, 8, 8), "abcd", tile=t, alt=ALT) for t in (0.8, 2))
    assert large.figure.get_size_inches()[0] == 2.5 * small.figure.get_size_inches()[0]


def test_a_confusion_matrix_shows_its_counts():
    found = evaluation()
    [axis] = plots.confusion(found, alt=ALT).figure.axes
    assert sum(int(text.get_text()) for text in axis.texts) == 50
    assert [label.get_text() for label in axis.get_yticklabels()] == found.classes


def test_a_history_has_a_panel_for_each_measure():
    plot = plots.history(training(), alt=ALT)
    assert [axis.get_ylabel() for axis in plot.figure.axes] == [
        "loss (nats per sample)",
        "validation accuracy (%)",
    ]


def test_a_figure_is_saved_in_the_format_of_its_name(tmp_path):
    plot = MAKERS["lines"](ALT)
    plot.save(tmp_path / "figure.png")
    plot.save(tmp_path / "figure.svg")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.format == "PNG"
    assert "<svg" in (tmp_path / "figure.svg").read_text()


@pytest.mark.parametrize("name", ["figure", "figure.xyz"])
def test_an_unknown_format_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: expected a name that ends in .*\.png, .*\.svg"):
        MAKERS["lines"](ALT).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_ranking_has_a_row_per_model_and_shows_noise_where_it_was_measured():
    accuracy, logme = MAKERS["ranking"](ALT).figure.axes
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["a", "b"]
    assert accuracy.get_xlabel() == "fine-tuned (%)" and logme.get_xlabel() == "logme"
    assert [len(axis.containers) for axis in (accuracy, logme)] == [1, 2]
    points = logme.containers[1].lines[0]
    assert points.get_xdata().tolist() == [0.8, 0.9]
    assert logme.get_ylim() == (1.5, -0.5)  # the first model stands on top
    for options in ({}, {"noise": {}}):
        assert plots.ranking(["a", "b"], PANELS, **options, alt=ALT).figure.legends == []
    with pytest.raises(InputError, match="found list with 0 panels; expected a Ranking alone, or"):
        plots.ranking(["a", "b"], alt=ALT)


def test_a_path_lies_over_the_surface_where_its_points_are():
    [axis] = MAKERS["paths"](ALT).figure.axes
    [line, lowest] = axis.get_lines()
    assert line.get_xydata().tolist() == [[2.0, 1.0], [1.0, 0.5], [0.5, 0.2]]
    assert np.abs(lowest.get_xydata()).max() < 0.05  # the minimum is at (0, 0), between grid points
    assert axis.get_aspect() == 1  # a turn by 45 degrees looks like one
    assert line.get_label() == "descent"
    [contours] = axis.collections
    circle = max(contours.get_paths(), key=lambda path: len(path.vertices))
    heights = circle.vertices[:, 0] ** 2 + 10 * circle.vertices[:, 1] ** 2
    assert np.ptp(heights) < 0.05 * heights.mean()  # a contour is a line of equal height

"""What TEACHING.md tells a teacher to show live: a change of each lesson's code.

`test_lessons.py` makes these changes in its run of each lesson. A demonstration that only asks or
draws is in SPOKEN.
"""

import json
from pathlib import Path

from transferlab.kit.notebooks import read_json, source_of

MIRRORED = "data.augment.compose(pretrain.small_changes, data.augment.flip())"

Change = tuple[str, str]  # a text in the lesson's code, what the teacher writes in its place
CHANGES: dict[str, Change] = {
    "01_background/01_why_pretrain": (
        "steps = run.setting(smoke=5, class_=96, full=256)",
        "steps = 15",
    ),
    "01_background/02_pixels_to_concepts": ("NEIGHBOURS = 5", "NEIGHBOURS = 1"),
    "02_concepts/03_more_from_the_same_data": (
        '"rotate": augment.rotate(25)',
        '"rotate": augment.rotate(180)',
    ),
    "03_formulas/01_neuron_layer_loss": (" * (Z1 > 0)", ""),
    "03_formulas/02_gradient_descent": ('"lr": eta,', '"lr": 0.03,'),
    "03_formulas/03_pretrain_then_finetune": (
        "torch.zeros_like(p) for name",
        "0.1 * torch.randn_like(p) for name",
    ),
    "03_formulas/04_learning_without_labels": (
        '"contrastive": pretrain.contrastive,',
        f'"contrastive": lambda *a, **k: pretrain.contrastive(*a, views={MIRRORED}, **k),',
    ),
    "04_code/01_vgg16_frozen": ("RATE = 1e-3", "RATE = 1e-2"),
    "04_code/03_from_csv": (
        "    pretrain.supervised(pretrained, everything, steps",
        "    everything.y = everything.y[torch.randperm(len(everything))]\n"
        "    pretrain.supervised(pretrained, everything, steps",
    ),
    "04_code/04_resnet50_new_head": ("STRENGTH = 0.1", "STRENGTH = 100"),
    "04_code/05_choose_and_finetune": ("equal_batch = 32, 25", "equal_batch = 49, 25"),
    "04_code/06_efficient_transfer": ("rate = LEARNING_RATE[method]", "rate = 3e-3"),
    "04_code/07_bigger_machines": ("widths=(512, 512)", "widths=(32, 32)"),
    "05_applications/02_object_detection": ("SURE = 0.3", "SURE = 0.05"),
    "05_applications/04_text": ("GAPS = [", 'GAPS = [\n    "return the _",'),
    "05_applications/06_faces": ("ALLOWED = 0.05", "ALLOWED = 0.5"),
    "05_applications/07_recommendation": ("WIDTH, ROUNDS = 4, 10", "WIDTH, ROUNDS = 1, 10"),
    "05_applications/08_images_and_words": ("TAU = 0.1", "TAU = 1"),
    "06_tools/02_which_model": ("PER_CLASS, BATCH = 4, 20", "PER_CLASS, BATCH = 2, 20"),
    "07_challenges/02_labels": ("ERRORS = (0.1, 0.2, 0.4)", "ERRORS = (0.3, 0.5, 0.7)"),
}
SPOKEN = {
    "02_concepts/01_data_and_model",
    "02_concepts/02_freeze_or_initialise",
    "04_code/02_unlabelled_first",
    "05_applications/01_own_images",
    "05_applications/03_segmentation",
    "05_applications/05_speech",
    "06_tools/01_landscape",
    "07_challenges/01_more_data",
    "07_challenges/03_privacy",
    "07_challenges/04_interpretability",
    "07_challenges/05_generalisation",
    "07_challenges/06_cost",
    "08_faq/01_questions",
    "08_faq/02_when_it_goes_wrong",
}


def with_demonstration(lesson: Path, folder: Path) -> Path:
    """Return a copy of a lesson with its demonstration's change, which must fit at one place.

    A lesson whose demonstration is spoken stays where it is.
    """
    name = f"{lesson.parent.name}/{lesson.stem}"
    if name not in CHANGES:
        return lesson
    old, new = CHANGES[name]
    notebook, places = read_json(lesson), 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            places += source_of(cell).count(old)
            cell["source"] = source_of(cell).replace(old, new)
    assert places == 1, f"{old!r} stands at {places} places in the code of {name}, not at one"
    copy = folder / lesson.parent.name / lesson.name
    copy.parent.mkdir(parents=True)
    copy.write_text(json.dumps(notebook), encoding="utf-8")
    return copy

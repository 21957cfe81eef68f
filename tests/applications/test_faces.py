"""Faces are scikit-image's, in the right order and the right way up."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from transferlab import InputError
from transferlab.applications.faces import read_faces
from transferlab.data import faces
from transferlab.data.sets.cards import FACES


def test_the_numbers_are_scikit_images():
    data = faces()
    assert np.array_equal(data.x[:, 0].numpy(), np.load(FACES.file()).astype(np.float32))
    assert data.x.shape == (200, 1, 25, 25)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert data.classes == ["face", "no face"]
    assert data.y.bincount().tolist() == [100, 100]


def test_the_first_hundred_are_the_faces():
    """Faces resemble each other, with eyes darker than cheeks; backgrounds do not."""
    data = faces()
    face, background = data.x[data.y == 0, 0], data.x[data.y == 1, 0]
    mean = face.mean(0)

    def likeness(images: torch.Tensor) -> torch.Tensor:
        return torch.corrcoef(torch.cat([mean[None], images]).flatten(1))[0, 1:].nan_to_num()

    assert likeness(face).median() > 0.5 > likeness(background).median() + 0.2
    eyes, cheeks = mean[8, [6, 7, 15, 16]], mean[11, [6, 7, 15, 16]]
    assert eyes.max() < cheeks.min() - 0.1


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (25, 3), (32, 3)])
def test_other_sizes_and_colours(size, channels):
    data = faces(size, channels)
    assert data.x.shape == (200, channels, size, size)
    assert data.x.dtype == torch.float32 and data.x.is_contiguous()
    assert data.x.min() >= 0 and data.x.max() <= 1
    assert all(torch.equal(data.x[:, 0], data.x[:, c]) for c in range(channels))


def test_a_smaller_face_is_a_mean_of_all_pixels():
    """Without antialiasing most pixels of the original would not count."""

    def mean_error(x: torch.Tensor) -> float:
        return (x[:100, 0] - boxes).abs().mean().item()

    original = faces().x
    boxes = torch.stack(
        [
            torch.from_numpy(np.array(Image.fromarray(x[0].numpy()).resize((8, 8), Image.BOX)))
            for x in original[:100]
        ]
    )
    naive = F.interpolate(original, size=(8, 8), mode="bicubic").clamp(0, 1)
    assert mean_error(faces(8).x) < 0.03 < mean_error(naive)


def test_what_cannot_be_had(tmp_path):
    with pytest.raises(InputError, match="size=7 is too small; expected 8 or more"):
        faces(7)
    with pytest.raises(InputError, match=r"channels=2; expected 1 \(grey\) or 3"):
        faces(channels=2)
    file = tmp_path / "lfw_subset.npy"
    np.save(file, np.zeros((200, 24, 24)))
    with pytest.raises(InputError, match=r"shape \(200, 24, 24\); expected \(200, 25, 25\)"):
        read_faces(file)
    file.write_bytes(FACES.file().read_bytes()[:5000])
    with pytest.raises(InputError, match=r"lfw_subset.npy is missing or damaged; expected"):
        read_faces(file)

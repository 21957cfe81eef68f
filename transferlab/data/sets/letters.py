"""Generated handwriting-like letters: printed glyphs, bent, slanted, thickened and thresholded.

They are free pre-training data: any number of them, each with its label, and without personal
data. The pixels are made the way the `digits` were made (a 32×32 bitmap, summed over
blocks), so a network that learns letters learns strokes that occur in digits too.
"""

import functools

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import FreshDataset, MemoryDataset
from transferlab.data.sets.cards import package_folder
from transferlab.data.sets.digits import check_image_size, enlarge
from transferlab.data.sets.generated import Draw, labelled, pool

# Upper-case letters, and the lower-case ones whose shape differs (EMNIST merges the rest too).
CLASSES = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralItalic",
    "cmr10",
    "cmmi10",
    "cmss10",
    "cmtt10",
)
BITMAP = 32  # glyphs are drawn, bent and thresholded at this size
GLYPH = 26  # the longer side of an undistorted glyph inside the bitmap


@functools.cache
def _glyphs() -> Tensor:
    """Draw every class in every font: shape (classes, fonts, 32, 32), values in 0..1."""
    folder = package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf"  # without importing it
    images = []
    for character in CLASSES:
        for name in FONTS:
            font = ImageFont.truetype(str(folder / f"{name}.ttf"), 96)
            canvas = Image.new("L", (192, 192))
            ImageDraw.Draw(canvas).text((48, 32), character, font=font, fill=255)
            glyph = canvas.crop(canvas.getbbox())
            scale = GLYPH / max(glyph.size)
            width, height = (max(1, round(side * scale)) for side in glyph.size)
            bitmap = Image.new("L", (BITMAP, BITMAP))
            corner = ((BITMAP - width) // 2, (BITMAP - height) // 2)
            bitmap.paste(glyph.resize((width, height), Image.Resampling.BILINEAR), corner)
            images.append(torch.frombuffer(bytearray(bitmap.tobytes()), dtype=torch.uint8))
    drawn = torch.stack(images).float() / 255
    return drawn.view(len(CLASSES), len(FONTS), BITMAP, BITMAP)


def draw_letters(y: Tensor, generator: torch.Generator, size: int = 8) -> Tensor:
    """Draw one new image for each label in `y`, shape (N,); return (N, 1, size, size) in 0..1.

    Every image has its own font, slant, rotation, stretch, smooth bend and pen width. All images of
    the batch are computed together, without a loop.
    """
    n = len(y)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    font = torch.randint(len(FONTS), (n,), generator=generator)
    glyphs = _glyphs()[y, font][:, None]

    # Where does each pixel of the new image sample the glyph? An affine map ...
    angle, slant = uniform(-0.3, 0.3), uniform(-0.5, 0.5)
    narrow = uniform(1.0, 1.7)
    cos, sin, nothing = angle.cos(), angle.sin(), torch.zeros(n)
    row_x = torch.stack([cos * narrow, slant * cos - sin, nothing], dim=1)
    row_y = torch.stack([sin * narrow, slant * sin + cos, nothing], dim=1)
    grid = F.affine_grid(
        torch.stack([row_x, row_y], 1), [n, 1, BITMAP, BITMAP], align_corners=False
    )
    # ... plus a smooth bend: random shifts on a coarse grid, interpolated.
    bend = F.interpolate(uniform(-0.25, 0.25, 2, 4, 4), size=(BITMAP, BITMAP), mode="bicubic")
    drawn = F.grid_sample(glyphs, grid + bend.permute(0, 2, 3, 1), align_corners=False)

    # The pen: blur, then threshold. A low threshold gives a thick stroke, a high one a thin one.
    blurred = _fill_height(F.avg_pool2d(drawn, kernel_size=5, stride=1, padding=2))
    peak = blurred.amax(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    bitmap = (blurred > uniform(0.15, 0.55, 1, 1, 1) * peak).float()
    if size <= BITMAP:
        return F.adaptive_avg_pool2d(bitmap, size)
    return enlarge(bitmap, size)


def _fill_height(images: Tensor) -> Tensor:
    """Enlarge each drawing until it touches the upper and lower edge, as in `digits`."""
    ink = images > 0.3 * images.amax(dim=(2, 3), keepdim=True)
    rows, columns = ink.any(dim=3)[:, 0].float(), ink.any(dim=2)[:, 0].float()

    def extent(has_ink: Tensor) -> tuple[Tensor, Tensor]:
        first = has_ink.argmax(dim=1)
        last = BITMAP - 1 - has_ink.flip(1).argmax(dim=1)
        centre = (first + last + 1) / BITMAP - 1  # from pixels to the -1..1 of grid_sample
        return centre, (last - first + 1) / BITMAP

    (centre_y, height), (centre_x, width) = extent(rows), extent(columns)
    nothing = torch.zeros_like(height)
    row_x = torch.stack([torch.maximum(height, width), nothing, centre_x], dim=1)
    row_y = torch.stack([nothing, height, centre_y], dim=1)
    zoom = F.affine_grid(
        torch.stack([row_x, row_y], dim=1), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, zoom, align_corners=False)


def letters(n: int, seed: int = 0, size: int = 8, channels: int = 1) -> MemoryDataset:
    """Return `n` generated letters, x of shape (n, channels, size, size) in 0..1, 37 classes.

    Glyphs are from the fonts that come with matplotlib (DejaVu, STIX, Computer Modern). One `n` and
    `seed` are one set; another `n` is another draw, not a longer one.
    """
    return pool(_drawing(size, channels), n, seed, CLASSES, "letters")


def fresh_letters(samples: int = 25_600, size: int = 8, channels: int = 1) -> FreshDataset:
    """Return letters that are drawn anew for every batch; `samples` of them count as an epoch."""
    return FreshDataset(_drawing(size, channels), samples, CLASSES, "fresh letters")


def _drawing(size: int, channels: int) -> Draw:
    check_image_size("letters", size, channels)

    def draw(y: Tensor, generator: torch.Generator) -> Tensor:
        return draw_letters(y, generator, size).expand(-1, channels, -1, -1).contiguous()

    return labelled(draw, len(CLASSES))

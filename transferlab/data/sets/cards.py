"""Real pictures and texts that other packages carry: where they lie, and whose they are.

None of it is in this repository. It is read from the installed packages when it is needed, so it
works without a network, and it stays what its makers gave away.
"""

import importlib.util
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from transferlab.errors import InputError

# What a package is called where it is installed from, when that is not what is imported.
INSTALLED_AS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Carried:
    """The licence card of one file, or of all documentation that one package carries.

    Attributes:
        name: the class that its samples belong to.
        package: the package that carries it, as it is imported.
        path: where it lies inside the package; "" for the package's documentation.
        author: who made it.
        licence: under which terms it may be used.
        source: where the package says it is from.
        crop: the part of a picture that is used (left, top, right, bottom), in pixels; None: all.
    """

    name: str
    package: str
    path: str
    author: str
    licence: str
    source: str
    crop: tuple[int, int, int, int] | None = None

    def file(self) -> Path:
        """Return where the file lies; an InputError names the package that should carry it."""
        folder = package_folder(self.package)
        installed_as = INSTALLED_AS.get(self.package, self.package)
        if folder is None:
            raise InputError(f"{self.name}: the package {installed_as} is missing; install it.")
        if not (folder / self.path).is_file():
            raise InputError(
                f"{self.name}: {folder} holds no {self.path}; install or update {installed_as}."
            )
        return folder / self.path


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package without importing it; None when it is missing.

    "python" stands for the standard library.
    """
    if package == "python":
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


PUBLIC_DOMAIN = "public domain"
SKIMAGE_API = "scikit-image.org/docs/stable/api/skimage.data.html"

# Colour photographs only: among them a grey one would be told by its missing colour.
PHOTOS = (
    Carried(
        "astronaut",
        "skimage",
        "data/astronaut.png",
        "NASA",
        PUBLIC_DOMAIN,
        "NASA Great Images, flic.kr/p/r9qvLn",
    ),
    Carried(
        "cat",
        "skimage",
        "data/chelsea.png",
        "Stefan van der Walt",
        "CC0",
        SKIMAGE_API,
    ),
    Carried(
        "coffee",
        "skimage",
        "data/coffee.png",
        "Rachel Michetti, courtesy of Pikolo Espresso Bar",
        "CC0",
        SKIMAGE_API,
    ),
    Carried(
        "flower",
        "sklearn",
        "datasets/images/flower.jpg",
        "vultilion, as its source says (scikit-learn's README names danielbuechele)",
        "CC BY 2.0",
        "flickr.com/photos/vultilion/6056698931",
    ),
    Carried(
        "galaxies",
        "skimage",
        "data/hubble_deep_field.jpg",
        "NASA",
        PUBLIC_DOMAIN,
        "hubblesite.org/newscenter/archive/releases/2012/37/image/a",
    ),
    Carried(
        "pagoda",
        "sklearn",
        "datasets/images/china.jpg",
        "danielbuechele",
        "CC BY 2.0",
        "flickr.com/photos/danielbuechele/6061409035",
    ),
    Carried(
        "portrait",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "U.S. Navy (Grace M. Hopper, 1984)",
        PUBLIC_DOMAIN,
        "github.com/matplotlib/matplotlib/pull/1599",
    ),
    Carried(
        "retina",
        "skimage",
        "data/retina.jpg",
        "Mikael Häggström",
        "CC0",
        "commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
        crop=(225, 225, 1185, 1185),  # inside the disc: around it everything is black
    ),
    Carried(
        "rocket",
        "skimage",
        "data/rocket.jpg",
        "SpaceX",
        PUBLIC_DOMAIN,
        "flickr.com/photos/spacexphotos/16511594820",
    ),
)

TEXTURES = (
    Carried(
        "brick",
        "skimage",
        "data/brick.png",
        "CC0Textures (Bricks25), edited by scikit-image",
        "CC0",
        "cc0textures.com/view.php?tex=Bricks25",
    ),
    Carried(
        "coins",
        "skimage",
        "data/coins.png",
        "Brooklyn Museum",
        "no known copyright restrictions",
        "brooklynmuseum.org/opencollection/archives/image/51611",
    ),
    Carried(
        "grass",
        "skimage",
        "data/grass.png",
        "linolafett",
        "CC0",
        "deviantart.com/linolafett/art/Grass-01-434853879",
    ),
    Carried(
        "gravel",
        "skimage",
        "data/gravel.png",
        "CC0Textures (Gravel04), edited by scikit-image",
        "CC0",
        "cc0textures.com/view.php?tex=Gravel04",
    ),
    Carried(
        "tissue",
        "skimage",
        "data/ihc.png",
        "Center for Microscopy and Molecular Imaging (CMMI)",
        "no known copyright restrictions",
        SKIMAGE_API,
    ),
)

FACES = Carried(
    "faces",
    "skimage",
    "data/lfw_subset.npy",
    "Huang, Mattar, Lee and Learned-Miller (Labeled Faces in the Wild); cut by scikit-image",
    "none stated: press photos, gathered for research",
    "vis-www.cs.umass.edu/lfw",
)

DIGITS = Carried(
    "digits",
    "sklearn",
    "datasets/data/digits.csv.gz",
    "Alpaydin and Kaynak",
    "CC BY 4.0",
    "archive.ics.uci.edu/dataset/80",
)

BSD = "BSD-3-Clause"
DOCUMENTATION = (
    Carried(
        "matplotlib",
        "matplotlib",
        "",
        "Matplotlib Development Team",
        "Matplotlib licence (PSF style)",
        "matplotlib.org",
    ),
    Carried("numpy", "numpy", "", "NumPy Developers", BSD, "numpy.org"),
    Carried("python", "python", "", "Python Software Foundation", "PSF-2.0", "docs.python.org"),
    Carried("scipy", "scipy", "", "SciPy Developers", BSD, "scipy.org"),
    Carried("skimage", "skimage", "", "the scikit-image team", BSD, "scikit-image.org"),
    Carried("sklearn", "sklearn", "", "the scikit-learn developers", BSD, "scikit-learn.org"),
    Carried("torch", "torch", "", "the PyTorch contributors", BSD, "pytorch.org"),
)


def licences() -> list[dict[str, str]]:
    """Return one row for everything real that is embedded: who made it, and under which terms."""
    sets = {
        "digits": (DIGITS,),
        "photos": PHOTOS,
        "textures": TEXTURES,
        "faces": (FACES,),
        "docstrings": DOCUMENTATION,
    }
    return [
        {
            "set": name,
            "what": card.name,
            "author": card.author,
            "licence": card.licence,
            "source": card.source,
            "carried by": INSTALLED_AS.get(card.package, card.package),
        }
        for name, cards in sets.items()
        for card in cards
    ]

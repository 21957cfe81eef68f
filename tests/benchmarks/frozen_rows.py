"""The rows of `frozen.py`: a new head on a frozen MobileNet v2, in all the ways that people use.

Every function gets the network and a folder of images, and returns `train()`, which trains the head
in place. Only `train()` is timed. What the rows share is written once, above them.

This file runs in a process of its own for each row and answers questions; see `workers.py`.
"""

import copy
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from workers import FOLDER, serve

EPOCHS, BATCH, RATE, MOMENTUM = 10, 4, 1e-3, 0.9  # the tutorial's, but for its 25 epochs
WORKERS = int(os.environ.get("OMP_NUM_THREADS", "1"))  # processes that decode: one per core
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

Train = Callable[[], None]


class Frozen(nn.Sequential):
    """Layers that stay in evaluation mode.

    In training mode, BatchNorm would normalise by the four images of a batch. Some rows' recipes
    see to that and some do not; here it is done for all.
    """

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)


def network(weights: str | None, seed: int) -> nn.Sequential:
    """Return MobileNet v2 in two parts, frozen features and a new head."""
    mobilenet = torchvision.models.mobilenet_v2()
    if weights is not None:
        mobilenet.load_state_dict(torch.load(weights, weights_only=True))
    features = Frozen(mobilenet.features, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    features.requires_grad_(False).eval()
    torch.manual_seed(seed)
    return nn.Sequential(OrderedDict(features=features, head=nn.Linear(1280, 2)))


def images(folder: str, part: str, **options: Any) -> DataLoader:
    """Return the tutorial's loader: random crops and flips to train, the centre to validate."""
    change = {
        "train": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()],
        "val": [transforms.Resize(256), transforms.CenterCrop(224)],
    }
    end = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    data = ImageFolder(str(Path(folder, part)), transforms.Compose([*change[part], *end]))
    return DataLoader(data, BATCH, shuffle=part == "train", num_workers=WORKERS, **options)


def loaders(folder: str) -> tuple[DataLoader, DataLoader]:
    """Return both loaders for a framework, which may keep the workers from epoch to epoch."""
    keep = {"persistent_workers": WORKERS > 0}
    return images(folder, "train", **keep), images(folder, "val", **keep)


def sgd(model: nn.Sequential) -> torch.optim.SGD:
    return torch.optim.SGD(model.head.parameters(), lr=RATE, momentum=MOMENTUM)


# ---- the rows ------------------------------------------------------------------------------------


def transferlab(
    model: nn.Sequential, folder: str, weights: str | None, again: bool = False
) -> Train:
    """Features once, kept on the disk; then the head alone. `again`: the disk has them already."""
    from transferlab import freeze, load_backbone
    from transferlab.data import image_folder
    from transferlab.features import train_head

    cache = FOLDER / "frozen-cache"
    if not again:
        shutil.rmtree(cache, ignore_errors=True)
    backbone = load_backbone("mobilenet_v2", weights, num_classes=2)
    if weights is None:
        backbone.features.features.load_state_dict(model.features[0].state_dict())
    backbone.head.load_state_dict(model.head.state_dict())

    def train() -> None:
        freeze(backbone)
        train_head(
            backbone,
            image_folder(Path(folder, "train"), backbone.transform),
            val=image_folder(Path(folder, "val"), backbone.transform),
            cache=cache,
            epochs=EPOCHS,
            batch_size=BATCH,
            lr=RATE,
            optimizer="sgd",
            device="cpu",
        )
        model.head.load_state_dict(backbone.head.state_dict())

    return train


def transferlab_again(model: nn.Sequential, folder: str, weights: str | None) -> Train:
    return transferlab(model, folder, weights, again=True)


def tutorial(model: nn.Sequential, folder: str, _: str | None) -> Train:
    """The loop of PyTorch's transfer learning tutorial (Chilamkurthy, 2017), as it stands there."""
    parts = {"train": images(folder, "train"), "val": images(folder, "val")}
    sizes = {part: len(batches.dataset) for part, batches in parts.items()}
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)

    def train() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            best, best_accuracy = Path(scratch, "best.pt"), 0.0
            torch.save(model.state_dict(), best)
            for epoch in range(EPOCHS):
                for part, batches in parts.items():
                    model.train(part == "train")
                    running_loss, running_right = 0.0, 0
                    for inputs, labels in batches:
                        optimizer.zero_grad()
                        with torch.set_grad_enabled(part == "train"):
                            outputs = model(inputs)
                            _, found = torch.max(outputs, 1)
                            loss = F.cross_entropy(outputs, labels)
                            if part == "train":
                                loss.backward()
                                optimizer.step()
                        running_loss += loss.item() * inputs.size(0)
                        running_right += torch.sum(found == labels.data)
                    if part == "train":
                        scheduler.step()
                    loss, accuracy = running_loss / sizes[part], running_right / sizes[part]
                    print(f"{epoch} {part} loss {loss:.4f} accuracy {accuracy:.4f}")
                    if part == "val" and accuracy > best_accuracy:
                        best_accuracy = accuracy
                        torch.save(model.state_dict(), best)
            model.load_state_dict(torch.load(best, weights_only=True))

    return train


def lightning(model: nn.Sequential, folder: str, _: str | None) -> Train:
    """As in Lightning's page on transfer learning: features in evaluation mode, no gradient."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.head = model.features, model.head

        def forward(self, x: Tensor) -> Tensor:
            self.features.eval()
            with torch.no_grad():
                found = self.features(x)
            return self.head(found)

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            return F.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
            self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.SGD:
            return sgd(model)

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=EPOCHS, accelerator="cpu", **quiet)
    parts = loaders(folder)
    return lambda: trainer.fit(Module(), *parts)


def fastai(model: nn.Sequential, folder: str, _: str | None) -> Train:
    """freeze() and fit() over two groups of parameters."""
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from fastai.optimizer import OptimWrapper
    from fastai.torch_core import params

    def optimizer(groups: list, lr: float, **options: Any) -> OptimWrapper:
        return OptimWrapper(groups, torch.optim.SGD, lr=lr, momentum=MOMENTUM)

    learner = Learner(
        DataLoaders(*loaders(folder)),
        model,
        loss_func=F.cross_entropy,
        opt_func=optimizer,
        splitter=lambda network: [params(network.features), params(network.head)],
        metrics=accuracy,
        train_bn=False,  # True, its default, would go back through the whole network
    )

    def train() -> None:
        learner.freeze()
        learner.fit(EPOCHS, lr=RATE, wd=0)

    return train


def skorch(model: nn.Sequential, folder: str, _: str | None) -> Train:
    """The Freezer of skorch's page on transfer learning, in force before the first step."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Freezer
    from skorch.helper import predefined_split

    train_part, val_part = loaders(folder)
    net = NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=MOMENTUM,
        lr=RATE,
        max_epochs=EPOCHS,
        iterator_train=lambda data, batch_size: train_part,
        iterator_valid=lambda data, batch_size: val_part,
        train_split=predefined_split(val_part.dataset),
        callbacks=[Freezer("features.*")],
        classes=[0, 1],
    )

    def train() -> None:
        net.fit(train_part.dataset, y=None)

    return train


def keras(model: nn.Sequential, folder: str, _: str | None) -> Train:
    """The torch network as a layer of Keras that does not train, and a Dense layer behind it."""
    import keras

    frozen = keras.layers.TorchModuleWrapper(model.features, output_shape=(None, 1280))
    frozen.trainable = False
    dense = keras.layers.Dense(2)
    twin = keras.Sequential([keras.Input((3, 224, 224)), frozen, dense])
    dense.set_weights([tensor.detach().t().numpy() for tensor in model.head.parameters()])
    twin.compile(
        optimizer=keras.optimizers.SGD(RATE, momentum=MOMENTUM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    train_part, val_part = loaders(folder)

    @torch.no_grad()
    def train() -> None:
        with torch.enable_grad():
            twin.fit(train_part, epochs=EPOCHS, validation_data=val_part, verbose=0)
        for mine, theirs in zip(model.head.parameters(), dense.get_weights(), strict=True):
            mine.copy_(torch.as_tensor(theirs).t())

    return train


ROWS: dict[str, Callable[..., Train]] = {
    "tutorial": tutorial,
    "TransferLab": transferlab,
    "TransferLab again": transferlab_again,
    "Lightning": lightning,
    "fastai": fastai,
    "skorch": skorch,
    "Keras": keras,
}


# ---- in a row's own process ----------------------------------------------------------------------


def answer(row: str, folder: str, weights: str | None, seed: int) -> dict[str, Any]:
    """Train a head, time it, and count how many validation images it gets right."""
    model = network(weights, seed)
    before = copy.deepcopy(model.features.state_dict())
    train = ROWS[row](model, folder, weights)
    started = time.perf_counter()
    train()
    seconds = time.perf_counter() - started
    model.eval()
    with torch.no_grad():
        right = [model(x).argmax(1) == y for x, y in images(folder, "val")]
    same = all(torch.equal(now, before[name]) for name, now in model.features.state_dict().items())
    right = torch.cat(right)
    return {
        "seconds": seconds,
        "accuracy": right.float().mean().item(),
        "images": len(right),
        "backbone unchanged": same,
    }


if __name__ == "__main__":
    serve(answer)

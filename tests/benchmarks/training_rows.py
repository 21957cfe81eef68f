"""The rows of `training.py`: one network, trained in all the ways that people use.

Every function gets a network with its initial weights and the images, and returns `train()`, which
trains in place and returns the steps taken. Only `train()` is timed. What all rows share is written
once, above the rows: the networks, Adam, the loaders.

This file runs in a process of its own for each row and answers questions; see `workers.py`.
"""

import functools
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, TensorDataset
from workers import FOLDER, serve

BATCH, RATE, EPOCHS = 64, 1e-3, 3
DATA = FOLDER / "training-data.pt"  # part → (images as uint8, labels)

Train = Callable[[], int]  # trains in place and returns the steps taken
Pair = tuple[Tensor, Tensor]


def mlp() -> nn.Sequential:
    """784-128-64-10."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def cnn() -> nn.Sequential:
    """Two 3×3 convolutions of 16 and 32 channels, each followed by a pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    )


NETWORKS = {"mlp": mlp, "cnn": cnn}


def adam(model: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=RATE, fused=True)


def steps(optimizer: torch.optim.Optimizer) -> int:
    """Return how often a torch Adam has stepped: it counts for itself."""
    return int(next(iter(optimizer.state.values()))["step"])


def loader(x: Tensor, y: Tensor) -> DataLoader:
    """The loader that everybody writes."""
    return DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)


def batch_loader(x: Tensor, y: Tensor) -> DataLoader:
    """A loader that fetches a whole batch by one index: no Python for each image."""
    data = TensorDataset(x, y)
    order = BatchSampler(RandomSampler(data), BATCH, drop_last=False)
    return DataLoader(data, sampler=order, batch_size=None)


# ---- the rows of the first table -----------------------------------------------------------------


def transferlab(model: nn.Module, x: Tensor, y: Tensor, epochs: int, **options: Any) -> Train:
    from transferlab import fit
    from transferlab.data import MemoryDataset

    data = MemoryDataset(x, y, [str(digit) for digit in range(10)], "digits")

    def train() -> int:
        history = fit(model, data, epochs=epochs, batch_size=BATCH, lr=RATE, **options)
        return history.steps[-1]

    return train


def bare(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> Train:
    """The loop that one writes by hand: a batch is an index."""
    optimizer = adam(model)

    def train() -> int:
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                loss = F.cross_entropy(model(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return steps(optimizer)

    return train


def dataloader(model: nn.Module, x: Tensor, y: Tensor, epochs: int, make=loader) -> Train:
    """The same loop over a TensorDataset and a DataLoader."""
    optimizer, batches = adam(model), make(x, y)

    def train() -> int:
        for _ in range(epochs):
            for inputs, labels in batches:
                loss = F.cross_entropy(model(inputs), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return steps(optimizer)

    return train


class Pictures(Dataset):
    """Images as torchvision's MNIST gives them: a PIL picture, then ToTensor, one by one."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        from torchvision.transforms import ToTensor

        self.images = (x.squeeze(1) * 255).round().byte().numpy()
        self.targets, self.transform = y.tolist(), ToTensor()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), self.targets[index]


def picture_loader(x: Tensor, y: Tensor) -> DataLoader:
    return DataLoader(Pictures(x, y), batch_size=BATCH, shuffle=True)


def lightning(model: nn.Module, x: Tensor, y: Tensor, epochs: int, make=loader) -> Train:
    """barebones=True is Lightning's own switch for everything that costs speed."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Pair, _: int) -> Tensor:
            inputs, labels = batch
            return F.cross_entropy(self.model(inputs), labels)

        def configure_optimizers(self) -> torch.optim.Adam:
            return adam(self.model)

    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, barebones=True)
    module, batches = Module(), make(x, y)

    def train() -> int:
        trainer.fit(module, batches)
        return steps(trainer.optimizers[0])

    return train


def fastai(model: nn.Module, x: Tensor, y: Tensor, epochs: int, make=loader) -> Train:
    """Only the callback that fastai cannot do without, and torch's Adam instead of its own."""
    from fastai.callback.core import TrainEvalCallback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper

    learner = Learner(
        DataLoaders(make(x, y), []),  # nothing to validate on
        model,
        loss_func=F.cross_entropy,
        opt_func=functools.partial(OptimWrapper, opt=torch.optim.Adam, fused=True),
        default_cbs=False,
        cbs=TrainEvalCallback(),
    )

    def train() -> int:
        learner.fit(epochs, lr=RATE, wd=0)
        return steps(learner.opt.opt)

    return train


def skorch(model: nn.Module, x: Tensor, y: Tensor, epochs: int, make=loader) -> Train:
    from skorch import NeuralNet

    net = NeuralNet(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__lr=RATE,
        optimizer__fused=True,
        iterator_train=lambda data, batch_size: make(*data.tensors),
        train_split=None,
        max_epochs=epochs,
        callbacks="disable",
        verbose=0,
    )
    data = TensorDataset(x, y)

    def train() -> int:
        net.fit(data, y=None)
        return steps(net.optimizer_)

    return train


def keras(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> Train:
    """Keras with torch below: its own layers, its own Adam with torch's epsilon, arrays as data."""
    twin, copy_back = keras_twin(model)
    images, labels = x.numpy(), y.numpy()

    def train() -> int:
        twin.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0)
        copy_back()  # a millisecond
        return int(twin.optimizer.iterations)

    return train


def keras_twin(model: nn.Sequential, **compile_options: Any) -> tuple[Any, Callable[[], None]]:
    """Return the same network in Keras, and what copies its weights back."""
    import keras
    from keras import layers

    keras.config.set_image_data_format("channels_first")  # as torch has it: nothing is transposed
    twin = keras.Sequential([keras.Input((1, 28, 28))])
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            twin.add(layers.Conv2D(layer.out_channels, 3, padding="same", activation="relu"))
        elif isinstance(layer, nn.MaxPool2d):
            twin.add(layers.MaxPooling2D(2))
        elif isinstance(layer, nn.Flatten):
            twin.add(layers.Flatten())
        elif isinstance(layer, nn.Linear):
            last = layer is model[-1]
            twin.add(layers.Dense(layer.out_features, activation=None if last else "relu"))
    twin.compile(
        optimizer=keras.optimizers.Adam(RATE, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
        **compile_options,
    )
    theirs = [layer for layer in twin.layers if layer.weights]
    ours = [layer for layer in model if isinstance(layer, nn.Linear | nn.Conv2d)]
    # (out, in) → (in, out); for convolutions (out, in, height, width) → (height, width, in, out)
    orders = [(1, 0) if isinstance(layer, nn.Linear) else (2, 3, 1, 0) for layer in ours]
    for layer, mine, order in zip(theirs, ours, orders, strict=True):
        layer.set_weights([mine.weight.detach().permute(order).numpy(), mine.bias.detach().numpy()])

    @torch.no_grad()
    def copy_back() -> None:
        for layer, mine, order in zip(theirs, ours, orders, strict=True):
            kernel, bias = (torch.as_tensor(array) for array in layer.get_weights())
            back = [order.index(axis) for axis in range(len(order))]
            mine.weight.copy_(kernel.permute(back))
            mine.bias.copy_(bias)

    return twin, copy_back


PLAIN: dict[str, Callable[..., Train]] = {
    "TransferLab": transferlab,
    "TransferLab channels_last": functools.partial(transferlab, channels_last=True),
    "bare loop": bare,
    "DataLoader": dataloader,
    "DataLoader by batch": functools.partial(dataloader, make=batch_loader),
    "Lightning": lightning,
    "Lightning by batch": functools.partial(lightning, make=batch_loader),
    "fastai": fastai,
    "fastai by batch": functools.partial(fastai, make=batch_loader),
    "skorch": skorch,
    "skorch by batch": functools.partial(skorch, make=batch_loader),
    "Keras": keras,
    "tutorial": functools.partial(dataloader, make=picture_loader),
}


# ---- the rows of the second table: nothing is switched off ---------------------------------------


@torch.no_grad()
def validate(model: nn.Module, batches: Any) -> str:
    """What hand-written loops do after an epoch."""
    model.eval()
    loss = right = count = 0
    for inputs, labels in batches:
        scores = model(inputs)
        loss += F.cross_entropy(scores, labels, reduction="sum").item()
        right += (scores.argmax(1) == labels).sum().item()
        count += len(labels)
    model.train()
    return f"loss {loss / count:.3f}, accuracy {right / count:.1%}"


def default_transferlab(model: nn.Module, x: Tensor, y: Tensor, epochs: int, val: Pair) -> Train:
    from transferlab import fit
    from transferlab.data import MemoryDataset

    classes = [str(digit) for digit in range(10)]
    data, held_out = MemoryDataset(x, y, classes, "digits"), MemoryDataset(*val, classes, "digits")

    def train() -> int:
        history = fit(model, data, val=held_out, epochs=epochs, batch_size=BATCH, lr=RATE)
        print(history)
        return history.steps[-1]

    return train


def default_loop(
    model: nn.Module, x: Tensor, y: Tensor, epochs: int, val: Pair, make=None
) -> Train:
    """The hand-written loop, with or without a DataLoader, that validates and prints."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    batches = make(x, y) if make else None
    held_out = make(*val) if make else list(zip(*(part.split(BATCH) for part in val), strict=True))

    def train() -> int:
        for epoch in range(epochs):
            order = torch.randperm(len(x)).split(BATCH)
            for inputs, labels in batches or ((x[rows], y[rows]) for rows in order):
                loss = F.cross_entropy(model(inputs), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            print(f"epoch {epoch}: {validate(model, held_out)}")
        return steps(optimizer)

    return train


def default_lightning(model: nn.Module, x: Tensor, y: Tensor, epochs: int, val: Pair) -> Train:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Pair, _: int) -> Tensor:
            inputs, labels = batch
            loss = F.cross_entropy(self.model(inputs), labels)
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Pair, _: int) -> None:
            inputs, labels = batch
            scores = self.model(inputs)
            self.log("val_loss", F.cross_entropy(scores, labels), prog_bar=True)
            self.log("val_acc", (scores.argmax(1) == labels).float().mean(), prog_bar=True)

        def configure_optimizers(self) -> torch.optim.Adam:
            return torch.optim.Adam(self.model.parameters(), lr=RATE)

    folder = tempfile.TemporaryDirectory()  # for its log and its checkpoints
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", default_root_dir=folder.name)
    module, batches, held_out = Module(), loader(x, y), DataLoader(TensorDataset(*val), BATCH)

    def train() -> int:
        trainer.fit(module, batches, held_out)
        folder.cleanup()
        return steps(trainer.optimizers[0])

    return train


def default_fastai(model: nn.Module, x: Tensor, y: Tensor, epochs: int, val: Pair) -> Train:
    from fastai.basics import DataLoaders, Learner, accuracy
    from fastai.callback.progress import ProgressCallback  # noqa: F401 - its import switches it on

    batches = DataLoaders(loader(x, y), DataLoader(TensorDataset(*val), BATCH))
    learner = Learner(batches, model, loss_func=F.cross_entropy, metrics=accuracy)

    def train() -> int:
        learner.fit(epochs, lr=RATE)
        return int(next(iter(learner.opt.state.values()))["step"])

    return train


def default_skorch(model: nn.Module, x: Tensor, y: Tensor, epochs: int, val: Pair) -> Train:
    from skorch import NeuralNetClassifier
    from skorch.helper import predefined_split

    net = NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=predefined_split(TensorDataset(*val)),
        max_epochs=epochs,
    )

    def train() -> int:
        net.fit(x, y)
        return steps(net.optimizer_)

    return train


def default_keras(model: nn.Module, x: Tensor, y: Tensor, epochs: int, val: Pair) -> Train:
    twin, copy_back = keras_twin(model, metrics=["accuracy"])
    images, labels = x.numpy(), y.numpy()
    held_out = tuple(part.numpy() for part in val)

    def train() -> int:
        twin.fit(images, labels, batch_size=BATCH, epochs=epochs, validation_data=held_out)
        copy_back()
        return int(twin.optimizer.iterations)

    return train


DEFAULT: dict[str, Callable[..., Train]] = {
    "TransferLab": default_transferlab,
    "bare loop": default_loop,
    "DataLoader": functools.partial(default_loop, make=loader),
    "Lightning": default_lightning,
    "fastai": default_fastai,
    "skorch": default_skorch,
    "Keras": default_keras,
    "tutorial": functools.partial(default_loop, make=picture_loader),
}


# ---- in a row's own process ----------------------------------------------------------------------


@functools.cache
def data() -> dict[str, Pair]:
    return {part: (x.float() / 255, y) for part, (x, y) in torch.load(DATA).items()}


def answer(row: str, network: str, seed: int, first: bool, default: bool) -> dict[str, Any]:
    """Train once. The first run is short: three steps, then the scores of some test images."""
    x, y = data()["train"]
    if first:
        x, y = x[:BATCH], y[:BATCH]
    torch.manual_seed(seed)
    model = NETWORKS[network]()
    more = {"val": data()["val"]} if default else {}
    train = (DEFAULT if default else PLAIN)[row](model, x, y, EPOCHS, **more)
    started = time.perf_counter()
    taken = train()
    seconds = time.perf_counter() - started
    test, labels = data()["test"]
    with torch.no_grad():
        scores = torch.cat([model.eval()(part) for part in test.split(1000)])
    right = (scores.argmax(1) == labels).float().mean().item()
    shown = scores[:100].tolist() if first else None
    return {"seconds": seconds, "steps": taken, "accuracy": right, "scores": shown}


if __name__ == "__main__":
    serve(answer)

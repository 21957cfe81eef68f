"""Residual networks for small images: the CIFAR ResNet-20 and a narrow ResNet-50.

Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition (2016).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferlab.models.backbone import Backbone


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut. (N, inputs, H, W) → (N, width, H/stride, W/stride)"""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.extra = stride, width - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        # The shortcut has no weights: it skips pixels and adds empty channels (option A, sec. 4.2).
        shortcut = x[:, :, :: self.stride, :: self.stride]
        half = self.extra // 2
        return F.relu(out + F.pad(shortcut, (0, 0, 0, 0, half, self.extra - half)))


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions beside a shortcut. (N, inputs, H, W) → (N, 4·width, H/s, W/s)"""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x))


class SmallResNet(nn.Module):
    """A residual network with a 3×3 stem. (N, channels, H, W) → (N, widths[-1] · expansion)"""

    def __init__(
        self, block: type[nn.Module], depths: list[int], widths: list[int], channels: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            layer = nn.Sequential()
            for index in range(depth):
                stride = 2 if number > 1 and index == 0 else 1
                layer.append(block(inputs, width, stride))
                inputs = width * block.expansion
            self.add_module(f"layer{number}", layer)
        self.stages = len(depths)
        self.width = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return torch.mean(x, dim=(2, 3))


def resnet20(num_classes: int = 10, shape: tuple[int, int, int] = (3, 32, 32)) -> Backbone:
    """Return the ResNet-20 for CIFAR: three stages of 16, 32 and 64 channels, 0.27 M weights.

    Like the published CIFAR weights, it normalises with the ImageNet mean and deviation.
    """
    features = SmallResNet(BasicBlock, [3, 3, 3], [16, 32, 64], channels=shape[0])
    return Backbone(
        features,
        features.width,
        num_classes,
        shape=shape,
        name="resnet20",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def narrow_resnet50(num_classes: int = 10, shape: tuple[int, int, int] = (3, 32, 32)) -> Backbone:
    """Return a ResNet-50 with an eighth of the channels and a stem for small images, 0.4 M weights.

    The same 16 bottleneck blocks in the same four stages as the original, so everything that can
    be said about its layers, its frozen parts and its 53 batch normalisations is true here too.
    """
    features = SmallResNet(Bottleneck, [3, 4, 6, 3], [8, 16, 32, 64], channels=shape[0])
    return Backbone(
        features,
        features.width,
        num_classes,
        shape=shape,
        name="narrow_resnet50",
        mean=(0.5,) * shape[0],
        std=(0.25,) * shape[0],
    )

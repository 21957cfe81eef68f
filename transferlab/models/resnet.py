"""Residual networks for small images: the CIFAR ResNet-20 and a ResNet-50 with few channels.

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


class ResNet(nn.Module):
    """Stem, stages of residual blocks, average. (N, channels, H, W) → (N, widths[-1] · expansion)

    The stem is that of the ImageNet networks (7×7, stride 2, then pooling) or, with
    `small_images`, that of the CIFAR networks (3×3, stride 1).
    """

    def __init__(
        self,
        block: type[nn.Module],
        depths: list[int],
        widths: list[int],
        channels: int,
        small_images: bool,
    ) -> None:
        super().__init__()
        if small_images:
            self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
            self.maxpool: nn.Module = nn.Identity()
        else:
            self.conv1 = nn.Conv2d(channels, widths[0], 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages: list[str] = []
        inputs = widths[0]
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            layer = nn.Sequential()
            for index in range(depth):
                stride = 2 if number > 1 and index == 0 else 1
                layer.append(block(inputs, width, stride))
                inputs = width * block.expansion
            self.add_module(f"layer{number}", layer)
            self.stages.append(f"layer{number}")
        self.width = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return torch.mean(x, dim=(2, 3))


def resnet20(num_classes: int = 10, shape: tuple[int, int, int] = (3, 32, 32)) -> Backbone:
    """Return the ResNet-20 for CIFAR: three stages of 16, 32 and 64 channels, 0.27 M weights.

    Like the published CIFAR weights, it normalises with the ImageNet mean and deviation.
    """
    features = ResNet(BasicBlock, [3, 3, 3], [16, 32, 64], shape[0], small_images=True)
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
    """Return a ResNet-50 with an eighth of the channels, 0.4 M weights instead of 25.6 M.

    Stem, 16 bottleneck blocks in four stages, and 53 batch normalisations are those of the
    original, and the layers have torchvision's names, so what is seen here can be tried there.
    It normalises with 0.3 and 0.4, near the mean and deviation of the generated letters.
    """
    features = ResNet(Bottleneck, [3, 4, 6, 3], [8, 16, 32, 64], shape[0], small_images=False)
    return Backbone(
        features,
        features.width,
        num_classes,
        shape=shape,
        name="narrow_resnet50",
        mean=(0.3,) * shape[0],
        std=(0.4,) * shape[0],
    )

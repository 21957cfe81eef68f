"""Networks: small ones to train live, torchvision's by name, and how weights are read."""

from transferlab.models.autoencoder import Autoencoder, MaskedAutoencoder
from transferlab.models.backbone import Backbone, Normalize
from transferlab.models.encoder import Encoder, Projector
from transferlab.models.gan import GAN, Discriminator, Generator
from transferlab.models.inception import narrow_inception
from transferlab.models.loading import load_backbone, save_weights
from transferlab.models.lora import LoRA, add_lora, has_lora, load_lora, merge_lora, save_lora
from transferlab.models.packaged import have
from transferlab.models.resnet import narrow_resnet50, resnet20
from transferlab.models.small import mlp, small_cnn
from transferlab.models.torchvision_models import torchvision_file
from transferlab.models.transformer import (
    MaskedLanguageModel,
    TextBackbone,
    text_transformer,
)
from transferlab.models.vgg import narrow_vgg16
from transferlab.models.weights import card, load_weights, read_weights, shipped

__all__ = [
    "GAN",
    "Autoencoder",
    "Backbone",
    "Discriminator",
    "Encoder",
    "Generator",
    "LoRA",
    "MaskedAutoencoder",
    "MaskedLanguageModel",
    "Normalize",
    "Projector",
    "TextBackbone",
    "add_lora",
    "card",
    "has_lora",
    "have",
    "load_backbone",
    "load_lora",
    "load_weights",
    "merge_lora",
    "mlp",
    "narrow_inception",
    "narrow_resnet50",
    "narrow_vgg16",
    "read_weights",
    "resnet20",
    "save_lora",
    "save_weights",
    "shipped",
    "small_cnn",
    "text_transformer",
    "torchvision_file",
]

"""A backbone without its head: the part that objectives without class labels train."""

from torch import Tensor, nn

from transferlab.models.backbone import Backbone


class Encoder(nn.Module):
    """normalise → features of a backbone. (N, *shape) → (N, width)

    The layers are the backbone's own, not copies: training the encoder trains the backbone. The
    head is left out: without class labels it gets no gradient, and weight decay or a penalty would
    only shrink it.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.normalize, self.features = backbone.normalize, backbone.features
        self._forward_features = backbone.forward_features  # it checks the images as well

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_features(x)


class Projector(nn.Module):
    """A backbone and a projection head. (N, *shape) → (N, outputs)

    The contrastive loss makes the projections invariant to what the views change, such as position
    or brightness. The features before them keep more, so the projection head is thrown away after
    pre-training. Source: Chen, Kornblith, Norouzi and Hinton, A Simple Framework for Contrastive
    Learning of Visual Representations (2020), section 4.2.
    """

    def __init__(self, backbone: Backbone, outputs: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(backbone)
        self.projection = nn.Sequential(
            nn.Linear(backbone.width, backbone.width),
            nn.ReLU(),
            nn.Linear(backbone.width, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.encoder(x))

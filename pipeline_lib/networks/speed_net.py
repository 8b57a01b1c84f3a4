"""A network that learns small photographs in few epochs: the one of airbench94 (Jordan 2024, arXiv 2404.00498).

B images, C channels, H = W pixels (32 or more), K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 2  # pixels
WIDTHS = (64, 256, 256)
LOGIT_SCALE = 1 / 9
LEAST_VARIANCE = 5e-4  # added to the eigenvalues


class Whitening(nn.Module):
    """Patches of 2x2 pixels onto their principal directions, each scaled to variance 1, and the same mirrored.

    The filters are no parameters: `whiten` computes them once from images; before that they are random directions.
    """

    filters: Tensor  # float32 [24, 3, 2, 2]

    def __init__(self) -> None:
        super().__init__()
        # Random directions until `whiten` is called.
        n_values = 3 * PATCH**2
        directions = nn.init.orthogonal_(torch.empty(n_values, n_values))
        half = directions.view(-1, 3, PATCH, PATCH)
        self.register_buffer("filters", torch.cat([half, -half]))
        self.bias = nn.Parameter(torch.zeros(len(self.filters)))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Apply the filters: [B, 24, H - 1, W - 1]."""
        return F.conv2d(x_BCHW, self.filters, self.bias)

    @torch.no_grad()
    def whiten(self, x_BCHW: Tensor) -> None:
        """Set the filters from normalised images; a few thousand suffice."""
        # All patches of all images as rows, and their covariance.
        unfolded = F.unfold(x_BCHW.float(), PATCH)
        patches = unfolded.transpose(1, 2).reshape(-1, 3 * PATCH**2)
        covariance = patches.T @ patches / len(patches)

        # Principal directions, the largest variance first, each scaled to variance 1.
        variances, directions = torch.linalg.eigh(covariance)
        scaled = directions / torch.sqrt(variances + LEAST_VARIANCE)
        half = scaled.T.flip(0).view(-1, 3, PATCH, PATCH)
        self.filters.copy_(torch.cat([half, -half]))


class Group(nn.Module):
    """Two convolutions that begin as the identity, with pooling after the first."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out, momentum=0.4)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out, momentum=0.4)
        # The first outputs copy the inputs; further ones keep torch's random weights.
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight.data[: conv.in_channels])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Halve the sides: [B, n_out, H / 2, W / 2]."""
        y_BCHW = F.max_pool2d(self.conv1(x_BCHW), 2)
        y_BCHW = F.gelu(self.norm1(y_BCHW))
        y_BCHW = self.conv2(y_BCHW)
        return F.gelu(self.norm2(y_BCHW))


class SpeedNet(nn.Module):
    """Whitened patches, three groups, the largest of each map, one linear layer."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.whitening = Whitening()
        widths_in = (len(self.whitening.filters), *WIDTHS)
        groups = [Group(n_in, n_out) for n_in, n_out in zip(widths_in, WIDTHS, strict=False)]
        self.groups = nn.Sequential(*groups)
        self.head = nn.Linear(WIDTHS[-1], n_classes, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Compute logits_BK."""
        y_BCHW = F.gelu(self.whitening(x_BCHW))
        y_BCHW = self.groups(y_BCHW)
        features_BC = y_BCHW.amax((2, 3))
        return self.head(features_BC) * LOGIT_SCALE  # type: ignore[no-any-return]

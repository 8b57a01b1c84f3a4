"""Four small networks for small images: float images_BCHW in, logits_BK out; the last layer is the head.

B images, C channels (3), H = W pixels, K classes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, arXiv 1512.03385, figure 2)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        # Made also where it is not needed: it draws from the random state, so weights stay those of earlier versions.
        wider = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        keeps_shape = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if keeps_shape else wider

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Compute the block's output, [B, n_out, H / stride, W / stride]."""
        y_BCHW = F.relu(self.bn1(self.conv1(x_BCHW)))
        y_BCHW = self.bn2(self.conv2(y_BCHW))
        return F.relu(y_BCHW + self.shortcut(x_BCHW))


class MiniResNet(nn.Module):
    """A stem and one residual block at each of three sizes; width 16 has 78,042 parameters for ten classes."""

    def __init__(self, n_classes: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.block1 = Residual(width, width, 1)
        self.block2 = Residual(width, 2 * width, 2)
        self.block3 = Residual(2 * width, 4 * width, 2)
        self.head = nn.Linear(4 * width, n_classes)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Compute logits_BK."""
        y_BCHW = self.stem(x_BCHW)
        y_BCHW = self.block1(y_BCHW)
        y_BCHW = self.block2(y_BCHW)
        y_BCHW = self.block3(y_BCHW)
        # Global average pooling.
        features_BC = y_BCHW.mean((2, 3))
        return self.head(features_BC)  # type: ignore[no-any-return]


def lenet(n_classes: int) -> nn.Module:
    """LeNet-5 (LeCun et al. 1998, doi 10.1109/5.726791) for colour, at its own 32 pixels or any larger side.

    Plain average pooling stands for its trainable subsampling, full connection for its table of C3.
    """
    return nn.Sequential(
        nn.Conv2d(3, 6, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        # Does nothing at 32 pixels.
        nn.AdaptiveAvgPool2d(5),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, n_classes),
    )


def small_cnn(n_classes: int) -> nn.Module:
    """Three convolutions, 4,096 features, dropout, one linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        # Does nothing at 32 pixels.
        nn.AdaptiveAvgPool2d(8),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4096, n_classes),
    )


def two_layer_cnn(n_classes: int) -> nn.Module:
    """Two convolutions with pooling, two linear layers: the first network of most courses."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        # Does nothing at 32 pixels.
        nn.AdaptiveAvgPool2d(8),
        nn.Flatten(),
        nn.Linear(4096, 128),
        nn.ReLU(),
        nn.Linear(128, n_classes),
    )

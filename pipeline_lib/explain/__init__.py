"""Why a model gives an image its class: where it looked, what it saw there, and which training images are like it."""

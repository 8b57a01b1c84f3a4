"""train: betons and a selection in, weights and curves out. Where to read what:

- `run` is the stage; `params` and `recipes` are its numbers; `preflight` checks them before any data is read;
- `loop` is the training, `learner` one step of it: `loaders` bring the images, `batch_augmentation` changes them,
  `loss` (with `soft_targets`) says what to learn, `optimiser` and `schedule` how fast, `batch_norm` keeps statistics right;
- before the first step: `initial_weights`; after the last: `self_training` may begin another round;
- stopping and going on: `checkpoint`, `out_of_memory`; several processes and machines: `distributed`, `rendezvous`;
- `rate_finder` tries learning rates for `perennial rate`.
"""

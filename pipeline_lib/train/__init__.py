"""train: betons and a selection in, weights and curves out. Where to read what:

- `run` is the stage; `params` and `recipes` describe a training; `preflight` checks that before data is read; `inputs`
  is everything that a training reads;
- `loop` is the training, `learner` one step of it: `loaders` bring the images, `batch_augmentation` changes them,
  `loss` (with `soft_targets`) says what to learn, `optimiser` and `schedule` how fast, `batch_norm` keeps statistics;
- before the first step: `initial_weights`; after an epoch: `curves`; after the last one: a round of `self_training`;
- stopping and going on: `checkpoint`, `out_of_memory`; several processes and machines: `distributed`, `rendezvous`;
- `rate_finder` tries learning rates for `perennial rate`.
"""

"""train: betons and a selection in, weights and curves out. Where to read what:

- `run` is the stage; `params` and `recipes` are its numbers; `loop` is the training, `learner` one update of it;
- what an update needs: `objective` (with `aims`, `soft_labels`, `teacher`), `mixing`, `optimiser` (with `muon`),
  `schedule`, `budget`; before the first one: `starting_weights`, `probe`; around them all: `self_training`;
- what surrounds an update: `feed` (to the device), `resizing` (growing pictures), `losses` (is it finite), `memory`;
- stopping and going on: `checkpoint`; several processes and machines: `ranks` (what they tell each other), `launch`,
  `meeting`.
"""

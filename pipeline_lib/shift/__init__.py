"""Images unlike the test split: corrupted ones and extra test sets; what they are called and how a model is shown them."""

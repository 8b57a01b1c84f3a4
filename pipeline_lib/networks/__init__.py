"""Networks by name, their starting weights, and the files a trained one is kept in. Nothing here knows a stage."""

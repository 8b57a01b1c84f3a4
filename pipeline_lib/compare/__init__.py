"""Two models beside each other: answers, data, labels, parameters, code. Facts, no causes."""

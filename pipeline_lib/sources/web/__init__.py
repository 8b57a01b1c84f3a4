"""Sources at http:// and https:// addresses: connections, answers, lists of URLs, and the place they make."""

"""How a model does on groups of the test images: by any column of the tables, and by curation/groups.csv."""

"""A registered model as files that explain themselves, for programs without Perennial; smaller ones are judged first."""

"""What reads a model: scores, circuits, paths, virtual weights, composition, bases,
interventions."""

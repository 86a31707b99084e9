"""What makes a model: the loop, the optimisers, the course's recipes, and runs on disk."""

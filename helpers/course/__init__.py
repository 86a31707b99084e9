"""What makes the course's own files: executed notebooks, pictures, tables."""

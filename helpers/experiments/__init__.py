"""What one question of the course alone needs."""

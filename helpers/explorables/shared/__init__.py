"""What the explorables share."""

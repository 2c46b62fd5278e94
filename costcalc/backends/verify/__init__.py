"""What a verification found."""

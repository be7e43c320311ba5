"""Pages of whoever runs projects."""

"""The database itself: its tables, its connections, its schema."""

"""Commands around a run: projects, imports, exports, erasures."""

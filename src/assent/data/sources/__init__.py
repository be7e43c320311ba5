"""Readers of foreign formats, one small file each; `detect` decides which one fits a row."""

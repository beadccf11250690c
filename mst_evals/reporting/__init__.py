"""Logs or packed results -> one tidy frame -> numbers, sentences, tables and figures -> a report."""

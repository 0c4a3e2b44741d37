"""Render: report -> words, text, pictures and the widget. Functions from values to values."""

"""Facts: a trace as plain values, its file format, and what must hold in it."""

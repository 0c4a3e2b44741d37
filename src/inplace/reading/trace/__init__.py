"""What every question asks of a trace: who made and wrote what, where, and under which names."""

"""Reading: questions that several checks ask of a trace."""

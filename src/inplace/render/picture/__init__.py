"""Picture: the diagram, and the forms in which it is drawn."""

"""How each family of steps is run: documents and tables as SQL, the others on their own stage."""

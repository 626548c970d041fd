"""What each command of the program does: arguments in, library calls out."""

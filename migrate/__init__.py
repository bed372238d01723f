"""Moves what users have: from older layouts into today's, and from r2 mode to actors; always with a way back."""

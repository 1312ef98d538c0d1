"""Images sampled at other places and in other sizes."""

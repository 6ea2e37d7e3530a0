"""The nouns of medley: songs, jobs, parts, renders, events, and the stores that keep them."""

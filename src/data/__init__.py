"""Where images come from: the official archives, and the built-in glyphs."""

"""Where images come from: the official archives, the built-in glyphs, and folders of one's own."""

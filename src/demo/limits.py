"""What the server of the page takes from a browser at most."""
FEWEST_CLASSES, MOST_CLASSES = 2, 10
MOST_EXAMPLES = 5            # of each class
MOST_BYTES = 2_000_000       # of a request; ten classes of five drawings have some 100,000
MOST_IMAGE_BYTES = 100_000   # of one PNG file
MOST_SIDE = 512              # pixels of an image's width and height
MOST_LEARNED = 64            # classifiers kept, of a megabyte each with the network of checkpoints/5way-1shot
LONGEST_WAIT = 60            # seconds for what others asked before, and for compiling
LONGEST_SILENCE = 30         # seconds for the rest of a request
MOST_CONNECTIONS = 100
THREADS = 8                  # requests at a time

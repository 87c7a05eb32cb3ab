"""What the server of the page takes from a browser at most."""
FEWEST_CLASSES, MOST_CLASSES = 2, 10
MOST_EXAMPLES = 5            # of each class
MOST_NAME = 40               # letters of a class's name
MOST_BYTES = 7_000_000       # of a request; ten classes of five of the largest images have some 6,700,000
MOST_IMAGE_BYTES = 100_000   # of one image in it
MOST_SIDE = 512              # pixels of its width and height
MOST_PHOTO_BYTES = 32_000_000   # of a picture as a camera or a scanner made it
PHOTO_SIDE = 320             # pixels of its longer side that are kept
MOST_LEARNED = 64            # classifiers kept, of 4 MB each with the published network
LONGEST_WAIT = 60            # seconds for what others asked before, and for compiling
MOST_WAITING = 16            # requests that wait so
LONGEST_REQUEST = 30         # seconds from a request's first byte to its last
MOST_CONNECTIONS = 200
THREADS = 2 * MOST_WAITING   # requests at a time: for what needs not wait, one is always free

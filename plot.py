"""Draw trainings together: `python plot.py RUN RUN`; the program is src/programs/plot.py."""
from mindspore_maml.commands import plot

if __name__ == "__main__":
    plot()

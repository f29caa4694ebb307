"""How a run with several workers (pytest-xdist) is shared out: file by file, and folders whose tests share something expensive (a
running product, a browser, a database of their own) as a whole. Those come first: no worker is left alone with one at the end."""

from xdist.scheduler import LoadFileScheduling

WHOLE = ("tests/faults", "tests/browser", "tests/house")
"""The longest first."""


def unit(nodeid: str) -> str:
    """The folder or file that this test goes to a worker with."""
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder in WHOLE else file


def rank(nodeid: str) -> int:
    """Sorts what is WHOLE first, in its order, and leaves the others in theirs."""
    found = unit(nodeid)
    return WHOLE.index(found) if found in WHOLE else len(WHOLE)


class LongestFirst(LoadFileScheduling):
    def __init__(self, config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, which says little

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

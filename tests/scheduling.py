"""How a run with several workers (pytest-xdist) is shared out: file by file, the longest first, so that no worker is left alone
with one at the end; folders whose tests share something expensive (a running product, a browser) go to one worker as a whole."""

from xdist.scheduler import LoadFileScheduling

LONGEST = (
    "tests/faults",
    "tests/browser",
    "tests/house",
)  # fmt: skip
"""Folders that stay together, and files, the longest first."""


def unit(nodeid: str) -> str:
    """The folder or file that this test goes to a worker with."""
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder in LONGEST else file


def rank(nodeid: str) -> int:
    """Sorts the longest first, in their order, and leaves the others in theirs."""
    found = unit(nodeid)
    return LONGEST.index(found) if found in LONGEST else len(LONGEST)


class LongestFirst(LoadFileScheduling):
    def __init__(self, config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, which says little

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

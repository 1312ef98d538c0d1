"""What is being tried, kept where a parent process finds it when this one is killed."""

_page = None


def open_in(page):
    """`page`: a buffer of bytes that outlives this process."""
    global _page
    _page = page


def note(text):
    if _page is not None:
        line = text.encode()[: len(_page) - 1]
        _page[: len(line) + 1] = line + b"\0"

"""What a page of the trace looks like, for tests to read."""

import io

from rich.console import Group, RenderableType

from sprig.trace.console import open_console


def drawn(page: RenderableType, width: int | None = None) -> str:
    """The page as it goes to a file, or to a console of the given width; spaces at the ends of lines left out."""
    console = open_console(io.StringIO())
    console.width = width or console.width
    console.print(Group(page))  # a Text printed by itself would lose its own rules of wrapping
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())

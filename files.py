"""files.py FOLDER PATTERN ...: the files below a folder that match a pattern, a line each, for the build."""

import sys
from pathlib import Path

folder = Path(sys.argv[1])
found = {path.relative_to(folder).as_posix() for pattern in sys.argv[2:] for path in folder.glob(pattern)}
print(*sorted(found), sep="\n")

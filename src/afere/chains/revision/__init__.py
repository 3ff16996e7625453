"""Revisions: what a chain is made of, captured without the user listing anything, and how two of them differ.

The way of the data, file by file:

    canonical_form.py  a syntax tree as one text, the same on every Python and in every layout
    scopes.py          which outer names a piece of code uses (with clues.py: what its calls betray; uses.py: the values)
    file_index.py      a source file as pieces: functions, classes, constants, import effects
    cache.py           each file and folder looked at once; what was read is kept
    modules.py         from a name to the definition that it finally means
    reach.py           all that can be reached from a start (with pointers.py: names in texts; gather.py: what reaches back)
    values.py, live.py what only the live object knows (with notebook.py: code without a file)
    stale.py           whether the process runs what is on disk
    named.py           prompts, indexes and datasets that it names; packages.py: distributions, and the setting
    tools.py           tools that are named by text
    capturing.py       all of the above in order; revision.py and record.py keep the result
    found.py           what ran without having been reached
    diff.py            what changed between two revisions
"""

from afere.chains.revision.capturing import capture
from afere.chains.revision.diff import Change, changes
from afere.chains.revision.found import unreached, with_found, with_ran
from afere.chains.revision.record import Recorded, recorded
from afere.chains.revision.revision import Revision

__all__ = ["Change", "Recorded", "Revision", "capture", "changes", "recorded", "unreached", "with_found", "with_ran"]

# Runs a command on a terminal of its own, its standard output apart, and types when it sees what it waits for.
#
# stdin:  {"command": [...], "env": {...}, "steps": [{"see": text, "type": text}], "seconds": limit}
# stdout: {"terminal": text, "stdout": text, "code": exit code, "missing": what never came or null}

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time

script = json.load(sys.stdin)
master, slave = pty.openpty()
child = subprocess.Popen(
    script["command"],
    env=script["env"],
    stdin=slave,
    stderr=slave,
    stdout=subprocess.PIPE,
    start_new_session=True,
    # Or Ctrl-C would end nobody.
    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
)
out = child.stdout.fileno()
heard = {master: b"", out: b""}
steps = script["steps"]
seen = 0
deadline = time.monotonic() + script["seconds"]


def listen(seconds):
    ready = select.select(list(listening), [], [], max(0, seconds))[0]
    for source in ready:
        chunk = os.read(source, 65536)
        heard[source] += chunk
        if not chunk:
            listening.discard(source)
    return bool(ready)


listening = {master, out}
while out in listening:
    if not listen(deadline - time.monotonic()):
        child.kill()
        break
    while steps:
        at = heard[master].find(steps[0]["see"].encode(), seen)
        if at == -1:
            break
        seen = at + len(steps[0]["see"].encode())
        os.write(master, steps.pop(0)["type"].encode())
child.wait()
# What it wrote before it ended is here already; this side holds the terminal open, so that there is no end to wait for.
listening = {master}
while listen(0):
    pass

json.dump(
    {
        "terminal": heard[master].decode(),
        "stdout": heard[out].decode(),
        "code": child.returncode,
        "missing": steps[0]["see"] if steps else None,
    },
    sys.stdout,
)

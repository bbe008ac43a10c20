"""The process inside of the bubblewrap box: control lines on 3 and 4, what is printed on 1.

Started as `python3 -I -B -X utf8 /opt/skein/runner.py`. The first line that it reads sets the limits of the process;
they are in force before anybody's code is.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import threading

sys.path.insert(0, '/opt/skein')
from skein_cell import ROOT, Cell  # noqa: E402

del sys.path[0]

CONTROL_IN, CONTROL_OUT = 3, 4


class Pipes:
    def __init__(self):
        self.nonce = b''
        self.marks = 0
        self.lock = threading.Lock()

    def send(self, message):
        data = memoryview(json.dumps(message).encode() + b'\n')
        with self.lock:
            while data:
                data = data[os.write(CONTROL_OUT, data):]

    def mark(self):
        """Logs and control lines travel apart: a mark among the logs says what had been printed by then."""
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()
            except Exception:
                # The code has closed or replaced it; the host does not wait for a mark for ever.
                pass
        self.marks += 1
        try:
            os.write(1, b'\x1e' + self.nonce + b'\x1e')
        except OSError:
            pass
        return self.marks


def limit(limits):
    for name, value in (
        ('RLIMIT_DATA', limits['data']),
        ('RLIMIT_NPROC', limits['processes']),
        ('RLIMIT_FSIZE', limits['fileSize']),
        ('RLIMIT_NOFILE', limits['openFiles']),
        ('RLIMIT_CPU', limits['cpuSeconds']),
        ('RLIMIT_CORE', 0),
        ('RLIMIT_MEMLOCK', 0),
        ('RLIMIT_MSGQUEUE', 0),
    ):
        resource.setrlimit(getattr(resource, name), (value, value))
    os.nice(10)
    try:
        # Of all processes of the machine, the kernel ends these first.
        with open('/proc/self/oom_score_adj', 'w') as score:
            score.write('1000')
    except OSError:
        # There may be no /proc in a box inside of a container.
        pass


def main():
    os.dup2(1, 2)
    os.closerange(5, 1024)
    sys.stdout.reconfigure(line_buffering=True)
    os.set_inheritable(CONTROL_IN, False)
    os.set_inheritable(CONTROL_OUT, False)
    os.chdir(ROOT)
    sys.argv = ['']
    pipes = Pipes()
    loop = None

    def run_coroutine(coroutine):
        nonlocal loop
        if loop is None or loop.is_closed():
            loop = asyncio.new_event_loop()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        finally:
            if not task.done():
                task.cancel()

    cell = Cell(pipes.send, pipes.mark, run_coroutine)

    with os.fdopen(CONTROL_IN, 'rb', buffering=1024 * 1024) as lines:
        limit(json.loads(lines.readline())['limits'])
        signal.signal(signal.SIGINT, cell.interrupted)
        pipes.send({'ready': sys.version.split()[0]})
        for line in lines:
            message = json.loads(line)
            if message['op'] == 'exec':
                pipes.nonce, pipes.marks = message['nonce'].encode(), 0
            cell.handle(message)


main()

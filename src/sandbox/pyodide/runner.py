"""The Python side of the Pyodide box; worker.mjs calls `start` once and what it returns for every line of the host."""

import asyncio
import json
import os
import random
import signal
import sys
import time

from pyodide.ffi import run_sync

from skein_cell import ROOT, Cell

# Seconds between two chances to see an interrupt while the code only waits.
TICK = 0.05


class Interrupted(BaseException):
    """A KeyboardInterrupt that asyncio keeps in the task that it met, instead of throwing it at JavaScript."""


Interrupted.__module__, Interrupted.__qualname__, Interrupted.__name__ = 'builtins', *['KeyboardInterrupt'] * 2


class Interrupts:
    """Where the code waits (sleep, await), no Python runs but the event loop's, which an interrupt would break."""

    def __init__(self):
        self.cell = None
        self.pending = False
        self.loop = asyncio.get_event_loop()

    def on_interrupt(self, number, frame):
        if not self.cell.interruptible:
            return
        in_loop = in_handle = in_code = False
        while frame is not None:
            code = frame.f_code
            in_loop = in_loop or code.co_name == 'run_handle' and code.co_filename.endswith('webloop.py')
            in_handle = in_handle or code is asyncio.Handle._run.__code__
            in_code = in_code or code.co_filename.startswith('<cell ')
            frame = frame.f_back
        if not in_loop:
            # Once: a second one must not meet what deals with the first.
            self.cell.interruptible = False
            raise KeyboardInterrupt
        if in_handle and in_code:
            raise Interrupted
        self.pending = True

    def tick(self):
        if self.pending:
            self.pending = False
            for task in asyncio.all_tasks(self.loop):
                task.cancel('interrupted')
        if self.cell.id is not None:
            self.loop.call_later(TICK, self.tick)

    def wait(self, begin):
        try:
            return begin()
        except (asyncio.CancelledError, Interrupted) as cancelled:
            if isinstance(cancelled, Interrupted) or cancelled.args == ('interrupted',):
                raise KeyboardInterrupt from None
            raise


def _mark():
    """Logs and messages travel in one line here: nothing has to be marked, only let go."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except Exception:
            # The code has closed or replaced it.
            pass
    return 0


def start(send):
    # A memory snapshot carries the state of the generator along: without this, every session draws the same numbers.
    random.seed()
    os.makedirs(ROOT, exist_ok=True)
    os.chdir(ROOT)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    interrupts = Interrupts()
    sleep = time.sleep
    time.sleep = lambda seconds: interrupts.wait(lambda: sleep(seconds))
    cell = Cell(
        lambda message: send(json.dumps(message)),
        _mark,
        lambda coroutine: interrupts.wait(lambda: run_sync(coroutine)),
    )
    interrupts.cell = cell
    cell.on_interrupt = interrupts.on_interrupt
    signal.signal(signal.SIGINT, cell.on_interrupt)

    def handle(line):
        message = json.loads(line)
        cell.id = message['id']
        interrupts.pending = False
        interrupts.loop.call_later(TICK, interrupts.tick)
        try:
            cell.handle(message)
        finally:
            cell.id = None

    return handle

"""What a call of the code interpreter means, the same in every box.

The code that is run here shares this process and can change all of it: nothing in this file guards anything. The host
takes every byte that comes out for the attacker's.
"""

import ast
import base64
import io
import linecache
import os
import signal
import stat
import sys
import traceback
import types

ROOT = '/mnt/data'
# Sizes are characters, or bytes where it says so.
MOST_VALUE = 20_000
MOST_TRACEBACK = 8_000
MOST_ERROR = 2_000
# Of a file, in bytes; base64 makes 342 KiB of it, which stays below the host's longest line.
CHUNK = 256 * 1024
IMAGE_PART = 512 * 1024
MOST_DEPTH = 8
MOST_ENTRIES = 10_000
MOST_LISTED = 500


class Cell:
    """`send(message)` writes one message, `mark()` writes what has been printed and returns its place among the logs."""

    def __init__(self, send, mark, run_coroutine):
        self.send = send
        self.mark = mark
        self.run_coroutine = run_coroutine
        # Another box may have to be more careful where it raises.
        self.on_interrupt = self.interrupted
        self.pid = os.getpid()
        self.count = 0
        # Between these two an interrupt belongs to the user's code; elsewhere it comes too late and is dropped.
        self.interruptible = False
        self.id = None
        self.most_images = self.most_image_bytes = self.images = self.images_omitted = 0
        main = types.ModuleType('__main__')
        main.__dict__['__builtins__'] = __builtins__
        sys.modules['__main__'] = main
        self.names = main.__dict__
        sys.path.insert(0, ROOT)
        sys.meta_path.insert(0, PyplotFinder(self))

    def handle(self, message):
        operation = getattr(self, 'do_' + message['op'])
        try:
            answer = operation(message)
        except OSError as error:
            answer = {'failed': str(error)[:MOST_ERROR], 'errno': error.errno}
        self.send({'id': message['id'], 'done': answer})

    # --- code

    def do_exec(self, message):
        self.id = message['id']
        self.count += 1
        self.images = self.images_omitted = 0
        self.most_images, self.most_image_bytes = message['images'], message['imageBytes']
        code, name = message['code'], f'<cell {self.count}>'
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        before = self.walk()
        value, error = None, None
        # What the last call has done to the handler does not last.
        signal.signal(signal.SIGINT, self.on_interrupt)
        try:
            try:
                self.interruptible = True
                self.send({'id': self.id, 'begun': True})
                try:
                    value = self.present(self.run(code, name))
                except Exception as raised:
                    error = self.describe(raised)
                self.show_figures()
            finally:
                self.interruptible = False
                self.only_here()
        except SystemExit as stop:
            if stop.code not in (None, 0):
                error = self.describe(stop)
        except BaseException as raised:
            error = error or self.describe(raised)
            self.drop_figures()
        self.restore_streams()
        after = self.walk()
        changed = [path for path, seen in after.items() if before.get(path) != seen]
        files = [{'path': path, 'size': after[path][0]} for path in changed]
        return {
            'value': value,
            'error': error,
            'files': files[:MOST_LISTED],
            'filesOmitted': max(0, len(files) - MOST_LISTED),
            'imagesOmitted': self.images_omitted,
            'mark': self.mark(),
        }

    def restore_streams(self):
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        if sys.stdin is None or sys.stdin.closed:
            # exit() closes it.
            sys.stdin = io.StringIO()

    def interrupted(self, number, frame):
        if self.interruptible and os.getpid() == self.pid:
            # Once: a second one must not meet what deals with the first.
            self.interruptible = False
            raise KeyboardInterrupt

    def run(self, code, name):
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(code, name, 'exec', flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        if tree.body:
            self.evaluate(compile(tree, name, 'exec', flags, dont_inherit=True))
        if last is None:
            return None
        value = self.evaluate(compile(last, name, 'eval', flags, dont_inherit=True))
        # As in notebooks, a semicolon at the end keeps the value to oneself.
        return None if code.rstrip().endswith(';') else value

    def evaluate(self, compiled):
        import inspect

        value = eval(compiled, self.names)
        if compiled.co_flags & inspect.CO_COROUTINE:
            return self.run_coroutine(value)
        return value

    def present(self, value):
        if value is None:
            return None
        self.names['_'] = value
        text = repr(value)
        if not isinstance(text, str):
            text = object.__repr__(value)
        return text if len(text) <= MOST_VALUE else f'{text[:MOST_VALUE]}… ({len(text)} characters)'

    def describe(self, error):
        """Name, message and the frames that are the user's own: those of the runner and of libraries tell them nothing."""
        name, text = type(error).__name__, ''
        try:
            text = str(error)[:MOST_ERROR]
            report = traceback.TracebackException.from_exception(error)
            self.keep_own_frames(report, set())
            lines = ''.join(report.format())
        except BaseException as failed:
            lines = f'{name}: {text}\n(its traceback could not be made: {type(failed).__name__})\n'
        if len(lines) > MOST_TRACEBACK:
            lines = f'{lines[:MOST_TRACEBACK // 2]}\n…\n{lines[-MOST_TRACEBACK // 2:]}'
        return {'name': name[:200], 'message': text, 'traceback': lines}

    def keep_own_frames(self, report, seen):
        if report is None or id(report) in seen:
            return
        seen.add(id(report))
        own = [frame for frame in report.stack if frame.filename.startswith(('<cell ', ROOT + '/', '/tmp/'))]
        report.stack[:] = own
        self.keep_own_frames(report.__cause__, seen)
        self.keep_own_frames(report.__context__, seen)
        for inner in getattr(report, 'exceptions', None) or ():
            self.keep_own_frames(inner, seen)

    def only_here(self):
        # A child that the code forked and that came back out of it is no second runner.
        if os.getpid() != self.pid:
            os._exit(0)

    # --- figures

    def show_figures(self):
        pyplot = sys.modules.get('matplotlib.pyplot')
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            if figure.get_axes() or figure.texts or figure.images or figure.patches or figure.lines:
                self.show(figure)
            pyplot.close(figure)

    def show(self, figure):
        if self.images >= self.most_images:
            self.images_omitted += 1
            return
        out = io.BytesIO()
        figure.savefig(out, format='png', bbox_inches='tight')
        data = out.getvalue()
        if len(data) > self.most_image_bytes:
            self.images_omitted += 1
            return
        # An interrupt must not leave half a line behind; the host sends another.
        armed, self.interruptible = self.interruptible, False
        mark = self.mark()
        for start in range(0, len(data), IMAGE_PART):
            part = base64.b64encode(data[start:start + IMAGE_PART]).decode()
            last = start + IMAGE_PART >= len(data)
            self.send({'id': self.id, 'image': self.images, 'data': part, 'last': last, 'mark': mark})
        self.images += 1
        self.interruptible = armed

    def drop_figures(self):
        pyplot = sys.modules.get('matplotlib.pyplot')
        try:
            if pyplot is not None:
                pyplot.close('all')
        except Exception:
            # What the code has done to its pyplot is its own affair; the error that is being told matters more.
            pass

    # --- files: paths are relative to ROOT, links are never followed

    def walk(self):
        """Regular files: path -> (size, mtime, ctime, inode)."""
        found, folders, seen = {}, [('', 0)], 0
        while folders:
            prefix, depth = folders.pop()
            try:
                entries = sorted(os.scandir(os.path.join(ROOT, prefix)), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                seen += 1
                if seen > MOST_ENTRIES:
                    return found
                if not tellable(entry.name):
                    continue
                path = prefix + entry.name
                try:
                    about = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(about.st_mode) and depth < MOST_DEPTH:
                    folders.append((path + '/', depth + 1))
                elif stat.S_ISREG(about.st_mode):
                    found[path] = (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
        return found

    def do_list(self, message):
        files = [
            {'path': path, 'size': size, 'modified': modified // 1_000_000}
            for path, (size, modified, _, _) in self.walk().items()
        ]
        return {'files': files[:MOST_LISTED], 'omitted': max(0, len(files) - MOST_LISTED)}

    def do_put(self, message):
        path = os.path.join(ROOT, message['name'])
        if message['first']:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        flags = os.O_WRONLY | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if message['first'] else os.O_APPEND)
        opened = os.open(path, flags, 0o644)
        try:
            data = memoryview(base64.b64decode(message['data']))
            while data:
                data = data[os.write(opened, data):]
        finally:
            os.close(opened)
        return {}

    def do_drop(self, message):
        try:
            os.unlink(os.path.join(ROOT, message['name']))
        except FileNotFoundError:
            pass
        return {}

    def do_get(self, message):
        path = ROOT
        for part in message['path'].split('/'):
            path = os.path.join(path, part)
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise OSError(40, 'a link is not handed out')
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            about = os.fstat(opened)
            if not stat.S_ISREG(about.st_mode):
                raise OSError(22, 'not a regular file')
            os.lseek(opened, message['offset'], os.SEEK_SET)
            data = os.read(opened, CHUNK)
        finally:
            os.close(opened)
        return {
            'data': base64.b64encode(data).decode(),
            'size': about.st_size,
            'version': f'{about.st_ino}-{about.st_size}-{about.st_mtime_ns}',
        }

    def do_packages(self, message):
        """Versions of the packages that can be imported; asked of a box that runs nobody's code."""
        from importlib import metadata, util

        found = {}
        for module, package in message['names']:
            if util.find_spec(module) is not None:
                try:
                    found[package] = metadata.version(package)
                except metadata.PackageNotFoundError:
                    found[package] = ''
        return {'packages': found}


def tellable(name):
    """A name that can be written down: valid UTF-8 without control characters."""
    try:
        name.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return all(ord(character) >= 32 and ord(character) != 127 for character in name)


class PyplotFinder:
    """Makes `plt.show()` show, whichever backend the code has chosen, without importing matplotlib for everybody."""

    def __init__(self, cell):
        self.cell = cell

    def find_spec(self, name, path=None, target=None):
        if name != 'matplotlib.pyplot':
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.show = lambda *args, **kwargs: self.cell.show_figures()

        spec.loader.exec_module = exec_module
        return spec

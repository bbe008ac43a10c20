/** Python that tries something and prints what came of it; every attack begins with it. */
const PRELUDE = `
import os, sys, time
def attempt(name, act):
    try:
        print(name, 'REACHED', repr(act())[:300])
    except BaseException as error:
        print(name, 'refused', type(error).__name__)
`;

export interface Surroundings {
  /** A folder of the host's that everybody may write to. */
  folder: string;
  /** A file in it. */
  file: string;
  /** A listening server of the host's on 127.0.0.1. */
  port: number;
  /** A listening Unix socket of the host's. */
  socket: string;
  /** Another one, which has a name and no file; without the zero byte that it begins with. */
  abstract: string;
  host: number;
}

const text = (value: string): string => JSON.stringify(value);

/** Tried in both boxes. None of these may print REACHED. */
export const READS = ({ folder, file }: Surroundings): string => `${PRELUDE}
for path in (${text(file)}, '/etc/passwd', '/etc/shadow', '/root/.bashrc', '/proc/self/root' + ${text(file)},
             '/proc/1/root' + ${text(file)}, '/mnt/data/../../' + ${text(file)}, '/proc/1/environ', '/proc/kcore', '/dev/mem'):
    attempt(path, lambda: open(path, 'rb').read(1000) or os.strerror(2) / 1)
attempt('folder', lambda: os.listdir(${text(folder)}))
os.symlink(${text(file)}, 'to-file')
attempt('through a link', lambda: open('to-file').read())
print(dict(os.environ))
`;

export const WRITES = ({ folder }: Surroundings): string => `${PRELUDE}
attempt('host', lambda: open(${text(folder)} + '/written', 'w').write('x'))
for path in ('/etc/x', '/usr/x', '/usr/local/x', '/bin/x', '/lib/x', '/dev/x', '/opt/skein/x', '/opt/skein/runner.py', '/x', '/proc/sys/kernel/hostname'):
    attempt(path, lambda: open(path, 'w').write('x'))
`;

export const CONNECTS = ({ port, socket, abstract }: Surroundings): string => `${PRELUDE}
import socket
attempt('tcp', lambda: socket.create_connection(('127.0.0.1', ${port}), 1))
attempt('tcp6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(('::1', ${port})))
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', ${port})) / 0)
if sys.platform != 'emscripten':
    attempt('listen', lambda: socket.socket().bind(('127.0.0.1', 0)) or socket.socket().listen() / 0)
if sys.platform != 'emscripten':
    # There, names are given invented addresses.
    attempt('dns', lambda: socket.gethostbyname('example.com'))
def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s.recv(100)
attempt('unix', lambda: unix(${text(socket)}))
attempt('abstract', lambda: unix(b'\\0' + ${text(abstract)}.encode()))
import urllib.request
attempt('http', lambda: urllib.request.urlopen('http://127.0.0.1:${port}/', timeout=1).read())
`;

export const KILLS = ({ host }: Surroundings): string => `${PRELUDE}
for pid in (${host}, 1, os.getppid(), -1):
    attempt(pid, lambda: os.kill(pid, 15))
`;

/** Only CPython can. */
export const RAW_CALLS = `${PRELUDE}
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def raw(*args):
    ctypes.set_errno(0)
    result = libc.syscall(*args)
    return ctypes.get_errno() if result < 0 else 'done'
CLONE_NEWUSER = 0x10000000
print('unshare', raw(272, CLONE_NEWUSER), 'clone', raw(56, CLONE_NEWUSER | 17, 0, 0, 0, 0), 'clone3', raw(435, 0, 0))
print('setns', raw(308, 0, 0), 'mount', raw(165, 0, 0, 0, 0, 0), 'umount', raw(166, 0, 0), 'pivot', raw(155, 0, 0))
print('ptrace', raw(101, 0, 0, 0, 0), 'vm_readv', raw(310, 1, 0, 0, 0, 0, 0), 'bpf', raw(321, 0, 0, 0), 'perf', raw(298, 0, 0, 0, 0, 0))
print('uring', raw(425, 1, 0), 'keyctl', raw(250, 0, 0), 'userfaultfd', raw(323, 0), 'mknod', raw(133, b'/tmp/n', 0o20666, 0x101))
print('chroot', raw(161, b'/tmp'), 'handle', raw(304, 0, 0, 0), 'module', raw(175, 0, 0, 0), 'new', raw(467, 0, 0), 'x32', raw(0x40000000 + 39))
print('socket', raw(41, 2, 1, 0), 'netlink', raw(41, 16, 3, 0), 'packet', raw(41, 17, 3, 0), 'vsock', raw(41, 40, 1, 0))
print('tiocsti', raw(16, 0, 0x5412, b'x'), 'high', raw(16, 0, ctypes.c_ulong(0x7700005412), b'x'))
print('setuid', raw(105, 0), 'setgid', raw(106, 0), 'sethostname', raw(170, b'x', 1))
`;

/** What it prints on a box whose filter is whole: 1 is EPERM, 38 ENOSYS, 97 EAFNOSUPPORT, 22 EINVAL. */
export const RAW_ANSWERS = `unshare 1 clone 1 clone3 38
setns 1 mount 1 umount 1 pivot 1
ptrace 1 vm_readv 1 bpf 1 perf 1
uring 1 keyctl 1 userfaultfd 1 mknod 1
chroot 1 handle 1 module 1 new 38 x32 38
socket 97 netlink 97 packet 97 vsock 97
tiocsti 1 high 1
setuid 22 setgid 22 sethostname 1
`;

/** Prints the signal by which a process ends that makes a call of another set than its own. */
export const FOREIGN_CALL = `
import mmap, ctypes, os
# mov eax, 20 (getpid of the 32-bit set); int 0x80; ret
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex('b814000000cd80c3'))
child = os.fork()
if child == 0:
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(0)
print(os.WTERMSIG(os.waitpid(child, 0)[1]))`;

/** Ends with the folders that can be written to, and what a look at the processes shows. */
export const LOOKS_AROUND = `
import os, stat
found = []
for folder, folders, files in os.walk('/'):
    if folder.startswith('/proc/'):
        folders[:] = []
        continue
    try:
        open(folder + '/probe', 'x').close()
        os.unlink(folder + '/probe')
    except OSError:
        continue
    found.append(folder)
    folders[:] = []
print('writable', sorted(found))
print('processes', sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))
print('first', open('/proc/1/cmdline', 'rb').read().split(b'\\0')[:2], 'parent', os.getppid())
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
print('caps', status['CapEff'].strip(), status['CapBnd'].strip(), 'nnp', status['NoNewPrivs'], 'seccomp', status['Seccomp'])
print('addresses', {line.split()[0].strip('0') for line in open('/proc/kallsyms').read().splitlines()[:1000]} - {''})
print('environment', *sorted(os.environ))
print('interfaces', sorted(line.split(':')[0].strip() for line in open('/proc/net/dev').read().splitlines()[2:]))
print('descriptors', sorted((int(fd), os.path.basename(os.readlink('/proc/self/fd/' + fd)).split(':')[0]) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)))
`;

/** Only Pyodide has JavaScript beneath it. */
export const JAVASCRIPT = ({ folder, file, port, socket, abstract, host }: Surroundings): string => `${PRELUDE}
import js
from pyodide.code import run_js
async def deno(name, code):
    try:
        print(name, 'REACHED', str(await run_js('(async () => { return ' + code + '; })()'))[:300])
    except BaseException as error:
        print(name, 'refused', type(error).__name__)
file, folder, unix = ${text(text(file))}, ${text(text(folder))}, ${text(text(socket))}
for name, code in {
    'read': f'Deno.readTextFileSync({file})',
    'passwd': 'Deno.readTextFileSync("/etc/passwd")',
    'environ': 'Deno.readTextFileSync("/proc/self/environ")',
    'own program': 'Deno.readTextFileSync(new URL("../../etc/passwd", import.meta.url))',
    'import text': f'(await import("file://" + {file}, {{with: {{type: "text"}}}})).default',
    'require': f'(await import("node:module")).createRequire("file:///")({file})',
    'node fs': f'(await import("node:fs")).readFileSync({file}, "utf8")',
    'fetch file': f'await (await fetch("file://" + {file})).text()',
    'sqlite': f'new (await import("node:sqlite")).DatabaseSync({file}).exec("select 1")',
    'write': f'Deno.writeTextFileSync({folder} + "/written", "x")',
    'temporary': 'Deno.makeTempFileSync()',
    'cache': 'await (await caches.open("x")).put("http://x/", new Response("kept"))',
    'storage': 'localStorage.setItem("a", "b")',
    'kv': '(await Deno.openKv()).constructor.name',
    'env': 'JSON.stringify(Deno.env.toObject())',
    'node env': '(await import("node:process")).env.PATH.length',
    'connect': '(await Deno.connect({hostname: "127.0.0.1", port: ${port}})).constructor.name',
    'unix': f'(await Deno.connect({{transport: "unix", path: {unix}}})).constructor.name',
    'abstract': '(await Deno.connect({transport: "unix", path: "\\\\0${abstract}"})).constructor.name',
    'fetch': 'await (await fetch("http://127.0.0.1:${port}/")).text()',
    'websocket': 'await new Promise((ok, no) => { const w = new WebSocket("ws://127.0.0.1:${port}/"); w.onopen = () => ok("open"); w.onerror = () => no(new Error("x")); })',
    'node net': 'await import("node:net").then((net) => new Promise((ok, no) => net.connect(${port}, "127.0.0.1", () => ok("open")).on("error", no)))',
    'listen': 'Deno.listen({port: 0}).addr.port',
    'dns': 'await Deno.resolveDns("example.com", "A")',
    'import http': 'await import("http://127.0.0.1:${port}/x.mjs")',
    'import https': 'await import("https://127.0.0.1:${port}/x.mjs")',
    'import npm': 'await import("npm:left-pad")',
    'import jsr': 'await import("jsr:@std/path")',
    'run': 'new Deno.Command("id").outputSync().stdout',
    'node run': '(await import("node:child_process")).execSync("id").toString()',
    'dlopen': 'Deno.dlopen("libc.so.6", {getpid: {parameters: [], result: "i32"}}).symbols.getpid()',
    'kill host': 'Deno.kill(${host}, "SIGTERM") ?? "killed"',
    'kill parent': 'Deno.kill(Deno.ppid, "SIGTERM") ?? "killed"',
    'hostname': 'Deno.hostname()',
    'permission': '(await Deno.permissions.request({name: "read"})).state === "granted" ? "granted" : nothing',
}.items():
    await deno(name, code)
`;

/** What Pyodide or Deno does not only refuse but dies of. */
export const DEADLY = ({ port }: Surroundings): string[] => [
  "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()",
  'import ctypes\nctypes.CDLL(None).system(b"id > /tmp/written")',
  `import js, asyncio\njs.eval('new Worker("http://127.0.0.1:${port}/w.mjs", { type: "module" })')\nawait asyncio.sleep(1)`,
  'import js\njs.eval("new (Deno[Deno.internal].core.ops.Tray)()")',
];

/** Names of what Deno's core shows to everybody, one by one judged; a new one has to be. */
export const DENO_OPS = `
import js
print(*sorted(js.eval('Object.keys(Deno[Deno.internal].core.ops)').to_py()))
`;

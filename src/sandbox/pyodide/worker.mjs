// The thread of the Pyodide box that runs Python. Nothing here is a boundary: whatever this file can reach, the code that
// is run can reach as well. What the process may not do, Deno's permissions and the limits of the process say.
import { loadPyodide } from './pyodide/pyodide.mjs';

const here = import.meta.dirname;
/** Milliseconds between two looks at whether the main thread has made room for what is printed. */
const ROOM_POLL = 50;

/** Writes what is printed into memory that the main thread reads even while Python runs. A full ring stops the writer. */
function createRing(shared) {
  const places = new Int32Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, 8);
  return (data) => {
    let done = 0;
    while (done < data.length) {
      const written = Atomics.load(places, 0);
      const read = Atomics.load(places, 1);
      const room = bytes.length - ((written - read) | 0);
      if (room <= 0) {
        Atomics.wait(places, 1, read, ROOM_POLL);
        continue;
      }
      const at = (written >>> 0) % bytes.length;
      const size = Math.min(room, data.length - done, bytes.length - at);
      bytes.set(data.subarray(done, done + size), at);
      Atomics.store(places, 0, (written + size) | 0);
      done += size;
    }
    return data.length;
  };
}

async function start({ snapshot, interrupt, ring, sources }) {
  const options = { indexURL: `${here}/pyodide/`, env: { HOME: '/home/user', LANG: 'C.UTF-8' } };
  const py = await loadPyodide(snapshot ? { ...options, _loadSnapshot: snapshot } : options);
  const write = createRing(ring);
  // Without this, input() would read the pipe that the host's messages come through.
  py.setStdin({ stdin: () => null });
  py.setStdout({ write });
  py.setStderr({ write });
  py.setInterruptBuffer(new Uint8Array(interrupt));
  py.FS.mkdirTree('/opt/skein');
  py.FS.mkdirTree('/home/user');
  for (const [name, text] of Object.entries(sources)) py.FS.writeFile(`/opt/skein/${name}`, text);
  py.runPython('import sys; sys.path.insert(0, "/opt/skein")');
  const runner = py.pyimport('skein_runner');
  py.runPython('sys.path.remove("/opt/skein")');
  const handle = runner.start((line) => self.postMessage({ line }));
  Deno.permissions.revokeSync({ name: 'read' });
  self.onmessage = async ({ data }) => {
    try {
      await handle.callPromising(data);
    } catch {
      // The interpreter itself has broken, or the code has broken what it was given: there is nothing to go on with.
      self.postMessage({ fatal: true });
    }
  };
  self.postMessage({ ready: py.runPython('sys.version.split()[0]') });
}

self.onmessage = ({ data }) => {
  self.onmessage = null;
  start(data).catch((error) => self.postMessage({ fatal: true, reason: String(error) }));
};
self.postMessage({ boot: true });

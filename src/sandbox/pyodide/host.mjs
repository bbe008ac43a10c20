// The main thread of the Pyodide box: lines of JSON in, lines of JSON out, Python in a worker.
/** Bytes of printed text that wait between Python and this thread. */
const RING = 1024 * 1024;
/** Milliseconds between two looks at what has been printed. */
const DRAIN_EVERY = 10;
const PART = 64 * 1024;

const here = import.meta.dirname;
const encoder = new TextEncoder();
const interrupt = new SharedArrayBuffer(1);
const ring = new SharedArrayBuffer(8 + RING);
const places = new Int32Array(ring, 0, 2);
const printed = new Uint8Array(ring, 8);

function say(text) {
  const bytes = encoder.encode(`${text}\n`);
  let done = 0;
  while (done < bytes.length) done += Deno.stdout.writeSync(bytes.subarray(done));
}

function drain() {
  for (;;) {
    const written = Atomics.load(places, 0);
    const read = Atomics.load(places, 1);
    // Both numbers are the worker's to change; what they say is never taken for more than the ring holds.
    const waiting = Math.min(Math.max((written - read) | 0, 0), RING);
    if (waiting === 0) return;
    const at = (read >>> 0) % RING;
    const size = Math.min(waiting, RING - at, PART);
    say(JSON.stringify({ out: printed.slice(at, at + size).toBase64() }));
    Atomics.store(places, 1, (read + size) | 0);
    Atomics.notify(places, 1);
  }
}

async function* lines(readable) {
  let rest = [];
  for await (const chunk of readable.pipeThrough(new TextDecoderStream())) {
    let from = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
      yield rest.join('') + chunk.slice(from, end);
      rest = [];
      from = end + 1;
    }
    rest.push(chunk.slice(from));
  }
}

async function snapshot(path) {
  if (!path) return null;
  const bytes = await Deno.readFile(path);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const sources = {
  'skein_cell.py': Deno.readTextFileSync(`${here}/skein_cell.py`),
  'skein_runner.py': Deno.readTextFileSync(`${here}/skein_runner.py`),
};
const loaded = await snapshot(Deno.args[0]);
const { promise: ready, resolve: isReady } = Promise.withResolvers();
const worker = new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module' });

worker.onmessage = ({ data }) => {
  if (data?.boot) {
    worker.postMessage({ snapshot: loaded, interrupt, ring, sources }, loaded ? [loaded.buffer] : []);
  } else if (data?.fatal) {
    say(JSON.stringify({ fatal: String(data.reason ?? 'the interpreter broke').slice(0, 2000) }));
    Deno.exit(70);
  } else if (data?.ready) {
    say(JSON.stringify({ ready: String(data.ready) }));
    isReady();
  } else if (typeof data?.line === 'string') {
    drain();
    say(data.line);
  }
};
worker.onerror = (event) => {
  event.preventDefault();
  Deno.exit(71);
};

await ready;
setInterval(drain, DRAIN_EVERY);
for await (const line of lines(Deno.stdin.readable)) {
  const { op } = JSON.parse(line);
  if (op === 'interrupt') {
    new Uint8Array(interrupt)[0] = 2;
  } else {
    new Uint8Array(interrupt)[0] = 0;
    worker.postMessage(line);
  }
}
// The host is gone, or wants this to end.
Deno.exit(0);

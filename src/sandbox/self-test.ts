import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Box } from './box.ts';
import { SandboxUnavailableError } from './sandbox.ts';

/** Milliseconds that a killed box may take to be gone, on a machine that has much else to do. */
const KILL_TIME = 15_000;

/**
 * Tries on a real box what it is for: it computes, it cannot read a file of the host's, it cannot reach a server of the
 * host's, and it dies when it is killed. Rejects with the first of these that does not hold. The box is gone afterwards.
 */
export async function selfTest(name: string, box: Box): Promise<void> {
  const fail = (what: string): never => {
    throw new SandboxUnavailableError(`${name}: the self-test failed: ${what}. It is not safe here and is not used.`);
  };
  const folder = await mkdtemp(join(tmpdir(), 'skein-self-test-'));
  const canary = randomUUID();
  const path = join(folder, 'canary');
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  try {
    // Open to every user of the host: nothing but the box is to keep the code from it.
    await chmod(folder, 0o755);
    await writeFile(path, canary, { mode: 0o644 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sum = await box.execute('1 + 1');
    if (sum.value !== '2') fail(`1 + 1 is ${sum.value ?? sum.notice ?? sum.logs.slice(0, 500)}`);
    const { port } = server.address() as AddressInfo;
    const tried = await box.execute(attempts(path, port));
    if (tried.logs.includes(canary)) fail('a file of the host could be read');
    if (connections > 0) fail('a server of the host could be reached');
    if (!tried.logs.endsWith('tried\n')) fail(`it did not come to its end: ${tried.logs.slice(-500)}`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(resolve, KILL_TIME, 'late')));
    const ended = await Promise.race([box.end('closed'), late]);
    clearTimeout(timer);
    if (ended === 'late') fail('it could not be killed');
  } finally {
    // Not waited for: one that cannot be killed has failed already.
    void box.end('closed');
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function attempts(path: string, port: number): string {
  return `
import socket

def attempt(act):
    try:
        print(act())
    except Exception as error:
        print(type(error).__name__)

attempt(lambda: open(${JSON.stringify(path)}).read())
attempt(lambda: socket.create_connection(('127.0.0.1', ${port}), 2))
try:
    import js
except ImportError:
    js = None
if js:
    attempt(lambda: js.Deno.readTextFileSync(${JSON.stringify(path)}))
    try:
        print(await js.fetch('http://127.0.0.1:${port}/'))
    except Exception as error:
        print(type(error).__name__)
print('tried')
`;
}

import type { Driver } from '../../src/sandbox/sandbox.ts';
import { openSandbox } from './boxes.ts';

// A host of its own for test/sandbox/host-death.test.ts: one session that works, one that rests, one box in the pool.
const sandbox = await openSandbox(process.argv[2] as Driver, { sessions: { warm: 1 } });
const resting = await sandbox.open({ key: 'resting', project: 'p' });
await resting.execute('x = 1');
const busy = await sandbox.open({ key: 'busy', project: 'p' });
const code = `
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if hasattr(os, 'fork') and sys.platform != 'emscripten':
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            while True: pass
print('busy', flush=True)
while True: pass
`;
await busy.execute(code, { onEvent: () => process.send!('busy') });

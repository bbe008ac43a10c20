import { expect, test } from 'vitest';
import type { Sandbox, Session } from '../../src/sandbox/sandbox.ts';
import { type CodeSessionRows, createCodeSessions } from '../../src/tools/code-sessions.ts';
import { bubblewrapHere, openSandbox, run } from '../sandbox/boxes.ts';

const driver = (await bubblewrapHere()) === null ? 'bubblewrap' : 'pyodide';
const GONE = 'The earlier Python session was closed: its variables and files are gone.';

/** What all processes know, in memory. */
function rows(): CodeSessionRows {
  const sessions = new Map<string, string>();
  return {
    begin(threadId, id) {
      const before = sessions.get(threadId) ?? null;
      sessions.set(threadId, id);
      return Promise.resolve(before);
    },
    use: (threadId, id) => Promise.resolve(sessions.get(threadId) === id),
  };
}

test('a session that was left behind is not met again, and the model is told each time that one is gone', async () => {
  const shared = rows();
  const sandboxes = await Promise.all([openSandbox(driver), openSandbox(driver)]);
  const processes = sandboxes.map((sandbox) => createCodeSessions({ sandbox, rows: shared }));
  async function call(process: number, code: string): Promise<{ logs: string; notes: string[] }> {
    const notes: string[] = [];
    const session = await processes[process]!('thread', { project: 'p' }, notes);
    const logs = await run(session, code).finally(() => session.release());
    return { logs, notes };
  }
  try {
    expect(await call(0, 'x = 1')).toEqual({ logs: '', notes: [] });
    expect(await call(0, 'x')).toEqual({ logs: '1\n', notes: [] });
    expect(await call(1, "x = 2\n'y' in globals()")).toEqual({ logs: 'False\n', notes: [GONE] });
    expect(await call(1, 'x')).toEqual({ logs: '2\n', notes: [] });
    // Back at the first, whose session still has the x of before.
    expect(await call(0, "'x' in globals()")).toEqual({ logs: 'False\n', notes: [GONE] });
    // Side by side, as the calls of one turn are.
    const both = await Promise.all([call(1, '1'), call(1, '2')]);
    expect(both.map(({ logs }) => logs)).toEqual(['1\n', '2\n']);
    expect(both.flatMap(({ notes }) => notes)).toEqual([GONE]);
  } finally {
    await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
  }
}, 240_000);

test('a session whose place among the others cannot be stored is held by nobody', async () => {
  const sandbox: Sandbox = await openSandbox(driver, { sessions: { total: 1, perProject: 1, waitMs: 300 } });
  const failing = { ...rows(), begin: () => Promise.reject(new Error('no database')) };
  try {
    await expect(createCodeSessions({ sandbox, rows: failing })('a', { project: 'p' }, [])).rejects.toThrow('no database');
    const session: Session = await createCodeSessions({ sandbox, rows: rows() })('b', { project: 'p' }, []);
    expect(await run(session, '1')).toBe('1\n');
    session.release();
  } finally {
    await sandbox.close();
  }
}, 240_000);

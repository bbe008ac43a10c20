import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** Bytes of memory that a process holds, or null when it is gone. */
export async function residentMemory(pid: number): Promise<number | null> {
  if (process.platform !== 'linux') return askPs(pid);
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kilobytes ? Number(kilobytes) * 1024 : null;
  } catch {
    return null; // it has ended
  }
}

/** Systems without /proc. */
export function askPs(pid: number): Promise<number | null> {
  return new Promise((done) => {
    execFile('ps', ['-o', 'rss=', '-p', String(pid)], (error, stdout) => {
      done(error || !stdout.trim() ? null : Number(stdout.trim()) * 1024);
    });
  });
}

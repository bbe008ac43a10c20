import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const BEAT_MS = 2_000;
/** A lock whose owner cannot be asked (another container on the same clone) is dead after this long without a beat. */
const DEAD_AFTER_MS = 30_000;

/**
 * Runs `work` while holding the folder `path` as a lock, so that two commands started in one clone do not install or
 * generate over each other. A lock left behind by a killed process is taken over.
 */
export async function setupLock(path, work) {
  const token = `${hostname()} ${process.pid} ${randomUUID()}`;
  await acquire(path, token);
  const beat = setInterval(() => {
    // A machine that slept may find its lock taken over: it goes on, but no longer keeps the other's lock fresh.
    if (owner(path) === token) utimesSync(path, new Date(), new Date());
  }, BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    removeGraves(path);
    if (owner(path) === token) rmSync(path, { recursive: true, force: true });
  }
}

async function acquire(path, token) {
  mkdirSync(dirname(path), { recursive: true });
  for (let told = false; ;) {
    try {
      mkdirSync(path);
      writeFileSync(join(path, 'owner'), token);
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isDead(path)) {
      bury(path);
      continue;
    }
    if (!told) console.log('skein: waiting for another command that is preparing this clone');
    told = true;
    await delay(200);
  }
}

function isDead(path) {
  const [host, pid] = (owner(path) ?? '').split(' ');
  if (host === hostname() && !isAlive(Number(pid))) return true;
  const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
  return Date.now() - mtimeMs > DEAD_AFTER_MS;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * Several waiters may see the same dead lock. Its grave is named after its owner and is not empty, so the rename works
 * once: a slower waiter cannot carry off the lock that the faster one has taken since.
 */
function bury(path) {
  const grave = `${path}.${(owner(path) ?? 'nobody').split(' ').at(-1)}`;
  try {
    renameSync(path, grave);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EPERM'].includes(error.code) && existsSync(path)) throw error;
  }
}

function owner(path) {
  try {
    return readFileSync(join(path, 'owner'), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function removeGraves(path) {
  for (const name of readdirSync(dirname(path))) {
    if (name.startsWith(`${basename(path)}.`)) rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
}

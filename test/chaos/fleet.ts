import { EventEmitter, once } from 'node:events';
import type { TestDatabase } from '../database.ts';
import type { Findings } from './findings.ts';
import type { Target } from './moments.ts';
import { type NodeProcess, startNodeProcess } from './node-process.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

export const KEY = 'sk-test-key-of-a-storm-of-kills';

export type Role = 'all' | 'api' | 'worker';

/** A process while it lives. What comes after it in its place has another name. */
export interface Node {
  readonly name: string;
  readonly role: Role;
  readonly url: string;
}

export interface Kill {
  process: string;
  role: Role;
  target: Target;
  /** Wall clock, milliseconds. */
  at: number;
}

/** Processes on one database; one that is killed is started again at once. */
export interface Fleet {
  readonly kills: readonly Kill[];
  /** Milliseconds from each start to listening. */
  readonly starts: readonly number[];
  /** A process that answers callers, any of them; waits while there is none. */
  api(): Promise<Node>;
  /** Those that are up. */
  readonly up: readonly Node[];
  /** Resolves when all are up. */
  whole(): Promise<void>;
  /** False when it is down already, or the last one that is up of its role while others of it are starting. */
  kill(name: string, target: Target): boolean;
  close(): Promise<void>;
}

export interface FleetOptions {
  database: TestDatabase;
  roles: readonly Role[];
  environment: Record<string, string>;
  world: World;
  findings: Findings;
  random: Random;
}

interface Place {
  role: Role;
  /** Starts so far. */
  starts: number;
  node: Node | null;
  process: NodeProcess | null;
}

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const { database, roles, environment, world, findings, random } = options;
  const kills: Kill[] = [];
  const starts: number[] = [];
  const changed = new EventEmitter().setMaxListeners(0);
  const places = roles.map((role): Place => ({ role, starts: 0, node: null, process: null }));
  let closing = false;
  /** Why a process is down for good: nobody need wait for it. */
  let broken: Error | null = null;
  const starting = new Set<Promise<void>>();

  async function start(place: Place): Promise<void> {
    const name = `${place.role}${places.indexOf(place)}.${++place.starts}`;
    const began = performance.now();
    const where = { DATA_DIR: database.dataDir, DATABASE_URL: database.databaseUrl ?? '' };
    const process = await startNodeProcess(
      { ...where, SKEIN_BOOTSTRAP_KEY: KEY, ROLE: place.role, ...environment, ...world.environment(name) },
      (line) => heed(name, line),
    );
    starts.push(performance.now() - began);
    place.process = process;
    place.node = { name, role: place.role, url: process.url };
    void process.ended.then((how) => {
      if (place.process === process && !closing) findings.add(`process ${name} ended by itself (${how})`);
    });
    changed.emit('change');
  }

  /** Processes that are killed around it are no reason for one to complain. */
  function heed(name: string, line: string): void {
    if (!line.startsWith('{')) return;
    const { level, msg, err } = JSON.parse(line) as { level: number; msg: string; err?: { message?: string } };
    if (level >= 50) findings.add(`process ${name.replace(/\..*/, '')} logged an error: ${msg}: ${err?.message ?? ''}`);
  }

  function restart(place: Place): void {
    const done = start(place)
      .catch((error: unknown) => {
        broken = new Error('a process did not start again', { cause: error });
        findings.add(`${broken.message}: ${String(error)}`);
        changed.emit('change');
      })
      .finally(() => starting.delete(done));
    starting.add(done);
  }

  async function change(): Promise<void> {
    if (broken) throw broken;
    await once(changed, 'change');
  }

  const up = () => places.flatMap(({ node }) => node ?? []);
  await Promise.all(places.map(start));
  return {
    kills,
    starts,
    get up() {
      return up();
    },
    async api() {
      for (;;) {
        const serving = up().filter(({ role }) => role !== 'worker');
        if (serving.length > 0) return random.pick(serving);
        await change();
      }
    },
    async whole() {
      while (up().length < places.length) await change();
    },
    kill(name, target) {
      const place = places.find(({ node }) => node?.name === name);
      if (!place || closing) return false;
      const peers = places.filter(({ role }) => role === place.role);
      if (peers.length > 1 && peers.filter(({ node }) => node).length < 2) return false;
      const process = place.process!;
      place.process = null;
      place.node = null;
      const dead = process.kill();
      kills.push({ process: name, role: place.role, target, at: Date.now() });
      // Its data folder is free once it is gone.
      void dead.then(() => closing || restart(place));
      return true;
    },
    async close() {
      closing = true;
      await Promise.all(starting);
      await Promise.all(places.map(({ process }) => process?.kill()));
    },
  };
}

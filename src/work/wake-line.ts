import type { Listeners, Topic } from './wake.ts';

/** Stands for any number of wake-ups that could not be sent. */
export const LOST = '!';

/** Characters of a subject: ids and cursors of ours are far shorter. */
const MOST_SUBJECT = 500;

/** A wake-up on its way to another process, as one line: `<topic> <subject>`. */
export function wakeLine(topic: Topic, subject: string): string {
  if (subject.length > MOST_SUBJECT || subject.includes('\n'))
    throw new RangeError(`no subject of a wake-up: ${topic}`);
  return `${topic} ${subject}`;
}

/** Wakes whoever listens to what the lines tell of. A topic of a newer version has no listeners here. */
export function wakeByLines(lines: string[], listeners: Listeners): void {
  for (const line of lines) {
    if (line === LOST) {
      listeners.missed();
      continue;
    }
    const blank = line.indexOf(' ');
    if (blank > 0) listeners.wake(line.slice(0, blank) as Topic, line.slice(blank + 1));
  }
}

/** Lines joined to texts of at most `most` bytes each, as long as no line is longer by itself. */
export function packLines(lines: string[], most: number): string[] {
  const packs: string[] = [];
  let pack: string[] = [];
  let size = 0;
  for (const line of lines) {
    const bytes = Buffer.byteLength(line) + 1;
    if (size + bytes > most) {
      packs.push(pack.join('\n'));
      pack = [];
      size = 0;
    }
    pack.push(line);
    size += bytes;
  }
  if (pack.length > 0) packs.push(pack.join('\n'));
  return packs;
}

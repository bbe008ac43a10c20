import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { fileNameFault, filePathFault } from '../../src/sandbox/file-name.ts';
import { readLines } from '../../src/sandbox/line-reader.ts';
import { createLogText } from '../../src/sandbox/log-text.ts';
import { createMarkReader } from '../../src/sandbox/mark-reader.ts';

function logs(most: number, pieces: readonly (string | Buffer)[]): { text: string; omitted: number } {
  const passed: string[] = [];
  const log = createLogText(most, (text) => passed.push(text));
  for (const piece of pieces) log.push(Buffer.from(piece));
  log.finish();
  expect(passed.join('')).toBe(log.text());
  return { text: log.text(), omitted: log.omitted };
}

it('puts characters together that come in pieces', () => {
  const bytes = Buffer.from('aä→😀\n');
  expect(
    logs(
      100,
      [...bytes].map((byte) => Buffer.from([byte])),
    ),
  ).toEqual({ text: 'aä→😀\n', omitted: 0 });
  expect(logs(100, [Buffer.from([0x61, 0xf0, 0x9f])])).toEqual({ text: 'a\uFFFD', omitted: 0 });
});

it('leaves out the middle, to the byte, and breaks no character', () => {
  expect(logs(10, ['0123456789'])).toEqual({ text: '0123456789', omitted: 0 });
  expect(logs(10, ['0123456789a'])).toEqual({ text: '01234\n[… 1 bytes are left out here …]\n6789a', omitted: 1 });
  for (const size of [1, 2, 3, 7, 1000]) {
    const all = '0123456789'.repeat(10);
    const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
      all.slice(at * size, (at + 1) * size),
    );
    expect(logs(20, pieces)).toEqual({ text: `0123456789\n[… 80 bytes are left out here …]\n0123456789`, omitted: 80 });
  }
  const wide = logs(10, ['→'.repeat(20)]);
  expect(wide.text).toBe('→\uFFFD\n[… 52 bytes are left out here …]\n→');
});

it('puts words of its own on lines of their own', () => {
  const log = createLogText(100, () => {});
  log.push(Buffer.from('no newline'));
  log.finish();
  log.add('42');
  log.add('');
  log.add('trace\n');
  expect(log.text()).toBe('no newline\n42\ntrace\n');
});

it('finds marks however they are cut, and stops at each', () => {
  const mark = '\x1enonce\x1e';
  const whole = Buffer.from(`one${mark}two\x1eno${mark}${mark}three`);
  for (let size = 1; size <= whole.length; size += 1) {
    let text = '';
    const reader = createMarkReader('nonce', (bytes) => (text += bytes.toString()));
    for (let at = 0; at < whole.length; at += size) reader.push(whole.subarray(at, at + size));
    expect([text, reader.marks, reader.waiting]).toEqual(['one', 1, true]);
    reader.go();
    expect([text, reader.marks, reader.waiting]).toEqual(['onetwo\x1eno', 2, true]);
    reader.flush();
    expect([text, reader.marks, reader.waiting]).toEqual(['onetwo\x1enothree', 3, false]);
  }
});

it('takes no end of marks for logs', () => {
  const mark = '\x1enonce\x1e';
  let bytes = 0;
  const reader = createMarkReader('nonce', (piece) => (bytes += piece.length));
  for (let round = 0; round < 1000; round += 1) reader.push(Buffer.from(mark.repeat(10_000)));
  reader.flush();
  expect(reader.marks).toBe(500);
  expect(bytes).toBe(mark.length * (10_000_000 - 500));
});

it('reads lines in pieces and gives up on one that is too long', async () => {
  const stream = new PassThrough();
  const lines: string[] = [];
  let tooLong = 0;
  readLines(stream, 10, {
    line: (text) => {
      lines.push(text);
      return text !== 'enough';
    },
    tooLong: () => (tooLong += 1),
  });
  for (const piece of ['a', 'b\nc', '\n\n0123456789\n', 'äö\n', '01234567890', '\nafter\n']) stream.write(piece);
  stream.end();
  await new Promise((resolve) => stream.on('end', resolve));
  expect(lines).toEqual(['ab', 'c', '', '0123456789', 'äö']);
  expect(tooLong).toBe(1);
});

it('judges names', () => {
  for (const name of ['a', 'ä.csv', '.hidden', 'x'.repeat(255), 'with space', '-rf', '…']) {
    expect(fileNameFault(name), name).toBeNull();
  }
  for (const name of ['', '.', '..', 'a/b', 'a\\b', 'a\nb', 'a\0', '\x7f', '\x85', 'ä'.repeat(128), '\ud800']) {
    expect(fileNameFault(name), name).not.toBeNull();
  }
  expect(filePathFault('a/b/c.txt')).toBeNull();
  for (const path of ['a//b', '/a', 'a/', 'a/../b', 'x/'.repeat(11), 'y'.repeat(2000)]) {
    expect(filePathFault(path), path).not.toBeNull();
  }
});

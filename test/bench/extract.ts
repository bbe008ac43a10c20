// How fast documents become text and text becomes chunks: a part of `npm run bench -- ingest`. Each format is made from the
// same words, read by the process that reads uploads, and timed with and without chunking; the process is warm.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PDFDocument, StandardFonts } from 'pdf-lib';
import { pino } from 'pino';
import { DEFAULT_CHUNKING } from '../../src/vector-stores/chunk.ts';
import { createExtractor } from '../../src/vector-stores/extract.ts';
import { docx, type DocxBlock, odt, pptx, xlsxParts } from '../fixtures/office-documents.ts';
import { writeZip } from '../fixtures/write-zip.ts';

const SECTIONS = 400;
const ROUNDS = 5;
const WORDS =
  'the of assistant thread message run step file store search index chunk token page line heading model answer question quote source worker lease event cursor stream socket query result score'.split(
    ' ',
  );

let state = 1;
const random = (below: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const sentence = (): string =>
  `${Array.from({ length: 8 + random(12) }, () => WORDS[random(WORDS.length)]).join(' ')}.`;
const sections = Array.from({ length: SECTIONS }, (_, at) => ({
  title: `Section ${at}: ${sentence().slice(0, 40)}`,
  paragraphs: Array.from({ length: 4 }, () => Array.from({ length: 5 }, sentence).join(' ')),
}));
const rows = sections.flatMap(({ paragraphs }) => paragraphs.map((text, at) => [String(at), text.slice(0, 60), text]));

async function pdf(): Promise<Uint8Array> {
  const document = await PDFDocument.create();
  const font = await document.embedFont(StandardFonts.Helvetica);
  for (const { title, paragraphs } of sections) {
    const page = document.addPage();
    page.drawText(title, { x: 40, y: 780, size: 18, font });
    const lines = paragraphs.join(' ').match(/.{1,95}(\s|$)/g) ?? [];
    for (const [at, line] of lines.entries()) page.drawText(line.trim(), { x: 40, y: 750 - at * 14, size: 11, font });
  }
  return document.save();
}

const markdown = sections.map(({ title, paragraphs }) => `## ${title}\n\n${paragraphs.join('\n\n')}\n`).join('\n');
const cell = (text: string): string => `<c t="inlineStr"><is><t>${text}</t></is></c>`;
const FORMATS: readonly [name: string, make: () => string | Uint8Array | Promise<Uint8Array>][] = [
  ['text.txt', () => markdown],
  ['markdown.md', () => markdown],
  ['code.ts', () => rows.map(([a, b]) => `export const value${a} = '${b}';`).join('\n')],
  ['data.json', () => JSON.stringify(rows, null, 2)],
  ['table.csv', () => ['number,start,text', ...rows.map((row) => row.join(','))].join('\n')],
  [
    'page.html',
    () => sections.map((s) => `<h2>${s.title}</h2>${s.paragraphs.map((p) => `<p>${p}</p>`).join('')}`).join(''),
  ],
  [
    'word.docx',
    () =>
      docx(
        sections.flatMap(({ title, paragraphs }): DocxBlock[] => [
          { heading: 2, text: title },
          ...paragraphs.map((text) => ({ text })),
        ]),
      ),
  ],
  ['slides.pptx', () => pptx(sections.map(({ title, paragraphs }) => ({ title, lines: paragraphs })))],
  [
    'book.xlsx',
    () =>
      writeZip(
        xlsxParts([
          { name: 'Data', rows: rows.map((row, at) => `<row r="${at + 1}">${row.map(cell).join('')}</row>`).join('') },
        ]),
      ),
  ],
  [
    'open.odt',
    () => odt(sections.flatMap(({ paragraphs }) => paragraphs.map((p) => `<text:p>${p}</text:p>`)).join('')),
  ],
  ['paper.pdf', pdf],
];

/** Prints how fast each format becomes text, and text passages. */
export async function extractionRates(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-'));
  const extractor = createExtractor({ logger: pino({ level: 'silent' }) });
  console.log('format        file KB  text KB  chunks  extract ms  MB/s of text  + chunking ms  MB/s of text');
  try {
    for (const [filename, make] of FORMATS) {
      const bytes = await make();
      const path = join(folder, filename);
      writeFileSync(path, bytes);
      const time = async (chunked: boolean) => {
        const taken: number[] = [];
        let characters = 0;
        let chunks = 0;
        for (let round = 0; round <= ROUNDS; round++) {
          const started = performance.now();
          const chunking = chunked ? DEFAULT_CHUNKING : undefined;
          const result = await extractor.extract({ path, filename, contentType: null, ...(chunking && { chunking }) });
          if (!result.ok) throw new Error(`${filename}: ${result.message}`);
          if (round > 0) taken.push(performance.now() - started); // the first one warms up
          characters = Buffer.byteLength(result.text);
          chunks = result.chunks.length;
        }
        return { ms: taken.sort((a, b) => a - b)[ROUNDS >> 1] as number, characters, chunks };
      };
      const plain = await time(false);
      const both = await time(true);
      const rate = (ms: number): string => (plain.characters / 1e3 / ms).toFixed(1);
      console.log(
        filename.padEnd(12),
        String(Math.round(Buffer.byteLength(bytes) / 1e3)).padStart(8),
        String(Math.round(plain.characters / 1e3)).padStart(8),
        String(both.chunks).padStart(7),
        plain.ms.toFixed(1).padStart(11),
        rate(plain.ms).padStart(13),
        both.ms.toFixed(1).padStart(14),
        rate(both.ms).padStart(13),
      );
    }
    console.log(`peak memory of the reading process: ${Math.round(extractor.peakMemory / 2 ** 20)} MB`);
  } finally {
    await extractor.close();
    rmSync(folder, { recursive: true });
  }
}

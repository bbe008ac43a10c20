import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { utils, write } from '@e965/xlsx';
import { PDFDocument, StandardFonts } from 'pdf-lib';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createExtractor, type Extracted, type Extractor } from '../../src/vector-stores/extract.ts';
import type { Block, Extraction } from '../../src/vector-stores/extraction/extraction.ts';
import { docx, docxParts, odt, pptx, pptxParts } from '../fixtures/office-documents.ts';
import { onePage, stream, writePdf } from '../fixtures/write-pdf.ts';
import { writeZip } from '../fixtures/write-zip.ts';

let extractor: Extractor;
beforeAll(() => {
  extractor = createExtractor({ logger: pino({ level: 'silent' }) });
});
afterAll(() => extractor.close());

const given = (filename: string, data: string | Uint8Array, contentType: string | null = null): Promise<Extracted> =>
  extractor.extract({ filename, contentType, stream: Readable.from([Buffer.from(data as Uint8Array)]) });

async function read(filename: string, data: string | Uint8Array, contentType?: string): Promise<Extraction> {
  const result = await given(filename, data, contentType);
  if (!result.ok) expect.unreachable(`${result.code}: ${result.message}`);
  return result;
}

/** The blocks with the words that lie in them. */
const laid = ({ text, blocks }: Extraction): [string, Partial<Block>][] =>
  blocks.map(({ start, end, ...place }) => {
    const known = Object.entries(place).filter(([, value]) => value !== null && (value as unknown[]).length !== 0);
    return [text.slice(start, end), Object.fromEntries(known)];
  });

describe('the text of', () => {
  test('a PDF lies on its pages, below headings that are known by their size', async () => {
    const document = await PDFDocument.create();
    const font = await document.embedFont(StandardFonts.Helvetica);
    for (const [title, words] of [
      ['Harvest', 'Apples are picked in autumn.'],
      ['Storage', 'They keep until spring.'],
    ] as const) {
      const page = document.addPage();
      page.drawText(title, { x: 50, y: 700, size: 20, font });
      page.drawText(words, { x: 50, y: 670, size: 11, font });
      page.drawText('A line right below it.', { x: 50, y: 657, size: 11, font });
    }
    expect(laid(await read('a.pdf', await document.save()))).toEqual([
      ['Harvest\n\nApples are picked in autumn.\nA line right below it.\n\n', { page: 1, headingPath: ['Harvest'] }],
      ['Storage\n\nThey keep until spring.\nA line right below it.\n\n', { page: 2, headingPath: ['Storage'] }],
    ]);
  });

  test('a Word document has headings, lists, tables, tabs and notes, and nothing that was deleted', async () => {
    const wordRun = (text: string): string => `<w:r><w:t>${text}</w:t></w:r>`;
    const parts = docxParts([
      { heading: 1, text: 'Fruit' },
      { text: 'Apples & pears.' },
      {
        raw:
          '<w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>' +
          `${wordRun('one')}<w:r><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>` +
          '<w:del><w:r><w:delText>gone</w:delText><w:t>gone</w:t></w:r></w:del></w:p>',
      },
      { heading: 2, text: 'Prices' },
      {
        rows: [
          ['kind', 'price'],
          ['apple', '2 €'],
        ],
      },
    ]);
    parts.push({
      name: 'word/footnotes.xml',
      data: `<w:footnotes xmlns:w="w"><w:footnote><w:p>${wordRun('A note.')}</w:p></w:footnote></w:footnotes>`,
    });
    expect(laid(await read('a.docx', writeZip(parts)))).toEqual([
      ['Fruit\n\nApples & pears.\n\n- one\ttwo\nthree\n', { headingPath: ['Fruit'] }],
      ['Prices\n\nkind | price\napple | 2 €\n\n', { headingPath: ['Fruit', 'Prices'] }],
      ['A note.\n\n', {}],
    ]);
  });

  test('a presentation lies on its slides, titles first and notes last', async () => {
    const slides = [
      { title: 'Why', lines: ['Because of this.'], notes: 'Speak slowly.' },
      { title: 'How', lines: ['Step one', 'Step two'] },
    ];
    expect(laid(await read('a.pptx', pptx(slides)))).toEqual([
      ['Why\nBecause of this.\n\nSpeak slowly.\n\n', { page: 1, headingPath: ['Why'] }],
      ['How\nStep one\nStep two\n\n', { page: 2, headingPath: ['How'] }],
    ]);
  });

  test('a presentation whose second slide is missing is that of the others, with a warning', async () => {
    const parts = pptxParts(['One', 'Two', 'Three'].map((title) => ({ title, lines: [] })));
    const some = await read('a.pptx', writeZip(parts.filter(({ name }) => name !== 'ppt/slides/slide2.xml')));
    expect(some.warnings).toEqual(['Slide 2 is missing from the file.']);
    expect(laid(some).map(([words, { page }]) => [words.trim(), page])).toEqual([
      ['One', 1],
      ['Three', 3],
    ]);
  });

  test('a workbook is its rows, with the numbers that they have in their sheets', async () => {
    const book = utils.book_new();
    const people = utils.aoa_to_sheet([['name', 'born'], ['Ada', 1815], [], ['Alan\nTuring', 1912]]);
    utils.book_append_sheet(book, people, 'People');
    utils.book_append_sheet(book, utils.aoa_to_sheet([]), 'Empty');
    utils.book_append_sheet(book, utils.sheet_add_aoa(utils.aoa_to_sheet([]), [[true, 0.5]], { origin: 'C20' }), 'Far');
    const header = 'name | born';
    expect(laid(await read('a.xlsx', write(book, { type: 'buffer', bookType: 'xlsx' }) as Buffer))).toEqual([
      [`${header}\n`, { line: 1, headingPath: ['People'] }],
      ['Ada | 1815\n\nAlan Turing | 1912\n\n', { line: 2, headingPath: ['People'], header }],
      [' |  | TRUE | 0.5\n\n', { line: 20, headingPath: ['Far'] }],
    ]);
  });

  test('a table of text is its records, whatever separates them', async () => {
    const header = 'name | city';
    for (const [name, separator] of [
      ['a.csv', ','],
      ['a.csv', ';'],
      ['a.tsv', '\t'],
    ] as const) {
      const rows = [
        `name${separator}city`,
        `"Lovelace${separator} ""Ada"""${separator}"Lon\ndon"`,
        '',
        `Alan${separator}`,
      ];
      const text = await read(name, rows.join('\r\n'));
      expect(laid(text)).toEqual([
        [`${header}\n`, { line: 1 }],
        [`Lovelace${separator === '\t' ? '' : separator} "Ada" | Lon don\n\nAlan\n`, { line: 2, header }],
      ]);
    }
    expect(laid(await read('numbers.csv', '1,2\n3,4\n'))).toEqual([['1 | 2\n3 | 4\n', { line: 1 }]]);
  });

  test('a web page is what it shows', async () => {
    const page = await read(
      'a.html',
      `<!doctype html><html><head><title>Site</title><style>p{}</style><script>var hidden = "<p>no</p>"</script></head>
       <body><nav>Menu</nav><h1>Big <em>title</em></h1><p>One &amp; two,
       in <b>bo</b>ld.</p><ul><li>first<li>second</ul>
       <h2>Table</h2><table><tr><th>a<th>b<tr><td>1<td>2</table><pre>  kept
    as it is</pre><svg><text>no</text></svg><template>no</template><img alt="A cat"></body></html>`,
    );
    expect(laid(page)).toEqual([
      ['Site\n\nMenu\n\n', {}],
      ['Big title\n\nOne & two, in bold.\n\n- first\n- second\n\n', { headingPath: ['Big title'] }],
      ['Table\n\na | b\n1 | 2\n\n  kept\n    as it is\n\nA cat', { headingPath: ['Big title', 'Table'] }],
    ]);
    const emoji = `${'x'.repeat(65_530)}${'😀'.repeat(20)}`;
    expect((await read('emoji.html', `<p>${emoji}`)).text).toBe(emoji);
  });

  test('Markdown is the file itself, with a block for each section', async () => {
    const text =
      '---\ntitle: x\n---\nIntro\n\nBig\n===\n\nwords\n\n```sh\n# no heading\n```\n\n## `code` and [link](http://x) ##\nmore\n\n- list\n---\n\n# Next\n';
    const markdown = await read('a.md', text);
    expect(markdown.text).toBe(text);
    expect(laid(markdown).map(([words, place]) => [words.split('\n')[0], place.line, place.headingPath])).toEqual([
      ['---', 1, undefined],
      ['Big', 6, ['Big']],
      ['## `code` and [link](http://x) ##', 15, ['Big', 'code and link']],
      ['# Next', 21, ['Next']],
    ]);
  });

  test('code, JSON and other text is the file itself, with its lines', async () => {
    for (const name of ['a.ts', 'a.json', 'a.tex', 'Makefile', 'a.xml'])
      expect(laid(await read(name, '\ufeff<a>\r\n{"b": 1}\r\n'))).toEqual([['<a>\n{"b": 1}\n', { line: 1 }]]);
    expect((await read('untitled', '# T\n\nx', 'text/markdown; charset=utf-8')).format).toBe('markdown');
    expect((await read('untitled', '<!DOCTYPE html><p>x')).text).toBe('x');
  });

  test('a file is not taken for another because of how it begins', async () => {
    for (const text of [
      'BMW is a maker of cars.',
      'MZ begins programs',
      'GIF89a begins pictures',
      'A PDF begins with %PDF-1.7',
    ])
      expect(await read('a.txt', text)).toMatchObject({ format: 'text', text });
    expect((await read('a.txt', `${'é'.repeat(4000)}x`)).encoding).toBe('utf-8');
    expect((await read('a.txt', `x${'é'.repeat(4000)}`)).encoding).toBe('utf-8');
    const late = Buffer.concat([
      Buffer.from('from a printer\n'),
      writePdf(onePage(stream(Buffer.from('BT /F1 12 Tf (Late) Tj ET')))),
    ]);
    expect(await read('a.pdf', late)).toMatchObject({ format: 'pdf', text: 'Late\n\n' });
  });

  test('a heading that is too long is cut between two characters', async () => {
    const { blocks } = await read('a.md', `# ${'x'.repeat(199)}😀\n`);
    expect(blocks[0]?.headingPath).toEqual(['x'.repeat(199)]);
  });

  test('OpenDocument and RTF is read as well', async () => {
    const content = '<text:h text:outline-level="1">Head</text:h><text:p>Some<text:tab/>words</text:p>';
    expect(laid(await read('a.odt', odt(content)))).toEqual([['Head\n\nSome\twords\n\n', { headingPath: ['Head'] }]]);
    expect((await read('a.rtf', '{\\rtf1\\ansi Hello {\\b bold} world.\\par Next\\par}')).text).toBe(
      'Hello bold world.\n\nNext\n\n',
    );
  });

  test('more characters than are allowed is refused', async () => {
    const small = createExtractor({ logger: pino({ level: 'silent' }), maxCharacters: 1000 });
    const file = (length: number) => ({
      ...{ filename: 'a.docx', contentType: null },
      stream: Readable.from([docx([{ text: 'x'.repeat(length) }])]),
    });
    expect(await small.extract(file(998))).toMatchObject({ ok: true });
    expect(await small.extract(file(999))).toEqual({
      ...{ ok: false, code: 'too_large' },
      message: 'This file has more than 1,000 characters of text. Split it into smaller files.',
    });
    await small.close();
  });
});

describe('the documents of the retrieval test', () => {
  const folder = join(import.meta.dirname, '../fixtures/retrieval');
  interface Question {
    question: string;
    kind: 'keyword' | 'paraphrase';
    gold: { document: string; heading: string }[];
  }

  /** Labels are as the documents have them, headings as they were read: without links, quotes and the like. */
  const bare = (heading: string): string =>
    heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[^\p{L}\p{N}]+/gu, '').toLowerCase();

  test('have at least 300 sections, and each label names one of them', async () => {
    const questions = JSON.parse(readFileSync(join(folder, 'questions.json'), 'utf8')) as Question[];
    const headings: string[] = [];
    for (const document of new Set(questions.flatMap(({ gold }) => gold.map((each) => each.document)))) {
      const result = await extractor.extract({
        ...{ path: join(folder, 'documents', document), filename: document, contentType: null },
      });
      if (!result.ok) expect.unreachable(`${document}: ${result.message}`);
      const paths = new Set(result.blocks.map(({ headingPath }) => headingPath.join('\0')).filter(Boolean));
      for (const path of paths) headings.push(`${document}\0${bare(path.split('\0').at(-1)!)}`);
    }
    expect(headings.length).toBeGreaterThan(300);
    expect(questions.length).toBeGreaterThan(60);
    expect(questions.filter(({ kind }) => kind === 'paraphrase').length / questions.length).toBeGreaterThan(0.6);
    for (const { gold } of questions)
      for (const { document, heading } of gold)
        expect(headings, `${document}: ${heading}`).toContain(`${document}\0${bare(heading)}`);
  });
});

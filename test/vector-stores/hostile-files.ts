import { deflateSync } from 'node:zlib';
import { CFB } from '@e965/xlsx';
import { docx, docxParts, odt, pptxParts, xlsxParts } from '../fixtures/office-documents.ts';
import { encryptedPdf, onePage, stream, writePdf } from '../fixtures/write-pdf.ts';
import { type ZipPart, writeZip } from '../fixtures/write-zip.ts';

export interface HostileFile {
  name: string;
  /** What is wrong with it. */
  what: string;
  make: Make;
  /** The code of its refusal and words of the reason, or else words that it is read to. */
  refused: [code: string, reason: RegExp] | null;
  read: RegExp | null;
}

type Make = () => Buffer;
const refused = (name: string, what: string, code: string, reason: RegExp, make: Make): HostileFile => ({
  ...{ name, what, make },
  refused: [code, reason],
  read: null,
});
const read = (name: string, what: string, words: RegExp, make: Make): HostileFile => ({
  ...{ name, what, make },
  refused: null,
  read: words,
});

const MB = 2 ** 20;
const zeros = (megabytes: number): Buffer => Buffer.alloc(megabytes * MB);
const text = (value: string): Buffer => Buffer.from(value);
const part = (name: string, data: string | Uint8Array, more: Partial<ZipPart> = {}): ZipPart => ({
  name,
  data,
  ...more,
});
const plainDocx = docx([{ text: 'Words in a document.' }]);

/** Replaces or adds parts of an ordinary document. */
const withParts = (parts: readonly ZipPart[], changed: readonly ZipPart[]): Buffer =>
  writeZip([...parts.filter(({ name }) => !changed.some((each) => each.name === name)), ...changed]);

const row = (number: number, ...values: string[]): string =>
  `<row r="${number}">${values.map((v) => `<c t="inlineStr"><is><t>${v}</t></is></c>`).join('')}</row>`;
const sheet = (rows: string, dimension?: string): ZipPart[] => xlsxParts([{ name: 'Data', rows, dimension }]);

function ole(name: string): Buffer {
  const container = CFB.utils.cfb_new();
  CFB.utils.cfb_add(container, `/${name}`, Buffer.alloc(5000, 1));
  return Buffer.from(CFB.write(container, { type: 'buffer' }) as Uint8Array);
}

/** Bytes without a pattern, the same every time. */
function noise(length: number): Buffer {
  let state = 1;
  return Buffer.alloc(length).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  }) as Buffer;
}

function encryptedPart(): Buffer {
  const zip = Buffer.from(plainDocx);
  for (const mark of ['PK\x03\x04', 'PK\x01\x02'])
    for (let at = zip.indexOf(mark, 0, 'latin1'); at !== -1; at = zip.indexOf(mark, at + 4, 'latin1'))
      zip[at + (mark.endsWith('\x04') ? 6 : 8)] = 1;
  return zip;
}

const nest = (depth: number, inner: Buffer): Buffer =>
  depth === 0 ? inner : nest(depth - 1, writeZip([part(`level${depth}.zip`, inner)]));

const ENTITIES = `<!DOCTYPE w:document [<!ENTITY a0 "laugh">${Array.from(
  { length: 9 },
  (_, at) => `<!ENTITY a${at + 1} "${`&a${at};`.repeat(10)}">`,
).join('')}]>`;

const PDF_TEXT = Buffer.from('BT /F1 12 Tf 72 720 Td (Words on a page.) Tj ET');
const PDF = writePdf(onePage(stream(PDF_TEXT)));

const CATALOG = '<< /Type /Catalog /Pages 2 0 R >>';
const SHEET = 'xl/worksheets/sheet1.xml';
const LIES = /not as long as they claim/;
const ESCAPE =
  '<Relationships><Relationship Id="rId1" Type="x/slide" Target="../../../../etc/passwd"/></Relationships>';
const mimetype = (kind: string): ZipPart => part('mimetype', `application/vnd.oasis.opendocument.${kind}`);

const ODS_BOMB =
  '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" ' +
  'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">' +
  '<office:body><office:spreadsheet><table:table table:name="T"><table:table-row table:number-rows-repeated="1000000">' +
  '<table:table-cell table:number-columns-repeated="1000" office:value-type="string"><text:p>x</text:p>' +
  '</table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>';

export const HOSTILE: readonly HostileFile[] = [
  // bombs
  refused('bomb.docx', '200 MB of zeros', 'too_large', /grows to/, () =>
    withParts(docxParts([]), [part('word/document.xml', zeros(200))]),
  ),
  refused('bomb.pptx', '200 MB of zeros', 'too_large', /grows to/, () =>
    withParts(pptxParts([{ title: 'T', lines: [] }]), [part('ppt/slides/slide1.xml', zeros(200))]),
  ),
  refused('bomb.xlsx', '200 MB of zeros', 'too_large', /grows to/, () =>
    withParts(sheet(''), [part(SHEET, zeros(200))]),
  ),
  refused('liar.docx', '150 MB that claim to be 1000 bytes', 'invalid_file', LIES, () =>
    withParts(docxParts([]), [part('word/document.xml', zeros(150), { declaredSize: 1000 })]),
  ),
  refused('liar.xlsx', '150 MB that claim to be 1000 bytes', 'invalid_file', LIES, () =>
    withParts(sheet(''), [part(SHEET, zeros(150), { declaredSize: 1000 })]),
  ),
  refused('liar.odt', 'a part beside the text that lies', 'invalid_file', LIES, () =>
    writeZip([mimetype('text'), part('content.xml', '<a/>'), part('x.xml', zeros(120), { declaredSize: 9 })]),
  ),
  refused('flat.xlsx', '150 parts of 0.9 MB, each small enough', 'too_large', /more than 100 MB/, () =>
    writeZip([...sheet(''), ...Array.from({ length: 150 }, (_, at) => part(`xl/x${at}.xml`, Buffer.alloc(900_000)))]),
  ),
  refused('crowd.docx', '10 001 parts', 'too_large', /parts, more than/, () =>
    writeZip([...docxParts([]), ...Array.from({ length: 10_001 }, (_, at) => part(`word/x${at}`, ''))]),
  ),
  refused('deflate.pdf', 'a content stream of 600 MB of blanks', 'out_of_memory', /memory/, () =>
    writePdf(onePage(stream(deflateSync(Buffer.alloc(600 * MB, 32)), '/Filter /FlateDecode'))),
  ),
  refused('repeat.ods', 'a cell that repeats a billion times', 'too_large', /cells/, () =>
    writeZip([
      mimetype('spreadsheet'),
      part('META-INF/manifest.xml', '<manifest/>'),
      part('styles.xml', '<styles/>'),
      part('content.xml', ODS_BOMB),
    ]),
  ),
  // archives in archives
  refused('nested.docx', 'archives in archives, twenty deep', 'unsupported_file', /archive, not a document/, () =>
    nest(20, plainDocx),
  ),
  read('stowaway.docx', 'a document that carries a bomb', /Words above a bomb/, () =>
    withParts(docxParts([{ text: 'Words above a bomb.' }]), [
      part('word/embeddings/bomb.zip', writeZip([part('zeros', zeros(200))])),
    ]),
  ),
  refused('photos.zip', 'an archive that is no document', 'unsupported_file', /Unpack it/, () =>
    writeZip([part('a.txt', 'a')]),
  ),
  // names
  refused('dots.docx', 'a part named ../../etc/cron.d/x', 'invalid_file', /leads out/, () =>
    withParts(docxParts([]), [part('../../etc/cron.d/x', 'x')]),
  ),
  refused('root.docx', 'a part named /etc/passwd', 'invalid_file', /leads out/, () =>
    withParts(docxParts([]), [part('/etc/passwd', 'x')]),
  ),
  read('../../outside.md', 'a file name that leads out', /Inside/, () => text('# Inside\n\nwords')),
  refused('twins.docx', 'two parts of one name', 'invalid_file', /same name/, () =>
    writeZip([...docxParts([{ text: 'one' }]), part('word/document.xml', '<a/>')]),
  ),
  refused('escape.pptx', 'a slide that is a path out of the archive', 'no_text', /no text/, () =>
    withParts(pptxParts([{ title: 'T', lines: [] }]), [part('ppt/_rels/presentation.xml.rels', ESCAPE)]),
  ),
  // locked
  refused('locked.pdf', 'a password', 'encrypted', /password/, () => encryptedPdf('open sesame')),
  refused('locked.docx', 'a password, which makes an OLE file of it', 'encrypted', /password/, () =>
    ole('EncryptedPackage'),
  ),
  refused('locked-part.docx', 'a zip with a password', 'encrypted', /password/, encryptedPart),
  refused('old.doc', 'Word of 1997', 'unsupported_file', /\.docx/, () => ole('WordDocument')),
  // broken
  refused('empty.txt', 'nothing', 'no_text', /empty/, () => text('')),
  refused('empty.pdf', 'nothing', 'no_text', /empty/, () => text('')),
  refused('blank.md', 'nothing but blanks', 'no_text', /empty/, () => text(' \n\t\n')),
  refused('cut.docx', 'its second half is missing', 'invalid_file', /end is missing/, () =>
    plainDocx.subarray(0, plainDocx.length >> 1),
  ),
  refused('cut.pdf', 'all but its start is missing', 'invalid_file', /damaged or incomplete/, () =>
    PDF.subarray(0, 60),
  ),
  refused('garbage.pdf', 'noise behind a PDF mark', 'invalid_file', /damaged or incomplete/, () =>
    Buffer.concat([text('%PDF-1.7\n'), noise(200_000)]),
  ),
  refused('garbage.docx', 'noise behind a zip mark', 'invalid_file', /damaged/, () =>
    Buffer.concat([text('PK\x03\x04'), noise(200_000)]),
  ),
  refused('garbage.xlsx', 'a workbook of noise', 'invalid_file', /damaged/, () =>
    withParts(sheet(''), [part('xl/workbook.xml', noise(5000))]),
  ),
  refused('garbage.bin', 'noise', 'unsupported_file', /no text file/, () => noise(200_000)),
  // lies
  refused('report.pdf', 'a picture', 'invalid_file', /image\/png/, () =>
    Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), noise(500)]),
  ),
  refused('picture.png', 'a picture', 'unsupported_file', /image\/png/, () =>
    Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), noise(500)]),
  ),
  refused('archive.pdf', 'a Word document', 'invalid_file', /named \.pdf but is a Word document/, () => plainDocx),
  refused('login.pdf', 'a web page', 'invalid_file', /named \.pdf/, () => text('<!DOCTYPE html><p>Please log in')),
  refused('paper.docx', 'a PDF', 'invalid_file', /is a PDF/, () => PDF),
  refused('notes.txt', 'a workbook', 'invalid_file', /is an Excel workbook/, () => writeZip(sheet(row(1, 'a')))),
  // encodings
  refused('null.txt', 'null bytes', 'unsupported_file', /null/, () => text('words\0words')),
  refused('late-null.txt', 'a null byte far behind', 'unsupported_file', /null/, () =>
    text(`${'words '.repeat(5000)}\0`),
  ),
  read('utf16le.txt', 'UTF-16', /^Grüße aus Köln$/, () => Buffer.from('\ufeffGrüße aus Köln', 'utf16le')),
  read('utf16be.txt', 'UTF-16 the other way round', /^Grüße aus Köln$/, () =>
    Buffer.from('\ufeffGrüße aus Köln', 'utf16le').swap16(),
  ),
  refused('unmarked.txt', 'UTF-16 without a mark', 'unsupported_file', /byte order mark/, () =>
    Buffer.from('Grüße aus Köln', 'utf16le'),
  ),
  refused('half.txt', 'UTF-16 with half a character', 'invalid_file', /half a character/, () =>
    Buffer.from('\ufeffab', 'utf16le').subarray(0, 5),
  ),
  read('latin.txt', 'Windows-1252', /^Grüße an alle, das kostet 5 €$/, () =>
    Buffer.from('Gr\xfc\xdfe an alle, das kostet 5 \x80', 'latin1'),
  ),
  refused('sjis.txt', 'Shift JIS', 'unsupported_file', /UTF-8/, () => Buffer.from('93fa967b8cea82cc95b68f91', 'hex')),
  // too deep, too long, too many
  read('deep.html', '100 000 nested tags', /^core$/, () => text(`${'<div>'.repeat(100_000)}core`)),
  refused('deep.docx', '100 000 nested tags', 'invalid_file', /nested too deeply/, () =>
    withParts(docxParts([]), [part('word/document.xml', '<w:p>'.repeat(100_000) + noise(100_000).toString('hex'))]),
  ),
  refused('deep.odt', '50 000 nested tags', 'invalid_file', /nested too deeply/, () =>
    odt(`${'<text:p>'.repeat(50_000)}core${'</text:p>'.repeat(50_000)}`),
  ),
  refused('deep.rtf', '200 000 nested groups', 'invalid_file', /damaged/, () =>
    text(`{\\rtf1 ${'{'.repeat(200_000)}core${'}'.repeat(200_000)}}`),
  ),
  read('deep.json', 'a million brackets', /^\[\[\[/, () => text('['.repeat(1_000_000))),
  refused('line.txt', 'one line of 50 MB', 'too_large', /Split it/, () => Buffer.alloc(50 * MB, 'a')),
  read('long.txt', 'one word of 9 million letters', /^aaa/, () => Buffer.alloc(9_000_000, 'a')),
  read('blanks.txt', '5 million blanks between two words', /^a +b$/, () => text(`a${' '.repeat(5_000_000)}b`)),
  read('brackets.html', '5 million times <', /start/, () => text(`<p>start${'<'.repeat(5_000_000)}`)),
  refused('headings.md', '60 000 sections', 'too_large', /sections/, () => text('# a\n# b\n'.repeat(30_000))),
  read('wide.csv', 'a million columns', /Ada \| London/, () => text(`${'a,b,c,d,'.repeat(250_000)}\nAda,London\n`)),
  read('header.csv', '20 000 names of columns, which go with every chunk', /x \| y/, () =>
    text(`${Array.from({ length: 20_000 }, (_, at) => `column ${at}`).join()}\n${'x,y\n'.repeat(20_000)}`),
  ),
  read('quote.csv', 'a quote that never ends', /a \| b/, () => text(`a,b\n"${'x,\n'.repeat(100_000)}`)),
  read('dimension.xlsx', 'two rows that claim to be 17 billion cells', /Ada \| London/, () =>
    writeZip(sheet(row(1, 'name', 'city') + row(2, 'Ada', 'London'), 'A1:XFD1048576')),
  ),
  read('corner.xlsx', 'a cell in the last corner', /far/, () =>
    writeZip(sheet('<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far</t></is></c></row>')),
  ),
  // entities
  read('laughs.docx', 'a billion laughs', /^start &a9; end/, () =>
    writeZip(docxParts([{ raw: '<w:p><w:r><w:t>start &a9; end</w:t></w:r></w:p>' }], ENTITIES)),
  ),
  read('entity.docx', 'an entity that is /etc/passwd', /^start &x; end/, () =>
    writeZip(
      docxParts(
        [{ raw: '<w:p><w:r><w:t>start &x; end</w:t></w:r></w:p>' }],
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
      ),
    ),
  ),
  // page trees
  refused('circle.pdf', 'pages that are their own parents', 'invalid_file', /read|damaged/, () =>
    writePdf([CATALOG, '<< /Type /Pages /Kids [2 0 R] /Count 1 >>']),
  ),
  read('count.pdf', 'one page that claims to be a billion', /Words on a page/, () =>
    writePdf([CATALOG, '<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>', ...onePage(stream(PDF_TEXT)).slice(2)]),
  ),
  refused('pageless.pdf', 'no page', 'no_text', /no pages/, () =>
    writePdf([CATALOG, '<< /Type /Pages /Kids [] /Count 0 >>']),
  ),
  refused('scan.pdf', 'a page without text', 'no_text', /scan.*OCR/, () =>
    writePdf(onePage(stream(text('0 0 100 100 re f')))),
  ),
];

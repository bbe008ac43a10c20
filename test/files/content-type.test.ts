import { describe, expect, test } from 'vitest';
import { contentTypeOf, UNKNOWN_BYTES } from '../../src/files/content-type.ts';
import { cleanFilename } from '../../src/files/filename.ts';

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
const ZIP = Buffer.from('504b0304140000000800', 'hex');
const OLE = Buffer.from('d0cf11e0a1b11ae1000000000000000000000000000000003e000300feff0900', 'hex');
const UNKNOWN = Buffer.from([1, 2, 3, 0, 255, 254, 9, 8]);
const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');

describe('the type of a file', () => {
  const cases: [what: string, bytes: Buffer | string, name: string, claimed: string | null, type: string][] = [
    ['is what the bytes say', PNG, 'a.png', null, 'image/png'],
    ['is what the bytes say, whatever was claimed', PNG, 'a.txt', 'text/plain', 'image/png'],
    ['of a document, too', '%PDF-1.7\n%\xe2', 'a.txt', 'text/plain', 'application/pdf'],
    [
      'is HTML where it is claimed to be an image',
      '<!doctype html><script>1</script>',
      'a.png',
      'image/png',
      'text/html',
    ],
    ['is HTML behind a comment and blanks', ' \n<!-- x --> <HTML lang=en>', 'a.txt', 'text/plain', 'text/html'],
    ['is a script in HTML', '<script src=x></script>', 'a.txt', null, 'text/html'],
    [
      'is SVG where it is claimed to be text',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'a.txt',
      'text/plain',
      'image/svg+xml',
    ],
    [
      'is SVG behind a prolog',
      '<?xml version="1.0"?>\n<!-- x -->\n<svg width="1">',
      'a.xml',
      'application/xml',
      'image/svg+xml',
    ],
    ['is XML', '<?xml version="1.0"?><a/>', 'a', null, 'application/xml'],
    [
      'is the XML that it is claimed to be',
      '<?xml version="1.0"?><a/>',
      'a',
      'application/atom+xml',
      'application/atom+xml',
    ],
    ['is the text that it is claimed to be', 'a,b\n1,2', 'a', 'text/csv', 'text/csv'],
    ['is claimed with parameters', '{}', 'a', 'Application/JSON; charset=utf-8', 'application/json'],
    ['is told by the name where nothing is claimed', '# Title', 'README.md', null, 'text/markdown'],
    ['is told by the name where nothing is known', '{}', 'a.JSON', 'application/octet-stream', 'application/json'],
    ['is plain text otherwise', 'hello', 'a.unheard', null, 'text/plain'],
    ['is no image that is a text', 'hello', 'a.png', 'image/png', 'text/plain'],
    ['is no bitmap by two letters of a text', 'BM is what the report begins with', 'a.txt', null, 'text/plain'],
    [
      'is Markdown that begins with a tag',
      '<div align="center">\n\n# Skein',
      'README.md',
      'text/markdown',
      'text/markdown',
    ],
    ['is a text in UTF-16', utf16('hello'), 'a.txt', null, 'text/plain'],
    ['is HTML in UTF-16', utf16('<html>'), 'a.txt', 'text/plain', 'text/html'],
    ['is a text that ends in half a character', Buffer.from('für').subarray(0, 2), 'a.txt', null, 'text/plain'],
    ['of nothing is a text', '', 'a.bin', null, 'text/plain'],
    ['of a zip is the document that it is named', ZIP, 'a.docx', null, DOCX],
    ['of a zip is the document that it is claimed to be', ZIP, 'a', DOCX, DOCX],
    ['of a zip is a zip', ZIP, 'a.pdf', 'application/pdf', 'application/zip'],
    ['of an OLE container is the document that it is named', OLE, 'a.doc', null, 'application/msword'],
    ['is unknown', UNKNOWN, 'a', null, UNKNOWN_BYTES],
    ['is not a text that holds NUL', UNKNOWN, 'a.txt', 'text/plain', UNKNOWN_BYTES],
    ['is not what would have been known', UNKNOWN, 'a.pdf', 'application/pdf', UNKNOWN_BYTES],
    ['is what is claimed of unknown bytes', UNKNOWN, 'a', 'application/x-mine', 'application/x-mine'],
    ['is no claim with a line break', UNKNOWN, 'a', 'a/b\r\nx: y', UNKNOWN_BYTES],
  ];
  test.each(cases)('%s', async (_what, bytes, name, claimed, type) => {
    expect(await contentTypeOf(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, name, claimed)).toBe(
      type,
    );
  });

  test('is found of every beginning of garbage', async () => {
    let seed = 1;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647);
    const magic = [PNG, ZIP, OLE, Buffer.from('%PDF'), Buffer.from('RIFF'), Buffer.from('ID3'), Buffer.from('II*\0')];
    for (let i = 0; i < 500; i++) {
      const tail = Buffer.from(Array.from({ length: random() % 5000 }, () => random() % 256));
      const type = await contentTypeOf(Buffer.concat([magic[i % magic.length]!, tail]), 'a', null);
      expect(type).toMatch(/^[\w.+-]+\/[\w.+-]+$/);
    }
  });
});

test.each<[given: string, kept: string | null]>([
  ['report.pdf', 'report.pdf'],
  ['../../etc/passwd', 'passwd'],
  ['C:\\Users\\me\\a b.txt', 'a b.txt'],
  ['/', null],
  ['..', null],
  ['a/..', null],
  ['', null],
  [' \t ', null],
  ['\0\u0007', null],
  ['a\r\nSet-Cookie: x.txt', 'aSet-Cookie: x.txt'],
  ['invoice\u202efdp.exe', 'invoicefdp.exe'],
  ['naïve 資料 👩‍👩‍👧.txt', 'naïve 資料 👩‍👩‍👧.txt'],
  ['half \ud800.txt', 'half \ufffd.txt'],
])('of the filename %j, %j is kept', (given, kept) => {
  expect(cleanFilename(given)).toBe(kept);
});

import type { WrongInput } from './wrong-inputs.ts';

const upload = (more: object) => () => ({ filename: 'a.txt', ...more });
const file = (more: object) => () => ({ file: new File(['hello'], 'a.txt'), ...more });
const invalid = (sentence: string, mutation: string, input: () => object, field: string): WrongInput => [
  sentence,
  mutation,
  input,
  'INVALID_INPUT',
  `input.${field}`,
];

export const FILES: WrongInput[] = [
  invalid('an upload without a name', 'createUpload', upload({ filename: '' }), 'filename'),
  invalid('an upload whose name is a folder', 'createUpload', upload({ filename: '../../etc/' }), 'filename'),
  invalid('an upload whose name is not seen', 'createUpload', upload({ filename: '\0\u202e' }), 'filename'),
  invalid('an upload name of 256 characters', 'createUpload', upload({ filename: 'x'.repeat(256) }), 'filename'),
  invalid('an upload for ASSISTANTS_OUTPUT', 'createUpload', upload({ purpose: 'ASSISTANTS_OUTPUT' }), 'purpose'),
  invalid('an upload of -1 bytes', 'createUpload', upload({ bytes: -1 }), 'bytes'),
  invalid('an upload of more than MAX_FILE_BYTES', 'createUpload', upload({ bytes: 600_000_000 }), 'bytes'),
  invalid('an upload with half a SHA-256', 'createUpload', upload({ sha256: 'ab'.repeat(16) }), 'sha256'),
  invalid('an upload with no SHA-256', 'createUpload', upload({ sha256: 'x'.repeat(64) }), 'sha256'),
  invalid('an upload type of 256 characters', 'createUpload', upload({ contentType: 'x'.repeat(256) }), 'contentType'),
  invalid(
    'an upload that expires in a minute',
    'createUpload',
    upload({ expiresAfterSeconds: 60 }),
    'expiresAfterSeconds',
  ),
  invalid(
    'a file that expires in a year',
    'uploadFile',
    file({ expiresAfterSeconds: 31_536_000 }),
    'expiresAfterSeconds',
  ),
  invalid('a file for ASSISTANTS_OUTPUT', 'uploadFile', file({ purpose: 'ASSISTANTS_OUTPUT' }), 'purpose'),
  invalid('a file with a blank name', 'uploadFile', () => ({ file: new File(['x'], ' ') }), 'file'),
  ['a text for VISION', 'uploadFile', file({ purpose: 'VISION' }), 'UNSUPPORTED_FILE', 'undefined'],
  ['an unknown file to delete', 'deleteFile', () => ({ fileId: 'file_0' }), 'NOT_FOUND', 'input.fileId'],
  ['a NUL in the id of a file to delete', 'deleteFile', () => ({ fileId: 'file_\0' }), 'INVALID_INPUT', 'input.fileId'],
  [
    'a file of another project to delete',
    'deleteFile',
    ({ foreign }) => ({ fileId: foreign.fileId }),
    'NOT_FOUND',
    'input.fileId',
  ],
];

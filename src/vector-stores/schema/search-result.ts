import { File, fileById } from '../../files/schema.ts';
import { builder } from '../../graphql/builder.ts';
import type { SourceLocation as Location } from '../location.ts';
import { GONE, readSource, sourceField } from './citation-source.ts';

export const SourceLocation = builder.objectRef<Location>('SourceLocation').implement({
  description: 'A place in the extracted text of a file.',
  fields: (t) => ({
    startIndex: t.exposeInt('startIndex', { description: 'UTF-16 index of the first character.' }),
    endIndex: t.exposeInt('endIndex', { description: 'UTF-16 index behind the last character.' }),
    page: t.exposeInt('page', { nullable: true, description: 'Page or slide, from 1, where the file has such.' }),
    startLine: t.exposeInt('startLine', {
      nullable: true,
      description: 'First line, or row of a table, from 1, where the file has such.',
    }),
    endLine: t.exposeInt('endLine', { nullable: true, description: 'Last line.' }),
    headingPath: t.exposeStringList('headingPath', { description: 'Headings above the place, outermost first.' }),
  }),
});

export const RankingOptions = builder.objectRef<{ scoreThreshold: number }>('RankingOptions').implement({
  description: 'How search results are ranked.',
  fields: (t) => ({
    scoreThreshold: t.exposeFloat('scoreThreshold', {
      description: 'Results that score below this, 0 to 1, are left out.',
    }),
  }),
});

export const RankingOptionsInput = builder.inputType('RankingOptionsInput', {
  description: 'How search results are ranked.',
  fields: (t) => ({
    scoreThreshold: t.float({ description: 'Leave out what scores below this, 0 to 1. Default 0.' }),
  }),
});

/** A passage as it was found, by a search or in a run. */
interface Result {
  fileId: string;
  filename: string;
  score: number;
  text: string;
  location: Location | null;
  attributes: unknown;
}

export const FileSearchResult = builder.objectRef<Result>('FileSearchResult').implement({
  description: 'A passage that fits a query.',
  fields: (t) => ({
    file: t.field({
      type: File,
      nullable: true,
      description: 'Its file, null when it was deleted.',
      resolve: ({ fileId }, _args, { load }) => load.one(fileById, fileId),
    }),
    fileId: t.exposeID('fileId', { description: 'Id of its file.' }),
    filename: t.exposeString('filename', { description: 'Name of its file at the time of the search.' }),
    score: t.exposeFloat('score', {
      description:
        'How well it fits, 0 to 1: by its places among what was found by its words and by its meaning. 1 = first in both.',
    }),
    text: t.exposeString('text', { description: 'The passage, as it stands in the extracted text.' }),
    location: t.field({
      type: SourceLocation,
      nullable: true,
      description: 'Where it stands.',
      resolve: ({ location }) => location,
    }),
    source: t.field({
      ...sourceField(t.arg),
      description: `The passage with the words around it; ${GONE}`,
      resolve: ({ fileId, text, location }, around, { load }) =>
        readSource(load, { fileId, quote: text, location }, around),
    }),
    attributes: t.field({
      type: 'JSON',
      nullable: true,
      description: "The file's attributes in its vector store.",
      resolve: ({ attributes }) => attributes,
    }),
  }),
});

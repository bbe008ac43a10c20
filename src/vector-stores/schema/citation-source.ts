import { builder } from '../../graphql/builder.ts';
import { type Load, ofSeen } from '../../graphql/load.ts';
import { number } from '../../graphql/validation.ts';
import { type QuotedText, readQuoted } from '../extracted-text.ts';
import type { SourceLocation } from '../location.ts';

/** UTF-16 units that are read on one side of a quote. */
const AROUND = 500;
const MOST_AROUND = 50_000;

export const CitationSource = builder.objectRef<QuotedText>('CitationSource').implement({
  description: 'Words of a file as they were read out of it, with a quote among them.',
  fields: (t) => ({
    text: t.exposeString('text', { description: 'The quote with what stands before and after it.' }),
    quoteIndex: t.exposeInt('quoteIndex', { description: 'UTF-16 index into `text` of the first character of the quote.' }),
    startIndex: t.exposeInt('startIndex', {
      description: 'UTF-16 index of `text` in the whole extracted text; 0 = it begins where the file does.',
    }),
    endIndex: t.exposeInt('endIndex', { description: 'UTF-16 index behind it in the whole extracted text.' }),
  }),
});

const quoted = ofSeen('quoted-texts', readQuoted);

type Args = Parameters<Parameters<typeof builder.queryField>[1]>[0]['arg'];

/** What fields that open a quote have in common. */
export const sourceField = (arg: Args) => ({
  type: CitationSource,
  nullable: true as const,
  args: {
    before: around(arg, 'before'),
    after: around(arg, 'after'),
  },
  // The pieces that it stands in are read whole.
  complexity: ({ before, after }: { before: number; after: number }) => 100 + Math.ceil((before + after) / 100),
});

const around = (arg: Args, side: string) =>
  arg.int({
    required: true,
    defaultValue: AROUND,
    validate: number(`number of characters ${side} the quote`, 0, MOST_AROUND) as never,
    description: `UTF-16 units to read ${side} the quote, 0 to ${MOST_AROUND}.`,
  });

export const GONE =
  'null when they are not there any more: the file was deleted or taken out of its vector stores, these were deleted ' +
  'or have expired, or the file was read in anew and other words stand at that place.';

/** The words around a quote. */
export const readSource = (
  load: Load,
  { fileId, quote, location }: { fileId: string; quote: string; location: SourceLocation | null },
  { before, after }: { before: number; after: number },
): Promise<QuotedText | null> | null => (location ? load.one(quoted, { fileId, quote, location, before, after }) : null);

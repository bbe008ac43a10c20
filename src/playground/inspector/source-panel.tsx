import { Download } from 'lucide-react';
import { type RefObject, useEffect, useRef, useState } from 'react';
import { CitationSourcesDocument, type CitationSourcesQuery } from 'skein/client';
import { useQuery } from 'urql';
import type { Citation } from '../conversation/marked-text.ts';
import { placeOf } from '../conversation/place.ts';
import { Button } from '../parts/button.tsx';
import { Notice } from '../parts/notice.tsx';
import styles from './source-panel.module.css';

/** Characters around a quote: at first, and with each time that more is wanted. */
const AROUND = 800;
const MORE = 4;
const MOST = 50_000;

/** The source of a citation, opened at the quote. */
export function SourcePanel({ citation, messageId }: { citation: Citation; messageId: string }) {
  const [around, setAround] = useState(AROUND);
  const [{ data, fetching, error }] = useQuery({
    query: CitationSourcesDocument,
    variables: { messageId, before: around, after: around },
  });
  const found = data && citationIn(data, citation);
  const quote = useRef<HTMLElement>(null);
  useEffect(() => {
    quote.current?.scrollIntoView({ block: 'center' });
  }, [citation, found === undefined]);

  return (
    <>
      <h2 className={styles.name}>{found?.file?.filename ?? 'Source'}</h2>
      <p className={styles.place}>
        {placeOf(citation.location)} · score {citation.score.toFixed(2)}
      </p>
      {found?.file && (
        <p>
          <a className={styles.download} href={found.file.url} download={found.file.filename}>
            <Download size={14} /> Download the file
          </a>
        </p>
      )}
      {error && <Notice kind="danger">{error.message}</Notice>}
      {found && !found.source && (
        <>
          <Notice kind="warn">The file is gone, or was read in anew: these words were in it when they were cited.</Notice>
          <blockquote className={styles.text}>
            <mark>{citation.quote}</mark>
          </blockquote>
        </>
      )}
      {fetching && !found && <p role="status">Loading the source…</p>}
      {found?.source && (
        <>
          <Text source={found.source} length={citation.quote.length} quote={quote} />
          {around < MOST && (
            <Button small disabled={fetching} onClick={() => setAround((now) => Math.min(MOST, now * MORE))}>
              Show more of it
            </Button>
          )}
        </>
      )}
    </>
  );
}

type Found = Extract<ReturnType<typeof annotationsOf>[number], { __typename: 'FileCitation' }>;

interface TextProps {
  source: NonNullable<Found['source']>;
  length: number;
  quote: RefObject<HTMLElement | null>;
}

function Text({ source: { text, quoteIndex, startIndex }, length, quote }: TextProps) {
  return (
    <div className={styles.text} tabIndex={0} role="region" aria-label="Text of the source">
      {startIndex > 0 && '… '}
      {text.slice(0, quoteIndex)}
      <mark ref={quote}>{text.slice(quoteIndex, quoteIndex + length)}</mark>
      {text.slice(quoteIndex + length)}
    </div>
  );
}

const annotationsOf = ({ node }: CitationSourcesQuery) =>
  (node && 'content' in node ? node.content : []).flatMap((part) => (part.__typename === 'TextContent' ? part.annotations : []));

/** The same citation, now with its source. */
function citationIn(data: CitationSourcesQuery, { fileId, startIndex, quote }: Citation): Found | null {
  const found = annotationsOf(data).find(
    (one) => one.__typename === 'FileCitation' && one.fileId === fileId && one.startIndex === startIndex && one.quote === quote,
  );
  return found?.__typename === 'FileCitation' ? found : null;
}

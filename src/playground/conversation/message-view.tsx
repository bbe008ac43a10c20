import { Paperclip, UserRound } from 'lucide-react';
import { memo, type ReactNode, useCallback, useRef } from 'react';
import type { ConversationMessage } from 'skein/client';
import { FileChip, FilePicture } from '../files/file-link.tsx';
import { useInspector } from '../inspector/inspector-context.ts';
import mark from '../skein.svg';
import { type Annotation, CITATION, FILE, markedText } from './marked-text.ts';
import { MarkdownText } from './markdown.tsx';
import styles from './message-view.module.css';

/** A message: who says it, its parts in order, and what goes with it. */
export const MessageView = memo(function MessageView({ message }: { message: ConversationMessage }) {
  const { id, role, status, content, attachments, incompleteDetails } = message;
  const own = role === 'USER';
  const writing = status === 'IN_PROGRESS';
  return (
    <article className={own ? styles.own : styles.message} aria-label={own ? 'You' : 'Assistant'} data-message={id}>
      <Speaker own={own} />
      <div className={styles.body} aria-busy={writing}>
        {content.map((part, at) => (
          <Part key={at} part={part} messageId={id} growing={writing && at === content.length - 1} plain={own} />
        ))}
        {writing && content.length === 0 && <span className={styles.caret} aria-hidden="true" />}
        {attachments.length > 0 && (
          <ul className={styles.attachments} aria-label="Attachments">
            {attachments.map(({ fileId }) => (
              <li key={fileId}>
                <FileChip fileId={fileId} icon={<Paperclip size={14} />} />
              </li>
            ))}
          </ul>
        )}
        {incompleteDetails && <p className={styles.incomplete}>Not finished: {REASONS[incompleteDetails.reason]}</p>}
      </div>
    </article>
  );
});

const REASONS: Record<NonNullable<ConversationMessage['incompleteDetails']>['reason'], string> = {
  CONTENT_FILTER: 'the model server’s filter ended it.',
  MAX_TOKENS: 'the limit of tokens was reached.',
  RUN_CANCELLED: 'its run was cancelled.',
  RUN_EXPIRED: 'its run took too long.',
  RUN_FAILED: 'its run failed.',
  SUPERSEDED: 'it was begun again.',
};

export function Speaker({ own }: { own: boolean }) {
  return (
    <div className={styles.speaker} aria-hidden="true">
      {own ? <UserRound size={17} /> : <img src={mark} alt="" width="20" height="20" />}
    </div>
  );
}

interface PartProps {
  part: ConversationMessage['content'][number];
  messageId: string;
  growing: boolean;
  /** What people write is shown as they wrote it. */
  plain: boolean;
}

function Part({ part, messageId, growing, plain }: PartProps) {
  switch (part.__typename) {
    case 'TextContent':
      return plain ? (
        <p className={styles.plain}>{part.value}</p>
      ) : (
        <Text text={markedText(part)} annotations={part.annotations} messageId={messageId} growing={growing} />
      );
    case 'RefusalContent':
      return <p className={styles.refusal}>{part.value}</p>;
    case 'ImageFileContent':
      return <FilePicture fileId={part.fileId} />;
    case 'ImageUrlContent':
      return (
        <a href={part.url} target="_blank" rel="noopener noreferrer nofollow">
          A picture at {URL.parse(part.url)?.host ?? 'another host'} (not loaded)
        </a>
      );
  }
}

interface TextProps {
  text: string;
  annotations: readonly Annotation[];
  messageId: string;
  growing: boolean;
}

function Text({ text, annotations, messageId, growing }: TextProps) {
  // The same ones come as other objects when the message is whole: nothing of it is to be drawn again for that.
  const same = useRef(annotations);
  if (JSON.stringify(same.current) !== JSON.stringify(annotations)) same.current = annotations;
  const known = same.current;
  const link = useCallback(
    (href: string, children: ReactNode) => {
      if (href.startsWith(FILE)) return <FileChip fileId={href.slice(FILE.length)}>{children}</FileChip>;
      const annotation = href.startsWith(CITATION) ? known[Number(href.slice(CITATION.length))] : undefined;
      if (annotation?.__typename !== 'FileCitation') return children;
      return <CitationLink citation={annotation} messageId={messageId} label={children} />;
    },
    [known, messageId],
  );
  return <MarkdownText text={text} growing={growing} link={link} />;
}

type Citation = Extract<Annotation, { __typename: 'FileCitation' }>;

function CitationLink({ citation, messageId, label }: { citation: Citation; messageId: string; label: ReactNode }) {
  const { inspect } = useInspector();
  const quote = citation.quote.length > 160 ? `${citation.quote.slice(0, 160)}…` : citation.quote;
  return (
    <button
      type="button"
      className={styles.citation}
      title={quote}
      aria-label={`Source ${String(label)}: ${quote}`}
      onClick={() => inspect({ tab: 'source', citation, messageId })}
    >
      {label}
    </button>
  );
}

import { type ReactNode, useEffect, useRef, useState } from 'react';
import { type TypedDocumentNode, useQuery } from 'urql';
import { Button } from './button.tsx';
import { Notice } from './notice.tsx';
import styles from './paged-list.module.css';
import { reasonOf } from './reason.ts';

interface PageVariables {
  first?: number | null;
  after?: string | null;
}

interface Page<Node> {
  readonly nodes: readonly Node[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null };
}

interface PagedListProps<Data, Variables extends PageVariables, Node extends { id: string }> {
  label: string;
  query: TypedDocumentNode<Data, Variables>;
  variables: Omit<Variables, keyof PageVariables>;
  pageOf(data: Data): Page<Node> | null | undefined;
  /** Said when there is nothing. */
  empty: ReactNode;
  /** What the button says that brings the next page. */
  more: string;
  /** Changes when something happened that only the server knows of: what is shown is read anew. */
  moment?: unknown;
  children(node: Node): ReactNode;
}

const ON_A_PAGE = 20;

/**
 * A list that is read page by page. Each page begins where the one before ends now: what comes and goes in the first one
 * neither hides nor doubles anything in those below. Other filters make another list: give it a `key`.
 */
export function PagedList<Data, Variables extends PageVariables, Node extends { id: string }>(props: PagedListProps<Data, Variables, Node>) {
  const [pages, setPages] = useState(1);
  return (
    <ul className={styles.list} aria-label={props.label} tabIndex={-1}>
      <OnePage {...props} after={null} left={pages} bring={() => setPages((count) => count + 1)} />
    </ul>
  );
}

interface OnePageProps<Data, Variables extends PageVariables, Node extends { id: string }> extends PagedListProps<Data, Variables, Node> {
  after: string | null;
  /** Pages that are wanted from here on. */
  left: number;
  bring(): void;
}

function OnePage<Data, Variables extends PageVariables, Node extends { id: string }>(props: OnePageProps<Data, Variables, Node>) {
  const { query, variables, pageOf, empty, more, moment, children, after, left, bring } = props;
  const first = useRef<HTMLLIElement>(null);
  const [{ data, error, fetching }, refresh] = useQuery({
    query,
    // A document that takes a page takes these two.
    variables: { ...variables, first: ON_A_PAGE, after } as Variables,
    requestPolicy: 'cache-and-network',
  });
  const page = data ? pageOf(data) : null;

  const seen = useRef(moment);
  useEffect(() => {
    if (seen.current === moment) return;
    seen.current = moment;
    refresh({ requestPolicy: 'network-only' });
  }, [moment, refresh]);

  // Who asked for this page reads on where it begins.
  const came = page !== null && page !== undefined;
  useEffect(() => {
    if (came && after !== null) first.current?.focus();
  }, [came]);

  if (!page) {
    return (
      <li className={styles.said}>
        {error ? (
          <Notice kind="danger">
            {reasonOf(error)}{' '}
            <Button small onClick={() => refresh({ requestPolicy: 'network-only' })}>
              Try again
            </Button>
          </Notice>
        ) : (
          fetching && 'Loading…'
        )}
      </li>
    );
  }
  const { hasNextPage, endCursor } = page.pageInfo;
  return (
    <>
      {page.nodes.map((node, at) => (
        <li key={node.id} ref={at === 0 ? first : undefined} tabIndex={at === 0 && after !== null ? -1 : undefined}>
          {children(node)}
        </li>
      ))}
      {after === null && page.nodes.length === 0 && <li className={styles.said}>{empty}</li>}
      {hasNextPage && endCursor && left > 1 && <OnePage {...props} after={endCursor} left={left - 1} />}
      {hasNextPage && left === 1 && (
        <li className={styles.more}>
          <Button kind="quiet" small onClick={bring}>
            {more}
          </Button>
        </li>
      )}
    </>
  );
}

import { Collapsible } from '@base-ui/react/collapsible';
import { Check, ChevronRight, Copy } from 'lucide-react';
import { CodeBlock } from '../conversation/code-block.tsx';
import type { LoggedOperation, OperationsLog } from '../operations-log.ts';
import { Button } from '../parts/button.tsx';
import { useCopy } from '../parts/use-copy.ts';
import styles from './operations-panel.module.css';

/** The GraphQL operations behind what is on the screen, newest first, ready to be copied. */
export function OperationsPanel({ operations }: { operations: OperationsLog }) {
  const logged = operations.use();
  return (
    <>
      <p className={styles.hint}>What this page has asked of the graph. Each can be copied, and asked by a program of yours.</p>
      <ol className={styles.operations}>
        {logged.map((operation) => (
          <Operation key={operation.key} operation={operation} />
        ))}
      </ol>
    </>
  );
}

function Operation({ operation }: { operation: LoggedOperation }) {
  const { kind, name, query, variables, took, results, failed } = operation;
  return (
    <li>
      <Collapsible.Root>
        <Collapsible.Trigger className={styles.head}>
          <ChevronRight size={14} className={styles.arrow} aria-hidden="true" />
          <span className={styles.kind} data-kind={kind}>
            {kind}
          </span>
          <span className={styles.name}>{name}</span>
          <span className={styles.took}>
            {failed ? 'failed' : kind === 'subscription' ? `${results} event${results === 1 ? '' : 's'}` : took === null ? '…' : `${took} ms`}
          </span>
        </Collapsible.Trigger>
        <Collapsible.Panel className={styles.panel}>
          <CodeBlock label={`${name}: operation`}>
            <code>{query}</code>
          </CodeBlock>
          <CodeBlock label={`${name}: variables`}>
            <code>{JSON.stringify(variables, null, 2)}</code>
          </CodeBlock>
          <CopyCurl operation={operation} />
        </Collapsible.Panel>
      </Collapsible.Root>
    </li>
  );
}

function CopyCurl({ operation }: { operation: LoggedOperation }) {
  const [copied, copy] = useCopy();
  return (
    <Button small icon={copied ? <Check size={14} /> : <Copy size={14} />} onClick={() => copy(curlOf(operation))}>
      {copied ? 'Copied' : 'Copy as curl'}
    </Button>
  );
}

/** The key is not in it: `$KEY` stands for one. */
function curlOf({ kind, query, variables }: LoggedOperation): string {
  const url = new URL('graphql', document.baseURI).href;
  const body = JSON.stringify({ query, variables }).replaceAll("'", String.raw`'\''`);
  const stream = kind === 'subscription' ? ` -N -H 'accept: text/event-stream'` : '';
  return `curl -s${stream} ${url} -H "authorization: Bearer $KEY" -H 'content-type: application/json' --data '${body}'`;
}

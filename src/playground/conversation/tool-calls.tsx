import { ChevronRight, Code2, FunctionSquare, Search } from 'lucide-react';
import { memo, type ReactNode } from 'react';
import { Collapsible } from '@base-ui/react/collapsible';
import type { ConversationStep } from 'skein/client';
import type { ToolCall } from 'skein/react';
import { FilePicture } from '../files/file-link.tsx';
import { StatusBadge } from '../parts/status-badge.tsx';
import { CodeBlock } from './code-block.tsx';
import { MarkdownText } from './markdown.tsx';
import { SearchResults } from './search-results.tsx';
import styles from './tool-calls.module.css';

/** What a step called, and what came of it: open while it goes on. */
export const ToolCalls = memo(function ToolCalls({ step }: { step: ConversationStep }) {
  if (step.details.__typename !== 'ToolCallsDetails') return null;
  return (
    <div className={styles.calls} role="group" aria-label="Tool calls">
      {step.details.toolCalls.map((call) => (
        <Call key={call.id} call={call} />
      ))}
    </div>
  );
});

function Call({ call }: { call: ToolCall }) {
  switch (call.__typename) {
    case 'CodeInterpreterToolCall':
      return (
        <Card icon={<Code2 size={16} />} title="Code interpreter" call={call} open>
          <CodeCall call={call} />
        </Card>
      );
    case 'FileSearchToolCall':
      return (
        <Card icon={<Search size={16} />} title={`Searched ${call.queries.map((query) => `“${query}”`).join(', ')}`} call={call}>
          <SearchResults results={call.results} />
        </Card>
      );
    case 'FunctionToolCall':
      return (
        <Card icon={<FunctionSquare size={16} />} title={call.name} mono call={call}>
          <CodeBlock label="Arguments">
            <code>{pretty(call.arguments)}</code>
          </CodeBlock>
          {call.output !== null && (
            <CodeBlock label="Output">
              <code>{pretty(call.output)}</code>
            </CodeBlock>
          )}
        </Card>
      );
  }
}

interface CardProps {
  icon: ReactNode;
  title: string;
  mono?: boolean;
  call: ToolCall;
  open?: boolean;
  children: ReactNode;
}

function Card({ icon, title, mono = false, call, open = false, children }: CardProps) {
  return (
    <Collapsible.Root className={styles.card} defaultOpen={open}>
      <Collapsible.Trigger className={styles.head}>
        <ChevronRight size={15} className={styles.arrow} aria-hidden="true" />
        {icon}
        <span className={mono ? styles.mono : styles.title}>{title}</span>
        <StatusBadge status={call.status} />
      </Collapsible.Trigger>
      <Collapsible.Panel className={styles.panel}>{children}</Collapsible.Panel>
    </Collapsible.Root>
  );
}

type Code = Extract<ToolCall, { __typename: 'CodeInterpreterToolCall' }>;

/** The code as the model writes it, and what it prints and draws as it does. */
function CodeCall({ call: { input, outputs, status } }: { call: Code }) {
  const running = status === 'IN_PROGRESS';
  return (
    <>
      {input !== '' && (
        <MarkdownText text={fenced(input)} growing={running && outputs.length === 0} />
      )}
      {outputs.map((output, at) =>
        output.__typename === 'CodeInterpreterLogs' ? (
          <pre key={at} className={styles.logs} role="log" aria-label="Output of the code" tabIndex={0}>
            {output.logs}
          </pre>
        ) : (
          <FilePicture key={at} fileId={output.fileId} alt="A picture that the code drew" />
        ),
      )}
    </>
  );
}

/** As a block of Markdown, whatever marks the code holds itself. */
function fenced(code: string): string {
  const longest = Math.max(2, ...(code.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}python\n${code.trimEnd()}\n${fence}`;
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    // A model may have written it: it is shown as it is.
    return json;
  }
}

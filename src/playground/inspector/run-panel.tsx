import { Collapsible } from '@base-ui/react/collapsible';
import { ChevronRight, Code2, FunctionSquare, MessageSquare, Search } from 'lucide-react';
import type { ReactNode } from 'react';
import { type ConversationRun, type ConversationStep, RunSettingsDocument } from 'skein/client';
import { useThread } from 'skein/react';
import { useQuery } from 'urql';
import { ToolCalls } from '../conversation/tool-calls.tsx';
import { StatusBadge } from '../parts/status-badge.tsx';
import { useNow } from '../parts/use-now.ts';
import { inspectRun, useInspector } from './inspector-context.ts';
import styles from './run-panel.module.css';
import { durationOf, spanOf } from './span.ts';

/** The runs of a thread, newest first, and one of them as a timeline. */
export function RunPanel({ threadId, runId }: { threadId: string; runId: string }) {
  const { runs } = useThread(threadId);
  const { inspect } = useInspector();
  const run = runs.find(({ id }) => id === runId) ?? runs.at(-1);
  if (!run) return <p className={styles.none}>No run yet.</p>;
  return (
    <>
      <label className={styles.pick}>
        <span className="visually-hidden">Run</span>
        <select value={run.id} onChange={({ target }) => inspect(inspectRun(target.value))}>
          {runs.toReversed().map(({ id, createdAt, status }) => (
            <option key={id} value={id}>
              {clock.format(new Date(createdAt))} · {status.toLowerCase().replace('_', ' ')}
            </option>
          ))}
        </select>
        <StatusBadge status={run.status} />
      </label>
      <Timeline run={run} />
      <Settings runId={run.id} />
    </>
  );
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** What a run did, one step after the other, along the time that it took. */
function Timeline({ run }: { run: ConversationRun }) {
  const over = run.completedAt ?? run.failedAt ?? run.cancelledAt;
  const now = useNow(over === null);
  const { start, end } = spanOf(run, now);
  return (
    <>
      <dl className={styles.facts}>
        <Fact name="Model">{run.model}</Fact>
        <Fact name="Duration">{durationOf(end - start)}</Fact>
        <Fact name="Tokens">
          {run.usage ? `${run.usage.totalTokens} (${run.usage.promptTokens} in, ${run.usage.completionTokens} out)` : '–'}
        </Fact>
        {run.attempt > 1 && <Fact name="Attempt">{run.attempt}</Fact>}
        {run.lastError && <Fact name={run.lastError.code}>{run.lastError.message}</Fact>}
      </dl>
      <ol className={styles.steps} aria-label="Steps">
        {run.steps.map((step) => (
          <Step key={step.id} step={step} start={start} end={end} now={now} />
        ))}
      </ol>
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

interface StepProps {
  step: ConversationStep;
  start: number;
  end: number;
  now: number;
}

function Step({ step, start, end, now }: StepProps) {
  const span = spanOf(step, now);
  const whole = Math.max(1, end - start);
  const calls = step.details.__typename === 'ToolCallsDetails' ? step.details.toolCalls : null;
  return (
    <li>
      <Collapsible.Root>
        <Collapsible.Trigger className={styles.step} disabled={!calls}>
          <ChevronRight size={14} className={calls ? styles.arrow : styles.noArrow} aria-hidden="true" />
          <Sign step={step} />
          <span className={styles.name}>{calls ? calls.map(nameOf).join(', ') : 'Message'}</span>
          <span className={styles.took}>{durationOf(span.end - span.start)}</span>
          <StatusBadge status={step.status} />
          <svg className={styles.bar} viewBox="0 0 1000 6" preserveAspectRatio="none" aria-hidden="true">
            <rect
              x={((span.start - start) / whole) * 1000}
              width={Math.max(6, ((span.end - span.start) / whole) * 1000)}
              height="6"
              rx="3"
            />
          </svg>
          {(step.usage || step.droppedMessages > 0) && (
            <span className={styles.usage}>
              {step.usage && `${step.usage.promptTokens} → ${step.usage.completionTokens} tokens`}
              {step.droppedMessages > 0 && ` · ${step.droppedMessages} older messages left out of the prompt`}
            </span>
          )}
        </Collapsible.Trigger>
        {calls && (
          <Collapsible.Panel className={styles.calls}>
            <ToolCalls step={step} />
          </Collapsible.Panel>
        )}
      </Collapsible.Root>
      {step.lastError && <p className={styles.wrong}>{step.lastError.message}</p>}
    </li>
  );
}

type Call = Extract<ConversationStep['details'], { __typename: 'ToolCallsDetails' }>['toolCalls'][number];

const nameOf = (call: Call): string => {
  if (call.__typename === 'FunctionToolCall') return call.name;
  return call.__typename === 'FileSearchToolCall' ? 'File search' : 'Code interpreter';
};

function Sign({ step: { details } }: { step: ConversationStep }) {
  if (details.__typename === 'MessageCreationDetails') return <MessageSquare size={15} aria-hidden="true" />;
  const kind = details.toolCalls[0]?.__typename;
  const Found = kind === 'FunctionToolCall' ? FunctionSquare : kind === 'FileSearchToolCall' ? Search : Code2;
  return <Found size={15} aria-hidden="true" />;
}

/** What it was started with. */
function Settings({ runId }: { runId: string }) {
  const [{ data }] = useQuery({ query: RunSettingsDocument, variables: { id: runId } });
  const run = data?.run;
  if (!run) return null;
  const tools = run.tools.map((tool) => (tool.__typename === 'FunctionTool' ? tool.name : tool.__typename === 'FileSearchTool' ? 'file search' : 'code interpreter'));
  return (
    <>
      <h2 className={styles.heading}>Started with</h2>
      <dl className={styles.facts}>
        <Fact name="Tools">{tools.join(', ') || 'none'}</Fact>
        {run.temperature !== null && <Fact name="Temperature">{run.temperature}</Fact>}
        {run.maxCompletionTokens !== null && <Fact name="Most completion tokens">{run.maxCompletionTokens}</Fact>}
        {run.instructions && (
          <Fact name="Instructions">
            <span className={styles.instructions}>{run.instructions}</span>
          </Fact>
        )}
        <Fact name="Id">
          <code>{run.id}</code>
        </Fact>
      </dl>
    </>
  );
}

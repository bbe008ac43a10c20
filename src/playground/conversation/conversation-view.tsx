import { type ReactNode, useCallback, useMemo, useRef, useState } from 'react';
import { type ConversationRun, RunSettingsDocument } from 'skein/client';
import { type LiveThread, useCancelRun, useFunctionTools, useStartRun, useThread } from 'skein/react';
import { useQuery } from 'urql';
import { AssistantPicker } from '../assistants/assistant-picker.tsx';
import { useChosenAssistant } from '../assistants/chosen-assistant.ts';
import { Notice } from '../parts/notice.tsx';
import { IngestionProgress } from '../files/ingestion-progress.tsx';
import { Composer } from './composer.tsx';
import { ConversationList } from './conversation-list.tsx';
import styles from './conversation-view.module.css';
import { DropArea } from '../parts/drop-area.tsx';
import { type Entry, entriesOf } from './entries.ts';
import { MessageView } from './message-view.tsx';
import { PendingView } from './pending-view.tsx';
import { RunEnd } from './run-end.tsx';
import type { Schemas } from './function-form.tsx';
import { useStubs } from './stubs.ts';
import { ThreadHeader } from './thread-header.tsx';
import { ToolCalls } from './tool-calls.tsx';
import { messageOf, useAttachments } from './use-attachments.ts';

/** A thread: what was said in it, what goes on in it, and where the next message is written. */
export function ConversationView({ threadId }: { threadId: string }) {
  const thread = useThread(threadId);
  const last = thread.runs.at(-1)?.assistantId ?? null;
  const [assistant, choose] = useChosenAssistant(last);
  const { run: start, outcome } = useStartRun();
  const { run: cancel } = useCancelRun();
  const attachments = useAttachments();
  const field = useRef<HTMLTextAreaElement>(null);
  const stubs = useStubs();
  const answers = useMemo(
    () => Object.fromEntries(Object.entries(stubs).map(([name, output]) => [name, () => output])),
    [stubs],
  );
  const { left } = useFunctionTools(threadId, answers);
  const { activeRun } = thread;

  const send = async (text: string): Promise<boolean> => {
    if (!assistant) return false;
    const message = messageOf(text, attachments.files, assistant.attachmentTools);
    const { value } = await start({ threadId, assistantId: assistant.id, additionalMessages: [message], ifBusy: 'ENQUEUE' });
    return value !== null;
  };
  const again = useCallback(
    (run: ConversationRun) => void start({ threadId, assistantId: run.assistantId }),
    [start, threadId],
  );
  const refused = outcome && !outcome.value ? (outcome.error?.message ?? outcome.refusals[0]?.message ?? null) : null;

  return (
    <DropArea drop={attachments.add}>
      <ThreadHeader threadId={threadId} thread={thread} />
      <Body thread={thread} retry={activeRun ? null : again} byHand={left.length > 0} />
      <div className={styles.foot}>
        <IngestionProgress threadId={threadId} moment={activeRun?.id ?? ''} />
        {refused && <Notice kind="danger">{refused}</Notice>}
        <Composer
          field={field}
          attachments={attachments}
          blocked={blockedBy(thread, assistant !== null)}
          cancel={activeRun ? () => void cancel({ runId: activeRun.id }) : null}
          send={send}
        />
        <AssistantPicker chosen={assistant} choose={choose} />
      </div>
    </DropArea>
  );
}

function blockedBy({ loaded, deleted }: LiveThread, hasAssistant: boolean): string | null {
  if (deleted) return 'This conversation was deleted.';
  if (!loaded) return 'Loading the conversation…';
  return hasAssistant ? null : 'Choose an assistant to answer.';
}

interface BodyProps {
  thread: LiveThread;
  retry: ((run: ConversationRun) => void) | null;
  byHand: boolean;
}

function Body({ thread, retry, byHand }: BodyProps) {
  const { messages, runs, pending, loaded, error, loadOlder } = thread;
  const entries = useMemo(() => entriesOf(messages, runs), [messages, runs]);
  const newest = runs.at(-1)?.id;
  const waiting = runs.find(({ status }) => status === 'REQUIRES_ACTION')?.id ?? null;
  const schemas = useSchemas(waiting);
  const [older, setOlder] = useState<string | null>(null);
  const bringOlder = useCallback(() => {
    loadOlder().then(
      () => setOlder(null),
      (reason: unknown) => setOlder(reason instanceof Error ? reason.message : String(reason)),
    );
    // It is made anew each time, and does the same.
  }, [thread.hasOlder, messages[0]?.id]);

  if (!loaded) {
    return (
      <div className={styles.loading} role="status">
        {thread.connection === 'ended' && error ? <Notice kind="danger">{error.message}</Notice> : 'Loading…'}
      </div>
    );
  }
  const items: { key: string; element: ReactNode }[] = entries.map((entry) => ({
    key: entry.key,
    element: <EntryView entry={entry} schemas={schemas} byHand={byHand} retry={entry.kind === 'run' && entry.run.id === newest ? retry : null} />,
  }));
  for (const item of pending) items.push({ key: item.id, element: <PendingView message={item.message} waits={item.runId !== null} /> });
  if (older) items.unshift({ key: 'older', element: <Notice kind="danger">Older messages could not be read: {older}</Notice> });
  return (
    <ConversationList
      items={items}
      growth={messages}
      hasOlder={thread.hasOlder}
      loadingOlder={thread.loadingOlder}
      loadOlder={bringOlder}
    />
  );
}

interface EntryViewProps {
  entry: Entry;
  schemas: Schemas | null;
  byHand: boolean;
  retry: ((run: ConversationRun) => void) | null;
}

function EntryView({ entry, schemas, byHand, retry }: EntryViewProps) {
  switch (entry.kind) {
    case 'message':
      return <MessageView message={entry.message} />;
    case 'calls':
      return <ToolCalls step={entry.step} />;
    case 'run':
      return <RunEnd run={entry.run} schemas={schemas} answerByHand={byHand} retry={retry && (() => retry(entry.run))} />;
  }
}

/** The parameters' JSON Schemas of the functions that a run may call, by name; null until they are here. */
function useSchemas(runId: string | null): Schemas | null {
  const [{ data, error }] = useQuery({ query: RunSettingsDocument, variables: { id: runId ?? '' }, pause: runId === null });
  const known = data !== undefined || error !== undefined;
  return useMemo(() => {
    if (!known) return null;
    const functions = (data?.run?.tools ?? []).filter((tool) => tool.__typename === 'FunctionTool');
    return Object.fromEntries(functions.map(({ name, parameters }) => [name, parameters]));
  }, [known, data]);
}

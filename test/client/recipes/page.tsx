// A whole page on the hooks: a list of conversations, one of them, and functions that the page itself answers.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { connect } from 'skein/client';
import {
  SkeinProvider,
  useCancelRun,
  useFunctionTools,
  useRun,
  useStartRun,
  useThread,
  useThreads,
} from 'skein/react';

const connection = connect({ url: 'http://127.0.0.1:4000/graphql', token: () => askMyServerForAToken() });

async function askMyServerForAToken(): Promise<string> {
  const response = await fetch('/my-server/skein-token');
  return response.text();
}

function Page() {
  const [threadId, open] = useState<string | null>(null);
  const { threads, hasMore, loadMore } = useThreads();
  return (
    <>
      <ul>
        {threads.map(({ id, title, activeRun }) => (
          <li key={id}>
            <button onClick={() => open(id)}>{title ?? id}</button> {activeRun?.status}
          </li>
        ))}
      </ul>
      {hasMore && <button onClick={() => void loadMore()}>More</button>}
      {threadId && <Conversation key={threadId} threadId={threadId} assistantId="asst_…" />}
    </>
  );
}

function Conversation({ threadId, assistantId }: { threadId: string; assistantId: string }) {
  const { messages, pending, activeRun, connection, hasOlder, loadOlder } = useThread(threadId);
  const { run: start, outcome } = useStartRun();
  const { run: cancel } = useCancelRun();
  const { error } = useFunctionTools(threadId, {
    get_time: () => new Date().toISOString(),
    get_weather: async ({ city }: { city: string }, _call, signal) => {
      const response = await fetch(`/my-server/weather/${encodeURIComponent(city)}`, { signal });
      return response.json();
    },
  });
  const say = (text: string) =>
    start({ threadId, assistantId, additionalMessages: [{ content: [{ text }] }], ifBusy: 'ENQUEUE' });
  return (
    <section aria-busy={connection !== 'live'}>
      {hasOlder && <button onClick={() => void loadOlder()}>Older</button>}
      {messages.map(({ id, role, text }) => (
        <p key={id} className={role}>
          {text}
        </p>
      ))}
      {pending.map(({ id, message }) => (
        <p key={id}>{message.content[0]?.text} …</p>
      ))}
      {activeRun && <button onClick={() => void cancel({ runId: activeRun.id })}>Stop</button>}
      {activeRun && <Progress runId={activeRun.id} />}
      <button onClick={() => void say('Hello!')}>Say hello</button>
      {outcome?.refusals.map(({ code, message }) => <p key={code}>{message}</p>)}
      {error}
    </section>
  );
}

function Progress({ runId }: { runId: string }) {
  const { status, toolCalls, steps } = useRun(runId);
  const functions = toolCalls.filter((call) => call.__typename === 'FunctionToolCall').map(({ name }) => name);
  return (
    <p>
      {status}, {steps.length} steps, {functions.join(', ')}
    </p>
  );
}

createRoot(document.getElementById('root')!).render(
  <SkeinProvider connection={connection}>
    <Page />
  </SkeinProvider>,
);

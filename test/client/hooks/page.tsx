// A page of somebody's on the hooks, for hooks.test.ts: one conversation with a client token, and functions of its own.
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { connect } from 'skein/client';
import { SkeinProvider, useCancelRun, useFunctionTools, useRun, useStartRun, useThread } from 'skein/react';

/** What the page has drawn, and which functions were called in it: for the test to read. */
export interface Seen {
  /** Of each drawing: the texts of the callers' messages, then those of what is pending. */
  drawn: { stored: string[]; pending: string[] }[];
  /** Of each drawing of a run: its text so far. */
  texts: string[];
  called: string[];
}

const seen: Seen = { drawn: [], texts: [], called: [] };
(globalThis as unknown as { seen: Seen }).seen = seen;

const given = new URLSearchParams(location.search);
const threadId = given.get('thread')!;
const assistantId = given.get('assistant')!;
const connection = connect({
  url: given.get('skein')!,
  token: () => fetch(`/token?thread=${threadId}`).then((response) => response.text()),
});

const FUNCTIONS = {
  get_weather: async ({ city }: { city: string }) => {
    seen.called.push(`get_weather ${city}`);
    return { city, degrees: -4 };
  },
  get_time: () => {
    seen.called.push('get_time');
    return 'ten past four';
  },
  break_down: () => {
    seen.called.push('break_down');
    throw new Error('the lift is out of order');
  },
};

function Conversation() {
  const { messages, pending, activeRun, runs, loaded, connection: state } = useThread(threadId);
  const { run: start, busy, outcome } = useStartRun();
  const { run: cancel, outcome: cancelled } = useCancelRun();
  const { left, error } = useFunctionTools(threadId, FUNCTIONS);
  const [text, setText] = useState('');
  const asked = pending.map(({ message }) => message.content[0]!.text!);
  useEffect(() => {
    seen.drawn.push({ stored: messages.filter(({ role }) => role === 'USER').map((message) => message.text), pending: asked });
  });
  const say = (assistant: string) => {
    void start({ threadId, assistantId: assistant, additionalMessages: [{ content: [{ text }] }] });
    setText('');
  };
  return (
    <>
      <h1>{loaded ? state : 'nothing yet'}</h1>
      <ol aria-label="Messages">
        {messages.map(({ id, text: words }) => (
          <li key={id}>{words}</li>
        ))}
      </ol>
      <ol aria-label="Pending">
        {asked.map((words, i) => (
          <li key={i}>{words}</li>
        ))}
      </ol>
      <input aria-label="Message" value={text} onChange={({ target }) => setText(target.value)} />
      <button onClick={() => say(assistantId)}>Send</button>
      <button onClick={() => say('asst_00000000000000000000000000')}>Send to nobody</button>
      {activeRun && <button onClick={() => void cancel({ runId: activeRun.id })}>Cancel</button>}
      <p aria-label="Busy">{String(busy)}</p>
      <p aria-label="Refused">{[...(outcome?.refusals ?? []), ...(cancelled?.refusals ?? [])].map(({ code, path }) => `${code} ${path}`).join()}</p>
      <p aria-label="Left">{left.map(({ name }) => name).join()}</p>
      <p aria-label="Not submitted">{error}</p>
      {runs.length > 0 && <Run key={runs.at(-1)!.id} runId={runs.at(-1)!.id} />}
    </>
  );
}

function Run({ runId }: { runId: string }) {
  const { status, text, steps, toolCalls, connection: state } = useRun(runId);
  useEffect(() => {
    seen.texts.push(text);
  }, [text]);
  const calls = toolCalls.map((call) => (call.__typename === 'FunctionToolCall' ? `${call.name} ${call.arguments} → ${call.output}` : ''));
  return (
    <section aria-label="Run">
      <p aria-label="Status">{status}</p>
      <p aria-label="Connection">{state}</p>
      <p aria-label="Text">{text}</p>
      <p aria-label="Steps">{steps.map(({ type }) => type).join()}</p>
      <p aria-label="Calls">{calls.join('\n')}</p>
    </section>
  );
}

createRoot(document.getElementById('root')!).render(
  // Everything is put up, taken down and put up again, which nothing may mind.
  <StrictMode>
    <SkeinProvider connection={connection}>
      <Conversation />
    </SkeinProvider>
  </StrictMode>,
);

import { useRef, useState } from 'react';
import { AssistantsDocument } from 'skein/client';
import { useStartRun } from 'skein/react';
import { useQuery } from 'urql';
import { AssistantPicker } from '../assistants/assistant-picker.tsx';
import { MOST_ASSISTANTS, useChosenAssistant } from '../assistants/chosen-assistant.ts';
import { FirstAssistant } from '../assistants/first-assistant.tsx';
import { Notice } from '../parts/notice.tsx';
import { PageHeader } from '../parts/page-header.tsx';
import { go } from '../route.ts';
import mark from '../skein.svg';
import { Composer } from './composer.tsx';
import { DropArea } from '../parts/drop-area.tsx';
import styles from './new-conversation.module.css';
import { titleFrom } from './title.ts';
import { messageOf, useAttachments } from './use-attachments.ts';

const EXAMPLES = [
  'write 200 words',
  'count to 30',
  '```python\nimport statistics\nstatistics.mean([3, 5, 9])\n```',
];

/** Where a conversation begins: with an assistant, which is made here when there is none, and a first message. */
export function NewConversation() {
  const [{ data, error }] = useQuery({ query: AssistantsDocument, variables: { first: MOST_ASSISTANTS } });
  const [assistant, choose] = useChosenAssistant(null);
  const { run: start } = useStartRun();
  const attachments = useAttachments();
  const field = useRef<HTMLTextAreaElement>(null);
  const [refused, setRefused] = useState<string | null>(null);

  const send = async (text: string): Promise<boolean> => {
    if (!assistant) return false;
    const message = messageOf(text, attachments.files, assistant.attachmentTools);
    const { value, refusals, error: failure } = await start({
      assistantId: assistant.id,
      thread: { title: titleFrom(text) ?? attachments.files[0]?.name ?? null, messages: [message] },
    });
    setRefused(value ? null : (failure?.message ?? refusals.map((one) => one.message).join(' ')));
    if (value) go({ view: 'thread', threadId: value.thread.id });
    return value !== null;
  };

  return (
    <DropArea drop={attachments.add}>
      <PageHeader title="New conversation" />
      <div className={styles.middle}>
        <div className={styles.hello}>
          <img src={mark} alt="" width="52" height="52" />
          <h2>{assistant ? `Talk to ${assistant.name}` : 'Begin with an assistant'}</h2>
          {error && <Notice kind="danger">{error.message}</Notice>}
          {data && !assistant && <FirstAssistant />}
          {assistant?.model === 'offline' && (
            <>
              <p>
                The offline model is no language model: it streams, counts, writes words, calls functions that you name, runs Python that you put
                into a fenced block, and quotes from files that you attach. Try:
              </p>
              <ul className={styles.examples}>
                {EXAMPLES.map((text) => (
                  <li key={text}>
                    <button type="button" onClick={() => void send(text)}>
                      {text.replaceAll('```python\n', '').replaceAll('\n```', '')}
                    </button>
                  </li>
                ))}
              </ul>
            </>
          )}
        </div>
      </div>
      <div className={styles.foot}>
        {refused && <Notice kind="danger">{refused}</Notice>}
        {assistant && <Composer field={field} attachments={attachments} blocked={null} cancel={null} send={send} />}
        <AssistantPicker chosen={assistant} choose={choose} />
      </div>
    </DropArea>
  );
}

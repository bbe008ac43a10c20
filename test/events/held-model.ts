import { answerOk, delta, type EventStream, finish, openModelServer, streamTo } from '../llm/model-server.ts';

/** One answer of the model, in the hands of a test. */
export interface Answer {
  say(...texts: string[]): void;
  refuse(...texts: string[]): void;
  /** Parts of a function call; the name comes with the first. */
  call(index: number, name: string | null, ...parts: string[]): void;
  end(reason?: 'stop' | 'length' | 'tool_calls' | 'content_filter'): void;
  /** Settles when the server's client has hung up, or has read it to its end. */
  closed: Promise<void>;
}

export interface HeldModel {
  url: string;
  /** The next request for an answer, whose stream has begun. */
  asked(): Promise<Answer>;
  close(): Promise<void>;
}

const USED = { choices: [], usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 } };

/** A model server that says nothing but what a test makes it say, and when. */
export async function openHeldModel(): Promise<HeldModel> {
  const answers: Answer[] = [];
  const waiting: ((answer: Answer) => void)[] = [];
  const server = await openModelServer((exchange) => {
    const { request, response } = exchange;
    if (request.method === 'GET') return answerOk(exchange); // its list of models
    const answer = answerOn(streamTo(response), new Promise((resolve) => response.on('close', resolve)));
    const next = waiting.shift();
    if (next) next(answer);
    else answers.push(answer);
  });
  return {
    url: server.url,
    asked: () => {
      const answer = answers.shift();
      return answer ? Promise.resolve(answer) : new Promise((resolve) => waiting.push(resolve));
    },
    close: () => server.close(),
  };
}

const answerOn = (stream: EventStream, closed: Promise<void>): Answer => ({
  closed,
  say: (...texts) => stream.send(...texts.map((content) => delta({ content }))),
  refuse: (...texts) => stream.send(...texts.map((refusal) => delta({ refusal }))),
  call: (index, name, ...parts) =>
    stream.send(
      ...parts.map((part, i) => {
        const first = name !== null && i === 0;
        return delta({
          tool_calls: [
            {
              index,
              ...(first ? { id: `call_${index}`, type: 'function' } : {}),
              function: { ...(first ? { name } : {}), arguments: part },
            },
          ],
        });
      }),
    ),
  end: (reason = 'stop') => {
    stream.send(finish(reason), USED);
    stream.end();
  },
});

import type { Findings } from './findings.ts';
import { callsOf, type Plan, readPlan, takesIn, wordsOf } from './plan.ts';
import type { Execution } from './world.ts';

/** A message of a model call, as far as it is looked at. */
export interface PromptMessage {
  role: string;
  content?: string | { text?: string }[] | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

export const textOf = ({ content }: PromptMessage): string =>
  typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join('');

/** Where the message stands that the model is to answer. */
export const lastPlan = (messages: readonly PromptMessage[]): number =>
  messages.findLastIndex((message) => message.role === 'user' && readPlan(textOf(message)) !== null);

/** What a model is told of code whose process was lost. */
const INTERRUPTED = /^The process that ran this call was lost/;

export interface PromptCheckOptions {
  findings: Findings;
  executions: readonly Execution[];
  outputs: ReadonlyMap<string, string>;
}

/**
 * Holds a prompt against what really happened: each turn stands there once, whole, with the calls of the take that is
 * in it, and every call with what came out of it.
 */
export function createPromptCheck({ findings, executions, outputs }: PromptCheckOptions) {
  return (plan: Plan, messages: readonly PromptMessage[], at: number): void => {
    const where = `the prompt of run ${plan.tag}`;
    const seen = new Map<string, number>();
    for (const { tag, turn, take } of messages
      .filter(({ role }) => role === 'assistant')
      .flatMap((one) => takesIn(textOf(one)))) {
      const name = `${tag}.${turn}`;
      findings.expect(!seen.has(name), `${where} has turn ${name} in take ${seen.get(name)} and in take ${take}`);
      seen.set(name, take);
    }
    let turn = 0;
    for (const [i, message] of messages.entries()) {
      if (i <= at || message.role !== 'assistant') continue;
      const calls = message.tool_calls ?? [];
      const planned = plan.turns[turn];
      const take = Number(/#(\d+)\//.exec(calls[0]?.function.arguments ?? '')?.[1]);
      const expected = planned && {
        text: wordsOf({ tag: plan.tag, turn, take }, planned).join(''),
        calls: callsOf({ tag: plan.tag, turn, take }, planned),
      };
      findings.expect(
        textOf(message) === expected?.text,
        `${where} says "${textOf(message)}" in turn ${turn}, take ${take}`,
      );
      findings.expect(
        JSON.stringify(calls.map((call) => [call.function.name, call.function.arguments])) ===
          JSON.stringify(expected?.calls.map((call) => [call.name, call.arguments])),
        `${where} has other calls in turn ${turn} than the model had made`,
      );
      for (const [j, { key, name }] of (expected?.calls ?? []).entries()) {
        const told = messages.filter((one, k) => k > i && k <= i + calls.length && one.tool_call_id === calls[j]?.id);
        findings.expect(told.length === 1, `${where} has ${told.length} answers to call ${key}`);
        const text = told[0] ? textOf(told[0]) : '';
        const right =
          name === 'ask_caller'
            ? outputs.get(key) === text
            : executions.some((one) => one.key === key && one.answered !== null && text.trimEnd() === one.token) ||
              (name === 'code_interpreter' && INTERRUPTED.test(text));
        findings.expect(right, `${where} tells call ${key} "${text}", which nobody has answered`);
      }
      turn += 1;
    }
  };
}

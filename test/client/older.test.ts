import { describe, expect, test } from 'vitest';
import {
  type ConversationEvent,
  type ConversationStep,
  conversationOf,
  emptyConversation,
  fold,
  withOlder,
} from '../../src/client/fold.ts';
import type { ConversationQuery } from '../../src/generated/graphql/graphql.ts';
import { AT, created, message, next, type Run, run, status, step } from './pieces.ts';

const after = (...events: ConversationEvent[]) => events.reduce(fold, emptyConversation());

describe('a page of older messages', () => {
  type Page = NonNullable<ConversationQuery['thread']>;
  const details = (fields: Run, ...steps: ConversationStep[]) => ({ ...fields, steps: { nodes: steps } });
  const page = (fields: Partial<Page> = {}): ConversationQuery => ({
    thread: {
      id: 'thread_1',
      title: null,
      metadata: {},
      createdAt: AT,
      cursor: 't.99',
      usage: { promptTokens: 0, completionTokens: 0, totalTokens: 0, cachedTokens: 0, reasoningTokens: 0 },
      activeRun: null,
      messages: { pageInfo: { hasPreviousPage: false, startCursor: 'm.1' }, nodes: [] },
      ...fields,
    },
  });
  const messages = (hasPreviousPage: boolean, ...nodes: Page['messages']['nodes']): Page['messages'] => ({
    pageInfo: { hasPreviousPage, startCursor: nodes[0] ? `m.${nodes[0].id}` : null },
    nodes,
  });
  const asked = (id: string, text: string) => ({ ...message(id, text, { runId: null, role: 'USER' }), run: null });
  const ids = (items: readonly { id: string }[]) => items.map(({ id }) => id);

  test('is asked for at the place where the first one began, and joins it there', () => {
    const newest = conversationOf(page({ messages: messages(true, asked('msg_3', 'c'), asked('msg_4', 'd')) }))!;
    expect(newest.older).toBe('m.msg_3');
    const both = withOlder(newest, page({ messages: messages(true, asked('msg_1', 'a'), asked('msg_2', 'b')) }));
    expect(ids(both.messages)).toEqual(['msg_1', 'msg_2', 'msg_3', 'msg_4']);
    expect(both.older).toBe('m.msg_1');
    expect(both.cursor).toBe(newest.cursor);
    const all = withOlder(both, page({ messages: messages(false, asked('msg_0', '0')) }));
    expect(ids(all.messages)).toEqual(['msg_0', 'msg_1', 'msg_2', 'msg_3', 'msg_4']);
    expect(all.older).toBeNull();
  });

  test('brings the runs of its messages, with their steps, before the others', () => {
    const known = after(status(run('run_2')), created(message('msg_2', '', { runId: 'run_2' })));
    const said = { ...message('msg_1', 'Hi'), run: details(run('run_1', { status: 'COMPLETED' }), step('step_1')) };
    const state = withOlder(known, page({ messages: messages(false, said) }));
    expect(state.runs).toEqual([
      { ...run('run_1', { status: 'COMPLETED' }), steps: [step('step_1')] },
      { ...run('run_2'), steps: [] },
    ]);
    expect(state.messages[0]).toEqual(message('msg_1', 'Hi'));
    expect(state.messages[1]).toBe(known.messages[0]);
  });

  test('takes back nothing that is known, and brings back nothing that is gone', () => {
    const deleted: ConversationEvent = { __typename: 'MessageDeleted', ...next(), messageId: 'msg_1' };
    const known = after(status(run('run_2', { status: 'COMPLETED' })), created(message('msg_2', 'Hello')), deleted);
    const behind = { ...message('msg_2', 'Hel'), run: details(run('run_2')) };
    const state = withOlder(known, page({ messages: messages(false, asked('msg_1', 'gone'), behind) }));
    expect(state.messages).toEqual(known.messages);
    expect(state.runs).toEqual(known.runs);
  });

  test('does not tell of a run that has begun meanwhile: its events do, behind all others', () => {
    const known = after(status(run('run_2', { status: 'COMPLETED' })));
    const active = details(run('run_3'), step('step_9', { runId: 'run_3' }));
    const state = withOlder(known, page({ activeRun: active, messages: messages(false, asked('msg_1', 'a')) }));
    expect(ids(state.runs)).toEqual(['run_2']);
    const later = [status(run('run_3', { status: 'QUEUED' })), status(run('run_3'))].reduce(fold, state);
    expect(ids(later.runs)).toEqual(['run_2', 'run_3']);
  });

  test('of a thread that is not there any more is the last', () => {
    const known = conversationOf(page({ messages: messages(true, asked('msg_2', 'b')) }))!;
    expect(withOlder(known, { thread: null })).toEqual({ ...known, older: null });
  });
});

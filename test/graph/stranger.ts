import { type GraphQLSchema, type GraphQLField, getNamedType, type GraphQLObjectType } from 'graphql';
import { expect } from 'vitest';
import { waitFor } from '../server/wait-for.ts';
import type { RawAnswer, TestSkein } from '../skein.ts';
import { everything } from './schema-walk.ts';

/** Somebody who asks about what is not theirs, and what must never be in an answer to them. */
export interface Stranger {
  /** Asks for a root field with everything below it, `depth` objects deep; fails when the answer holds a secret. */
  ask(kind: Kind, field: string, args: object, depth?: number): Promise<RawAnswer>;
  /** The first answer of a subscription, by a socket and by SSE. `stir` makes something move once it has begun. */
  follow(field: string, args: object, stir?: () => Promise<void>): Promise<RawAnswer[]>;
  /** Fails when an answer holds a secret. What was sent may be repeated where the answer says what is wrong with it. */
  check(answer: RawAnswer, sent: object): void;
  /** What has been asked for so far, as `Type.field`. */
  readonly asked: ReadonlySet<string>;
}

export type Kind = 'query' | 'mutation' | 'subscription';

const ID = /\b(?:proj|key|asst|thread|msg|run|step|call|file|upload|vs|vsf|vsfb)_[0-9a-hjkmnp-tv-z]{26}\b/g;

/** Every id in a text. */
export const idsIn = (text: string): Set<string> => new Set(text.match(ID));

export interface StrangerOptions {
  skein: TestSkein;
  schema: GraphQLSchema;
  /** A key, or a client token. */
  key: string;
  /** Ids and words that must not reach them. */
  secrets: readonly string[];
  /** Fields that they ask for, as `Type.field`. Default: all. */
  asks?(place: string): boolean;
}

export function createStranger({ skein, schema, key, secrets, asks }: StrangerOptions): Stranger {
  // What stands behind an id's prefix is a secret by itself: cursors leave the prefix out.
  const hidden = secrets.map((secret) => secret.replace(/^[a-z]+_(?=[0-9a-z]{26}$)/, ''));
  const asked = new Set<string>();

  const document = (kind: Kind, name: string, args: object, depth = 2): string => {
    const root = rootOf(schema, kind);
    const field = root.getFields()[name]!;
    asked.add(`${root.name}.${name}`);
    const given = field.args.filter((arg) => arg.name in args);
    const heads = given.map((arg) => `$${arg.name}: ${arg.type}`);
    const passed = given.map((arg) => `${arg.name}: $${arg.name}`);
    const below = everything(schema, getNamedType(field.type), depth, { asked, asks });
    return `${kind}${list(heads)} { ${name}${list(passed)} ${below} }`;
  };
  const check = (answer: RawAnswer, sent: object): void => {
    const echo = JSON.stringify(sent);
    for (const [text, blame] of texts(answer)) {
      for (const secret of hidden) {
        if (!text.includes(secret)) continue;
        expect(
          blame && echo.includes(secret) ? null : text,
          `${JSON.stringify(sent)} was answered with ${JSON.stringify(answer).slice(0, 2000)}`,
        ).toBeNull();
      }
    }
  };
  return {
    asked,
    check,
    async follow(name, args, stir) {
      const query = document('subscription', name, args, 1);
      const answers: RawAnswer[] = [];
      for (const way of [bySocket, bySse]) {
        await waitFor('nobody to follow anything', () => skein.skein.counts().followers === 0);
        const first = way(skein, key, query, args);
        if (stir) await waitFor('the subscription to begin', () => skein.skein.counts().followers > 0);
        await stir?.();
        answers.push(await first);
      }
      for (const answer of answers) check(answer, args);
      return answers;
    },
    async ask(kind, name, args, depth) {
      const answer = await skein.raw(document(kind, name, args, depth), args, key);
      check(answer, args);
      return answer;
    },
  };
}

async function bySocket(skein: TestSkein, key: string, query: string, variables: object): Promise<RawAnswer> {
  for await (const answer of skein.socket(key).iterate({ query, variables: { ...variables } }))
    return answer as RawAnswer;
  throw new Error('the subscription has ended without an answer');
}

async function bySse(skein: TestSkein, key: string, query: string, variables: object): Promise<RawAnswer> {
  const left = new AbortController();
  const response = await fetch(`${skein.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
    signal: left.signal,
  });
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (/^data: ?\{.*\n/m.test(text)) break;
  }
  left.abort();
  return JSON.parse(/^data: ?(\{.*)$/m.exec(text)?.[1] ?? text) as RawAnswer;
}

export function rootOf(schema: GraphQLSchema, kind: Kind): GraphQLObjectType {
  const root = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  }[kind];
  if (!root) throw new Error(`the graph has no ${kind}`);
  return root;
}

export const fieldOf = (schema: GraphQLSchema, kind: Kind, name: string): GraphQLField<unknown, unknown> =>
  rootOf(schema, kind).getFields()[name]!;

const list = (items: string[]): string => (items.length > 0 ? `(${items.join(', ')})` : '');

/** Every text of an answer, as it is and as the opaque text it may be, and whether it stands where the answer blames the input. */
function* texts(value: unknown, blame = false): Generator<[text: string, blame: boolean]> {
  if (typeof value === 'string') {
    yield [value, blame];
    yield [Buffer.from(value, 'base64url').toString(), blame];
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield [key, blame];
      yield* texts(item, blame || /^(errors|.*userErrors)$/.test(key));
    }
  }
}

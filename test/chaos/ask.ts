import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { type Fleet, KEY, type Node } from './fleet.ts';

/** The process went away before it had answered: what was asked may have been done, or not. */
export class LostAnswer extends Error {
  override name = 'LostAnswer';
}

/** Asks one process. */
export async function askNode<Result, Variables>(
  node: Node,
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
): Promise<Result> {
  let answer: { data?: Result | null; errors?: { message: string }[] };
  try {
    const response = await fetch(`${node.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
      body: JSON.stringify({ query: print(document), variables }),
    });
    answer = JSON.parse(await response.text()) as typeof answer;
  } catch (error) {
    throw new LostAnswer(`${node.name} is gone`, { cause: error });
  }
  if (answer.errors) throw new Error(`${node.name}: ${answer.errors.map(({ message }) => message).join('; ')}`);
  return answer.data!;
}

/** Asks whoever is up, again and again until there is an answer. `asked` is called when a question is on its way. */
export async function ask<Result, Variables>(
  fleet: Fleet,
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
  asked: (node: Node) => void = () => {},
): Promise<Result> {
  for (;;) {
    const node = await fleet.api();
    const answer = askNode(node, document, variables);
    asked(node);
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof LostAnswer)) throw error;
      // The place is empty as soon as its process is known to be dead: `api` waits for the next.
    }
  }
}

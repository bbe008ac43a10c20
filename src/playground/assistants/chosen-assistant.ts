import { useState } from 'react';
import { AssistantsDocument, type AssistantPartsFragment } from 'skein/client';
import { useQuery } from 'urql';

export interface ChosenAssistant {
  readonly id: string;
  readonly name: string;
  readonly model: string;
  /** The hosted tools that work on files which are attached to messages. */
  readonly attachmentTools: readonly ('CODE_INTERPRETER' | 'FILE_SEARCH')[];
}

const NAME = 'skein-assistant';
/** Assistants that one page shows. */
export const MOST_ASSISTANTS = 100;

export const nameOf = ({ name, id }: Pick<AssistantPartsFragment, 'name' | 'id'>): string => name || `Assistant ${id.slice(-6)}`;

/** The assistant that answers in conversations which begin from now on. */
export function keepChosen(id: string): void {
  localStorage.setItem(NAME, id);
}

/** The assistant that answers next: the one that was chosen here, else `preferred`, else the one that was chosen last, else the newest. */
export function useChosenAssistant(preferred: string | null): [ChosenAssistant | null, (id: string) => void] {
  const [{ data }] = useQuery({ query: AssistantsDocument, variables: { first: MOST_ASSISTANTS } });
  const [chosen, setChosen] = useState<string | null>(null);
  const nodes = data?.assistants.nodes ?? [];
  const wanted = [chosen, preferred, localStorage.getItem(NAME)];
  const found = wanted.map((id) => nodes.find((node) => node.id === id)).find((node) => node !== undefined) ?? nodes[0];
  const choose = (id: string) => {
    keepChosen(id);
    setChosen(id);
  };
  return [found ? chosenOf(found) : null, choose];
}

function chosenOf(assistant: AssistantPartsFragment): ChosenAssistant {
  const has = (typename: string) => assistant.tools.some((tool) => tool.__typename === typename);
  return {
    id: assistant.id,
    name: nameOf(assistant),
    model: assistant.model,
    attachmentTools: [
      ...(has('FileSearchTool') ? (['FILE_SEARCH'] as const) : []),
      ...(has('CodeInterpreterTool') ? (['CODE_INTERPRETER'] as const) : []),
    ],
  };
}

import { AssistantsDocument } from 'skein/client';
import { useQuery } from 'urql';
import { hrefOf } from '../route.ts';
import { type ChosenAssistant, MOST_ASSISTANTS, nameOf } from './chosen-assistant.ts';
import styles from './assistant-picker.module.css';

interface AssistantPickerProps {
  chosen: ChosenAssistant | null;
  choose(id: string): void;
}

/** Who answers: one of the project's assistants. */
export function AssistantPicker({ chosen, choose }: AssistantPickerProps) {
  const [{ data }] = useQuery({ query: AssistantsDocument, variables: { first: MOST_ASSISTANTS } });
  const nodes = data?.assistants.nodes ?? [];
  if (!chosen) return null;
  return (
    <div className={styles.picker}>
      <label>
        <span className="visually-hidden">Assistant that answers</span>
        <select value={chosen.id} onChange={({ target }) => choose(target.value)}>
          {nodes.map((node) => (
            <option key={node.id} value={node.id}>
              {nameOf(node)} · {node.model}
            </option>
          ))}
        </select>
      </label>
      <a href={hrefOf({ view: 'assistants', assistantId: chosen.id })}>Edit</a>
    </div>
  );
}

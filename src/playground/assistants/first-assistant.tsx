import { type FormEvent, useState } from 'react';
import { CreateAssistantDocument, ViewerDocument } from 'skein/client';
import { useMutation, useQuery } from 'urql';
import { Button } from '../parts/button.tsx';
import { Notice } from '../parts/notice.tsx';
import styles from './first-assistant.module.css';

/** The shortest way to somebody who answers: a name, a model, and all that this server can do for it. */
export function FirstAssistant() {
  const [{ data }] = useQuery({ query: ViewerDocument });
  const [{ fetching, data: made, error }, create] = useMutation(CreateAssistantDocument);
  const [name, setName] = useState('First assistant');
  const [model, setModel] = useState<string | null>(null);
  const models = data?.models ?? [];
  const chosen = model ?? models[0]?.id ?? '';
  const runsCode = data !== undefined && data.viewer.sandbox.driver !== 'none';
  const refusal = error?.message ?? made?.createAssistant.userErrors.map(({ message }) => message).join(' ');

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const tools = [{ fileSearch: {} }, ...(runsCode ? [{ codeInterpreter: {} }] : [])];
    void create({ input: { name, model: chosen, tools } });
  };

  return (
    <form className={styles.form} onSubmit={submit} aria-label="Create your first assistant">
      <label>
        Name
        <input value={name} required onChange={({ target }) => setName(target.value)} />
      </label>
      <label>
        Model
        <select value={chosen} onChange={({ target }) => setModel(target.value)}>
          {models.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <p>It can search files that you attach{runsCode ? ', and run Python in a sandbox' : ''}. All of it can be changed later.</p>
      {refusal && <Notice kind="danger">{refusal}</Notice>}
      <Button type="submit" kind="main" disabled={fetching || chosen === ''}>
        Create the assistant
      </Button>
    </form>
  );
}

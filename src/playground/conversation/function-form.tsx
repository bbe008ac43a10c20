import { useId, useState } from 'react';
import type { FunctionCall } from 'skein/react';
import { useSubmitToolOutputs } from 'skein/react';
import { Button } from '../parts/button.tsx';
import { type Parameter, parametersOf } from './parameters.ts';
import styles from './function-form.module.css';
import { keepStub } from './stubs.ts';

/** JSON Schemas of functions' parameters, by their names. */
export type Schemas = Readonly<Record<string, unknown>>;

interface FunctionFormProps {
  runId: string;
  calls: readonly FunctionCall[];
  schemas: Schemas;
}

/** Answers the function calls of a run by hand: what the model asks, as its schema describes it, and a field for the output. */
export function FunctionForm({ runId, calls, schemas }: FunctionFormProps) {
  const [outputs, setOutputs] = useState<Record<string, string>>({});
  const [kept, setKept] = useState<readonly string[]>([]);
  const { run: submit, busy, outcome } = useSubmitToolOutputs();
  const outputOf = ({ id }: FunctionCall) => outputs[id] ?? '';

  const send = async () => {
    const toolOutputs = calls.map((call) => ({ toolCallId: call.id, output: outputOf(call) }));
    const { value } = await submit({ runId, toolOutputs });
    if (value) for (const call of calls) if (kept.includes(call.id)) keepStub(call.name, outputOf(call));
  };

  return (
    <form
      className={styles.form}
      aria-label="Answer function calls"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {calls.map((call) => (
        <Call
          key={call.id}
          call={call}
          parameters={parametersOf(schemas[call.name], call.arguments)}
          output={outputOf(call)}
          keep={kept.includes(call.id)}
          change={(output) => setOutputs((now) => ({ ...now, [call.id]: output }))}
          changeKeep={(keep) => setKept((now) => (keep ? [...now, call.id] : now.filter((id) => id !== call.id)))}
        />
      ))}
      {outcome && !outcome.value && (
        <p role="alert" className={styles.wrong}>
          {outcome.error?.message ?? outcome.refusals.map(({ message }) => message).join(' ')}
        </p>
      )}
      <Button type="submit" kind="main" disabled={busy}>
        {calls.length === 1 ? 'Submit the output' : `Submit ${calls.length} outputs`}
      </Button>
    </form>
  );
}

interface CallProps {
  call: FunctionCall;
  parameters: readonly Parameter[] | null;
  output: string;
  keep: boolean;
  change(output: string): void;
  changeKeep(keep: boolean): void;
}

function Call({ call, parameters, output, keep, change, changeKeep }: CallProps) {
  const id = useId();
  return (
    <fieldset className={styles.call}>
      <legend>
        The model calls <code>{call.name}</code>
      </legend>
      {parameters ? (
        <dl className={styles.parameters}>
          {parameters.map(({ name, title, description, value, problem }) => (
            <div key={name}>
              <dt>
                <code>{name}</code>
                {title && <span> {title}</span>}
              </dt>
              <dd>
                <code>{value ?? '—'}</code>
                {problem && <span className={styles.wrong}> {problem}</span>}
                {description && <small>{description}</small>}
              </dd>
            </div>
          ))}
        </dl>
      ) : (
        <pre className={styles.raw}>{call.arguments}</pre>
      )}
      <label htmlFor={id}>Output of {call.name}</label>
      <textarea id={id} rows={3} value={output} placeholder='Text or JSON, for example {"temperature": -4}' onChange={(event) => change(event.target.value)} />
      <label className={styles.check}>
        <input type="checkbox" checked={keep} onChange={(event) => changeKeep(event.target.checked)} />
        Answer every call of {call.name} with this from now on
      </label>
    </fieldset>
  );
}

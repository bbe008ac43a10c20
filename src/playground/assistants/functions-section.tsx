import { Collapsible } from '@base-ui/react/collapsible';
import { ChevronRight, Plus, Trash2 } from 'lucide-react';
import { useRef, useState } from 'react';
import { Button, IconButton } from '../parts/button.tsx';
import { FormField } from '../parts/form-field.tsx';
import { JsonField } from '../parts/json-field.tsx';
import { SwitchField } from '../parts/switch-field.tsx';
import styles from './assistant-form.module.css';
import { type FunctionDraft, toolPaths } from './draft.ts';
import { EXAMPLE_FUNCTION } from './example-schemas.ts';
import type { FormParts } from './form-parts.ts';
import { FormSection } from './form-section.tsx';

const EXAMPLE: Partial<FunctionDraft> = { ...EXAMPLE_FUNCTION, parameters: JSON.stringify(EXAMPLE_FUNCTION.parameters, null, 2) };

/** The functions of the caller that the model may call: a run waits for their outputs. */
export function FunctionsSection({ draft, change, problemAt }: FormParts) {
  const { functions } = draft;
  const whole = useRef<HTMLDivElement>(null);
  const [added, setAdded] = useState<number | null>(null);

  const put = (key: number, part: Partial<FunctionDraft>) =>
    change({ functions: functions.map((one) => (one.key === key ? { ...one, ...part } : one)) });
  const add = () => {
    const key = Math.max(-1, ...functions.map((one) => one.key)) + 1;
    setAdded(key);
    change({ functions: [...functions, { key, name: '', description: '', parameters: '', strict: false }] });
    // It is there once this has been drawn.
    requestAnimationFrame(() => whole.current?.querySelector<HTMLInputElement>('li:last-child input')?.focus());
  };
  const remove = (key: number) => {
    change({ functions: functions.filter((one) => one.key !== key) });
    whole.current?.querySelector<HTMLElement>('[data-add]')?.focus();
  };

  return (
    <FormSection title="Functions">
      <div ref={whole} className={styles.stack}>
        <p className={styles.words}>What your own program does. A run that calls one waits until its output is submitted.</p>
        {functions.length > 0 && (
          <ul className={styles.functions}>
            {functions.map((one, index) => (
              <FunctionEditor
                key={one.key}
                one={one}
                path={toolPaths(draft).functionAt(index)}
                begun={one.key === added}
                problemAt={problemAt}
                change={(part) => put(one.key, part)}
                remove={() => remove(one.key)}
              />
            ))}
          </ul>
        )}
        <Button small data-add="" icon={<Plus size={14} />} onClick={add}>
          Add a function
        </Button>
      </div>
    </FormSection>
  );
}

interface FunctionEditorProps extends Pick<FormParts, 'problemAt'> {
  one: FunctionDraft;
  path: string;
  /** Whether it was made just now. */
  begun: boolean;
  change(part: Partial<FunctionDraft>): void;
  remove(): void;
}

function FunctionEditor({ one, path, begun, problemAt, change, remove }: FunctionEditorProps) {
  const [open, setOpen] = useState(begun);
  const { name, description, parameters, strict } = one;
  const called = name || 'a function without a name';
  const wrong = problemAt(path, true) !== null;
  // What is to be mended is not hidden.
  if (wrong && !open) setOpen(true);
  const empty = description === '' && parameters.trim() === '';
  return (
    <li className={styles.function} data-wrong={wrong || undefined}>
      <Collapsible.Root open={open} onOpenChange={(next) => setOpen(next)}>
        <div className={styles.functionHead}>
          <Collapsible.Trigger className={styles.functionName}>
            <ChevronRight size={14} className={styles.arrow} aria-hidden="true" />
            <code>{name || '…'}</code>
            <span>{description}</span>
          </Collapsible.Trigger>
          <IconButton label={`Take out ${called}`} icon={<Trash2 size={16} />} onClick={remove} />
        </div>
        <Collapsible.Panel className={styles.functionBody}>
          <FormField
            label="Name"
            value={name}
            change={(next) => change({ name: next })}
            hint="Letters, digits, _ and -. The model calls it by this."
            problem={problemAt(path) ?? problemAt(`${path}.function`) ?? problemAt(`${path}.function.name`)}
            control={<input spellCheck={false} autoCapitalize="off" autoComplete="off" />}
          />
          <FormField
            label="What it does"
            value={description}
            change={(next) => change({ description: next })}
            hint="The model decides by this when to call it."
            problem={problemAt(`${path}.function.description`)}
            control={<textarea rows={2} />}
          />
          <JsonField
            label="JSON Schema of its arguments"
            value={parameters}
            change={(next) => change({ parameters: next })}
            hint="Empty: it takes none."
            problem={problemAt(`${path}.function.parameters`, true)}
            rows={parameters === '' ? 4 : 12}
          >
            {empty && (
              <Button small onClick={() => change({ ...EXAMPLE, name: name || EXAMPLE_FUNCTION.name })}>
                Begin with an example
              </Button>
            )}
          </JsonField>
          <SwitchField
            label="Strict"
            checked={strict}
            change={(next) => change({ strict: next })}
            hint="The model server must hold the arguments to the schema."
            problem={problemAt(`${path}.function.strict`)}
          />
        </Collapsible.Panel>
      </Collapsible.Root>
    </li>
  );
}

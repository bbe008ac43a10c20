import { Plus, Trash2 } from 'lucide-react';
import { useId, useRef } from 'react';
import { Button, IconButton } from './button.tsx';
import { FormField } from './form-field.tsx';
import styles from './pairs-field.module.css';
import type { Pair, PairKind } from './pairs.ts';

interface PairsFieldProps {
  label: string;
  hint: string;
  pairs: readonly Pair[];
  change(pairs: readonly Pair[]): void;
  problem?: string | null;
  /** Whether a value may also be a number, or true or false. */
  kinds?: boolean;
}

const MOST_PAIRS = 16;

/** Names with values. */
export function PairsField({ label, hint, pairs, change, problem, kinds = false }: PairsFieldProps) {
  const group = useRef<HTMLFieldSetElement>(null);
  const about = useId();
  const put = (key: number, part: Partial<Pair>) => change(pairs.map((pair) => (pair.key === key ? { ...pair, ...part } : pair)));
  const add = () => {
    change([...pairs, { key: Math.max(-1, ...pairs.map(({ key }) => key)) + 1, name: '', value: '', kind: 'text' }]);
    // It is there once this has been drawn.
    requestAnimationFrame(() => group.current?.querySelector<HTMLInputElement>('li:last-child input')?.focus());
  };
  const remove = (key: number) => {
    change(pairs.filter((pair) => pair.key !== key));
    group.current?.querySelector<HTMLElement>('[data-add]')?.focus();
  };
  return (
    <fieldset ref={group} className={styles.pairs} aria-describedby={about}>
      <legend>{label}</legend>
      <p id={about} className={styles.hint}>
        {hint} {problem && <span className={styles.problem}>{problem}</span>}
      </p>
      {pairs.length > 0 && (
        <ul>
          {pairs.map(({ key, name, value, kind }, at) => (
            <li key={key} className={styles.pair} data-kinds={kinds || undefined}>
              <FormField quiet label={`Name ${at + 1}`} value={name} change={(next) => put(key, { name: next })} control={<input placeholder="Name" />} />
              {kinds && <KindField at={at} kind={kind} change={(next) => put(key, ofKind(value, next))} />}
              <ValueField at={at} kind={kind} value={value} change={(next) => put(key, { value: next })} />
              <IconButton label={`Take out ${name || `pair ${at + 1}`}`} icon={<Trash2 size={16} />} onClick={() => remove(key)} />
            </li>
          ))}
        </ul>
      )}
      <Button small data-add="" icon={<Plus size={14} />} disabled={pairs.length >= MOST_PAIRS} onClick={add}>
        Add a pair
      </Button>
    </fieldset>
  );
}

const ofKind = (value: string, kind: PairKind): Partial<Pair> => ({ kind, value: kind === 'boolean' ? String(value === 'true') : value });

function KindField({ at, kind, change }: { at: number; kind: PairKind; change(kind: PairKind): void }) {
  return (
    <FormField
      quiet
      label={`Kind of value ${at + 1}`}
      value={kind}
      change={(next) => change(next as PairKind)}
      control={
        <select>
          <option value="text">Text</option>
          <option value="number">Number</option>
          <option value="boolean">Yes or no</option>
        </select>
      }
    />
  );
}

interface ValueFieldProps {
  at: number;
  kind: PairKind;
  value: string;
  change(value: string): void;
}

function ValueField({ at, kind, value, change }: ValueFieldProps) {
  const control =
    kind === 'boolean' ? (
      <select>
        <option value="true">true</option>
        <option value="false">false</option>
      </select>
    ) : (
      <input placeholder="Value" inputMode={kind === 'number' ? 'decimal' : 'text'} />
    );
  return <FormField key={kind} quiet label={`Value ${at + 1}`} value={value} change={change} control={control} />;
}

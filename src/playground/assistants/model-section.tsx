import type { ReasoningEffort, ViewerQuery } from 'skein/client';
import { useState } from 'react';
import { Button } from '../parts/button.tsx';
import { FormField } from '../parts/form-field.tsx';
import styles from './assistant-form.module.css';
import type { FormParts } from './form-parts.ts';
import { FormSection } from './form-section.tsx';

const EFFORTS: Record<ReasoningEffort, string> = {
  NONE: 'None',
  MINIMAL: 'Minimal',
  LOW: 'Low',
  MEDIUM: 'Medium',
  HIGH: 'High',
  XHIGH: 'Extra high',
  MAX: 'As much as there is',
};

const DEFAULT = 'the model server’s default';

interface ModelSectionProps extends FormParts {
  models: ViewerQuery['models'];
  /** Why they are not known. */
  modelsProblem: string | null;
}

/** Which model answers, and how freely. */
export function ModelSection({ draft, change, problemAt, models, modelsProblem }: ModelSectionProps) {
  return (
    <FormSection title="How it answers">
      <ModelField value={draft.model} change={(model) => change({ model })} problem={problemAt('model')} models={models} modelsProblem={modelsProblem} />
      <div className={styles.row}>
        <FormField
          label="Temperature"
          value={draft.temperature}
          change={(temperature) => change({ temperature })}
          problem={problemAt('temperature')}
          hint={`0 to 2. Empty: ${DEFAULT}.`}
          control={<input inputMode="decimal" autoComplete="off" />}
        />
        <FormField
          label="Top p"
          value={draft.topP}
          change={(topP) => change({ topP })}
          problem={problemAt('topP')}
          hint={`0 to 1. Empty: ${DEFAULT}.`}
          control={<input inputMode="decimal" autoComplete="off" />}
        />
        <FormField
          label="Reasoning effort"
          value={draft.reasoningEffort}
          change={(value) => change({ reasoningEffort: value as ReasoningEffort | '' })}
          problem={problemAt('reasoningEffort')}
          hint="For models that reason; others ignore it or refuse it."
          control={
            <select>
              <option value="">Default</option>
              {Object.entries(EFFORTS).map(([effort, word]) => (
                <option key={effort} value={effort}>
                  {word}
                </option>
              ))}
            </select>
          }
        />
      </div>
    </FormSection>
  );
}

interface ModelFieldProps extends Pick<ModelSectionProps, 'models' | 'modelsProblem'> {
  value: string;
  change(model: string): void;
  problem: string | null;
}

const OTHER = ' other';

/** A model that the server lists, or a name that is typed: lists are not always whole. */
function ModelField({ value, change, problem, models, modelsProblem }: ModelFieldProps) {
  const [typing, setTyping] = useState(false);
  if (models.length === 0 || typing) {
    const hint = modelsProblem ? `The models cannot be listed: ${modelsProblem}` : models.length === 0 ? 'The model server lists none: type the name of one that it knows.' : 'As the model server calls it.';
    return (
      <div className={styles.model}>
        <FormField label="Model" value={value} change={change} problem={problem} hint={hint} control={<input spellCheck={false} autoCapitalize="off" autoComplete="off" autoFocus={typing} />} />
        {models.length > 0 && (
          <Button
            small
            onClick={() => {
              setTyping(false);
              if (!models.some(({ id }) => id === value)) change(models[0]!.id);
            }}
          >
            Choose from the list
          </Button>
        )}
      </div>
    );
  }
  const listed = models.some(({ id }) => id === value);
  return (
    <FormField
      label="Model"
      value={value}
      change={(next) => (next === OTHER ? setTyping(true) : change(next))}
      problem={problem}
      hint={listed || value === '' ? undefined : 'The model server does not list this one now.'}
      control={
        <select>
          {!listed && <option value={value}>{value}</option>}
          {models.map(({ id, ownedBy }) => (
            <option key={id} value={id}>
              {ownedBy ? `${id} (${ownedBy})` : id}
            </option>
          ))}
          <option value={OTHER}>Another one, by its name…</option>
        </select>
      }
    />
  );
}

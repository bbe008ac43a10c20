import { MessageSquare, Trash2 } from 'lucide-react';
import { type FormEvent, type KeyboardEvent, useRef, useState } from 'react';
import { type AssistantPartsFragment, CreateAssistantDocument, DeleteAssistantDocument, UpdateAssistantDocument, type ViewerQuery } from 'skein/client';
import { type Outcome, useAction } from 'skein/react';
import { Button } from '../parts/button.tsx';
import { ConfirmDialog } from '../parts/confirm-dialog.tsx';
import { FormField } from '../parts/form-field.tsx';
import { Moment } from '../parts/moment.tsx';
import { Notice } from '../parts/notice.tsx';
import { PairsField } from '../parts/pairs-field.tsx';
import { refusalOf } from '../parts/reason.ts';
import { useLeaveGuard } from '../parts/use-leave-guard.tsx';
import { go } from '../route.ts';
import styles from './assistant-form.module.css';
import { keepChosen, nameOf } from './chosen-assistant.ts';
import { type Draft, draftOf, inputOf, newDraft, type Problem, problemsLeft, problemsOf, sameDraft } from './draft.ts';
import { FormatSection } from './format-section.tsx';
import type { FormParts } from './form-parts.ts';
import { FormSection } from './form-section.tsx';
import { FunctionsSection } from './functions-section.tsx';
import { ModelSection } from './model-section.tsx';
import { ToolsSection } from './tools-section.tsx';

interface AssistantFormProps {
  /** Null: one that is to be made. */
  assistant: AssistantPartsFragment | null;
  viewer: ViewerQuery['viewer'] | null;
  models: ViewerQuery['models'];
  modelsProblem: string | null;
  /** Whether it was made just now, as it is drawn for the first time. */
  justMade: boolean;
  made(id: string): void;
  deleted(): void;
}

/** Everything that an assistant is, to be changed. */
export function AssistantForm({ assistant, viewer, models, modelsProblem, justMade, made, deleted }: AssistantFormProps) {
  const base = assistant ? draftOf(assistant) : newDraft(models[0]?.id ?? '');
  const [edited, setEdited] = useState<Draft | null>(null);
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [failure, setFailure] = useState<string | null>(null);
  const [state, setState] = useState(justMade ? 'Created.' : '');
  const form = useRef<HTMLFormElement>(null);
  const draft = edited ?? base;
  const dirty = !sameDraft(draft, base);
  const create = useAction(CreateAssistantDocument, (result) => result.createAssistant, (payload) => payload.assistant);
  const update = useAction(UpdateAssistantDocument, (result) => result.updateAssistant, (payload) => payload.assistant);
  const busy = create.busy || update.busy;
  const name = assistant ? nameOf(assistant) : 'New assistant';
  const guard = useLeaveGuard(dirty, `What you have changed in ‘${name}’ is lost.`);

  const change = (part: Partial<Draft>) => {
    setEdited((now) => ({ ...(now ?? base), ...part }));
    setProblems((now) => problemsLeft(now, part));
    setState('');
  };
  const revert = () => {
    setEdited(null);
    setProblems([]);
    setFailure(null);
    setState('As it was saved.');
  };
  const refuse = (found: readonly Problem[], reason: string | null) => {
    setProblems(found);
    setFailure(reason);
    setState('');
    // The fields know that they are wrong once this has been drawn.
    requestAnimationFrame(() => {
      const wrong = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]') ?? form.current?.querySelector<HTMLElement>('[data-summary]');
      wrong?.focus({ preventScroll: true });
      wrong?.scrollIntoView({ block: 'center' });
    });
  };
  const save = async () => {
    if (busy) return;
    const found = problemsOf(draft);
    if (found.length > 0) return refuse(found, null);
    const input = inputOf(draft);
    const outcome: Outcome<AssistantPartsFragment> = assistant
      ? await update.run({ assistantId: assistant.id, ...input })
      : await create.run(input);
    if (!outcome.value) return refuse(outcome.refusals.map(problemOf), outcome.error?.message ?? null);
    setProblems([]);
    setFailure(null);
    setEdited(null);
    setState('Saved.');
    if (assistant) return;
    guard.release();
    made(outcome.value.id);
  };

  const parts: FormParts = {
    draft,
    change,
    problemAt: (path, below = false) => problems.find((one) => one.path === path || (below && one.path.startsWith(`${path}.`)))?.message ?? null,
  };
  return (
    <form
      ref={form}
      className={styles.form}
      aria-label={name}
      noValidate
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event: KeyboardEvent) => {
        if (event.key !== 's' || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        void save();
      }}
    >
      {guard.question}
      <Head assistant={assistant} name={name} />
      <Summary problems={problems} failure={failure} />
      <WhoSection {...parts} />
      <ModelSection {...parts} models={models} modelsProblem={modelsProblem} />
      <ToolsSection {...parts} viewer={viewer} />
      <FunctionsSection {...parts} />
      <FormatSection {...parts} />
      <FormSection title="Metadata">
        <PairsField
          label="Pairs of text"
          hint="Up to 16, for programs of yours: names up to 64 characters, values up to 512."
          pairs={draft.metadata}
          change={(metadata) => change({ metadata })}
          problem={parts.problemAt('metadata', true)}
        />
      </FormSection>
      <div className={styles.foot}>
        <Button type="submit" kind="main" disabled={busy || (assistant !== null && !dirty)}>
          {busy ? 'Saving…' : assistant ? 'Save' : 'Create'}
        </Button>
        <Button disabled={busy || !dirty} onClick={revert}>
          Revert
        </Button>
        <p className={styles.state} role="status">
          {dirty ? 'Not saved yet.' : state}
        </p>
        {assistant && <DeleteButton assistant={assistant} deleted={deleted} release={guard.release} />}
      </div>
    </form>
  );
}

/** The server names places from `input` on. */
const problemOf = ({ path, message }: Outcome<unknown>['refusals'][number]): Problem => ({ path: (path ?? []).slice(1).join('.'), message });

function Head({ assistant, name }: { assistant: AssistantPartsFragment | null; name: string }) {
  return (
    <div>
      <div className={styles.head}>
        <h2>{name}</h2>
        {assistant && (
          <Button icon={<MessageSquare size={16} />} onClick={() => talkTo(assistant.id)}>
            Talk to it
          </Button>
        )}
      </div>
      {assistant && (
        <p className={styles.facts}>
          <code>{assistant.id}</code> · changed <Moment at={assistant.updatedAt} />
        </p>
      )}
    </div>
  );
}

function talkTo(id: string): void {
  keepChosen(id);
  go({ view: 'new' });
}

function Summary({ problems, failure }: { problems: readonly Problem[]; failure: string | null }) {
  if (problems.length === 0 && failure === null) return null;
  return (
    <div data-summary="" tabIndex={-1}>
      <Notice kind="danger">
        {failure ?? 'It is not saved: there is something to mend.'}
        {problems.length > 0 && (
          <ul className={styles.problems}>
            {problems.map(({ path, message }) => (
              <li key={`${path} ${message}`}>{message}</li>
            ))}
          </ul>
        )}
      </Notice>
    </div>
  );
}

/** What it is called, and what it is told. */
function WhoSection({ draft, change, problemAt }: FormParts) {
  return (
    <FormSection title="Who it is">
      <FormField label="Name" value={draft.name} change={(name) => change({ name })} problem={problemAt('name')} control={<input autoComplete="off" />} />
      <FormField
        label="Description"
        value={draft.description}
        change={(description) => change({ description })}
        hint="For people. The model does not see it."
        problem={problemAt('description')}
      />
      <FormField
        label="Instructions"
        value={draft.instructions}
        change={(instructions) => change({ instructions })}
        hint="What the model is told before every conversation."
        problem={problemAt('instructions')}
        control={<textarea rows={7} className={styles.instructions} />}
      />
    </FormSection>
  );
}

interface DeleteButtonProps {
  assistant: AssistantPartsFragment;
  deleted(): void;
  release(): void;
}

function DeleteButton({ assistant, deleted, release }: DeleteButtonProps) {
  const [asking, setAsking] = useState(false);
  const { run } = useAction(DeleteAssistantDocument, (result) => result.deleteAssistant, (payload) => payload.deletedId);
  const confirm = async () => {
    const outcome = await run({ assistantId: assistant.id });
    if (!outcome.value) return refusalOf(outcome);
    release();
    deleted();
    return null;
  };
  return (
    <>
      <Button kind="danger" icon={<Trash2 size={15} />} onClick={() => setAsking(true)}>
        Delete
      </Button>
      <ConfirmDialog title={asking ? `Delete ‘${nameOf(assistant)}’?` : null} act="Delete it" confirm={confirm} close={() => setAsking(false)}>
        Its conversations stay, and can go on with another assistant.
      </ConfirmDialog>
    </>
  );
}

import type { ViewerQuery } from 'skein/client';
import { FileChoice } from '../files/file-choice.tsx';
import { StoreChoice } from '../files/store-choice.tsx';
import { FormField } from '../parts/form-field.tsx';
import { SwitchField } from '../parts/switch-field.tsx';
import styles from './assistant-form.module.css';
import { toolPaths } from './draft.ts';
import type { FormParts } from './form-parts.ts';
import { FormSection } from './form-section.tsx';

interface ToolsSectionProps extends FormParts {
  /** What the server is made of; null while that is not known. */
  viewer: ViewerQuery['viewer'] | null;
}

const MOST_FILES = 20;

/** The tools that the server itself runs, each with what it works on. */
export function ToolsSection({ draft, change, problemAt, viewer }: ToolsSectionProps) {
  const paths = toolPaths(draft);
  const noSandbox = viewer?.sandbox.driver === 'none' ? viewer.sandbox.detail : null;
  const noSearch = viewer?.search.driver === 'none' ? viewer.search.detail : null;
  const { codeInterpreter, fileSearch, fileIds, storeIds } = draft;
  return (
    <FormSection title="Tools">
      <div className={styles.tool}>
        <SwitchField
          label="Code interpreter"
          checked={codeInterpreter}
          change={(next) => change({ codeInterpreter: next })}
          // One that is on can be taken off again.
          disabled={noSandbox !== null && !codeInterpreter}
          hint={noSandbox ? `Not available on this server: ${noSandbox}` : 'Runs Python that the model writes, in a sandbox.'}
          problem={problemAt('tools.0.codeInterpreter')}
        />
        {codeInterpreter && (
          <FormField
            label="Seconds that one call may take"
            value={draft.timeoutSeconds}
            change={(timeoutSeconds) => change({ timeoutSeconds })}
            hint="1 to 300. Empty: the server’s default."
            problem={problemAt(`${paths.codeInterpreter}.timeoutSeconds`)}
            control={<input inputMode="numeric" autoComplete="off" />}
            className={styles.narrow}
          />
        )}
        {(codeInterpreter || fileIds.length > 0) && (
          <FileChoice
            label="Files for the code interpreter"
            hint="They lie under /mnt/data in every run."
            most={MOST_FILES}
            fileIds={fileIds}
            change={(next) => change({ fileIds: next })}
            problem={problemAt('toolResources.codeInterpreter') ?? problemAt('toolResources.codeInterpreter.fileIds')}
            problemOf={(index) => problemAt(`toolResources.codeInterpreter.fileIds.${index}`)}
          />
        )}
      </div>
      <div className={styles.tool}>
        <SwitchField
          label="File search"
          checked={fileSearch}
          change={(next) => change({ fileSearch: next })}
          disabled={noSearch !== null && !fileSearch}
          hint={noSearch ? `Not available on this server: ${noSearch}` : 'Looks for passages in a vector store, and in files that are attached to messages.'}
          problem={problemAt(paths.fileSearch)}
        />
        {fileSearch && (
          <div className={styles.row}>
            <FormField
              label="Results of one search"
              value={draft.maxNumResults}
              change={(maxNumResults) => change({ maxNumResults })}
              hint="1 to 50. Empty: the server’s default."
              problem={problemAt(`${paths.fileSearch}.maxNumResults`)}
              control={<input inputMode="numeric" autoComplete="off" />}
            />
            <FormField
              label="Least score"
              value={draft.scoreThreshold}
              change={(scoreThreshold) => change({ scoreThreshold })}
              hint="0 to 1. What fits less is left out."
              problem={problemAt(`${paths.fileSearch}.rankingOptions`, true)}
              control={<input inputMode="decimal" autoComplete="off" />}
            />
          </div>
        )}
        {(fileSearch || storeIds.length > 0) && (
          <StoreChoice
            storeId={storeIds[0] ?? null}
            change={(next) => change({ storeIds: next === null ? [] : [next] })}
            problem={problemAt('toolResources.fileSearch', true)}
          />
        )}
      </div>
    </FormSection>
  );
}

import type { ResponseFormatType } from 'skein/client';
import { Button } from '../parts/button.tsx';
import { FormField } from '../parts/form-field.tsx';
import { JsonField } from '../parts/json-field.tsx';
import { SwitchField } from '../parts/switch-field.tsx';
import { EXAMPLE_FORMAT } from './example-schemas.ts';
import type { FormParts } from './form-parts.ts';
import { FormSection } from './form-section.tsx';

const FORMATS: Record<ResponseFormatType, [name: string, hint: string]> = {
  AUTO: ['As the model server does it', 'Nothing is asked of the model server.'],
  TEXT: ['Text', 'Plain text.'],
  JSON_OBJECT: ['A JSON object', 'The instructions must ask for JSON as well.'],
  JSON_SCHEMA: ['JSON that fits a schema', 'Each answer is JSON of the form that is described here.'],
};

/** What answers look like. */
export function FormatSection({ draft, change, problemAt }: FormParts) {
  const { format, schemaName, schemaDescription, schema, schemaStrict } = draft;
  return (
    <FormSection title="Response format">
      <FormField
        label="Answers are"
        value={format}
        change={(next) => change({ format: next as ResponseFormatType })}
        hint={FORMATS[format][1]}
        problem={problemAt('responseFormat') ?? problemAt('responseFormat.type')}
        control={
          <select>
            {Object.entries(FORMATS).map(([type, [name]]) => (
              <option key={type} value={type}>
                {name}
              </option>
            ))}
          </select>
        }
      />
      {format === 'JSON_SCHEMA' && (
        <>
          <FormField
            label="Name of the format"
            value={schemaName}
            change={(next) => change({ schemaName: next })}
            hint="Letters, digits, _ and -."
            problem={problemAt('responseFormat.jsonSchema.name')}
            control={<input spellCheck={false} autoCapitalize="off" autoComplete="off" />}
          />
          <FormField
            label="What it is for"
            value={schemaDescription}
            change={(next) => change({ schemaDescription: next })}
            hint="The model is told."
            problem={problemAt('responseFormat.jsonSchema.description')}
          />
          <JsonField
            label="JSON Schema of answers"
            value={schema}
            change={(next) => change({ schema: next })}
            problem={problemAt('responseFormat.jsonSchema.schema', true)}
            rows={10}
          >
            {schema.trim() === '' && (
              <Button
                small
                onClick={() => change({ schema: JSON.stringify(EXAMPLE_FORMAT.schema, null, 2), schemaName: schemaName || EXAMPLE_FORMAT.name })}
              >
                Begin with an example
              </Button>
            )}
          </JsonField>
          <SwitchField
            label="Strict"
            checked={schemaStrict}
            change={(next) => change({ schemaStrict: next })}
            hint="The model server must hold answers to the schema."
            problem={problemAt('responseFormat.jsonSchema.strict')}
          />
        </>
      )}
    </FormSection>
  );
}

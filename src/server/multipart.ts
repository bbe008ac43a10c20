import { GraphQLError } from 'graphql';
import type { GraphQLParams } from 'graphql-yoga';

/** More than any document asks for at once; each is held in memory until its operation is done. */
const FILES_MAX = 10;

export const isMultipart = ({ method, headers }: Request): boolean =>
  method === 'POST' && /^\s*multipart\/form-data\s*(;|$)/i.test(headers.get('content-type') ?? '');

/** Yoga's own requests take limits for what a form may hold. */
interface LimitedForm {
  formData(options: { formDataLimits: Record<string, number> }): Promise<FormData>;
}

/**
 * Reads a request by the GraphQL multipart request specification: `operations` is the request as JSON, with null for
 * every file, and `map` says which part stands at which places in it. The whole body has passed the limit of all bodies.
 */
export async function readMultipart(request: Request, maxBodyBytes: number): Promise<GraphQLParams> {
  const form = await formOf(request, maxBodyBytes);
  const operations = jsonOf(form, 'operations');
  const map = jsonOf(form, 'map');
  for (const [part, places] of Object.entries(map)) {
    const file = form.get(part);
    if (file === null || typeof file === 'string')
      throw bad(`\`map\` names the part '${part}', which is no file of the form.`);
    if (!Array.isArray(places) || places.length === 0)
      throw bad(`\`map\` gives no list of places for the part '${part}'.`);
    for (const place of places) put(operations, String(place), file);
  }
  return operations as GraphQLParams;
}

async function formOf(request: Request, maxBodyBytes: number): Promise<FormData> {
  const formDataLimits = { fieldSize: maxBodyBytes, fields: 2, files: FILES_MAX, parts: FILES_MAX + 2 };
  try {
    return await (request as unknown as LimitedForm).formData({ formDataLimits });
  } catch (error) {
    if (error instanceof GraphQLError) throw error;
    throw bad(`The multipart form cannot be read: ${(error as Error).message}.`);
  }
}

function jsonOf(form: FormData, field: string): Record<string, unknown> {
  const text = form.get(field);
  if (typeof text !== 'string') throw bad(`The multipart form has no field \`${field}\` that is a text.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad(`The field \`${field}\` of the multipart form is not JSON.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad(`The field \`${field}\` of the multipart form must be a JSON object; batches are not taken.`);
  return value as Record<string, unknown>;
}

/** Only below `variables`, and only in place of a null that is there: nothing else of the request can be rewritten. */
function put(operations: Record<string, unknown>, place: string, file: unknown): void {
  const steps = place.split('.');
  const last = steps.pop()!;
  let at: unknown = operations;
  for (const step of steps) at = own(at, step);
  if (steps[0] !== 'variables' || own(at, last) !== null)
    throw bad(
      `\`map\` names the place '${place.slice(0, 100)}', where \`operations\` has no null below \`variables\`.`,
    );
  (at as Record<string, unknown>)[last] = file;
}

const own = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? value[key as never] : undefined;

const bad = (message: string) =>
  new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status: 400 } } });

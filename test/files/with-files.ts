/**
 * Body and headers of a GraphQL request: JSON, or a multipart form where its variables hold files.
 * https://github.com/jaydenseric/graphql-multipart-request-spec
 */
export function withFiles(
  operations: { query: string; variables?: unknown },
  headers: Record<string, string> = {},
): { headers: Record<string, string>; body: string | FormData } {
  const files: { place: string; file: File }[] = [];
  const plain = (value: unknown, place: string): unknown => {
    if (value instanceof File) {
      files.push({ place, file: value });
      return null;
    }
    if (Array.isArray(value)) return value.map((item, i) => plain(item, `${place}.${i}`));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, `${place}.${key}`)]));
  };
  const written = JSON.stringify({ ...operations, variables: plain(operations.variables, 'variables') });
  if (files.length === 0) return { headers: { 'content-type': 'application/json', ...headers }, body: written };
  const form = new FormData();
  form.set('operations', written);
  form.set('map', JSON.stringify(Object.fromEntries(files.map(({ place }, i) => [i, [place]]))));
  for (const [i, { file }] of files.entries()) form.set(String(i), file);
  return { headers, body: form };
}

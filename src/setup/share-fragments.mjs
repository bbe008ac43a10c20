/**
 * Typed documents, as JavaScript, in which each fragment stands once. graphql-codegen writes a fragment's whole tree into
 * every document that spreads it, which is most of what a page would load.
 */
export function shareFragments(code) {
  const fragments = new Map();
  const documents = /^export const (\w+) = (\{ ?"kind": ?"Document".*\});$/gm;
  const shared = code.replace(documents, (_line, name, json) => {
    const parts = JSON.parse(json).definitions.map((definition) => {
      const text = JSON.stringify(definition);
      if (definition.kind !== 'FragmentDefinition') return text;
      const known = fragments.get(definition.name.value) ?? text;
      if (known !== text) throw new Error(`There are two fragments ${definition.name.value}.`);
      fragments.set(definition.name.value, text);
      return `fragment${definition.name.value}`;
    });
    return `export const ${name} = {"kind":"Document","definitions":[${parts.join(',')}]};`;
  });
  if (fragments.size === 0) throw new Error('There are no fragments to share: documents are written in another way now.');
  return [...[...fragments].map(([name, text]) => `const fragment${name} = ${text};`), shared].join('\n');
}

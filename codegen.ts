import type { CodegenConfig } from '@graphql-codegen/cli';

// Typed documents out of the graph. `npm start` and `npm test` run this when schema/ or a document has changed; by hand
// it is `npx graphql-codegen`. Operation names are unique over all documents.
//
// To use it in a project of your own, copy this file and change three places:
// - schema: the committed schema/schema.graphql, or a running server, where introspection asks for a key:
//     schema: {
//       'http://localhost:4000/graphql': { headers: { Authorization: `Bearer ${process.env.SKEIN_API_KEY}` } },
//     },
// - documents: where your operations are, in .graphql files or in graphql(`...`) calls
// - generates: the folder to write to; import `graphql` and the documents from its graphql.ts
const config: CodegenConfig = {
  schema: 'schema/schema.graphql',
  documents: ['schema/operations/*.graphql'],
  // Node runs the TypeScript as it is, so imports between the generated files carry their extension.
  importExtension: '.ts',
  generates: {
    'src/generated/graphql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumType: 'const',
        namingConvention: { enumValues: 'keep' },
        // What the scalars are in JSON. BigInt is a number up to 2^53-1; JSON is the caller's own: check it at use.
        scalars: { ID: 'string', DateTime: 'string', BigInt: 'number', JSON: 'unknown', Upload: 'File' },
      },
    },
  },
};

export default config;

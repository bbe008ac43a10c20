import type { CodegenConfig } from '@graphql-codegen/cli';
import published from '../codegen.ts';

// What tests ask in graphql(`...`) calls, beside the documents that are published.
const config: CodegenConfig = {
  ...published,
  documents: ['test/**/*.ts'],
  generates: { 'src/generated/tests/': published.generates['src/generated/graphql/']! },
};

export default config;

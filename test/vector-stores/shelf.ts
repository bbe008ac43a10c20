import { expect } from 'vitest';
import {
  AddVectorStoreFilesDocument,
  type AddVectorStoreFilesInput,
  CreateVectorStoreDocument,
  type CreateVectorStoreInput,
  ExtractedTextDocument,
  FollowVectorStoreDocument,
  SearchVectorStoreDocument,
  type SearchVectorStoreQuery,
  type SearchVectorStoreQueryVariables,
  VectorStoreDocument,
  type VectorStoreQuery,
} from '../../src/generated/graphql/graphql.ts';
import type { TestSkein } from '../skein.ts';
import { auditCitations } from './citation-audit.ts';

export type StoreState = NonNullable<VectorStoreQuery['vectorStore']>;
export type StoreFile = StoreState['files']['nodes'][number];
export type Found = NonNullable<SearchVectorStoreQuery['vectorStore']>['search'][number];

/** Files and vector stores of one server, as its callers have them. */
export interface Shelf {
  upload(name: string, content: string | Uint8Array, key?: string): Promise<string>;
  /** Makes a store; waits until its files are read in, unless told otherwise. */
  store(input?: CreateVectorStoreInput, waits?: boolean): Promise<string>;
  /** Makes a store of texts by their names. */
  storeOf(texts: Record<string, string | Uint8Array>, input?: CreateVectorStoreInput): Promise<string>;
  /** Adds files as a batch and returns its id. */
  add(vectorStoreId: string, files: AddVectorStoreFilesInput['files']): Promise<string>;
  state(id: string): Promise<StoreState>;
  /** Follows the store until nothing of it is being read in. */
  settled(id: string): Promise<StoreState>;
  file(storeId: string, fileId: string): Promise<StoreFile>;
  search(id: string, query: string, more?: Partial<SearchVectorStoreQueryVariables>): Promise<Found[]>;
  /** A stretch of what was read out of a file of a store. */
  text(vectorStoreFileId: string, startIndex?: number, endIndex?: number): Promise<string | null>;
}

export function createShelf(app: TestSkein): Shelf {
  // Whatever a test is about: no answer of its server may quote what does not stand there.
  app.beforeClose(async () => {
    const citations = await auditCitations(app);
    if (citations > 0) console.log(`${citations} citations, every quote where it says`);
  });
  const shelf: Shelf = {
    async upload(name, content, key = app.key) {
      const form = new FormData();
      const query = `mutation ($file: Upload!) { uploadFile(input: { file: $file }) { file { id } userErrors { message } } }`;
      form.set('operations', JSON.stringify({ query, variables: { file: null } }));
      form.set('map', JSON.stringify({ 0: ['variables.file'] }));
      form.set('0', new File([content as never], name));
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: form,
      });
      const { data, errors } = (await response.json()) as {
        data?: { uploadFile: { file: { id: string } | null; userErrors: object[] } };
        errors?: object[];
      };
      if (!data?.uploadFile.file) throw new Error(JSON.stringify(errors ?? data));
      return data.uploadFile.file.id;
    },
    async store(input = {}, waits = true) {
      const { createVectorStore } = await app.query(CreateVectorStoreDocument, { input });
      expect(createVectorStore.userErrors).toEqual([]);
      const { id } = createVectorStore.vectorStore!;
      if (waits) await shelf.settled(id);
      return id;
    },
    async storeOf(texts, input = {}) {
      const fileIds: string[] = [];
      for (const [name, text] of Object.entries(texts)) fileIds.push(await shelf.upload(name, text));
      return shelf.store({ ...input, fileIds });
    },
    async add(vectorStoreId, files) {
      const { addVectorStoreFiles } = await app.query(AddVectorStoreFilesDocument, { input: { vectorStoreId, files } });
      expect(addVectorStoreFiles.userErrors).toEqual([]);
      return addVectorStoreFiles.batch!.id;
    },
    async state(id) {
      const { vectorStore } = await app.query(VectorStoreDocument, { id, first: 100 });
      if (!vectorStore) throw new Error(`no vector store ${id}`);
      return vectorStore;
    },
    async settled(id) {
      for await (const { vectorStoreEvents } of app.follow(FollowVectorStoreDocument, { id }))
        if (vectorStoreEvents.vectorStore.status !== 'IN_PROGRESS') break;
      return shelf.state(id);
    },
    async file(storeId, fileId) {
      const { files } = await shelf.state(storeId);
      const found = files.nodes.find((file) => file.fileId === fileId);
      if (!found) throw new Error(`${fileId} is not in ${storeId}`);
      return found;
    },
    async search(id, query, more = {}) {
      const { vectorStore } = await app.query(SearchVectorStoreDocument, { id, query, first: 10, ...more });
      return vectorStore!.search;
    },
    async text(id, startIndex, endIndex) {
      const { node } = await app.query(ExtractedTextDocument, { id, startIndex, endIndex });
      return (node as { extractedText: string | null } | null)!.extractedText;
    },
  };
  return shelf;
}

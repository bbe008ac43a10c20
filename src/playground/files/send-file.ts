import { CreateUploadDocument, type FilePurpose } from 'skein/client';
import type { Client } from 'urql';
import { putFile } from './put-file.ts';

/** Stores a file, and answers with its id; `told` hears which part of it has arrived. */
export async function sendFile(
  urql: Client,
  file: File,
  purpose: FilePurpose,
  told: (part: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const input = { filename: file.name, bytes: file.size, contentType: file.type || null, purpose };
  const { data, error } = await urql.mutation(CreateUploadDocument, { input });
  const { uploadUrl, userErrors } = data?.createUpload ?? {};
  if (!uploadUrl) throw error ?? new Error(userErrors?.map(({ message }) => message).join(' '));
  signal.throwIfAborted();
  return putFile(uploadUrl, file, told, signal);
}

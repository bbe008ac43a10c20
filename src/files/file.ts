export const FILE_PURPOSES = ['ASSISTANTS', 'ASSISTANTS_OUTPUT', 'VISION', 'USER_DATA'] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

/** Stored bytes, by what is known of them. */
export interface File {
  id: string;
  projectId: string;
  filename: string;
  bytes: string | number;
  contentType: string;
  sha256: string;
  purpose: FilePurpose;
  createdAt: Date;
  expiresAt: Date | null;
}

/** What somebody says of a file before its bytes are there. */
export interface NewFile {
  filename: string;
  purpose: FilePurpose;
  /** What its sender takes it for; the bytes have the last word. */
  contentType?: string | null;
  expiresAfterSeconds?: number | null;
  /** What the bytes must turn out to be; another size or hash is refused. */
  bytes?: number | null;
  sha256?: string | null;
}

/** SQL over `file t`: what is past its time is not there any more, whenever its row and its bytes are removed. */
export const NOT_EXPIRED = '(t.expires_at is null or t.expires_at > now())';

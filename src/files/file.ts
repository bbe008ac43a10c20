export const FILE_PURPOSES = ['ASSISTANTS', 'ASSISTANTS_OUTPUT', 'VISION', 'USER_DATA'] as const;

/** Stored bytes, by what is known of them. */
export interface File {
  id: string;
  projectId: string;
  filename: string;
  bytes: string | number;
  contentType: string;
  sha256: string;
  purpose: (typeof FILE_PURPOSES)[number];
  createdAt: Date;
  expiresAt: Date | null;
}

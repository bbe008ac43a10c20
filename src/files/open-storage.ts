import type { Logger } from 'pino';
import { createDiskStorage } from './disk-storage.ts';
import type { S3StorageOptions } from './s3-storage.ts';
import type { Storage } from './storage.ts';

export type StorageSettings =
  { driver: 'disk'; folder: string } | ({ driver: 's3' } & Omit<S3StorageOptions, 'logger'>);

/** The storage that a server is set up with. What the one not in use needs is not loaded. */
export async function openStorage(settings: StorageSettings, logger: Logger): Promise<Storage> {
  if (settings.driver === 'disk') return createDiskStorage(settings);
  const { createS3Storage } = await import('./s3-storage.ts');
  return createS3Storage({ ...settings, logger });
}

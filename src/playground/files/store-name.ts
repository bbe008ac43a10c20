import type { VectorStorePartsFragment } from 'skein/client';
import { countInWords, sizeInWords } from '../parts/in-words.ts';

type Store = Pick<VectorStorePartsFragment, 'id' | 'name' | 'fileCounts' | 'usageBytes'>;

export const storeName = ({ name, id }: Pick<Store, 'id' | 'name'>): string => name || `Store ${id.slice(-6)}`;

export const storeSize = ({ fileCounts, usageBytes }: Store): string => `${countInWords(fileCounts.total, 'file')} · ${sizeInWords(usageBytes)}`;

/** Days until a store expires, as they are typed: empty is never. */
export function daysProblem(text: string): string | null {
  return text.trim() === '' || /^\d+$/.test(text.trim()) ? null : 'The number of days must be a whole number.';
}

export const daysOf = (text: string): number | null => (text.trim() === '' ? null : Number(text));

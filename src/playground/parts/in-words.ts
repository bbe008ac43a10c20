const SIZES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const near = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });
const whole = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'short' });

/** A size as people say it: `3.2 MB`. */
export function sizeInWords(bytes: number): string {
  const step = bytes < 1000 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(bytes) / 3));
  const unit = SIZES[step]!;
  const format = { style: 'unit', unit, unitDisplay: step === 0 ? 'long' : 'short', maximumSignificantDigits: 3 } as const;
  return new Intl.NumberFormat('en', format).format(bytes / 1000 ** step);
}

/** A moment as seen from now: `5 minutes ago`, `in 3 days`; further away its date. */
export function momentInWords(at: string, now: number = Date.now()): string {
  const away = new Date(at).getTime() - now;
  const far = Math.abs(away);
  if (far < MINUTE_MS) return away > 0 ? 'in a moment' : 'just now';
  if (far < HOUR_MS) return near.format(Math.round(away / MINUTE_MS), 'minute');
  if (far < DAY_MS) return near.format(Math.round(away / HOUR_MS), 'hour');
  if (far < 45 * DAY_MS) return near.format(Math.round(away / DAY_MS), 'day');
  return date.format(new Date(at));
}

export const wholeMoment = (at: string): string => whole.format(new Date(at));

const OFFICE = 'application/vnd.openxmlformats-officedocument.';
const TYPES: Record<string, string> = {
  'application/pdf': 'PDF',
  'application/json': 'JSON',
  'application/zip': 'ZIP archive',
  'application/rtf': 'Rich text',
  'application/octet-stream': 'Bytes',
  [`${OFFICE}wordprocessingml.document`]: 'Word document',
  [`${OFFICE}spreadsheetml.sheet`]: 'Excel workbook',
  [`${OFFICE}presentationml.presentation`]: 'PowerPoint presentation',
  'text/plain': 'Text',
  'text/markdown': 'Markdown',
  'text/html': 'HTML',
  'text/csv': 'CSV table',
};

/** What a MIME type is called; itself where it has no name that everybody knows. */
export function typeInWords(contentType: string): string {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase();
  const known = TYPES[type];
  if (known) return known;
  return type.startsWith('image/') ? `${type.slice('image/'.length).toUpperCase()} image` : type;
}

export const countInWords = (count: number, one: string, many = `${one}s`): string =>
  `${new Intl.NumberFormat('en').format(count)} ${count === 1 ? one : many}`;

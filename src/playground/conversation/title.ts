/** Characters of a first message that a conversation is called by. */
const TITLE = 60;

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const titleOf = ({ title, createdAt }: { title: string | null; createdAt: string }): string =>
  title || `Conversation of ${when.format(new Date(createdAt))}`;

/** What a conversation that begins with this message is called. */
export function titleFrom(text: string): string | null {
  const line = text.trim().split('\n', 1)[0]!.trim();
  if (line === '') return null;
  return line.length > TITLE ? `${line.slice(0, TITLE - 1)}…` : line;
}

import type { Citation } from '../conversation/marked-text.ts';
export function SourcePanel({ citation, messageId }: { citation: Citation; messageId: string }) { return <p>{citation.quote}{messageId}</p>; }

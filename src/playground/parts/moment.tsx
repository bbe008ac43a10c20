import { momentInWords, wholeMoment } from './in-words.ts';

/** When something was or will be, in words; the whole of it when it is pointed at. */
export function Moment({ at }: { at: string }) {
  return (
    <time dateTime={at} title={wholeMoment(at)}>
      {momentInWords(at)}
    </time>
  );
}

/**
 * Reads one string field of a JSON object while the object is still being written: what of its text is known after each
 * piece. Holds back an escape that is not whole. What is no such object has no text.
 */
export class StringReader {
  readonly #start: RegExp;
  /** What has come before the string has begun, or an escape that is not whole. */
  #kept = '';
  #state: 'before' | 'inside' | 'over' = 'before';

  constructor(field: string) {
    this.#start = new RegExp(`^\\s*\\{\\s*"${field}"\\s*:\\s*"`);
  }

  read(piece: string): string {
    if (this.#state === 'over') return '';
    let rest = this.#kept + piece;
    this.#kept = '';
    if (this.#state === 'before') {
      const begun = this.#start.exec(rest);
      if (!begun) {
        this.#kept = rest;
        return '';
      }
      this.#state = 'inside';
      rest = rest.slice(begun[0].length);
    }
    let text = '';
    for (let at = 0; at < rest.length; ) {
      if (rest[at] === '"') {
        this.#state = 'over';
        break;
      }
      if (rest[at] !== '\\') {
        const end = rest.slice(at).search(/["\\]/);
        text += end < 0 ? rest.slice(at) : rest.slice(at, at + end);
        at = end < 0 ? rest.length : at + end;
        continue;
      }
      const length = rest[at + 1] === 'u' ? 6 : 2;
      if (at + length > rest.length) {
        this.#kept = rest.slice(at);
        break;
      }
      text += unescaped(rest.slice(at, at + length));
      at += length;
    }
    return text;
  }
}

function unescaped(escape: string): string {
  try {
    return JSON.parse(`"${escape}"`) as string;
  } catch {
    return ''; // no JSON: the call will be refused when it is whole
  }
}

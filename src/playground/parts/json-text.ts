/** Where a text stops being JSON, and what should stand there. */
export interface JsonFault {
  readonly index: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type JsonReading = { readonly value: unknown; readonly fault: null } | { readonly value: null; readonly fault: JsonFault };

/** Reads JSON; where it is none, says at which place. What browsers say of that names no place, or one in words of their own. */
export function readJson(text: string): JsonReading {
  try {
    return { value: JSON.parse(text) as unknown, fault: null };
  } catch {
    const { index, wanted } = firstFault(text);
    const before = text.slice(0, index).split('\n');
    const [line, column] = [before.length, before.at(-1)!.length + 1];
    const found = index >= text.trimEnd().length ? 'the end' : `‘${String.fromCodePoint(text.codePointAt(index)!)}’`;
    return { value: null, fault: { index, line, column, message: `Line ${line}, column ${column}: expected ${wanted}, found ${found}.` } };
  }
}

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;

interface Stop {
  index: number;
  wanted: string;
}

/** A text that is no JSON, up to where that shows. Without recursion: nesting is as deep as what was pasted. */
function firstFault(text: string): Stop {
  const open: ('{' | '[')[] = [];
  let at = 0;
  let next: 'value' | 'item' | 'key' | 'name' | 'after' = 'value';

  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const length = pattern.exec(text)?.[0].length ?? 0;
    at += length;
    return length > 0;
  };
  const string = (): Stop | null => {
    at += 1;
    for (;;) {
      take(PLAIN);
      if (text[at] === '"') {
        at += 1;
        return null;
      }
      if (at >= text.length) return { index: at, wanted: 'a " that closes the text' };
      if (text[at] !== '\\') return { index: at, wanted: 'no line break or tab inside of a text (write \\n or \\t)' };
      if (!take(ESCAPE)) return { index: at, wanted: 'an escape like \\n, \\" or \\u00e9' };
    }
  };

  for (;;) {
    take(SPACE);
    const sign = text[at];
    const inside = open.at(-1);
    const closes = inside === '{' ? '}' : ']';
    if ((next === 'after' && inside && sign === closes) || (next === 'key' && sign === '}') || (next === 'item' && sign === ']')) {
      open.pop();
      at += 1;
      next = 'after';
    } else if (next === 'after') {
      if (!inside) return { index: at, wanted: 'nothing more' };
      if (sign !== ',') return { index: at, wanted: `a comma or ${closes}` };
      at += 1;
      next = inside === '{' ? 'name' : 'value';
    } else if (next === 'key' || next === 'name') {
      if (sign !== '"') return { index: at, wanted: next === 'key' ? 'a name in double quotes or }' : 'a name in double quotes' };
      const fault = string();
      if (fault) return fault;
      take(SPACE);
      if (text[at] !== ':') return { index: at, wanted: 'a colon' };
      at += 1;
      next = 'value';
    } else if (sign === '{' || sign === '[') {
      open.push(sign);
      at += 1;
      next = sign === '{' ? 'key' : 'item';
    } else if (sign === '"') {
      const fault = string();
      if (fault) return fault;
      next = 'after';
    } else if (take(SCALAR)) {
      next = 'after';
    } else {
      return { index: at, wanted: next === 'item' ? 'a value or ]' : 'a value' };
    }
  }
}

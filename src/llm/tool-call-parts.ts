import { randomBytes } from 'node:crypto';
import type { LlmChunk } from './llm.ts';

/** A tool call's delta as servers send it; OpenAI sends all of it, others leave out or repeat what they like. */
export interface ToolCallDelta {
  index?: unknown;
  id?: unknown;
  function?: { name?: unknown; arguments?: unknown } | null;
}

interface Call {
  place: number;
  id: string | null;
  name: string;
  arguments: string;
  /** Its first part is out, so its id and name are settled. */
  announced: boolean;
}

export interface ToolCallParts {
  readonly count: number;
  /** The parts of one delta's calls. */
  add(deltas: readonly ToolCallDelta[]): LlmChunk[];
  /** What was still held back when the turn ended. */
  end(): LlmChunk[];
}

/**
 * Sorts tool call deltas into calls. A call's first part is held until its arguments begin, the next call begins or
 * the turn ends, because its name may come in pieces and the port promises id and name with the first part.
 */
export function createToolCallParts(): ToolCallParts {
  const calls: Call[] = [];
  const byIndex = new Map<number, Call>();
  let current: Call | null = null;

  const open = (): Call => {
    const call: Call = { place: calls.length, id: null, name: '', arguments: '', announced: false };
    calls.push(call);
    return call;
  };

  const find = (index: number | null, id: string | null, name: string, alone: boolean): Call => {
    if (index !== null) {
      const known = byIndex.get(index);
      // Some servers number every call 0; others give each delta of one call a fresh id. A name tells them apart.
      const another = known !== undefined && id !== null && known.id !== null && id !== known.id && name !== '';
      const call = known === undefined || another ? open() : known;
      byIndex.set(index, call);
      return call;
    }
    if (id !== null) {
      const known = calls.find((call) => call.id === id);
      if (known !== undefined) return known;
      if (current !== null && current.id === null && current.arguments === '') return current;
      return name === '' && current !== null ? current : open();
    }
    if (current === null) return open();
    if (name === '') return current;
    if (!alone || isWhole(current.arguments)) return open();
    return current.arguments !== '' && name !== current.name ? open() : current;
  };

  const announce = (call: Call): LlmChunk[] => {
    if (call.announced) return [];
    call.announced = true;
    call.id ??= `call_${randomBytes(12).toString('hex')}`;
    return [{ type: 'toolCall', index: call.place, id: call.id, name: call.name, arguments: call.arguments }];
  };

  return {
    get count() {
      return calls.length;
    },
    add(deltas) {
      const parts: LlmChunk[] = [];
      for (const [position, delta] of deltas.entries()) {
        const index = typeof delta.index === 'number' ? delta.index : null;
        const id = typeof delta.id === 'string' && delta.id !== '' ? delta.id : null;
        const name = typeof delta.function?.name === 'string' ? delta.function.name : '';
        const piece = textOf(delta.function?.arguments);
        const call = find(index, id, name, position === 0);
        if (current !== null && call !== current) parts.push(...announce(current));
        current = call;
        call.id ??= id;
        if (!call.announced) call.name = joinName(call.name, name);
        call.arguments += piece;
        if (call.announced && piece !== '') {
          parts.push({ type: 'toolCall', index: call.place, id: null, name: null, arguments: piece });
        } else if (piece !== '') {
          parts.push(...announce(call));
        }
      }
      return parts;
    },
    end: () => calls.flatMap(announce),
  };
}

/** Arguments as text: some servers send the object itself. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

/** A name may come whole, whole again, longer each time, or in pieces. */
function joinName(known: string, piece: string): string {
  return piece.startsWith(known) ? piece : known + piece;
}

function isWhole(json: string): boolean {
  try {
    return typeof JSON.parse(json) === 'object';
  } catch {
    return false;
  }
}

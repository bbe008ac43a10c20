import type { Random } from './random.ts';

/** What the model does in one turn of a run: so many words, then so many calls of each kind. */
export interface Turn {
  words: number;
  functions: number;
  searches: number;
  codes: number;
}

/** A run as it was thought up: it travels in the message that it answers, so that the model knows its part. */
export interface Plan {
  tag: string;
  turns: readonly Turn[];
}

const SAID = /^plan (\S+): (\S+)$/;
const TURN = /^(\d+)w(\d+)f(\d+)s(\d+)c$/;

export const planText = ({ tag, turns }: Plan): string =>
  `plan ${tag}: ${turns.map((turn) => `${turn.words}w${turn.functions}f${turn.searches}s${turn.codes}c`).join(',')}`;

/** Null when the text is none. */
export function readPlan(text: string): Plan | null {
  const said = SAID.exec(text);
  if (!said) return null;
  const turns = said[2]!.split(',').map((part): Turn => {
    const [words, functions, searches, codes] = TURN.exec(part)!.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
    ];
    return { words, functions, searches, codes };
  });
  return { tag: said[1]!, turns };
}

const plain = (words: number): Turn => ({ words, functions: 0, searches: 0, codes: 0 });

export const shortPlan = (tag: string): Plan => ({ tag, turns: [plain(3)] });

/** Turns that call something, and one that speaks at the end. */
export function thinkUp(tag: string, random: Random): Plan {
  const calling = random.pick([0, 1, 1, 2, 2, 3]);
  const turns = Array.from({ length: calling }, (): Turn => {
    const words = random.chance(0.5) ? random.int(3, 12) : 0;
    const kind = random.pick(['functions', 'functions', 'search', 'code', 'hosted', 'mixed']);
    return {
      words,
      functions: kind === 'functions' ? random.int(2, 3) : kind === 'mixed' ? random.int(1, 2) : 0,
      searches: kind === 'search' ? random.int(1, 2) : kind === 'hosted' || kind === 'mixed' ? 1 : 0,
      codes: kind === 'code' || kind === 'hosted' ? 1 : 0,
    };
  });
  return { tag, turns: [...turns, plain(random.int(30, 100))] };
}

/** A turn as often as it is taken: what it says and calls tells which time it was. */
export interface Take {
  tag: string;
  /** From 0. */
  turn: number;
  /** From 1. */
  take: number;
}

const nameOf = ({ tag, turn, take }: Take): string => `${tag}.${turn}#${take}`;

/** Piece by piece. */
export const wordsOf = (take: Take, { words }: Turn): string[] =>
  words === 0 ? [] : [`<${nameOf(take)}>`, ...Array.from({ length: words - 1 }, (_, i) => ` w${i}`), ' end.'];

export interface PlannedCall {
  name: 'ask_caller' | 'file_search' | 'code_interpreter';
  /** What it is about: no two calls share one, whichever run and take they are of. */
  key: string;
  arguments: string;
}

export function callsOf(take: Take, turn: Turn): PlannedCall[] {
  const some = (count: number, letter: string, name: PlannedCall['name'], argument: string): PlannedCall[] =>
    Array.from({ length: count }, (_, i) => {
      const key = `${nameOf(take)}/${letter}${i}`;
      return { name, key, arguments: JSON.stringify({ [argument]: key }) };
    });
  return [
    ...some(turn.functions, 'f', 'ask_caller', 'key'),
    ...some(turn.searches, 's', 'file_search', 'query'),
    ...some(turn.codes, 'c', 'code_interpreter', 'code'),
  ];
}

/** The takes whose first words stand in a text. */
export const takesIn = (text: string): Take[] =>
  [...text.matchAll(/<(\S+)\.(\d+)#(\d+)>/g)].map(([, tag, turn, take]) => ({
    tag: tag!,
    turn: Number(turn),
    take: Number(take),
  }));

/** The run that a call's key belongs to. */
export const tagOf = (key: string): string => key.slice(0, key.lastIndexOf('.'));

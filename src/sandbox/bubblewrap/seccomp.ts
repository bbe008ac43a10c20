import { ARCHITECTURES, type Architecture, FORBIDDEN, HIGHEST_KNOWN } from './syscalls.ts';

/** Classic BPF (linux/filter.h) over `struct seccomp_data`: nr, arch, then the arguments as 64 bits each. */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;
const NUMBER_AT = 0;
const ARCH_AT = 4;
const argumentAt = (index: number): number => 16 + 8 * index;

const ALLOW = 0x7fff_0000;
const KILL = 0x8000_0000;
const ERRNO = 0x0005_0000;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const AF_UNIX = 1;
/** Every CLONE_NEW… that clone takes. */
const CLONE_NAMESPACES = 0x7e02_0000;
/** ioctls that type into a terminal: TIOCSTI, TIOCLINUX. */
const TYPING = [0x5412, 0x541c];
const X32_BIT = 0x4000_0000;

type Label = 'next' | 'allow' | 'kill' | 'eperm' | 'enosys' | 'eafnosupport';

interface Instruction {
  code: number;
  value: number;
  yes?: Label;
  no?: Label;
}

/**
 * The filter of a box, as the bytes that bubblewrap takes. It forbids what makes namespaces, mounts, traces, loads code
 * into the kernel or reaches a network; answers "no such call" to what is newer than this list; and lets the rest through.
 */
export function seccompFilter(architecture: Architecture): Buffer {
  const { token, numbers, x32 } = ARCHITECTURES[architecture];
  const jump = (code: number, value: number, yes: Label, no: Label = 'next'): Instruction => ({ code, value, yes, no });
  const load = (value: number): Instruction => ({ code: LOAD, value });
  const body: Instruction[] = [
    load(ARCH_AT),
    jump(JUMP_EQUAL, token, 'next', 'kill'),
    load(NUMBER_AT),
    ...(x32 ? [jump(JUMP_GREATER_EQUAL, X32_BIT, 'enosys')] : []),
    // Its flags lie in memory, where a filter cannot read them; libc then takes clone.
    jump(JUMP_EQUAL, numbers.clone3, 'enosys'),
    ...FORBIDDEN.flatMap((name) => {
      const number = numbers[name];
      return number === undefined ? [] : [jump(JUMP_EQUAL, number, 'eperm')];
    }),
    jump(JUMP_GREATER_EQUAL, HIGHEST_KNOWN + 1, 'enosys'),
  ];
  // The lower half of an argument: the kernel looks at no more of these either.
  const checked: [number, Instruction[]][] = [
    [numbers.clone, [load(argumentAt(0)), jump(JUMP_ANY_BIT, CLONE_NAMESPACES, 'eperm', 'allow')]],
    [numbers.socket, [load(argumentAt(0)), jump(JUMP_EQUAL, AF_UNIX, 'allow', 'eafnosupport')]],
    [numbers.ioctl, [load(argumentAt(1)), ...TYPING.map((request) => jump(JUMP_EQUAL, request, 'eperm'))]],
  ];
  const ends: [Label, number][] = [
    ['allow', ALLOW],
    ['kill', KILL],
    ['eperm', ERRNO | EPERM],
    ['enosys', ERRNO | ENOSYS],
    ['eafnosupport', ERRNO | EAFNOSUPPORT],
  ];
  return assemble(body, checked, ends);
}

function assemble(body: Instruction[], checked: [number, Instruction[]][], ends: [Label, number][]): Buffer {
  const program: (Instruction & { skip?: number })[] = [...body];
  // Not this one: over its check to the next.
  for (const [number, check] of checked) {
    program.push({ code: JUMP_EQUAL, value: number, yes: 'next', skip: check.length }, ...check);
  }
  const places = new Map(ends.map(([label], index) => [label, program.length + index]));
  const out = Buffer.alloc((program.length + ends.length) * 8);
  const write = (index: number, code: number, yes: number, no: number, value: number): void => {
    if (yes > 255 || no > 255) throw new Error('a jump of the filter is too far');
    out.writeUInt16LE(code, index * 8);
    out.writeUInt8(yes, index * 8 + 2);
    out.writeUInt8(no, index * 8 + 3);
    out.writeUInt32LE(value >>> 0, index * 8 + 4);
  };
  program.forEach(({ code, value, yes = 'next', no = 'next', skip }, index) => {
    const to = (label: Label): number => (label === 'next' ? 0 : places.get(label)! - index - 1);
    if (code === LOAD) write(index, code, 0, 0, value);
    else write(index, code, to(yes), skip ?? to(no), value);
  });
  ends.forEach(([, value], index) => write(program.length + index, RETURN, 0, 0, value));
  return out;
}

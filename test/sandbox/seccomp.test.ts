import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { seccompFilter } from '../../src/sandbox/bubblewrap/seccomp.ts';
import { type Architecture, ARCHITECTURES, FORBIDDEN, HIGHEST_KNOWN } from '../../src/sandbox/bubblewrap/syscalls.ts';

interface SystemCall {
  arch?: number;
  nr: number;
  args?: bigint[];
}

/** Does what the kernel does with the program. */
function decide(program: Buffer, { arch = 0, nr, args = [] }: SystemCall): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(nr >>> 0, 0);
  data.writeUInt32LE(arch >>> 0, 4);
  args.forEach((arg, index) => data.writeBigUInt64LE(arg, 16 + 8 * index));
  let accumulator = 0;
  for (let at = 0; ; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const value = program.readUInt32LE(at * 8 + 4);
    const holds = { 0x15: accumulator === value, 0x35: accumulator >= value, 0x45: (accumulator & value) !== 0 }[code];
    if (code === 0x06) {
      if (value === 0x7fff0000) return 'allow';
      return value === 0x80000000 ? 'kill' : `errno ${value & 0xffff}`;
    }
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (holds === undefined) throw new Error(`instruction ${code} at ${at}`);
    else at += program.readUInt8(at * 8 + (holds ? 2 : 3));
  }
}

const GOLDEN: Record<Architecture, { instructions: number; sha256: string }> = {
  x64: { instructions: 101, sha256: 'edaf4368e0d835f333ba0ea0c5c06adf362d977bf544d2dbf4f0db67dc8cf1c4' },
  arm64: { instructions: 89, sha256: '98a490135831b3cf5eaf0ea016d2055ce7157d16583727a69803f8c5ddff9ba4' },
};

for (const name of ['x64', 'arm64'] as const) {
  const { token, numbers, x32 } = ARCHITECTURES[name];
  const program = seccompFilter(name);
  const of = (nr: number, ...args: bigint[]): string => decide(program, { arch: token, nr, args });

  it(`is the same filter for ${name} as it was when it was judged`, () => {
    expect({
      instructions: program.length / 8,
      sha256: createHash('sha256').update(program).digest('hex'),
    }).toEqual(GOLDEN[name]);
  });

  it(`decides about every system call of ${name}`, () => {
    const forbidden = new Set(FORBIDDEN.map((call) => numbers[call]).filter((nr) => nr !== undefined));
    expect(forbidden.size).toBeGreaterThan(60);
    const checked = new Set([numbers.clone, numbers.clone3, numbers.socket, numbers.ioctl]);
    for (let nr = 0; nr <= HIGHEST_KNOWN; nr += 1) {
      if (!checked.has(nr)) expect(of(nr), `call ${nr}`).toBe(forbidden.has(nr) ? 'errno 1' : 'allow');
    }
    for (const nr of [HIGHEST_KNOWN + 1, 1000, 0x7fffffff, 0xffffffff]) expect(of(nr)).toBe('errno 38');
    expect(of(0x40000000 + 1)).toBe('errno 38');
    expect(x32).toBe(name === 'x64');
  });

  it(`looks at the arguments that matter on ${name}`, () => {
    expect(of(numbers.clone, 17n)).toBe('allow');
    // CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | …: a thread, as glibc makes it.
    expect(of(numbers.clone, 0x3d0f00n)).toBe('allow');
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      expect(of(numbers.clone, flag | 17n)).toBe('errno 1');
    }
    expect(of(numbers.clone3)).toBe('errno 38');
    expect(of(numbers.socket, 1n)).toBe('allow');
    for (const family of [0n, 2n, 10n, 16n, 17n, 40n]) expect(of(numbers.socket, family)).toBe('errno 97');
    expect(of(numbers.ioctl, 0n, 0x5401n)).toBe('allow');
    expect(of(numbers.ioctl, 0n, 0x5412n)).toBe('errno 1');
    expect(of(numbers.ioctl, 0n, 0x541cn)).toBe('errno 1');
    expect(of(numbers.ioctl, 0n, 0x77_0000_5412n)).toBe('errno 1');
  });

  it(`kills what calls as another architecture than ${name}`, () => {
    const tokens = [ARCHITECTURES.x64.token, ARCHITECTURES.arm64.token, 0x40000003, 0];
    for (const arch of tokens.filter((other) => other !== token)) expect(decide(program, { arch, nr: 1 })).toBe('kill');
  });
}

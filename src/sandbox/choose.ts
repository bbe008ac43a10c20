import { errorForLog } from '../errors.ts';
import type { BodyDriver } from './body.ts';
import { createBox } from './box.ts';
import { createBubblewrapDriver } from './bubblewrap/bubblewrap.ts';
import { type LimitOptions, limitsOf, type SandboxLimits } from './limits.ts';
import { createPyodideDriver } from './pyodide/pyodide.ts';
import { type Description, type Driver, type Sandbox, SandboxUnavailableError } from './sandbox.ts';
import { selfTest } from './self-test.ts';
import { createSessions } from './sessions.ts';

/** Modules that are worth telling a model about, and the packages that they come in. */
const PACKAGES = [
  ['numpy', 'numpy'],
  ['pandas', 'pandas'],
  ['matplotlib', 'matplotlib'],
  ['openpyxl', 'openpyxl'],
  ['PIL', 'pillow'],
  ['scipy', 'scipy'],
  ['sklearn', 'scikit-learn'],
  ['sympy', 'sympy'],
  ['seaborn', 'seaborn'],
  ['docx', 'python-docx'],
  ['pptx', 'python-pptx'],
  ['pypdf', 'pypdf'],
] as const;
/** What the full box is expected to have. */
const EXPECTED = ['numpy', 'pandas', 'matplotlib', 'openpyxl'];

export interface ChooseOptions {
  /** auto: bubblewrap where its self-test passes, else pyodide. none: no sandbox at all. */
  driver: 'auto' | Driver | 'none';
  /** A folder of the server's own for what is made once. */
  cacheDir: string;
  limits?: LimitOptions;
  /** bubblewrap, if not the one that is in the path. */
  bubblewrap?: string;
  /** Told, for the log, of what makes the sandbox slower but not weaker. */
  onProblem: (problem: unknown) => void;
}

/**
 * The sandbox that this machine can have. A kind that was asked for by name and does not pass its self-test is an error
 * that says what to do; `auto` says in its description why it is not bubblewrap. It is never silently a weaker one.
 */
export async function chooseSandbox(options: ChooseOptions): Promise<Sandbox | null> {
  switch (options.driver) {
    case 'none':
      return null;
    case 'auto':
      return await automatic(options);
    default:
      return await tested(options.driver, options, 'as it was asked for by name');
  }
}

async function automatic(options: ChooseOptions): Promise<Sandbox> {
  let why: string;
  try {
    return await tested('bubblewrap', options, 'as its self-test passed');
  } catch (error) {
    if (!(error instanceof SandboxUnavailableError)) throw error;
    why = error.message;
  }
  try {
    return await tested('pyodide', options, `because bubblewrap cannot be used here – ${why}`);
  } catch (error) {
    if (!(error instanceof SandboxUnavailableError)) throw error;
    throw new SandboxUnavailableError(`${error.message} And ${why}`);
  }
}

async function tested(name: Driver, options: ChooseOptions, why: string): Promise<Sandbox> {
  const limits = limitsOf(name, options.limits);
  const driver = await createDriver(name, limits, options);
  const box = createBox(await driver.start(), limits);
  const packages = await box.packages(PACKAGES).catch((error: unknown) => {
    throw new SandboxUnavailableError(`${name}: it did not tell its packages`, { cause: error });
  });
  await selfTest(name, box);
  const missing =
    name === 'bubblewrap' ? EXPECTED.filter((wanted) => !packages.some((has) => has.name === wanted)) : [];
  const lacks = missing.map((wanted) => `python3-${wanted}`).join(' ');
  const description: Description = {
    driver: name,
    reason: `${name}, ${why}${lacks ? `; it lacks packages: apt-get install ${lacks}` : ''}`,
    python: box.python,
    packages,
    isolation: driver.isolation,
  };
  return createSessions({
    driver,
    limits,
    description,
    onProblem: (error) => options.onProblem(errorForLog(error)),
  });
}

function createDriver(name: Driver, { box: limits }: SandboxLimits, options: ChooseOptions): Promise<BodyDriver> {
  return name === 'bubblewrap'
    ? createBubblewrapDriver({ limits, program: options.bubblewrap })
    : createPyodideDriver({ limits, cacheDir: options.cacheDir, onProblem: options.onProblem });
}

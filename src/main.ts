import pino from 'pino';
import { type Config, ConfigError, readConfig } from './config.ts';
import { errorForLog } from './errors.ts';
import { createSkein } from './skein.ts';

/** Seconds that closing may take beyond the drain time: saying goodbye to sockets, the last commits, the database. */
const CLOSE_SECONDS = 10;

function configOrExit(): Config {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

const config = configOrExit();
const logger = pino({
  name: 'skein',
  level: config.logLevel,
  base: undefined,
  redact: ['key', 'secret', 'authorization'],
  serializers: { err: (error: unknown) => errorForLog(error) },
});

try {
  const skein = await createSkein(config, logger);
  const works = config.role === 'worker';
  const lines = [`Skein listens on ${skein.url}`];
  if (works) lines.push('It is a worker: it executes runs, and answers /health/live and /health/ready alone.');
  if (skein.newKeyFile) lines.push(`Your API key, shown this once and kept in ${skein.newKeyFile}: ${skein.key}`);
  if (!works)
    lines.push(
      skein.key
        ? `The playground, with your key: ${skein.url}/#key=${encodeURIComponent(skein.key)}`
        : `The playground, which will ask for a key: ${skein.url}/`,
      `GraphiQL, to write operations by hand: ${skein.url}/graphql`,
    );
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) {
      logger.warn({ signal }, 'asked to stop again: not waiting any longer; runs are taken up from what is committed');
      process.exit(1);
    }
    stopping = true;
    logger.info({ signal }, 'asked to stop');
    setTimeout(
      () => {
        logger.error('shutting down took too long; runs are taken up from what is committed');
        process.exit(1);
      },
      config.drainMs + CLOSE_SECONDS * 1000,
    ).unref();
    skein.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'shutting down failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  logger.fatal({ err: error }, 'Skein cannot start');
  console.error(`\nSkein cannot start: ${(error as Error).message}`); // once more in plain words, for who typed the command
  process.exit(1);
}

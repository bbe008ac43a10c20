import pino from 'pino';
import { type Config, ConfigError, readConfig } from './config.ts';
import { createSkein } from './skein.ts';

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
const logger = pino({ name: 'skein', level: config.logLevel, base: undefined, redact: ['key', 'secret', 'authorization'] });

try {
  const skein = await createSkein(config, logger);
  const link = `${skein.url}/graphql${skein.key ? `#key=${encodeURIComponent(skein.key)}` : ''}`;
  process.stdout.write(`\nSkein listens on ${skein.url}\nGraphiQL with your key: ${link}\n\n`);
  const stop = (signal: string) => {
    logger.info({ signal }, 'asked to stop');
    skein.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'shutting down failed');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  logger.fatal({ err: error }, `Skein cannot start: ${(error as Error).message}`);
  process.exit(1);
}

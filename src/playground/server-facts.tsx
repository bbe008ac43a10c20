import { Popover } from '@base-ui/react/popover';
import { ViewerDocument } from 'skein/client';
import { useQuery } from 'urql';
import styles from './server-facts.module.css';

const NAMES = {
  modelServer: 'Model server',
  sandbox: 'Sandbox',
  search: 'Search',
  database: 'Database',
  wakeUps: 'Wake-ups',
} as const;

/** What the server is made of: which of its parts are the weaker ones is nothing to be silent about. */
export function ServerFacts() {
  const [{ data }] = useQuery({ query: ViewerDocument });
  if (!data) return <span className={styles.trigger} />;
  const { viewer } = data;
  return (
    <Popover.Root>
      <Popover.Trigger className={styles.trigger}>
        <span className={styles.project}>{viewer.project.name}</span>
        <span className={styles.model}>
          {viewer.modelServer.driver} · {viewer.version}
        </span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner className={styles.at} side="top" align="start" sideOffset={8}>
          <Popover.Popup className={styles.popup}>
            <Popover.Title className={styles.title}>This server</Popover.Title>
            <dl>
              {Object.entries(NAMES).map(([part, name]) => {
                const { driver, detail } = viewer[part as keyof typeof NAMES];
                return (
                  <div key={part}>
                    <dt>
                      {name}: {driver}
                    </dt>
                    <dd>{detail}</dd>
                  </div>
                );
              })}
            </dl>
            <p>
              <a href="graphql" target="_blank" rel="noopener">
                GraphiQL
              </a>{' '}
              for operations of your own.
            </p>
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

import { useEffect, useState } from 'react';
import { connect, type Connection, SkeinError, ViewerDocument } from 'skein/client';
import { SkeinProvider } from 'skein/react';
import { KeyForm } from './key-form.tsx';
import { keepKey, takeKey } from './key.ts';
import { createOperationsLog, type OperationsLog } from './operations-log.ts';
import { Shell } from './shell.tsx';

/** What a key opens. */
interface Session {
  connection: Connection;
  operations: OperationsLog;
}

function open(key: string): Session {
  return { connection: connect({ url: new URL('graphql', document.baseURI).href, token: key }), operations: createOperationsLog() };
}

/** Asks for a key until there is one that is good, and then shows what it opens. */
export function App() {
  const [key, setKey] = useState(takeKey);
  const [session, setSession] = useState<Session | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);

  useEffect(() => {
    if (key === null) return;
    const begun = open(key);
    let left = false;
    begun.connection.request(ViewerDocument, {}).then(
      () => {
        if (left) return;
        keepKey(key);
        setSession(begun);
      },
      (error: unknown) => {
        if (left) return;
        const unauthenticated = error instanceof SkeinError && error.code === 'UNAUTHENTICATED';
        if (unauthenticated) keepKey(null);
        setWrong(error instanceof Error ? error.message : String(error));
        setKey(null);
      },
    );
    return () => {
      left = true;
      begun.connection.close();
      setSession(null);
    };
  }, [key]);

  if (session) {
    const leave = () => {
      keepKey(null);
      setWrong(null);
      setKey(null);
    };
    return (
      <SkeinProvider connection={session.connection} exchanges={[session.operations.exchange]}>
        <Shell operations={session.operations} leave={leave} />
      </SkeinProvider>
    );
  }
  return <KeyForm busy={key !== null} wrong={wrong} enter={setKey} />;
}

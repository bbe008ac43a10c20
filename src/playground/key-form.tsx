import { type FormEvent, useState } from 'react';
import { Button } from './parts/button.tsx';
import mark from './skein.svg';
import styles from './key-form.module.css';

interface KeyFormProps {
  busy: boolean;
  wrong: string | null;
  enter(key: string): void;
}

export function KeyForm({ busy, wrong, enter }: KeyFormProps) {
  const [key, setKey] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() !== '') enter(key.trim());
  };
  // Before a key is known to be good or not, there is nothing to ask for.
  if (busy) return <p className={styles.busy} role="status">Connecting…</p>;
  return (
    <main className={styles.page}>
      <form className={styles.form} onSubmit={submit} autoComplete="off">
        <img src={mark} alt="" width="40" height="40" />
        <h1>Skein</h1>
        <p>Enter a key of this server. It stays in this tab, and is sent to this server alone.</p>
        <label htmlFor="key">API key</label>
        <input
          id="key"
          type="password"
          placeholder="sk-skein-…"
          spellCheck={false}
          autoFocus
          required
          value={key}
          aria-describedby={wrong ? 'wrong' : undefined}
          onChange={(event) => setKey(event.target.value)}
        />
        {wrong && (
          <p id="wrong" role="alert" className={styles.wrong}>
            {wrong}
          </p>
        )}
        <Button type="submit" kind="main">
          Open the playground
        </Button>
        <p className={styles.hint}>
          <code>npm start</code> prints a link with your first key; it is also in <code>data/api-key</code>.
        </p>
      </form>
    </main>
  );
}

import { useEffect, useState } from 'react';

const THEMES = ['system', 'light', 'dark'] as const;
/** What the page looks like: as the machine does, or as chosen here. */
export type Theme = (typeof THEMES)[number];

const NAME = 'skein-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme {
  return THEMES.find((theme) => theme === localStorage.getItem(NAME)) ?? 'system';
}

function show(theme: Theme): void {
  document.documentElement.dataset.theme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
}

/** Before anything is drawn, so that nothing is drawn in the wrong colours. */
export function showStoredTheme(): void {
  show(stored());
  dark.addEventListener('change', () => show(stored()));
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(stored);
  useEffect(() => {
    localStorage.setItem(NAME, theme);
    show(theme);
  }, [theme]);
  return [theme, setTheme];
}
